# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment files, as Compose reads them (https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/)."""

from __future__ import annotations

import re
import typing as t

LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
QUOTED = re.compile(r"""^(['"])(.*?)\1(?:\s+#.*)?$""")
# What needs no quotes in such a file, nor in an address.
PLAIN = re.compile(r"^[A-Za-z0-9_.:/+=@~-]*$")


def parse(text: str) -> dict[str, t.Any]:
    """Read an environment file.

    :returns: ``values`` from name to value without its quotes, the last line of a name counting; ``unread_lines``, the numbers
        (from 1) of lines that are neither ``NAME=value`` nor a comment; ``expanded``, the sorted names in whose value Compose
        would replace a ``$``.
    """
    values: dict[str, str] = {}
    expanded: set[str] = set()
    unread: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = LINE.match(line)
        if not match:
            if line.strip() and not line.lstrip().startswith("#"):
                unread.append(number)
            continue
        name, value = match.groups()
        quoted = QUOTED.match(value)
        expanded.discard(name)
        if not (quoted and quoted.group(1) == "'") and re.search(r"(?<!\\)\$", quoted.group(2) if quoted else value):
            expanded.add(name)
        # What follows a # that stands alone is a comment.
        values[name] = quoted.group(2) if quoted else re.sub(r"(^|\s+)#.*$", "", value)
    return {"values": values, "unread_lines": unread, "expanded": sorted(expanded)}


def update(text: str, values: dict[str, str | None]) -> str:
    """Return an environment file's text with some values set, and those that are None taken out. Every other line stays as it
    is, in its place.

    :raises ValueError: for a value that cannot stand in such a file: one with a quote, a backslash or a line's end.
    """
    for name, value in values.items():
        if value is not None and re.search(r"['\\\r\n]", value):
            raise ValueError("the value of %s has a quote, a backslash or a line's end" % name)
    left = dict(values)
    lines = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match and match.group(1) in values:
            if match.group(1) not in left:
                continue  # a second line of the same name
            value = left.pop(match.group(1))
            if value is None:
                continue
            line = written(match.group(1), value)
        lines.append(line)
    lines += [written(name, value) for name, value in left.items() if value is not None]
    return "\n".join(lines) + "\n"


def written(name: str, value: str) -> str:
    return "%s=%s" % (name, value if PLAIN.match(value) else "'%s'" % value)
