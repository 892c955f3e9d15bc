# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what is wrong with the settings of an engine or a gateway that runs without a container, and with its host as it was read.

The functions take the host's variables by their names, as the roles ``ollama_native`` and ``litellm_native`` document and derive them.
"""

from __future__ import annotations

import re
import typing as t

from .stack_problems import (
    ADDRESS,
    EVERYWHERE,
    LOOPBACK,
    MEMORY,
    VALIDATES_SINCE,
    Variables,
    first,
    is_mac,
    number,
    secrets,
    site_ollama,
    truth,
)
from .versions import newer

MACOS_MIN_VERSION = "14"  # that Ollama asks for
PYTHON_MIN_VERSION = "3.10"  # that LiteLLM asks for
USER_PORTS = range(1024, 65536)  # that others than root may listen on
NO_SHELL = re.compile(r"nologin|/false\s*\Z")


def ollama(variables: Variables) -> list[str]:
    """Return what is wrong with a native engine.

    :arg variables: the settings ``site_*`` and ``ollama_native_*``, ``ansible_facts``, and what the role derives: ``_ollama_native_facts``
        (what was read, text by name), ``_ollama_native_archive``, ``_ollama_native_checksum``, ``_ollama_native_is_current``,
        ``_ollama_native_user``, ``_ollama_native_home``.
    """
    read = {name: str(text).strip() for name, text in variables["_ollama_native_facts"].items()}
    mac, found = is_mac(variables), []
    if variables["ollama_native_source"] == "homebrew" and not mac:
        found.append("ollama_native_source: Homebrew is for macOS; set archive")
    found += ollama_machine(variables, mac)
    if variables["ollama_native_source"] == "archive":
        found += ollama_archive(variables)
    if read.get("shell") and not NO_SHELL.search(read["shell"]):
        found.append(
            "ollama_native_user: %s is a user of this host who may log in (%s); name another, or leave that one without a shell"
            % (variables["_ollama_native_user"], read["shell"])
        )
    if read.get("foreign"):
        found.append(
            "this host has an ollama.service of its own; take it off (systemctl disable --now ollama; rm"
            " /etc/systemd/system/ollama.service), and set ollama_native_home to the folder above its models to keep them"
            " (/usr/share/ollama/.ollama after the official installer)"
        )
    if variables["ollama_native_home"] and read.get("above") != "there":
        above = variables["_ollama_native_home"].rpartition("/")[0]
        found.append("ollama_native_home: there is no folder %s; mount the disk, or set another" % above)
    bind, there = str(variables["site_ollama_bind"]), read.get("addresses", "").split()
    if there and ADDRESS.match(bind) and not bind.startswith(LOOPBACK) and bind not in [EVERYWHERE, *there]:
        found.append("site_ollama_bind: the host has no address %s; set one of %s or 0.0.0.0" % (bind, ", ".join(there)))
    return found + site_ollama(variables)


def ollama_machine(variables: Variables, mac: bool) -> list[str]:
    """Return what is wrong with the machine that an engine is to run on."""
    facts = variables["ansible_facts"]
    machine, release = facts.get("architecture"), facts.get("distribution_version") or MACOS_MIN_VERSION
    unknown = (machine or "x86_64") != "arm64" if mac else "none" in variables["_ollama_native_archive"]
    return first(
        "the host is %s; Ollama computes on Apple Silicon, x86_64 and aarch64" % machine if unknown else "",
        "the host runs macOS %s; Ollama asks for %s or newer" % (release, MACOS_MIN_VERSION)
        if mac and not newer(release, MACOS_MIN_VERSION)
        else "",
    )


def ollama_archive(variables: Variables) -> list[str]:
    """Return what is wrong with the version that is to be installed."""
    version, archive, floor = variables["ollama_native_version"], variables["_ollama_native_archive"], variables["site_ollama_floor"]
    found = []
    if not truth(variables["_ollama_native_is_current"]) and not re.match(r"[0-9a-f]{64}\Z", variables["_ollama_native_checksum"]):
        found.append(
            "ollama_native_checksums: there is none for %s of %s; set the one that sha256sum.txt of that release has, as in {%s: …}"
            % (archive, version, archive)
        )
    if not newer(version, floor):
        found.append("ollama_native_version: %s is older than site_ollama_floor (%s); set a newer one" % (version, floor))
    return found


def litellm(variables: Variables) -> list[str]:
    """Return what is wrong with a native gateway.

    :arg variables: the settings ``site_*``, ``llm_stack_*`` and ``litellm_native_*``, ``ansible_facts``, and what the role derives:
        ``_litellm_native_state`` (what was read; empty where the host has no such Python), ``_litellm_native_python``,
        ``_litellm_native_python_version``, ``_litellm_native_brew_python``, ``_litellm_native_user``, ``_litellm_native_has_engine``,
        ``_litellm_native_given`` (whether another key was given than the host has), ``_litellm_native_has_requirements`` (whether
        the control node has the file), ``_litellm_native_requirements`` (its text), ``_litellm_native_gateway``.
    """
    found = []
    if variables["ansible_facts"].get("system") not in ("Linux", "Darwin"):
        found.append("litellm_native: this role is for Linux with systemd, and macOS")
    found += litellm_python(variables) + litellm_version(variables) + litellm_packages(variables) + litellm_place(variables)
    found += litellm_port(variables) + litellm_without_database(variables)
    if truth(variables["_litellm_native_given"]):
        found.append(
            "LITELLM_MASTER_KEY: the host has another than was given; playbooks/rotate.yml puts the given in place, or take it out of"
            " llm_stack_master_key to keep what the host has"
        )
    return found + secrets(variables) + list(variables["_litellm_native_gateway"]["problems"])


def litellm_python(variables: Variables) -> list[str]:
    """Return what is wrong with the Python that LiteLLM is to run on."""
    python, version, mac = variables["_litellm_native_python"], variables["_litellm_native_python_version"], is_mac(variables)
    install = "`brew install python@3.12` installs it" if mac else "install it, or set the path of a Python of 3.10 or newer"
    other = "`brew install python@3.12`, and set %s" % variables["_litellm_native_brew_python"] if mac else "install one, and set its path"
    return first(
        "litellm_native_python: the host has no %s; %s" % (python, install) if not variables["_litellm_native_state"] else "",
        "litellm_native_python: %s is Python %s, and LiteLLM needs 3.10 or newer; %s" % (python, version, other)
        if not newer(version, PYTHON_MIN_VERSION)
        else "",
    )


def litellm_version(variables: Variables) -> list[str]:
    """Return what is wrong with the version that is to be installed."""
    version, floor = str(variables["litellm_native_version"]), variables["site_litellm_floor"]
    return first(
        "litellm_native_version: set a version with three parts, such as 1.104.2 (it is %s)" % version
        if not re.match(r"[0-9]+[.][0-9]+[.][0-9]+([.a-z0-9]*)\Z", version)
        else "",
        "litellm_native_version: %s is older than site_litellm_floor (%s); set a newer one" % (version, floor)
        if not newer(version, floor)
        else "",
        "litellm_native_version: %s cannot check its configuration; set %s or newer" % (version, VALIDATES_SINCE)
        if not newer(version, VALIDATES_SINCE)
        else "",
    )


def litellm_packages(variables: Variables) -> list[str]:
    """Return what is wrong with the packages that are to be installed, and with where they come from."""
    file, version = variables["litellm_native_requirements"], str(variables["litellm_native_version"])
    text = variables["_litellm_native_requirements"]
    named = re.search(r"(?m)^litellm(\[[a-z,_-]+\])?==%s( |$)" % re.escape(version), text) and re.search("(?m)^prisma==", text)
    found = first(
        "litellm_native_requirements: the control node has no file %s" % file
        if file and not truth(variables["_litellm_native_has_requirements"])
        else "",
        "litellm_native_requirements: it does not name litellm[proxy]==%s or prisma; make it again with both" % version
        if file and not named
        else "",
        "litellm_native_packages: name them in litellm_native_requirements, which says all that is installed"
        if file and variables["litellm_native_packages"]
        else "",
    )
    index = str(variables["litellm_native_index_url"] or "")
    if index and not re.match(r"https?://[^ ]+\Z", index):
        found.append("litellm_native_index_url: set http://host/path or https://host/path")
    return found


def litellm_place(variables: Variables) -> list[str]:
    """Return what is wrong with the gateway's folder, its memory and its user."""
    folder, project, user = (str(variables[name]) for name in ("litellm_native_dir", "site_project_dir", "_litellm_native_user"))
    hidden = [path for path in (folder, project) if re.match("/(home|root|run/user)(/|$)", path)]
    found = first(
        "litellm_native_dir: %s is no folder for it; set an absolute path of letters, digits, dots, - and _, outside of site_project_dir"
        % folder
        if not re.match(r"(/[A-Za-z0-9._-]+)+\Z", folder) or folder == project
        else "",
        "litellm_native_dir, site_project_dir: the gateway sees nothing of /home and /root; set folders outside of them" if hidden else "",
    )
    if not MEMORY.match(str(variables["litellm_native_memory"])):
        found.append("litellm_native_memory: set a number with m or g, such as 2g")
    shell = ((variables["_litellm_native_state"] or {}).get("user") or {}).get("shell") or "/bin/false"
    return found + first(
        "litellm_native_user: the host has a user %s who can log in (%s); set another name" % (user, shell)
        if shell.rpartition("/")[2] not in ("nologin", "false")
        else "",
        "litellm_native_user: %s is a name of small letters, digits, - and _, and not root" % user
        if not re.match(r"[a-z_][a-z0-9_-]{0,30}\Z", user) or user == "root"
        else "",
    )


def litellm_port(variables: Variables) -> list[str]:
    """Return what is wrong with the address that the gateway is to listen on."""
    port, taken = variables["site_gateway_port"], (variables["_litellm_native_state"] or {}).get("port") or {}
    return first(
        "site_gateway_port: %s is for root alone; set 1024 to 65535" % port if number(port) not in USER_PORTS else "",
        "site_gateway_port and site_ollama_port are both %s; give one of them another" % port
        if number(port) == number(variables["site_ollama_port"])
        else "",
        "site_gateway_port: %s belongs to %s; stop that, or set another port" % (port, taken.get("owner"))
        if taken.get("state") == "taken"
        else "",
        "site_gateway_bind: the host has no address %s; set one that it has, or 0.0.0.0 for all" % variables["site_gateway_bind"]
        if taken.get("state") == "no_address"
        else "",
    )


def litellm_without_database(variables: Variables) -> list[str]:
    """Return which settings ask for what a gateway without a database does not have."""
    found = []
    if variables["llm_stack_client_keys"]:
        found.append("llm_stack_client_keys: keys for clients need a database, which a native gateway does not have; leave it empty")
    if variables["llm_stack_engines"]:
        found.append("llm_stack_engines: a native gateway knows engines of other hosts by llm_stack_backends alone; name them there")
    if variables["llm_stack_primary"]:
        found.append("llm_stack_primary: a native gateway has no database, and so uses none; take it out")
    if not truth(variables["_litellm_native_has_engine"]) and not variables["llm_stack_backends"] and not variables["llm_stack_providers"]:
        found.append(
            "llm_stack_services: there is no route, because there is neither ollama nor anything in llm_stack_backends or"
            " llm_stack_providers"
        )
    return found


#: What can be asked for, by name.
SUBJECTS: dict[str, t.Callable[[Variables], list[str]]] = {"ollama_native": ollama, "litellm_native": litellm}
