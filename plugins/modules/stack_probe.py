#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_probe
short_description: Probe the services of a stack in one round trip
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Sends a question to the gateway, reads the engine and its models, looks for the GPUs inside the engine's container, and asks gateway
    and database what they are. All that is asked for is done in one round trip; M(local_llm.fleet.stack_verify) judges what comes back.
  - A service that does not answer fails nothing here, it is part of the result. Keys and passwords are read on the target and stay there.
options:
  question:
    description:
      - A question, with the options of M(local_llm.fleet.llm_endpoint_check).
    type: dict
    suboptions:
      url:
        description:
          - Base address, with the version.
        type: str
        required: true
      env_file:
        description:
          - Environment file on the target to take the key from.
        type: path
      env_name:
        description:
          - Name of the variable in the environment file.
        type: str
        default: LITELLM_MASTER_KEY
      strangers:
        description:
          - Ask the same without a key and with a wrong one, too.
        type: bool
        default: false
      model:
        description:
          - Name of the model, as the server lists it.
        type: str
        required: true
      mode:
        description:
          - What is asked for.
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
          - The most tokens an answer may have.
        type: int
        default: 1024
      expect:
        description:
          - Whether an answer is expected, or a refusal.
        type: str
        choices: [answer, refusal]
        default: answer
      timeout:
        description:
          - Seconds without a byte after which the question is given up.
        type: int
        default: 300
  engine_url:
    description:
      - Address of Ollama. It is read when this is set.
    type: str
  expected:
    description:
      - Names of models that the engine is to have.
    type: list
    elements: str
    default: []
  gateway_url:
    description:
      - Base address of LiteLLM, with the version, to ask for its version. It is asked when this is set.
    type: str
  env_file:
    description:
      - Environment file on the target with the gateway's and the database's secrets.
    type: path
    default: /opt/local_llm/.env
  database:
    description:
      - Count LiteLLM's tables in the database, over the network and with the password of O(env_file), as the gateway reaches it.
    type: bool
    default: false
  gpu_container:
    description:
      - Name of the container in which C(nvidia-smi) is asked for the GPUs.
    type: str
  gpu_processes:
    description:
      - Ask the NVIDIA driver what processes have memory on the GPUs.
    type: bool
    default: false
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
seealso:
  - module: local_llm.fleet.stack_verify
  - module: local_llm.fleet.llm_endpoint_check
  - module: local_llm.fleet.ollama_model_info
"""

EXAMPLES = r"""
- name: Ask the gateway, and read the engine
  local_llm.fleet.stack_probe:
    question: {url: "http://127.0.0.1:4444/v1", model: tinyllama, env_file: /opt/local_llm/.env}
    engine_url: http://127.0.0.1:11434
    expected: [tinyllama]
  register: probe
"""

RETURN = r"""
answer:
  description: What M(local_llm.fleet.llm_endpoint_check) returns, or C(msg) with the reason and whatever else is known of the answer.
  returned: with O(question)
  type: dict
  sample: {status: 200, answer: I work., seconds: 1.84, time_to_first_token: 0.21, tokens: 3, tokens_per_second: 25.1}
engine:
  description: What M(local_llm.fleet.ollama_model_info) returns, or C(msg) with the reason.
  returned: with O(engine_url)
  type: dict
  sample: {version: 0.40.2, models: [], missing: [tinyllama], loaded: []}
gateway_version:
  description: LiteLLM's version; empty where it does not tell.
  returned: with O(gateway_url)
  type: str
  sample: 1.104.2
database:
  description: Number of LiteLLM's tables, and why there are none (empty where there are).
  returned: with O(database=true)
  type: dict
  sample: {tables: 61, error: ""}
gpus:
  description: The GPUs in the container as C(nvidia-smi) lists them, and why there are none (empty where there are).
  returned: with O(gpu_container)
  type: dict
  contains:
    devices:
      description: A row for each GPU - UUID, name, MiB in all, free MiB.
      type: list
      elements: list
      sample: [[GPU-4cf8db2d, NVIDIA GeForce RTX 5080, "16303", "15620"]]
    error:
      description: The first line of what went wrong.
      type: str
      sample: ""
processes:
  description: Lines of process name and MiB, as C(nvidia-smi) prints them. V(none) where it does not answer.
  returned: with O(gpu_processes=true)
  type: str
  sample: "/usr/bin/ollama, 1021"
"""

import json
import typing as t
from http.client import HTTPException

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host
from ansible_collections.local_llm.fleet.plugins.module_utils.llm_endpoint import CheckError, ask
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import OllamaClient, OllamaError
from ansible_collections.local_llm.fleet.plugins.module_utils.web import opened

TIMEOUT = 30  # seconds for everything but the question and the engine
ENGINE_TIMEOUT = 60  # a host that has just loaded a model may be slow
TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name LIKE 'LiteLLM%'"
# As the gateway does it: over the network, where the server asks for the password.
PSQL = (
    'IFS= read -r PGPASSWORD || [ -n "$PGPASSWORD" ]; export PGPASSWORD;'
    ' exec psql -h "$(hostname -i | cut -d " " -f 1)" -U llmproxy -d litellm -Atc "%s"' % TABLES
)


def answer(question: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what comes of a question: its result, or why there is none (``msg``)."""
    try:
        # Key and question go to the service itself and to nobody else.
        return ask({**question, "api_key": None, "use_proxy": False, "validate_certs": True})
    except CheckError as error:
        return {**error.facts, "msg": str(error)}


def engine(url: str, expected: list[str]) -> dict[str, t.Any]:
    """Return what an engine is, or why it does not say (``msg``)."""
    try:
        return OllamaClient(url, ENGINE_TIMEOUT).state(expected)
    except (OllamaError, ValueError) as error:
        return {"msg": str(error)}


def gateway_version(url: str, key: str) -> str:
    """Return LiteLLM's version, as it tells it to who has the key; nothing where it does not."""
    address = url.rstrip("/").removesuffix("/v1") + "/health/readiness/details"
    try:
        with opened(address, headers={"Authorization": "Bearer " + key}, timeout=TIMEOUT, use_proxy=False) as said:
            return str(json.loads(said.read()).get("litellm_version") or "")
    except (OSError, ValueError, HTTPException, AttributeError):
        return ""


def database(host: Host, password: str) -> dict[str, t.Any]:
    """Return the number of LiteLLM's tables, or why it is not known."""
    _status, out, err = host.run("docker", "exec", "-i", "litellm_db", "sh", "-c", PSQL, text=password)
    tables = int(out) if out.strip().isdigit() else 0
    return {"tables": tables, "error": "" if tables else err.strip() or "no table of LiteLLM"}


def gpus(host: Host, container: str) -> dict[str, t.Any]:
    """Return the GPUs inside a container, found with the library that the engine computes with and under the container's own limits."""
    query = ("--query-gpu=uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits")
    status, out, err = host.run("docker", "exec", container, "nvidia-smi", *query)
    devices = [line.split(", ") for line in out.splitlines() if line.count(", ") >= 3] if status == 0 else []
    words = (out + " " + err).strip().splitlines()
    return {"devices": devices, "error": "" if devices else words[0] if words else "no answer"}


def processes(host: Host) -> str | None:
    """Return what the driver says of the processes on the GPUs, or None where it says nothing."""
    status, out, _err = host.run("nvidia-smi", "--query-compute-apps=process_name,used_memory", "--format=csv,noheader,nounits")
    return out if status == 0 else None


def probe(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what the module returns, for its parameters. The question comes first: it may load the model that the engine then has."""
    host, found = Host(TIMEOUT), {}
    secrets = (env_file.read(params["env_file"]) or {}).get("values", {})
    if params["question"]:
        found["answer"] = answer(params["question"])
    if params["engine_url"]:
        found["engine"] = engine(params["engine_url"], params["expected"])
    if params["gpu_container"]:
        found["gpus"] = gpus(host, params["gpu_container"])
    if params["gpu_processes"]:
        found["processes"] = processes(host)
    if params["gateway_url"]:
        found["gateway_version"] = gateway_version(params["gateway_url"], secrets.get("LITELLM_MASTER_KEY", ""))
    if params["database"]:
        found["database"] = database(host, secrets.get("POSTGRES_PASSWORD", ""))
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "question": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "env_file": {"type": "path"},
                    "env_name": {"type": "str", "default": "LITELLM_MASTER_KEY"},
                    "strangers": {"type": "bool", "default": False},
                    "model": {"type": "str", "required": True},
                    "mode": {"type": "str", "choices": ["chat", "embedding"], "default": "chat"},
                    "prompt": {"type": "str", "default": "Say in one sentence that you work."},
                    "max_tokens": {"type": "int", "default": 1024, "no_log": False},
                    "expect": {"type": "str", "choices": ["answer", "refusal"], "default": "answer"},
                    "timeout": {"type": "int", "default": 300},
                },
            },
            "engine_url": {"type": "str"},
            "expected": {"type": "list", "elements": "str", "default": []},
            "gateway_url": {"type": "str"},
            "env_file": {"type": "path", "default": "/opt/local_llm/.env"},
            "database": {"type": "bool", "default": False},
            "gpu_container": {"type": "str"},
            "gpu_processes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **probe(module.params))


if __name__ == "__main__":
    main()
