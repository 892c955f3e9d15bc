# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role would do on a Mac: its own variables, rendered, over what a Mac's tools print. Those tools are stand-ins here."""

from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
RUNNING = (Path(__file__).parent / "data/launchctl_print.txt").read_text()
PMSET = """AC Power:
 Sleep On Power Button 1
 autorestart          %d
 powernap             1
 networkoversleep     0
 disksleep            10
 sleep                %d (sleep prevented by powerd)
 displaysleep         10
"""
TOOLS = {"launchctl": "", "dscl": "", "pfctl": "", "pmset": PMSET % (0, 1)}
# Each Mac: what its tools print where that differs, and settings.
MACS = {
    "bare": {},
    "serving": {"tools": {"launchctl": RUNNING, "dscl": "UserShell: /usr/bin/false\n"}},
    "person": {"tools": {"dscl": "UserShell: /bin/zsh\n"}},
    "open": {"site_ollama_bind": "192.0.2.31", "site_ollama_allow": ["192.0.2.30", "198.51.100.0/24"]},
    "open-to-nobody": {"site_ollama_bind": "192.0.2.31"},
    "typo": {"site_ollama_bind": "192.0.2.31", "site_ollama_allow": ["gateway.example.com"]},
    "sleepy": {"ollama_native_never_sleep": True},
    "awake": {"ollama_native_never_sleep": True, "tools": {"pmset": PMSET % (1, 0)}},
    "intel": {"facts": {"architecture": "x86_64"}},
    "old": {"facts": {"distribution_version": "13.6"}},
    "brew": {"ollama_native_source": "homebrew"},
    "proxy": {"site_proxy": "http://user:pass&word@proxy.example.com:3128"},
}
PLAN = {
    "budget": {"kind": "unified", "vendor": "apple"},
    "engine": {
        "context_length": 8192,
        "num_parallel": 1,
        "max_loaded_models": 2,
        "keep_alive": "5m",
        "kv_cache_type": "f16",
        "flash_attention": "auto",
    },
    "models": [{"name": "qwen3:8b", "preload": True}],
}


@pytest.fixture(scope="module")
def macs(tmp_path_factory):
    """Of each Mac the files of its services, what is wrong with it, and what its script has read; by one run over all of them."""
    folder = tmp_path_factory.mktemp("macs")
    hosts = {}
    for name, mac in MACS.items():
        binaries = folder / name
        binaries.mkdir()
        for tool, text in {**TOOLS, **mac.get("tools", {})}.items():
            (binaries / f"{tool}.txt").write_text(text)
            (binaries / tool).write_text(f"#!/bin/sh\n[ -s {binaries}/{tool}.txt ] || exit 1\ncat {binaries}/{tool}.txt\n")
            (binaries / tool).chmod(0o755)
        facts = {"system": "Darwin", "architecture": "arm64", "distribution_version": "15.6", "os_family": "Darwin", **mac.get("facts", {})}
        settings = {key: value for key, value in mac.items() if key not in ("tools", "facts")}
        hosts[name] = {
            "ansible_python_interpreter": sys.executable,
            "mac_facts": facts,
            "mac_path": f"{binaries}:/usr/bin:/bin",
            "model_plan_result": PLAN,
            "site_project_dir": "/opt/local_llm",
            "mac_settings": settings,
        }
    content = (
        "{{ {'files': _ollama_native_files, 'problems': _ollama_native_problems, 'facts': _ollama_native_facts, 'awake': _site_awake,"
        " 'archive': _ollama_native_archive, 'checksum': _ollama_native_checksum, 'paths': _ollama_native_paths, 'todo': _ollama_native_todo} | to_json }}"
    )
    settings = {
        "role_path": f"{TOP}/roles/ollama_native",
        "_site_awake": "{{ _ollama_native_is_awake | bool }}",
        "_site_is_mac": True,
        "ansible_facts": "{{ mac_facts }}",
        **{key: "{{ mac_settings.%s | default(%r) }}" % (key, default) for key, default in DEFAULTS.items()},
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "connection": "local",
        "vars_files": [f"{TOP}/roles/{role}/{part}/main.yml" for role in ("site", "ollama_native") for part in ("defaults", "vars")],
        # Those of a task count more than files of variables.
        "tasks": [
            {
                "name": "Read",
                "vars": settings,
                "ansible.builtin.command": {"argv": ["/bin/sh", "-c", "{{ _ollama_native_script }}"]},
                "environment": {"PATH": "{{ mac_path }}"},
                "register": "__ollama_native_read",
            },
            {
                "name": "Write",
                "vars": settings,
                "ansible.builtin.copy": {"dest": f"{folder}/{{{{ inventory_hostname }}}}.json", "content": content, "mode": "0644"},
            },
        ],
    }
    (folder / "templates").symlink_to(TOP / "roles/ollama_native/templates")
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json"), str(folder / "play.yml")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in MACS}


DEFAULTS = {
    "site_ollama_bind": "127.0.0.1",
    "site_ollama_allow": [],
    "ollama_native_never_sleep": False,
    "ollama_native_source": "archive",
    "site_proxy": "",
}


def jobs(mac):
    return {
        Path(file["path"]).stem: plistlib.loads(file["content"].encode())
        for file in mac["files"]
        if file["path"].endswith("plist") and file["content"]
    }


@pytest.mark.parametrize("name", MACS)
def test_property_lists_are_read_by_other_parsers(macs, name, tmp_path):
    assert jobs(macs[name])
    # Debian's libplist-utils, which the lab installs.
    if not shutil.which("plistutil"):
        pytest.skip("plistutil is not here; `make lab` installs it")
    for file in macs[name]["files"]:
        if file["path"].endswith("plist") and file["content"]:
            (tmp_path / "job.plist").write_text(file["content"])
            # From its text into Apple's binary form, which Python reads again.
            command = ["plistutil", "-i", str(tmp_path / "job.plist"), "-o", str(tmp_path / "job.bin")]
            subprocess.run(command, capture_output=True, check=True)
            binary = (tmp_path / "job.bin").read_bytes()
            assert binary.startswith(b"bplist")
            assert plistlib.loads(binary) == plistlib.loads(file["content"].encode())


def test_the_engine_is_a_daemon_of_its_own_user(macs):
    job = jobs(macs["bare"])["com.local-llm.ollama"]
    assert job["ProgramArguments"] == ["/opt/ollama/current/ollama", "serve"]
    assert (job["UserName"], job["RunAtLoad"], job["KeepAlive"]) == ("_ollama", True, True)
    environment = job["EnvironmentVariables"]
    assert all(isinstance(value, str) for value in environment.values())
    assert (environment["OLLAMA_HOST"], environment["OLLAMA_CONTEXT_LENGTH"]) == ("127.0.0.1:11434", "8192")
    assert environment["OLLAMA_MODELS"] == "/usr/local/var/ollama/models"
    assert "HTTPS_PROXY" not in environment

    assert jobs(macs["brew"])["com.local-llm.ollama"]["ProgramArguments"][0] == "/opt/homebrew/opt/ollama/bin/ollama"


def test_a_proxys_password_is_in_no_job(macs):
    """Everybody may ask launchd for a job's environment."""
    assert not any("pass&word" in file["content"] for file in macs["proxy"]["files"] if file["path"].endswith("plist"))
    environment = next(file for file in macs["proxy"]["files"] if file["path"].endswith("/environment"))
    assert (environment["mode"], environment["group"]) == ("0440", "_ollama")
    shell = subprocess.run(["sh", "-c", environment["content"] + 'printf %s "$HTTPS_PROXY"'], capture_output=True, text=True, check=True)
    assert shell.stdout == MACS["proxy"]["site_proxy"]
    command = jobs(macs["proxy"])["com.local-llm.ollama"]["ProgramArguments"]
    assert command[:2] == ["/bin/sh", "-c"] and command[2].startswith(". /opt/ollama/environment; exec /opt/ollama/current/ollama")


def test_the_wall_stands_before_the_engine(macs):
    assert [path for path in macs["open"]["todo"]["plists"] if "preload" not in path] == [
        "/Library/LaunchDaemons/com.local-llm.ollama-firewall.plist",
        "/Library/LaunchDaemons/com.local-llm.ollama.plist",
    ]


def test_an_open_engine_has_a_wall(macs):
    assert "com.local-llm.ollama-firewall" not in jobs(macs["bare"])
    rules = next(file["content"] for file in macs["open"]["files"] if file["path"].endswith("firewall.pf"))
    assert [line for line in rules.splitlines() if not line.startswith("#")] == [
        "pass in quick on lo0 proto tcp to any port 11434",
        "pass in quick proto tcp from 192.0.2.30 to any port 11434",
        "pass in quick proto tcp from 198.51.100.0/24 to any port 11434",
        "block drop in quick proto tcp to any port 11434",
    ]
    assert jobs(macs["open"])["com.local-llm.ollama-firewall"]["ProgramArguments"][1:4] == ["-E", "-a", "com.apple/local-llm"]


@pytest.mark.parametrize("name", MACS)
def test_every_file_is_one_that_is_looked_at(macs, name):
    assert [file["path"] for file in macs[name]["files"]] == macs[name]["paths"]


@pytest.mark.parametrize(
    ("name", "problem"),
    {
        "bare": "",
        "serving": "",
        "typo": "site_ollama_allow: each is an address or network of IPv4 (gateway.example.com)",
        "person": "ollama_native_user: _ollama is a user of this host who may log in (/bin/zsh)",
        "open": "",
        "open-to-nobody": "site_ollama_allow: site_ollama_bind is 192.0.2.31, and nobody is let in",
        "intel": "the host is x86_64; Ollama computes on Apple Silicon",
        "old": "the host runs macOS 13.6; Ollama asks for 14 or newer",
        "brew": "",
    }.items(),
)
def test_what_is_wrong_with_it(macs, name, problem):
    problems = macs[name]["problems"]
    assert problems == [] if not problem else len(problems) == 1 and problems[0].startswith(problem)


def test_what_its_tools_say(macs):
    assert macs["serving"]["facts"]["active"] == "active" and "active" not in macs["bare"]["facts"].get("active", "")
    assert [macs[name]["awake"] for name in ("bare", "sleepy", "awake")] == [True, False, True]


def test_the_archive_is_the_macs(macs):
    assert macs["bare"]["archive"] == "ollama-darwin.tgz"
    assert len(macs["bare"]["checksum"]) == 64
