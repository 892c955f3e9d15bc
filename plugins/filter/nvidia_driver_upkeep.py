# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a driver that works is kept with."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nvidia_driver_upkeep
short_description: Say what an NVIDIA driver that works is kept with
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the module M(local_llm.fleet.nvidia_driver_info) has read, and says which of the driver's services do not run, and whether
    unattended upgrades of the system leave the driver alone as they are to.
positional: _input
options:
  _input:
    description:
      - What was read, with the checksum of C(/etc/apt/apt.conf.d/52local-llm-nvidia) among its C(files).
    type: dict
    required: true
  family:
    description:
      - The system's family, as P(local_llm.fleet.nvidia_driver_plan#filter) says it.
    type: str
    default: ""
  hold:
    description:
      - Whether the driver is to be kept out of unattended upgrades.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Show which services of the driver do not run
  ansible.builtin.debug:
    msg: "{{ (driver | local_llm.fleet.nvidia_driver_upkeep('Ubuntu')).services_down }}"
"""

RETURN = r"""
_value:
  description: What differs, and what it is to be.
  type: dict
  contains:
    hold_content:
      description: The text of the file that keeps the driver out of unattended upgrades of APT.
      type: str
      sample: "// Ansible managed"
    hold_differs:
      description: Whether the host differs in this.
      type: bool
      sample: false
    excludes:
      description: The packages that dnf-automatic is to leave out.
      type: list
      elements: str
      sample: ["*nvidia*"]
    services_down:
      description: Services that do not run, or are not started with the host.
      type: list
      elements: str
      sample: [nvidia-persistenced]
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils.nvidia_driver import Upkeep, upkeep


def nvidia_driver_upkeep(reading: t.Mapping[str, t.Any], family: str = "", hold: bool = True) -> Upkeep:
    """The filter. See this file's DOCUMENTATION."""
    return upkeep(reading, family, hold)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"nvidia_driver_upkeep": nvidia_driver_upkeep}
