# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway without a container is to be, on Linux and on a Mac, and what has to be done for it."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter.litellm_native_failure import litellm_native_failure
from ansible_collections.local_llm.fleet.plugins.plugin_utils.native_gateway import Gateway, parameters
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack import Node, checksum

ROLE = Path(__file__).resolve().parents[4] / "roles/litellm_native"
DEFAULTS = {**settings(["site", "llm_stack", "litellm_native"], {}, str), "litellm_native_version": "1.104.2"}
LINUX = Node("box")
MAC = Node("mini", is_mac=True, architecture="arm64")
INTEL = replace(MAC, architecture="x86_64")
PLAN = {
    "budget": {"kind": "cpu"},
    "models": [{"name": "tinyllama", "route": "tinyllama", "mode": "chat", "context": 2048, "placement": "cpu", "preload": True}],
}
NOBODY = {"uid": 997, "shell": "/usr/sbin/nologin", "comment": "Gateway of the local LLM stack"}
DOWN = {"active": False, "ended": False, "enabled": False, "pid": 0, "started": None}
UP = {"active": True, "ended": False, "enabled": True, "pid": 731, "started": 1000.0}
BARE = {
    "python": {"version": [3, 13, 5], "venv": True}, "user": None, "versions": [], "complete": [], "current": "", "former": "", "files": {},
    "service": DOWN, "stale": False, "answers": False, "port": {"state": "free", "owner": ""}, "exported": {"names": [], "other": []},
    "authorities": True, "unfinished": False,
}  # fmt: skip
KEY = {"environment": {"names": ["LITELLM_MASTER_KEY"], "same": [], "mounted": []}, "files": {".env": {"mode": "0600", "owner": "root"}}}
REQUIREMENTS = "prisma==0.15.0\nlitellm[proxy]==1.104.2 \\\n  --hash=sha256:0\n"


def gateway(changes=None, node=LINUX, stack=None, requirements=None, plan=..., **reading):
    """A host that differs from a bare one."""
    chosen = {**DEFAULTS, **(changes or {})}
    return Gateway(chosen, chosen, node, {**BARE, **reading}, stack or {}, PLAN if plan is ... else plan, requirements)


def running(changes=None, node=LINUX, stack=None, **reading):
    """A host whose gateway runs as its settings say, with what of its reading differs."""
    made = gateway(changes, node, stack or KEY)
    files = {one.path: {"sha256": checksum(one.content), "mode": one.mode, "owner": "root"} for one in made.files}
    files.update({one["path"]: {"sha256": "", "mode": one["mode"], "owner": one["owner"]} for one in made.folders})
    if node.is_mac:
        files["/opt/litellm/environment"] = {"sha256": "x", "mode": "0440", "owner": "root"}
    there = {
        "user": NOBODY, "versions": [made.name], "complete": [made.name], "current": made.name, "files": files, "service": UP, "answers": True,
        "port": {"state": "ours", "owner": ""}, "exported": {"names": sorted(made.variables), "other": []}, **reading,
    }  # fmt: skip
    return replace(made, reading={**BARE, **there})


def told(made):
    return [(what, why) for what, why, _restarts in made.changes()]


def content(made, end):
    return next(file.content for file in made.files if file.path.endswith(end))


# What it is to be


def test_its_routes_are_those_of_the_plan_and_of_providers():
    made = gateway({"llm_stack_providers": {"gemini": {"api_key": "k", "models": ["gemini-2.5-pro"]}}})
    text = content(made, "config.yml")
    assert text.startswith("# Ansible managed\n") and max(len(line) for line in text.splitlines()) <= 160
    config = yaml.safe_load(text)
    assert [one["model_name"] for one in config["model_list"]] == ["tinyllama", "gemini-2.5-pro"]
    assert config["model_list"][0]["litellm_params"]["api_base"] == "http://127.0.0.1:11434"
    mere = gateway(
        {"llm_stack_services": ["litellm"], "llm_stack_backends": [{"api_base": "http://192.0.2.7:1", "models": [{"name": "x"}]}]}
    )
    assert [one["model_name"] for one in yaml.safe_load(mere.config)["model_list"]] == ["x"]
    # Files that a gateway in a container was given are no credentials for this one.
    mounted = {"environment": {"names": ["LITELLM_MASTER_KEY", "GEMINI_API_KEY"], "same": [], "mounted": ["GEMINI_API_KEY"]}}
    keyless = {"llm_stack_providers": {"gemini": {"models": ["gemini-2.5-pro"]}}}
    assert gateway(keyless, stack=mounted).gateway["notes"]


def test_its_start_script_sets_what_is_no_secret():
    chosen = {
        "site_proxy": "http://u:pw@proxy:3128",
        "site_no_proxy": ["lab"],
        "llm_stack_backends": [{"api_base": "http://192.0.2.7:11434", "models": [{"name": "x"}]}],
        "llm_stack_litellm_environment": {"A": "it's", "B": 2},
    }
    made = gateway(chosen, replace(LINUX, ca_pem="PEM", no_proxy=["localhost", "lab"]))
    script = content(made, "/start")
    assert "export NO_PROXY=localhost,lab,192.0.2.7\n" in script and "u:pw" not in script and 'HTTPS_PROXY="${SITE_PROXY:?}"' in script
    assert "export SSL_CERT_FILE=/opt/litellm/authorities.pem" in script and "export B=2\n" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    shell = subprocess.run(
        ["sh", "-c", re.search("(?m)^export A=.*", script).group() + '; printf %s "$A"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == "it's"
    assert ". /opt/litellm/environment" in content(gateway({}, MAC), "/start") and "/environment" not in content(gateway(), "/start")
    assert (
        made.install_environment["PIP_CERT"] == "/opt/litellm/authorities.pem" and made.install_environment["no_proxy"] == "localhost,lab"
    )


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


def test_the_job_is_one_that_launchd_knows():
    job = plistlib.loads(content(gateway({}, MAC), ".plist").encode())
    assert {name: type(value) for name, value in job.items()} == KEYS
    assert job["ProgramArguments"] == ["/opt/litellm/start"] and job["UserName"] == "_litellm" and job["Umask"] == 0o077
    # launchctl shows them to everybody.
    assert job["EnvironmentVariables"] == {"HOME": "/opt/litellm/state"}


@pytest.mark.skipif(not shutil.which("plistutil"), reason="no plistutil here (libplist-utils)")
def test_another_parser_reads_it(tmp_path):
    (tmp_path / "job.plist").write_text(content(gateway({}, MAC), ".plist"))
    command = ["plistutil", "-i", str(tmp_path / "job.plist"), "-o", str(tmp_path / "job.bin"), "-f", "bin"]
    subprocess.run(command, check=True, capture_output=True)
    assert plistlib.loads((tmp_path / "job.bin").read_bytes()) == plistlib.loads(content(gateway({}, MAC), ".plist").encode())


def test_the_unit_names_nothing_twice():
    lines = content(gateway(), ".service").splitlines()
    names = [line.split("=")[0] for line in lines if re.match(r"^[A-Z]\w+=", line)]
    assert sorted(name for name in set(names) if names.count(name) > 1) == ["SystemCallFilter"]
    assert "MemoryMax=2G" in lines and "User=litellm" in lines and "ExecStart=/opt/litellm/start" in lines


def test_what_is_installed_decides_where():
    plain = gateway()
    assert plain.wanted_packages == "litellm[proxy]==1.104.2\nprisma==0.15.0" and re.match("1.104.2-[0-9a-f]{8}$", plain.name)
    more = gateway({"litellm_native_packages": ["boto3"]})
    pinned = gateway({"litellm_native_requirements": "r.txt"}, requirements=REQUIREMENTS)
    other = gateway(python={"version": [3, 12, 1], "venv": True})
    assert len({one.name for one in (plain, more, pinned, other)}) == 4
    # A newer patch of the same Python is none.
    assert gateway(python={"version": [3, 13, 9], "venv": True}).name == plain.name
    assert pinned.install_environment["HASHES"] == "--require-hashes" and plain.install_environment["HASHES"] == ""
    index = gateway({"litellm_native_index_url": "http://me:pw@pypi.lab:8080/simple"}).install_environment
    assert index["PIP_TRUSTED_HOST"] == "pypi.lab:8080" and "PIP_TRUSTED_HOST" not in plain.install_environment


def test_what_is_read_is_what_is_judged():
    asked = parameters(DEFAULTS, DEFAULTS, MAC)
    assert asked["python"] == "/opt/homebrew/bin/python3.12" and asked["files"][-1] == "/opt/litellm/environment"
    assert parameters(DEFAULTS, DEFAULTS, INTEL)["python"] == "/usr/local/bin/python3.12"
    linux = parameters({**DEFAULTS, "litellm_native_python": "/opt/py"}, DEFAULTS, LINUX)
    assert linux["python"] == "/opt/py" and "/opt/litellm/environment" not in linux["files"]


# What has to be done


def test_a_bare_host_gets_all_of_it():
    made = gateway(python={"version": [3, 13, 5], "venv": False})
    decision = made.decide(True)
    assert [what for what, _why in told(made)] == [
        "user litellm", "/opt/local_llm", "/opt/litellm", "/opt/litellm/versions", ".env", "LiteLLM 1.104.2", "/opt/local_llm/config.yml",
        "/opt/litellm/start", "/etc/systemd/system/local-llm-gateway.service",
    ]  # fmt: skip
    assert decision["apt"] == "python3.13-venv" and decision["is_first"] and decision["start"] and not decision["has_former"]
    assert decision["environment"] == {"set": [], "generate": {"LITELLM_MASTER_KEY": "sk-"}} and not decision["result"]["exists"]
    assert decision["links"] == {"current": made.name} and decision["config"] and made.decide(False)["result"]["exists"]
    assert not decision["own_user"] and running().decide(True)["own_user"]
    assert decision["become"] == ["runuser", "-u", "litellm"] and gateway({}, MAC).decide(True)["become"][0] == "sudo"


@pytest.mark.parametrize("node", [LINUX, MAC])
def test_one_that_runs_as_it_should_has_nothing_to_do(node):
    made = running(node=node)
    decision = made.decide(True)
    assert decision["changes"] == [] and not decision["start"] and decision["environment"] == {} and decision["folders"] == []
    assert (made.fault, decision["config"], decision["links"], decision["result"]["exists"]) == ("", "", {}, True)


CONFIG = "/opt/local_llm/config.yml"


def edited(**changes):
    files = dict(running().reading["files"])
    files[CONFIG] = {**files[CONFIG], **changes}
    return {"files": files}


@pytest.mark.parametrize(
    ("reading", "changes", "fault"),
    [
        ({"answers": False, "service": DOWN}, [("litellm", "does not run")], "does not run, or with other files than lie there"),
        ({"stale": True}, [("litellm", "runs with other files than lie there")], "does not run, or with other files than lie there"),
        ({"service": {**UP, "enabled": False}}, [("litellm", "runs with other files than lie there")], "does not run, or with other files than lie there"),
        (edited(sha256="0"), [(CONFIG, "differs")], "runs with other settings than it was given"),
        (edited(mode="0600"), [(CONFIG, "has another mode or owner")], "runs with other settings than it was given"),
        ({"authorities": False}, [("/opt/litellm/authorities.pem", "differs")], ""),
        ({"user": None}, [("user litellm", "is not there")], ""),
        ({"complete": []}, [("LiteLLM 1.104.2", "is to be installed")], ""),
        ({"python": None, "complete": []}, [("LiteLLM 1.104.2", "is to be installed")], "cannot be read: the host has no /usr/bin/python3"),
    ],
)  # fmt: skip
def test_what_differs_is_told(reading, changes, fault):
    made = running(**reading)
    if not made.python_version:  # another name
        made = replace(made, reading={**made.reading, "current": made.name, "versions": [made.name]})
    assert (told(made), made.fault) == (changes, fault)


def test_another_version_takes_the_place_of_the_first():
    made = running(current="1.100.0-aaaaaaaa", former="1.99.0-bbbbbbbb")
    versions = [made.name, "1.100.0-aaaaaaaa", "1.99.0-bbbbbbbb"]
    made = replace(made, reading={**made.reading, "versions": versions})
    assert told(made) == [("LiteLLM 1.104.2", "is to take the place of 1.100.0"), ("LiteLLM 1.99.0", "is an older version")]
    assert made.changes()[0][2] == ["litellm"]
    decision = made.decide(False)
    assert decision["links"] == {"former": "1.100.0-aaaaaaaa", "current": made.name} and decision["has_former"] and decision["switch"]
    assert running(former="1.99.0-b", versions=["1.99.0-b"]).older == []


def test_what_is_made_of_the_environment_file():
    given = {"llm_stack_master_key": "sk-given-by-a-vault-0001", "site_proxy": "http://u:pw@proxy:3128"}
    assert gateway(given).environment_options["set"] == ["LITELLM_MASTER_KEY", "SITE_PROXY"]
    assert gateway(given).environment_options["generate"] == {}
    assert gateway(given, stack=KEY).environment_options["set"] == ["SITE_PROXY"]  # another key is a problem, and is not changed here
    same = {
        **KEY,
        "environment": {"names": ["LITELLM_MASTER_KEY", "SITE_PROXY"], "same": ["LITELLM_MASTER_KEY", "SITE_PROXY"], "mounted": []},
    }
    assert gateway(given, stack=same).environment_changes == []
    opened = {**KEY, "files": {".env": {"mode": "0644", "owner": "root"}}}
    assert told(running(stack=opened)) == [(".env", "others than root may read it")]
    # Which is no reason to start it again.
    assert not running(stack=opened).start and running(given, stack=KEY).start
    assert told(running(given, stack=KEY))[0] == (".env", "taken from the settings: SITE_PROXY")


def test_what_a_job_of_launchd_is_given_of_it():
    extra = {"llm_stack_litellm_config": {"litellm_settings": {"x": "os.environ/OTHER"}}, "site_proxy": "http://p:1"}
    stack = {**KEY, "environment": {"names": ["LITELLM_MASTER_KEY", "OTHER", "UNUSED"], "same": [], "mounted": []}}
    made = gateway(extra, MAC, stack)
    assert made.variables == ["LITELLM_MASTER_KEY", "OTHER"]
    options = made.environment_options["exports"]
    assert options == {"path": "/opt/litellm/environment", "names": ["LITELLM_MASTER_KEY", "OTHER", "SITE_PROXY"], "group": "_litellm"}
    for exported in ({"names": [], "other": []}, {"names": ["LITELLM_MASTER_KEY"], "other": ["LITELLM_MASTER_KEY"]}):
        assert told(running(node=MAC, exported=exported)) == [("/opt/litellm/environment", "differs")]
    gone = running(node=MAC)
    files = {path: one for path, one in gone.reading["files"].items() if not path.endswith("/environment")}
    assert told(replace(gone, reading={**gone.reading, "files": files})) == [("/opt/litellm/environment", "is not there")]


def test_what_there_is_to_go_back_to():
    assert not running(answers=False).has_former and running(answers=False, unfinished=True).has_former
    assert running(**edited(sha256="0")).has_former and not gateway().has_former


def test_without_a_plan_it_is_left_as_it_is():
    (problem,) = gateway(plan=None).decide(False)["problems"]
    assert problem.startswith("plan.json: this host has none of this version yet")
    mere = {"llm_stack_services": ["litellm"], "llm_stack_backends": [{"api_base": "http://192.0.2.7:1", "models": [{"name": "x"}]}]}
    assert gateway(mere, plan=None).decide(False)["problems"] == [] == gateway(plan=None).problems()


# What is wrong

FILE = {"litellm_native_requirements": "r.txt"}
BACKEND = {"llm_stack_services": ["litellm"]}


@pytest.mark.parametrize(
    ("changes", "more", "beginnings"),
    [
        ({}, {}, []),
        ({}, {"python": None}, ["litellm_native_python: the host has no /usr/bin/python3; install"]),
        ({}, {"python": None, "node": MAC}, ["litellm_native_python: the host has no /opt/homebrew/bin/python3.12; `brew install python@3.12` installs it"]),
        (
            {},
            {"python": {"version": [3, 9, 2], "venv": True}},
            ["litellm_native_python: /usr/bin/python3 is Python 3.9.2, and LiteLLM needs 3.10 or newer; install"],
        ),
        (
            {"litellm_native_python": "/usr/bin/python3"},
            {"python": {"version": [3, 9, 2], "venv": True}, "node": MAC},
            ["litellm_native_python: /usr/bin/python3 is Python 3.9.2, and LiteLLM needs 3.10 or newer; `brew install python@3.12`, and set"],
        ),
        ({"litellm_native_version": "1.104"}, {}, ["litellm_native_version: set a version with three parts, such as 1.104.2 (it is 1.104)"]),
        ({"litellm_native_version": "1.83.9"}, {}, ["litellm_native_version: 1.83.9 is older than site_litellm_floor (1.84.0); set a newer one"]),
        ({"litellm_native_version": "1.103.0"}, {}, ["litellm_native_version: 1.103.0 cannot check its configuration; set 1.104 or newer"]),
        (FILE, {"requirements": REQUIREMENTS}, []),
        (FILE, {}, ["litellm_native_requirements: the control node has no file r.txt"]),
        (FILE, {"requirements": "litellm[proxy]==1.104.2"}, ["litellm_native_requirements: it does not name litellm[proxy]==1.104.2 or prisma"]),
        (
            {**FILE, "litellm_native_version": "1.104.20"},
            {"requirements": REQUIREMENTS},
            ["litellm_native_requirements: it does not name litellm[proxy]==1.104.20 or prisma"],
        ),
        (
            {**FILE, "litellm_native_packages": ["boto3"]},
            {"requirements": REQUIREMENTS},
            ["litellm_native_packages: name them in litellm_native_requirements"],
        ),
        ({"litellm_native_packages": ["boto3"]}, {}, []),
        ({"litellm_native_index_url": "pypi.lab"}, {}, ["litellm_native_index_url: set http://host/path or https://host/path"]),
        ({"litellm_native_index_url": "http://pypi.lab/simple"}, {}, []),
        ({"litellm_native_dir": "opt/x"}, {}, ["litellm_native_dir: opt/x is no folder for it"]),
        ({"litellm_native_dir": "/opt/local_llm"}, {}, ["litellm_native_dir: /opt/local_llm is no folder for it"]),
        ({"site_project_dir": "/root/llm"}, {}, ["litellm_native_dir, site_project_dir: the gateway sees nothing of /home and /root"]),
        ({"litellm_native_dir": "/homestead/x"}, {}, []),
        ({"litellm_native_memory": "2"}, {}, ["litellm_native_memory: set a number with m or g, such as 2g"]),
        ({}, {"user": {**NOBODY, "shell": "/bin/sh"}}, ["litellm_native_user: the host has a user litellm who can log in (/bin/sh); set another name"]),
        ({}, {"user": NOBODY}, []),
        ({"litellm_native_user": "root"}, {}, ["litellm_native_user: root is a name of small letters, digits, - and _, and not root"]),
        ({"litellm_native_user": "Lite LLM"}, {}, ["litellm_native_user: Lite LLM is a name of small letters"]),
        ({"site_gateway_port": 443}, {}, ["site_gateway_port: 443 is for root alone; set 1024 to 65535"]),
        ({"site_gateway_port": 11434}, {}, ["site_gateway_port and site_ollama_port are both 11434; give one of them another"]),
        ({}, {"port": {"state": "taken", "owner": "python3"}}, ["site_gateway_port: 4444 belongs to python3; stop that, or set another port"]),
        ({}, {"port": {"state": "no_address", "owner": ""}}, ["site_gateway_bind: the host has no address 127.0.0.1; set one that it has"]),
        ({"llm_stack_client_keys": {"ci": {}}}, {}, ["llm_stack_client_keys: keys for clients need a database"]),
        ({"llm_stack_engines": ["box7"]}, {}, ["llm_stack_engines: a native gateway knows engines of other hosts by llm_stack_backends alone"]),
        ({"llm_stack_primary": "gw1"}, {}, ["llm_stack_primary: a native gateway has no database"]),
        (BACKEND, {}, ["llm_stack_services: there is no route"]),
        ({"llm_stack_master_key": "sk-given-by-a-vault-0001"}, {"stack": KEY}, ["LITELLM_MASTER_KEY: the host has another than was given"]),
        ({"llm_stack_salt_key": "short"}, {}, ["llm_stack_salt_key: set at least 16 letters or digits"]),
        ({"llm_stack_backends": {}}, {}, ["llm_stack_backends: it is not a list"]),
    ],
)  # fmt: skip
def test_what_is_wrong(changes, more, beginnings):
    found = gateway(changes, **more).problems()
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


# What a person reads where it does not come to an answer

DECISION = gateway().decide(False)


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ("ERROR: SSL: CERTIFICATE_VERIFY_FAILED\n", "-> set site_ca_certificate to the authority of the index"),
        (
            "ERROR: Could not find a version that satisfies the requirement litellm==9",
            "the index has no LiteLLM 1.104.2 for Python 3.13.5; set litellm_native_version to one that it has",
        ),
        (
            "ERROR: No matching distribution found for uvloop",
            "the index lacks a package that LiteLLM 1.104.2 needs; add it there, or set another litellm_native_version",
        ),
        ("something", "something -> look at litellm_native_index_url and litellm_native_version; nothing else was changed"),
        ("", "no word -> look at litellm_native_index_url and litellm_native_version; nothing else was changed"),
    ],
)  # fmt: skip
def test_an_installation_that_fails(said, ends):
    message = litellm_native_failure({"stderr": said}, "installation", DECISION)
    assert message.startswith("LiteLLM 1.104.2 was not installed: ") and message.endswith(ends)


def test_an_installation_that_fails_tells_no_password():
    said = "at http://me:secret@pypi.lab/simple\n"
    assert "http://pypi.lab/simple -> " in litellm_native_failure({"stdout": said}, "installation", DECISION)


def test_a_configuration_that_is_refused():
    message = litellm_native_failure({"stdout": "config\n", "stderr": "broken: model_list\n"}, "check", DECISION)
    assert message.startswith("LiteLLM 1.104.2 refuses the configuration, and the old one serves on: broken: model_list -> look at")


def test_a_start_that_fails():
    waited = {
        "why": "it has ended",
        "lines": ["key is ***", "ModuleNotFoundError: No module named 'x'"],
        "msg": "the gateway does not answer",
    }
    message = litellm_native_failure(waited, "start", DECISION)
    assert message.splitlines()[0] == "The gateway with LiteLLM 1.104.2 does not come up: it has ended"
    assert "It was stopped; there is nothing to go back to." in message and message.splitlines()[-1].startswith("-> a package is missing")
    former = {**DECISION, "has_former": True, "current": "1.100.0-a"}
    message = litellm_native_failure(waited, "start", former, ["/x.refused"], {"ok": True})
    assert "1.100.0-a with its configuration was put back, and answers.\nWhat was refused is /x.refused." in message
    message = litellm_native_failure({"msg": "no space"}, "start", former, again={"why": "it does not run"})
    assert "does not come up: no space" in message and "does not answer either: it does not run" in message
    assert message.endswith(
        "-> look at litellm_native_version, llm_stack_litellm_config and llm_stack_litellm_environment; `journalctl -u local-llm-gateway` says more"
    )
    with pytest.raises(Exception, match="no stage"):
        litellm_native_failure({}, "lunch", DECISION)
