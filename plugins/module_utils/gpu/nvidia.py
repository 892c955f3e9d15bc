# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read NVIDIA GPUs: from ``nvidia-smi``, from the PCI bus where no driver is loaded, from the device tree on a Jetson."""

from __future__ import annotations

import re
import typing as t
from xml.etree import ElementTree

from ..host import Host, whole
from . import Card, first_line, gpu, pci_address

VENDOR = "10de"
NEEDED_FIELDS = ("index", "uuid", "pci.bus_id", "name", "memory.total")
# Fields that some drivers do not know are left out of a second query.
OTHER_FIELDS = ("memory.free", "driver_version", "pci.device_id", "compute_cap", "mig.mode.current")
QUERY_FIELDS = NEEDED_FIELDS + OTHER_FIELDS
WSL_FOLDER = "/usr/lib/wsl/lib"

# GPUs that share the machine's memory. A driver to come may show a number for them, which would be none of a card's own.
UNIFIED_NAMES = re.compile(r"\b(GB10|N1X?|Thor|Orin|Xavier|Tegra)\b", re.IGNORECASE)
UNIFIED_DEVICES = ("2e12",)
# Comes after the rows, or at the end of one, with status 14, and says nothing about what they say.
HARMLESS = "WARNING: infoROM is corrupted"
NOT_TOLD = ("[N/A]", "N/A", "[Not Supported]")
# Maxwell: Ollama and vLLM use nothing older. PCI numbers of its chips begin with GM108's, and all older ones are below.
OLDEST_CAPABILITY = 5.0
OLDEST_DEVICE = 0x1340


class Answer(t.NamedTuple):
    """What ``nvidia-smi`` answers when it is asked for all GPUs."""

    status: int | None  #: its exit status; None when it gave no answer in time
    rows: list[dict[str, str]]  #: a dict from field to text for each GPU
    problems: list[str]  #: what it says instead of a row
    harmless: list[str]  #: what it says beside the rows and about something else


def parse_query(text: str, fields: tuple[str, ...] = QUERY_FIELDS) -> tuple[list[dict[str, str]], list[str]]:
    """Parse what ``nvidia-smi --query-gpu=FIELDS --format=csv,noheader,nounits`` prints.

    :arg text: its standard output, any text at all.
    :arg fields: what was asked for, with ``name`` among it.
    :returns: a tuple of rows (dicts from field to text) and problems, each with the raw line it is about. Rows of
        healthy cards are kept when lines about others are not understood.
    """
    rows, problems = [], []
    before = fields.index("name")
    after = len(fields) - before - 1
    for line in text.splitlines():
        line = line.partition(HARMLESS)[0].strip()
        values = [value.strip() for value in line.split(",")]
        if not line:
            continue
        if len(values) < len(fields) or not re.match(r"^[0-9]{1,4}$", values[0]):
            problems.append("nvidia-smi printed: %s" % line[:300])
            continue
        # A name may hold commas; nothing else does.
        end = len(values) - after
        rows.append(dict(zip(fields, values[:before] + [", ".join(values[before:end])] + values[end:])))
    return rows, problems


def parse_addressing(text: str) -> dict[str, str]:
    """Parse what ``nvidia-smi --query-gpu=uuid,addressing_mode`` prints into a dict from UUID to mode."""
    return dict(re.findall(r"^\s*(GPU-[0-9A-Za-z-]+)\s*,\s*(\w+)\s*$", text, re.MULTILINE))


def parse_mig(text: str, listing: str = "") -> tuple[dict[str, list[dict[str, t.Any]]], list[str]]:
    """Parse the slices of GPUs in MIG mode from ``nvidia-smi -q -x``.

    :arg text: its standard output, any text at all.
    :arg listing: what ``nvidia-smi -L`` prints, where alone the slices have UUIDs. Its device numbers are the indexes of
        the other.
    :returns: a tuple of a dict from the GPU's UUID to its slices (dicts with ``uuid``, ``profile``,
        ``memory_total_mib`` and ``memory_free_mib``), and problems.
    """
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (the driver's own tool wrote it)
    except (ElementTree.ParseError, ValueError) as error:
        return {}, ["nvidia-smi -q -x printed no XML (%s): %s" % (error, first_line(text))]
    names = parse_listing(listing)
    found: dict[str, list[dict[str, t.Any]]] = {}
    for card in root.iter("gpu"):
        uuid = (card.findtext("uuid") or "").strip()
        slices = []
        for device in card.findall("mig_devices/mig_device"):
            own, profile = names.get(uuid, {}).get((device.findtext("index") or "").strip(), (None, None))
            slices.append(
                {
                    "uuid": _matching("^MIG-", (device.findtext("uuid") or "").strip()) or own,
                    "profile": profile,
                    "memory_total_mib": _mib_text(device.findtext("fb_memory_usage/total")),
                    "memory_free_mib": _mib_text(device.findtext("fb_memory_usage/free")),
                }
            )
        found[uuid] = slices
    return found, []


def parse_listing(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Parse ``nvidia-smi -L`` into a dict from a GPU's UUID to its slices: from device number to UUID and profile."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    slices: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        match = re.match(r"^GPU [0-9]+: .*\(UUID: ([^)]+)\)", line)
        if match:
            slices = found.setdefault(match.group(1), {})
        match = re.match(r"^\s+MIG (\S+)\s+Device\s+([0-9]+): \(UUID: ([^)]+)\)", line)
        if match:
            slices[match.group(2)] = (match.group(3), match.group(1))
    return found


def _mib_text(text: str | None) -> int | None:
    match = re.match(r"^\s*([0-9]{1,12}) MiB\s*$", text or "")
    return int(match.group(1)) if match else None


def kind_of(row: dict[str, str], addressing: str | None = None) -> str:
    """Say what kind of GPU a row of ``nvidia-smi`` is about.

    A size that is a number is the card's own memory (also on a GH200, whose addressing mode is ``ATS``), unless the GPU
    is known to share the machine's. A size that is withheld (``[N/A]``) is shared memory where the GPU is known for it
    or addresses it (``ATS``). Anything else, such as ``[Unknown Error]``, is no reading. ``HMM`` says nothing, because
    ordinary cards have it too.
    """
    capability = _matching(r"^[0-9]{1,4}\.[0-9]{1,4}$", row.get("compute_cap"))
    device = row.get("pci.device_id", "").lower()[2:6]
    if too_old(device) or (capability and float(capability) < OLDEST_CAPABILITY):
        return "unsupported"
    known = bool(UNIFIED_NAMES.search(row["name"])) or device in UNIFIED_DEVICES
    if whole(row["memory.total"]):
        return "unified" if known else "dedicated"
    if row["memory.total"] in NOT_TOLD and (known or addressing == "ATS"):
        return "unified"
    return "unknown"


def too_old(device: str) -> bool:
    """Tell whether a PCI device number, four hexadecimal digits, is that of a chip before Maxwell."""
    return bool(re.match("^[0-9a-f]{4}$", device)) and int(device, 16) < OLDEST_DEVICE


def query(host: Host, tool: str) -> Answer:
    """Ask ``nvidia-smi`` for all GPUs, without the fields that this driver does not know.

    The readings of GPUs and of the driver both rest on it. GPUs that are shown work unless there is a problem, whatever the
    exit status: a card whose infoROM is corrupted computes.
    """
    fields: tuple[str, ...] = QUERY_FIELDS
    while True:
        status, out, err = host.run(tool, "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits")
        unknown = re.search(r'Field "([a-z._]+)" is not a valid field', out + err)
        if status in (0, None) or not unknown or unknown.group(1) not in fields[len(NEEDED_FIELDS) :]:
            break
        fields = tuple(field for field in fields if field != unknown.group(1))
    rows, problems = parse_query(out, fields)
    if status is None:
        problems.append("nvidia-smi gave no answer within %g s" % host.timeout)
    harmless = list(dict.fromkeys(line.strip()[:300] for line in re.findall(HARMLESS + "[^\\r\\n]*", out + "\n" + err)))
    if status is not None and not problems and (status != 0 or not rows) and not (rows and harmless):
        problems.append("nvidia-smi ended with %d: %s" % (status, first_line(err, out)))
    return Answer(status, rows, problems, harmless)


def read_tool(host: Host, tool: str) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Read all GPUs that a loaded driver knows. One that is cut into slices is returned as its slices."""
    _status, rows, problems, _harmless = query(host, tool)
    addressing: dict[str, str] = {}
    if any(kind_of(row) == "unknown" and row["memory.total"] in NOT_TOLD for row in rows):
        # A field of newer drivers only. Where it is not known, nothing is lost.
        addressing = parse_addressing(host.run(tool, "--query-gpu=uuid,addressing_mode", "--format=csv,noheader")[1])
    slices: dict[str, list[dict[str, t.Any]]] = {}
    if any(row.get("mig.mode.current") == "Enabled" for row in rows):
        # What the card itself shows is not to be had as a whole, and no other output has the memory of slices.
        told = [host.run(tool, *options) for options in (("-q", "-x"), ("-L",))]
        problems += ["nvidia-smi gave no answer about slices within %g s" % host.timeout for status, _out, _err in told if status is None]
        slices, more = parse_mig(told[0][1], told[1][1])
        problems += more
    gpus = []
    for row in rows:
        kind = kind_of(row, addressing.get(row["uuid"]))
        entry = gpu(
            "nvidia",
            row["name"],
            "nvidia-smi",
            kind=kind,
            uuid=_matching(r"^GPU-", row["uuid"]),
            pci_address=pci_address(row["pci.bus_id"]),
            memory_total_mib=whole(row["memory.total"]),
            memory_free_mib=whole(row.get("memory.free")),
            driver_version=_matching(r"^[0-9.]+$", row.get("driver_version")),
            compute_capability=_matching(r"^[0-9]+\.[0-9]+$", row.get("compute_cap")),
        )
        if row.get("mig.mode.current") == "Enabled":
            parts = slices.get(row["uuid"], [])
            if not parts and row["uuid"] in slices:
                problems.append("%s is in MIG mode and has no slices: make some, or switch MIG off" % row["name"])
            gpus += [_slice(entry, part, problems) for part in parts] or [dict(entry, kind="unknown", memory_total_mib=None)]
            continue
        if kind == "unknown":
            problems.append("nvidia-smi shows no memory size for %s: %s" % (row["name"], row["memory.total"]))
        gpus.append(entry)
    return gpus, problems


def _slice(entry: dict[str, t.Any], part: dict[str, t.Any], problems: list[str]) -> dict[str, t.Any]:
    total = part["memory_total_mib"]
    if not total:
        problems.append("nvidia-smi -q -x shows no memory size for a slice of %s" % entry["name"])
    if not part["uuid"]:
        problems.append("nvidia-smi -L shows no UUID for a slice of %s" % entry["name"])
    return dict(
        entry,
        name=" ".join(word for word in (entry["name"], "MIG", part["profile"]) if word),
        uuid=part["uuid"],
        kind="slice" if total and part["uuid"] else "unknown",
        memory_total_mib=total,
        memory_free_mib=part["memory_free_mib"],
    )


def _matching(pattern: str, text: str | None) -> str | None:
    return text if text and re.match(pattern, text) else None


def read_tegra(host: Host) -> dict[str, t.Any] | None:
    """Read the GPU of a Jetson, which is not on the PCI bus, or return None where there is none."""
    tree = "/sys/firmware/devicetree/base/"
    if "nvidia,tegra" not in (host.text(tree + "compatible") or ""):
        return None
    release = re.match(r"^# R([0-9]+) \(release\), REVISION: ([0-9.]+)", host.text("/etc/nv_tegra_release") or "")
    version = "%s.%s" % release.groups() if release else None
    name = host.text(tree + "model") or "NVIDIA Tegra"
    return gpu("nvidia", name, "device-tree", kind="unified", driver_version=version)


def read(host: Host, cards: list[Card]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Read every NVIDIA GPU of this machine.

    :arg cards: what the PCI bus shows, of any vendor.
    :returns: a tuple of GPUs (see :func:`.gpu`) and problems. A card that the tool does not show has the kind ``unknown``
        and no memory size; where no driver of NVIDIA's serves it, the source is ``pci``.
    """
    gpus: list[dict[str, t.Any]] = []
    problems: list[str] = []
    mine = [card for card in cards if card.vendor == VENDOR]
    tegra = read_tegra(host)
    tool = host.find("nvidia-smi", WSL_FOLDER)
    if tool:
        gpus, problems = read_tool(host, tool)
        buses = host.names("/sys/bus/pci/devices")
        if not gpus and buses and not mine and host.text("/sys/module/nvidia/initstate") is None and not host.names("/usr/lib/wsl"):
            problems = []  # installed on a machine without a card, as in an image that many machines are made from
    if tegra and not gpus:
        # JetPack 5 has no nvidia-smi, and that of JetPack 6 adds nothing to this.
        gpus, problems = [tegra], []
    seen = {entry["pci_address"] for entry in gpus}
    answered = bool(gpus)
    for card in mine:
        if card.address in seen:
            continue
        old = too_old(card.device)
        if card.driver == "nvidia" and not old and (answered or not tool):
            missing = "does not show it" if tool else "is not installed"
            problems.append("%s at %s has the driver nvidia, but nvidia-smi %s" % (card.pci_id, card.address, missing))
        source = "sysfs" if card.driver == "nvidia" else "pci"
        gpus.append(gpu("nvidia", card.pci_id, source, kind="unsupported" if old else "unknown", pci_address=card.address))
    return gpus, problems
