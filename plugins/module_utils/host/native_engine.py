# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ollama without a container, as the host has it."""

from __future__ import annotations

import os
import plistlib
import re
import sys
import typing as t

from . import Host
from .files import account, disk, look

UNIT = "ollama.service"
LABEL = "com.local-llm.ollama"
BREWED = "/opt/homebrew/opt/ollama/bin/ollama"
ANCHOR = "com.apple/local-llm"  # of the rules of pf
MANAGED = "Ansible managed"
ADDRESS = re.compile(r"""^OLLAMA_HOST=["']?([^"'\n]*)""", re.MULTILINE)


def read(host: Host, params: dict[str, t.Any], mac: bool) -> dict[str, t.Any]:
    """Return what there is of a native engine.

    :arg params: ``dir`` (the folder with its versions), ``user``, ``home`` (the folder with the models), ``files``.
    :arg mac: whether the host runs macOS.
    """
    folder, home = params["dir"], params["home"]
    return {
        "installed": host.link(folder + "/current") or "",
        "versions": [name for name in host.names(folder + "/versions") if not name.startswith(".")],
        "started": (host.text(folder + "/started") or "").split(),
        "user": account(params["user"]),
        "home": os.path.isdir(host.path(home)),
        "above": os.path.isdir(host.path(os.path.dirname(home))),
        "files": look(host, params["files"]),
        "disk": disk(host.path(home)),
        "python": sys.executable,
        **(of_mac(host) if mac else of_linux(host, folder)),
    }


def of_linux(host: Host, folder: str) -> dict[str, t.Any]:
    """Return what systemd, nftables and the network say."""
    unit = host.text("/etc/systemd/system/" + UNIT)
    bound = ADDRESS.search(host.text(folder + "/ollama.env") or "")
    return {
        "active": host.run("systemctl", "is-active", UNIT)[1].strip() == "active",
        "firewall": "drop" in host.run("nft", "list", "chain", "inet", "local_llm", "input")[1],
        "has_firewall_tool": host.find("nft") is not None,
        "addresses": re.findall(r"inet ([0-9.]+)", host.run("ip", "-o", "-4", "addr")[1]),
        "foreign": unit is not None and MANAGED not in unit,
        "address": bound.group(1) if bound else "",
        "brewed": False,
        "sleep": {},
        "release": "",
    }


def of_mac(host: Host) -> dict[str, t.Any]:
    """Return what launchd, pf, the power settings and the network say."""
    job: dict[str, t.Any] = {}
    try:
        job = plistlib.loads(host.data("/Library/LaunchDaemons/%s.plist" % LABEL))
    except Exception:
        job = {}
    closed = "Status: Enabled" in host.run("pfctl", "-s", "info")[1]
    power = re.findall(r"(?m)^ *(sleep|autorestart) +([0-9]+)", host.run("pmset", "-g", "custom")[1])
    return {
        "active": "state = running" in host.run("launchctl", "print", "system/" + LABEL)[1],
        "firewall": closed and "block" in host.run("pfctl", "-a", ANCHOR, "-s", "rules")[1],
        "has_firewall_tool": True,
        "addresses": re.findall(r"inet ([0-9.]+)", host.run("ifconfig")[1]),
        "foreign": False,
        "address": str((job.get("EnvironmentVariables") or {}).get("OLLAMA_HOST") or ""),
        "brewed": host.exists(BREWED),
        "release": host.run("sw_vers", "-productVersion")[1].strip(),
        # The settings for the mains and for a battery, each as often as it differs.
        "sleep": {name: sorted({value for other, value in power if other == name}) for name, _value in power},
    }
