# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How GPUs get into the Compose file: the role's own variables and template, for hosts that cannot be had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
UUID = "GPU-0c1d2e3f-0000-4000-8000-000000000003"
NVIDIA_CDI = {"path": "/var/run/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["0", UUID, "all"]}
# What each host is: its budget's vendor (empty: no GPU), the GPUs of the plan, whether Docker knows CDI and what devices there are.
HOSTS = {
    "cpu": {"vendor": "", "docker_cdi": True, "cdi": []},
    "cdi": {"vendor": "nvidia", "docker_cdi": True, "cdi": [NVIDIA_CDI]},
    "cdi-one": {"vendor": "nvidia", "gpus": [UUID], "docker_cdi": True, "cdi": [NVIDIA_CDI]},
    "cdi-other": {"vendor": "nvidia", "gpus": ["MIG-1"], "docker_cdi": True, "cdi": [NVIDIA_CDI]},
    "no-specification": {"vendor": "nvidia", "docker_cdi": True, "cdi": []},
    "old-docker": {"vendor": "nvidia", "docker_cdi": False, "cdi": [NVIDIA_CDI]},
    "old-docker-one": {"vendor": "nvidia", "gpus": [UUID], "docker_cdi": False, "cdi": []},
    "told": {"vendor": "nvidia", "docker_cdi": True, "cdi": [NVIDIA_CDI], "injection": "legacy"},
    "amd": {"vendor": "amd", "docker_cdi": True, "cdi": []},
    "amd-one": {"vendor": "amd", "gpus": ["GPU-0123456789abcdef"], "docker_cdi": True, "cdi": []},
    "amd-unnamed": {"vendor": "amd", "gpus": ["0000:03:00.0"], "docker_cdi": True, "cdi": []},
    "amd-vulkan": {"vendor": "amd", "backend": "vulkan", "docker_cdi": True, "cdi": []},
    "intel": {"vendor": "intel", "docker_cdi": True, "cdi": []},
}


def variables(host):
    vendor, gpus = host["vendor"], host.get("gpus")
    model = {
        "name": "tinyllama",
        "route": "tinyllama",
        "mode": "chat",
        "placement": "gpu" if vendor else "cpu",
        "bytes": 1,
        "preload": False,
    }
    backend = {"backend": host["backend"]} if "backend" in host else {}
    engine = {**backend, "context_length": 2048, "num_parallel": 1, "max_loaded_models": 1, "keep_alive": "5m", "kv_cache_type": "f16"}
    return {
        "model_plan_result": {
            "host": {"memory_mib": 64000},
            "budget": {"kind": "dedicated" if vendor else "cpu", "vendor": vendor or None, "mib": 16303},
            "engine": {**engine, "flash_attention": "auto", "gpus": gpus},
            "models": [model],
        },
        "__llm_stack_host": {"docker": {"version": "26.1.5", "cdi": host["docker_cdi"]}, "cdi": host["cdi"], "ports": [], "containers": []},
        "injection": host.get("injection", "auto"),
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The Compose file and the problems of each host, made by one run over all of them."""
    folder = tmp_path_factory.mktemp("compose")
    content = "{{ {'compose': lookup('ansible.builtin.template', template), 'lines': _llm_stack_gpu.problems} | to_json }}"
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
                    "llm_stack_services": ["ollama"],
                    "llm_stack_gpu_injection": "{{ injection }}",
                },
            },
        ],
    }
    hosts = {name: {"ansible_python_interpreter": sys.executable, **variables(host)} for name, host in HOSTS.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json"), str(folder / "play.yml")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = {name: json.loads((folder / f"{name}.json").read_text()) for name in HOSTS}
    return {name: (yaml.safe_load(result["compose"])["services"]["ollama"], result["lines"]) for name, result in results.items()}


@pytest.mark.parametrize(
    "name, devices",
    [
        ("cdi", {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"], "capabilities": ["gpu"]}),
        ("cdi-one", {"driver": "cdi", "device_ids": [f"nvidia.com/gpu={UUID}"], "capabilities": ["gpu"]}),
        ("no-specification", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
        ("old-docker", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
        ("old-docker-one", {"driver": "nvidia", "device_ids": [UUID], "capabilities": ["gpu"]}),
        ("told", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
    ],
)
def test_nvidia(rendered, name, devices):
    service, lines = rendered[name]
    assert service["deploy"]["resources"]["reservations"]["devices"] == [devices]
    assert "devices" not in service and lines == []
    assert not service["image"].startswith("ollama/ollama:0.40.2-rocm")


def test_amd(rendered):
    service, lines = rendered["amd"]
    assert (service["devices"], lines) == (["/dev/kfd", "/dev/dri"], [])
    assert service["image"].endswith("-rocm") and "deploy" not in service
    assert "ROCR_VISIBLE_DEVICES" not in service["environment"]
    assert rendered["amd-one"][0]["environment"]["ROCR_VISIBLE_DEVICES"] == "GPU-0123456789abcdef"


def test_amd_without_rocm(rendered):
    service, lines = rendered["amd-vulkan"]
    assert (service["devices"], lines) == (["/dev/dri"], [])
    assert not service["image"].endswith("-rocm") and service["environment"]["OLLAMA_VULKAN"] == "1"


def test_intel(rendered):
    service, lines = rendered["intel"]
    assert (service["devices"], service["cap_add"], lines) == (["/dev/dri"], ["PERFMON"], [])


def test_nothing_where_there_is_nothing(rendered):
    service, lines = rendered["cpu"]
    assert not {"devices", "deploy", "cap_add"} & set(service) and lines == []


@pytest.mark.parametrize(
    "name, says", [("cdi-other", "systemctl restart nvidia-cdi-refresh"), ("amd-unnamed", "leave model_plan_gpus empty")]
)
def test_gpus_that_cannot_be_handed_out(rendered, name, says):
    _service, (line,) = rendered[name]
    assert line.startswith("model_plan_gpus: ") and says in line
