# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs from public reports that earlier versions read wrong, and what each gives now.

cases.py          runs them and prints a table in Markdown; ends with 1 where one is not right
cases.py ID ...   those alone

A machine is one of tests/machines, made as a folder that stands for /. What needs a real Docker is the scenario docker (the three
marked with it run here as far as the decision goes). The unit tests run every case, too.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import tempfile
import typing as t
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "collections"))

from ansible_collections.local_llm.fleet.plugins.filter.plan_text import models_text
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import machine as gpu_reading
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host
from ansible_collections.local_llm.fleet.plugins.module_utils.host import nvidia_driver as driver_reading
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import OllamaError
from ansible_collections.local_llm.fleet.plugins.plugin_utils import docker_engine, gateway, verify_gpu
from ansible_collections.local_llm.fleet.plugins.plugin_utils.engine_gpu import engine_gpu
from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import model_plan
from ansible_collections.local_llm.fleet.plugins.plugin_utils.nvidia_driver import nvidia_driver_plan

PLAN = yaml.safe_load((TOP / "roles/model_plan/vars/main.yml").read_text())
DRIVERS = yaml.safe_load((TOP / "roles/nvidia_driver/vars/main.yml").read_text())
DOCKER = yaml.safe_load((TOP / "roles/docker_engine/vars/main.yml").read_text())
SPEC = importlib.util.spec_from_file_location("machines_make", TOP / "tests/machines/make.py")
machines = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(machines)
ROTATION = {"max-size": "10m", "max-file": "3"}
R2 = (
    'max retries exceeded: Get "https://dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com/ollama/docker/registry/v2/blobs/sha256/dd/'
    "dde5aa3fc5ff/data?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=66040c77ac1b787c3af820529859349a%2F20250406%2Fauto%2Fs3%2Faws4_request"
    '&X-Amz-Date=20250406T140206Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=e41e5767c92b09a2": '
)


class Case(t.NamedTuple):
    """One input, and whether what comes of it is right."""

    id: str
    input: str
    gives: t.Callable[[], tuple[str, bool]]  #: what it gives now, in words, and whether that is right


CASES: list[Case] = []


def case(name: str, text: str) -> t.Callable[[t.Callable[[], tuple[str, bool]]], t.Callable[[], tuple[str, bool]]]:
    def add(function: t.Callable[[], tuple[str, bool]]) -> t.Callable[[], tuple[str, bool]]:
        CASES.append(Case(name, text, function))
        return function

    return add


# Machines


def plan_of(name: str) -> tuple[dict, dict]:
    with tempfile.TemporaryDirectory() as folder:
        machine = machines.load()[name]
        machines.make(machine, Path(folder))
        reading = gpu_reading.read(Host(15, root=folder))
        return reading, model_plan(reading, PLAN["_model_plan_catalog"], PLAN["_model_plan_tiers"], machine.get("wishes"))


def driver_of(name: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        machine = machines.load_drivers()[name]
        machines.make(machine, Path(folder))
        reading = driver_reading.read(Host(15, root=folder), [])
        return nvidia_driver_plan(reading, DRIVERS["_nvidia_driver_systems"], DRIVERS["_nvidia_driver_packages"], machine.get("wishes"))


def said(decision: dict) -> str:
    return ": ".join(one for one in (decision["action"], decision["reason"], decision["fix"]) if one)


def driver_case(name: str, text: str, machine: str, action: str, says: str, *not_installed: str) -> None:
    @case(name, text)
    def run() -> tuple[str, bool]:
        decision = driver_of(machine)
        packages = [package for group in decision["packages"] + decision["headers"] for package in group]
        line = said(decision) + ("; " + "; ".join(decision["warnings"]) if decision["warnings"] else "")
        line += " (%s)" % ", ".join(packages) if packages else ""
        return line, decision["action"] == action and says in line and not set(not_installed) & set(packages)


@case("A01-inforom", "nvidia-smi ends with 14 and a warning about the infoROM; the card works (gpu-operator#20)")
def _inforom() -> tuple[str, bool]:
    decision = driver_of("inforom")
    return "%s; %s" % (said(decision), decision["warnings"]), decision["action"] == "none" and "infoROM" in str(decision["warnings"])


for _name, _card in (("rx580", "RX 580"), ("mi50", "MI50"), ("rx6700xt", "RX 6700 XT"), ("rx6600", "RX 6600")):

    def _amd(name: str = _name) -> tuple[str, bool]:
        _reading, plan = plan_of(name)
        service = engine_gpu(plan, "ollama/ollama", "ollama/ollama:rocm")
        text = "%s by %s: %s with %s" % (models_text(plan), plan["engine"]["backend"], service["image"], ", ".join(service["devices"]))
        return text, (plan["engine"]["backend"], service["image"], service["devices"]) == ("vulkan", "ollama/ollama", ["/dev/dri"])

    CASES.append(Case("A03-amd-not-in-rocm", "%s: the ROCm image has no code for it (ollama#16771)" % _card, _amd))

for _name in ("lxc-amd", "lxc-intel"):

    def _lxc(name: str = _name) -> tuple[str, bool]:
        _reading, plan = plan_of(name)
        return str(plan["refusal"] or models_text(plan)), plan["status"] != "final" and "/dev/dri" in str(plan["refusal"])

    CASES.append(Case("A05-lxc-amd-no-kfd", "%s: sysfs shows the host's card, /dev does not (lxd#8277)" % _name, _lxc))

driver_case(
    "E01-proxmox",
    "Proxmox VE with its own kernel (debian-nvidia-installer#39)",
    "proxmox",
    "install",
    "proxmox-headers-",
    "linux-image-amd64",
)
driver_case(
    "E03-vgpu-guest", "a share of an L40S without a driver (gpu-operator#1371)", "vgpu-without-a-driver", "refuse", "vGPU guest driver"
)
driver_case("E03-vgpu-guest", "a guest whose GRID driver works", "vgpu-that-works", "none", "left alone")
driver_case("E03-vgpu-guest", "one whose GRID driver is older than what Ollama needs", "vgpu-that-is-old", "none", "left alone")
driver_case(
    "E04-mainline-kernel", "Ubuntu with a mainline kernel, before (mainline#87)", "mainline-kernel", "refuse", "not one of Ubuntu's own"
)
driver_case("E04-mainline-kernel", "and after an installation", "mainline-kernel-after", "refuse", "not one of Ubuntu's own")
driver_case("E2-hold-not-apt", "Fedora with a driver that works", "fedora-that-works", "none", "works")
driver_case("E2-hold-not-apt", "openSUSE with a driver that works", "opensuse-that-works", "none", "works")
driver_case("E2-hold-not-apt", "Oracle Linux 9 without a driver is of the RHEL family", "oracle9", "install", "kernel-uek-devel")
driver_case("mint", "Linux Mint 22 (UBUNTU_CODENAME noble)", "mint", "install", "is treated as Ubuntu 24.04")

# Docker

DAEMON: dict[str, t.Any] = {
    "installed": True, "snap": False, "version": "26.1.5", "errors": [], "compose_version": "2.26.1", "data_root": "/var/lib/docker",
    "log_driver": "json-file", "mirrors": [], "insecure": [], "has_proxy": False, "runtimes": ["runc"], "cdi": False, "flags": [],
    "applied": True, "unfinished": False,
}  # fmt: skip
SYSTEM = {"id": "debian", "version": "13", "like": "", "name": "Debian 13", "package_tool": "apt", "machine": "x86_64"}
SETTINGS: docker_engine.Settings = {
    "packages": DOCKER["_docker_engine_distribution_packages"],
    "docker_packages": DOCKER["_docker_engine_docker_packages"],
    "log_rotation": ROTATION,
}


def docker_of(daemon: dict | None = None, content: bytes = b"", system: dict | None = None, **settings: t.Any) -> docker_engine.Decision:
    reading = {"system": {**SYSTEM, **(system or {})}, "daemon": {**DAEMON, **(daemon or {})}}
    return docker_engine.decide(reading, base64.b64encode(content).decode(), t.cast("docker_engine.Settings", {**SETTINGS, **settings}))


def flag(name: str, key: str, *values: str) -> dict[str, t.Any]:
    return {"flag": name, "key": key, "values": list(values), "file": "/etc/default/docker"}


@case("B1-log-driver-flag", "the unit has --log-driver=journald (rockstor#2032); scenario docker")
def _log_driver() -> tuple[str, bool]:
    made = docker_of({"flags": [flag("log-driver", "log-driver", "journald")], "log_driver": "journald"})
    return "daemon.json: %s" % json.dumps(made["after"]), made["after"] == {} and not made["problems"]


@case("B1-log-driver-flag", "the unit has another insecure registry than the settings (docker/for-linux#327)")
def _insecure() -> tuple[str, bool]:
    made = docker_of({"flags": [flag("insecure-registry", "insecure-registries", "a:5000")]}, insecure_registries=["b:5000"])
    return "; ".join(made["problems"]), made["problems"][0].startswith("site_insecure_registries: /etc/default/docker sets")


@case("B1-log-driver-flag", "the unit has an exec-opt that the container toolkit would set")
def _exec_opt() -> tuple[str, bool]:
    flags = [flag("exec-opt", "exec-opts", "native.cgroupdriver=systemd")]
    made = docker_of({"flags": flags, "version": "24.0.7"}, defaults={"exec-opts": ["native.cgroupdriver=cgroupfs"]})
    return "daemon.json: %s" % json.dumps(made["after"]), "exec-opts" not in made["after"] and "exec-opts" in made["flag_keys"]


@case("B2-daemon-json-bom", "daemon.json that begins with a byte order mark, UTF-8 and UTF-16 (moby#44777)")
def _bom() -> tuple[str, bool]:
    text = '{"data-root": "/data/docker"}'
    made = [docker_of(content=text.encode(encoding), log_rotation={})["after"] for encoding in ("utf-8-sig", "utf-16")]
    return "read as %s" % made[0], made == [{"data-root": "/data/docker"}] * 2


@case("B3-validate-old-docker", "Docker 20.10 with Compose 2.24 (moby#42393); scenario docker")
def _old() -> tuple[str, bool]:
    made = docker_of({"version": "20.10.24+dfsg1", "compose_version": "2.24.5"})
    text = "good: %s, checked by: %s" % (made["good"], made["validate"] or "nothing before the restart, which is undone where it fails")
    return text, made["good"] and made["validate"] == ""


def derivative_case(name: str, **system: str) -> None:
    @case("mint", "Docker on %s" % name)
    def run() -> tuple[str, bool]:
        made = docker_of({"installed": False, "version": ""}, system={**system, "name": name}, source="docker")
        return "%s: repository %s, suite %s" % (made["notes"], made["repository"], made["suite"]), made["suite"] == system["base_codename"]


derivative_case("Linux Mint 22", id="linuxmint", like="ubuntu debian", version="22", base_codename="noble")
derivative_case("Pop!_OS 24.04", id="pop", like="ubuntu debian", version="24.04", base_codename="noble")
derivative_case("LMDE 6", id="linuxmint", like="debian", version="6", base_codename="bookworm")


@case("mint", "Docker on a derivative that names no release")
def _kali() -> tuple[str, bool]:
    made = docker_of(
        {"installed": False, "version": ""}, system={"id": "kali", "like": "debian", "version": "2026.3", "name": "Kali 2026.3"}
    )
    return "; ".join(made["problems"]), "Kali 2026.3 is not one of" in made["problems"][0]


# Environment files

for _text, _value in (
    ("\ufeffP=sk-aaaa\n", "sk-aaaa"), ('P="pa\\"ss"\n', 'pa"ss'), ('P="x\\ny"\n', "x\ny"), ("P: yaml\n", "yaml"), ("P=#secret\n", "#secret"),
    ("P='BEGIN\nab==\nEND'\n", "BEGIN\nab==\nEND"), ("P=a #c\n", "a"), ("export P=1\r\n", "1"), ("P=O'Brien\n", "O'Brien"),
):  # fmt: skip

    def _env(text: str = _text, value: str = _value) -> tuple[str, bool]:
        found = env_file.parse(text)
        return repr(found["values"].get("P")), found["values"] == {"P": value} and not found["unread_lines"]

    CASES.append(Case("C01-env-as-compose", repr(_text), _env))

# The gateway

LOCAL = [{"name": "tinyllama", "route": "tinyllama", "mode": "chat", "context": 2048}]


def gateway_of(**settings: t.Any) -> gateway.Decision:
    return gateway.decide(LOCAL, known_routes=["tinyllama"], **settings)


def routes(made: gateway.Decision) -> list[str]:
    return [one["model_name"] for one in made["config"].get("model_list", [])]


def provider_case(name: str, text: str, providers: dict, route: str, **more: t.Any) -> None:
    @case(name, text)
    def run() -> tuple[str, bool]:
        made = gateway_of(providers=providers, **more)
        return "routes %s %s" % (", ".join(routes(made)), made["notes"] + made["problems"]), route in routes(made) and not made["notes"]


provider_case(
    "provider-without-key", "LM Studio without a key (litellm#1232)",
    {"lmstudio": {"provider": "openai", "api_base": "http://192.0.2.9:1234/v1", "models": ["qwen3-8b"]}}, "qwen3-8b",
)  # fmt: skip
provider_case(
    "C02-keyless-providers", "Vertex AI by the machine's identity",
    {"vertex_ai": {"models": ["gemini-2.5-pro"], "params": {"vertex_project": "p", "vertex_location": "us-central1"}}}, "gemini-2.5-pro",
)  # fmt: skip
provider_case(
    "provider-with-several-secrets", "Bedrock by an access key",
    {"bedrock": {"secrets": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "params": {"aws_region_name": "eu-central-1"},
                 "models": [{"name": "anthropic.claude-3-5-sonnet-20240620-v1:0", "route": "claude"}]}}, "claude",
)  # fmt: skip
provider_case(
    "provider-modes", "a provider's model for speech", {"openai": {"api_key": "k", "models": [{"name": "whisper-1", "mode": "audio_transcription"}]}},
    "whisper-1",
)  # fmt: skip


@case("provider-without-key", "a provider whose key is missing")
def _no_key() -> tuple[str, bool]:
    made = gateway_of(providers={"gemini": {"models": ["gemini-2.5-flash"]}}, fallbacks={"tinyllama": ["gemini-2.5-flash"]})
    return "; ".join(made["notes"]), len(made["notes"]) >= 1 and "llm_stack_providers.gemini" in made["notes"][0]


@case("provider-modes", "a mode that LiteLLM does not have")
def _mode() -> tuple[str, bool]:
    made = gateway_of(providers={"openai": {"api_key": "k", "models": [{"name": "x", "mode": "smell"}]}})
    return "; ".join(made["problems"])[:160], "smell" in made["problems"][0] and "rerank" in made["problems"][0]


@case("fallback-default", 'llm_stack_fallbacks: {"*": [tinyllama]}')
def _default() -> tuple[str, bool]:
    made = gateway_of(fallbacks={"*": ["tinyllama"]})
    found = made["config"]["router_settings"].get("default_fallbacks")
    return "default_fallbacks: %s" % found, found == ["tinyllama"] and not made["problems"]


# Engines and registries

for _id, _text, _cause in (
    ("D-fake-ollama r2", R2 + "dial tcp: lookup dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com: no such host", "data-name"),
    ("D-fake-ollama r2x509", R2 + "tls: failed to verify certificate: x509: certificate signed by unknown authority", "data-certificate"),
    ("D-fake-ollama 401", 'pull model manifest: 401: {"error":"Invalid username or password."}', "login"),
    ("D-fake-ollama nokey", "pull model manifest: ssh: no key found", "empty-key"),
    ("D-fake-ollama 429", 'pull model manifest: 429: {"error":"We had to rate limit your IP (192.0.2.7)."}', "rate-limit"),
    ("D02-manifest-status", "HTTP 429: hf.co does not give the manifest of hf.co/unsloth/X-GGUF:Q4_K_M: rate limit", "rate-limit"),
    ("D02-manifest-status", "HTTP 503: registry.ollama.ai does not give the manifest of x:latest: Service Unavailable", "server"),
):

    def _error(text: str = _text, cause: str = _cause) -> tuple[str, bool]:
        error = OllamaError(text)
        return "%s -> %s" % (error, error.fix), bool(error.cause) and error.cause.id == cause and str(error)[-12:] == text[-12:]

    CASES.append(Case(_id, _text if len(_text) < 120 else _text[:60] + " ... " + _text[-50:], _error))


@case("gb10-per-process", "/api/ps says 100 % GPU while the model spills (ollama#16617)")
def _spill() -> tuple[str, bool]:
    loaded = [{"name": "gpt-oss:20b", "size": 13_000 * 2**20, "size_vram": 13_000 * 2**20}]
    check = verify_gpu.gpu_checks(loaded, "fail", "/usr/lib/ollama/llama-server, 7100\n")[-1]
    return "%s: %s" % (check["status"], check["observed"]), check["status"] == "fail"


def main(names: list[str]) -> int:
    """Print the table, and return the exit status."""
    wrong = 0
    print("| case | input | gives now | right |\n|---|---|---|---|")
    for one in CASES:
        if names and one.id not in names:
            continue
        text, right = one.gives()
        wrong += not right
        print(
            "| %s | %s | %s | %s |"
            % (one.id, *(" ".join(part.split()).replace("|", "\\|") for part in (one.input, text)), "yes" if right else "NO")
        )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
