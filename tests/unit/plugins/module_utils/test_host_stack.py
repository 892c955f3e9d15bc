# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import os
import socket
import ssl
import threading
import urllib.error

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, cdi, containers, files, packages, sockets, sources

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:115C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:115C 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx rx tr tm retrnsmt uid timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 100 1 0 1
   1: 0000000000000000FFFF00000100007F:2CAA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 101 1 0 1
   2: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 102 1 0 1
"""
CONTAINER = {
    "Name": "/litellm",
    "RestartCount": 2,
    "State": {"Status": "running", "Health": {"Status": "healthy"}, "OOMKilled": False, "ExitCode": 0, "StartedAt": "2026-11-21T07:31:04Z"},
    "Config": {
        "Image": "ghcr.io/berriai/litellm:v1.104.2",
        "Labels": {
            "com.docker.compose.project": "local-llm",
            "com.docker.compose.service": "litellm",
            "com.docker.compose.config-hash": "3103e5e9",
        },
        "Env": ["LITELLM_MASTER_KEY=sk-old", "DATABASE_URL=postgresql://llmproxy:old@db:5432/litellm", "PATH=/bin"],
    },
    "NetworkSettings": {"Ports": {"4000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4444"}], "5000/tcp": None}},
}


def test_listening_sockets():
    assert sockets.parse_listening(TCP) == [("127.0.0.1", 4444, "4711"), ("0.0.0.0", 22, "99")]
    assert sockets.parse_listening(TCP6) == [("::", 22, "100"), ("127.0.0.1", 11434, "101"), ("::1", 5432, "102")]
    assert sockets.parse_listening("") == []


@pytest.mark.parametrize(
    ("wanted", "bound", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "192.0.2.1", False),
        ("127.0.0.1", "0.0.0.0", True),
        ("0.0.0.0", "192.0.2.1", True),
        ("127.0.0.1", "::", True),
        ("127.0.0.1", "::1", False),
    ],
)
def test_who_is_in_whose_way(wanted, bound, expected):
    assert sockets.overlaps(wanted, bound) is expected


def test_what_is_told_of_a_container_is_no_secret():
    told = containers.container(CONTAINER, {"LITELLM_MASTER_KEY": "sk-new", "POSTGRES_PASSWORD": "new", "OTHER": "x"}, {})
    assert told["environment_differs"] == ["LITELLM_MASTER_KEY", "POSTGRES_PASSWORD"]
    assert (told["name"], told["service"], told["restarts"], told["published"]) == ("litellm", "litellm", 2, ["127.0.0.1:4444"])
    assert not {"sk-old", "sk-new", "old", "new"} & set(str(told).replace("'", " ").replace(":", " ").split())


def test_the_same_secrets_do_not_differ():
    told = containers.container(CONTAINER, {"LITELLM_MASTER_KEY": "sk-old", "POSTGRES_PASSWORD": "old"}, {})
    assert told["environment_differs"] == []


@pytest.mark.parametrize(
    ("label", "differs"),
    [
        # An image may have others of the file's names of its own.
        ("", []),
        ("AWS_SECRET_ACCESS_KEY", ["AWS_SECRET_ACCESS_KEY"]),
        ("AWS_SECRET_ACCESS_KEY GONE LANG", ["AWS_SECRET_ACCESS_KEY", "LANG"]),
    ],
)
def test_secrets_of_providers_are_compared_too(label, differs):
    config = {**CONTAINER["Config"], "Env": ["AWS_SECRET_ACCESS_KEY=old", "LANG=C"]}
    config["Labels"] = {**config["Labels"], "local-llm.variables": label}
    told = containers.container({**CONTAINER, "Config": config}, {"AWS_SECRET_ACCESS_KEY": "new", "LANG": "en", "GONE": "x"}, {})
    assert told["environment_differs"] == differs


def test_the_password_of_redis_is_compared_under_the_name_that_its_container_has():
    assert containers.differing({"REDIS_PASSWORD": "a"}, ["REDISCLI_AUTH=b"]) == ["REDIS_PASSWORD"]
    assert containers.differing({"REDIS_PASSWORD": "a"}, ["REDIS_PASSWORD=b"]) == ["REDIS_PASSWORD"]
    assert containers.differing({"REDIS_PASSWORD": "a"}, ["REDISCLI_AUTH=a", "REDIS_PASSWORD=a"]) == containers.differing({}, []) == []


@pytest.mark.parametrize(
    ("hashes", "current"),
    [({"litellm": "3103e5e9"}, True), ({"litellm": "0"}, False), ({"db": "3103e5e9"}, False), ({}, False), (None, True)],
)
def test_whether_a_container_is_of_the_project_as_it_is(hashes, current):
    assert containers.container(CONTAINER, {}, hashes)["current"] is current


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), "name"),
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "connection"),
        (urllib.error.URLError(ssl.SSLCertVerificationError(1, "certificate verify failed")), "certificate"),
        (urllib.error.URLError(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")), "plain"),
        (TimeoutError("timed out"), "timeout"),
        (OSError("Tunnel connection failed: 403 Forbidden"), "proxy"),
    ],
)
def test_reasons(error, reason):
    assert sources.failure(error)[0] == reason


class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.rsplit("/", 1)[-1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def door():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("status", "ok"), [(200, True), (401, True), (404, True), (500, False), (503, False), (407, False)])
def test_what_counts_as_an_answer(door, status, ok):
    asked = sources.Sources(5, None, [], None).ask("http://user:secret@127.0.0.1:%d/%d" % (door, status))
    assert asked["ok"] is ok
    assert asked["url"] == "http://127.0.0.1:%d/%d" % (door, status)


def test_a_proxy_is_used_but_for_those_beside_it(door):
    proxy = "http://127.0.0.1:1"
    assert sources.Sources(5, proxy, [], None).ask("http://127.0.0.1:%d/200" % door)["ok"] is False
    assert sources.Sources(5, proxy, ["127.0.0.1"], None).ask("http://127.0.0.1:%d/200" % door)["ok"] is True
    way = sources.Sources(5, proxy, [".example.com"], None)
    assert sources.Sources(5, proxy, ["10.0.0.0/8"], None).is_direct("http://10.1.2.3:5000/v2/")
    assert way.is_direct("https://mirror.example.com/v2/") and not way.is_direct("https://badexample.com/")


def test_a_port_and_its_owner():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        wanted = [{"address": "127.0.0.1", "port": port}, {"address": "192.0.2.77", "port": port}]
        taken, nowhere = sockets.ports(Host(5), wanted, [])
        held = [sockets.ports(Host(5), wanted[:1], [("0.0.0.0", port, "litellm", is_own)])[0] for is_own in (True, False)]
    assert [(one["state"], one["owner"]) for one in held] == [("ours", "container litellm"), ("taken", "container litellm")]
    assert taken["state"] == "taken"
    assert "process %d" % os.getpid() in taken["owner"]
    assert nowhere["state"] == "no_address"


def test_files_and_disk(tmp_path):
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "plan.json").chmod(0o640)
    found = files.files(Host(5), str(tmp_path))
    assert sorted(found) == [".env", "plan.json"]
    assert "sha256" not in found[".env"]
    assert found["plan.json"]["mode"] == "0640"
    assert found["plan.json"]["sha256"].startswith("44136fa355b3678a")
    disk = files.disk(str(tmp_path / "not" / "there"))
    assert not disk["exists"] and 0 < disk["free_mib"] <= disk["total_mib"]


CDI_BY_NVIDIA_CTK = """\
---
cdiVersion: 0.5.0
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - create-symlinks
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: all
kind: nvidia.com/gpu
"""


@pytest.mark.parametrize(
    "text, kind, devices",
    [
        (CDI_BY_NVIDIA_CTK, "nvidia.com/gpu", ["0", "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c", "all"]),
        (
            'kind: "nvidia.com/gpu"\ndevices:\n  - name: "0:1"\n    containerEdits:\n      env:\n        - A=1\n  - name: all\n',
            "nvidia.com/gpu",
            ["0:1", "all"],
        ),
        ('{"cdiVersion": "0.6.0", "kind": "amd.com/gpu", "devices": [{"name": "0"}]}', "amd.com/gpu", ["0"]),
        ('{"kind": "nvidia.com/gpu", "devices": null}', "nvidia.com/gpu", []),
        ("", "", []),
        ("[1, 2]", "", []),
        ("kind: nvidia.com/gpu", "nvidia.com/gpu", []),
    ],
)
def test_parse_cdi(text, kind, devices):
    assert cdi.parse_cdi(text) == (kind, devices)


def test_parse_packages():
    text = "a\t1.0-1\tinstalled\tinstall\nb\t2\tinstalled\thold\nc\t\tnot-installed\tunknown\nd\t3\tconfig-files\tdeinstall\n"
    assert packages.parse_packages(text) == {"a": {"version": "1.0-1", "held": False}, "b": {"version": "2", "held": True}}
