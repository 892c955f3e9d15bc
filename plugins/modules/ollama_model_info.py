#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_model_info
short_description: Say which models an Ollama engine holds, and which are in memory
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads version, models on disk and models in memory of one Ollama engine.
  - With O(engines), asks many engines at once which models they hold instead, as a gateway does; one that does not answer is no
    error then.
options:
  url:
    description:
      - Address of the engine, as the target reaches it.
    type: str
    default: http://127.0.0.1:11434
  expected:
    description:
      - Names of models that should be there, in any of the spellings that Ollama takes for the same model.
    type: list
    elements: str
    default: []
  engines:
    description:
      - Addresses of engines by a name for each. Then O(url) and O(expected) are not looked at, and RV(engines) is returned alone.
    type: dict
  timeout:
    description:
      - Seconds that an engine may keep silent.
    type: int
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it, because it changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Any with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.ollama_model
"""

EXAMPLES = r"""
- name: Read the engine
  local_llm.fleet.ollama_model_info:
  register: engine

- name: Is everything there that should be?
  local_llm.fleet.ollama_model_info:
    expected: [tinyllama, "gpt-oss:20b"]
  register: engine
  failed_when: engine.missing | length > 0

- name: Which models can this host get from its neighbours?
  local_llm.fleet.ollama_model_info:
    engines: {box7: "http://192.0.2.7:11434", box9: "http://192.0.2.9:11434"}
    timeout: 5
  register: neighbours

- name: Show what is in memory, and how much of it on a GPU
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.size_vram }} of {{ item.size }} bytes"
  loop: "{{ engine.loaded }}"
"""

RETURN = r"""
engines:
  description: What each of O(engines) said, by its name.
  returned: success, with O(engines)
  type: dict
  contains:
    models:
      description: Names of the models on disk, always with their tags. V(none) where it did not answer.
      type: list
      elements: str
      sample: [tinyllama:latest]
    msg:
      description: Why it did not answer. Empty where it did.
      type: str
      sample: ""
version:
  description: The engine's version.
  returned: success, without O(engines)
  type: str
  sample: 0.40.2
models:
  description: The models on disk.
  returned: success, without O(engines)
  type: list
  elements: dict
  contains:
    name:
      description: The model's name as Ollama shows it, always with its tag.
      type: str
      sample: tinyllama:latest
    digest:
      description: SHA-256 of the model's manifest.
      type: str
      sample: 2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4
    size:
      description: Bytes on disk.
      type: int
      sample: 637700138
missing:
  description: Which of O(expected) are not on disk, as they were spelled there.
  returned: success, without O(engines)
  type: list
  elements: str
  sample: []
loaded:
  description: The models in memory.
  returned: success, without O(engines)
  type: list
  elements: dict
  contains:
    name:
      description: The model's name.
      type: str
      sample: tinyllama:latest
    size:
      description: Bytes of memory it takes, with its context.
      type: int
      sample: 821334016
    size_vram:
      description: How many of them are on a GPU.
      type: int
      sample: 821334016
    context_length:
      description: The context it was loaded with, in tokens. V(none) on engines that do not tell (before 0.10).
      type: int
      sample: 4096
"""

from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import OllamaClient, OllamaError


def ask(url: str, timeout: int) -> dict:
    """Return which models an engine holds, or why it does not say."""
    try:
        return {"models": [model["name"] for model in OllamaClient(url, timeout).models()], "msg": ""}
    except (OllamaError, ValueError) as error:
        return {"models": None, "msg": str(error)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11434"},
            "expected": {"type": "list", "elements": "str", "default": []},
            "engines": {"type": "dict"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    timeout = module.params["timeout"]
    if module.params["engines"] is not None:
        engines = module.params["engines"]
        with ThreadPoolExecutor(max_workers=32) as pool:
            answers = pool.map(lambda url: ask(str(url), timeout), engines.values())
            module.exit_json(changed=False, engines=dict(zip(engines, answers)))
    try:
        module.exit_json(changed=False, **OllamaClient(module.params["url"], timeout).state(module.params["expected"]))
    except (OllamaError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
