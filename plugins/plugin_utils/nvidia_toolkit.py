# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what has to be done so that Docker hands NVIDIA's GPUs to containers: packages, runtime, CDI."""

from __future__ import annotations

import re
import typing as t

from .versions import newer

Data = t.Mapping[str, t.Any]

PACKAGES = ("nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container-tools", "libnvidia-container1")
CDI_SINCE = "25"  # Docker that knows CDI
CDI_UNASKED_SINCE = "28.2"  # Docker that uses it without being told
WRITES_SINCE = "1.18"  # the toolkit that writes the specification by itself


class Decision(t.TypedDict):
    """What there is of the toolkit, and what has to be done."""

    wanted: bool  #: whether the host has GPUs that containers can be given, or is about to
    versions: list[str]
    held: list[str]  #: packages that somebody holds back
    good: bool  #: whether the packages are those to have
    daemon: dict[str, t.Any]  #: what daemon.json is to hold for it
    engine_good: bool  #: whether Docker runs with it
    knows_cdi: bool
    leftovers: list[str]  #: specifications of an older toolkit that would be looked for
    has_spec: bool
    writes: bool  #: whether the toolkit writes the specification by itself
    problems: list[str]
    changes: list[tuple[str, str]]  #: what differs, and in what


def is_version(text: str) -> bool:
    """Whether a text is a version of three numbers."""
    return re.fullmatch("[0-9]+[.][0-9]+[.][0-9]+", text) is not None


def decide(reading: Data, driver: Data, version: str, floor: str, package_tool: str, check_mode: bool = False) -> Decision:
    """Decide what has to be done.

    :arg reading: what ``host_info`` returned, with ``packages`` (of :data:`PACKAGES`), ``docker``, ``cdi``.
    :arg driver: the decision about the driver: ``platform``, ``gpus``, ``action``.
    :arg version: the setting nvidia_container_toolkit_version.
    :arg floor: the setting nvidia_container_toolkit_floor.
    :arg package_tool: the tool that manages the host's packages.
    :arg check_mode: whether a driver that would be installed counts as one, and a Docker that is not there yet is no problem.
    """
    there, docker = reading["packages"], reading["docker"] or {}
    coming = check_mode and driver["action"] in ("install", "load", "reboot")
    versions = list(dict.fromkeys(re.sub("-.*$", "", str(one["version"])) for one in there.values()))
    held = sorted(name for name, one in there.items() if one["held"])
    # All four, all of the same version, and that no older than the one to have; where somebody holds them back, than the floor.
    good = len(there) == len(PACKAGES) and len(versions) == 1 and newer(versions[0], floor if held else version)
    engine = docker.get("version") or "0"
    knows_cdi = newer(engine, CDI_SINCE)
    daemon: dict[str, t.Any] = {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}
    if knows_cdi and not newer(engine, CDI_UNASKED_SINCE):
        daemon["features"] = {"cdi": True}
    if not knows_cdi:
        daemon["exec-opts"] = ["native.cgroupdriver=cgroupfs"]
    # The Engine as it runs, whatever its file says: a run may have been cut before the restart.
    runs = docker.get("cdi") if knows_cdi else docker.get("cgroup_driver") == "cgroupfs"
    paths = [one["path"] for one in reading["cdi"] if one["kind"] == "nvidia.com/gpu"]
    writes = newer(versions[0] if versions else "0", WRITES_SINCE)
    decision: Decision = {
        # A Jetson has its toolkit from JetPack.
        "wanted": driver["platform"] != "tegra" and (bool(driver["gpus"]) or coming),
        "versions": versions,
        "held": held,
        "good": good,
        "daemon": daemon,
        "engine_good": "nvidia" in (docker.get("runtimes") or []) and bool(runs),
        "knows_cdi": knows_cdi,
        "leftovers": [path for path in paths if path.startswith("/etc/cdi/")],
        "has_spec": any(path.startswith("/var/run/cdi/") for path in paths) if writes else bool(paths),
        "writes": writes,
        "problems": [],
        "changes": [],
    }
    decision["problems"] = problems(decision, reading, version, floor, package_tool, check_mode)
    decision["changes"] = changes(decision, version)
    return decision


def problems(decision: Decision, reading: Data, version: str, floor: str, package_tool: str, check_mode: bool) -> list[str]:
    """Return what would not work; the first of it, since each makes the next one idle."""
    versions, held = decision["versions"], decision["held"]
    if not is_version(version):
        return ["nvidia_container_toolkit_version: %s is no version; set one such as 1.20.0" % version]
    if not newer(version, floor):
        return [
            "nvidia_container_toolkit_version: %s is older than nvidia_container_toolkit_floor (%s); set a newer one" % (version, floor)
        ]
    if not decision["good"] and held:
        return [
            "These packages are held back: %s. The host has %s and needs %s: apt-mark unhold %s"
            % (", ".join(held), " and ".join(versions), version, " ".join(held))
        ]
    if not decision["good"] and package_tool not in ("apt", "dnf", "yum"):
        return [
            "This host has neither apt-get nor dnf: install the packages %s %s yourself, or set nvidia_container_toolkit_state to unmanaged"
            % (", ".join(PACKAGES), version)
        ]
    if reading["docker"] is None and not check_mode:
        return ["There is no Docker to hand GPUs to: run the role docker_engine first"]
    return []


def changes(decision: Decision, version: str) -> list[tuple[str, str]]:
    """Return what differs, and in what."""
    if not decision["wanted"]:
        return []
    found = []
    if not decision["good"]:
        has = "the host has " + " and ".join(decision["versions"]) if decision["versions"] else "is not there"
        found.append(("nvidia-container-toolkit %s" % version, has))
    if not decision["engine_good"]:
        found.append(("Docker", "does not hand GPUs to containers"))
    if not decision["has_spec"]:
        found.append(("CDI", "there is no specification of the GPUs"))
    if decision["leftovers"] and decision["writes"]:
        found.append(("CDI", "an older toolkit has left %s" % ", ".join(decision["leftovers"])))
    return found
