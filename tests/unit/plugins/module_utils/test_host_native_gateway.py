# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gateway without Docker, as it is read from a host."""

from __future__ import annotations

import http.server
import os
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host
from ansible_collections.local_llm.fleet.plugins.module_utils.host import native_gateway as gateway
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(__file__).resolve().parents[2] / "data"


class Machine(Host):
    """A host whose tools print what a test says: by a tool's name, nothing for the others."""

    def __init__(self, root="/", **tools):
        super().__init__(5, root=str(root))
        self.tools = tools

    def run(self, *command, text=None):
        if command[0].startswith("/") and not self.tools:
            return super().run(*command, text=text)
        return (0, self.tools[command[0]], "") if command[0] in self.tools else (127, "", "")


SYSTEMD = """ActiveState=active
MainPID=731
NRestarts=0
UnitFileState=enabled
ExecMainStartTimestampMonotonic=990000000
"""


def test_a_unit_that_runs():
    assert gateway.systemd_service(SYSTEMD, 5000.0, 1000.0) == {
        "active": True,
        "ended": False,
        "enabled": True,
        "pid": 731,
        "started": 4990.0,
    }


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (SYSTEMD.replace("=active", "=failed").replace("731", "0"), True),
        # Between two starts.
        (SYSTEMD.replace("=active", "=activating").replace("731", "0").replace("NRestarts=0", "NRestarts=1"), True),
        # The second start runs already.
        (SYSTEMD.replace("NRestarts=0", "NRestarts=3"), True),
        (SYSTEMD.replace("=active", "=activating"), False),
        ("", False),
    ],
)
def test_a_unit_that_has_ended(text, ended):
    assert gateway.systemd_service(text, 5000.0, 1000.0)["ended"] is ended


LAUNCHD = (DATA / "launchctl_print.txt").read_text()


def test_a_job_that_runs():
    found = gateway.launchd_service(LAUNCHD, "Sat Nov 21 14:02:01 2026    \n")
    assert found.pop("started") > 1795000000
    assert found == {"active": True, "ended": False, "enabled": True, "pid": 4711}


def test_a_job_that_has_ended():
    text = LAUNCHD.replace("state = running", "state = spawn scheduled").replace("runs = 1", "runs = 2").replace("pid = 4711", "")
    found = gateway.launchd_service(text.replace("(never exited)", "1"), "")
    assert found == {"active": False, "ended": True, "enabled": True, "pid": 0, "started": None}


def test_a_job_that_is_not_known():
    assert gateway.launchd_service("", "") == {"active": False, "ended": False, "enabled": False, "pid": 0, "started": None}


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:115C 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 123456 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23456 1 0000000000000000 100 0 0 10 0
   2: 0100007F:115C 0100007F:8D2C 06 00000000:00000000 03:00000E10 00000000     0        0 0 3 0000000000000000
"""


def test_who_listens():
    assert gateway.listening(TCP, 4444) == [(998, "123456")]
    assert gateway.listening(TCP, 4445) == []


def test_doors():
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen(1)
        port = mine.getsockname()[1]
        found = gateway.door(Machine(), "127.0.0.1", port, 4000000, False)
        assert found["state"] == "taken" and re.match(r".+ \(process \d+\)$", found["owner"])
    assert gateway.door(Machine(), "127.0.0.1", port, 0, False)["state"] == "free"
    assert gateway.door(Machine(), "192.0.2.99", port, 0, False)["state"] == "no_address"


def test_no_secret_in_the_last_lines():
    text = (
        "the old one\nStarting local-llm-gateway.service - Gateway...\nStarted local-llm-gateway.service - Gateway.\n"
        "\x1b[31mkey sk-abcdefgh\x1b[0m\nlast\nlocal-llm-gateway.service: Main process exited\n"
    )
    hidden = ["sk-abcdefgh", "abcdefgh"]
    assert gateway.last_lines(Machine(journalctl=text), "/opt/litellm", hidden, 0.0, False) == ["key ***", "last"]
    assert gateway.last_lines(Machine(tail="sk-abcdefgh\n"), "/opt/litellm", hidden, 0.0, True) == ["***"]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("A=sk-first-one\nA=sk-second-one\n", ["sk-first-one", "sk-second-one"]),
        ("\ufeffexport A = 'two words here' # note\r\nB: sk-unquoted # note\r\n", ["sk-unquoted", "two words here"]),
        ("K='-----BEGIN\nab=cdefgh==\n-----END'\nA=short\n", ["-----BEGIN", "-----END", "ab=cdefgh=="]),
        ('A="say \\"x\\" \\\\ \\$5"\n', ['say "x" \\ $5']),
        ('A="first-line\\nsecond-line"\n', ["first-line", "second-line"]),
        ("A='it\\'s a secret'\n", ["it's a secret"]),
        ("A=pa$$word-long\n", ["pa$$word-long", "pa$word-long"]),
        ("# A=sk-in-a-comment\n", []),
    ],
)
def test_what_is_kept_out_of_log_lines(text, secrets):
    assert sorted(gateway.secrets(text)) == secrets


CASES = yaml.safe_load((DATA / "env_cases.yml").read_text(encoding="utf-8"))
LONG = "A-long-secret"


# All but octal escapes, which the script does not know.
@pytest.mark.parametrize(
    "case", [case for case in CASES if "values" in case and "\\0" not in case["text"]], ids=lambda case: ascii(case["text"])
)
def test_secrets_are_those_that_compose_reads(case):
    # The same spellings with a value that is long enough to be masked.
    text = re.sub(r"(?m)^(\s*(?:export\s+)?A[ \t]*[=:][ \t]*['\"]?)", lambda match: match.group() + LONG, case["text"])
    read = env_file.parse(text)
    if "A" not in read["expanded"] and "A" in read["values"] and not read["unread_lines"]:
        lines = [line.strip() for line in read["values"]["A"].split("\n")]
        assert {line for line in lines if len(line) > 7} <= set(gateway.secrets(text))


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_every_value_that_the_collection_writes_is_masked(value):
    lines = {line.strip() for line in value.split("\n")}
    assert {line for line in lines if len(line) > 7} <= set(gateway.secrets(env_file.written("A", value)))


PARAMETERS = {
    "dir": "/opt/litellm", "python": sys.executable, "user": "nobody-of-this-name", "address": "127.0.0.1", "port": 0,
    "env_file": "/opt/local_llm/.env", "files": ["/opt/litellm/start"], "ca_pem": None,
}  # fmt: skip


def test_an_empty_host(tmp_path):
    found = gateway.read(Machine(tmp_path), PARAMETERS, False)
    assert (found["user"], found["versions"], found["current"], found["stale"], found["answers"]) == (None, [], "", False, False)
    assert found["python"]["version"] == list(sys.version_info[:3]) and found["authorities"] and found["files"] == {}
    assert gateway.python(Machine(), "/nowhere/python3") is None


def test_what_lies_there(tmp_path):
    for path in ("opt/litellm/versions/1.0-a", "opt/local_llm", "etc/ssl/certs"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "opt/litellm/versions/1.0-a/complete").touch()
    (tmp_path / "opt/litellm/current").symlink_to("versions/1.0-a")
    (tmp_path / "opt/litellm/start").write_text("#!/bin/sh\n")
    (tmp_path / "opt/litellm/environment").write_text("export A='x y'\nexport B=2\nexport D='two\nlines'\n")
    (tmp_path / "opt/local_llm/.env").write_text("A='x y'\nB=3\nD='two\nlines'\n")
    (tmp_path / "etc/ssl/certs/ca-certificates.crt").write_text("host\n")
    (tmp_path / "opt/litellm/authorities.pem").write_text("host\nsite\n")
    running = SYSTEMD.replace("990000000", "1")  # since the machine was started, long before these files
    found = gateway.read(Machine(tmp_path, systemctl=running), {**PARAMETERS, "ca_pem": "site\n"}, False)
    assert (found["versions"], found["complete"], found["current"]) == (["1.0-a"], ["1.0-a"], "1.0-a")
    assert found["stale"] and found["service"]["active"] and not found["answers"] and found["authorities"]
    assert found["exported"] == {"names": ["A", "B", "D"], "other": ["B"]} and not found["unfinished"]
    assert gateway.exported("export A='", {}) == {"names": [], "other": []}
    assert set(found["files"]) == {"/opt/litellm/start", "/opt/litellm/authorities.pem"}
    assert not gateway.read(Machine(tmp_path), {**PARAMETERS, "ca_pem": "another\n"}, False)["authorities"]


def test_who_listens_on_a_mac():
    lsof = "p71\ncpython3\nu0\nf3\np72\ncollama\nu501\n"
    assert gateway.owners(Machine(lsof=lsof), 4444, True) == [(0, "python3 (process 71)"), (501, "ollama (process 72)")]


@pytest.fixture
def answering():
    """A program of this user's that answers every question."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


def test_waiting_for_an_answer(answering, monkeypatch):
    options = {**PARAMETERS, "port": answering, "timeout": 1}
    monkeypatch.setattr(gateway, "account", lambda _name: {"uid": os.getuid()})
    running = Machine(systemctl=SYSTEMD)
    assert gateway.wait(running, options, False)["ok"]
    # The answer of another program on the same port is none.
    monkeypatch.setattr(gateway, "account", lambda _name: {"uid": 4000000})
    assert not gateway.wait(running, options, False)["ok"]
    ended = gateway.wait(Machine(systemctl=SYSTEMD.replace("=active", "=failed"), journalctl="why\n"), options, False)
    assert (ended["ok"], ended["why"], ended["lines"]) == (False, "it has ended", ["why"])
    starting = gateway.wait(Machine(systemctl=SYSTEMD.replace("=active", "=activating")), options, False)
    assert (starting["why"], starting["lines"]) == ("it does not run", [])
    assert "refused" in gateway.alive("127.0.0.1", 9) and gateway.alive("::", 9)
