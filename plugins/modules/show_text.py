#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: show_text
short_description: Show text to whoever runs the playbook
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Shows lines as they are, without quotes and on any terminal, also where results of tasks without a change are not shown
    (C(display_ok_hosts = False)), as C(ansible.cfg) of this project has it.
options:
  text:
    description:
      - The text, or a list of its lines.
    type: raw
    required: true
  prefix:
    description:
      - Whether each line begins with the name of the host.
    type: bool
    default: true
attributes:
  check_mode:
    description: Shows it in check mode, too.
    support: full
  diff_mode:
    description: Has no difference to show.
    support: none
  action:
    description: Runs on the control node.
    support: full
  platform:
    description: Any, because the host is not asked.
    support: full
    platforms: posix
seealso:
  - module: ansible.builtin.debug
"""

EXAMPLES = r"""
- name: Show what differs
  local_llm.fleet.show_text:
    text: "{{ host.changes | map(attribute='what') | list }}"
"""

RETURN = r"""
"""
