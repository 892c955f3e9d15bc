# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read AMD's GPUs: memory from sysfs, which needs no package; names, and what sysfs hides, from ``amd-smi`` or ``rocm-smi``."""

from __future__ import annotations

import re
import typing as t

from ..host import Host, whole
from . import MIB, Card, gpu, hexadecimal, mib, parse_json, pci_address, squeezed, without_nodes

VENDOR = "1002"
ROCM_FOLDER = "/opt/rocm/bin"
GIB = 2**30
# Graphics that share the machine's memory and that Ollama uses: gfx1151, sold as Strix Halo (Radeon 8050S and 8060S).
UNIFIED_DEVICES = ("1586",)
# Graphics in processors that Ollama leaves alone, whatever share of the memory the firmware has set aside for them.
# fmt: off
OTHER_GRAPHICS = (
    "1114", "13c0", "1435", "1506", "150e", "15bf", "15c8", "15d8", "15dd", "15e7", "1636", "1638", "163f", "164c", "164d", "164e",
    "1681", "1900", "1901", "1902",
)
# fmt: on
# The kernel's driver for cards from before 2012, which no engine uses. Device numbers from 3000 to 5fff are from before 2007.
OLD_DRIVER = "radeon"
DRIVERS = ("amdgpu",)
# The kernel's own list of what ROCm can compute on.
NODES = "/sys/class/kfd/kfd/topology/nodes"


def parse_amd_smi(text: str) -> list[dict[str, t.Any]]:
    """Parse what ``amd-smi static --asic --bus --vram --json`` prints, as a list or wrapped in ``gpu_data``.

    :returns: a list of dicts with ``pci_address``, ``name`` and ``memory_total_mib``, None where it is ``N/A``.
    :raises ValueError: when it is neither.
    """
    data = parse_json(text)
    if isinstance(data, dict):
        data = data.get("gpu_data", data)
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise ValueError("no list of GPUs")
    found = []
    for entry in data:
        bus, asic, vram = (entry[key] if isinstance(entry.get(key), dict) else {} for key in ("bus", "asic", "vram"))
        size = vram.get("size")
        if isinstance(size, dict):  # the unit is written MB and means MiB
            size = size.get("value")
        found.append({"pci_address": _address(bus.get("bdf")), "name": _name(asic.get("market_name")), "memory_total_mib": whole(size)})
    return found


def parse_rocm_smi(text: str) -> list[dict[str, t.Any]]:
    """Parse what ``rocm-smi --showmeminfo vram --showproductname --showbus --json`` prints.

    :returns: as :func:`parse_amd_smi`.
    :raises ValueError: when it holds no cards.
    """
    data = parse_json(text)
    if not isinstance(data, dict):
        raise ValueError("no mapping of cards")
    found = []
    for key, entry in data.items():
        if not key.startswith("card") or not isinstance(entry, dict):
            continue  # "system", for one
        names = {name.lower(): value for name, value in entry.items()}  # capitals differ between versions
        found.append(
            {
                "pci_address": _address(names.get("pci bus")),
                "name": _name(names.get("card series")) or _name(names.get("card model")),
                "memory_total_mib": mib(names.get("vram total memory (b)")),
            }
        )
    if not found:
        raise ValueError("no cards")
    return found


def _address(value: t.Any) -> str | None:
    return pci_address(value) if isinstance(value, str) else None


def _name(value: t.Any) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() not in ("", "N/A") and not value.startswith("0x") else None


def parse_node(text: str) -> tuple[str, str] | None:
    """Parse the file ``properties`` of a node of the kernel's topology: a number a line, after its name.

    The kernel writes a target as a decimal number, 100301 for gfx1031 and 90010 for gfx90a, and an address as
    ``bus << 8 | device << 3 | function`` (amdkfd); the upper bits are the number of a card's partition.

    :returns: a tuple of PCI address and target, or None for a processor.
    """
    known = {name: int(number) for name, number in re.findall(r"^(\w+) ([0-9]{1,18})$", text, re.MULTILINE)}
    version, location = known.get("gfx_target_version", 0), known.get("location_id", 0)
    if not version:
        return None
    address = "%04x:%02x:%02x.%x" % (known.get("domain", 0), location >> 8 & 0xFF, location >> 3 & 0x1F, location & 7)
    return address, "gfx%d%x%x" % (version // 10000, version // 100 % 100, version % 100)


def read_targets(host: Host) -> dict[str, str]:
    """Return what code each GPU runs by its PCI address: ``gfx1100``. Without ``/dev/kfd`` ROCm reaches none of them."""
    if not host.exists("/dev/kfd"):
        return {}
    found = [parse_node(host.text("%s/%s/properties" % (NODES, node)) or "") for node in host.names(NODES)]
    return dict(node for node in found if node)


def read_card(host: Host, card: Card) -> dict[str, t.Any]:
    """Read a card as the kernel's driver ``amdgpu`` tells of it.

    Graphics in a processor are known by their number, or told from cards by Ollama's rule (its discovery of AMD's GPUs): at
    most 4 GiB of VRAM, at least 8 GiB and four times as much of the machine's memory to borrow, and no maker of memory
    chips. Those that engines use have what they may borrow, or what the firmware has set aside where that is more, and
    never the sum.
    """
    name = host.text(card.path + "/product_name") or "AMD " + card.pci_id
    entry = gpu("amd", name, "sysfs" if card.driver else "pci", pci_address=card.address)
    own, borrowed, used = (host.number("%s/mem_info_%s" % (card.path, name)) for name in ("vram_total", "gtt_total", "vram_used"))
    own, borrowed = own or 0, borrowed or 0
    unique = hexadecimal("0x" + (host.text(card.path + "/unique_id") or ""))
    entry["uuid"] = "GPU-" + unique if unique else None  # as ROCm writes it
    # Older kernels say "unknown" where there are no chips of its own.
    chips = host.text(card.path + "/mem_info_vram_vendor") not in (None, "", "unknown") or host.text(card.path + "/board_info")
    borrower = own <= 4 * GIB and borrowed >= 8 * GIB and borrowed >= 4 * own and not chips
    if card.device in UNIFIED_DEVICES and borrowed > own:
        entry.update(kind="unified", memory_total_mib=borrowed // MIB)
    elif borrower or card.driver == OLD_DRIVER or card.device in OTHER_GRAPHICS or "3000" <= card.device < "6000":
        entry["kind"] = "unsupported"
    elif own:
        entry.update(kind="dedicated", memory_total_mib=own // MIB, memory_free_mib=None if used is None else max(0, own - used) // MIB)
    return entry


def ask_tools(host: Host) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Ask the first of AMD's tools that is there and answers; return what it says of GPUs, and the faults of all asked."""
    problems = []
    for name, options, parse in (
        ("amd-smi", ("static", "--asic", "--bus", "--vram", "--json"), parse_amd_smi),
        ("rocm-smi", ("--showmeminfo", "vram", "--showproductname", "--showbus", "--json"), parse_rocm_smi),
    ):
        tool = host.find(name, ROCM_FOLDER)
        if not tool:
            continue
        status, out, err = host.run(tool, *options)
        try:
            return [dict(entry, source=name) for entry in parse(out)], []
        except ValueError:
            answer = "gave no answer within %g s" % host.timeout if status is None else "printed: " + squeezed(out, err)
            problems.append("%s %s" % (name, answer))
    return [], problems


def read(host: Host, cards: list[Card]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Read every AMD GPU of this machine.

    :arg cards: what the PCI bus shows, of any vendor.
    :returns: a tuple of GPUs (see :func:`.gpu`) and problems. The tools' faults are problems only where sysfs has left
        something open.
    """
    mine = [card for card in cards if card.vendor == VENDOR]
    gpus = [read_card(host, card) for card in mine]
    targets = read_targets(host)
    for entry in gpus:
        entry["gfx"] = targets.get(entry["pci_address"])
    denied = without_nodes(host, mine, gpus, DRIVERS)
    if denied:
        return gpus, denied  # what the tools know of such a card is the machine's, and not this container's
    # The kernel's list has the GPUs also where no PCI bus is shown. A processor's node has the number 0.
    hidden = not gpus and any(host.number("%s/%s/gpu_id" % (NODES, node)) for node in host.names(NODES))
    open_questions = hidden or any(entry["kind"] == "unknown" and entry["source"] != "pci" for entry in gpus)
    if not hidden and all(entry["kind"] == "unsupported" for entry in gpus):
        return gpus, []  # nothing to ask the tools about
    told, problems = ask_tools(host)
    for answer in told:
        known = [entry for entry in gpus if entry["pci_address"] == answer["pci_address"]]
        if not known and answer["memory_total_mib"]:
            # Seen by the tool alone, as in a container that shows no PCI bus.
            address = answer["pci_address"]
            known = [gpu("amd", answer["name"] or "AMD GPU", answer["source"], pci_address=address, gfx=targets.get(address))]
            gpus += known
        for entry in known:
            entry["name"] = answer["name"] or entry["name"]
            if entry["kind"] == "unknown" and answer["memory_total_mib"]:
                entry.update(kind="dedicated", memory_total_mib=answer["memory_total_mib"], source=answer["source"])
    for entry in gpus:
        if entry["kind"] == "unknown" and entry["source"] != "pci":
            problems.append("the driver of %s at %s does not tell its memory" % (entry["name"], entry["pci_address"]))
    return gpus, problems if open_questions else []
