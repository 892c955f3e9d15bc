# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

"""The gateway without Docker: what its script reads from a host, and the job that launchd is given."""

import importlib.util
import plistlib
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter.launchd_plist import launchd_plist
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from hypothesis import given
from hypothesis import strategies as st

ROLE = Path(__file__).resolve().parents[2] / "roles/litellm_native"


def load():
    spec = importlib.util.spec_from_file_location("gateway", ROLE / "files/gateway.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script():
    return load()


SYSTEMD = """ActiveState=active
MainPID=731
NRestarts=0
UnitFileState=enabled
ExecMainStartTimestampMonotonic=990000000
"""


def test_a_unit_that_runs(script):
    assert script.systemd_service(SYSTEMD, 5000.0, 1000.0) == {
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
def test_a_unit_that_has_ended(script, text, ended):
    assert script.systemd_service(text, 5000.0, 1000.0)["ended"] is ended


LAUNCHD = (Path(__file__).parent / "data/launchctl_print.txt").read_text()


def test_a_job_that_runs(script):
    found = script.launchd_service(LAUNCHD, "Sat Nov 21 14:02:01 2026    \n")
    assert found.pop("started") > 1795000000
    assert found == {"active": True, "ended": False, "enabled": True, "pid": 4711}


def test_a_job_that_has_ended(script):
    text = LAUNCHD.replace("state = running", "state = spawn scheduled").replace("runs = 1", "runs = 2").replace("pid = 4711", "")
    found = script.launchd_service(text.replace("(never exited)", "1"), "")
    assert found == {"active": False, "ended": True, "enabled": True, "pid": 0, "started": None}


def test_a_job_that_is_not_known(script):
    assert script.launchd_service("", "") == {"active": False, "ended": False, "enabled": False, "pid": 0, "started": None}


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:115C 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 123456 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23456 1 0000000000000000 100 0 0 10 0
   2: 0100007F:115C 0100007F:8D2C 06 00000000:00000000 03:00000E10 00000000     0        0 0 3 0000000000000000
"""


def test_who_listens(script):
    assert script.listening(TCP, 4444) == [(998, "123456")]
    assert script.listening(TCP, 4445) == []


def test_doors(script):
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen(1)
        port = mine.getsockname()[1]
        found = script.door("127.0.0.1", port, 4000000)
        assert found["state"] == "taken" and re.match(r".+ \(process \d+\)$", found["owner"])
    assert script.door("127.0.0.1", port, 0)["state"] == "free"
    assert script.door("192.0.2.99", port, 0)["state"] == "no_address"


def test_no_secret_in_the_last_lines(script, monkeypatch):
    text = (
        "the old one\nStarting local-llm-gateway.service - Gateway...\nStarted local-llm-gateway.service - Gateway.\n"
        "\x1b[31mkey sk-abcdefgh\x1b[0m\nlast\nlocal-llm-gateway.service: Main process exited\n"
    )
    monkeypatch.setattr(script, "output", lambda *command: text)
    assert script.last_lines("/opt/litellm", ["sk-abcdefgh", "abcdefgh"], 0.0) == ["key ***", "last"]


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
def test_what_is_kept_out_of_log_lines(script, text, secrets):
    assert sorted(script.secrets(text)) == secrets


CASES = yaml.safe_load((Path(__file__).parent / "data/env_cases.yml").read_text(encoding="utf-8"))
LONG = "A-long-secret"


# All but octal escapes, which the script does not know.
@pytest.mark.parametrize(
    "case", [case for case in CASES if "values" in case and "\\0" not in case["text"]], ids=lambda case: ascii(case["text"])
)
def test_secrets_are_those_that_compose_reads(script, case):
    # The same spellings with a value that is long enough to be masked.
    text = re.sub(r"(?m)^(\s*(?:export\s+)?A[ \t]*[=:][ \t]*['\"]?)", lambda match: match.group() + LONG, case["text"])
    read = env_file.parse(text)
    if "A" not in read["expanded"] and "A" in read["values"] and not read["unread_lines"]:
        lines = [line.strip() for line in read["values"]["A"].split("\n")]
        assert {line for line in lines if len(line) > 7} <= set(script.secrets(text))


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_every_value_that_the_collection_writes_is_masked(value):
    module = load()
    lines = {line.strip() for line in value.split("\n")}
    assert {line for line in lines if len(line) > 7} <= set(module.secrets(env_file.written("A", value)))


def test_the_text_of_a_secret_is_never_told(script, tmp_path):
    for name, told in ((".env", ""), ("environment", ""), ("config.yml", "text")):
        (tmp_path / name).write_text("text")
        (tmp_path / name).chmod(0o644)
        assert script.look(str(tmp_path / name))["text"] == told
    assert script.look(str(tmp_path / "none")) is None


def test_an_empty_host(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "output", lambda *command: "")
    found = script.state(str(tmp_path / "none"), "nobody-of-this-name", "127.0.0.1", "0", str(tmp_path / "none"))
    assert (found["user"], found["versions"], found["current"], found["stale"], found["answers"]) == (None, [], "", False, False)


# The keys of launchd.plist(5) that the job may have, and what they are.
KEYS = {
    "Label": str,
    "ProgramArguments": list,
    "UserName": str,
    "GroupName": str,
    "EnvironmentVariables": dict,
    "WorkingDirectory": str,
    "StandardOutPath": str,
    "StandardErrorPath": str,
    "RunAtLoad": bool,
    "KeepAlive": bool,
    "ThrottleInterval": int,
    "Umask": int,
    "SoftResourceLimits": dict,
}


@pytest.fixture
def plist():
    values = {"_litellm_native_label": "local-llm.gateway", "litellm_native_dir": "/opt/litellm", "_litellm_native_user": "_litellm"}
    text = yaml.safe_dump(yaml.safe_load((ROLE / "vars/main.yml").read_text())["_litellm_native_job"])
    return launchd_plist(yaml.safe_load(re.sub(r"\{\{ (\w+) \}\}", lambda match: values[match.group(1)], text)))


def test_the_job_is_one_that_launchd_knows(plist):
    job = plistlib.loads(plist.encode())
    assert {name: type(value) for name, value in job.items()} == KEYS
    assert job["ProgramArguments"] == ["/opt/litellm/start"] and job["UserName"] == "_litellm" and job["Umask"] == 0o077
    # launchctl shows them to everybody.
    assert job["EnvironmentVariables"] == {"HOME": "/opt/litellm/state"}


@pytest.mark.skipif(not shutil.which("plistutil"), reason="no plistutil here (libplist-utils)")
def test_another_parser_reads_it(plist, tmp_path):
    (tmp_path / "job.plist").write_text(plist)
    command = ["plistutil", "-i", str(tmp_path / "job.plist"), "-o", str(tmp_path / "job.bin"), "-f", "bin"]
    subprocess.run(command, check=True, capture_output=True)
    assert plistlib.loads((tmp_path / "job.bin").read_bytes()) == plistlib.loads(plist.encode())


def test_the_unit_names_nothing_twice():
    lines = (ROLE / "templates/local-llm-gateway.service.j2").read_text().splitlines()
    names = [line.split("=")[0] for line in lines if re.match(r"^[A-Z]\w+=", line)]
    assert sorted(name for name in set(names) if names.count(name) > 1) == ["SystemCallFilter"]
