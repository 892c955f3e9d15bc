# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about drivers, by readings that no machine has to be made for. Whole machines are in tests/unit/test_drivers.py."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.plugin_utils.nvidia_driver import DEBIANS_KERNEL, UBUNTUS_KERNEL, nvidia_driver_plan
from ansible_collections.local_llm.fleet.plugins.plugin_utils.versions import newer

VARS = yaml.safe_load((Path(__file__).resolve().parents[4] / "roles/nvidia_driver/vars/main.yml").read_text())
TABLES = VARS["_nvidia_driver_systems"], VARS["_nvidia_driver_packages"]
UNIT = {"exists": False, "enabled": False, "active": False}
DEBIAN = {
    "platform": "machine",
    "vgpu": "",
    "virtual": False,
    "system": {"id": "debian", "like": "", "version": "13", "package_tool": "apt", "machine": "x86_64"},
    "kernel": {"release": "6.12.41+deb13-amd64", "installed": ["6.12.41+deb13-amd64"], "metapackages": {}},
    "cards": [{"address": "0000:01:00.0", "device": "2684", "driver": None, "generation": "ada"}],
    "lent": [],
    "switches": 0,
    "loaded": {"version": None, "open": None},
    "modules": {},
    "library": None,
    "smi": {"status": None, "gpus": 0, "version": None, "text": "", "warnings": []},
    "nouveau": {"loaded": False, "blocked": False},
    "secure_boot": {"enabled": False, "enrolled": None},
    "packages": {},
    "dnf_excludes": None,
    "runfile": False,
    "dkms": [],
    "units": {"nvidia-persistenced": UNIT, "nvidia-fabricmanager": UNIT},
    "files": {},
}
UBUNTU = {"id": "ubuntu", "like": "debian", "version": "24.04", "package_tool": "apt", "machine": "x86_64"}


def decide(tried="", wishes=None, **changes):
    reading = copy.deepcopy(DEBIAN)
    for name, value in changes.items():
        reading[name] = {**reading[name], **value} if isinstance(value, dict) else value
    return nvidia_driver_plan(reading, *TABLES, wishes, tried)


def kernel(release, *others, **metapackages):
    names = {name.replace("_", "-"): package for name, package in metapackages.items()}
    return {"release": release, "installed": [*others, release], "metapackages": names}


@pytest.mark.parametrize(
    "release",
    ["6.8.0-60-generic", "6.8.0-9-generic", "5.15.0-1040-aws", "6.14.0-1014-oem", "6.8.0-1028-nvidia-64k", "6.8.0-31-lowlatency", "7.0.0-15-generic-64k"],
)  # fmt: skip
def test_kernels_of_ubuntu(release):
    assert UBUNTUS_KERNEL.match(release) and not DEBIANS_KERNEL.match(release)


@pytest.mark.parametrize(
    "release",
    ["6.1.0-38-amd64", "6.12.41+deb13-amd64", "6.12.41+deb13-rt-amd64", "6.12.41+deb13-cloud-arm64", "6.10.11+bpo-amd64", "6.1.0-0.deb11.13-amd64",
     "6.12.41+deb13-arm64-16k", "6.1.0-38-cloud-amd64"],
)  # fmt: skip
def test_kernels_of_debian(release):
    assert DEBIANS_KERNEL.match(release) and not UBUNTUS_KERNEL.match(release)


FOREIGN = [
    "6.14.0-061400-generic",  # Ubuntu's mainline builds
    "6.8.1-060801-generic",
    "6.16.3-76061603-generic",  # Pop!_OS
    "6.14.8-zabbly+",
    "6.12.9-1-liquorix-amd64",
    "6.12.9-1.1-liquorix-amd64",
    "6.12.0-1-liquorix-amd64",
    "6.12.9-x64v3-xanmod1",
    "6.18.44-custom",
    "6.12.41",
    "6.6.87.2-microsoft-standard-WSL2",
]


@pytest.mark.parametrize("release", [*FOREIGN, "6.14.8-2-pve", "6.8.12-9-pve", "6.14.0-2-pve"])
def test_kernels_of_neither(release):
    assert not UBUNTUS_KERNEL.match(release) and not DEBIANS_KERNEL.match(release)


@pytest.mark.parametrize("release", FOREIGN)
def test_a_kernel_from_elsewhere_is_not_replaced(release):
    made = decide(kernel=kernel(release, linux_image_amd64="linux-image-6.12.41+deb13-amd64"))
    assert (made["action"], made["headers"]) == ("install", [["linux-headers-" + release]])
    assert "no other one is installed in its place" in made["headers_fix"]
    assert not any("linux-image" in package for group in made["packages"] for package in group)


def test_proxmox_has_headers_of_its_own_name():
    made = decide(kernel=kernel("6.14.8-2-pve", linux_image_amd64="linux-image-6.12.48+deb13-amd64"))
    assert made["headers"] == [["proxmox-headers-6.14.8-2-pve"]]
    assert "pve-no-subscription" in made["headers_fix"]


def test_a_container_has_no_kernel_to_build_for():
    made = decide(kernel={"release": "6.14.8-2-pve", "installed": []})
    assert "install the driver on the machine whose kernel it is" in made["headers_fix"]


def test_debians_kernels_keep_both_choices():
    made = decide(kernel=kernel("6.12.41+deb13-amd64", linux_image_amd64="linux-image-6.12.41+deb13-amd64"))
    assert made["headers"] == [["linux-headers-6.12.41+deb13-amd64", "linux-headers-amd64"], ["linux-image-amd64", "linux-headers-amd64"]]
    assert made["headers_fix"] == "upgrade the kernel, restart the host, and run this again"


@pytest.mark.parametrize(
    ("installed", "fix"),
    [
        (["6.8.0-9-generic", "6.8.0-60-generic"], "start the host with the kernel 6.8.0-60-generic"),
        ([], "install one of Ubuntu's own kernels"),
    ],
)
def test_a_kernel_without_prebuilt_modules(installed, fix):
    made = decide(system=UBUNTU, kernel=kernel("6.14.0-061400-generic", *installed))
    assert made["action"] == "refuse" and "6.14.0-061400-generic is not one of Ubuntu's own" in made["reason"]
    assert fix in made["fix"]


def test_a_driver_that_works_needs_no_prebuilt_modules():
    smi = {"status": 0, "gpus": 1, "version": "580.95.05"}
    made = decide(system=UBUNTU, kernel=kernel("6.16.3-76061603-generic"), smi=smi, loaded={"version": "580.95.05"})
    assert (made["action"], made["warnings"]) == ("none", [])


@pytest.mark.parametrize(("virtual", "named"), [(True, True), (None, True), (False, False)])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_gpu_that_is_no_such_device_may_be_a_vgpu(virtual, named, fresh):
    modules = {"6.12.41+deb13-amd64": {"version": "595.71.05", "open": True, "signer": "", "fresh": fresh}}
    made = decide("modprobe: ERROR: could not insert 'nvidia': No such device", virtual=virtual, modules=modules)
    assert made["action"] == ("reboot" if fresh else "refuse")
    assert ("vGPU" in made["reason"] + made["fix"]) is named
    other = decide("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service", virtual=virtual, modules=modules)
    assert "vGPU" not in other["reason"] + other["fix"]


@pytest.mark.parametrize(
    ("smi", "loaded", "action", "says"),
    [
        ({}, None, "refuse", "has no driver that works"),
        ({"status": 6, "text": "No devices were found"}, "570.1", "refuse", "with which nvidia-smi says: No devices were found"),
        ({}, "570.1", "refuse", "has the driver 570.1, with which nvidia-smi is not there"),
        ({"status": 15, "text": "GPU is lost"}, "570.1", "refuse", "a GPU does not answer"),
        ({"status": 0, "gpus": 1, "version": "570.1"}, "570.1", "none", "its guest driver 570.1 works, and is left alone"),
    ],
)
def test_a_vgpu(smi, loaded, action, says):
    made = decide(platform="vgpu", vgpu="there is /etc/nvidia/gridd.conf", smi=smi, loaded={"version": loaded}, wishes={"replace": True})
    assert made["action"] == action and says in made["reason"]
    assert (made["packages"], made["reboot"], made["platform"]) == ([], False, "vgpu")


def test_two_generations_are_not_asked_of_a_vgpu():
    cards = [{"address": "0", "device": "", "driver": None, "generation": name} for name in ("volta", "blackwell")]
    assert "vGPU" in decide(platform="vgpu", cards=cards)["reason"]


@pytest.mark.parametrize(
    ("tool", "action"), [("apt", "install"), ("dnf", "install"), ("zypper", "refuse"), ("pacman", "refuse"), ("", "refuse")]
)
def test_packages_are_installed_with_apt_or_dnf(tool, action):
    made = decide(system={"package_tool": tool})
    assert made["action"] == action
    assert action == "install" or "managed with %s" % (tool or "no tool") in made["reason"]


@pytest.mark.parametrize(
    ("system", "family", "package"),
    [
        ({"id": "ol", "like": "fedora", "version": "9.5", "package_tool": "dnf"}, "RedHat", "kmod-nvidia-open-dkms"),
        (
            {"id": "linuxmint", "like": "debian", "version": "7", "base_codename": "trixie", "name": "LMDE 7"},
            "Debian",
            "nvidia-kernel-open-dkms",
        ),
    ],
)
def test_a_system_is_what_it_is_made_of(system, family, package):
    made = decide(system=system)
    assert (made["action"], made["family"]) == ("install", family) and any(package in group for group in made["packages"])
    assert bool(made["warnings"]) == (system["id"] == "linuxmint")


def test_what_a_system_is_taken_for_is_said_where_something_is_installed_alone():
    mint = {"id": "linuxmint", "like": "ubuntu debian", "version": "22.2", "base_codename": "noble", "name": "Linux Mint 22.2"}
    assert decide(system=mint, kernel=kernel("6.8.0-60-generic"))["warnings"] == [
        "Linux Mint 22.2 is treated as Ubuntu 24.04 (noble), which it is made of"
    ]
    smi = {"status": 0, "gpus": 1, "version": "580.95.05"}
    assert decide(system=mint, smi=smi, loaded={"version": "580.95.05"})["warnings"] == []


@pytest.mark.parametrize(
    ("smi", "action"),
    [
        ({"status": 14, "gpus": 1, "version": "580.1", "warnings": ["WARNING: infoROM is corrupted"]}, "none"),
        ({"status": 14, "gpus": 1, "version": "580.1", "text": "something else"}, "refuse"),
        (
            {"status": None, "gpus": 1, "version": "580.1", "text": "no answer within 30 s", "warnings": ["WARNING: infoROM is corrupted"]},
            "refuse",
        ),
    ],
)
def test_what_keeps_a_gpu_from_working(smi, action):
    modules = {"6.12.41+deb13-amd64": {"version": "580.1", "open": True, "signer": "", "fresh": False}}
    made = decide(smi=smi, loaded={"version": "580.1", "open": True}, library="580.1", modules=modules)
    assert made["action"] == action, made
    assert action != "none" or made["warnings"] == ["nvidia-smi says: WARNING: infoROM is corrupted"]


def test_a_refusal_names_the_cards_that_it_is_about():
    """The driver 555 serves the Ada card; what needs a newer one is Blackwell."""
    cards = [{**DEBIAN["cards"][0], "generation": name} for name in ("ada", "blackwell")]
    made = decide(cards=cards, smi={"status": 0, "gpus": 2, "version": "555.42"}, loaded={"version": "555.42", "open": True})
    assert "older than 570, which blackwell GPUs need" in made["reason"]


def test_versions():
    assert newer("580.126.09", "580.95") and not newer("535.261.03", "550") and newer("550.54", "550") and not newer(None, "550")
