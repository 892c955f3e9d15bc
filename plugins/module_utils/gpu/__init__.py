# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the readers of all vendors share: the machine they ask, its PCI bus, and the shape of what they return."""

from __future__ import annotations

import json
import re
import typing as t

from ..host import Host, whole

MIB = 2**20
# VGA controller, 3D controller, other display controller. Audio functions and NVSwitches of the same vendors are none.
DISPLAY_CLASSES = ("0300", "0302", "0380")
# AMD's Instincts are processing accelerators from the MI300 on. Intel's of this class are no GPUs.
ACCELERATORS = ("1200", "1002")
# Drivers that hold a card for virtual machines.
LENDERS = ("pci-stub", "pciback", "xen-pciback")


class Card(t.NamedTuple):
    """A display controller on the PCI bus."""

    address: str  #: as sysfs writes it: ``0000:01:00.0``
    vendor: str  #: four hexadecimal digits: ``10de``
    device: str  #: four hexadecimal digits: ``2684``
    driver: str | None  #: the kernel's driver that is bound to it

    @property
    def path(self) -> str:
        return "/sys/bus/pci/devices/" + self.address

    @property
    def pci_id(self) -> str:
        return "%s:%s" % (self.vendor, self.device)


def cards(host: Host) -> list[Card]:
    """List the GPUs on the PCI bus, driver or no driver, without those that are lent, or set aside, for virtual machines."""
    found = []
    for address in host.names("/sys/bus/pci/devices"):
        path = "/sys/bus/pci/devices/" + address
        kind, vendor, device = (hexadecimal(host.text(path + "/" + name)) for name in ("class", "vendor", "device"))
        if kind[:4] not in DISPLAY_CLASSES and (kind[:4], vendor) != ACCELERATORS:
            continue
        driver = host.link(path + "/driver")
        if driver is None and host.link(path + "/physfn"):
            continue  # a part of another card, made to be lent
        if driver is None or not (driver in LENDERS or "vfio" in driver):
            found.append(Card(address.lower(), vendor, device, driver))
    return found


def missing_node(host: Host, card: Card) -> str | None:
    """Return the render node of a card that is not in ``/dev``, or None where it is there.

    A container shows its machine's sysfs, and has the devices alone that it was given. The node's name is in the card's folder
    ``drm``; where it is not, any render node will do.
    """
    names = [name for name in host.names(card.path + "/drm") if name.startswith("renderD")]
    if not names:
        return None if any(name.startswith("renderD") for name in host.names("/dev/dri")) else "/dev/dri/renderD*"
    return next(("/dev/dri/" + name for name in names if not host.exists("/dev/dri/" + name)), None)


def without_nodes(host: Host, cards: list[Card], gpus: list[dict[str, t.Any]], drivers: tuple[str, ...]) -> list[str]:
    """Take away what was read of cards that this machine shows and may not use, and say so.

    :arg gpus: the GPUs that were read; those without their device node become ``unknown``. Graphics that engines leave alone stay.
    :arg drivers: the kernel's drivers whose cards are used by render nodes.
    :returns: a problem for each.
    """
    problems = []
    for card in cards:
        node = missing_node(host, card) if card.driver in drivers else None
        for entry in gpus if node else ():
            if entry["pci_address"] == card.address and entry["kind"] != "unsupported":
                entry.update(kind="unknown", memory_total_mib=None, memory_free_mib=None, gfx=None, source="sysfs")
                problems.append(
                    "%s at %s has the driver %s, but %s is not there: a container has to be given the card"
                    % (card.pci_id, card.address, card.driver, node)
                )
    return problems


def hexadecimal(text: str | None) -> str:
    """Return what follows ``0x`` in a file of sysfs, in small letters; empty where there is nothing of the kind."""
    match = re.match(r"^0x([0-9a-f]{1,16})$", (text or "").lower())
    return match.group(1) if match else ""


def mib(value: t.Any) -> int | None:
    """Return a number of bytes, or its text, in whole MiB; None where there is no number."""
    number = whole(value)
    return None if number is None else number // MIB


def pci_address(text: str) -> str | None:
    """Return a PCI address as sysfs writes it: ``00000000:01:00.0`` and ``01:00.0`` become ``0000:01:00.0``."""
    match = re.match(r"^(?:0*([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$", text.strip().lower())
    return "%s:%s" % (match.group(1) or "0000", match.group(2)) if match else None


def parse_json(text: str) -> t.Any:
    """Parse the JSON in what a tool prints, which may come after lines of warnings.

    :raises ValueError: when there is none.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.lstrip()[:1] in ("{", "["):
            try:
                return json.loads("\n".join(lines[number:]))
            except (ValueError, RecursionError):
                continue  # a line of a log may begin with a bracket, too
    raise ValueError("no JSON")


def squeezed(*texts: str) -> str:
    """Return the first text that is not empty as one line for a message, without the times in front of a log's lines."""
    for text in texts:
        line = re.sub(r"^(\[[^\]]*\] *)+", "", " ".join(text.split()))
        if line:
            return line[:300]
    return "no output"


def first_line(*texts: str) -> str:
    """Return the first line that is not empty of what a tool printed, for a message."""
    for line in "\n".join(texts).splitlines():
        if line.strip():
            return line.strip()[:300]
    return "no output"


def gpu(vendor: str, name: str, source: str, **known: t.Any) -> dict[str, t.Any]:
    """Return a GPU in the shape that :ansplugin:`local_llm.fleet.gpu_info#module` documents; what is not known is None."""
    entry: dict[str, t.Any] = {"vendor": vendor, "name": name, "source": source, "kind": "unknown"}
    entry.update(
        dict.fromkeys(("uuid", "pci_address", "memory_total_mib", "memory_free_mib", "driver_version", "compute_capability", "gfx"))
    )
    entry.update(known)
    return entry
