#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_plan
short_description: Compare a host with its plan and settings, for all roles
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads the host in one round trip (M(local_llm.fleet.host_info)), makes its plan, and tells all that C(site.yml) has to do, with the
    reason of each step and the services that it interrupts. It changes nothing.
  - The settings are the variables of the roles. Those that are not set have their defaults.
  - Fails with all that is wrong with the settings and the host at once, a line with the fix for each.
options:
  preflight:
    description:
      - Look for all that would stop a run, as the role P(local_llm.fleet.preflight#role) does, and try the addresses that a new host will
        fetch from.
    type: bool
    default: true
  report:
    description:
      - Do not fail where settings or host are wrong, but say so in RV(failure).
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode, where steps before count as done.
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
  - module: local_llm.fleet.stack_state
"""

EXAMPLES = r"""
- name: Compare the host with its plan and settings
  local_llm.fleet.host_plan:
  register: host

- name: Show what differs
  ansible.builtin.debug:
    msg: "{{ host.changes }}"
"""

RETURN = r"""
changes:
  description: All differences, in the order in which they are made good.
  returned: success
  type: list
  elements: dict
  contains:
    role:
      description: The role that makes it good.
      type: str
      sample: llm_stack
    what:
      description: The file, unit, service or model.
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
roles:
  description:
    - The roles to apply, in their order. Behind the first that has a change all are named, because what is changed may change what they
      have to do.
  returned: success
  type: list
  elements: str
  sample: [llm_stack, litellm_native, ollama_models]
notes:
  description: Settings without an effect on this host, and engines that did not answer, a line each.
  returned: success
  type: list
  elements: str
  sample: []
native_engine:
  description: What RV(local_llm.fleet.ollama_native_state#module:result) says. V(none) for a host whose engine runs in a container.
  returned: success
  type: dict
  sample: {exists: true, version: 0.40.2, models_dir: /var/lib/ollama/models, preload: true, restarts: false}
native_gateway:
  description: What RV(local_llm.fleet.litellm_native_state#module:result) says. V(none) for a host whose gateway runs in containers.
  returned: success
  type: dict
  sample: {exists: true, version: 1.104.2}
docker:
  description: Whether the host is to have Docker Engine.
  returned: success
  type: bool
  sample: true
plan:
  description: The plan that is made from the reading. V(none) for a host without an engine.
  returned: success
  type: dict
  sample: {schema: 1, status: final, tier: cpu}
plan_to_follow:
  description: That plan where it is final, else the one that the host has. V(none) for a host without either.
  returned: success
  type: dict
  sample: {schema: 1, status: final, tier: cpu}
report:
  description: The plan with RV(changes), RV(roles) and RV(failure) beside it, as C(playbooks/plan.yml) writes it.
  returned: success
  type: dict
  sample: {schema: 1, status: final, tier: cpu, changes: [], roles: []}
failure:
  description: All that is wrong, a line each; empty where nothing is.
  returned: success
  type: str
  sample: ""
reading:
  description:
    - What M(local_llm.fleet.host_info) returned, as far as M(local_llm.fleet.stack_verify) needs it. Empty where a role has something to
      do, because it does not hold then.
  returned: success
  type: dict
  sample: {containers: []}
ansible_facts:
  description: The facts C(system) and C(architecture), as far as the reading tells them.
  returned: success
  type: dict
  sample: {system: Linux, architecture: x86_64}
environment:
  description: What tasks on the host need in their environment.
  returned: success
  type: dict
  sample: {}
stack:
  description: What RV(local_llm.fleet.stack_state#module:result) says.
  returned: success
  type: dict
  sample: {exists: true}
"""
