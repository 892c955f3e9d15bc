#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_verify
short_description: Verify that a host is what its plan and its settings say
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads the host (M(local_llm.fleet.host_info)), asks its services (M(local_llm.fleet.stack_probe)), and judges what comes back. The
    settings are the variables C(site_*) and C(stack_verify_*), which the role P(local_llm.fleet.stack_verify#role) documents. Those that
    are not set have their defaults; outside of the role C(stack_verify_gateway_url) and C(stack_verify_engine_url) have to be set.
  - It does not fail where a check fails, but tells it.
options:
  ask_only:
    description:
      - Ask the model a question, and judge nothing. Fails where there is no answer.
    type: bool
    default: false
  services:
    description:
      - The services that run in containers. Without it they are those of the project's C(compose.yml).
    type: list
    elements: str
  shared:
    description:
      - The addresses at which other gateways reach database and Redis, as C(address:port). Without it they are those of C(compose.yml).
    type: list
    elements: str
  plan:
    description:
      - The host's model plan. Without it it is the host's C(plan.json).
    type: dict
  reading:
    description:
      - What M(local_llm.fleet.host_info) has returned of the host, where nothing was changed since. Without it the host is read.
    type: dict
  silent:
    description:
      - Engines of other hosts that did not answer in this run, to name them where the gateway does not answer.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Asks in check mode too, because asking changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  action:
    description: Decides on the control node.
    support: full
  platform:
    description: Linux and macOS with Python 3.9 or newer.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.host_info
  - module: local_llm.fleet.stack_probe
"""

EXAMPLES = r"""
- name: Ask the model, and judge the host
  local_llm.fleet.stack_verify:
  vars:
    stack_verify_gateway_url: http://127.0.0.1:4444/v1
    stack_verify_engine_url: http://127.0.0.1:11434
  register: verified

- name: Stop where a check failed
  ansible.builtin.fail:
    msg: "{{ verified.failure }}"
  when: not verified.result.ok
"""

RETURN = r"""
result:
  description: The judgement.
  returned: O(ask_only=false)
  type: dict
  contains:
    schema:
      description: Version of this form.
      type: int
      sample: 1
    ok:
      description: Whether no check failed.
      type: bool
      sample: true
    depth:
      description: How far was looked - V(quick) or V(full).
      type: str
      sample: quick
    checks:
      description: The checks - those that failed first, then the warnings.
      type: list
      elements: dict
      contains:
        id:
          description: What was looked at.
          type: str
          sample: gateway.answer
        status:
          description: V(pass), V(warn), V(fail) or V(skip).
          type: str
          sample: pass
        observed:
          description: What was found.
          type: str
          sample: tinyllama answered in 1.2 s
        advice:
          description: What to do, where there is something.
          type: str
          sample: ""
lines:
  description: What to show of a host whose model answers - the answer, how strangers were refused, the GPUs, the warnings.
  returned: O(ask_only=false)
  type: list
  elements: str
  sample: ["tinyllama answered in 1.2 s (first token after 0.2 s, 9 tokens): I work."]
failure:
  description: The checks that failed, each with its fix; empty where none did.
  returned: O(ask_only=false)
  type: str
  sample: ""
answer:
  description: The answer, and how long it took.
  returned: O(ask_only=true)
  type: str
  sample: "tinyllama answered in 1.2 s (first token after 0.2 s, 9 tokens): I work."
"""
