# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognize NVIDIA's virtual GPUs (vGPU): a share of a card that a hypervisor hands to a virtual machine.

Only NVIDIA's vGPU guest driver, also called GRID, serves one. With the data centre driver, or a distribution's, modprobe says
"No such device". A whole card that is passed through is an ordinary card and none of these.
"""

from __future__ import annotations

import re
import typing as t

from ..host import Host
from . import Card, hexadecimal

GRIDD_CONF = "/etc/nvidia/gridd.conf"  # the license settings of the guest driver
GUEST_PACKAGE = "nvidia-linux-grid"
# The subsystem numbers of the virtual types of each card, by its device number, as runs of numbers. NVIDIA's own list is
# src/nvidia/generated/g_nv_name_released.h of open-gpu-kernel-modules: the part whose subsystem vendor is written 0x10DE. None of
# these runs holds a number that a board of the same device has there. Types that are newer than that list are recognized by the
# capability.
# fmt: off
TYPES = {
    "13bd": "11cc-11d6 1286 12ee 1339",
    "13f2": "114c-1150 1176-117d 11ae-11b1 12ec 1337",
    "13f3": "117c-1184 11aa-11ad 12ed 1338",
    "15f7": "1265-126f 128d 12f4 133f 137d-138d",
    "15f8": "1221-122b 128c 12f2 133d 137c-138b",
    "15f9": "122c-1236 128b 12f3 133e 137b-1389",
    "1b38": "11e7-11f7 1287 12b1-12b3 12ef 133a 137e-1384 13b0-13b2 13d0",
    "1bb3": "1203-120b 1288 12f1 133c 136d-136f 1380-1385",
    "1bb4": "11f8-1202 1289 12f0 133b 137f-1387",
    "1db1": "1259-1263 128e 12f6 1341 1378 138e-138f",
    "1db3": "1290-129b 12f9 1344 137a 1398-1399",
    "1db4": "124e-1258 128f 12f5 1340 1379 1393-1394",
    "1db5": "12cb-12d8 12f8 1343 1376 1390-1392",
    "1db6": "12bd-12ca 12f7 1342 1377 1395-1397 13cd-13cf",
    "1df6": "13e1-13f4",
    "1e30": "1325-1336 13b9-13cc 1437-144c",
    "1e37": "1347-1349 136a-136c 13a4-13a9 180d 1820",
    "1e78": "13f7-1436",
    "1eb8": "1309-1315 1345 1367-1375 139a-139b",
    "20b0": "146f-1479 160c 1840",
    "20b2": "1523-152e 160d 1841",
    "20b5": "1591-159c 160f 183e",
    "20b7": "1589-1590 1610 183c",
    "20f1": "1493-149d 160e 183d",
    "20f3": "17b2-17be 1842",
    "20f5": "17bf-17cb 183f",
    "20f6": "17cc-17d7 1843",
    "2230": "14fa-151a 2203",
    "2231": "1562-157c 2205",
    "2233": "165c-1676 2204",
    "2235": "14d5-14f9 1684-1688 16e7 2206",
    "2236": "14b6-14d4 167e-1680 16e8 2207",
    "2237": "155a-1561 162a-163b 1810-1811",
    "2238": "16a3-16b9 16e6 2208",
    "2321": "1853-1860",
    "2322": "17e2-17ef 1845",
    "2324": "18d5-18e3",
    "2329": "2028-2035 2047-2048",
    "232c": "2108-2117",
    "2330": "187a-1888",
    "2331": "16d3-16de 1798 17f0 1844",
    "2335": "206e-207f",
    "2337": "18f2-18fd",
    "2339": "18e4-18f1",
    "233a": "1861-186e",
    "233b": "2081-2090",
    "2342": "18c2-18c9",
    "2348": "20c2-20c9",
    "25b6": "159d-159f 1600-160b 1646-1657 2209-220a",
    "26b1": "1708-172e 21fa",
    "26b2": "1821-1838 21fc",
    "26b3": "1958-197e 21fb",
    "26b5": "176d-1793 1818-181a 21fd",
    "26b8": "174e-176c 181c-181e 21ff",
    "26b9": "1889-18b1 21fe",
    "26ba": "1909-1931 2200",
    "27b6": "1938-1956 2202",
    "27b8": "172f-174d 2201",
    "2901": "21d7-21ea",
    "2941": "20cb-20d2",
    "2bb5": "2160-21c7 21f8-21f9",
    "2bb9": "2233-2246 226c-226f 22ee-22ef",
    "3182": "22cb-22d2",
}
# fmt: on
# Offsets in the configuration space (PCI Local Bus Specification 3.0, chapter 6), which root alone reads beyond its first 64 bytes.
STATUS, HAS_CAPABILITIES, FIRST_CAPABILITY, VENDOR_SPECIFIC = 0x06, 0x10, 0x34, 0x09
# What the vendor specific capability of a vGPU begins with after its length (NVIDIA's k8s-device-plugin, internal/vgpu).
SIGNATURE = b"VF"


def is_type(device: str, subsystem: str) -> bool:
    """Tell whether a subsystem number is that of a virtual type of a card.

    :arg device: the card's PCI device number, four hexadecimal digits.
    :arg subsystem: the number of its subsystem, whose vendor is NVIDIA, four hexadecimal digits.
    """
    runs = [run.partition("-") for run in TYPES.get(device, "").split()]
    return any(first <= subsystem <= (last or first) for first, _dash, last in runs)


def has_capability(config: bytes) -> bool:
    """Tell whether a PCI configuration space has the vendor specific capability by which NVIDIA marks a vGPU.

    :arg config: as sysfs has it, also cut off or broken.
    """
    if len(config) <= FIRST_CAPABILITY or not config[STATUS] & HAS_CAPABILITIES:
        return False
    position, seen = config[FIRST_CAPABILITY], set()
    while position and position not in seen and position + 5 <= len(config):
        seen.add(position)
        if config[position] == VENDOR_SPECIFIC and config[position + 3 : position + 5] == SIGNATURE:
            return True
        position = config[position + 1]
    return False


def says_guest(text: str) -> bool:
    """Tell whether ``nvidia-smi -q`` shows a vGPU; ``Pass-Through``, ``Host VGPU`` and ``None`` are something else."""
    return bool(re.search(r"^\s*Virtualization Mode\s*:\s*VGPU\s*$", text, re.MULTILINE))


def witness(host: Host, cards: list[Card], packages: t.Iterable[str], tool: str | None) -> str:
    """Return what shows that this machine's NVIDIA GPUs are vGPUs, for a message; empty where nothing does.

    :arg cards: NVIDIA's cards of this machine. Without any there is nothing to be shown.
    :arg packages: the names of NVIDIA's packages that are installed.
    :arg tool: ``nvidia-smi``, where it works. It is asked last, because it takes the longest.
    """
    if not cards:
        return ""
    for card in cards:
        vendor, device = (hexadecimal(host.text("%s/subsystem_%s" % (card.path, name))) for name in ("vendor", "device"))
        if vendor == card.vendor and is_type(card.device, device):
            return "%s at %s has the subsystem %s:%s" % (card.pci_id, card.address, vendor, device)
        if has_capability(host.data(card.path + "/config")):
            return "%s at %s has a vGPU's PCI capability" % (card.pci_id, card.address)
    guest = [name for name in packages if name.startswith(GUEST_PACKAGE)]
    if guest:
        return "the package %s is installed" % guest[0]
    if host.exists(GRIDD_CONF):
        return "there is %s" % GRIDD_CONF
    return "nvidia-smi -q shows a vGPU" if tool and says_guest(host.run(tool, "-q")[1]) else ""


def is_virtual_machine(host: Host) -> bool | None:
    """Tell whether this machine is a virtual one, by the processor's flags; None where they do not tell."""
    flags = re.search(r"^flags\s*:(.*)$", host.text("/proc/cpuinfo") or "", re.MULTILINE)
    return "hypervisor" in flags.group(1).split() if flags else None
