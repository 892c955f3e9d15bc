#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: llm_endpoint_check
short_description: Ask a model a real question through an OpenAI-compatible address
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Sends one chat question, or one text to embed, to an OpenAI-compatible address, and reports the answer and how fast
    it came.
  - Or asks the same and demands to be refused, to prove that the address is not open to everyone.
  - Fails when what came back is not what was expected, with the HTTP status and the server's own words.
options:
  url:
    description:
      - Base address, with the version, such as V(http://127.0.0.1:4444/v1).
    type: str
    required: true
  api_key:
    description:
      - Key to send. None is sent when this is not set.
    type: str
  env_file:
    description:
      - Environment file on the target to take the key from, so that it never leaves the target. Without a key in it none is sent.
    type: path
  env_name:
    description:
      - Name of the variable in O(env_file).
    type: str
    default: LITELLM_MASTER_KEY
  strangers:
    description:
      - Ask the same without a key and with a wrong one, too, and fail unless both are refused as with O(expect=refusal).
    type: bool
    default: false
  model:
    description:
      - Name of the model, as the server lists it.
    type: str
    required: true
  mode:
    description:
      - V(chat) asks O(prompt) and reads the answer as a stream. V(embedding) has O(prompt) embedded.
    type: str
    choices: [chat, embedding]
    default: chat
  prompt:
    description:
      - The question, or the text to embed.
    type: str
    default: Say in one sentence that you work.
  max_tokens:
    description:
      - The most tokens an answer may have, thinking included. A model that thinks before it speaks needs some hundred.
    type: int
    default: 1024
  expect:
    description:
      - V(answer) fails when there is none.
      - V(refusal) fails unless the server answers 401 or 403, or 400 because it has no database to look the key up in,
        which is what LiteLLM says without one. Any other 400, such as for an unknown model, is no refusal.
    type: str
    choices: [answer, refusal]
    default: answer
  timeout:
    description:
      - Seconds without a byte after which the question is given up. Loading a large model takes its time.
    type: int
    default: 300
  use_proxy:
    description:
      - Whether a proxy that the target's environment names is used. With V(false), key and question go to O(url) and to
        nobody else.
    type: bool
    default: true
  validate_certs:
    description:
      - Whether the certificate of an HTTPS address is checked.
    type: bool
    default: true
attributes:
  check_mode:
    description: Asks in check mode too, because asking changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Any with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Does the gateway answer?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    api_key: "{{ gateway_key }}"
    model: tinyllama
  register: check

- name: Show the answer
  ansible.builtin.debug:
    msg: "{{ check.answer }} ({{ check.tokens_per_second }} tokens/s)"

- name: Does it embed?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    api_key: "{{ gateway_key }}"
    model: bge-m3
    mode: embedding

- name: Does it answer to the key in a file, and to nobody else?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    env_file: /opt/local_llm/.env
    model: tinyllama
    strangers: true

- name: Is it closed to those without a key?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    model: tinyllama
    expect: refusal
"""

RETURN = r"""
status:
  description: HTTP status of the answer.
  returned: when the server answered
  type: int
  sample: 200
strangers:
  description: How the server took those without a key and with a wrong one.
  returned: O(strangers=true)
  type: list
  elements: dict
  contains:
    key:
      description: V(none) or V(wrong).
      type: str
      sample: wrong
    refused:
      description: Whether it refused.
      type: bool
      sample: true
    status:
      description: HTTP status of the answer. V(none) without one.
      type: int
      sample: 401
    reason:
      description: The server's own words, or what went wrong.
      type: str
      sample: Authentication Error
answer:
  description: What the model said.
  returned: O(mode=chat) and O(expect=answer)
  type: str
  sample: I work.
seconds:
  description: Seconds from the request to the last byte.
  returned: when the server answered
  type: float
  sample: 1.84
time_to_first_token:
  description: Seconds from the request to the first token, thinking included.
  returned: O(mode=chat) and O(expect=answer)
  type: float
  sample: 0.21
tokens:
  description: Tokens of the answer, by the server's own count where it gives one, else the number of pieces it came in.
  returned: O(mode=chat) and O(expect=answer)
  type: int
  sample: 42
tokens_per_second:
  description: Tokens after the first, by the seconds they took. V(none) for an answer of one token.
  returned: O(mode=chat) and O(expect=answer)
  type: float
  sample: 25.1
dimensions:
  description: Length of the embedding.
  returned: O(mode=embedding) and O(expect=answer)
  type: int
  sample: 1024
reason:
  description: The server's own words when it refused.
  returned: O(expect=refusal)
  type: str
  sample: No api key passed in.
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.llm_endpoint import CheckError, ask


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "api_key": {"type": "str", "no_log": True},
            "env_file": {"type": "path"},
            "env_name": {"type": "str", "default": "LITELLM_MASTER_KEY"},
            "strangers": {"type": "bool", "default": False},
            "model": {"type": "str", "required": True},
            "mode": {"type": "str", "choices": ["chat", "embedding"], "default": "chat"},
            "prompt": {"type": "str", "default": "Say in one sentence that you work."},
            "max_tokens": {"type": "int", "default": 1024, "no_log": False},
            "expect": {"type": "str", "choices": ["answer", "refusal"], "default": "answer"},
            "timeout": {"type": "int", "default": 300},
            "use_proxy": {"type": "bool", "default": True},
            "validate_certs": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("api_key", "env_file")],
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **ask(module.params))
    except CheckError as error:
        module.fail_json(msg=str(error), **error.facts)


if __name__ == "__main__":
    main()
