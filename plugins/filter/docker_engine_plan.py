# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what has to be done about a host's Docker."""

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_engine_plan
short_description: Decide what has to be done about a host's Docker
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the module M(local_llm.fleet.host_info) has read of a host (sections V(system) and V(daemon)) and its C(daemon.json). Says
    whether Docker is good, where it is to be installed from, and what C(daemon.json) is to hold.
  - Keys that the daemon's command line has are left out, or refused by name, because in both places they keep Docker from starting. No key
    that was there is lost.
positional: _input, content
options:
  _input:
    description:
      - What the module returned.
    type: dict
    required: true
  content:
    description:
      - The text of C(daemon.json) in Base64; empty where there is none. A byte order mark is read as Docker reads it.
    type: str
    default: ""
  settings:
    description:
      - What is asked for - C(source), C(packages), C(docker_packages), C(daemon_config), C(defaults), C(log_rotation), C(registry_mirrors),
        C(insecure_registries), C(proxy), C(no_proxy). Each may be left out.
    type: dict
    default: {}
  variable:
    description:
      - The variable to name in a message about a key of C(daemon_config) or C(defaults).
    type: str
    default: docker_engine_daemon_config
"""

EXAMPLES = r"""
- name: Read the host
  local_llm.fleet.host_info:
    sections: [system, daemon]
  register: host

- name: What daemon.json would hold with one more registry
  ansible.builtin.debug:
    msg: "{{ (host | local_llm.fleet.docker_engine_plan('', {'insecure_registries': ['b:5000']})).after }}"
"""

RETURN = r"""
_value:
  description:
    - C(good) says whether a daemon answers, with a Compose that is new enough; C(problems) and C(notes) are lines for the user.
    - C(source), C(packages), C(package_tool), C(repository), C(suite) and C(architecture) say what would be installed, from where.
    - C(before) and C(after) are the settings of C(daemon.json), C(stale) whether the running daemon lacks what the file holds, C(flag_keys)
      the keys that stand on its command line, and C(validate) the command that checks a new file.
    - C(version), C(compose_version), C(compose_min_version), C(data_root) and C(installed) say what is there.
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import docker_engine


def docker_engine_plan(
    reading: dict[str, t.Any], content: str = "", settings: dict[str, t.Any] | None = None, variable: str = "docker_engine_daemon_config"
) -> docker_engine.Decision:
    """Return what has to be done about a host's Docker."""
    return docker_engine.decide(reading, content, t.cast("docker_engine.Settings", settings or {}), variable)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"docker_engine_plan": docker_engine_plan}
