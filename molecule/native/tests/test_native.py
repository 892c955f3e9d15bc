# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ollama without a container, on real hosts: what it is, what it survives, and how versions come and go."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import Run, ask, docker, reboot, refused, run, sh, until, well

Run.inventory = TOP / "molecule/native/inventory"
ALONE, MIXED = "molecule-native", "molecule-mixed"
ENGINE = "http://172.30.90.71:11434"
SITE = "local-llm-lab-site"
ARCHIVE = "ollama-linux-amd64.tar.zst"


def get(url):
    with urllib.request.urlopen(url, timeout=3) as answer:
        return json.load(answer)


def version(host=ALONE):
    """What the engine says it is, asked on its host; an empty text where it does not answer."""
    address = "172.30.90.71" if host == ALONE else "127.0.0.1"
    script = f"import json, urllib.request; print(json.load(urllib.request.urlopen('http://{address}:11434/api/version'))['version'])"
    return docker("exec", host, "python3", "-c", script, check=False).strip()


def other(number):
    """The settings of another version, as a user sets them."""
    checksum = docker("exec", SITE, "cut", "-c1-64", f"/srv/ollama/v{number}/sha256sum.txt").strip()
    return {"ollama_native_version": number, "ollama_native_checksums": {ARCHIVE: checksum}}


def versions():
    return sh(ALONE, "ls /opt/ollama/versions; readlink /opt/ollama/current").split()


# What it is


def test_it_runs_as_a_user_of_its_own_and_may_do_little():
    user, groups = sh(ALONE, "ps -o user:20= -p $(systemctl show -p MainPID --value ollama); id -nG ollama").split("\n")[:2]
    assert (user.strip(), groups) == ("ollama", "ollama")
    level = re.search(r"exposure level for ollama.service: ([0-9.]+)", sh(ALONE, "systemd-analyze security ollama.service")).group(1)
    assert float(level) < 2
    assert sh(ALONE, "stat -c '%U %a' /var/lib/ollama /opt/ollama/ollama.env /opt/ollama/current/bin/ollama").split("\n")[:3] == [
        "ollama 750",
        "root 600",
        "root 755",
    ]


def test_the_host_has_no_docker_and_verifies():
    assert sh(ALONE, "command -v docker || true") == ""
    assert sh(ALONE, "systemctl --failed --plain --no-legend") == ""
    well(ALONE)


def test_it_listens_where_it_was_told_and_to_whom():
    assert re.findall(r"(\S+):11434", sh(ALONE, "ss -Hltn sport = 11434"))[0] == "172.30.90.71"
    assert get(ENGINE + "/api/version")["version"]  # from the address that is let in
    script = f"import urllib.request; urllib.request.urlopen('{ENGINE}/api/version', timeout=3)"
    assert docker("exec", MIXED, "python3", "-c", script + "; print('open')", check=False) == ""
    # The wall is what keeps it out, and not the way: another port of the host answers.
    assert "SSH" in docker("exec", MIXED, "python3", "-c", "import socket; print(socket.create_connection(('172.30.90.71', 22)).recv(9))")


ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('', 5353)); server.settimeout(10)
text, sender = server.recvfrom(9); server.sendto(text, sender)
"""
SAY = """
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(3); client.sendto(b'hello', ('172.30.90.71', 5353)); print(client.recv(9).decode())
"""


def test_the_wall_is_for_one_port_alone():
    docker("exec", "-d", ALONE, "python3", "-c", ECHO)
    until(lambda: "5353" in sh(ALONE, "ss -Huln sport = 5353"), 10, "nobody listens")
    assert docker("exec", MIXED, "python3", "-c", SAY).strip() == "hello"
    assert "inet local_llm" in sh(ALONE, "nft list tables")


def test_a_gateway_in_containers_asks_it_by_the_name_of_the_host():
    assert "every part of this chain works" in ask(MIXED)
    assert sh(MIXED, "docker ps --format '{{.Names}}'").split() == ["litellm", "litellm_db"]
    assert "http://host.docker.internal:11434" in sh(MIXED, "cat /opt/local_llm/config.yml")
    script = "import urllib.request; urllib.request.urlopen('http://172.30.90.72:11434/api/version', timeout=3); print('open')"
    assert docker("exec", ALONE, "python3", "-c", script, check=False) == ""
    well(MIXED)


def test_a_restart_of_the_host_brings_it_back_with_its_models():
    reboot(ALONE)
    until(lambda: version() == "0.9.3", 60, "the engine does not answer")
    until(lambda: get(ENGINE + "/api/ps")["models"], 60, "the model is not in memory")
    well(ALONE)


# What it survives


def test_rules_of_the_host_that_flush_everything_bring_the_wall_back():
    sh(ALONE, "printf '#!/usr/sbin/nft -f\\nflush ruleset\\n' >/etc/nftables.conf; systemctl start nftables; systemctl restart nftables")
    until(lambda: "inet local_llm" in sh(ALONE, "nft list tables"), 20, "the wall is not back")
    # The host's name service is Docker's, and a rule, too: a restart brings that back.
    sh(ALONE, "systemctl disable --quiet nftables 2>/dev/null || true")
    reboot(ALONE)
    until(lambda: version() == "0.9.3", 60, "the engine does not answer")
    well(ALONE)


@pytest.mark.parametrize(
    ("damage", "repaired"),
    {
        "the wall is gone": ("nft delete table inet local_llm", "Have systemd start it"),
        "it is stopped": ("systemctl stop ollama", "Have systemd start it"),
        "its unit is edited": (
            "sed -i s/ProtectHome=yes/ProtectHome=no/ /etc/systemd/system/ollama.service",
            "Write the files of the service",
        ),
        "its environment is opened to others": ("chmod 644 /opt/ollama/ollama.env", "Write the files of the service"),
        "a run was cut before its restart": ("rm /opt/ollama/started", "Have systemd start it"),
        "the link is gone": ("rm /opt/ollama/current", "Put it in place"),
    }.values(),
    ids=lambda value: value if " " in value and not value.islower() else None,
)
def test_damage_is_seen_and_mended(damage, repaired):
    sh(ALONE, damage)
    assert run(ALONE, playbook="playbooks/verify.yml").failed
    done = run(ALONE)
    assert not done.failed and repaired in done.changed
    well(ALONE)


# How versions come and go


def test_an_archive_with_another_checksum_is_refused():
    settings = {**other("0.9.4"), "ollama_native_checksums": {ARCHIVE: "0" * 64}}
    done = run(ALONE, settings)
    assert done.failed and "ollama_native_checksums: http://site.lab/ollama/v0.9.4/" + ARCHIVE in done.message
    assert (version(), versions()) == ("0.9.3", ["0.9.3", "versions/0.9.3"])
    well(ALONE)


def test_a_version_without_a_checksum_is_refused():
    assert "sha256sum.txt" in refused(ALONE, {"ollama_native_version": "0.9.4", "ollama_native_checksums": {}})


def test_a_version_that_nobody_has_is_refused():
    done = run(ALONE, {"ollama_native_version": "0.9.9", "ollama_native_checksums": {ARCHIVE: "0" * 64}})
    assert done.failed and "cannot be fetched (HTTP Error 404" in done.message
    well(ALONE)


def test_an_upgrade_that_does_not_start_goes_back_by_itself():
    done = run(ALONE, {**other("0.9.5"), "ollama_native_wait_timeout": 5})
    assert done.failed
    assert "Ollama 0.9.5 did not start with the new /opt/ollama/current" in done.message
    assert "this one does not start" in done.message  # its own last words
    assert "0.9.3 runs again" in done.message
    assert (version(), versions()) == ("0.9.3", ["0.9.3", "versions/0.9.3"])
    well(ALONE)


def test_a_run_that_was_cut_before_the_start_knows_the_way_back():
    """The link says the new version already; what has started last is the one before."""
    sh(ALONE, "mkdir -p /opt/ollama/versions/0.9.5/bin && printf '#!/bin/sh\\nexit 1\\n' >/opt/ollama/versions/0.9.5/bin/ollama")
    sh(ALONE, "chmod 755 /opt/ollama/versions/0.9.5/bin/ollama; ln -sfn versions/0.9.5 /opt/ollama/current")
    done = run(ALONE, {**other("0.9.5"), "ollama_native_wait_timeout": 5})
    assert done.failed and "0.9.3 runs again" in done.message
    assert (version(), versions()) == ("0.9.3", ["0.9.3", "versions/0.9.3"])
    well(ALONE)


def test_settings_that_it_does_not_start_with_are_put_back():
    before = sh(ALONE, "cat /opt/ollama/ollama.env /etc/systemd/system/ollama.service")
    settings = {"ollama_native_environment": {"OLLAMA_HOST": "256.1.1.1:11434"}, "ollama_native_wait_timeout": 10}
    done = run(ALONE, settings)
    assert done.failed and "did not start with the new /opt/ollama/ollama.env" in done.message
    assert "runs again. What was refused is /opt/ollama/ollama.env.refused" in done.message and "256.1.1.1" in done.message
    assert sh(ALONE, "cat /opt/ollama/ollama.env /etc/systemd/system/ollama.service") == before and version() == "0.9.3"
    well(ALONE)


def test_an_upgrade_is_foretold_done_and_taken_back():
    settings = other("0.9.4")
    before = versions()
    done = run(ALONE, settings, options=["--check"])
    assert not done.failed and "Say what would be installed" in done.changed and versions() == before
    assert not run(ALONE, settings).failed
    assert (version(), versions()) == ("0.9.4", ["0.9.3", "0.9.4", "versions/0.9.4"])
    well(ALONE, settings)
    done = run(ALONE)  # the way back fetches nothing
    assert not done.failed and "Unpack it" not in done.changed
    assert (version(), versions()) == ("0.9.3", ["0.9.3", "0.9.4", "versions/0.9.3"])
    well(ALONE)


# What it leaves alone


def test_a_user_who_may_log_in_is_not_taken_for_the_services():
    sh(ALONE, "id -u people >/dev/null 2>&1 || useradd --create-home --shell /bin/bash people")
    assert "ollama_native_user: people is a user of this host who may log in (/bin/bash)" in refused(
        ALONE, {"ollama_native_user": "people"}
    )


def test_an_ollama_of_its_own_is_not_replaced():
    sh(
        MIXED,
        "cp /etc/systemd/system/ollama.service /root/kept; printf '[Service]\\nExecStart=/usr/local/bin/ollama serve\\n' >/etc/systemd/system/ollama.service",
    )
    try:
        assert "this host has an ollama.service of its own" in refused(MIXED)
    finally:
        sh(MIXED, "cp /root/kept /etc/systemd/system/ollama.service; systemctl daemon-reload")
    well(MIXED)


def test_a_gateway_in_containers_is_told_of_an_engine_on_loopback():
    assert "site_ollama_bind: the gateway in its container cannot reach an engine on 127.0.0.1" in refused(
        MIXED, {"site_ollama_bind": "127.0.0.1"}
    )


BAD_DOORS = {
    "nobody": ({"site_ollama_allow": []}, "site_ollama_allow: site_ollama_bind is 172.30.90.71, and nobody is let in"),
    "no address": ({"site_ollama_allow": ["172.30.90.999"]}, "site_ollama_allow: each is an address or network of IPv4 (172.30.90.999)"),
    "no list": ({"site_ollama_allow": "172.30.90.1"}, "site_ollama_allow: it is no list"),
    "name": ({"site_ollama_bind": "box7"}, "site_ollama_bind: it is no address of IPv4 (box7)"),
    "elsewhere": ({"site_ollama_bind": "172.30.90.199"}, "site_ollama_bind: the host has no address 172.30.90.199; set one of"),
}


@pytest.mark.parametrize(("settings", "says"), BAD_DOORS.values(), ids=BAD_DOORS)
def test_an_open_engine_needs_an_address_and_somebody_to_be_open_for(settings, says):
    assert says in refused(ALONE, settings)


def test_another_address_is_foretold():
    done = Run(ALONE, {"site_ollama_bind": "127.0.0.1"}, options=["--check"]).end()
    assert not done.failed and "Start it, or start it anew" in done.text
    well(ALONE)


def test_the_models_stay_when_it_is_taken_away():
    assert not run(ALONE, playbook="playbooks/uninstall.yml").failed
    assert version() == ""
    assert sh(ALONE, "ls -d /opt/ollama /etc/systemd/system/ollama* 2>/dev/null || true; nft list tables | grep local_llm || true") == ""
    assert sh(ALONE, "ls /var/lib/ollama/models") == "blobs\nmanifests\n"
    assert run(ALONE, playbook="playbooks/uninstall.yml").changed == []
    done = run(ALONE)
    assert not done.failed and "pulled" not in done.text
    well(ALONE)
