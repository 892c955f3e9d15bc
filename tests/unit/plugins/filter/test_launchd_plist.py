# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import plistlib

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.local_llm.fleet.plugins.filter.launchd_plist import launchd_plist
from hypothesis import given
from hypothesis import strategies as st

# What XML can hold: no control characters, no half of a surrogate pair, not the two that are none, and no carriage return, which a
# parser makes a newline.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)


@given(st.dictionaries(TEXT, VALUES))
def test_a_parser_reads_what_was_written(job):
    assert plistlib.loads(launchd_plist(job).encode()) == job


def test_none_is_left_out():
    assert plistlib.loads(launchd_plist({"Label": "a", "UserName": None}).encode()) == {"Label": "a"}


@pytest.mark.parametrize("job", [[], "text", {"Label": object()}])
def test_anything_else_is_refused(job):
    with pytest.raises(AnsibleFilterError):
        launchd_plist(job)
