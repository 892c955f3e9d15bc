# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done on a host, for all roles, from one reading."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest
from ansible_collections.local_llm.fleet.plugins.filter.changes_table import changes_table
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host as Machine
from ansible_collections.local_llm.fleet.plugins.module_utils.host import nvidia_driver as driver_reading
from ansible_collections.local_llm.fleet.plugins.plugin_utils import host, models, nvidia_driver, nvidia_toolkit
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_reading import Found

GPUS = {"gpus": [], "memory": {"total_mib": 24105, "limit_mib": None}, "os": "Debian 13", "problems": []}
SYSTEM = {
    "id": "debian", "like": "", "version": "13", "codename": "trixie", "base_codename": "", "platform": "", "name": "Debian 13",
    "package_tool": "apt", "machine": "x86_64", "kernel": "Linux",
}  # fmt: skip
DAEMON = {
    "installed": True, "snap": False, "version": "26.1.5", "errors": [], "compose_version": "2.26.1", "data_root": "/var/lib/docker",
    "log_driver": "json-file", "mirrors": [], "insecure": [], "has_proxy": False, "runtimes": ["runc"], "cdi": False, "flags": [],
    "applied": True, "unfinished": False,
    "content": json.dumps({"log-driver": "json-file", "log-opts": {"max-file": "3", "max-size": "10m"}}),
}  # fmt: skip
DOCKER = {
    "version": "26.1.5",
    "runtimes": ["runc", "nvidia"],
    "cdi": True,
    "cgroup_driver": "systemd",
    "data_root": "/var/lib/docker",
    "volumes": [],
}
ENGINE = {"version": "0.40.2", "models": [{"name": "tinyllama:latest"}], "loaded": [{"name": "tinyllama:latest", "context_length": 2048}]}


def inputs(**changes):
    variables = {"inventory_hostname": "box", "ansible_facts": {"system": "Linux", "architecture": "x86_64", "pkg_mgr": "apt"}, **changes}
    return Inputs.of(variables, lambda value: value, lambda path: "PEM\n", host.SETTINGS)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What a host without NVIDIA's driver is, read by the readers themselves."""
    return driver_reading.read(Machine(5, root=str(tmp_path_factory.mktemp("root"))), [])


@pytest.fixture
def made(bare):
    """A function that returns a host whose settings and reading differ from those of a small one that has all that it is to have."""

    def made(changes=None, check_mode=False, **reading):
        read = {
            "gpus": GPUS,
            "system": SYSTEM,
            "daemon": DAEMON,
            "docker": DOCKER,
            "driver": bare,
            "engine": ENGINE,
            "packages": {},
            "cdi": [],
            "checksums": {nvidia_driver.HOLD_PATH: {"sha256": "", "modified": None}},
            "contents": {},
            "containers": [],
            "files": {},
            "units": {name: {"sha256": "", "enabled": False} for name in ("local-llm-firewall.service", "local-llm-preload.service", "local-llm-gpu.service")},
            "unfinished": False,
            **reading,
        }  # fmt: skip
        first = host.Host(inputs(**(changes or {})), read, check_mode)
        if "contents" not in reading and first.has_engine and first.plan["status"] == "final":
            read["contents"] = {"plan.json": json.dumps(first.plan)}
        return host.Host(first.inputs, read, check_mode)

    return made


def test_nothing_differs(made):
    small = made()
    assert small.changes_of_driver() == small.changes_of_docker() == small.changes_of_toolkit() == []
    assert small.changes_of_plan() == small.changes_of_models() == [] and small.plan["tier"] == "cpu"
    assert small.roles([]) == [] and small.undecided() == [] and small.environment() == {}
    assert small.plan_to_follow == small.plan and small.setting_problems == []


# The driver.


def nvidia(bare, **more):
    reading = {
        **bare,
        "platform": "machine",
        "cards": [{"address": "0000:01:00.0", "device": "2684", "driver": "nvidia", "generation": "ada"}],
        "system": SYSTEM,
        "smi": {"status": 0, "gpus": 1, "version": "580.95.05", "text": "", "warnings": []},
        "loaded": {"version": "580.95.05", "open": True},
        "packages": {"nvidia-driver": {}},
        "units": {
            "nvidia-persistenced": {"exists": True, "active": True, "enabled": True},
            "nvidia-fabricmanager": {"exists": True, "active": False, "enabled": False},
        },
    }
    return {**reading, **more}


HELD = hashlib.sha256(nvidia_driver.hold_content("Debian").encode()).hexdigest()


def checks(sha256=HELD):
    return {nvidia_driver.HOLD_PATH: {"sha256": sha256, "modified": 1}}


@pytest.mark.parametrize(
    ("changes", "driver", "checksums", "expected"),
    [
        ({}, {}, checks(), []),
        ({}, {}, checks(""), [("unattended upgrades", "the driver is not kept out of them")]),
        ({"nvidia_driver_hold": False}, {}, checks(""), []),
        ({"nvidia_driver_state": "unmanaged"}, {}, checks(""), []),
        ({"nvidia_driver_state": "absent"}, {}, checks(), []),
        ({"llm_stack_services": ["litellm"]}, {}, checks(""), []),
        ({"nvidia_driver_state": "absent"}, {"packages": {}, "loaded": {"version": None}}, checks(), []),
        ({}, {"switches": 2}, checks(), [("nvidia-fabricmanager", "does not run, or is not started with the host")]),
        ({}, {"platform": "wsl"}, checks(""), []),
    ],
)
def test_the_driver(made, bare, changes, driver, checksums, expected):
    assert made(changes, driver=nvidia(bare, **driver), checksums=checksums).changes_of_driver() == expected


def test_a_card_without_a_driver(made, bare):
    none = {
        "smi": {"status": None, "gpus": 0, "version": None, "text": "", "warnings": []},
        "loaded": {"version": None, "open": None},
        "packages": {},
    }
    ((what, why),) = made(driver=nvidia(bare, **none)).changes_of_driver()
    assert what == "NVIDIA driver" and why


@pytest.mark.parametrize(
    ("reading", "hold", "expected"),
    [
        ({"package_tool": "dnf"}, True, (True, ["x", "*nvidia*"])),
        ({"package_tool": "dnf"}, False, (False, ["x"])),
        ({"package_tool": "apt"}, True, (True, ["x", "*nvidia*"])),
        ({}, True, (False, ["x", "*nvidia*"])),
    ],
)
def test_unattended_upgrades(reading, hold, expected):
    found = nvidia_driver.upkeep({"system": reading, "dnf_excludes": ["x"], "files": {nvidia_driver.HOLD_PATH: ""}}, "Ubuntu", hold)
    assert (found["hold_differs"], found["excludes"]) == expected and '"linux-";' in found["hold_content"]


# Docker.


@pytest.mark.parametrize(
    ("changes", "daemon", "expected"),
    [
        ({}, {"content": "{}"}, [("/etc/docker/daemon.json", "differs")]),
        ({}, {"version": "", "compose_version": "", "content": ""}, [("Docker", "is to be installed")]),
        ({}, {"compose_version": "1.29.2"}, [("Docker", "has no Compose v2")]),
        ({}, {"unfinished": True, "applied": False}, [("Docker", "runs with less than its file says")]),
        ({}, {"unfinished": True}, [("/etc/docker/daemon.json", "a run that was cut has left a copy")]),
        ({"site_engine": "native", "llm_stack_services": ["ollama"]}, {"version": ""}, []),
    ],
)
def test_docker(made, changes, daemon, expected):
    assert made(changes, daemon={**DAEMON, **daemon}).changes_of_docker() == expected


ANCHOR, BUNDLE = "/usr/local/share/ca-certificates/local-llm-site.crt", "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize(
    ("sha256", "modified", "expected"),
    [("", None, [(ANCHOR, "differs")]), ("good", 5, []), ("good", 20, [(BUNDLE, "is older than the site's authorities")])],
)
def test_the_sites_authorities(made, tmp_path, sha256, modified, expected):
    (tmp_path / "ca.pem").touch()
    known = {
        nvidia_driver.HOLD_PATH: {"sha256": "", "modified": None},
        ANCHOR: {"sha256": hashlib.sha256(b"PEM\n").hexdigest() if sha256 else "", "modified": modified},
        BUNDLE: {"sha256": "x", "modified": 10},
    }
    found = made({"site_ca_certificate": str(tmp_path / "ca.pem")}, checksums=known)
    assert found.changes_of_docker() == expected
    # Which paths the host has is known by what is read: all of them are asked for.
    asked = host.parameters(found.inputs)["checksums"]
    assert {ANCHOR, BUNDLE, "/etc/pki/ca-trust/source/anchors/local-llm-site.pem"} < set(asked)


# The toolkit.

FOUR = {name: {"version": "1.20.0-1", "held": False} for name in nvidia_toolkit.PACKAGES}
SPEC = [{"path": "/var/run/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["all"]}]
OLD_SPEC = [{"path": "/etc/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["all"]}]


@pytest.mark.parametrize(
    ("changes", "reading", "expected"),
    [
        ({}, {}, []),
        ({}, {"packages": {}}, [("nvidia-container-toolkit 1.20.0", "is not there"), ("CDI", "there is no specification of the GPUs")]),
        ({}, {"packages": {**FOUR, "libnvidia-container1": {"version": "1.19.0-1", "held": False}}},
         [("nvidia-container-toolkit 1.20.0", "the host has 1.20.0 and 1.19.0")]),
        ({}, {"docker": {**DOCKER, "runtimes": ["runc"]}}, [("Docker", "does not hand GPUs to containers")]),
        ({}, {"docker": {**DOCKER, "cdi": False}, "daemon": {**DAEMON, "content": '{"features": {"cdi": false}}'}}, []),
        ({}, {"cdi": []}, [("CDI", "there is no specification of the GPUs")]),
        ({}, {"cdi": SPEC + OLD_SPEC}, [("CDI", "an older toolkit has left /etc/cdi/nvidia.yaml")]),
        ({}, {"docker": {**DOCKER, "version": "24.0.7"}}, [("Docker", "does not hand GPUs to containers")]),
        ({}, {"docker": {**DOCKER, "version": "24.0.7", "cgroup_driver": "cgroupfs"}}, []),
        ({}, {"docker": {**DOCKER, "version": "24.0.7"}, "daemon": {**DAEMON, "content": '{"exec-opts": ["native.cgroupdriver=systemd"]}'}}, []),
        ({"nvidia_container_toolkit_state": "absent"}, {}, []),
        ({"nvidia_container_toolkit_state": "absent"}, {"packages": {}}, []),
        ({"nvidia_container_toolkit_state": "unmanaged"}, {"packages": {}}, []),
        ({"site_engine": "native"}, {"packages": {}}, []),
        ({"llm_stack_services": ["litellm"]}, {"packages": {}}, []),
    ],
)  # fmt: skip
def test_the_toolkit(made, bare, changes, reading, expected):
    read = {"packages": FOUR, "cdi": SPEC, **copy.deepcopy(reading)}
    found = made(changes, driver=nvidia(bare), **read).changes_of_toolkit()
    # Older toolkits write no specification by themselves, so that any counts.
    assert [one for one in found if reading.get("packages") != {} or one[0] != "CDI"] == [
        one for one in expected if reading.get("packages") != {} or one[0] != "CDI"
    ]


DRIVER = {"platform": "machine", "gpus": 1, "action": "none"}


@pytest.mark.parametrize(
    ("version", "packages", "tool", "docker", "expected"),
    [
        ("latest", FOUR, "apt", DOCKER, "nvidia_container_toolkit_version: latest is no version"),
        ("1.18.0", FOUR, "apt", DOCKER, "nvidia_container_toolkit_version: 1.18.0 is older than nvidia_container_toolkit_floor (1.19.1)"),
        ("1.20.0", {**FOUR, "libnvidia-container1": {"version": "1.18.0-1", "held": True}}, "apt", DOCKER, "These packages are held back: "),
        ("1.20.0", {}, "zypper", DOCKER, "This host has neither apt-get nor dnf: install the packages"),
        ("1.20.0", FOUR, "apt", None, "There is no Docker to hand GPUs to"),
    ],
)  # fmt: skip
def test_what_keeps_the_toolkit_from_working(version, packages, tool, docker, expected):
    (line,) = nvidia_toolkit.decide({"packages": packages, "docker": docker, "cdi": []}, DRIVER, version, "1.19.1", tool)["problems"]
    assert line.startswith(expected)


def test_who_wants_the_toolkit():
    def wanted(check_mode=False, **driver):
        reading = {"packages": {}, "docker": None, "cdi": []}
        return nvidia_toolkit.decide(reading, {**DRIVER, **driver}, "1.20.0", "1.19.1", "apt", check_mode)["wanted"]

    assert wanted() and not wanted(platform="tegra") and not wanted(gpus=0) and not wanted(gpus=0, action="install")
    assert wanted(True, gpus=0, action="install") and not wanted(True, gpus=0)
    held = {**FOUR, "libnvidia-container1": {"version": "1.20.0-1", "held": True}}
    decision = nvidia_toolkit.decide(
        {"packages": held, "docker": {**DOCKER, "version": "28.3.0"}, "cdi": []}, DRIVER, "1.20.0", "1.19.1", "apt"
    )
    assert (decision["held"], decision["good"], decision["daemon"]) == (
        ["libnvidia-container1"],
        True,
        {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}},
    )


# Plan and models.


def test_the_plan(made):
    assert made(contents={}).changes_of_plan() == [("plan.json", "is not there")]
    other = made({"model_plan_drop": []})
    other.reading["contents"] = {"plan.json": json.dumps({**other.plan, "tier": "vram_8"})}
    assert other.changes_of_plan() == [("plan.json", "differs")]
    said = made()
    said.reading["contents"] = {"plan.json": json.dumps({**said.plan, "problems": ["another word"]})}
    assert said.changes_of_plan() == []
    gateway = made({"llm_stack_services": ["litellm"]})
    assert gateway.changes_of_plan() == gateway.changes_of_models() == []


def test_a_plan_that_cannot_be_made(made):
    found = made({"model_plan_require": ["gpt-oss:120b"]}, contents={})
    ((what, why),) = found.changes_of_plan()
    assert found.plan["status"] == "refused" and what == "plan.json" and why.startswith("model_plan_require")
    assert found.plan_to_follow is None and found.changes_of_models() == []


@pytest.mark.parametrize(
    ("engine", "prune", "expected"),
    [
        (ENGINE, False, []),
        ({"msg": "no answer"}, False, [("tinyllama", "is not on the engine")]),
        ({**ENGINE, "loaded": []}, False, [("tinyllama", "is not in memory")]),
        (
            {**ENGINE, "loaded": [{"name": "tinyllama:latest", "context_length": 512}]},
            False,
            [("tinyllama", "is in memory with another context")],
        ),
        ({**ENGINE, "loaded": [{"name": "tinyllama:latest"}]}, False, []),
        ({**ENGINE, "models": [*ENGINE["models"], {"name": "other:1b"}]}, False, []),
        ({**ENGINE, "models": [*ENGINE["models"], {"name": "other:1b"}]}, True, [("other:1b", "is not asked for")]),
    ],
)
def test_the_models(made, engine, prune, expected):
    assert made({"ollama_models_prune": prune}, engine=engine).changes_of_models() == expected
    quiet = made({"llm_stack_preload": False}, engine={**ENGINE, "loaded": []})
    assert quiet.changes_of_models() == []


def test_models_of_a_users_own(made):
    assert made({"ollama_models_list": [{"name": "x"}]}).changes_of_models() == [
        ("models", "ollama_models_list or ollama_models_state is set")
    ]


def test_a_model_beside_the_gpu_is_loaded_without_a_layer_on_it():
    plan = {"budget": {"kind": "dedicated"}, "models": [{"name": "bge-m3", "context": 8192, "placement": "cpu", "preload": False}]}
    assert models.planned(plan, True) == [
        {"name": "bge-m3", "loaded": None, "keep_alive": "-1", "options": {"num_ctx": 8192, "num_gpu": 0}}
    ]


# All of it.


def changes_of(found, **more):
    made = found.inputs.stack_of({**found.reading, **more}, None, found.plan)
    return found.changes(Found(made))


def test_all_changes_in_their_order(made):
    bare_host = made(
        contents={}, engine={"msg": "no answer"}, docker=None, daemon={**DAEMON, "version": "", "compose_version": "", "content": ""}
    )
    changes = changes_of(bare_host)
    assert list(dict.fromkeys(one["role"] for one in changes)) == ["docker_engine", "model_plan", "llm_stack", "ollama_models"]
    assert bare_host.roles(changes) == ["docker_engine", "nvidia_container_toolkit", "model_plan", "llm_stack", "ollama_models"]
    assert bare_host.roles([one for one in changes if one["role"] == "llm_stack"]) == ["llm_stack", "ollama_models"]
    assert bare_host.roles([one for one in changes if one["role"] == "ollama_models"]) == ["ollama_models"]


def test_what_a_cut_run_and_a_former_client_have_left(made):
    small = made()
    environment = {"names": ["LITELLM_MASTER_KEY", "CLIENT_KEY_OLD"], "same": [], "mounted": []}
    lines = [(one["what"], one["why"]) for one in changes_of(small, environment=environment)]
    assert ("CLIENT_KEY_OLD", "its client is not named any more") in lines


def test_roles_that_decide_by_themselves_are_visited_in_any_case(made):
    assert made({"llm_stack_client_keys": {"a": {}}}).roles([]) == ["llm_stack"]
    away = {"nvidia_driver_state": "absent", "nvidia_container_toolkit_state": "absent"}
    assert made(away).roles([]) == ["nvidia_driver", "nvidia_container_toolkit"]


def test_a_mere_gateway_gets_nothing_that_an_engine_needs(made):
    gateway = made({"llm_stack_services": ["litellm"]})
    changes = [{"role": "docker_engine"}]
    assert gateway.roles(changes) == ["docker_engine", "llm_stack"] and gateway.changes_of_toolkit() == []


def test_settings_of_the_toolkit_are_judged_where_there_is_a_gpu(made, bare):
    wrong = {"nvidia_container_toolkit_version": "latest"}
    assert made(wrong, driver=nvidia(bare)).toolkit_problems[0].startswith("nvidia_container_toolkit_version: latest is no version")
    assert made(wrong).toolkit_problems == made({**wrong, "site_engine": "native"}, driver=nvidia(bare)).toolkit_problems == []
    assert made({**wrong, "nvidia_container_toolkit_state": "unmanaged"}, driver=nvidia(bare)).toolkit_problems == []


NATIVE = {"site_engine": "native", "site_gateway": "native"}
OWN = {
    "native_engine": {
        "installed": "", "versions": [], "started": [], "user": None, "home": False, "above": True, "files": {}, "python": "/usr/bin/python3",
        "release": "", "active": False, "firewall": False, "has_firewall_tool": True, "addresses": [], "foreign": False, "address": "",
        "brewed": False, "sleep": {}, "disk": {"path": "/var/lib/ollama", "free_mib": 1000},
    },
    "native_gateway": {
        "python": {"version": [3, 13, 5], "venv": True}, "user": None, "versions": [], "complete": [], "current": "", "former": "",
        "files": {}, "service": {"active": False, "enabled": False}, "stale": False, "answers": False,
        "port": {"state": "free", "owner": ""}, "exported": {"names": [], "other": []}, "authorities": True,
        "disk": {"path": "/opt/litellm", "free_mib": 2000},
    },
}  # fmt: skip


def test_services_without_containers_are_decided_from_the_same_reading(made):
    native = made(NATIVE, **OWN)
    changes = changes_of(native)
    assert list(dict.fromkeys(one["role"] for one in changes)) == ["ollama_native", "litellm_native"]
    assert native.roles(changes) == ["ollama_native", "llm_stack", "litellm_native", "ollama_models"] and native.roles([]) == []
    assert native.native_problems == [] and native.native_notes == []
    reading = native.reading_for_verification()
    assert [one["free_mib"] for one in reading["paths"]] == [1000, 2000] and "driver" not in reading
    assert list(
        made(NATIVE, **OWN, units={host.NATIVE_PRELOAD: {}, "local-llm-preload.service": {}}).reading_for_verification()["units"]
    ) == [host.NATIVE_PRELOAD]
    wrong = made({**NATIVE, "litellm_native_memory": "much", "ollama_native_source": "homebrew"}, **OWN)
    assert [line.split(":")[0] for line in wrong.native_problems] == ["ollama_native_source", "litellm_native_memory"]
    assert made().native_problems == [] and made().all_roles() == [role for role in host.ROLES if not role.endswith("_native")]


def test_without_a_look_at_the_gpus_the_host_keeps_its_plan(made):
    blind = made()
    blind.reading.pop("gpus")
    assert blind.plan_to_follow == blind.before


def test_a_native_engine_has_a_setting_of_its_own_for_what_stays_in_memory(made):
    native = {"site_engine": "native", "ollama_native_preload": False}
    assert made(native, engine={**ENGINE, "loaded": []}).changes_of_models() == []


def test_a_mac():
    facts = {"ansible_facts": {"system": "Darwin", "architecture": "arm64"}}
    mac = host.Host(inputs(**facts, site_docker_host="unix:///run/docker.sock"), {}, False)
    assert mac.changes_of_driver() == mac.changes_of_docker() == mac.changes_of_toolkit() == []
    assert mac.environment()["DOCKER_HOST"] == "unix:///run/docker.sock" and "/opt/homebrew/bin" in mac.environment()["PATH"]


def test_what_is_merged_into_the_catalog():
    found, _tiers = host.catalog_and_tiers({"model_plan_catalog": {"tinyllama": {"bytes": 1}, "x": {"route": "x"}}, "model_plan_tiers": {}})
    assert found["tinyllama"]["bytes"] == 1 and found["tinyllama"]["route"] == "tinyllama" and found["x"] == {"route": "x"}


def test_the_table_of_changes():
    change = {"role": "llm_stack", "what": "config.yml", "why": "differs " + "x" * 80, "restarts": ["litellm"]}
    plans = {
        "a": {"changes": [change], "roles": ["llm_stack"]},
        "b": {"changes": [{**change, "why": "differs", "restarts": []}], "roles": ["llm_stack"], "notes": ["x"]},
        "c": {"changes": [], "roles": [], "notes": ["site_no_proxy has no effect"]},
        "d": None,
        "e": {"changes": [], "roles": ["llm_stack"], "failure": "x"},
    }
    lines = changes_table(plans)
    assert lines[0].split() == ["HOST", "ROLE", "WHAT", "WHY", "INTERRUPTS"]
    assert lines[1].endswith("...  litellm") and lines[2].split() == ["b", "llm_stack", "config.yml", "differs"]
    assert lines[3].split() == ["c", "-", "nothing"] and lines[4].split()[:4] == ["d", "-", "no", "answer:"]
    assert lines[5].split()[:4] == ["e", "-", "not", "compared:"]
    # A role that is going to be applied tells it by itself.
    assert lines[6:] == ["  [c] site_no_proxy has no effect"]
