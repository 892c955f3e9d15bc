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
  report_only:
    description:
      - Whether a check that fails is only reported. Without it the variable C(stack_verify_report_only) says it.
    type: bool
  compared:
    description:
      - What M(local_llm.fleet.host_plan) has returned of the host, where nothing was changed since. Without it the host is read, and the
        roles' facts say what it is (C(llm_stack_result), C(ollama_native_result), C(litellm_native_result), C(model_plan_result)).
    type: dict
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
