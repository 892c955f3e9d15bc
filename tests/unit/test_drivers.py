# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every machine of tests/machines/drivers.yml gets the right driver: real files and processes, recorded output."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter.nvidia_driver_plan import FilterModule, nvidia_driver_plan
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host
from ansible_collections.local_llm.fleet.plugins.module_utils.host.nvidia_driver import (
    generation,
    natural,
    parse_modinfo,
    parse_packages,
    parse_units,
    read,
)
from ansible_collections.local_llm.fleet.plugins.plugin_utils.versions import newer

COLLECTION = Path(__file__).resolve().parents[2]
DATA = yaml.safe_load((COLLECTION / "roles/nvidia_driver/vars/main.yml").read_text())
TABLES = DATA["_nvidia_driver_systems"], DATA["_nvidia_driver_packages"]
SPEC = importlib.util.spec_from_file_location("machines_make", COLLECTION / "tests/machines/make.py")
machines = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(machines)
DRIVERS = machines.load_drivers()
INSTALLED = ("source", "branch", "flavour", "reboot")


def reading_of(name, folder, **changes):
    machines.make({**DRIVERS[name], **changes}, folder)
    return read(Host(timeout=15, root=str(folder)), [])


@pytest.mark.parametrize("name", DRIVERS)
def test_decision(name, tmp_path):
    machine, expected = DRIVERS[name], DRIVERS[name]["expect"]
    plan = nvidia_driver_plan(reading_of(name, tmp_path), *TABLES, machine.get("wishes"))
    assert plan["action"] == expected["action"], plan
    assert {key: plan[key] for key in INSTALLED if key in expected} == {key: expected[key] for key in INSTALLED if key in expected}
    said = "%s: %s" % (plan["reason"], plan["fix"])
    assert expected.get("says", "") in said
    assert "has" not in expected or any(expected["has"] in group for group in plan["packages"])
    assert any(expected["warns"] in line for line in plan["warnings"]) if "warns" in expected else not plan["warnings"]
    assert (plan["action"] == "refuse") == bool(plan["fix"])


def test_there_are_machines_of_every_kind():
    assert {machine["expect"]["action"] for machine in DRIVERS.values()} == {"none", "install", "load", "reboot", "refuse"}
    assert len(DRIVERS) >= 12


def test_a_module_that_was_not_loaded_asks_for_a_restart(tmp_path):
    plan = nvidia_driver_plan(
        reading_of("not-loaded", tmp_path), *TABLES, tried="modprobe: ERROR: could not insert 'nvidia': No such device"
    )
    assert (plan["action"], plan["reboot"]) == ("reboot", True)
    assert "No such device" in plan["reason"]


def test_a_module_that_no_restart_will_load(tmp_path):
    reading = reading_of("not-loaded", tmp_path)
    for known in reading["modules"].values():
        known["fresh"] = False
    plan = nvidia_driver_plan(reading, *TABLES, tried="modprobe: ERROR: could not insert 'nvidia': Key was rejected by service")
    assert plan["action"] == "refuse" and "Key was rejected" in plan["reason"]


def test_the_right_kind_of_the_same_version_waits_for_a_restart(tmp_path):
    reading = reading_of("blackwell-wrong-kind", tmp_path)
    reading["modules"]["6.8.0-60-generic"]["open"] = True
    assert nvidia_driver_plan(reading, *TABLES)["action"] == "reboot"


def test_a_branch_is_a_number(tmp_path):
    plan = nvidia_driver_plan(reading_of("no-card", tmp_path), *TABLES, {"branch": "latest"})
    assert plan["action"] == "refuse" and plan["reason"] == "nvidia_driver_branch is latest"


def test_a_branch_is_for_drivers_to_come(tmp_path):
    plan = nvidia_driver_plan(reading_of("good", tmp_path), *TABLES, {"branch": 580})
    assert plan["action"] == "none" and "nvidia_driver_branch is 580" in plan["warnings"][0]


def test_secure_boot_is_not_asked_for_twice(tmp_path):
    plan = nvidia_driver_plan(reading_of("unsigned-modules", tmp_path), *TABLES, {"secure_boot_ok": True})
    assert plan["action"] == "refuse" and "nvidia_driver_secure_boot_ok" not in plan["fix"]


@pytest.mark.parametrize(
    "name", ["linux-image-nvidia-64k", "linux-modules-6.8.0-1028-nvidia-64k", "nvidia-l4t-core", "nvidia-cuda-toolkit", "nvidia-docker2",
             "nvidia-container-toolkit", "libnvidia-container1", "firmware-nvidia-graphics", "cuda-keyring", "cuda-toolkit-13-0"],
)  # fmt: skip
def test_packages_that_are_no_driver(name):
    assert parse_packages("%s\t1\tinstalled\tinstall\t" % name)[0] == {}


@pytest.mark.parametrize(
    "name", ["nvidia-driver-580", "libnvidia-ml1", "libcuda1", "linux-modules-nvidia-580-server-open-6.8.0-60-generic", "kmod-nvidia-open-dkms",
             "cuda-drivers-580", "linux-objects-nvidia-580-server-6.8.0-60-generic", "firmware-nvidia-gsp", "xserver-xorg-video-nvidia-580"],
)  # fmt: skip
def test_packages_of_a_driver(name):
    assert list(parse_packages("%s\t1\tinstalled\tinstall\t" % name)[0]) == [name]


def test_what_must_be_there_first_is_installed_first(tmp_path):
    plan = nvidia_driver_plan(reading_of("pascal-debian12", tmp_path), *TABLES)
    assert plan["packages"] == [["nvidia-driver-pinning-580"], ["nvidia-driver-cuda", "nvidia-kernel-dkms", "nvidia-persistenced"]]
    assert plan["headers"] == [["linux-headers-6.1.0-38-amd64"], ["linux-image-amd64", "linux-headers-amd64"]]
    with_kernels = nvidia_driver_plan(reading_of("ada-debian13", tmp_path / "other"), *TABLES)
    assert with_kernels["headers"][0] == ["linux-headers-6.12.41+deb13-amd64", "linux-headers-amd64"]
    assert (plan["repository"], plan["key"]) == ("debian12/x86_64", "3bf863cc.pub")


def test_modules_that_are_built_elsewhere_need_no_headers(tmp_path):
    plan = nvidia_driver_plan(reading_of("turing-ubuntu2204", tmp_path), *TABLES)
    assert (plan["headers"], plan["repository"]) == ([], None)


def test_secure_boot_is_left_to_those_who_ask(tmp_path):
    reading = reading_of("ada-debian13-secure-boot", tmp_path)
    assert nvidia_driver_plan(reading, *TABLES, {"secure_boot_ok": True})["action"] == "install"


def test_old_cards_get_no_driver_where_there_is_no_machine_for_it(tmp_path):
    machine = DRIVERS["ada-debian13"]
    tools = {**machine["tools"], "uname": [{"asked": "-r -m", "out": "6.12.41+deb13-riscv64 riscv64"}]}
    plan = nvidia_driver_plan(reading_of("ada-debian13", tmp_path, tools=tools), *TABLES)
    assert plan["action"] == "refuse"


@pytest.mark.parametrize(
    "device, name",
    # Tesla K80, GTX 750 Ti, GTX 980 Ti, P100, GTX 1080 Ti, V100, T4, GTX 1660, A100, RTX 3090, A10, H100, RTX 3070 Laptop, L4, RTX 5090, GB10
    [("102d", "older"), ("1380", "maxwell"), ("17c8", "maxwell"), ("15f8", "pascal"), ("1b06", "pascal"), ("1db4", "volta"), ("1eb8", "turing"),
     ("2184", "turing"), ("20b0", "ampere"), ("2204", "ampere"), ("2236", "ampere"), ("2330", "hopper"), ("24dd", "ampere"), ("27b8", "ada"),
     ("2b85", "blackwell"), ("2e12", "blackwell"), ("", "older")],
)  # fmt: skip
def test_generation(device, name):
    assert generation(device) == name


def test_parts_of_readings():
    assert sorted(["6.8.0-60-generic", "6.8.0-9-generic"], key=natural) == ["6.8.0-9-generic", "6.8.0-60-generic"]
    assert newer("580.126.09", "580.95") and not newer("535.261.03", "550") and newer("550.54", "550")
    assert parse_modinfo("modinfo: ERROR: Module nvidia not found.") is None
    assert parse_packages("nvidia-smi\t550\tconfig-files\tdeinstall\t\nvim\t9\tinstalled\tinstall\t") == ({}, {})
    units = parse_units("Id=nvidia-persistenced.service\nLoadState=loaded\nActiveState=active\nUnitFileState=static\n\nId=other\n")
    assert units["nvidia-persistenced"] == {"exists": True, "enabled": True, "active": True}
    assert units["nvidia-fabricmanager"]["exists"] is False


def test_the_filter_is_the_decision():
    assert FilterModule().filters() == {"nvidia_driver_plan": nvidia_driver_plan}


def test_the_package_tool_of_a_machine_is_read(tmp_path):
    tools = {
        name: reading_of(name, tmp_path / name)["system"]["package_tool"]
        for name in ("good", "hopper-alma10", "fedora", "opensuse", "oracle9")
    }
    assert tools == {"good": "apt", "hopper-alma10": "dnf", "fedora": "dnf", "opensuse": "zypper", "oracle9": "dnf"}


# What the role's own variables make of a package tool, of dnf's automatic upgrades, of the file for unattended upgrades, and of
# what the sources of a host have.
EXACT, KINDS, DEBIANS = "linux-headers-6.1.0-38-amd64", "linux-headers-amd64", "linux-image-amd64"
ROLE = {
    "apt": ({"tool": "apt", "family": "Ubuntu"}, {"differs": True, "tool": "apt"}),
    "apt-absent": ({"tool": "apt", "state": "absent"}, {"differs": False}),
    "apt-without-hold": ({"tool": "apt", "hold": False, "sum": "another file"}, {"differs": True}),
    "dnf": ({"tool": "dnf", "excludes": ["kernel*"]}, {"differs": True, "excludes": ["kernel*", "*nvidia*"]}),
    "dnf-held": ({"tool": "dnf", "excludes": ["*nvidia*"]}, {"differs": False}),
    "dnf-without-automatic": ({"tool": "dnf"}, {"differs": False}),
    "zypper": ({"tool": "zypper"}, {"differs": False}),
    "pacman": ({"tool": "pacman", "excludes": ["kernel*"]}, {"differs": False}),
    "none": ({"tool": None}, {"differs": False, "tool": ""}),
    "prebuilt": ({"headers": []}, {"headers": []}),
    "first": ({"headers": [[EXACT, KINDS], [DEBIANS, KINDS]], "has": [EXACT, KINDS, DEBIANS]}, {"headers": [[EXACT, KINDS]]}),
    "second": ({"headers": [[EXACT, KINDS], [DEBIANS, KINDS]], "has": [KINDS, DEBIANS]}, {"headers": [[DEBIANS, KINDS]]}),
    "neither": ({"headers": [[EXACT, KINDS], [DEBIANS, KINDS]], "has": [KINDS]}, {"headers": []}),
    "one": ({"headers": [["proxmox-headers-6.14.8-2-pve"]], "has": ["proxmox-headers-6.14.8-2-pve"]}, {"headers": [["proxmox-headers-6.14.8-2-pve"]]}),
    "one-missing": (
        {"headers": [["proxmox-headers-6.14.8-2-pve"]], "has": ["nvidia-driver-cuda"]},
        {"headers": [], "says": "proxmox-headers-6.14.8-2-pve: no source of the host has that"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def role(tmp_path_factory):
    """What the variables are for each host, made by one run over all of them."""
    folder = tmp_path_factory.mktemp("role")
    task = next(
        task
        for task in yaml.safe_load((COLLECTION / "roles/nvidia_driver/tasks/packages_apt.yml").read_text())
        if "headers" in task["name"]
    )
    facts = {
        "differs": "{{ _nvidia_driver_upkeep.hold_differs }}",
        "tool": "{{ _nvidia_driver_package_tool }}",
        "excludes": "{{ _nvidia_driver_upkeep.excludes }}",
        "headers": "{{ _nvidia_driver_headers }}",
        "says": task["ansible.builtin.assert"]["fail_msg"],
        "fails": "{{ not (%s) }}" % task["ansible.builtin.assert"]["that"],
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "connection": "local",
        "vars_files": [str(COLLECTION / "roles/nvidia_driver" / part / "main.yml") for part in ("defaults", "vars")],
        "tasks": [
            # Above the defaults, which come from a file here.
            {
                "name": "Ask",
                "ansible.builtin.set_fact": {"told": "{{ facts }}"},
                "vars": {"nvidia_driver_state": "{{ state }}", "nvidia_driver_hold": "{{ hold }}"},
            },
            {
                "name": "Write",
                "ansible.builtin.copy": {
                    "dest": f"{folder}/told.json",
                    "content": "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'told'))) | to_json }}",
                },
                "run_once": True,
            },
        ],
    }
    hosts = {}
    for name, (host, _expected) in ROLE.items():
        system = {"id": "x"} if host.get("tool", "") is None else {"id": "x", "package_tool": host.get("tool", "apt")}
        hosts[name] = {
            "ansible_python_interpreter": sys.executable,
            "facts": facts,
            "state": host.get("state", "present"),
            "hold": host.get("hold", True),
            "nvidia_driver_result": {
                "family": host.get("family", "Debian"),
                "headers": host.get("headers", []),
                "headers_fix": "fix",
                "packages": [],
            },
            "__nvidia_driver": {
                "system": system,
                "kernel": {"release": "k"},
                "dnf_excludes": host.get("excludes"),
                "files": {DATA["_nvidia_driver_hold_path"]: host.get("sum", "")},
            },
            "__nvidia_driver_candidates": {"stdout_lines": [f"Package: {package}" for package in host.get("has", [])]},
        }
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json"), str(folder / "play.yml")]
    done = subprocess.run(command, cwd=COLLECTION, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "told.json").read_text())


@pytest.mark.parametrize("name", ROLE)
def test_what_the_role_makes_of_a_host(role, name):
    for key, value in ROLE[name][1].items():
        assert value in role[name][key] if key == "says" else role[name][key] == value, role[name]
    assert role[name]["fails"] == (bool(ROLE[name][0].get("headers")) and not role[name]["headers"])


def test_no_task_goes_by_what_a_system_is_not():
    for path in (COLLECTION / "roles/nvidia_driver/tasks").iterdir():
        assert "is_redhat" not in path.read_text(), path
    names = {path.name for path in (COLLECTION / "roles/nvidia_driver/tasks").iterdir()}
    assert {f"{kind}_{tool}.yml" for kind in ("packages", "repository") for tool in ("apt", "dnf")} <= names
