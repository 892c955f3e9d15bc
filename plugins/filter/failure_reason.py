# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in a line why a task failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failure_reason
short_description: Say in a line why a task failed
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns the line of a failed task's message and output, or of a service's log, that tells why.
positional: _input, whole
options:
  _input:
    description:
      - The result of the task, as C(ansible_failed_result) has it, or log lines.
    type: raw
    required: true
  whole:
    description:
      - Return the whole text, message and output, instead of the one line.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say why
  ansible.builtin.debug:
    msg: "{{ ansible_failed_result | local_llm.fleet.failure_reason }}"
"""

RETURN = r"""
_value:
  description: One line.
  type: str
  sample: "listen tcp 127.0.0.1:4444: bind: address already in use"
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import restart


def failure_reason(result: str | dict[str, t.Any] | None, whole: bool = False) -> str:
    """Return the line that tells why a task failed, or all that it says."""
    text = restart.text_of(result or "")
    return text if whole else restart.reason(text)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"failure_reason": failure_reason}
