#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_secrets
short_description: Make and keep the secrets of a gateway and its database on their host
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Brings the environment file to what RV(local_llm.fleet.stack_state#module:environment) or
    RV(local_llm.fleet.litellm_native_state#module:environment) says, by M(local_llm.fleet.env_file). Values of settings
    are taken by their names, so that no task has to be handed them.
options:
  set:
    description:
      - Variables that get the value of a setting.
    type: list
    elements: str
    default: []
  recover:
    description:
      - Variables that get the value that a container of the project has.
    type: list
    elements: str
    default: []
  generate:
    description:
      - Variables that get a new secret, each with what it begins with.
    type: dict
    default: {}
  close:
    description:
      - Whether others can read the file now. It is closed to them in any case.
    type: bool
    default: false
  backup:
    description:
      - A file that keeps the environment file as it was before a change.
    type: path
  exports:
    description:
      - A second file with some of the variables, for a job of launchd, as O(local_llm.fleet.env_file#module:exports) takes it.
    type: dict
attributes:
  check_mode:
    description: Says which variables it would change, and changes none.
    support: full
  diff_mode:
    description: Shows no difference, because it would tell secrets.
    support: none
  platform:
    description: Linux and macOS with Python 3.9 or newer.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.env_file
  - module: local_llm.fleet.stack_state
"""

EXAMPLES = r"""
- name: Keep the secrets
  local_llm.fleet.stack_secrets: "{{ stack.environment }}"
"""

RETURN = r"""
variables:
  description: The variables that were given another value.
  returned: success
  type: list
  elements: str
  sample: [LITELLM_MASTER_KEY, POSTGRES_PASSWORD]
"""
