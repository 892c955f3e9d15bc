# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils import preflight
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings

DEFAULTS = settings(["site", "llm_stack", "preflight"], {}, str)
READING = {"user": "root", "systemd": True, "memory_mib": 8000, "docker": {"version": "26"}}
LINUX = {"system": "Linux", "architecture": "x86_64"}
MAC = {"system": "Darwin", "architecture": "arm64"}
ALL = {"ollama": True, "db": True, "redis": True, "litellm": True}


def host(**changes):
    return {
        **DEFAULTS,
        "ansible_facts": LINUX,
        "has": {"ollama": True, "db": True, "redis": False, "litellm": True},
        "gpu": {"image": "ollama/ollama:0.40.2"},
        "is_complete": False,
        "docker_plan": {},
        "_site_engine_native": False,
        "_site_gateway_native": False,
        "reading": READING,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "beginnings"),
    [
        ({}, []),
        ({"site_registry_mirrors": "http://m:5000"}, ["site_registry_mirrors: it is not a list"]),
        ({"site_registry_mirrors": ["http://m:5000/", "m:5000"]}, ["site_registry_mirrors: each begins with http:// or https:// (m:5000)"]),
        ({"site_insecure_registries": "m:5000"}, ["site_insecure_registries: it is not a list"]),
        ({"site_insecure_registries": ["m:5000", "http://m"]}, ["site_insecure_registries: each is host:port, without http:// (http://m)"]),
        (
            {"site_model_mirror": "http://m:5000"},
            ["site_model_mirror: it is host:port, without http:// and without a path (http://m:5000)"],
        ),
        ({"site_model_mirror": "m.lab:5000", "site_model_mirror_insecure": True}, []),
        ({"site_model_mirror_insecure": "true"}, ["site_model_mirror_insecure: it is set, but there is no site_model_mirror"]),
        ({"site_proxy": "proxy:3128"}, ["site_proxy: set http://host:port"]),
        ({"site_proxy": "http://me:pw@proxy:3128", "site_no_proxy": [".lab"]}, []),
        ({"site_proxy": 3128}, ["site_proxy: set http://host:port"]),
        ({"site_project_dir": None}, ["site_project_dir:  is no folder for it"]),
        ({"site_no_proxy": [".lab"]}, ["site_no_proxy: it is set, but there is no site_proxy"]),
        ({"site_project_dir": "opt/llm"}, ["site_project_dir: opt/llm is no folder for it"]),
        ({"site_project_dir": "/opt/local llm"}, ["site_project_dir: /opt/local llm is no folder for it"]),
    ],
)
def test_settings(changes, beginnings):
    found = preflight.settings(host(**changes))
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


@pytest.mark.parametrize(
    ("name", "text", "good"),
    [("", None, True), ("ca.pem", "-----BEGIN CERTIFICATE-----", True), ("ca.pem", None, False), ("ca.pem", "nothing", False)],
)
def test_certificate(name, text, good):
    assert (preflight.certificate(name, text) == []) is good


@pytest.mark.parametrize(
    ("changes", "reading", "beginnings"),
    [
        ({}, {}, []),
        ({}, {"user": "ops"}, ["the user ops is not root; set become: true"]),
        (
            {"ansible_facts": {"system": "FreeBSD", "architecture": "x86_64"}},
            {},
            ["the host runs FreeBSD; this playbook is for Linux and macOS"],
        ),
        ({"ansible_facts": MAC}, {"systemd": False}, []),
        ({"ansible_facts": MAC, "site_engine": "container"}, {}, ["site_engine: containers on macOS have no GPU"]),
        ({"ansible_facts": {**LINUX, "architecture": "riscv64"}}, {}, ["the host is riscv64; the images are for x86_64 and aarch64"]),
        ({}, {"systemd": False}, ["systemd does not run this host"]),
        ({}, {"memory_mib": 3499}, ["the host has 3499 MiB of memory, and preflight_memory_floor_mib asks for 3500"]),
        ({}, {"memory_mib": None}, []),
    ],
)
def test_the_host(changes, reading, beginnings):
    found = preflight.host(host(reading={**READING, **reading}, **changes))
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


@pytest.mark.parametrize(
    ("free", "offset", "beginnings"),
    [
        (9000, None, []),
        (9000, -300, []),
        (8191, 0, ["/var/lib/docker has 8191 MiB free, and preflight_disk_floor_mib asks for 8192; free some"]),
        (9000, 7200, ["the clock is 2.0 hours ahead of that of the control node"]),
        (9000, -301, ["the clock is 0.1 hours behind that of the control node"]),
    ],
)
def test_disk_and_clock(free, offset, beginnings):
    found = preflight.disk_and_clock(host(), {"paths": [{"path": "/var/lib/docker", "free_mib": free}], "clock_offset": offset})
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


R2 = {preflight.OLLAMA_DATA: "site_model_mirror"}
MIRRORS = {"site_registry_mirrors": ["http://m:5000/"], "site_model_mirror": "m:5000", "site_model_mirror_insecure": True}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "https://ghcr.io/v2/": "llm_stack_litellm_image",
                "https://registry-1.docker.io/v2/": "site_registry_mirrors",
                "https://registry.ollama.ai/v2/": "site_model_mirror",
                **R2,
            },
        ),
        (
            {**MIRRORS, "llm_stack_litellm_image": "m:5000/litellm:1", "site_insecure_registries": ["m:5000"]},
            {"http://m:5000/v2/": "site_registry_mirrors and llm_stack_litellm_image and site_model_mirror"},
        ),
        # Redis, and the image for AMD's GPUs.
        (
            {
                **MIRRORS,
                "has": ALL,
                "llm_stack_redis_image": "quay.io/redis:8",
                "gpu": {"image": "rocm.lab/ollama:0.40.2-rocm"},
                "llm_stack_litellm_image": "docker.io/litellm:1",
            },
            {
                "https://rocm.lab/v2/": "llm_stack_ollama_image",
                "https://quay.io/v2/": "llm_stack_redis_image",
                "http://m:5000/v2/": "site_registry_mirrors and site_model_mirror",
            },
        ),
        (
            {
                "has": dict.fromkeys(ALL, False),
                "llm_stack_services": ["ollama", "litellm"],
                "_site_engine_native": True,
                "_site_gateway_native": True,
                "gateway_installed": False,
                "ollama_native_url": "https://github.com/ollama",
                "litellm_native_index_url": "https://me:pw@pypi.lab/simple",
            },
            {
                "https://registry.ollama.ai/v2/": "site_model_mirror",
                **R2,
                "https://github.com/ollama/": "ollama_native_url",
                "https://pypi.lab/simple/": "litellm_native_index_url",
            },
        ),
        (
            {
                "has": dict.fromkeys(ALL, False),
                "llm_stack_services": ["litellm"],
                "_site_gateway_native": True,
                "gateway_installed": True,
            },
            {},
        ),
        (
            {
                **MIRRORS,
                "llm_stack_services": ["db", "litellm"],
                "has": {**dict.fromkeys(ALL, False), "db": True},
                "reading": {**READING, "docker": None},
                "docker_plan": {"source": "docker"},
                "docker_engine_repository": "https://download.docker.com/linux",
            },
            {"http://m:5000/v2/": "site_registry_mirrors", "https://download.docker.com/linux/": "docker_engine_repository"},
        ),
    ],
)
def test_sources(changes, expected):
    assert preflight.sources(host(**changes)) == expected


def test_what_does_not_answer():
    tried = [
        {"url": "https://a/", "ok": True, "reason": None, "detail": "HTTP 200"},
        {"url": "https://b/", "ok": False, "reason": "name", "detail": "not known"},
        {"url": "https://c/InRelease", "ok": False, "reason": "timeout", "detail": "no answer in time"},
    ]
    assert preflight.unreachable(tried, {"https://b/": "site_model_mirror"}) == [
        "https://b/ (not known): no name server knows it; fix the host's DNS, or set site_model_mirror",
        "https://c/InRelease (no answer in time): it does not answer in time; open the way to it, set site_proxy, or set the package sources"
        " of the host",
    ]


@pytest.mark.parametrize(
    ("reach", "complete", "system", "expected"),
    [
        ("auto", False, "Linux", True),
        ("auto", True, "Linux", False),
        ("always", True, "Darwin", True),
        ("never", False, "Linux", False),
        ("always", True, "FreeBSD", False),
    ],
)
def test_when_addresses_are_tried(reach, complete, system, expected):
    assert preflight.is_to_be_tried(host(preflight_reach=reach, is_complete=complete, ansible_facts={"system": system})) is expected


def test_what_is_read():
    assert preflight.failure([]) == ""
    assert preflight.failure(["a: b", "c: d", "a: b"]) == "Nothing was changed. 2 to fix first:\n- a: b\n- c: d"
