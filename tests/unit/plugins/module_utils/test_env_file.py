# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import string

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from hypothesis import given
from hypothesis import strategies as st


def test_a_file_as_compose_reads_it():
    text = '# a comment\n\nA=1\nexport B = two words \nC=\'$x\'\nD="q"\nA=last\nE=a # note\nF=\nG="a # b" # c\nH= # none\n'
    read = env_file.parse(text)
    assert read["values"] == {"A": "last", "B": "two words", "C": "$x", "D": "q", "E": "a", "F": "", "G": "a # b", "H": ""}
    assert read["unread_lines"] == []
    assert read["expanded"] == []


def test_lines_that_are_none_are_counted_and_not_told():
    assert env_file.parse("A=1\nsk-torn\n  \nB\n")["unread_lines"] == [2, 4]


@pytest.mark.parametrize(
    ("line", "expanded"), [("A=p$w", ["A"]), ('A="p$w"', ["A"]), ("A='p$w'", []), ("A=p\\$w", []), ("A=p$w\nA=plain", [])]
)
def test_what_compose_would_expand(line, expanded):
    assert env_file.parse(line)["expanded"] == expanded


def test_an_update_leaves_every_other_line():
    text = "# mine\nA=1\nB=2\n\nA=3\nC=4"
    assert env_file.update(text, {"A": "new", "D": "p$w"}) == "# mine\nA=new\nB=2\n\nC=4\nD='p$w'\n"


def test_a_value_that_is_taken_out():
    assert env_file.update("A=1\nB=2\nA=3\n", {"A": None, "C": None}) == "B=2\n"


@pytest.mark.parametrize("value", ["it's", "a\\b", "a\nb"])
def test_a_value_that_cannot_stand_there(value):
    with pytest.raises(ValueError, match="the value of A has"):
        env_file.update("", {"A": value})


NAMES = st.text(string.ascii_uppercase + "_", min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\\"), max_size=20)


@given(st.dictionaries(NAMES, VALUES), st.text(max_size=60))
def test_what_was_set_is_read_again(values, text):
    after = env_file.update(text, values)
    assert {**env_file.parse(after)["values"], **values} == env_file.parse(after)["values"]
    assert env_file.update(after, values) == after
    assert env_file.parse(after)["expanded"] == [name for name in env_file.parse(text)["expanded"] if name not in values]
