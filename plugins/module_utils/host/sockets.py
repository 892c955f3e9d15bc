# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on the host, and whether a port of ours is free."""

from __future__ import annotations

import ipaddress
import socket
import struct
import typing as t

from . import Host

LISTEN = "0A"  # the kernel's number for a listening socket (include/net/tcp_states.h)
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared with, never bound to)


def parse_listening(text: str) -> list[tuple[str, int, str]]:
    """Return (address, port, inode) of every listening socket in the text of ``/proc/net/tcp`` or ``tcp6``.

    The kernel writes an address as 32-bit words in the machine's own byte order, and an IPv4 address that an IPv6 socket
    is bound to as ``::ffff:a.b.c.d``, which is returned as ``a.b.c.d``.
    """
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTEN:
            continue
        words, port = fields[1].split(":")
        packed = b"".join(struct.pack("=I", int(words[start : start + 8], 16)) for start in range(0, len(words), 8))
        address = ipaddress.ip_address(packed)
        found.append((str(getattr(address, "ipv4_mapped", None) or address), int(port, 16), fields[9]))
    return found


def overlaps(wanted: str, bound: str) -> bool:
    """Whether a program that listens at an address keeps another from listening at the wanted one. A socket bound to
    ``::`` takes IPv4 as well, unless it says otherwise, which ``/proc`` does not show."""
    return wanted == bound or bound in EVERYWHERE or wanted in EVERYWHERE


def has_address(address: str) -> bool:
    """Whether the machine has an IP address: whether a socket can be bound to it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def process_of(host: Host, inodes: set[str]) -> str:
    """Return the name and number of the process that holds a socket, as far as it may be read."""
    for number in filter(str.isdigit, host.names("/proc")):
        folder = "/proc/%s/fd" % number
        for descriptor in host.names(folder):
            if (host.link(folder + "/" + descriptor) or "")[8:-1] in inodes:
                return "%s (process %s)" % (host.text("/proc/%s/comm" % number), number)
    return "a program that only root can see"


def ports(host: Host, wanted: list[dict[str, t.Any]], published: list[tuple[str, int, str, bool]]) -> list[dict[str, t.Any]]:
    """Return who has each of the ports: ``state`` and ``owner`` beside ``address`` and ``port``.

    :arg published: the ports of running containers: address, port, the container's name, and whether it is one of ours.
    """
    listening = [one for name in ("tcp", "tcp6") for one in parse_listening(host.text("/proc/net/" + name) or "")]
    result = []
    for one in wanted:
        address, port = one["address"], one["port"]
        takers = [inode for bound, number, inode in listening if number == port and overlaps(address, bound)]
        holders = [(name, is_own) for bound, number, name, is_own in published if number == port and overlaps(address, bound)]
        state, owner = "free", None
        if not has_address(address):
            state = "no_address"
        elif holders:
            state, owner = "ours" if holders[0][1] else "taken", "container %s" % holders[0][0]
        elif takers:
            state, owner = "taken", process_of(host, set(takers))
        result.append({**one, "state": state, "owner": owner})
    return result
