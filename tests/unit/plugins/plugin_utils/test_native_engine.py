# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine without a container is to be, on Linux and on a Mac, and what has to be done for it."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.native_engine import Engine, parameters
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack import Node, checksum

DEFAULTS = {**settings(["site", "llm_stack", "ollama_native"], {}, str), "_site_engine_native": True, "llm_stack_services": ["ollama"]}
LINUX = Node("box", preload="print()\n")
MAC = Node("mini", is_mac=True, architecture="arm64", preload="print()\n")
PROXY = "http://user:pass&word@proxy.example.com:3128"
PLAN = {
    "budget": {"kind": "unified", "vendor": "apple"},
    "engine": {
        "context_length": 8192, "num_parallel": 1, "max_loaded_models": 2, "keep_alive": "5m", "kv_cache_type": "f16",
        "flash_attention": "auto",
    },
    "models": [{"name": "qwen3:8b", "preload": True}],
}  # fmt: skip
BARE = {
    "installed": "", "versions": [], "started": [], "user": None, "home": False, "above": True, "files": {}, "python": "/usr/bin/python3",
    "release": "", "active": False, "firewall": False, "has_firewall_tool": True, "addresses": ["127.0.0.1", "192.0.2.7"], "foreign": False,
    "address": "", "brewed": False, "sleep": {},
}  # fmt: skip
OPEN = {"site_ollama_bind": "192.0.2.7", "site_ollama_allow": ["192.0.2.30", "198.51.100.0/24"]}
KNOWN = {"ollama_native_version": "0.40.2"}


def engine(changes=None, node=LINUX, plan=..., **reading):
    """A host that differs from a bare one."""
    chosen = {**DEFAULTS, **KNOWN, **(changes or {})}
    return Engine(chosen, chosen, node, {**BARE, **reading}, PLAN if plan is ... else plan)


def running(changes=None, node=LINUX, plan=..., **reading):
    """A host whose engine runs as its settings say, with what of its reading differs."""
    made = engine(changes, node, plan)
    files = {one.path: {"sha256": sha(one), "mode": one.mode, "owner": "root"} for one in made.files if one.content}
    there = {
        "installed": "0.40.2", "versions": ["0.40.2"], "started": [made.digest, "0.40.2"], "home": True, "files": files, "active": True,
        "user": {"uid": 998, "shell": "/usr/sbin/nologin", "comment": ""}, "address": made.address, "firewall": made.is_open,
        "sleep": {"sleep": ["0"], "autorestart": ["1"]}, "brewed": True, **reading,
    }  # fmt: skip
    return replace(made, reading={**BARE, **there})


def sha(file):
    return checksum(file.content)


def jobs(made):
    return {Path(file.path).stem: plistlib.loads(file.content.encode()) for file in made.files if file.is_job}


def content(made, end):
    return next(file.content for file in made.files if file.path.endswith(end))


def told(made):
    return [(what, why) for what, why, _restarts in made.changes()]


# What it is to be

MACS = {"bare": {}, "open": OPEN, "brew": {"ollama_native_source": "homebrew"}, "proxy": {"site_proxy": PROXY}}


@pytest.mark.parametrize("name", MACS)
def test_property_lists_are_read_by_other_parsers(name, tmp_path):
    made = engine(MACS[name], MAC)
    assert jobs(made)
    # Debian's libplist-utils, which the lab installs.
    if not shutil.which("plistutil"):
        pytest.skip("plistutil is not here; `make lab` installs it")
    for file in made.files:
        if file.is_job:
            (tmp_path / "job.plist").write_text(file.content)
            # From its text into Apple's binary form, which Python reads again.
            command = ["plistutil", "-i", str(tmp_path / "job.plist"), "-o", str(tmp_path / "job.bin")]
            subprocess.run(command, capture_output=True, check=True)
            binary = (tmp_path / "job.bin").read_bytes()
            assert binary.startswith(b"bplist") and plistlib.loads(binary) == plistlib.loads(file.content.encode())


def test_on_a_mac_it_is_a_daemon_of_its_own_user():
    job = jobs(engine({}, MAC))["com.local-llm.ollama"]
    assert job["ProgramArguments"] == ["/opt/ollama/current/ollama", "serve"]
    assert (job["UserName"], job["RunAtLoad"], job["KeepAlive"]) == ("_ollama", True, True)
    environment = job["EnvironmentVariables"]
    assert all(isinstance(value, str) for value in environment.values())
    assert (environment["OLLAMA_HOST"], environment["OLLAMA_CONTEXT_LENGTH"]) == ("127.0.0.1:11434", "8192")
    assert environment["OLLAMA_MODELS"] == "/usr/local/var/ollama/models" and "HTTPS_PROXY" not in environment
    brew = jobs(engine({"ollama_native_source": "homebrew"}, MAC))["com.local-llm.ollama"]
    assert brew["ProgramArguments"][0] == "/opt/homebrew/opt/ollama/bin/ollama"
    assert engine({}, MAC).archive == "ollama-darwin.tgz" and len(engine({}, MAC).checksum) == 64


def test_a_proxys_password_is_in_no_job():
    """Everybody may ask launchd for a job's environment."""
    made = engine({"site_proxy": PROXY}, MAC)
    assert not any("pass&word" in file.content for file in made.files if file.is_job)
    environment = next(file for file in made.files if file.path.endswith("/environment"))
    assert (environment.mode, environment.group) == ("0440", "_ollama")
    shell = subprocess.run(["sh", "-c", environment.content + 'printf %s "$HTTPS_PROXY"'], capture_output=True, text=True, check=True)
    assert shell.stdout == PROXY
    command = jobs(made)["com.local-llm.ollama"]["ProgramArguments"]
    assert command[:2] == ["/bin/sh", "-c"] and command[2].startswith(". /opt/ollama/environment; exec /opt/ollama/current/ollama")


def test_the_wall_stands_before_the_engine():
    assert [path for path in engine(OPEN, MAC).decide(False)["jobs"] if "preload" not in path] == [
        "/Library/LaunchDaemons/com.local-llm.ollama-firewall.plist",
        "/Library/LaunchDaemons/com.local-llm.ollama.plist",
    ]
    assert "Requires=ollama-firewall.service" in content(engine(OPEN), "ollama.service")


def test_an_open_engine_has_a_wall():
    assert "com.local-llm.ollama-firewall" not in jobs(engine({}, MAC)) and content(engine(), "firewall.nft") == ""
    rules = content(engine(OPEN, MAC), "firewall.pf")
    assert [line for line in rules.splitlines() if not line.startswith("#")] == [
        "pass in quick on lo0 proto tcp to any port 11434",
        "pass in quick proto tcp from 192.0.2.30 to any port 11434",
        "pass in quick proto tcp from 198.51.100.0/24 to any port 11434",
        "block drop in quick proto tcp to any port 11434",
    ]
    assert "tcp dport 11434 ip saddr { 192.0.2.30, 198.51.100.0/24 } accept" in content(engine(OPEN), "firewall.nft")
    assert jobs(engine(OPEN, MAC))["com.local-llm.ollama-firewall"]["ProgramArguments"][1:4] == ["-E", "-a", "com.apple/local-llm"]


def test_on_linux_it_is_a_unit_with_what_it_needs():
    nvidia = {**PLAN, "budget": {"kind": "dedicated", "vendor": "nvidia"}}
    unit = content(engine(plan=nvidia), "ollama.service")
    assert "nvidia-modprobe" in unit and "SupplementaryGroups=render video" in unit and "PrivateDevices" not in unit
    assert "nvidia-modprobe" not in content(engine(), "ollama.service")
    assert "PrivateDevices=yes" in content(engine(plan=None), "ollama.service")
    node = replace(LINUX, ca_pem="PEM")
    chosen = {"site_proxy": PROXY, "ollama_native_environment": {"OLLAMA_DEBUG": 1, "A": 'say "x"'}, "ollama_native_home": "/srv/models/"}
    lines = content(engine(chosen, node), "ollama.env").splitlines()
    assert 'OLLAMA_HOST="127.0.0.1:11434"' in lines and 'OLLAMA_DEBUG="1"' in lines and 'A="say \\"x\\""' in lines
    assert 'HTTPS_PROXY="%s"' % PROXY in lines and 'NO_PROXY="localhost,127.0.0.1,::1"' in lines and 'HOME="/srv/models"' in lines
    assert 'SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt"' in lines
    preload = content(engine({"site_ollama_bind": "0.0.0.0", "site_ollama_allow": ["192.0.2.1"]}), "ollama-preload.service")
    assert "preload.py http://127.0.0.1:11434 /opt/local_llm/plan.json" in preload
    assert content(engine({"ollama_native_preload": False}), "ollama-preload.service") == ""


def test_what_is_read_is_what_is_judged():
    for node in (LINUX, MAC):
        asked = parameters({**DEFAULTS, **OPEN}, {**DEFAULTS, **OPEN}, node)
        assert asked["files"] == engine(OPEN, node).decide(False)["paths"] and asked["dir"] == "/opt/ollama"


# What has to be done


def test_a_bare_host_gets_all_of_it():
    made = engine()
    decision = made.decide(True)
    assert told(made)[:3] == [("user ollama", "is not there"), ("/var/lib/ollama", "is not there"), ("Ollama 0.40.2", "is to be installed")]
    assert decision["prepare"] and decision["start"] and not decision["was_started"] and not decision["result"]["exists"]
    assert decision["result"]["models_dir"] == "/var/lib/ollama/models" and made.decide(False)["result"]["exists"]
    assert [one["path"] for one in decision["files"]] == [
        "/etc/systemd/system/ollama.service",
        "/opt/ollama/ollama.env",
        "/etc/systemd/system/ollama-preload.service",
        "/opt/ollama/preload.py",
    ]
    assert not any(restarts for _what, _why, restarts in made.changes())


@pytest.mark.parametrize("node", [LINUX, MAC])
@pytest.mark.parametrize("changes", [{}, OPEN, {"ollama_native_source": "homebrew"}, {"ollama_native_never_sleep": True}])
def test_one_that_runs_as_it_should_has_nothing_to_do(node, changes):
    decision = running(changes, node).decide(True)
    assert decision["changes"] == [] and not decision["start"] and not decision["prepare"] and decision["result"]["exists"]
    assert running(changes, node).fault == "" and not decision["result"]["restarts"]


UNIT = "/etc/systemd/system/ollama.service"


def edited(**changes):
    files = dict(running().reading["files"])
    files[UNIT] = {**files[UNIT], **changes}
    return {"files": files}


@pytest.mark.parametrize(
    ("settings", "reading", "changes", "fault"),
    [
        ({}, {"active": False}, [("ollama", "does not run")], "does not run"),
        ({}, {"started": []}, [("ollama", "runs with other settings")], "runs with other settings than it was given"),
        ({}, edited(sha256="0"), [(UNIT, "differs")], "runs with other settings than it was given"),
        ({}, edited(mode="0666"), [(UNIT, "has another mode or owner")], "runs with other settings than it was given"),
        (OPEN, {"firewall": False}, [("firewall", "its rules are not in force")], "is open to everybody"),
        ({}, {"installed": ""}, [("Ollama 0.40.2", "is to be installed")], "is not the version that is meant"),
        (
            {},
            {"installed": "0.39.0", "versions": ["0.39.0", "0.40.2"]},
            [("Ollama 0.40.2", "is to take the place of 0.39.0")],
            "is not the version that is meant",
        ),
        ({}, {"user": None}, [("user ollama", "is not there")], ""),
        ({}, {"home": False}, [("/var/lib/ollama", "is not there")], ""),
    ],
)
def test_what_differs_is_told(settings, reading, changes, fault):
    made = running(settings, **reading)
    assert (told(made), made.fault) == (changes, fault)


def test_a_change_interrupts_an_engine_that_runs():
    assert running(started=[]).changes() == [("ollama", "runs with other settings", ["ollama"])]
    assert running(active=False).changes() == [("ollama", "does not run", [])]
    lacking = running(OPEN, has_firewall_tool=False, firewall=False)
    assert told(lacking) == [("nftables", "is not there"), ("firewall", "its rules are not in force")] and lacking.decide(False)["prepare"]


def test_what_is_not_needed_any_more_goes():
    closed = running(files={**running(OPEN).reading["files"], **running().reading["files"]})
    assert closed.unneeded == ["/opt/ollama/firewall.nft", "/etc/systemd/system/ollama-firewall.service"]
    assert told(closed) == [(path, "is not needed any more") for path in closed.unneeded]
    assert closed.decide(False)["saved"] == [*closed.unneeded, "/opt/ollama/current"]


def test_the_version_to_go_back_to():
    # After a run that was cut the link says what has never started.
    cut = running(versions=["0.39.0", "0.40.2"], started=["x", "0.39.0"])
    assert cut.former == "0.39.0" and cut.older == []
    assert running(versions=["0.40.2"]).former == "" and running(versions=["0.38.0", "0.40.2"]).older == []
    three = running(versions=["0.38.0", "0.39.0", "0.40.2"], installed="0.39.0")
    assert (three.former, three.older) == ("0.39.0", ["0.38.0"])
    assert ("Ollama 0.38.0", "is an older version") in told(three)


@pytest.mark.parametrize(
    ("sleep", "awake"),
    [({"sleep": ["1"], "autorestart": ["0"]}, False), ({"sleep": ["0", "1"], "autorestart": ["1"]}, False), ({}, True), (None, True)],
)
def test_a_mac_is_kept_awake(sleep, awake):
    made = running({"ollama_native_never_sleep": True}, MAC, **({"sleep": sleep} if sleep is not None else {}))
    assert made.is_awake is awake and running({}, MAC, sleep={"sleep": ["1"]}).is_awake
    assert made.decide(False)["wake"] is not awake and (awake or told(made)[0][0] == "sleep")


def test_a_mac_without_its_folder_gets_one():
    assert engine({}, MAC, above=False).decide(False)["makes_parent"]
    assert not engine({"ollama_native_home": "/Volumes/x/ollama"}, MAC, above=False).decide(False)["makes_parent"]


def test_another_address_is_not_asked_in_check_mode():
    moved = running(address="192.0.2.7:11434")
    assert not moved.decide(True)["result"]["exists"] and moved.decide(False)["result"]["exists"]


def test_without_a_plan_it_is_left_as_it_is():
    (problem,) = engine(plan=None).decide(False)["problems"]
    assert problem.startswith("plan.json: this host has none of this version yet") and engine(plan=None).problems() == []


# What is wrong

PERSON = {"user": {"uid": 1000, "shell": "/bin/bash", "comment": ""}}


@pytest.mark.parametrize(
    ("changes", "node", "reading", "beginnings"),
    [
        ({}, LINUX, {}, []),
        ({}, MAC, {"release": "15.5"}, []),
        ({"ollama_native_source": "homebrew"}, LINUX, {}, ["ollama_native_source: Homebrew is for macOS; set archive"]),
        ({"ollama_native_source": "homebrew", "ollama_native_version": "0"}, MAC, {}, []),
        (
            {},
            replace(LINUX, architecture="riscv64"),
            {},
            ["the host is riscv64; Ollama computes on Apple Silicon, x86_64 and aarch64", "ollama_native_checksums"],
        ),
        ({}, replace(MAC, architecture="x86_64"), {}, ["the host is x86_64; Ollama computes on Apple Silicon"]),
        ({}, MAC, {"release": "13.6"}, ["the host runs macOS 13.6; Ollama asks for 14 or newer"]),
        (
            {"ollama_native_version": "0.41.0"},
            LINUX,
            {},
            ["ollama_native_checksums: there is none for ollama-linux-amd64.tar.zst of 0.41.0; set the one"],
        ),
        ({"ollama_native_version": "0.41.0"}, LINUX, {"versions": ["0.41.0"], "installed": "0.41.0"}, []),
        ({"ollama_native_version": "0.41.0", "ollama_native_checksums": {"ollama-linux-amd64.tar.zst": "a" * 64}}, LINUX, {}, []),
        (
            {"ollama_native_version": "0.17.0", "ollama_native_checksums": {"ollama-linux-amd64.tar.zst": "a" * 64}},
            LINUX,
            {},
            ["ollama_native_version: 0.17.0 is older than site_ollama_floor (0.17.1); set a newer one"],
        ),
        ({}, LINUX, PERSON, ["ollama_native_user: ollama is a user of this host who may log in (/bin/bash)"]),
        ({}, LINUX, {"user": {"uid": 9, "shell": "/usr/bin/false", "comment": ""}}, []),
        ({}, LINUX, {"user": {"uid": 9, "shell": "", "comment": ""}}, []),
        ({}, LINUX, {"foreign": True}, ["this host has an ollama.service of its own; take it off"]),
        ({"ollama_native_home": "/srv/models/ollama"}, LINUX, {"above": False}, ["ollama_native_home: there is no folder /srv/models; mount"]),
        (
            {"site_ollama_bind": "192.0.2.8", "site_ollama_allow": ["192.0.2.1"]},
            LINUX,
            {},
            ["site_ollama_bind: the host has no address 192.0.2.8; set one of 127.0.0.1, 192.0.2.7 or 0.0.0.0"],
        ),
        (OPEN, LINUX, {}, []),
        ({"site_ollama_bind": "0.0.0.0", "site_ollama_allow": ["192.0.2.1"]}, LINUX, {}, []),
        ({"site_ollama_bind": "192.0.2.8", "site_ollama_allow": ["192.0.2.1"]}, LINUX, {"addresses": []}, []),
        ({"site_ollama_bind": "0.0.0.0"}, LINUX, {}, ["site_ollama_allow: site_ollama_bind is 0.0.0.0, and nobody is let in"]),
        ({**OPEN, "site_ollama_allow": ["gateway.example.com"]}, LINUX, {}, ["site_ollama_allow: each is an address or network of IPv4"]),
    ],
)  # fmt: skip
def test_what_is_wrong(changes, node, reading, beginnings):
    found = engine(changes, node, **reading).problems()
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found
