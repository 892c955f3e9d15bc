# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what would stop a run: settings that mean nothing, what a host lacks, and addresses that it cannot reach.

The functions take the host's variables by their names, as the roles ``site``, ``preflight`` and ``llm_stack`` document and derive them.
"""

from __future__ import annotations

import re
import typing as t

from . import services
from .stack_problems import Variables, first, is_mac, number, truth, words

SYSTEMS = ("Linux", "Darwin")
MACHINES = ("x86_64", "aarch64")  # that the images are made for
REGISTRY = re.compile(r"([^/]+[.:][^/]*|localhost)/")  # at the beginning of an image's name; Docker Hub is named by none
HUB = "https://registry-1.docker.io"
OLLAMA = "registry.ollama.ai"
# Ollama's registry sends whoever pulls a model there for the data.
OLLAMA_DATA = "https://dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com/"
PYPI = "https://pypi.org/simple"
#: What to do about an address, by the reason why it does not answer; the variable to look at follows.
FIXES = {
    "name": "no name server knows it; fix the host's DNS, or set",
    "connection": "it cannot be reached; open the way to it, set site_proxy, or set",
    "timeout": "it does not answer in time; open the way to it, set site_proxy, or set",
    "certificate": "its certificate is not trusted; set site_ca_certificate to the authority's file, or fix",
    "proxy": "the proxy does not let it through; fix site_proxy, site_no_proxy, or set",
    "plain": "it speaks plain HTTP; add it to site_insecure_registries (or set site_model_mirror_insecure), or set",
    "server": "it answers with an error; fix it, or set",
}


def settings(variables: Variables) -> list[str]:
    """Return what is wrong with the settings ``site_*`` that name addresses and folders.

    :arg variables: these settings.
    """
    mirrors, insecure = variables["site_registry_mirrors"], variables["site_insecure_registries"]
    model_mirror, proxy, folder = (str(variables["site_%s" % name] or "") for name in ("model_mirror", "proxy", "project_dir"))
    bad_mirrors = [one for one in words(mirrors) if not re.match(r"https?://[^/ ]+/?\Z", one)]
    bad_insecure = [one for one in words(insecure) if re.search("://| ", one)]
    found = first(
        "site_registry_mirrors: it is not a list; write each entry after a dash of its own" if isinstance(mirrors, str) else "",
        "site_registry_mirrors: each begins with http:// or https:// (%s)" % ", ".join(bad_mirrors) if bad_mirrors else "",
    )
    found += first(
        "site_insecure_registries: it is not a list; write each entry after a dash of its own" if isinstance(insecure, str) else "",
        "site_insecure_registries: each is host:port, without http:// (%s)" % ", ".join(bad_insecure) if bad_insecure else "",
    )
    if model_mirror and not re.match(r"[A-Za-z0-9.-]+(:[0-9]+)?\Z", model_mirror):
        found.append("site_model_mirror: it is host:port, without http:// and without a path (%s)" % model_mirror)
    if truth(variables["site_model_mirror_insecure"]) and not model_mirror:
        found.append("site_model_mirror_insecure: it is set, but there is no site_model_mirror; set one, or take it out")
    if proxy and not re.match(r"https?://([^/@ ]+@)?[^/@ ]+/?\Z", proxy):
        found.append("site_proxy: set http://host:port or http://user:password@host:port")
    if variables["site_no_proxy"] and not proxy:
        found.append("site_no_proxy: it is set, but there is no site_proxy; set one, or take it out")
    if not re.match(r"(/[A-Za-z0-9._-]+)+/?\Z", folder):
        found.append("site_project_dir: %s is no folder for it; set an absolute path of letters, digits, dots, - and _" % folder)
    return found


def certificate(name: str, text: str | None) -> list[str]:
    """Return what is wrong with ``site_ca_certificate``.

    :arg name: the setting; empty where no authority is to be trusted.
    :arg text: what is in the file; None where there is none.
    """
    if not name or (text is not None and "BEGIN CERTIFICATE" in text):
        return []
    return ["site_ca_certificate: %s is no file with certificates (PEM) on the control node" % name]


def host(variables: Variables) -> list[str]:
    """Return what the host lacks.

    :arg variables: ``ansible_facts``, ``reading`` (what ``host_info`` returned), ``site_engine``, ``preflight_memory_floor_mib``.
    """
    reading, facts = variables["reading"], variables["ansible_facts"]
    system, machine = facts.get("system"), facts.get("architecture")
    memory, floor = reading["memory_mib"], number(variables["preflight_memory_floor_mib"])
    found = []
    if reading["user"] != "root":
        found.append("the user %s is not root; set become: true, and a user that may use sudo" % reading["user"])
    found += first(
        "the host runs %s; this playbook is for Linux and macOS" % system if system not in SYSTEMS else "",
        "site_engine: containers on macOS have no GPU; leave it out, or set native"
        if is_mac(variables) and variables["site_engine"] == "container"
        else "",
        "the host is %s; the images are for x86_64 and aarch64" % machine if not is_mac(variables) and machine not in MACHINES else "",
    )
    if not reading["systemd"] and not is_mac(variables):
        found.append("systemd does not run this host, and it starts the services; take a machine or a VM that starts with systemd")
    if memory is not None and memory < floor:
        found.append("the host has %d MiB of memory, and preflight_memory_floor_mib asks for %d" % (memory, floor))
    return found


def native_engine(variables: Variables, running: t.Iterable[str]) -> list[str]:
    """Return what keeps an engine from running without a container.

    :arg variables: ``_site_engine_native``.
    :arg running: the services that run in containers.
    """
    if not truth(variables["_site_engine_native"]) or "ollama" not in running:
        return []
    return [
        "site_engine: the engine of this host runs in a container; run playbooks/uninstall.yml for it first (models and database stay),"
        " or set container"
    ]


def disk_and_clock(variables: Variables, reached: Variables) -> list[str]:
    """Return what is wrong with the disk and the clock.

    :arg variables: ``preflight_disk_floor_mib``, ``preflight_clock_tolerance``.
    :arg reached: what ``host_info`` returned, with one of its ``paths`` and a ``reference_time``.
    """
    disk, floor = reached["paths"][0], number(variables["preflight_disk_floor_mib"])
    offset, found = reached["clock_offset"] or 0.0, []
    if disk["free_mib"] < floor:
        text = "%s has %d MiB free, and preflight_disk_floor_mib asks for %d; free some, or mount a larger disk there"
        found.append(text % (disk["path"], disk["free_mib"], floor))
    if abs(offset) > float(variables["preflight_clock_tolerance"]):
        found.append(
            "the clock is %.1f hours %s that of the control node, so that certificates and package lists would be refused; set it"
            " (timedatectl set-ntp true)" % (abs(offset) / 3600, "ahead of" if offset > 0 else "behind")
        )
    return found


def images(variables: Variables) -> dict[str, str]:
    """Return the images of the services that run in containers, without the name of Docker Hub, by the variable that names each.

    :arg variables: ``has``, ``llm_stack_*_image``, and ``gpu``, whose image is the one for the GPUs of the plan.
    """
    names = [name for name, runs in variables["has"].items() if runs]
    known = services.images(variables, names, variables["gpu"]["image"])
    return {setting: re.sub(r"\Adocker[.]io/", "", image) for setting, image in known.items()}


def sources(variables: Variables) -> dict[str, str]:
    """Return the addresses that the host will fetch from, and for each the variables to look at where it does not answer.

    :arg variables: those of :func:`images`, ``site_*``, ``_site_engine_native``, ``_site_gateway_native``, ``llm_stack_services``,
        ``is_complete`` (whether the stack runs already), ``reading``, ``docker_plan`` and
        ``docker_engine_repository`` where Docker is to be installed, ``ollama_native_url`` or ``litellm_native_*`` where those are native.
    """
    has_ollama = "ollama" in words(variables["llm_stack_services"])
    found: dict[str, list[str]] = {}

    def add(address: str, variable: str) -> None:
        if variable not in found.setdefault(address, []):
            found[address].append(variable)

    for variable, image in images(variables).items():
        match = REGISTRY.match(image)
        if match:
            scheme = "http" if match.group(1) in words(variables["site_insecure_registries"]) else "https"
            add("%s://%s/v2/" % (scheme, match.group(1)), variable)
        else:
            # Mirrors stand in for Docker Hub.
            for mirror in words(variables["site_registry_mirrors"]) or [HUB]:
                add(mirror.rstrip("/") + "/v2/", "site_registry_mirrors")
    if has_ollama:
        scheme = "http" if truth(variables["site_model_mirror_insecure"]) else "https"
        add("%s://%s/v2/" % (scheme, variables["site_model_mirror"] or OLLAMA), "site_model_mirror")
        if not variables["site_model_mirror"]:
            add(OLLAMA_DATA, "site_model_mirror")
    if has_ollama and truth(variables["_site_engine_native"]) and not truth(variables["is_complete"]):
        add(variables["ollama_native_url"] + "/", "ollama_native_url")
    native_gateway = truth(variables["_site_gateway_native"]) and "litellm" in words(variables["llm_stack_services"])
    if native_gateway and not truth(variables["gateway_installed"]):
        index = re.sub("//[^/@]*@", "//", str(variables["litellm_native_index_url"] or PYPI))
        add(index.rstrip("/") + "/", "litellm_native_index_url")
    docker = variables["docker_plan"]
    if variables["reading"]["docker"] is None and docker.get("source") == "docker":
        add(variables["docker_engine_repository"] + "/", "docker_engine_repository")
    return {address: " and ".join(names) for address, names in found.items()}


def unreachable(tried: t.Iterable[Variables], known: t.Mapping[str, str]) -> list[str]:
    """Return a line for each address that did not answer.

    :arg tried: ``sources`` as ``host_info`` returns them.
    :arg known: what :func:`sources` returned; an address beside them is one of the host's package sources.
    """
    text = "%s (%s): %s %s"
    return [
        text % (one["url"], one["detail"], FIXES[one["reason"]], known.get(one["url"], "the package sources of the host"))
        for one in tried
        if not one["ok"]
    ]


def is_to_be_tried(variables: Variables) -> bool:
    """Whether the addresses are tried in this run.

    :arg variables: ``preflight_reach`` (``auto``, ``always``, ``never``), ``is_complete``, ``ansible_facts``.
    """
    reach = variables["preflight_reach"]
    wanted = reach == "always" or (reach == "auto" and not truth(variables["is_complete"]))
    return wanted and variables["ansible_facts"].get("system") in SYSTEMS


def failure(problems: t.Iterable[str]) -> str:
    """Return what a person reads where something is wrong; empty where nothing is."""
    lines = list(dict.fromkeys(problems))
    return "\n".join(["Nothing was changed. %d to fix first:" % len(lines), *("- " + line for line in lines)]) if lines else ""
