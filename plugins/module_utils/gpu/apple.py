# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a Mac with Apple Silicon, whose GPU may use a share of the machine's memory that macOS decides about."""

from __future__ import annotations

import re
import typing as t

from ..host import Host, whole
from . import MIB, first_line, gpu

SYSCTLS = ("hw.memsize", "hw.optional.arm64", "machdep.cpu.brand_string", "iogpu.wired_limit_mb")
# Metal's own figure, in bytes. The function is bound by hand where the bridge does not know it.
METAL = """
ObjC.import("Metal");
if (typeof $.MTLCreateSystemDefaultDevice !== "function") { ObjC.bindFunction("MTLCreateSystemDefaultDevice", ["id", []]); }
Number($.MTLCreateSystemDefaultDevice().recommendedMaxWorkingSetSize);
"""
FALLBACK = 0.66  # of the memory; macOS gave the GPU 66.7 % at least in every log that was seen


def parse_sysctl(text: str) -> dict[str, str]:
    """Parse what ``sysctl NAME...`` prints, ``NAME: VALUE`` a line, into a dict."""
    return dict(re.findall(r"^([\w.]+): (.*?)\s*$", text, re.MULTILINE))


def parse_metal(text: str) -> int | None:
    """Return the MiB in what the script :data:`METAL` prints, a number of bytes that may be written as ``1.2e+10``."""
    match = re.match(r"^\s*([0-9]{1,15}(?:\.[0-9]{1,15})?(?:e\+?[0-9]{1,2})?)\s*$", text)
    found = int(float(match.group(1))) // MIB if match else 0
    return found or None


def present(host: Host) -> bool:
    """Tell whether this is macOS, by the tool that only macOS has."""
    return host.find("sw_vers") is not None


def read_os(host: Host) -> str | None:
    """Return name and version of the operating system: ``macOS 15.6``."""
    found = dict(re.findall(r"^(\w+):\s*(\S.*?)\s*$", host.run(host.find("sw_vers") or "sw_vers")[1], re.MULTILINE))
    words = [found.get("ProductName", ""), found.get("ProductVersion", "")]
    return " ".join(word for word in words if word) or None


def read(host: Host) -> tuple[list[dict[str, t.Any]], dict[str, int | None], list[str]]:
    """Read a Mac.

    What the GPU may use is Metal's figure; where Metal cannot be asked, the limit that an administrator has set, at most
    all of the memory; else a share that holds on every macOS seen.

    :returns: a tuple of GPUs (see :func:`.gpu`; none on a Mac with an Intel CPU, whose GPUs no engine uses), the memory
        as :func:`.system.read` returns it, and problems.
    """
    status, out, err = host.run(host.find("sysctl") or "sysctl", *SYSCTLS)
    values = parse_sysctl(out)
    total = whole(values.get("hw.memsize"))
    if not total:
        answer = "gave no answer within %g s" % host.timeout if status is None else "printed: " + first_line(err, out)
        return [], {"total_mib": None, "available_mib": None}, ["sysctl hw.memsize " + answer]
    memory = {"total_mib": total // MIB, "available_mib": None}
    if values.get("hw.optional.arm64") != "1":
        return [], memory, []
    limit = whole(values.get("iogpu.wired_limit_mb"))
    status, out, _err = host.run(host.find("osascript") or "osascript", "-l", "JavaScript", "-e", METAL)
    share = parse_metal(out)
    source, problems = "metal", []
    if share is None and limit:
        share, source = limit, "iogpu.wired_limit_mb"
    elif share is None:
        share, source = int(total // MIB * FALLBACK), "hw.memsize"
        if status is None:  # it may well answer the next time, and then with more
            problems.append("osascript gave no answer within %g s" % host.timeout)
    share = min(share, total // MIB)
    name = values.get("machdep.cpu.brand_string") or "Apple Silicon"
    return [gpu("apple", name, source, kind="unified", memory_total_mib=share)], memory, problems
