# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the machine's own memory, which is what models on the CPU live in."""

from __future__ import annotations

import re

from ..host import Host


def parse_meminfo(text: str) -> tuple[int | None, int | None]:
    """Return (total, available) in MiB from the text of ``/proc/meminfo``; None where a line is missing."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable): +([0-9]{1,18}) kB$", text, re.MULTILINE))
    total, available = (int(found[name]) // 1024 if name in found else None for name in ("MemTotal", "MemAvailable"))
    return total, available


def parse_cgroup_limit(text: str) -> int | None:
    """Return a control group's memory limit in MiB, or None for ``max``, for "unlimited" as version 1 writes it (a
    number near 2**63), and for anything that is not a number."""
    text = text.strip()
    if not re.match(r"^[0-9]{1,20}$", text) or int(text) >= 2**60:
        return None
    return int(text) // 2**20


def read(host: Host) -> tuple[dict[str, int | None], list[str]]:
    """Read a Linux machine's memory, as far as this control group may use it.

    :returns: a tuple of a dict with ``total_mib`` and ``available_mib``, and a list of problems.
    """
    total, available = parse_meminfo(host.text("/proc/meminfo") or "")
    if total is None:
        return {"total_mib": None, "available_mib": None}, ["/proc/meminfo does not say how much memory there is"]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = parse_cgroup_limit(host.text(path) or "")
        if limit is not None and limit < total:
            total = limit
            available = limit if available is None else min(available, limit)
    return {"total_mib": total, "available_mib": available}, []
