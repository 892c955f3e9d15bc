# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ollama without a container, as it is read from a host. What the tools of a Mac print is recorded."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, native_engine

RUNNING = (Path(__file__).resolve().parents[2] / "data/launchctl_print.txt").read_text()
PMSET = """AC Power:
 Sleep On Power Button 1
 autorestart          %d
 powernap             1
 networkoversleep     0
 disksleep            10
 sleep                %d (sleep prevented by powerd)
 displaysleep         10
"""
PARAMETERS = {"dir": "/opt/ollama", "home": "/var/lib/ollama", "user": "nobody-of-this-name", "files": ["/opt/ollama/ollama.env"]}


class Machine(Host):
    """A host whose tools print what a test says: by a tool's name, nothing for the others."""

    def __init__(self, root, **tools):
        super().__init__(5, root=str(root))
        self.tools = tools

    def run(self, *command, text=None):
        return (0, self.tools[command[0]], "") if command[0] in self.tools else (127, "", "")

    def find(self, tool, *folders):
        return tool if tool in self.tools else None


@pytest.mark.parametrize("mac", [False, True])
def test_an_empty_host(tmp_path, mac):
    found = native_engine.read(Machine(tmp_path), PARAMETERS, mac)
    nothing = (
        "installed",
        "versions",
        "started",
        "user",
        "home",
        "above",
        "files",
        "active",
        "firewall",
        "addresses",
        "foreign",
        "address",
    )
    assert not any(found[name] for name in nothing) and not found["brewed"] and not found["sleep"]


def test_linux(tmp_path):
    for path in ("opt/ollama/versions/0.40.2", "opt/ollama/versions/.new.x", "var/lib/ollama", "etc/systemd/system"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "opt/ollama/current").symlink_to("versions/0.40.2")
    (tmp_path / "opt/ollama/started").write_text("abc 0.40.2\n")
    (tmp_path / "opt/ollama/ollama.env").write_text('# Ansible managed\nHOME="/x"\nOLLAMA_HOST="192.0.2.7:11434"\n')
    unit = tmp_path / "etc/systemd/system/ollama.service"
    unit.write_text("# Ansible managed\n[Unit]\n")
    tools = {"systemctl": "active\n", "nft": "tcp dport 11434 counter drop", "ip": "1: lo inet 127.0.0.1/8 x\n2: e inet 192.0.2.7/24 x\n"}
    found = native_engine.read(Machine(tmp_path, **tools), PARAMETERS, False)
    assert (found["installed"], found["versions"], found["started"]) == ("0.40.2", ["0.40.2"], ["abc", "0.40.2"])
    assert found["active"] and found["firewall"] and found["has_firewall_tool"] and found["home"] and found["above"]
    assert (found["address"], found["addresses"], found["foreign"]) == ("192.0.2.7:11434", ["127.0.0.1", "192.0.2.7"], False)
    assert list(found["files"]) == PARAMETERS["files"] and len(found["files"]["/opt/ollama/ollama.env"]["sha256"]) == 64
    unit.write_text("[Service]\nExecStart=/usr/local/bin/ollama serve\n")
    assert native_engine.read(Machine(tmp_path), PARAMETERS, False)["foreign"]


def test_a_mac(tmp_path):
    for path in ("Library/LaunchDaemons", "opt/homebrew/opt/ollama/bin"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "opt/homebrew/opt/ollama/bin/ollama").touch()
    job = {"EnvironmentVariables": {"OLLAMA_HOST": "127.0.0.1:11434"}}
    (tmp_path / "Library/LaunchDaemons/com.local-llm.ollama.plist").write_bytes(plistlib.dumps(job))
    tools = {
        "launchctl": RUNNING,
        "pmset": PMSET % (1, 0),
        "ifconfig": "lo0:\n\tinet 127.0.0.1 netmask\n",
        "pfctl": "Status: Enabled block",
    }
    found = native_engine.read(Machine(tmp_path, **tools), PARAMETERS, True)
    assert found["active"] and found["firewall"] and found["brewed"] and found["address"] == "127.0.0.1:11434"
    assert (found["sleep"], found["addresses"]) == ({"autorestart": ["1"], "sleep": ["0"]}, ["127.0.0.1"])
    both = PMSET % (1, 0) + PMSET % (0, 1)
    assert native_engine.read(Machine(tmp_path, pmset=both), PARAMETERS, True)["sleep"] == {"autorestart": ["0", "1"], "sleep": ["0", "1"]}
    assert not native_engine.read(Machine(tmp_path, launchctl=RUNNING.replace("running", "waiting")), PARAMETERS, True)["active"]
