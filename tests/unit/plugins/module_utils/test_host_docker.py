# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's flags are read as they run, and as the unit would start it next."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, docker

SHOW = """MainPID=42
ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// --containerd=/c.sock $DOCKER_OPTS ${ONE} ; ignore_errors=no ; pid=0 }
Environment=ONE=--label=a
EnvironmentFiles=/etc/default/docker (ignore_errors=yes)
FragmentPath=/lib/systemd/system/docker.service
DropInPaths=/etc/systemd/system/docker.service.d/logs.conf
"""


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ("-H fd:// --containerd=/c.sock", {"host": ["fd://"], "containerd": ["/c.sock"]}),
        (
            "--log-driver journald --debug --log-opt a=b --log-opt c=d",
            {"log-driver": ["journald"], "debug": [""], "log-opt": ["a=b", "c=d"]},
        ),
        ("-Hunix:///s -D -l warn", {"host": ["unix:///s"], "debug": [""], "log-level": ["warn"]}),
        ("-H=tcp://0.0.0.0:1 --insecure-registry a --insecure-registry=b", {"host": ["tcp://0.0.0.0:1"], "insecure-registry": ["a", "b"]}),
        ("--", {}),
        ("", {}),
    ],
)
def test_command_lines(arguments, flags):
    assert docker.parse_command_line(arguments.split()) == flags


@pytest.fixture
def host(tmp_path):
    files = {
        "usr/local/bin/systemctl": "#!/bin/sh\ncat <<'END'\n%sEND\n" % SHOW,
        "proc/42/cmdline": "/usr/bin/dockerd\0-H\0fd://\0--insecure-registry\0a:5000\0--https-proxy\0http://u:secret@p\0",
        "etc/default/docker": "# options\nDOCKER_OPTS=\"--log-driver=journald --registry-mirror 'http://m'\"\n",
        "etc/systemd/system/docker.service.d/logs.conf": "[Service]\nEnvironment=ONE=--label=a\n",
        "lib/systemd/system/docker.service": "ExecStart=/usr/bin/dockerd -H fd:// --containerd=/c.sock $DOCKER_OPTS\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return Host(5, root=str(tmp_path))


def test_flags(host, monkeypatch):
    """Those that the unit would start it with: a flag that was taken out of it since is none, although the process has it."""
    monkeypatch.setenv("PATH", host.path("/usr/local/bin") + ":/usr/bin:/bin")
    found = {one["flag"]: one for one in docker.flags(host, docker.unit(host))}
    assert {name: (one["key"], one["values"], one["file"].split("/")[-1]) for name, one in found.items()} == {
        "host": ("hosts", ["fd://"], ""),  # its short form is not looked for
        "containerd": ("containerd", ["/c.sock"], "docker.service"),
        "log-driver": ("log-driver", ["journald"], "docker"),
        "registry-mirror": ("registry-mirrors", ["http://m"], "docker"),
        "label": ("labels", ["a"], "logs.conf"),
    }


@pytest.mark.parametrize(
    ("start", "options", "flags"),
    [
        # systemd joins lines that end in a backslash.
        ("/usr/bin/dockerd $DOCKER_OPTS", 'DOCKER_OPTS="--debug \\\n --log-driver=journald"\n', ["debug", "log-driver"]),
        ("/usr/bin/numactl --interleave=all /usr/bin/dockerd --debug", "", ["debug"]),
    ],
)
def test_flags_of_other_units(host, start, options, flags):
    Path(host.path("/etc/default/docker")).write_text(options)
    properties = docker.parse_properties(SHOW)
    properties["ExecStart"] = "{ path=/x ; argv[]=%s ; ignore_errors=no ; pid=0 }" % start
    assert sorted(one["flag"] for one in docker.flags(host, properties)) == flags


def test_flags_of_a_daemon_without_a_unit(host):
    (Path(host.path("/run"))).mkdir()
    Path(host.path("/run/docker.pid")).write_text("42")
    found = {one["flag"]: one["values"] for one in docker.flags(host, {})}
    assert found == {"host": ["fd://"], "insecure-registry": ["a:5000"], "https-proxy": []}  # a proxy may hold a password


def started(seconds_ago):
    return {"MainPID": "42", "ExecMainStartTimestampMonotonic": "%d" % ((time.clock_gettime(time.CLOCK_MONOTONIC) - seconds_ago) * 1e6)}


@pytest.mark.parametrize(
    ("properties", "written", "applied"),
    [
        (started(60), 3600, True),
        (started(60), 10, False),
        (started(60), None, True),  # there is no file
        ({"MainPID": "0", "ExecMainStartTimestampMonotonic": "0"}, 3600, False),
        ({}, 3600, False),
    ],
)
def test_whether_the_file_is_known_to_work(properties, written, applied, tmp_path):
    if written is not None:
        (tmp_path / "etc/docker").mkdir(parents=True)
        (tmp_path / "etc/docker/daemon.json").write_text("{}")
        os.utime(tmp_path / "etc/docker/daemon.json", (time.time() - written,) * 2)
    assert docker.is_applied(Host(5, root=str(tmp_path)), properties) is applied


def test_a_host_without_docker(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = docker.read(Host(5, root=str(tmp_path)))
    assert (found["installed"], found["version"], found["flags"], found["snap"]) == (False, "", [], False)
