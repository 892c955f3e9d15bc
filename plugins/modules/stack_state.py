#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_state
short_description: Compare a host with the Compose stack that it is to have
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads the host in one round trip (M(local_llm.fleet.host_info)), where its gateway asks engines of other hosts these in another
    (M(local_llm.fleet.ollama_model_info)), and tells all that has to be done. It changes nothing.
  - The settings are the variables C(site_*) and C(llm_stack_*), which the roles P(local_llm.fleet.site#role) and
    P(local_llm.fleet.llm_stack#role) document. Those that are not set have their defaults.
  - Fails with all that is wrong with the settings and the host at once, a line with the fix for each.
options:
  plan:
    description:
      - The host's model plan. Without it it is the host's C(plan.json).
    type: dict
attributes:
  check_mode:
    description: Can run in check mode, where a host without Docker is no failure.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux and macOS with Python 3.9 or newer.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.host_info
  - module: local_llm.fleet.stack_verify
"""

EXAMPLES = r"""
- name: Compare the Compose stack with its settings
  local_llm.fleet.stack_state:
  register: stack

- name: Show what would be changed
  ansible.builtin.debug:
    msg: "{{ stack.changes }}"
"""

RETURN = r"""
changes:
  description: All differences, in the order in which they are made good.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: The file, unit or service.
      type: str
      sample: config.yml
    why:
      description: In what it differs.
      type: str
      sample: differs
    restarts:
      description: The services that are interrupted.
      type: list
      elements: str
      sample: [litellm]
folders:
  description: Folders that are not there or not closed, each with C(path) and C(mode).
  returned: success
  type: list
  elements: dict
  sample: []
environment:
  description:
    - What has to be done to the environment file, without values - C(set) (variables that settings give), C(recover) (that a container
      has), C(generate) (new secrets, with what they begin with), C(close) (whether others can read the file).
  returned: success
  type: dict
  sample: {set: [], recover: [], generate: {}, close: false}
files:
  description: Files of the project that differ, each with C(name), C(path), C(content), C(mode), C(validate).
  returned: success
  type: list
  elements: dict
  sample: []
units:
  description: Systemd units that differ, each with C(name), C(path), C(content), C(enabled).
  returned: success
  type: list
  elements: dict
  sample: []
provider_files:
  description: Files of providers that the gateway is given, each with C(name), C(path) on the control node, C(sha256).
  returned: success
  type: list
  elements: dict
  sample: []
stale_files:
  description: Variables of provider files that no provider is given any more.
  returned: success
  type: list
  elements: str
  sample: []
firewall:
  description: Whether the rules of the firewall have to be put in force.
  returned: success
  type: bool
  sample: false
up:
  description: Whether Compose has something to do.
  returned: success
  type: bool
  sample: false
recreate:
  description: Services whose containers are made, or replaced.
  returned: success
  type: list
  elements: str
  sample: [litellm]
was_well:
  description: Whether all containers of the project ran, with what their files say.
  returned: success
  type: bool
  sample: true
notes:
  description: Settings without an effect on this host, and engines that did not answer, a line each.
  returned: success
  type: list
  elements: str
  sample: []
exists:
  description: Whether the project was written by an earlier run.
  returned: success
  type: bool
  sample: true
client_keys:
  description: The gateway's keys, as the option O(local_llm.fleet.litellm_key#module:keys) takes them.
  returned: success
  type: list
  elements: dict
  sample: []
stale_clients:
  description: Variables of clients that are not named any more.
  returned: success
  type: list
  elements: str
  sample: []
unfinished:
  description: Whether an earlier run was cut while it changed the stack.
  returned: success
  type: bool
  sample: false
units_before:
  description: The units that the host has.
  returned: success
  type: list
  elements: str
  sample: [local-llm-firewall.service, local-llm-preload.service]
enabled_before:
  description: Those of them that are started with the host.
  returned: success
  type: list
  elements: str
  sample: [local-llm-firewall.service]
result:
  description: What other roles have to know, the fact C(llm_stack_result).
  returned: success
  type: dict
  contains:
    exists:
      description: Whether there is a stack to ask, at the end of this run.
      type: bool
      sample: true
    services:
      description: The services that run in containers.
      type: list
      elements: str
      sample: [ollama, db, litellm]
    models_dir:
      description: The host's folder with the models.
      type: str
      sample: /var/lib/docker/volumes/litellm_ollama_data/_data/models
    preload:
      description: Whether models stay in memory.
      type: bool
      sample: true
    shared:
      description: The addresses at which other gateways reach database and Redis.
      type: list
      elements: str
      sample: []
    silent:
      description: Engines of other hosts that did not answer.
      type: list
      elements: str
      sample: []
"""
