# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a property list, as launchd reads it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: launchd_plist
short_description: Write a property list for launchd
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Writes a mapping as a property list (XML), with Python's own C(plistlib), so that no value can break its form.
  - Text stays text - a number that is meant as text, such as the value of an environment variable, has to be given as text.
positional: _input
options:
  _input:
    description:
      - The job, with the keys of C(launchd.plist(5)). Keys whose value is V(none) are left out.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Start a program with the machine
  ansible.builtin.copy:
    dest: /Library/LaunchDaemons/org.example.program.plist
    content: "{{ {'Label': 'org.example.program', 'ProgramArguments': ['/usr/local/bin/program'], 'RunAtLoad': true}
                 | local_llm.fleet.launchd_plist }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The property list.
  type: str
"""

import plistlib
import typing as t

from ansible.errors import AnsibleFilterError


def plain(value: t.Any) -> t.Any:
    """Return a value made of Python's own types alone, which is all that plistlib writes."""
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, t.Mapping):
        return {str(key): plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    raise AnsibleFilterError("launchd_plist: %s cannot stand in a property list" % type(value).__name__)


def launchd_plist(job: t.Any) -> str:
    """Return a mapping as a property list.

    :param job: keys of launchd.plist(5) with text, numbers, truth values, lists and mappings; None leaves a key out.
    :raises AnsibleFilterError: for anything else.
    """
    if not isinstance(job, t.Mapping):
        raise AnsibleFilterError("launchd_plist: a job is a mapping, and not %s" % type(job).__name__)
    return plistlib.dumps(plain(job), sort_keys=True).decode()


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"launchd_plist": launchd_plist}
