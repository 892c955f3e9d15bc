# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read Intel's GPUs: cards from sysfs or ``xpu-smi``; graphics that are part of a processor are seen and left alone."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ..host import Host
from . import MIB, Card, gpu, mib, parse_json, pci_address, squeezed, without_nodes

VENDOR = "8086"
DRIVERS = ("i915", "xe")


def parse_discovery(text: str) -> list[dict[str, t.Any]]:
    """Parse what ``xpu-smi discovery -j`` prints, perhaps after lines of its log: a list of devices, or one.

    :raises ValueError: when it is neither.
    """
    data = parse_json(text)
    if isinstance(data, dict):
        data = data.get("device_list", [data])
    if not isinstance(data, list) or not all(isinstance(device, dict) for device in data):
        raise ValueError("no list of devices")
    return data


def read_memory(host: Host, card: Card) -> int | None:
    """Return the MiB of a card's own memory as the drivers ``xe`` and ``i915`` tell it; None where they do not."""
    tiles = [name for name in host.names(card.path) if re.match(r"^tile[0-9]+$", name)]
    sizes = [host.number("%s/%s/physical_vram_size_bytes" % (card.path, tile)) for tile in tiles]
    sizes += [host.number("%s/drm/%s/lmem_total_bytes" % (card.path, name)) for name in host.names(card.path + "/drm")]
    return sum(size for size in sizes if size) // MIB or None


def read(host: Host, cards: list[Card]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Read every Intel GPU of this machine.

    :arg cards: what the PCI bus shows, of any vendor.
    :returns: a tuple of GPUs (see :func:`.gpu`) and problems.
    """
    gpus, problems = [], []
    for card in cards:
        if card.vendor != VENDOR:
            continue
        memory = read_memory(host, card)
        entry = gpu("intel", "Intel " + card.pci_id, "sysfs" if card.driver else "pci", pci_address=card.address, memory_total_mib=memory)
        if memory:
            entry["kind"] = "dedicated"
        elif card.address.startswith("0000:00:02."):
            entry["kind"] = "unsupported"  # where the processor's own graphics always are
        gpus.append(entry)
    denied = without_nodes(host, [card for card in cards if card.vendor == VENDOR], gpus, DRIVERS)
    if denied:
        return gpus, denied  # what the tool knows of such a card is the machine's, and not this container's
    tool = host.find("xpu-smi")
    if tool and any(entry["kind"] != "unsupported" for entry in gpus):
        problems = describe(host, tool, gpus)
    for entry in gpus:
        if entry["kind"] == "unknown" and entry["source"] != "pci":
            problems.append("the driver of %s at %s does not tell its memory" % (entry["name"], entry["pci_address"]))
    return gpus, problems


def describe(host: Host, tool: str, gpus: list[dict[str, t.Any]]) -> list[str]:
    """Add to cards what ``xpu-smi`` knows of them; its faults are problems only where sysfs has left something open."""
    status, out, err = host.run(tool, "discovery", "-j")
    try:
        devices = parse_discovery(out)
    except ValueError:
        if all(entry["memory_total_mib"] for entry in gpus if entry["kind"] != "unsupported"):
            return []
        answer = "gave no answer within %g s" % host.timeout if status is None else "printed: " + squeezed(out, err)
        return ["xpu-smi discovery -j " + answer]
    for device in devices:
        address = pci_address(str(device.get("pci_bdf_address", "")))
        # The list has no sizes in some versions, the single device has.
        if mib(device.get("memory_physical_size_byte")) is None:
            with contextlib.suppress(ValueError, IndexError):
                device.update(parse_discovery(host.run(tool, "discovery", "-d", str(device.get("device_id", "")), "-j")[1])[0])
        for entry in gpus:
            if entry["pci_address"] != address:
                continue
            if isinstance(device.get("device_name"), str):
                entry["name"] = device["device_name"]
            size = mib(device.get("memory_physical_size_byte"))
            if size and entry["kind"] == "unknown":
                entry.update(kind="dedicated", memory_total_mib=size, source="xpu-smi")
    return []
