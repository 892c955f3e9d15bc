# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.native_problems import SUBJECTS
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings

DEFAULTS = settings(["site", "llm_stack", "ollama_native", "litellm_native"], {}, str)
LINUX = {"system": "Linux", "architecture": "x86_64", "distribution_version": "13"}
MAC = {"system": "Darwin", "architecture": "arm64", "distribution_version": "15.5"}
ENGINE = {
    **DEFAULTS,
    "ansible_facts": LINUX,
    "site_engine": "native",
    "_site_engine_native": True,
    "llm_stack_services": ["ollama"],
    "_ollama_native_facts": {"shell": "/usr/sbin/nologin", "above": "there", "addresses": "127.0.0.1 192.0.2.7 ", "foreign": ""},
    "_ollama_native_archive": "ollama-linux-amd64.tar.zst",
    "_ollama_native_checksum": "a" * 64,
    "_ollama_native_is_current": False,
    "_ollama_native_user": "ollama",
    "_ollama_native_home": "/srv/models/ollama",
}
STATE = {"python": [3, 13, 5], "user": {"shell": "/usr/sbin/nologin"}, "port": {"state": "free"}}
REQUIREMENTS = "prisma==0.15.0\nlitellm[proxy]==1.104.2 \\\n  --hash=sha256:0\n"
GATEWAY = {
    **DEFAULTS,
    "ansible_facts": LINUX,
    "litellm_native_version": "1.104.2",
    "_litellm_native_state": STATE,
    "_litellm_native_python": "/usr/bin/python3",
    "_litellm_native_python_version": "3.13.5",
    "_litellm_native_brew_python": "/opt/homebrew/bin/python3.12",
    "_litellm_native_user": "litellm",
    "_litellm_native_has_engine": True,
    "_litellm_native_given": False,
    "_litellm_native_has_requirements": False,
    "_litellm_native_requirements": "litellm[proxy]==1.104.2\nprisma==0.15.0",
    "_litellm_native_gateway": {"problems": []},
}


def facts(name, text):
    return {"_ollama_native_facts": {**ENGINE["_ollama_native_facts"], name: text}}


def state(**changes):
    return {"_litellm_native_state": {**STATE, **changes}}


def agree(found, beginnings):
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


@pytest.mark.parametrize(
    ("changes", "beginnings"),
    [
        ({}, []),
        ({"ollama_native_source": "homebrew"}, ["ollama_native_source: Homebrew is for macOS; set archive"]),
        ({"ollama_native_source": "homebrew", "ansible_facts": MAC, "_ollama_native_checksum": ""}, []),
        (
            {"ansible_facts": {**LINUX, "architecture": "riscv64"}, "_ollama_native_archive": "ollama-linux-none.tar.zst"},
            ["the host is riscv64; Ollama computes on Apple Silicon, x86_64 and aarch64"],
        ),
        ({"ansible_facts": {**MAC, "architecture": "x86_64"}}, ["the host is x86_64; Ollama computes on Apple Silicon"]),
        ({"ansible_facts": {**MAC, "distribution_version": "13.7"}}, ["the host runs macOS 13.7; Ollama asks for 14 or newer"]),
        ({"ansible_facts": {"system": "Darwin", "architecture": "arm64"}}, []),
        ({"_ollama_native_checksum": ""}, ["ollama_native_checksums: there is none for ollama-linux-amd64.tar.zst of 0.40.2; set the one"]),
        ({"_ollama_native_checksum": "", "_ollama_native_is_current": True}, []),
        ({"ollama_native_version": "0.17.0"}, ["ollama_native_version: 0.17.0 is older than site_ollama_floor (0.17.1); set a newer one"]),
        (facts("shell", "/bin/bash"), ["ollama_native_user: ollama is a user of this host who may log in (/bin/bash)"]),
        (facts("shell", "/usr/bin/false"), []),
        (facts("shell", ""), []),
        (facts("foreign", "/etc/systemd/system/ollama.service"), ["this host has an ollama.service of its own; take it off"]),
        ({"ollama_native_home": "/srv/models/ollama", **facts("above", "")}, ["ollama_native_home: there is no folder /srv/models; mount"]),
        (
            {"site_ollama_bind": "192.0.2.8", "site_ollama_allow": ["192.0.2.1"]},
            ["site_ollama_bind: the host has no address 192.0.2.8; set one of 127.0.0.1, 192.0.2.7 or 0.0.0.0"],
        ),
        ({"site_ollama_bind": "192.0.2.7", "site_ollama_allow": ["192.0.2.1"]}, []),
        ({"site_ollama_bind": "0.0.0.0", "site_ollama_allow": ["192.0.2.1"]}, []),
        ({"site_ollama_bind": "192.0.2.8", "site_ollama_allow": ["192.0.2.1"], **facts("addresses", "")}, []),
        ({"site_ollama_bind": "0.0.0.0"}, ["site_ollama_allow: site_ollama_bind is 0.0.0.0, and nobody is let in"]),
    ],
)  # fmt: skip
def test_the_engine(changes, beginnings):
    agree(SUBJECTS["ollama_native"]({**ENGINE, **changes}), beginnings)


FILE = {"litellm_native_requirements": "r.txt", "_litellm_native_has_requirements": True, "_litellm_native_requirements": REQUIREMENTS}


@pytest.mark.parametrize(
    ("changes", "beginnings"),
    [
        ({}, []),
        ({"ansible_facts": {"system": "FreeBSD"}}, ["litellm_native: this role is for Linux with systemd, and macOS"]),
        ({"_litellm_native_state": {}, "_litellm_native_python_version": "0.0.0"}, ["litellm_native_python: the host has no /usr/bin/python3; install"]),
        (
            {"_litellm_native_state": {}, "ansible_facts": MAC},
            ["litellm_native_python: the host has no /usr/bin/python3; `brew install python@3.12` installs it"],
        ),
        (
            {"_litellm_native_python_version": "3.9.2"},
            ["litellm_native_python: /usr/bin/python3 is Python 3.9.2, and LiteLLM needs 3.10 or newer; install"],
        ),
        (
            {"_litellm_native_python_version": "3.9.2", "ansible_facts": MAC},
            ["litellm_native_python: /usr/bin/python3 is Python 3.9.2, and LiteLLM needs 3.10 or newer; `brew install python@3.12`, and set"],
        ),
        ({"litellm_native_version": "1.104"}, ["litellm_native_version: set a version with three parts, such as 1.104.2 (it is 1.104)"]),
        ({"litellm_native_version": "1.83.9"}, ["litellm_native_version: 1.83.9 is older than site_litellm_floor (1.84.0); set a newer one"]),
        ({"litellm_native_version": "1.103.0"}, ["litellm_native_version: 1.103.0 cannot check its configuration; set 1.104 or newer"]),
        (FILE, []),
        ({**FILE, "_litellm_native_has_requirements": False}, ["litellm_native_requirements: the control node has no file r.txt"]),
        (
            {**FILE, "_litellm_native_requirements": "litellm[proxy]==1.104.2"},
            ["litellm_native_requirements: it does not name litellm[proxy]==1.104.2 or prisma"],
        ),
        ({**FILE, "litellm_native_version": "1.104.20"}, ["litellm_native_requirements: it does not name litellm[proxy]==1.104.20 or prisma"]),
        ({**FILE, "litellm_native_packages": ["boto3"]}, ["litellm_native_packages: name them in litellm_native_requirements"]),
        ({"litellm_native_packages": ["boto3"]}, []),
        ({"litellm_native_index_url": "pypi.lab"}, ["litellm_native_index_url: set http://host/path or https://host/path"]),
        ({"litellm_native_index_url": "http://pypi.lab/simple"}, []),
        ({"litellm_native_dir": "opt/x"}, ["litellm_native_dir: opt/x is no folder for it"]),
        ({"litellm_native_dir": "/opt/local_llm"}, ["litellm_native_dir: /opt/local_llm is no folder for it"]),
        ({"site_project_dir": "/root/llm"}, ["litellm_native_dir, site_project_dir: the gateway sees nothing of /home and /root"]),
        ({"litellm_native_dir": "/homestead/x"}, []),
        ({"litellm_native_memory": "2"}, ["litellm_native_memory: set a number with m or g, such as 2g"]),
        (state(user={"shell": "/bin/sh"}), ["litellm_native_user: the host has a user litellm who can log in (/bin/sh); set another name"]),
        (state(user=None), []),
        ({"litellm_native_dir": 5}, ["litellm_native_dir: 5 is no folder for it"]),
        ({"site_litellm_floor": 1.84}, []),
        ({"_litellm_native_user": "root"}, ["litellm_native_user: root is a name of small letters, digits, - and _, and not root"]),
        ({"_litellm_native_user": "Lite LLM"}, ["litellm_native_user: Lite LLM is a name of small letters"]),
        ({"site_gateway_port": 443}, ["site_gateway_port: 443 is for root alone; set 1024 to 65535"]),
        ({"site_gateway_port": "11434"}, ["site_gateway_port and site_ollama_port are both 11434; give one of them another"]),
        (state(port={"state": "taken", "owner": "python3"}), ["site_gateway_port: 4444 belongs to python3; stop that, or set another port"]),
        (state(port={"state": "no_address"}), ["site_gateway_bind: the host has no address 127.0.0.1; set one that it has"]),
        ({"llm_stack_client_keys": {"ci": {}}}, ["llm_stack_client_keys: keys for clients need a database"]),
        ({"llm_stack_engines": ["box7"]}, ["llm_stack_engines: a native gateway knows engines of other hosts by llm_stack_backends alone"]),
        ({"llm_stack_primary": "gw1"}, ["llm_stack_primary: a native gateway has no database"]),
        ({"_litellm_native_has_engine": False}, ["llm_stack_services: there is no route"]),
        ({"_litellm_native_has_engine": False, "llm_stack_providers": {"openai": {}}}, []),
        ({"_litellm_native_given": True}, ["LITELLM_MASTER_KEY: the host has another than was given"]),
        ({"llm_stack_salt_key": "short"}, ["llm_stack_salt_key: set at least 16 letters or digits"]),
        ({"_litellm_native_gateway": {"problems": ["llm_stack_backends: no"]}}, ["llm_stack_backends: no"]),
    ],
)  # fmt: skip
def test_the_gateway(changes, beginnings):
    agree(SUBJECTS["litellm_native"]({**GATEWAY, **changes}), beginnings)
