# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CDI specifications of the host, which say how devices get into containers."""

from __future__ import annotations

import json
import re
import typing as t

from . import Host

# Where Docker looks for CDI specifications.
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")


def parse_cdi(text: str) -> tuple[str, list[str]]:
    """Return kind and device names of a CDI specification, in JSON or in YAML.

    The target need not have a YAML parser. Both ways in which tools write YAML are known: lists indented or not, names in quotes or not.
    """
    try:
        spec = json.loads(text)
        return str(spec.get("kind", "")), [str(device.get("name", "")) for device in spec.get("devices") or []]
    except (ValueError, AttributeError):
        pass
    kind = re.search(r"^kind: *['\"]?([^'\"\s]+)", text, re.MULTILINE)
    devices = re.search(r"^devices:\s*\n((?:[ -].*\n?|\s*\n)*)", text, re.MULTILINE)
    names = re.findall(r"^ {0,4}(?:- +)?name: *['\"]?([^'\"\s]+)", devices.group(1), re.MULTILINE) if devices else []
    return kind.group(1) if kind else "", names


def cdi(host: Host) -> list[dict[str, t.Any]]:
    """Return path, kind and device names of every specification."""
    found = []
    for folder in CDI_FOLDERS:
        for name in host.names(folder):
            path = "%s/%s" % (folder, name)
            if name.endswith((".json", ".yaml")):
                kind, devices = parse_cdi(host.text(path) or "")
                found.append({"path": path, "kind": kind, "devices": devices})
    return found
