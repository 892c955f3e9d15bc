# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How providers get into the Compose file, the environment file and the checks: the roles' own variables and template."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.plugin_utils.verify import Stack

TOP = Path(__file__).resolve().parents[2]
KEY = '{"type": "service_account"}\n'
PROVIDERS = {
    "lmstudio": {"provider": "openai", "api_base": "http://192.0.2.9:1234/v1", "models": ["qwen3-8b"]},
    "bedrock": {"models": ["claude"], "secrets": {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}},
    "vertex_ai": {"models": ["gemini-2.5-pro"], "files": {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}},
    "gemini": {"models": ["gemini-2.5-flash"]},
}
EARLIER = "LITELLM_MASTER_KEY=sk-x\nOLD_FILE=/run/secrets/OLD_FILE\nOTHER=/run/secrets/ANOTHER\n"
HOSTS = {
    "providers": {"llm_stack_providers": PROVIDERS, "llm_stack_fallbacks": {"*": ["qwen3-8b"]}, "env": EARLIER},
    "none": {"llm_stack_backends": [{"api_base": "http://192.0.2.5:11434", "models": [{"name": "tinyllama"}]}], "env": ""},
}
SHOWN = {
    "compose": "lookup('ansible.builtin.template', template)",
    "config": "_llm_stack_config",
    "told": "_llm_stack_env_told",
    "stale": "_llm_stack_stale_files",
}


def b64(text):
    return {"content": base64.b64encode(text.encode()).decode()}


def variables(host):
    plain = {"kind": "cpu", "vendor": None, "mib": None}
    engine = {"context_length": 2048, "num_parallel": 1, "max_loaded_models": 1, "keep_alive": "5m", "kv_cache_type": "f16", "gpus": []}
    settings = {key: value for key, value in host.items() if key.startswith("llm_stack")}
    return {
        "model_plan_result": {
            "host": {"memory_mib": 64000},
            "budget": plain,
            "engine": {**engine, "flash_attention": "auto"},
            "models": [],
        },
        "__llm_stack_host": {"docker": {"version": "26.1.5", "cdi": False}, "cdi": [], "ports": [], "containers": []},
        "__llm_stack_env": b64(host["env"]),
        "settings": {"llm_stack_providers": {}, "llm_stack_fallbacks": {}, "llm_stack_backends": [], **settings},
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """What comes of each host's settings, made by one run over all of them."""
    folder = tmp_path_factory.mktemp("providers")
    (folder / "key.json").write_text(KEY)
    content = "{{ {%s} | to_json }}" % ", ".join(f"'{name}': {expression}" for name, expression in SHOWN.items())
    given = {name: "{{ settings.%s }}" % name for name in ("llm_stack_providers", "llm_stack_fallbacks", "llm_stack_backends")}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "connection": "local",
        "vars_files": [f"{TOP}/roles/{role}/{part}/main.yml" for role in ("site", "llm_stack") for part in ("defaults", "vars")],
        "tasks": [
            {
                "name": "Write what comes of it",
                "ansible.builtin.copy": {"dest": f"{folder}/{{{{ inventory_hostname }}}}.json", "content": content, "mode": "0644"},
                "vars": {
                    "template": f"{TOP}/roles/llm_stack/templates/compose.yml.j2",
                    "llm_stack_services": ["litellm"],
                    "llm_stack_litellm_environment": {"LITELLM_LOG": "INFO"},
                    **given,
                },
            },
        ],
    }
    hosts = {name: {"ansible_python_interpreter": sys.executable, **variables(host)} for name, host in HOSTS.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json"), str(folder / "play.yml")]
    environment = {**os.environ, "PWD": str(folder)}
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in HOSTS}


def test_the_gateway_is_given_secrets_by_name_and_files_mounted(rendered):
    compose = yaml.safe_load(rendered["providers"]["compose"])
    service = compose["services"]["litellm"]
    names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"]
    assert {name: service["environment"][name] for name in names} == dict.fromkeys(names)
    assert service["environment"]["LITELLM_LOG"] == "INFO" and "GEMINI_API_KEY" not in service["environment"]
    assert service["labels"]["local-llm.variables"] == " ".join(names)
    assert service["labels"]["local-llm.files"] == hashlib.sha256(hashlib.sha256(KEY.encode()).hexdigest().encode()).hexdigest()
    assert service["secrets"] == ["GOOGLE_APPLICATION_CREDENTIALS"]
    assert compose["secrets"] == {"GOOGLE_APPLICATION_CREDENTIALS": {"file": "./secrets/GOOGLE_APPLICATION_CREDENTIALS"}}
    assert "AKIA" not in rendered["providers"]["compose"] + rendered["providers"]["config"]


def test_nothing_of_it_where_there_is_no_provider(rendered):
    compose = yaml.safe_load(rendered["none"]["compose"])
    assert "secrets" not in compose and "secrets" not in compose["services"]["litellm"]
    assert list(compose["services"]["litellm"]["labels"]) == ["local-llm.config"]


def test_the_environment_file_names_the_files_and_tells_of_those_that_are_to_go(rendered):
    assert rendered["providers"]["told"] == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "s",
        "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/GOOGLE_APPLICATION_CREDENTIALS",
    }
    assert rendered["providers"]["stale"] == ["OLD_FILE"]
    assert rendered["none"]["stale"] == []


def test_what_is_left_out_stands_in_the_configuration_where_verification_finds_it(rendered):
    config = rendered["providers"]["config"]
    note = (
        "llm_stack_providers.gemini: no route gemini-2.5-flash, because there is no key; set api_key, or GEMINI_API_KEY in the host's .env"
    )
    assert [line for line in config.splitlines() if line.startswith("# Left out: " + note)]
    assert yaml.safe_load(config)["router_settings"]["default_fallbacks"] == ["qwen3-8b"]
    found = {name: Stack({}, {"contents": {"config.yml": rendered[name]["config"]}}) for name in rendered}
    assert (found["providers"].notes[0].startswith(note), found["providers"].routes) == (True, [])
    assert (found["none"].notes, [route["route"] for route in found["none"].routes]) == ([], ["tinyllama"])
    assert config.endswith("master_key: os.environ/LITELLM_MASTER_KEY\n")
