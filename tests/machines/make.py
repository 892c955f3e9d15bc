# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the machines of machines.yml as folders that stand for ``/``: files of /sys, /proc and /etc, and tools that print
what real ones printed.

    make.py FOLDER      every machine, each in a folder of its own name, and those of drivers.yml as driver-NAME
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
TOOL = """#!/bin/sh
# Stands in for {name}: prints what a real one printed.
case "$*" in
{cases}
*) echo "{name}: nothing was recorded for: $*" >&2; exit 2 ;;
esac
"""
CASE = """*'{asked}'*)
cat <<'RECORDED'
{out}
RECORDED
cat >&2 <<'RECORDED'
{err}
RECORDED
{end} ;;"""


# Package tools of systems by a word of their ID or ID_LIKE; the others have Debian's.
PACKAGE_TOOLS = {"rhel": ("rpm", "dnf"), "fedora": ("rpm", "dnf"), "suse": ("rpm", "zypper"), "opensuse-leap": ("rpm", "zypper")}
OS_RELEASE = {
    "id": "ID",
    "like": "ID_LIKE",
    "version": "VERSION_ID",
    "codename": "VERSION_CODENAME",
    "base": "UBUNTU_CODENAME",
    "platform": "PLATFORM_ID",
}


def load() -> dict[str, dict]:
    """Return the machines by name."""
    return yaml.safe_load((HERE / "machines.yml").read_text())


def load_drivers() -> dict[str, dict]:
    """Return the machines of drivers.yml by name."""
    return {name: expand(machine) for name, machine in yaml.safe_load((HERE / "drivers.yml").read_text()).items()}


def expand(machine: dict) -> dict:
    """Return a machine of drivers.yml with its files and tools spelled out, as in machines.yml."""
    system, kernel = machine["os"], machine["kernel"]
    files, tools = dict(machine.get("files", {})), dict(machine.get("tools", {}))
    lines = [f'NAME="{system.get("name", system["id"])}"'] + [
        f'{name}="{system[key]}"' for key, name in OS_RELEASE.items() if key in system
    ]
    files["/etc/os-release"] = "\n".join(lines) + "\n"
    tools["uname"] = [{"asked": "-r -m", "out": f"{kernel} {system.get('machine', 'x86_64')}"}]
    for release in machine.get("kernels", [kernel]):
        files[f"/lib/modules/{release}/modules.dep"] = ""
    if any(card.get("driver") == "nouveau" for card in machine.get("pci", {}).values()):
        files["/sys/module/nouveau/initstate"] = "live\n"
    if "loaded" in machine:
        files["/sys/module/nvidia/version"] = machine["loaded"] + "\n"
    if "library" in machine:
        files[f"/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.{machine['library']}"] = ""
    if "smi" in machine:
        smi = machine["smi"]
        out = smi.get("text") or "\n".join(row(line, number, machine) for number, line in enumerate(smi["rows"]))
        tools["nvidia-smi"] = [{"asked": "--query-gpu=index", "out": out, "rc": smi.get("rc", 0)}]
        mode = smi.get("virtualization", "None")
        tools["nvidia-smi"].append(
            {
                "asked": "-q",
                "out": f"    GPU Virtualization Mode\n        Virtualization Mode               : {mode}\n        Host VGPU Mode                    : N/A",
            }
        )
    if "modules" in machine:
        tools["modinfo"] = [
            {"asked": f"-k {release} nvidia", "out": "\n".join(f"{name + ':':16}{value}" for name, value in fields.items())}
            for release, fields in machine["modules"].items()
        ]
    lines = []
    for name, text in machine.get("packages", {}).items():
        version, depends = ("6.0", text) if name.startswith("linux-image") else (text, "")
        lines.append("\t".join((name, version, "installed", "hold" if name in machine.get("held", []) else "install", depends)))
    words = [system["id"], *system.get("like", "").split()]
    query, tool = next((PACKAGE_TOOLS[word] for word in words if word in PACKAGE_TOOLS), ("dpkg-query", "apt-get"))
    tools[query] = [{"asked": "nvidia", "out": "\n".join(lines)}]
    tools[system.get("tool", tool)] = [{"asked": "nothing", "out": ""}]
    return {"memory_mib": 64000, **machine, "files": files, "tools": tools}


def row(line: str, number: int, machine: dict) -> str:
    """Return what the one query of nvidia-smi prints for an address and a driver's version; any other line stays as it is."""
    match = re.match(r"^(0*([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])), ([0-9.]+)$", line)
    if not match:
        return line
    device = machine.get("pci", {}).get(match[2].lower(), {}).get("id", ":ffff").split(":")[1].upper()
    return f"{number}, GPU-0c1d2e3f-0000-4000-8000-{number:012d}, {match[1]}, NVIDIA {device}, 24576, 24000, {match[3]}, 0x{device}10DE, [N/A], [N/A]"


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def properties(address: str, gfx: str) -> str:
    """Return the lines of the kernel's topology that tell a card's target and address, among others of them."""
    domain, bus, device, function = (int(part, 16) for part in re.split("[:.]", address))
    major, minor, step = int(gfx[3:-2]), int(gfx[-2], 16), int(gfx[-1], 16)
    location = bus << 8 | device << 3 | function
    return (
        f"cpu_cores_count 0\nsimd_count 192\ngfx_target_version {major * 10000 + minor * 100 + step}\nvendor_id 4098\n"
        f"location_id {location}\ndomain {domain}\nunique_id 17223372036854775807\n"
    )


def make(machine: dict, root: Path) -> None:
    """Make one machine in the folder ``root``."""
    (root / "sys/bus/pci/devices").mkdir(parents=True)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    kib = machine["memory_mib"] * 1024
    write(root / "proc/meminfo", f"MemTotal:       {kib} kB\nMemFree:        {kib // 2} kB\nMemAvailable:   {kib // 2} kB\n")
    if "limit_mib" in machine:
        write(root / "sys/fs/cgroup/memory.max", f"{machine['limit_mib'] * 2**20}\n")
    if "before" in machine:
        budget = {"kind": "dedicated", "mib": machine["before"]["mib"], "reserve_mib": 0}
        plan = {"schema": 1, "status": "final", "tier": machine["before"]["tier"], "budget": budget, "engine": {}, "models": []}
        write(root / "opt/local_llm/plan.json", json.dumps(plan))
    for node, (address, card) in enumerate(machine.get("pci", {}).items(), 1):
        folder = root / "sys/bus/pci/devices" / address
        vendor, device = card["id"].split(":")
        write(folder / "vendor", f"0x{vendor}\n")
        write(folder / "device", f"0x{device}\n")
        write(folder / "class", f"0x{card.get('class', '030000')}\n")
        for name, text in card.get("files", {}).items():
            write(folder / name, f"{text}\n")
        if "config" in card:
            (folder / "config").write_bytes(bytes.fromhex(card["config"]))
        if "render" in card:  # plain files stand for the devices
            write(folder / "drm" / card["render"] / "dev", "226:128\n")
            write(root / "dev/dri" / card["render"], "")
        if "gfx" in card:
            write(root / "dev/kfd", "")
            write(root / f"sys/class/kfd/kfd/topology/nodes/{node}/gpu_id", f"{51545 + node}\n")
            write(root / f"sys/class/kfd/kfd/topology/nodes/{node}/properties", properties(address, card["gfx"]))
        if "driver" in card:
            (root / "sys/bus/pci/drivers" / card["driver"]).mkdir(parents=True, exist_ok=True)
            os.symlink(f"../../drivers/{card['driver']}", folder / "driver")
    for path, text in machine.get("files", {}).items():
        write(root / path.lstrip("/"), text)
    for path, answers in machine.get("tools", {}).items():
        tool = root / (path if "/" in path else f"usr/local/bin/{path}").lstrip("/")
        cases = "\n".join(
            CASE.format(
                asked=answer["asked"],
                out=answer.get("out", "").rstrip("\n"),
                err=answer.get("err", "").rstrip("\n"),
                end="exec sleep 30" if answer.get("hangs") else f"exit {answer.get('rc', 0)}",
            )
            for answer in answers
        )
        write(tool, TOOL.format(name=tool.name, cases=cases), 0o755)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make.py FOLDER")
    for name, machine in load().items():
        make(machine, Path(sys.argv[1]) / name)
    for name, machine in load_drivers().items():
        make(machine, Path(sys.argv[1]) / f"driver-{name}")
