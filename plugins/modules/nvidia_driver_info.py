#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_info
short_description: Read which NVIDIA driver a machine has, needs and can load
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads in one round trip all that decides about the driver of NVIDIA GPUs - the cards on the PCI bus, the driver that is loaded, the
    modules and libraries on disk, what C(nvidia-smi) says, Secure Boot, nouveau, the packages and the kernels.
  - It needs no driver, and no C(lspci). It judges nothing and changes nothing; the filter P(local_llm.fleet.nvidia_driver_plan#filter)
    decides.
options:
  files:
    description:
      - Files whose checksums are read.
    type: list
    elements: path
    default: []
  timeout:
    description:
      - Seconds that a tool such as C(nvidia-smi) may take to answer.
    type: int
    default: 30
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it, because it changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux with Python 3.9 or newer. No other package is needed; tools are read where they are.
    support: full
    platforms: linux
seealso:
  - plugin: local_llm.fleet.nvidia_driver_plan
    plugin_type: filter
  - module: local_llm.fleet.gpu_info
"""

EXAMPLES = r"""
- name: Read the driver
  local_llm.fleet.nvidia_driver_info:
  register: driver

- name: Is what is loaded what is on disk?
  ansible.builtin.assert:
    that: driver.loaded.version == driver.modules[driver.kernel.release].version
    fail_msg: The driver was upgraded and the machine has not been restarted since.
"""

RETURN = r"""
platform:
  description:
    - V(machine), or one whose driver is not a matter of packages - V(wsl) (it is Windows'), V(tegra) (it is JetPack's), V(dgx) (it is
      DGX OS'), V(vgpu) (a virtual machine with a share of a GPU, whose guest driver comes with the hypervisor's vGPU release).
  returned: success
  type: str
  sample: machine
vgpu:
  description: What shows that the GPUs are vGPUs. Empty where nothing does.
  returned: success
  type: str
  sample: ""
virtual:
  description: Whether this is a virtual machine. V(none) where the processor does not tell.
  returned: success
  type: bool
  sample: false
system:
  description: The operating system.
  returned: success
  type: dict
  contains:
    id:
      description: The C(ID) of C(/etc/os-release).
      type: str
      sample: debian
    like:
      description: Its C(ID_LIKE).
      type: str
      sample: "rhel centos fedora"
    version:
      description: Its C(VERSION_ID).
      type: str
      sample: "13"
    codename:
      description: Its C(VERSION_CODENAME).
      type: str
      sample: trixie
    base_codename:
      description: Its C(UBUNTU_CODENAME) or C(DEBIAN_CODENAME), the release that a derivative is made of.
      type: str
      sample: ""
    platform:
      description: Its C(PLATFORM_ID).
      type: str
      sample: ""
    name:
      description: Name and version, for messages.
      type: str
      sample: Debian 13
    package_tool:
      description: The tool that manages the host's packages - V(apt), V(dnf), V(zypper), V(pacman), V(yum), or empty.
      type: str
      sample: apt
    machine:
      description: What C(uname -m) says.
      type: str
      sample: x86_64
  sample: {id: debian, like: "", version: "13", codename: trixie, base_codename: "", platform: "", name: Debian 13, package_tool: apt,
           machine: x86_64}
kernel:
  description: The kernels.
  returned: success
  type: dict
  contains:
    release:
      description: The one that runs.
      type: str
      sample: 6.12.41+deb13-amd64
    installed:
      description: Those that have modules on disk, the newest last.
      type: list
      elements: str
      sample: [6.12.38+deb13-amd64, 6.12.41+deb13-amd64]
    metapackages:
      description: Packages that bring the newest kernel of a kind, and the kernel that each of them brings now.
      type: dict
      sample: {linux-image-generic: linux-image-6.8.0-60-generic}
  sample:
    release: 6.12.41+deb13-amd64
    installed: [6.12.41+deb13-amd64]
    metapackages: {linux-image-amd64: linux-image-6.12.41+deb13-amd64}
cards:
  description: NVIDIA's GPUs on the PCI bus, without those that are lent to virtual machines.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: Where it is.
      type: str
      sample: "0000:01:00.0"
    device:
      description: Its PCI device number.
      type: str
      sample: "2684"
    driver:
      description: The kernel's driver that serves it. V(none) when none does.
      type: str
      sample: nouveau
    generation:
      description: Its generation, from V(maxwell) to V(blackwell); V(older) for what no current driver serves.
      type: str
      sample: ada
  sample: [{address: "0000:01:00.0", device: "2684", driver: nouveau, generation: ada}]
lent:
  description: PCI addresses of NVIDIA's GPUs that are lent, or set aside, for virtual machines.
  returned: success
  type: list
  elements: str
  sample: []
switches:
  description: The number of NVSwitches.
  returned: success
  type: int
  sample: 0
loaded:
  description: The driver that is loaded.
  returned: success
  type: dict
  contains:
    version:
      description: Its version. V(none) when none of NVIDIA's is loaded.
      type: str
      sample: 580.126.09
    open:
      description: Whether it is the one with open kernel modules. V(none) when that could not be read.
      type: bool
      sample: true
  sample: {version: 580.126.09, open: true}
modules:
  description: NVIDIA's modules on disk, by kernel.
  returned: success
  type: dict
  contains:
    version:
      description: The driver's version.
      type: str
      sample: 580.126.09
    open:
      description: Whether they are the open ones.
      type: bool
      sample: true
    signer:
      description: Who signed them; empty when nobody did.
      type: str
      sample: DKMS module signing key
    fresh:
      description: Whether they came onto the disk after the machine was started.
      type: bool
      sample: false
  sample: {6.12.41+deb13-amd64: {version: 580.126.09, open: true, signer: DKMS module signing key, fresh: false}}
library:
  description: The version of the driver's library C(libnvidia-ml) on disk. V(none) where there is none.
  returned: success
  type: str
  sample: 580.126.09
smi:
  description: What C(nvidia-smi) says.
  returned: success
  type: dict
  contains:
    status:
      description: Its exit status. V(none) when there is no such tool, or it did not answer in time.
      type: int
      sample: 0
    gpus:
      description: How many GPUs it shows.
      type: int
      sample: 1
    version:
      description: The driver's version. V(none) when it shows no GPU.
      type: str
      sample: 580.126.09
    text:
      description: What it says instead of a GPU, in one line. Empty where all that it says is about GPUs.
      type: str
      sample: ""
    warnings:
      description: What it says beside the GPUs that it shows, and that does not keep them from working.
      type: list
      elements: str
      sample: []
  sample: {status: 0, gpus: 1, version: 580.126.09, text: "", warnings: []}
nouveau:
  description: The driver that comes with the kernel.
  returned: success
  type: dict
  contains:
    loaded:
      description: Whether it is loaded.
      type: bool
      sample: false
    blocked:
      description: Whether some file keeps it from being loaded.
      type: bool
      sample: true
  sample: {loaded: false, blocked: true}
secure_boot:
  description: Secure Boot.
  returned: success
  type: dict
  contains:
    enabled:
      description: Whether the firmware demands signed modules.
      type: bool
      sample: false
    enrolled:
      description: Whether the firmware knows the key that DKMS signs with. V(none) when there is no such key, or no C(mokutil).
      type: bool
      sample: false
  sample: {enabled: false, enrolled: false}
packages:
  description: The packages of NVIDIA's driver that are installed, by name; not those for containers, kernels or computing.
  returned: success
  type: dict
  contains:
    version:
      description: The package's version.
      type: str
      sample: 580.126.09-1
    held:
      description: Whether it is held back from upgrades.
      type: bool
      sample: false
  sample: {nvidia-driver-cuda: {version: 580.126.09-1, held: false}}
dnf_excludes:
  description: Which packages automatic upgrades of the RHEL family leave out. V(none) where there are none of that kind.
  returned: success
  type: list
  elements: str
  sample: null
runfile:
  description: Whether the driver was installed by NVIDIA's own installer, and not by packages.
  returned: success
  type: bool
  sample: false
dkms:
  description: What C(dkms status) says of NVIDIA's modules.
  returned: success
  type: list
  elements: str
  sample: ["nvidia/580.126.09, 6.12.41+deb13-amd64, x86_64: installed"]
units:
  description: The driver's services.
  returned: success
  type: dict
  contains:
    exists:
      description: Whether there is such a service.
      type: bool
      sample: true
    enabled:
      description: Whether it is started with the machine.
      type: bool
      sample: true
    active:
      description: Whether it runs.
      type: bool
      sample: true
  sample:
    nvidia-persistenced: {exists: true, enabled: true, active: true}
    nvidia-fabricmanager: {exists: false, enabled: false, active: false}
files:
  description: SHA-256 of the O(files), by path; empty where there is no such file.
  returned: success
  type: dict
  sample: {/etc/modprobe.d/local-llm-nvidia.conf: ""}
"""

import hashlib
import os
import re
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import Card, cards, hexadecimal, vgpu
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu.nvidia import VENDOR, WSL_FOLDER, query
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, system

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where DKMS keeps the key that it signs with: Debian's and Ubuntu's, and the RHEL family's.
MOK_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub", "/var/lib/dkms/mok.der")
AUTOMATIC = "/etc/dnf/automatic.conf"
# Packages that have NVIDIA's name and are no driver: kernels for its machines, JetPack, what containers and computing need, and the
# firmware that nouveau takes.
NO_DRIVERS = re.compile(
    r"^linux-(?!(modules|objects|signatures)-nvidia)|container|^nvidia-(l4t|cuda|cudnn|docker|jetpack|nsight|nccl|tensorrt)"
    r"|^firmware-nvidia-graphics|^nvidia-gpu-firmware"
)
LIBRARY_FOLDERS = ("/usr/lib/{machine}-linux-gnu", "/usr/lib/{machine}-linux-gnu/nvidia/current", "/usr/lib64", "/usr/lib")
UNITS = ("nvidia-persistenced", "nvidia-fabricmanager")
# PCI device numbers: the first one of each run of numbers, and the generation that it is of (from the PCI ID database).
GENERATIONS = (
    (0x0000, "older"),
    (0x1340, "maxwell"),
    (0x15F0, "pascal"),
    (0x1600, "maxwell"),
    (0x1B00, "pascal"),
    (0x1D80, "volta"),
    (0x1E00, "turing"),
    (0x2080, "ampere"),
    (0x2180, "turing"),
    (0x2200, "ampere"),
    (0x2300, "hopper"),
    (0x2400, "ampere"),
    (0x2600, "ada"),
    (0x2900, "blackwell"),
)


def generation(device: str) -> str:
    """Return the generation of a GPU by its PCI device number, four hexadecimal digits. What is newer than all that is known counts
    as the newest."""
    number = int(device or "0", 16)
    return [name for first, name in GENERATIONS if first <= number][-1]


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key by which kernel releases sort as they were made: 6.8.0-9 before 6.8.0-60."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", text)]


def parse_packages(text: str) -> tuple[dict[str, dict[str, t.Any]], dict[str, str]]:
    """Parse lines of name, version, status, wanted state and dependencies, with tabs between them, as dpkg and rpm are asked for them.

    :returns: a tuple of NVIDIA's packages and of metapackages for kernels, each a dict by name.
    """
    packages, kernels = {}, {}
    for line in text.splitlines():
        name, version, status, wanted, depends = (line.split("\t") + [""] * 5)[:5]
        if status != "installed" or not version:
            continue
        if re.search(r"nvidia|^libcuda(1|debugger)|^cuda-drivers", name) and not NO_DRIVERS.search(name):
            packages[name] = {"version": version, "held": wanted == "hold"}
        match = re.match(r"^linux-image-(?![0-9])", name) and re.search(r"\b(linux-image-(?:unsigned-)?[0-9][^ ,(]*)", depends)
        if match:
            kernels[name] = match.group(1).replace("-unsigned", "")
    return packages, kernels


def parse_modinfo(text: str) -> dict[str, t.Any] | None:
    """Return version, flavour and signer of a module from what ``modinfo`` prints of it; None where it prints nothing of the kind."""
    fields: dict[str, str] = {}
    for name, value in re.findall(r"^([a-z_]+): *(.*)$", text, re.MULTILINE):
        fields.setdefault(name, value.strip())
    if not fields.get("version"):
        return None
    return {
        "version": fields["version"],
        "open": fields.get("license", "").upper() != "NVIDIA",
        "signer": fields.get("signer", ""),
        "filename": fields.get("filename", ""),
    }


def parse_units(text: str) -> dict[str, dict[str, bool]]:
    """Parse what ``systemctl show --property=Id,LoadState,UnitFileState,ActiveState`` prints of several units."""
    found = {name: {"exists": False, "enabled": False, "active": False} for name in UNITS}
    for block in re.split(r"\n\s*\n", text):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = fields.get("Id", "").replace(".service", "")
        if name in found:
            found[name] = {
                "exists": fields.get("LoadState") == "loaded",
                # Static ones are started by something else that is there.
                "enabled": fields.get("UnitFileState") in ("enabled", "static", "alias", "generated"),
                "active": fields.get("ActiveState") in ("active", "activating"),
            }
    return found


def platform_of(host: Host, release: str) -> str:
    if "microsoft" in release.lower() or host.names("/usr/lib/wsl"):
        return "wsl"
    tree = host.text("/sys/firmware/devicetree/base/compatible") or ""
    if "nvidia,tegra" in tree or host.text("/etc/nv_tegra_release") is not None or release.endswith("-tegra"):
        return "tegra"
    return "dgx" if host.text("/etc/dgx-release") is not None else "machine"


def pci(host: Host) -> tuple[list[Card], list[str], int]:
    """Return NVIDIA's cards, the addresses of those that are lent, and the number of NVSwitches (bridges of the class "other")."""
    served = [card for card in cards(host) if card.vendor == VENDOR]
    lent, switches = [], 0
    for address in host.names("/sys/bus/pci/devices"):
        path = "/sys/bus/pci/devices/" + address
        if hexadecimal(host.text(path + "/vendor")) != VENDOR:
            continue
        kind = hexadecimal(host.text(path + "/class"))[:4]
        switches += kind == "0680"
        if kind in ("0300", "0302") and address.lower() not in [card.address for card in served]:
            lent.append(address.lower())
    return served, lent, switches


def library(host: Host, machine: str) -> str | None:
    """Return the version of libnvidia-ml, from the name of the file that the loader's link ends at."""
    for folder in LIBRARY_FOLDERS:
        folder = folder.format(machine=machine)
        versions = [
            match.group(1) for match in (re.match(r"^libnvidia-ml\.so\.([0-9]+\.[0-9.]+)$", name) for name in host.names(folder)) if match
        ]
        target = re.match(r"^libnvidia-ml\.so\.([0-9]+\.[0-9.]+)$", host.link(folder + "/libnvidia-ml.so.1") or "")
        if target:
            return target.group(1)
        if versions:
            return max(versions, key=natural)
    return None


def smi(host: Host, tool: str | None) -> dict[str, t.Any]:
    """Ask as gpu_info does, so that both take the same card for one that works."""
    if not tool:
        return {"status": None, "gpus": 0, "version": None, "text": "", "warnings": []}
    status, rows, problems, harmless = query(host, tool)
    text = "; ".join(re.sub(r"^nvidia-smi (printed: |ended with [0-9-]+: |gave )", "", problem) for problem in problems)[:300]
    version = rows[0].get("driver_version") if rows else None
    return {"status": status, "gpus": len(rows), "version": version, "text": text, "warnings": harmless}


def nouveau(host: Host, found: list[dict[str, t.Any]]) -> dict[str, bool]:
    files = ((folder, name) for folder in ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d") for name in host.names(folder))
    blocked = any(
        re.search(r"^\s*(blacklist nouveau|install nouveau /bin/(true|false))", host.text("%s/%s" % file) or "", re.MULTILINE)
        for file in files
        if file[1].endswith(".conf")
    )
    loaded = host.text("/sys/module/nouveau/initstate") is not None or any(card["driver"] == "nouveau" for card in found)
    return {"loaded": loaded, "blocked": blocked}


def secure_boot(host: Host) -> dict[str, t.Any]:
    # Four bytes of attributes and one of value; the zeros around it are gone.
    enabled = (host.text(SECURE_BOOT) or "").endswith("\x01")
    enrolled = None
    key = next((path for path in MOK_KEYS if host.text(path) is not None), None)
    if enabled and key and host.find("mokutil"):
        _status, out, err = host.run(host.find("mokutil") or "", "--test-key", host.path(key))
        enrolled = "already enrolled" in out + err
    return {"enabled": enabled, "enrolled": enrolled}


def package_list(host: Host) -> str:
    """Ask dpkg, or rpm, for NVIDIA's packages and the kernels'."""
    dpkg, rpm = host.find("dpkg-query"), host.find("rpm")
    if dpkg:
        fields = "${Package}\\t${Version}\\t${db:Status-Status}\\t${db:Status-Want}\\t${Depends}\\n"
        return host.run(dpkg, "--show", "--showformat", fields, "*nvidia*", "cuda-*", "libcuda*", "linux-image-*")[1]
    if rpm:
        return host.run(rpm, "-qa", "--queryformat", "%{NAME}\\t%{VERSION}-%{RELEASE}\\tinstalled\\n", "*nvidia*", "cuda-*")[1]
    return ""


def modules(host: Host, releases: list[str]) -> dict[str, dict[str, t.Any]]:
    """Return what is known of NVIDIA's module for each kernel. Debian names it nvidia-current."""
    tool, found = host.find("modinfo"), {}
    started = re.search(r"^btime ([0-9]+)$", host.text("/proc/stat") or "", re.MULTILINE)
    for release in releases if tool else []:
        for name in ("nvidia", "nvidia-current"):
            known = parse_modinfo(host.run(tool, "-k", release, name)[1])
            if known:
                written = os.stat(host.path(known["filename"])).st_mtime if os.path.exists(host.path(known["filename"])) else time.time()
                found[release] = {key: value for key, value in known.items() if key != "filename"}
                found[release]["fresh"] = not started or written > int(started.group(1))
                break
    return found


def dkms(host: Host) -> list[str]:
    tool = host.find("dkms")
    return [line for line in host.run(tool, "status")[1].splitlines() if line.startswith("nvidia")] if tool else []


def dnf_excludes(host: Host) -> list[str] | None:
    text = host.text(AUTOMATIC)
    match = re.search(r"^\s*excludepkgs\s*=\s*(.*)$", text or "", re.MULTILINE)
    return None if text is None else [name for name in re.split(r"[,\s]+", match.group(1)) if name] if match else []


def checksum(host: Host, path: str) -> str:
    try:
        with open(host.path(path), "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return ""


def units(host: Host) -> dict[str, dict[str, bool]]:
    properties = "--property=Id,LoadState,UnitFileState,ActiveState"
    return parse_units(host.run(host.find("systemctl") or "systemctl", "show", properties, *[name + ".service" for name in UNITS])[1])


def read(host: Host, files: list[str]) -> dict[str, t.Any]:
    """Read a machine: what this module returns."""
    release, machine = (host.run(host.find("uname") or "uname", "-r", "-m")[1].split() + ["", ""])[:2]
    served, lent, switches = pci(host)
    found = [
        {"address": card.address, "device": card.device, "driver": card.driver, "generation": generation(card.device)} for card in served
    ]
    packages, metapackages = parse_packages(package_list(host))
    tool = host.find("nvidia-smi", WSL_FOLDER)
    answer = smi(host, tool)
    platform = platform_of(host, release)
    shown = vgpu.witness(host, served, packages, tool if answer["gpus"] else None) if platform == "machine" else ""
    with_modules = [name for name in host.names("/lib/modules") if host.text("/lib/modules/%s/modules.dep" % name) is not None]
    installed = sorted(with_modules, key=natural)
    version = host.text("/proc/driver/nvidia/version")
    is_open = None if version is None else "Open Kernel Module" in version
    return {
        "platform": "vgpu" if shown else platform,
        "vgpu": shown,
        "virtual": vgpu.is_virtual_machine(host),
        "system": {**system.read(host), "machine": machine},
        "kernel": {"release": release, "installed": installed, "metapackages": metapackages},
        "cards": found,
        "lent": lent,
        "switches": switches,
        "loaded": {"version": host.text("/sys/module/nvidia/version"), "open": is_open},
        "modules": modules(host, installed),
        "library": library(host, machine),
        "smi": answer,
        "nouveau": nouveau(host, found),
        "secure_boot": secure_boot(host),
        "packages": packages,
        "dnf_excludes": dnf_excludes(host),
        "runfile": host.find("nvidia-uninstall") is not None,
        "dkms": dkms(host),
        "units": units(host),
        "files": {path: checksum(host, path) for path in files},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "path", "default": []},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    if module.params["timeout"] <= 0:
        module.fail_json(msg="timeout: set a number of seconds above 0")
    module.exit_json(changed=False, **read(Host(module.params["timeout"]), module.params["files"]))


if __name__ == "__main__":
    main()
