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

import json

from ansible.errors import AnsibleFilterError

ROTATING_DRIVERS = ("json-file", "local")


def merge(there, wanted):
    """Merge two JSON values: mappings key by key, lists without doubles, and of anything else ``wanted`` wins."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        return {**there, **{key: merge(there[key], value) if key in there else value for key, value in wanted.items()}}
    if isinstance(there, list) and isinstance(wanted, list):
        return there + [value for value in wanted if value not in there]
    return wanted


def fill(there, defaults):
    """Add to a JSON value what it lacks. Of two values that are no mappings the one that is there stays."""
    if isinstance(there, dict) and isinstance(defaults, dict):
        return {**defaults, **{key: fill(value, defaults[key]) if key in defaults else value for key, value in there.items()}}
    return there


def daemon_json(text: str, wanted: dict | None = None, log_rotation: dict | None = None, defaults: dict | None = None) -> dict:
    """Return the settings of a daemon.json with others merged in.

    :raises AnsibleFilterError: when the text is not a JSON object. The message is one line for the user.
    """
    try:
        there = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise AnsibleFilterError("/etc/docker/daemon.json is not JSON and was left as it is; mend it: %s" % error) from error
    if not isinstance(there, dict):
        raise AnsibleFilterError("/etc/docker/daemon.json is not a JSON object and was left as it is; mend it")
    merged = fill(merge(there, wanted or {}), defaults or {})
    driver = merged.get("log-driver", ROTATING_DRIVERS[0])
    if log_rotation and driver in ROTATING_DRIVERS:
        options = merged.get("log-opts")
        merged = {**merged, "log-driver": driver, "log-opts": {**log_rotation, **(options if isinstance(options, dict) else {})}}
    return merged


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        return {"daemon_json": daemon_json}
