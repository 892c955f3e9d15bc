#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_model
short_description: Bring models onto an Ollama engine, or take them away
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes a set of models present on, or absent from, one Ollama engine, in one call.
  - Names are compared as Ollama compares them, so that V(qwen3), V(qwen3:latest) and
    V(registry.ollama.ai/library/qwen3:latest) are one model, in upper or lower case.
  - A pull is read line by line. An error line inside a successful HTTP answer is an error, and so is a stream that
    ends without success.
options:
  url:
    description:
      - Address of the engine, as the target reaches it.
    type: str
    default: http://127.0.0.1:11434
  models:
    description:
      - The models.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the model, C([host/][namespace/]model[:tag]).
        type: str
        required: true
  state:
    description:
      - V(present) pulls what is missing and leaves alone what is there, however old.
      - V(absent) removes what is there.
    type: str
    choices: [present, absent]
    default: present
  mirror:
    description:
      - A registry of your own to pull from, as C(host[:port]). The model is pulled under the mirror's name, given its
        own short name, and the mirror's name is dropped.
      - It must answer for a blob with a C(Location) header, or Ollama refuses it.
    type: str
  mirror_insecure:
    description:
      - Speak plain HTTP to O(mirror).
    type: bool
    default: false
  idle_timeout:
    description:
      - Seconds without a further downloaded byte after which a pull is given up. There is no limit on a pull that
        moves.
    type: int
    default: 300
attributes:
  check_mode:
    description: Says what it would pull or remove, and does neither.
    support: full
  diff_mode:
    description: Shows the names on the engine before and after.
    support: full
  platform:
    description: Any with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.ollama_model_info
"""

EXAMPLES = r"""
- name: Two models on this host's engine
  local_llm.fleet.ollama_model:
    models:
      - name: tinyllama
      - name: bge-m3

- name: A model from the site's own mirror
  local_llm.fleet.ollama_model:
    models:
      - name: gpt-oss:20b
    mirror: mirror.example.com:5000
    mirror_insecure: true

- name: One model less
  local_llm.fleet.ollama_model:
    models:
      - name: tinyllama
    state: absent
"""

RETURN = r"""
models:
  description: What was done with each model, in the order asked for.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The model's name as Ollama shows it.
      type: str
      sample: tinyllama:latest
    action:
      description: V(none), V(pulled), V(removed), or V(failed) for the one that ended the call. In check mode what would be done.
      type: str
      sample: pulled
    digest:
      description: SHA-256 of the model's manifest. Empty when the model is not there.
      type: str
      sample: 2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4
    size:
      description: Bytes on disk. 0 when the model is not there.
      type: int
      sample: 637700138
    seconds:
      description: What a pull took.
      type: float
      sample: 61.3
  sample:
    - name: tinyllama:latest
      action: pulled
      digest: 2644915ede352ea7bdfaff0bfac0be74c719d5d5202acb63a6fb095b52f394a4
      size: 637700138
      seconds: 61.3
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import ModelName, OllamaClient, OllamaError


class ModelSet:
    """The models asked for, and what the engine has of them."""

    def __init__(self, client: OllamaClient, params: dict, check_mode: bool) -> None:
        self.client = client
        self.check_mode = check_mode
        self.state: str = params["state"]
        self.mirror: str | None = params["mirror"]
        self.mirror_insecure: bool = params["mirror_insecure"]
        self.idle_timeout: int = params["idle_timeout"]
        self.wanted = [ModelName.parse(model["name"]) for model in params["models"]]
        self.results: list[dict] = []

    def on_engine(self) -> dict[tuple[str, ...], dict]:
        return {ModelName.parse(model["name"]).key: model for model in self.client.models()}

    def run(self) -> dict:
        """Do it, and return the module's result."""
        before = self.on_engine()
        after = dict(before)
        for name in self.wanted:
            there = name.key in after
            result = {"name": name.short, "action": "none", "seconds": 0.0}
            self.results.append(result)
            if self.state == "present" and not there:
                started = time.monotonic()
                if not self.check_mode:
                    result["action"] = "failed"  # until it has not
                    self.pull(name)
                result["action"] = "pulled"
                result["seconds"] = round(time.monotonic() - started, 1)
                after[name.key] = {"name": name.short}
            elif self.state == "absent" and there:
                if not self.check_mode:
                    result["action"] = "failed"
                    self.client.delete(after[name.key]["name"])
                result["action"] = "removed"
                del after[name.key]
        changed = any(result["action"] != "none" for result in self.results)
        if changed and not self.check_mode:
            after = self.on_engine()
        for name, result in zip(self.wanted, self.results):
            model = after.get(name.key, {})
            result.update(digest=model.get("digest", ""), size=model.get("size", 0))
        return {"changed": changed, "models": self.results, "diff": {"before": listing(before), "after": listing(after)}}

    def pull(self, name: ModelName) -> None:
        if not self.mirror or name.at(self.mirror).key == name.key:
            self.client.pull(name.short, self.mirror_insecure if self.mirror else False, self.idle_timeout)
            return
        long_name = name.at(self.mirror).short
        self.client.pull(long_name, self.mirror_insecure, self.idle_timeout)
        self.client.copy(long_name, name.short)
        self.client.delete(long_name)


def listing(models: dict[tuple[str, ...], dict]) -> str:
    """The models' names, one a line, for the diff."""
    return "".join("%s\n" % name for name in sorted(model["name"] for model in models.values()))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11434"},
            "models": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"name": {"type": "str", "required": True}},
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "mirror": {"type": "str"},
            "mirror_insecure": {"type": "bool", "default": False},
            "idle_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    try:
        models = ModelSet(OllamaClient(module.params["url"]), module.params, module.check_mode)
    except ValueError as error:
        module.fail_json(msg=str(error))
    try:
        result = models.run()
    except OllamaError as error:
        name = models.results[-1]["name"] if models.results else "models"
        changed = any(result["action"] in ("pulled", "removed") for result in models.results)
        module.fail_json(msg="%s: %s" % (name, error), models=models.results, changed=changed)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
