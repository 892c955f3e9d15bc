# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge Docker's daemon.json, a file that others own too."""

from __future__ import annotations

DOCUMENTATION = r"""
name: daemon_json
short_description: Merge settings into the text of Docker's daemon.json
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads the text of a C(daemon.json) and returns its settings with others merged in. No key that was there is lost.
  - Mappings are merged key by key, and lists keep their order and get what they lack.
positional: _input
options:
  _input:
    description:
      - The file's text. An empty one counts as an empty object.
    type: str
    required: true
  wanted:
    description:
      - Settings that win over what is there.
    type: dict
    default: {}
  defaults:
    description:
      - Settings for keys that are not there. What is there wins, down to the keys of mappings.
    type: dict
    default: {}
  log_rotation:
    description:
      - Options of the log driver, for files that do not choose another driver than Docker's own. What is there wins.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Add a registry to those that are there
  ansible.builtin.debug:
    msg: "{{ '{\"insecure-registries\": [\"a:5000\"]}' | local_llm.fleet.daemon_json({'insecure-registries': ['b:5000']}) }}"
"""

RETURN = r"""
_value:
  description: The merged settings.
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.local_llm.fleet.plugins.plugin_utils import docker_engine


def daemon_json(text: str, wanted: dict | None = None, log_rotation: dict | None = None, defaults: dict | None = None) -> dict[str, t.Any]:
    """Return the settings of a daemon.json with others merged in.

    :raises AnsibleFilterError: when the text is not a JSON object. The message is one line for the user.
    """
    try:
        there = docker_engine.parse(text.removeprefix("\ufeff"))
    except docker_engine.DaemonJsonError as error:
        raise AnsibleFilterError(str(error)) from error
    return docker_engine.merged(there, wanted, log_rotation, defaults)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"daemon_json": daemon_json}
