#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Fail with everything that would stop a run
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Looks at the settings of the roles and at what was read of the host, tries the addresses that the host will fetch from, and fails with
    all that is wrong at once, each with its fix. It changes nothing.
  - A part of the role P(local_llm.fleet.preflight#role), whose variables it takes by their names; it has no options of its own.
options: {}
attributes:
  check_mode:
    description: Looks in check mode too, because looking changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  action:
    description: Decides on the control node.
    support: full
  platform:
    description: Linux and macOS with Python 3.9 or newer.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.host_info
"""

EXAMPLES = r"""
- name: Look for everything that would stop a run
  ansible.builtin.include_role:
    name: local_llm.fleet.preflight
"""

RETURN = r"""
msg:
  description: Every problem, each in a line of its own.
  returned: when something is wrong
  type: str
  sample: "Nothing was changed. 1 to fix first:\n- site_gateway_port: 4444 belongs to python3 (process 812); stop that, or set another port"
"""
