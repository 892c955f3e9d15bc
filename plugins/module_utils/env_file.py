# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files, as Compose reads them.

The rules are those of the package dotenv of compose-go, which are neither a shell's nor systemd's
(https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/).
"""

from __future__ import annotations

import hashlib
import re
import typing as t
import unicodedata

BOM = "\ufeff"
# White space inside a line, and all that may stand between two statements.
BLANK = "\t\v\f\r \x85\xa0"
SPACE = BLANK + "\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
EXPORT = re.compile(r"export[\t\n\f\r ]+")
ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0[0-9]{0,3})')
ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\", "$": "$$"}
# Compose ignores the case, and then these two letters are an s and a k.
LETTER = "[_A-Za-z\u017f\u212a]"
NAME = LETTER + "[_A-Za-z0-9\u017f\u212a]*"
REFERENCE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<named>%s)|\{(?:(?P<braced>%s(?::?[-+?].*)?)\}|(?P<invalid>)))" % (NAME, NAME))
OPERATOR = re.compile(r":?[-+?]")
# What needs no quotes in such a file, nor in an address.
PLAIN = re.compile(r"[A-Za-z0-9_.:/+=@~-]*")
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


ROUNDS = 10000  # of PBKDF2; some milliseconds for each value


class Refused(ValueError):
    """Compose does not read a file with this in it."""


class Statement(t.NamedTuple):
    """One assignment of a file, and where it is in the text."""

    start: int
    end: int
    name: str = ""
    value: str | None = None  #: None for a name alone, whose value comes from the environment
    value_start: int = 0
    value_end: int = 0
    expanded: bool = False  #: whether the value names other variables, which the environment may have
    refused: bool = False  #: whether Compose refuses the file because of it


class Expansion:
    """Puts the values of variables into a text, those of the file alone."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known
        self.asked = False

    def lookup(self, name: str) -> str | None:
        self.asked = True
        return self.known.get(name)

    def fill(self, text: str) -> str:
        """:raises Refused: for a ``${`` that is not a reference, and for a variable that must have a value and has none."""
        return REFERENCE.sub(lambda match: self.replace(match.group()), text)

    def replace(self, text: str) -> str:
        if text == "$$":
            return "$"
        # The pattern goes on to the last brace of the line: what follows the reference is filled in by itself.
        end = closing_brace(text)
        text, rest = (text[: end + 1], text[end + 1 :]) if end >= 0 else (text, "")
        match = REFERENCE.search(text)
        name = match and (match.group("named") or match.group("braced"))
        if not match or not name:
            raise Refused(text)
        operator = OPERATOR.search(name) if match.group("braced") else None
        if not operator:
            return self.lookup(name) or ""
        return self.apply(name[: operator.start()], operator.group(), name[operator.end() :]) + self.fill(rest)

    def apply(self, name: str, operator: str, word: str) -> str:
        value = self.lookup(name)
        there = value is not None and (value != "" or not operator.startswith(":"))
        if operator.endswith("+"):
            return self.fill(word) if there else value or ""
        if there:
            return value or ""
        if operator.endswith("?"):
            raise Refused(name)
        return self.fill(word)


def closing_brace(text: str) -> int:
    """Return where the first brace is closed, or -1. The character after an opening brace does not count, as in Compose."""
    depth, at = 0, 0
    while at < len(text):
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        elif text[at] == "{":
            depth += 1
            at += 1
        at += 1
    return -1


def skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def statements(text: str) -> t.Iterator[Statement]:
    """Yield the statements of a text without byte order mark. After one that Compose refuses it goes on with the next line."""
    known: dict[str, str] = {}
    at = 0
    while True:
        at = skip(text, at, SPACE)
        if at == len(text):
            return
        if text[at] == "#":
            at = line_end(text, at)
            continue
        statement = read_statement(text, at, known)
        if statement.value is not None and not statement.refused:
            known[statement.name] = statement.value
        yield statement
        at = statement.end


def read_statement(text: str, start: int, known: dict[str, str]) -> Statement:
    exported = EXPORT.match(text, start)
    begin = skip(text, start + len("export"), BLANK) if exported else start
    at = begin
    while at < len(text) and text[at] not in "=:\n":
        if text[at] not in BLANK + "_.-[]" and unicodedata.category(text[at])[0] not in "LN":
            return Statement(start, line_end(text, start), refused=True)
        at += 1
    name = text[begin:at].rstrip(SPACE)
    # Compose takes a name alone that ends the text without a line's end for the value of a variable without a name.
    if " " in name or at == len(text) or (not name and text[at] != "\n"):
        return Statement(start, line_end(text, start), refused=True)
    if text[at] == "\n":
        name_end = begin + len(name)
        return Statement(start, at, name, None, name_end, name_end)
    return read_value(text, start, name, at + 1, known)


def read_value(text: str, start: int, name: str, begin: int, known: dict[str, str]) -> Statement:
    at = skip(text, begin, BLANK)
    expansion = Expansion(known)
    if text[at : at + 1] not in ("'", '"'):
        end = line_end(text, at)
        raw = text[at:end].partition(" #")[0].rstrip(SPACE)
        # An empty value stands before the white space, so that a new one is not written after a carriage return.
        value_start = at if raw else begin
        value_end = value_start + len(raw)
    else:
        content, value_end = read_quoted(text, at)
        if value_end < 0:
            return Statement(start, line_end(text, start), refused=True)
        value_start, end = at, value_end
        raw = ESCAPE.sub(lambda match: unescape(match.group()), content) if text[at] == '"' else content
    try:
        value = raw if text[at : at + 1] == "'" else expansion.fill(raw)
        if "\0" in value:
            raise Refused(name)
    except Refused:
        return Statement(start, end, refused=True)
    return Statement(start, end, name, value, value_start, value_end, expansion.asked)


def read_quoted(text: str, start: int) -> tuple[str, int]:
    """Return what is between quotes, a backslash before a quote taken away, and where it ends: -1 where it does not."""
    quote, at = text[start], start + 1
    found: list[str] = []
    while at < len(text):
        if text[at] == quote:
            return "".join(found), at + 1
        if text[at] == "\\" and at + 1 < len(text):
            found.append(quote if text[at + 1] == quote else text[at : at + 2])
            at += 1
        else:
            found.append(text[at])
        at += 1
    return "", -1


def unescape(text: str) -> str:
    """Return what an escape of a text in double quotes means: those of Go that have one character, and three octal digits."""
    if text[1] != "0":
        return ESCAPED.get(text[1], text)
    octal = re.fullmatch("[0-7]{3}", text[2:])
    # Compose takes the 0 of other digits away.
    return chr(int(text[2:], 8)) if octal and int(text[2:], 8) < 256 else "\\" + text[2:]


def parse(text: str) -> dict[str, t.Any]:
    """Read an environment file.

    :returns: ``values`` from name to the value that Compose has where its own environment sets none of the variables, the last
        statement of a name counting; ``unread_lines``, the numbers (from 1) of the lines for which Compose refuses the whole file;
        ``expanded``, the sorted names whose value names other variables (``$NAME``, ``${NAME:-x}``), so that it depends on them
        and on the environment. ``$$`` is a dollar and depends on nothing. A name alone has no value here.
    """
    text = text[1:] if text.startswith(BOM) else text
    values: dict[str, str] = {}
    expanded: set[str] = set()
    unread: list[int] = []
    for statement in statements(text):
        if statement.refused:
            unread.append(text.count("\n", 0, statement.start) + 1)
        elif statement.name and statement.value is not None:
            values[statement.name] = statement.value
            expanded.discard(statement.name)
            if statement.expanded:
                expanded.add(statement.name)
    return {"values": values, "unread_lines": unread, "expanded": sorted(expanded)}


def digest(value: str, salt: str) -> str:
    """Return what tells whether two values are the same without telling either: PBKDF2 with SHA-256, in hexadecimal digits.

    :arg salt: a text that is used once.
    """
    return hashlib.pbkdf2_hmac("sha256", value.encode(), salt.encode(), ROUNDS).hex()


def read(path: str) -> dict[str, t.Any] | None:
    """Read an environment file's text as :func:`parse` does, with its own line ends, or return None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            return parse(stream.read())
    except OSError:
        return None


def update(text: str, values: dict[str, str | None]) -> str:
    """Return an environment file's text with some values set, and those that are None taken out. A second statement of such a
    name goes. Everything else stays as it is, in its place, without a byte order mark.

    :raises ValueError: for a value with a NUL, which no environment can hold, and for what is not a name.
    """
    for name, value in values.items():
        written(name, value or "")
    text = text[1:] if text.startswith(BOM) else text
    newline = "\r\n" if text[: line_end(text, 0)].endswith("\r") else "\n"
    left = dict(values)
    parts: list[str] = []
    at = 0
    for statement in statements(text):
        if statement.refused or statement.name not in values:
            continue
        value = left.pop(statement.name, None)
        if value is None:
            start, end = whole_lines(text, statement)
            parts.append(text[at:start])
        else:
            start, end = statement.value_start, statement.value_end
            follows = text[end : line_end(text, end)].strip(SPACE)
            parts.append(text[at:start] + ("=" if statement.value is None else "") + spelled(value, bool(follows)))
        at = end
    after = "".join(parts) + text[at:]
    new = [written(name, value) + newline for name, value in left.items() if value is not None]
    return after + (newline if new and after and not after.endswith("\n") else "") + "".join(new)


def whole_lines(text: str, statement: Statement) -> tuple[int, int]:
    """Return from where to where a text goes when a statement is taken out: with its comment, and its lines where they are its own."""
    start, end = text.rfind("\n", 0, statement.start) + 1, line_end(text, statement.end)
    follows = text[statement.end : end].strip(SPACE)
    if follows and not follows.startswith("#"):
        return statement.start, statement.end
    if text[start : statement.start].strip(SPACE):
        return statement.start, end
    return start, min(end + 1, len(text))


def written(name: str, value: str) -> str:
    """Return a line that gives a name a value.

    :raises ValueError: for a value with a NUL, and for what is not a name.
    """
    if not KEY.fullmatch(name):
        raise ValueError("%r is not a name of a variable" % name)
    if "\0" in value:
        raise ValueError("the value of %s has a NUL in it" % name)
    return "%s=%s" % (name, spelled(value))


def spelled(value: str, quoted: bool = False) -> str:
    """Return a value as it stands in a file. In quotes where it must, in single ones where they can hold it: systemd, which may
    read the same file, reads those alike."""
    if PLAIN.fullmatch(value) and not quoted:
        return value
    if "'" not in value and not value.endswith("\\"):
        return "'%s'" % value
    return '"%s"' % re.sub(r'[\\"$]', r"\\\g<0>", value)
