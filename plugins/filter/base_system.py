# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which system of the tables a host is, or is made of."""

from __future__ import annotations

DOCUMENTATION = r"""
name: base_system
short_description: Say which operating system a host is, or is made of
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the module M(local_llm.fleet.host_info) has read (section V(system)) and returns the Debian, Ubuntu or RHEL release that
    packages for this host are made for. A derivative such as Linux Mint is the release whose codename it names in C(/etc/os-release).
positional: _input
options:
  _input:
    description:
      - The C(system) that the module returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Read the host
  local_llm.fleet.host_info:
    sections: [system]
  register: host

- name: Say what it is
  ansible.builtin.debug:
    msg: "{{ (host.system | local_llm.fleet.base_system).name }}"
"""

RETURN = r"""
_value:
  description:
    - C(family) is V(Debian), V(Ubuntu), V(RedHat), or the system's own ID. C(version) and C(codename) are those of the release, C(name) is
      family and version, and C(note) says what a derivative is treated as.
  type: dict
  sample: {family: Ubuntu, version: "24.04", codename: noble, name: Ubuntu 24.04, note: ""}
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils.system import system_of


def base_system(system: dict[str, str]) -> dict[str, str]:
    """Return the system that a host is, or is made of."""
    found = system_of(system)
    return {**found._asdict(), "name": found.name}


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"base_system": base_system}
