# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read NVIDIA cards: from ``nvidia-smi`` where a driver is loaded, from the PCI bus where none is."""

from __future__ import annotations

import os
import re

QUERY_FIELDS = ("index", "uuid", "pci.bus_id", "name", "memory.total", "memory.free", "driver_version", "compute_cap")
QUERY = ["--query-gpu=" + ",".join(QUERY_FIELDS), "--format=csv,noheader,nounits"]

VENDOR = "0x10de"
# VGA controller, 3D controller, other display controller. Audio functions and NVSwitches of the same vendor are none.
DISPLAY_CLASSES = ("0x0300", "0x0302", "0x0380")


def _number(text):
    """Return ``text`` as an int when it is nothing but digits, else None: ``[N/A]`` and its kin are no readings."""
    return int(text) if re.match(r"^[0-9]{1,12}$", text) else None


def pci_address(text):
    """Return a PCI address the way sysfs writes it: ``00000000:01:00.0`` becomes ``0000:01:00.0``."""
    match = re.match(r"^0*([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$", text.strip().lower())
    return "%s:%s" % (match.group(1), match.group(2)) if match else None


def parse_query(text):
    """Parse what ``nvidia-smi`` prints for :data:`QUERY`.

    :arg text: its standard output, any text at all.
    :returns: a tuple of GPUs (a list of dicts in the shape that :ansplugin:`local_llm.fleet.gpu_info#module` returns)
        and problems (a list of strings, each with the raw line it is about). Rows of healthy cards are kept when lines
        about others are not understood.
    """
    gpus, problems = [], []
    for line in text.splitlines():
        line = line.strip()
        if not line:
            continue
        values = [value.strip() for value in line.split(",")]
        if len(values) != len(QUERY_FIELDS) or _number(values[0]) is None:
            problems.append("nvidia-smi printed: %s" % line)
            continue
        row = dict(zip(QUERY_FIELDS, values))
        total = _number(row["memory.total"])
        if total is None:
            problems.append("nvidia-smi shows no memory size for %s: %s" % (row["name"], line))
        gpus.append(
            {
                "vendor": "nvidia",
                "name": row["name"],
                "uuid": row["uuid"],
                "pci_address": pci_address(row["pci.bus_id"]),
                "kind": "dedicated" if total is not None else "unknown",
                "memory_total_mib": total,
                "memory_free_mib": _number(row["memory.free"]),
                "driver_version": row["driver_version"] if re.match(r"^[0-9.]+$", row["driver_version"]) else None,
                "compute_capability": row["compute_cap"] if re.match(r"^[0-9]+\.[0-9]+$", row["compute_cap"]) else None,
                "source": "nvidia-smi",
            }
        )
    return gpus, problems


def read_pci(root="/sys/bus/pci/devices"):
    """List NVIDIA's display controllers on the PCI bus, driver or no driver.

    :arg root: the folder that sysfs keeps PCI devices in.
    :returns: a list of dicts with ``pci_address`` (str), ``pci_id`` (str, ``10de:2684``) and ``driver`` (str or None).
    """
    found = []
    try:
        addresses = sorted(os.listdir(root))
    except OSError:
        return found
    for address in addresses:
        device = os.path.join(root, address)
        if _read(device, "vendor") != VENDOR or _read(device, "class")[:6] not in DISPLAY_CLASSES:
            continue
        link = os.path.join(device, "driver")
        found.append(
            {
                "pci_address": address.lower(),
                "pci_id": "%s:%s" % (VENDOR[2:], _read(device, "device")[2:]),
                "driver": os.path.basename(os.path.realpath(link)) if os.path.exists(link) else None,
            }
        )
    return found


def _read(device, name):
    try:
        with open(os.path.join(device, name), encoding="ascii", errors="replace") as stream:
            return stream.read().strip().lower()
    except OSError:
        return ""


def read(run_command, find_binary, pci_root="/sys/bus/pci/devices"):
    """Read every NVIDIA card of this machine.

    :arg run_command: a callable that takes an argument list and returns (rc, stdout, stderr).
    :arg find_binary: a callable that takes a program's name and returns its path, or None.
    :arg pci_root: see :func:`read_pci`.
    :returns: a tuple of GPUs and problems, see :func:`parse_query`. Cards that only the PCI bus shows have the kind
        ``unknown``, no memory size, and the source ``pci``.
    """
    gpus, problems = [], []
    binary = find_binary("nvidia-smi")
    if binary:
        rc, out, err = run_command([binary] + QUERY)
        gpus, problems = parse_query(out)
        if rc != 0 and not problems:
            problems.append("nvidia-smi ended with %d: %s" % (rc, (err or out).strip() or "no output"))
    seen = {gpu["pci_address"] for gpu in gpus}
    for card in read_pci(pci_root):
        if card["pci_address"] in seen:
            continue
        if card["driver"] == "vfio-pci":
            continue  # lent to a virtual machine: not this host's to use
        gpus.append(
            {
                "vendor": "nvidia",
                "name": card["pci_id"],
                "uuid": None,
                "pci_address": card["pci_address"],
                "kind": "unknown",
                "memory_total_mib": None,
                "memory_free_mib": None,
                "driver_version": None,
                "compute_capability": None,
                "source": "pci",
            }
        )
    return gpus, problems
