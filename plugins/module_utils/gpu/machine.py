# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One reading of all GPUs and of the memory of a machine."""

from __future__ import annotations

import typing as t

from ..host import Host
from ..host import system as host_system
from . import amd, apple, cards, intel, nvidia, system


def read(host: Host) -> dict[str, t.Any]:
    """Read a machine: what the module ``gpu_info`` returns."""
    if apple.present(host):
        gpus, memory, problems = apple.read(host)
        return {"gpus": gpus, "memory": memory, "os": apple.read_os(host), "problems": problems}
    found = cards(host)
    memory, problems = system.read(host)
    gpus = []
    for vendor in (nvidia, amd, intel):
        more, faults = vendor.read(host, found)
        gpus += more
        problems += faults
    return {"gpus": gpus, "memory": memory, "os": host_system.read(host)["name"] or None, "problems": problems}
