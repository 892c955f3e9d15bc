# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what has to be done about a machine's NVIDIA driver."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nvidia_driver_plan
short_description: Decide what has to be done about a machine's NVIDIA driver
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the module M(local_llm.fleet.nvidia_driver_info) has read, and says whether the driver is good, has to be installed, has to
    be loaded, or waits for a restart of the machine; and if it has to be installed, which branch and kind of it, from where.
  - The same machine in the same state gets the same decision, whatever has been done before. So a run that was cut off is gone on with by
    the next one.
positional: _input, systems, packages
options:
  _input:
    description:
      - What the module returned.
    type: dict
    required: true
  systems:
    description:
      - What each operating system has drivers from, by its name and version.
    type: dict
    required: true
  packages:
    description:
      - The packages of each source, with C({branch}), C({kernel}) and C({modules}) to be filled in.
    type: dict
    required: true
  wishes:
    description:
      - The variables C(nvidia_driver_*) of the role, without that prefix.
    type: dict
    default: {}
  tried:
    description:
      - What the kernel answered when the module was to be loaded; empty when that has not been tried since the machine was started.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.debug:
    msg: "{{ __nvidia_driver | local_llm.fleet.nvidia_driver_plan(_nvidia_driver_systems, _nvidia_driver_packages) }}"
"""

RETURN = r"""
_value:
  description:
    - C(action) is V(none), V(install), V(load), V(reboot) or V(refuse); C(reason) says why in one line, C(fix) what to do when it is
      V(refuse).
    - C(source) (V(distribution) or V(nvidia)), C(branch), C(flavour) (V(open) or V(proprietary)) and C(packages) (in groups that are
      installed one after the other) say what is, or would be, installed. C(headers) are the packages that modules are built with, the
      first choice and the second.
      With one choice alone there is no other way; C(headers_fix) says what to do where no source has any of them.
    - C(gpus) is how many GPUs C(nvidia-smi) shows, C(platform) what the module says of it, C(version) that of the driver that works.
      C(family) is V(Debian), V(Ubuntu), V(RedHat), or the system's own name, and C(codename) that of its release; a
      derivative has those that it is made of.
    - C(reboot) says whether the machine has to be restarted then. C(warnings) are lines about what will not stay well.
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils.nvidia_driver import nvidia_driver_plan

__all__ = ["FilterModule", "nvidia_driver_plan"]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"nvidia_driver_plan": nvidia_driver_plan}
