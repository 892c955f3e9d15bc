# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read AMD's GPUs: memory from sysfs, which needs no package; names, and what sysfs hides, from ``amd-smi`` or ``rocm-smi``."""

from __future__ import annotations

import json
import typing as t

from . import MIB, Card, Host, first_line, gpu, hexadecimal, mib, pci_address, whole

VENDOR = "1002"
ROCM_FOLDER = "/opt/rocm/bin"
GIB = 2**30
# Graphics that share the machine's memory and that Ollama uses: gfx1151, sold as Strix Halo (Radeon 8050S and 8060S).
UNIFIED_DEVICES = ("1586",)
# The kernel's driver for cards from before 2012, which no engine uses.
OLD_DRIVER = "radeon"


def parse_json(text: str) -> t.Any:
    """Parse the JSON in what AMD's tools print, which may come after lines of warnings.

    :raises ValueError: when there is none.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.lstrip()[:1] in ("{", "["):
            try:
                return json.loads("\n".join(lines[number:]))
            except ValueError:
                continue  # a warning may begin with a bracket, too
    raise ValueError("no JSON")


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


def read_card(host: Host, card: Card) -> dict[str, t.Any]:
    """Read a card as the kernel's driver ``amdgpu`` tells of it.

    Graphics in a processor are told from cards by Ollama's rule (its discovery of AMD's GPUs): at most 4 GiB of VRAM,
    at least 8 GiB and four times as much of the machine's memory to borrow, and no maker of memory chips. What they may
    use is the larger of the two, never the sum. Where the firmware has set more aside for them, it is theirs alone.
    """
    name = host.text(card.path + "/product_name") or "AMD " + card.pci_id
    entry = gpu("amd", name, "sysfs" if card.driver else "pci", pci_address=card.address)
    own, borrowed, used = (host.number("%s/mem_info_%s" % (card.path, name)) for name in ("vram_total", "gtt_total", "vram_used"))
    own, borrowed = own or 0, borrowed or 0
    unique = hexadecimal("0x" + (host.text(card.path + "/unique_id") or ""))
    entry["uuid"] = "GPU-" + unique if unique else None  # as ROCm writes it
    # Older kernels say "unknown" where there are no chips of its own.
    chips = host.text(card.path + "/mem_info_vram_vendor") not in (None, "", "unknown") or host.text(card.path + "/board_info")
    if card.driver == OLD_DRIVER:
        entry["kind"] = "unsupported"
    elif own <= 4 * GIB and borrowed >= 8 * GIB and borrowed >= 4 * own and not chips:
        entry["kind"] = "unified" if card.device in UNIFIED_DEVICES else "unsupported"
        entry["memory_total_mib"] = max(own, borrowed) // MIB
    elif own:
        entry.update(kind="dedicated", memory_total_mib=own // MIB, memory_free_mib=None if used is None else max(0, own - used) // MIB)
    elif borrowed:
        entry["kind"] = "unsupported"
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
            answer = "gave no answer within %g s" % host.timeout if status is None else "printed: " + first_line(out, err)
            problems.append("%s %s" % (name, answer))
    return [], problems


def read(host: Host, cards: list[Card]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Read every AMD GPU of this machine.

    :arg cards: what the PCI bus shows, of any vendor.
    :returns: a tuple of GPUs (see :func:`.gpu`) and problems. The tools' faults are problems only where sysfs has left
        something open.
    """
    gpus = [read_card(host, card) for card in cards if card.vendor == VENDOR]
    open_questions = any(entry["kind"] == "unknown" and entry["source"] != "pci" for entry in gpus)
    if not gpus and not host.names("/sys/class/kfd/kfd/topology/nodes"):
        return [], []  # a tool without a card to ask about
    told, problems = ask_tools(host)
    for answer in told:
        known = [entry for entry in gpus if entry["pci_address"] == answer["pci_address"]]
        if not known and answer["memory_total_mib"]:
            # Seen by the tool alone, as in a container that shows no PCI bus.
            known = [gpu("amd", answer["name"] or "AMD GPU", answer["source"], pci_address=answer["pci_address"])]
            gpus += known
        for entry in known:
            entry["name"] = answer["name"] or entry["name"]
            if entry["kind"] == "unknown" and answer["memory_total_mib"]:
                entry.update(kind="dedicated", memory_total_mib=answer["memory_total_mib"], source=answer["source"])
    for entry in gpus:
        if entry["kind"] == "unknown" and entry["source"] != "pci":
            problems.append("the driver of %s at %s does not tell its memory" % (entry["name"], entry["pci_address"]))
    return gpus, problems if open_questions else []
