# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides about NVIDIA's driver: cards, kernels, modules, packages, Secure Boot, and what ``nvidia-smi`` says."""

from __future__ import annotations

import hashlib
import os
import re
import time
import typing as t

from ..gpu import Card, cards, hexadecimal, vgpu
from ..gpu.nvidia import VENDOR, WSL_FOLDER, query
from . import Host, system

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
    tool, found = host.find("modinfo") or "", {}
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
    """Read a machine: what the module ``nvidia_driver_info`` returns.

    :arg files: files whose SHA-256 is returned, in hexadecimal digits; empty for one that is not there.
    """
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
