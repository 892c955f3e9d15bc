# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about a host's Docker."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.docker_engine import DaemonJsonError, decide, decode, parse

ROTATION = {"max-size": "10m", "max-file": "3"}
SYSTEM = {"id": "debian", "version": "13", "like": "", "name": "Debian 13", "package_tool": "apt", "machine": "x86_64"}
DAEMON = {
    "installed": True,
    "snap": False,
    "version": "26.1.5",
    "errors": [],
    "compose_version": "2.26.1",
    "data_root": "/var/lib/docker",
    "log_driver": "json-file",
    "mirrors": [],
    "insecure": ["docker.io"],
    "has_proxy": False,
    "runtimes": ["runc"],
    "cdi": False,
    "applied": True,
    "unfinished": False,
    "flags": [{"flag": "host", "key": "hosts", "values": ["fd://"], "file": "/lib/systemd/system/docker.service"}],
}
NONE = {**DAEMON, "installed": False, "version": "", "compose_version": "", "data_root": "", "log_driver": "", "flags": []}
SETTINGS = {
    "source": "auto",
    "packages": {"Debian 12": [], "Debian 13": ["docker.io"], "Ubuntu 24.04": ["docker.io"], "RedHat 9": []},
    "docker_packages": ["docker-ce"],
    "log_rotation": ROTATION,
}


def flag(name, *values, key=None):
    return {"flag": name, "key": key or name, "values": list(values), "file": "/etc/default/docker"}


def plan(daemon=None, there="", system=None, **settings):
    text = there if isinstance(there, bytes) else (json.dumps(there) if isinstance(there, dict) else there).encode()
    return decide({"system": system or SYSTEM, "daemon": daemon or DAEMON}, base64.b64encode(text).decode(), {**SETTINGS, **settings})


# What the daemon's command line has.
@pytest.mark.parametrize(
    ("flags", "there", "settings", "after", "problem", "note"),
    [
        # The unit chooses a driver that does not rotate: no driver and no options, or Docker would not start.
        ([flag("log-driver", "journald")], {}, {}, {}, "", ""),
        # The unit chooses one that rotates: its options are another key.
        ([flag("log-driver", "json-file")], {}, {}, {"log-opts": ROTATION}, "", ""),
        ([flag("log-opt", "max-size=50m", key="log-opts")], {}, {}, {}, "", ""),
        ([flag("log-driver", "local"), flag("log-opt", "max-size=1m", key="log-opts")], {"debug": True}, {}, {"debug": True}, "", ""),
        # What is wanted stands on the command line already.
        (
            [flag("insecure-registry", "a:5000", "b:5000", key="insecure-registries")],
            {},
            {"insecure_registries": ["a:5000"], "log_rotation": {}},
            {},
            "",
            "insecure-registries stands on Docker's command line (/etc/default/docker), and is left out of /etc/docker/daemon.json",
        ),
        # Something else does.
        (
            [flag("insecure-registry", "b:5000", key="insecure-registries")],
            {},
            {"insecure_registries": ["a:5000"], "log_rotation": {}},
            {},
            "site_insecure_registries: /etc/default/docker sets insecure-registries on Docker's command line, and Docker does not start when"
            " /etc/docker/daemon.json has it, too; move it from there into /etc/docker/daemon.json (or add a:5000 there",
            "",
        ),
        (
            [flag("registry-mirror", "http://b", key="registry-mirrors")],
            {},
            {"registry_mirrors": ["http://a"], "log_rotation": {}},
            {},
            "site_registry_mirrors: ",
            "",
        ),
        ([flag("https-proxy")], {}, {"proxy": "http://p:3128", "log_rotation": {}}, {}, "site_proxy: /etc/default/docker sets proxies", ""),
        ([flag("debug", "")], {}, {"daemon_config": {"debug": True}, "log_rotation": {}}, {}, "", "debug stands on Docker's command line"),
        (
            [flag("data-root", "/a")],
            {},
            {"daemon_config": {"data-root": "/b"}, "log_rotation": {}},
            {},
            "docker_engine_daemon_config: ",
            "",
        ),
        # The daemon merges runtimes from both places.
        (
            [flag("add-runtime", "kata=/k", key="runtimes")],
            {},
            {"defaults": {"runtimes": {"nvidia": {"path": "n"}}}, "log_rotation": {}},
            {"runtimes": {"nvidia": {"path": "n"}}},
            "",
            "",
        ),
        # What another role would like is left to who has set it otherwise.
        ([flag("exec-opt", "x", key="exec-opts")], {}, {"defaults": {"exec-opts": ["y"]}, "log_rotation": {}}, {}, "", ""),
    ],
)
def test_flags(flags, there, settings, after, problem, note):
    decision = plan({**DAEMON, "flags": flags}, there, **settings)
    assert decision["after"] == after
    assert len(decision["problems"]) == bool(problem) and problem in "".join(decision["problems"])
    assert len(decision["notes"]) == bool(note) and note in "".join(decision["notes"])


@pytest.mark.parametrize(
    ("running", "there", "after"),
    [
        ("json-file", {}, {"log-driver": "json-file", "log-opts": ROTATION}),
        ("local", {}, {"log-driver": "local", "log-opts": ROTATION}),
        ("", {}, {"log-driver": "json-file", "log-opts": ROTATION}),
        # Chosen in a way that nothing shows but `docker info`.
        ("journald", {}, {}),
        ("json-file", {"log-driver": "fluentd"}, {"log-driver": "fluentd"}),
        ("journald", {"log-driver": "json-file"}, {"log-driver": "json-file", "log-opts": ROTATION}),
        ("json-file", {"log-opts": {"max-size": "1g"}}, {"log-driver": "json-file", "log-opts": {"max-size": "1g", "max-file": "3"}}),
    ],
)
def test_rotation_only_where_the_driver_rotates(running, there, after):
    assert plan({**DAEMON, "log_driver": running}, there)["after"] == after


def test_a_file_is_checked_with_the_flags_of_the_unit():
    flags = [
        flag("log-driver", "journald"),
        flag("label", "a=b c", key="labels"),
        flag("debug", ""),
        flag("log-opt", "tag=%n", key="log-opts"),
    ]
    assert plan({**DAEMON, "flags": flags})["validate"] == (
        "dockerd --validate --log-driver=journald '--label=a=b c' --debug --log-opt=tag=%%n --config-file %s"
    )
    assert plan({**DAEMON, "version": "20.10.24+dfsg1"})["validate"] == ""
    assert plan({**DAEMON, "version": "23.0.1"})["validate"].endswith("%s")


def test_docker_before_23_takes_no_proxy_from_its_file():
    decision = plan({**DAEMON, "version": "20.10.24", "compose_version": "2.24.5"}, proxy="http://p:3128")
    assert decision["good"] and "proxies" not in decision["after"]
    assert "site_proxy: Docker 20.10.24 takes no proxies from /etc/docker/daemon.json" in decision["problems"][0]
    assert plan({**DAEMON, "version": "23.0"}, proxy="http://p:3128", no_proxy=["a", "b"])["after"]["proxies"]["no-proxy"] == "a,b"


# Byte order marks, as Docker reads them.
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding):
    text = '{"data-root": "/srv/dépôt"}'
    assert plan(there=text.encode(encoding), log_rotation={})["after"] == {"data-root": "/srv/dépôt"}


def test_utf_16_of_the_other_order():
    assert parse(decode(b"\xfe\xff" + '{"a": 1}'.encode("utf-16-be"))) == {"a": 1}


@pytest.mark.parametrize("text", [b"\xff\xfe{", b"\x80", b"{", b"[]", b'{"a": NaN}', b'{"a": 1,}', b"\0\0"])
def test_what_is_not_json_is_left_as_it_is(text):
    problem = plan(there=text)["problems"][0]
    assert problem.startswith("/etc/docker/daemon.json is not ") and "left as it is" in problem


def test_text_that_is_not_text():
    with pytest.raises(DaemonJsonError, match="is not text"):
        decode(b"\x80")


# Where Docker comes from.
UBUNTU = {**SYSTEM, "id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04"}
MINT = {**SYSTEM, "id": "linuxmint", "like": "ubuntu debian", "version": "22", "base_codename": "noble", "name": "Linux Mint 22"}
ORACLE = {**SYSTEM, "id": "ol", "like": "fedora", "version": "9.5", "name": "Oracle Linux Server 9.5", "package_tool": "dnf"}
KALI = {**SYSTEM, "id": "kali", "like": "debian", "version": "2026.3", "name": "Kali 2026.3"}
SUSE = {**SYSTEM, "id": "opensuse-leap", "like": "suse opensuse", "version": "15.6", "name": "openSUSE Leap 15.6", "package_tool": "zypper"}


@pytest.mark.parametrize(
    ("system", "settings", "source", "packages", "repository", "suite", "problem"),
    [
        (SYSTEM, {}, "distribution", ["docker.io"], "debian", "trixie", ""),
        (SYSTEM, {"source": "docker"}, "docker", ["docker-ce"], "debian", "trixie", ""),
        ({**SYSTEM, "version": "12"}, {}, "docker", ["docker-ce"], "debian", "bookworm", ""),
        (
            {**SYSTEM, "version": "12"},
            {"source": "distribution"},
            "distribution",
            [],
            "debian",
            "bookworm",
            "Debian 12 has no Compose v2 of its own",
        ),
        (UBUNTU, {}, "distribution", ["docker.io"], "ubuntu", "noble", ""),
        (MINT, {}, "distribution", ["docker.io"], "ubuntu", "noble", ""),
        (MINT, {"source": "docker"}, "docker", ["docker-ce"], "ubuntu", "noble", ""),
        (ORACLE, {}, "docker", ["docker-ce"], "centos", "", ""),
        ({**ORACLE, "id": "rhel", "like": "fedora"}, {}, "docker", ["docker-ce"], "rhel", "", ""),
        (KALI, {}, "docker", ["docker-ce"], "kali", "", "Kali 2026.3 is not one of Debian 12, Debian 13, Ubuntu 24.04, RedHat 9"),
        (SUSE, {}, "docker", ["docker-ce"], "opensuse-leap", "", "openSUSE Leap 15.6 is not one of"),
        (SUSE, {"source": "docker"}, "docker", ["docker-ce"], "opensuse-leap", "", "has neither apt-get nor dnf"),
    ],
)
def test_sources(system, settings, source, packages, repository, suite, problem):
    decision = plan(NONE, system=system, **settings)
    assert not decision["good"]
    assert (decision["source"], decision["packages"], decision["repository"], decision["suite"]) == (source, packages, repository, suite)
    assert problem in "".join(decision["problems"]) and len(decision["problems"]) == bool(problem)


def test_a_derivative_is_said():
    assert "Linux Mint 22 is treated as Ubuntu 24.04" in plan(NONE, system=MINT)["notes"][0]
    assert plan(system=MINT)["notes"] == []  # a Docker that is good is nobody's business


@pytest.mark.parametrize(
    ("daemon", "settings", "problem"),
    [
        ({**DAEMON, "compose_version": ""}, {}, "Docker 26.1.5 is here with Compose missing, and Compose 2.20.2 or newer is needed"),
        ({**DAEMON, "compose_version": "2.17.3"}, {}, "with Compose 2.17.3"),
        ({**DAEMON, "compose_version": "2.17.3"}, {"source": "docker"}, ""),
        ({**DAEMON, "version": "", "compose_version": "2.26.1"}, {}, ""),  # is started first
        ({**NONE, "snap": True}, {}, "snap remove docker"),
        ({**DAEMON, "data_root": "/var/snap/docker/common"}, {}, "snap remove docker"),
    ],
)
def test_a_docker_that_is_there(daemon, settings, problem):
    problems = plan(daemon, **settings)["problems"]
    assert problem in "".join(problems) and len(problems) == bool(problem)


# A run that was cut between writing the file and the restart.
@pytest.mark.parametrize(
    ("there", "daemon", "stale"),
    [
        ({"registry-mirrors": ["http://a"]}, {}, True),
        ({"registry-mirrors": ["http://a"]}, {"mirrors": ["http://a/"]}, False),
        ({"registry-mirrors": ["http://a/"]}, {"mirrors": ["http://a/"]}, False),
        ({"insecure-registries": ["a:1", "10.0.0.0/8"]}, {"insecure": ["a:1"]}, False),
        ({"insecure-registries": ["a:1"]}, {}, True),
        ({"proxies": {"https-proxy": "http://p"}}, {}, True),
        ({"proxies": {"https-proxy": "http://p"}}, {"has_proxy": True}, False),
        ({"runtimes": {"nvidia": {}}}, {}, True),
        ({"features": {"cdi": True}}, {}, True),
        ({"features": {"cdi": True}}, {"version": "24.0.7"}, False),
        ({"features": {"cdi": True}}, {"cdi": True}, False),
        ({}, {}, False),
        ({"debug": True}, {"unfinished": True, "applied": False}, True),
        ({"debug": True}, {"unfinished": True, "applied": True}, False),
    ],
)
def test_stale(there, daemon, stale):
    assert plan({**DAEMON, **daemon}, there)["stale"] is stale


@pytest.mark.parametrize(
    ("daemon", "finished"),
    [
        ({}, False),
        ({"unfinished": True}, True),
        ({"unfinished": True, "applied": False}, False),
        ({"unfinished": True, "version": ""}, False),
    ],
)
def test_what_a_cut_run_has_left(daemon, finished):
    assert plan({**DAEMON, **daemon})["finished"] is finished


@pytest.mark.parametrize(
    "there",
    [{"proxies": "x"}, {"insecure-registries": [1]}, {"registry-mirrors": "http://a"}, {"runtimes": []}, {"log-opts": ["max-size=1m"]}],
)
def test_values_that_docker_would_not_start_with(there):
    (problem,) = plan(there=there)["problems"]
    assert problem.startswith("/etc/docker/daemon.json was left as it is: %s is not " % next(iter(there)))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"registry_mirrors": "http://m"}, "site_registry_mirrors: it is not a list; it is 'http://m'"),
        ({"insecure_registries": "a:1"}, "site_insecure_registries: it is not a list; it is 'a:1'"),
        ({"daemon_config": ["a"]}, "docker_engine_daemon_config: it is not a mapping; it is ['a']"),
    ],
)
def test_settings_of_another_kind(settings, problem):
    assert plan(**settings)["problems"] == [problem]


@pytest.mark.parametrize(("path", "problems"), [("/etc/docker/daemon.json", 0), ("/srv/docker.json", 1)])
def test_a_daemon_that_reads_another_file_is_not_given_one(path, problems):
    found = plan({**DAEMON, "flags": [flag("config-file", path)]})["problems"]
    assert len(found) == problems and all(line.startswith(path + ": Docker's command line reads its settings from there") for line in found)
