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

- name: Show what is in memory, and how much of it on a GPU
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.size_vram }} of {{ item.size }} bytes"
  loop: "{{ engine.loaded }}"
"""

RETURN = r"""
version:
  description: The engine's version.
  returned: success
  type: str
  sample: 0.40.2
models:
  description: The models on disk.
  returned: success
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
  returned: success
  type: list
  elements: str
  sample: []
loaded:
  description: The models in memory.
  returned: success
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import ModelName, OllamaClient, OllamaError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11434"},
            "expected": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    client = OllamaClient(module.params["url"])
    try:
        models = client.models()
        there = {ModelName.parse(model["name"]).key for model in models}
        module.exit_json(
            changed=False,
            version=client.version(),
            models=[{key: model.get(key) for key in ("name", "digest", "size")} for model in models],
            missing=[name for name in module.params["expected"] if ModelName.parse(name).key not in there],
            loaded=[{key: model.get(key) for key in ("name", "size", "size_vram", "context_length")} for model in client.loaded()],
        )
    except (OllamaError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
