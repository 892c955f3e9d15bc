# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what has to be done so that Docker hands NVIDIA's GPUs to containers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nvidia_toolkit_plan
short_description: Say what has to be done so that Docker hands NVIDIA's GPUs to containers
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the module M(local_llm.fleet.host_info) has read, and says whether packages, runtime and CDI specification are as they are
    to be.
positional: _input
options:
  _input:
    description:
      - What was read, with the C(packages) of the toolkit.
    type: dict
    required: true
  driver:
    description:
      - What P(local_llm.fleet.nvidia_driver_plan#filter) says of the driver.
    type: dict
    required: true
  version:
    description:
      - The version to have.
    type: str
    required: true
  floor:
    description:
      - The oldest version that is good enough where somebody holds the packages back.
    type: str
    required: true
  package_tool:
    description:
      - The tool that manages the host's packages.
    type: str
    required: true
  check_mode:
    description:
      - Whether a driver that would be installed counts as one.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what would be done
  ansible.builtin.debug:
    msg: "{{ (host | local_llm.fleet.nvidia_toolkit_plan(driver=driver, version='1.20.0', floor='1.19.1', package_tool='apt')).changes }}"
"""

RETURN = r"""
_value:
  description:
    - C(wanted), C(good) (the packages), C(engine_good) (Docker), C(has_spec) (CDI), and what that follows from - C(versions), C(held),
      C(daemon), C(knows_cdi), C(leftovers), C(writes), C(problems), C(changes).
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils.nvidia_toolkit import decide


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"nvidia_toolkit_plan": decide}
