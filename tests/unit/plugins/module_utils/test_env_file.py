# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import string
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from hypothesis import assume, given
from hypothesis import strategies as st

CASES = yaml.safe_load((Path(__file__).parents[2] / "data/env_cases.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["text"]))
def test_a_file_as_compose_reads_it(case):
    read = env_file.parse(case["text"])
    if "values" in case:
        assert (read["values"], read["unread_lines"]) == (case["values"], [])
    else:
        assert read["unread_lines"]


def test_the_cases_are_those_that_differ_between_readers():
    assert len(CASES) > 150
    assert len({case["text"] for case in CASES}) == len(CASES)
    assert sum("values" not in case for case in CASES) > 20


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("A=1\nsk torn\n  \nB\n$x=1\n", [2, 5]),
        ("A='1\n2'\n\n/=1\nB=2", [4]),
        ("A=1\nB='x\nC=2\n", [2]),
        ("A=${B:?}\nB=${\n", [1, 2]),
        ("A=1\nB", [2]),
        ("=1", [1]),
        ("A='a\0b'\n", [1]),
    ],
)
def test_lines_that_compose_refuses(text, lines):
    assert env_file.parse(text)["unread_lines"] == lines


def test_a_file_is_read_with_its_own_line_ends(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA='x\r\ny'\r\nB\r\n")
    assert env_file.read(str(tmp_path / ".env")) == {"values": {"A": "x\r\ny"}, "unread_lines": [], "expanded": []}
    assert env_file.read(str(tmp_path / "none")) is None


def test_what_stands_behind_a_refused_line_is_read():
    assert env_file.parse("A=1\n$\nB='x\nC=2")["values"] == {"A": "1", "C": "2"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("A=p$w", ["A"]),
        ('A="p$w"', ["A"]),
        ("A='p$w'", []),
        ("A=p\\$w", ["A"]),
        ('A="p\\$w"', []),
        ("A=p$$w", []),
        ("A=${B:-x}", ["A"]),
        ("B=1\nA=${B}", ["A"]),
        ("A=p$w\nA=plain", []),
        ("A=$5", []),
    ],
)
def test_what_depends_on_other_variables(text, expanded):
    assert env_file.parse(text)["expanded"] == expanded


@pytest.mark.parametrize(
    ("text", "values", "after"),
    [
        ("# mine\nA=1\nB=2\n\nA=3\nC=4", {"A": "new", "D": "p$w"}, "# mine\nA=new\nB=2\n\nC=4\nD='p$w'\n"),
        ("A=1\nB=2\nA=3\n", {"A": None, "C": None}, "B=2\n"),
        ("A=1", {}, "A=1"),
        ("", {}, ""),
        ("\ufeffA=1\n", {"B": "2"}, "A=1\nB=2\n"),
        ("A=1\r\n# c\r\nB='2'\r\n", {"A": "x", "C": "y"}, "A=x\r\n# c\r\nB='2'\r\nC=y\r\n"),
        ("A=\r\nB= \n", {"A": "x", "B": "y"}, "A=x\r\nB=y \n"),
        ("export A = old # note\nB: 'x' # why\n", {"A": "new", "B": ""}, "export A = 'new' # note\nB: '' # why\n"),
        ("A='BEGIN\nab==\nEND'\nB=1\n", {"A": "x"}, "A=x\nB=1\n"),
        ("  A='BEGIN\nEND' # c\n B=1\n", {"A": None}, " B=1\n"),
        ("A='x'#y\n", {"A": "z"}, "A='z'#y\n"),
        ("A='x'B=1\n", {"A": "z"}, "A='z'B=1\n"),
        ("A='x' B=1 # c\nC=2\n", {"A": None}, " B=1 # c\nC=2\n"),
        ("A='x' B=1 # c\nC=2\n", {"B": None}, "A='x' \nC=2\n"),
        ("export A \nB=1\n", {"A": "z"}, "export A=z \nB=1\n"),
        ("A\nB=1\n", {"A": None}, "B=1\n"),
        ("A=1\nA\n", {"A": "2"}, "A=2\n"),
        ("A=# not a comment\n", {"A": "x"}, "A=x\n"),
        ("$ torn\nA=1\n", {"A": "2"}, "$ torn\nA=2\n"),
    ],
)
def test_an_update_changes_nothing_else(text, values, after):
    assert env_file.update(text, values) == after


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("", ""),
        ("sk-1.2:3/4+5=6@7~", "sk-1.2:3/4+5=6@7~"),
        ("two words", "'two words'"),
        ("p#$w", "'p#$w'"),
        ("a\\b", "'a\\b'"),
        ("a\nb", "'a\nb'"),
        ("abc\n", "'abc\n'"),
        ("it's", '"it\'s"'),
        ('it\'s $5 \\ "x"', '"it\'s \\$5 \\\\ \\"x\\""'),
        ("end\\", '"end\\\\"'),
    ],
)
def test_how_a_value_is_written(value, spelled):
    assert env_file.written("A", value) == "A=" + spelled


@pytest.mark.parametrize(("name", "value"), [("A", "a\0b"), ("A B", "x"), ("", "x"), ("A=", "x"), ("1", "x")])
def test_what_cannot_be_written(name, value):
    with pytest.raises(ValueError, match="NUL|is not a name"):
        env_file.update("", {name: value})


NAMES = st.text(string.ascii_uppercase + "_", min_size=1, max_size=8)
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.text("'\"\\$# \n\r\t{}ab=:-?", max_size=12),
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text("AB=:'\"\\$# \n\r\t{}-x", max_size=40),
    st.lists(st.sampled_from([case["text"] for case in CASES]), max_size=4).map("\n".join),
)


@given(NAMES, VALUES)
def test_any_value_can_be_written(name, value):
    assert env_file.parse(env_file.update("", {name: value})) == {"values": {name: value}, "unread_lines": [], "expanded": []}


@given(TEXTS)
def test_any_text_is_read(text):
    lines = env_file.parse(text)["unread_lines"]
    assert all(0 < line <= text.count("\n") + 1 for line in lines)


@given(TEXTS)
def test_without_values_nothing_changes(text):
    assert env_file.update(text, {}) == text.removeprefix("\ufeff")


@given(TEXTS, st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.one_of(st.none(), VALUES), max_size=3))
def test_what_was_set_is_read_again_and_the_rest_stays(text, values):
    before = env_file.parse(text)
    assume(not before["unread_lines"])
    after = env_file.update(text, values)
    read = env_file.parse(after)
    kept = {name: value for name, value in before["values"].items() if name not in values and name not in before["expanded"]}
    assert {name: read["values"].get(name) for name in values} == values
    assert {name: read["values"].get(name) for name in kept} == kept
    assert not set(read["values"]) - set(before["values"]) - set(values)
    assert env_file.update(after, values) == after
