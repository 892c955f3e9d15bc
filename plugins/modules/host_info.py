#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Read what a host of the stack is
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads in one round trip what the roles judge a host by - its clock, disks and sockets, its Docker Engine, the Compose
    project's containers and files - and tries addresses that it will have to fetch from.
  - It judges nothing, changes nothing, and returns no secret.
options:
  sections:
    description:
      - What is read. V(stack) is all that is not V(system) or V(daemon).
    type: list
    elements: str
    choices: [stack, system, daemon]
    default: [stack]
  project:
    description:
      - Name of the Compose project.
    type: str
    default: local-llm
  project_dir:
    description:
      - Folder of the Compose project.
    type: path
    default: /opt/local_llm
  containers:
    description:
      - Names of containers to read, whichever project they belong to. Those of O(project) are read anyway.
    type: list
    elements: str
    default: []
  networks:
    description:
      - Names of Docker networks to look for.
    type: list
    elements: str
    default: []
  ports:
    description:
      - Addresses that the stack publishes, or wants to.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description:
          - IP address to listen on. V(0.0.0.0) and V(::) are all of the host's.
        type: str
        required: true
      port:
        description:
          - TCP port.
        type: int
        required: true
  units:
    description:
      - Names of systemd units in C(/etc/systemd/system) to read.
    type: list
    elements: str
    default: []
  packages:
    description:
      - Names of packages whose versions are read, from dpkg or rpm.
    type: list
    elements: str
    default: []
  paths:
    description:
      - Folders whose file systems are measured. One that does not exist yet stands for the nearest above it that does.
    type: list
    elements: str
    default: []
  sources:
    description:
      - Addresses (HTTP or HTTPS) that must be reached. All are tried at the same time.
    type: list
    elements: str
    default: []
  package_sources:
    description:
      - Try the addresses of the host's APT sources, too.
    type: bool
    default: false
  proxy:
    description:
      - Proxy through which the sources are tried. Those of the environment are not used.
    type: str
  no_proxy:
    description:
      - Hosts and domains that are reached without O(proxy).
    type: list
    elements: str
    default: []
  ca_pem:
    description:
      - Certificates of authorities to trust besides the host's own, in PEM.
    type: str
  reference_time:
    description:
      - Seconds since 1970 on another machine's clock, to compare this one with.
    type: float
  timeout:
    description:
      - Seconds that a source, or a tool such as C(docker), may take to answer.
    type: int
    default: 10
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it, because it changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux with Python 3.9 or newer. No other package is needed; Docker is read where it is.
    support: full
    platforms: linux
notes:
  - Whose a listening socket is, and what the environment file holds, only root can read.
seealso:
  - module: local_llm.fleet.gpu_info
"""

EXAMPLES = r"""
- name: Read the host
  local_llm.fleet.host_info:
    ports: [{address: 127.0.0.1, port: 4444}]
    sources: [https://ghcr.io/v2/]
    reference_time: "{{ now().timestamp() }}"
  register: host

- name: Is the port free, or ours?
  ansible.builtin.assert:
    that: host.ports[0].state in ['free', 'ours']
    fail_msg: "Port {{ host.ports[0].port }} belongs to {{ host.ports[0].owner }}."
"""

RETURN = r"""
system:
  description: What the operating system says of itself.
  returned: when V(system) is one of the O(sections)
  type: dict
  contains:
    id:
      description: The C(ID) of C(/etc/os-release).
      type: str
      sample: debian
    like:
      description: Its C(ID_LIKE).
      type: str
      sample: "rhel centos fedora"
    version:
      description: Its C(VERSION_ID).
      type: str
      sample: "13"
    codename:
      description: Its C(VERSION_CODENAME).
      type: str
      sample: trixie
    base_codename:
      description: Its C(UBUNTU_CODENAME) or C(DEBIAN_CODENAME), the release that a derivative is made of.
      type: str
      sample: ""
    platform:
      description: Its C(PLATFORM_ID).
      type: str
      sample: ""
    name:
      description: Name and version, for messages.
      type: str
      sample: Debian 13
    package_tool:
      description: The tool that manages the host's packages - V(apt), V(dnf), V(zypper), V(pacman), V(yum), or empty.
      type: str
      sample: apt
    machine:
      description: What C(uname -m) says.
      type: str
      sample: x86_64
daemon:
  description: The Docker daemon, and what its unit gives it on the command line.
  returned: when V(daemon) is one of the O(sections)
  type: dict
  contains:
    installed:
      description: Whether there is a C(dockerd).
      type: bool
      sample: true
    snap:
      description: Whether Docker is the snap package.
      type: bool
      sample: false
    version:
      description: Its version; empty where it does not answer.
      type: str
      sample: 26.1.5
    errors:
      description: Why it does not answer.
      type: list
      elements: str
      sample: []
    compose_version:
      description: Version of the Compose plugin; empty where there is none.
      type: str
      sample: 2.26.1
    data_root:
      description: The folder that it keeps its data in.
      type: str
      sample: /var/lib/docker
    log_driver:
      description: The log driver of new containers.
      type: str
      sample: json-file
    mirrors:
      description: The mirrors of Docker Hub that it runs with.
      type: list
      elements: str
      sample: ["http://mirror.example.com:5000/"]
    insecure:
      description: The registries that it knows, insecure ones among them.
      type: list
      elements: str
      sample: [docker.io]
    has_proxy:
      description: Whether it runs with a proxy.
      type: bool
      sample: false
    runtimes:
      description: The names of its runtimes.
      type: list
      elements: str
      sample: [runc]
    cdi:
      description: Whether it reads CDI specifications.
      type: bool
      sample: false
    applied:
      description: Whether it was started after C(daemon.json) was last written.
      type: bool
      sample: true
    unfinished:
      description: Whether a run was cut between writing C(daemon.json) and the start with it.
      type: bool
      sample: false
    flags:
      description:
        - The flags of its command line, as its unit would start it. A key of C(daemon.json) that is among them keeps it from starting.
      type: list
      elements: dict
      contains:
        flag:
          description: The flag's long name.
          type: str
          sample: log-driver
        key:
          description: The key of C(daemon.json) that means the same.
          type: str
          sample: log-driver
        values:
          description: Its values. A proxy's are left out, since they may hold a password.
          type: list
          elements: str
          sample: [journald]
        file:
          description: The file that names it; empty where none was found.
          type: str
          sample: /etc/systemd/system/docker.service.d/logs.conf
user:
  description: Who reads, by name. Kept facts may be those of another.
  returned: when V(stack) is one of the O(sections)
  type: str
  sample: root
systemd:
  description: Whether systemd runs the host.
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: true
memory_mib:
  description: The host's memory in MiB. V(none) where it could not be read.
  returned: when V(stack) is one of the O(sections)
  type: int
  sample: 7812
clock_offset:
  description: Seconds by which the host's clock is ahead of O(reference_time). V(none) without one.
  returned: when V(stack) is one of the O(sections)
  type: float
  sample: -0.2
iptables:
  description: Whether the host has C(iptables).
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: true
ports:
  description: The O(ports), in their order.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    address:
      description: As it was given.
      type: str
      sample: 127.0.0.1
    port:
      description: As it was given.
      type: int
      sample: 4444
    state:
      description:
        - V(free), V(ours) when a container of O(project) has it, V(taken) when something else has, V(no_address) when
          the host has no such address.
      type: str
      sample: taken
    owner:
      description: What has the port. V(none) when it is free.
      type: str
      sample: python3 (process 812)
units:
  description: The O(units), by name.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {local-llm-firewall.service: {sha256: 9b1e…, enabled: true}}
  contains:
    sha256:
      description: Checksum of its file; empty where there is none.
      type: str
      sample: 9b1e…
    enabled:
      description: Whether it is started with the host.
      type: bool
      sample: true
paths:
  description: The O(paths), with what their file systems have.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    path:
      description: As it was given.
      type: str
      sample: /var/lib/docker
    exists:
      description: Whether it is a folder.
      type: bool
      sample: true
    free_mib:
      description: Free MiB.
      type: int
      sample: 51200
    total_mib:
      description: All MiB.
      type: int
      sample: 102400
sources:
  description: The O(sources), and those of the packages.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    url:
      description: The address.
      type: str
      sample: https://ghcr.io/v2/
    ok:
      description: Whether a server answered, with whatever status below 500.
      type: bool
      sample: false
    reason:
      description:
        - Why not - V(name), V(connection), V(certificate), V(plain) (HTTP where HTTPS was asked for), V(timeout), V(proxy) or
          V(server). V(none) when it answered.
      type: str
      sample: name
    detail:
      description: What was answered, or the error.
      type: str
      sample: "[Errno -2] Name or service not known"
docker:
  description: The Docker Engine. V(none) where there is no C(docker).
  returned: when V(stack) is one of the O(sections)
  type: dict
  contains:
    version:
      description: The Engine's version; empty when it does not answer.
      type: str
      sample: 26.1.5
    error:
      description: Why it does not answer.
      type: str
      sample: ""
    data_root:
      description: Where it keeps images and volumes.
      type: str
      sample: /var/lib/docker
    free_mib:
      description: Free MiB there.
      type: int
      sample: 51200
    firewall_backend:
      description: V(iptables) or V(nftables), as far as the Engine tells (from version 28 on); else empty.
      type: str
      sample: ""
    cdi:
      description: Whether the Engine hands devices to containers as CDI specifications name them.
      type: bool
      sample: true
    runtimes:
      description: The names of the runtimes that containers can be run by.
      type: list
      elements: str
      sample: [io.containerd.runc.v2, nvidia, runc]
    cgroup_driver:
      description: V(systemd) or V(cgroupfs).
      type: str
      sample: systemd
    networks:
      description: Those of O(networks) that are there, with the Compose project that made them.
      type: list
      elements: dict
      sample: [{name: litellm-network, project: local-llm}]
    volumes:
      description: The names of all volumes.
      type: list
      elements: str
      sample: [litellm_ollama_data, litellm_postgres_data]
packages:
  description: Those of O(packages) that are installed, by name.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {nvidia-container-toolkit: {version: 1.20.0-1, held: false}}
  contains:
    version:
      description: The package's version.
      type: str
      sample: 1.20.0-1
    held:
      description: Whether it is held back from upgrades.
      type: bool
      sample: false
cdi:
  description: The CDI specifications, which say how devices get into containers.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /var/run/cdi/nvidia.yaml
    kind:
      description: Whose and what kind of devices; empty where it could not be read.
      type: str
      sample: nvidia.com/gpu
    devices:
      description: The names of the devices.
      type: list
      elements: str
      sample: ["0", GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90, all]
containers:
  description: The project's containers, and those of O(containers).
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: litellm
    service:
      description: The Compose service it is; empty when it is none.
      type: str
      sample: litellm
    project:
      description: The Compose project it belongs to; empty when it belongs to none.
      type: str
      sample: local-llm
    status:
      description: What Docker says of its state.
      type: str
      sample: running
    health:
      description: What its health check says; empty without one.
      type: str
      sample: healthy
    restarts:
      description: How often Docker has started it again.
      type: int
      sample: 0
    oom_killed:
      description: Whether it was ended for want of memory.
      type: bool
      sample: false
    published:
      description: The addresses at which its ports are published.
      type: list
      elements: str
      sample: ["127.0.0.1:4444"]
    config_hash:
      description: Compose's checksum of what it was made from; empty when it is no service.
      type: str
      sample: 3103e5e96373a5f9d31c297d97d8c65e09c177c08f45c0ed634511f69d11edcb
    current:
      description: Whether it was made from the project as its file and its environment file describe it now, by Compose's own checksum.
      type: bool
      sample: true
    environment_differs:
      description: Which variables of the environment file have another value in this container.
      type: list
      elements: str
      sample: []
files:
  description: The files in O(project_dir), by name.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {compose.yml: {mode: "0644", owner: root, sha256: 1f0c…}}
unfinished:
  description: Whether a run was cut between writing the project's files and the start with them.
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: false
project_dir:
  description: Mode and owner of O(project_dir). V(none) where there is none.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {mode: "0755", owner: root}
environment:
  description: What can be said of the environment file C(.env) without its secrets. V(none) where there is no such file.
  returned: when V(stack) is one of the O(sections)
  type: dict
  contains:
    names:
      description: The variables that have a value.
      type: list
      elements: str
      sample: [LITELLM_MASTER_KEY, LITELLM_SALT_KEY, POSTGRES_PASSWORD]
    unread_lines:
      description: The numbers of the lines for which Compose refuses the file.
      type: list
      elements: int
      sample: []
    expanded:
      description: The variables whose value names other variables, as in C($NAME), which Compose replaces.
      type: list
      elements: str
      sample: []
firewall:
  description:
    - Whether the project's firewall rules are as they should be. V(none) where it has none, or where others than root could have
      written the script that tells.
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: true
"""

import contextlib
import hashlib
import ipaddress
import json
import os
import pwd
import re
import socket
import ssl
import struct
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu.system import parse_meminfo
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, docker, system

LISTEN = "0A"  # the kernel's number for a listening socket (include/net/tcp_states.h)
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared with, never bound to)
# What the project hands on from its environment file by the same name; an image may have others of the file's names of its own.
PASSED_ON = re.compile(r"^(LITELLM_(MASTER|SALT)_KEY|POSTGRES_PASSWORD|[A-Z0-9_]+_API_KEY)$")
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
VARIABLES_LABEL = "local-llm.variables"  # further names that the project hands on, such as secrets of providers
# Where Docker looks for CDI specifications.
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
HASH_LABEL = "com.docker.compose.config-hash"
SNAPSHOT = ".before"  # of the role llm_stack, in the project's folder


def parse_listening(text: str) -> list[tuple[str, int, str]]:
    """Return (address, port, inode) of every listening socket in the text of ``/proc/net/tcp`` or ``tcp6``.

    The kernel writes an address as 32-bit words in the machine's own byte order, and an IPv4 address that an IPv6 socket
    is bound to as ``::ffff:a.b.c.d``, which is returned as ``a.b.c.d``.
    """
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTEN:
            continue
        words, port = fields[1].split(":")
        packed = b"".join(struct.pack("=I", int(words[start : start + 8], 16)) for start in range(0, len(words), 8))
        address = ipaddress.ip_address(packed)
        found.append((str(getattr(address, "ipv4_mapped", None) or address), int(port, 16), fields[9]))
    return found


def overlaps(wanted: str, bound: str) -> bool:
    """Whether a program that listens at an address keeps another from listening at the wanted one. A socket bound to
    ``::`` takes IPv4 as well, unless it says otherwise, which ``/proc`` does not show."""
    return wanted == bound or bound in EVERYWHERE or wanted in EVERYWHERE


def differing(values: dict[str, str], environment: list[str], further: str = "") -> list[str]:
    """Return which of an environment file's values a container does not have: by the variable's own name, and the database
    password by the address that it stands in.

    :arg further: names that the project hands on besides those of :data:`PASSED_ON`, with spaces between them.
    """
    there = dict(line.split("=", 1) for line in environment if "=" in line)
    passed_on = {name for name in values if PASSED_ON.match(name)} | set(further.split())
    differs = {name for name, value in values.items() if name in passed_on and name in there and there[name] != value}
    password = values.get("POSTGRES_PASSWORD")
    match = re.match(r"^[^:]+://[^:/]+:(.*)@[^@]*$", there.get("DATABASE_URL", ""))
    if password is not None and match and match.group(1) != password:
        differs.add("POSTGRES_PASSWORD")
    return sorted(differs)


def container(inspected: dict, values: dict[str, str], hashes: dict[str, str]) -> dict[str, t.Any]:
    """Return what is told of a container, from what ``docker inspect`` says of it.

    :arg values: the environment file's values.
    :arg hashes: the checksums of the project's services, by name.
    """
    state, config = inspected.get("State") or {}, inspected.get("Config") or {}
    labels = config.get("Labels") or {}
    return {
        "name": inspected.get("Name", "").lstrip("/"),
        "service": labels.get(SERVICE_LABEL, ""),
        "project": labels.get(PROJECT_LABEL, ""),
        "status": state.get("Status", ""),
        "health": (state.get("Health") or {}).get("Status", ""),
        "restarts": inspected.get("RestartCount", 0),
        "oom_killed": bool(state.get("OOMKilled")),
        "published": ["%s:%d" % one for one in published(inspected)],
        "config_hash": labels.get(HASH_LABEL, ""),
        "current": hashes.get(labels.get(SERVICE_LABEL, "")) == labels.get(HASH_LABEL, ""),
        "environment_differs": differing(values, config.get("Env") or [], labels.get(VARIABLES_LABEL, "")),
    }


def published(inspected: dict) -> list[tuple[str, int]]:
    """Return the addresses at which a running container's ports are published."""
    bindings = ((inspected.get("NetworkSettings") or {}).get("Ports") or {}).values()
    return [(binding["HostIp"] or EVERYWHERE[0], int(binding["HostPort"])) for some in bindings for binding in some or []]


def failure(error: Exception) -> tuple[str, str]:
    """Return the reason and the words for an error of a request."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, (ssl.SSLCertVerificationError, ssl.CertificateError)):
        return "certificate", getattr(cause, "verify_message", "") or str(cause)
    if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
        return "plain", "it speaks plain HTTP"
    if isinstance(cause, socket.gaierror):
        return "name", str(cause)
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return "timeout", "no answer in time"
    if "Tunnel connection failed" in str(cause):
        return "proxy", str(cause)
    return "connection", str(cause)


def parse_cdi(text: str) -> tuple[str, list[str]]:
    """Return kind and device names of a CDI specification, in JSON or in YAML.

    The target need not have a YAML parser. Both ways in which tools write YAML are known: lists indented or not, names in quotes or not.
    """
    try:
        spec = json.loads(text)
        return str(spec.get("kind", "")), [str(device.get("name", "")) for device in spec.get("devices") or []]
    except (ValueError, AttributeError):
        pass
    kind = re.search(r"^kind: *['\"]?([^'\"\s]+)", text, re.MULTILINE)
    devices = re.search(r"^devices:\s*\n((?:[ -].*\n?|\s*\n)*)", text, re.MULTILINE)
    names = re.findall(r"^ {0,4}(?:- +)?name: *['\"]?([^'\"\s]+)", devices.group(1), re.MULTILINE) if devices else []
    return kind.group(1) if kind else "", names


def parse_packages(text: str) -> dict[str, dict[str, t.Any]]:
    """Parse lines of name, version, status and wanted state, with tabs between them, as dpkg and rpm are asked for them."""
    rows = [(line.split("\t") + [""] * 4)[:4] for line in text.splitlines()]
    return {name: {"version": version, "held": wanted == "hold"} for name, version, status, wanted in rows if status == "installed"}


class Sources:
    """A way to the addresses that a host fetches from."""

    def __init__(self, timeout: int, proxy: str | None, no_proxy: list[str], ca_pem: str | None) -> None:
        self.timeout, self.no_proxy = timeout, no_proxy
        self.networks = []
        for name in no_proxy:
            with contextlib.suppress(ValueError):
                self.networks.append(ipaddress.ip_network(name))
        context = ssl.create_default_context()
        # Docker and Ollama take authorities whose certificate lacks what Python has begun to ask for in 3.13.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
        https = urllib.request.HTTPSHandler(context=context)
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
        self.proxied = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}), https)

    def is_direct(self, url: str) -> bool:
        """Whether an address is one of ``no_proxy``: the host itself, or one of a domain (``.example.com``)."""
        parts = urllib.parse.urlsplit(url)
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(parts.hostname or "")
            if any(address in network for network in self.networks):
                return True
        names = {parts.hostname or "", "%s:%s" % (parts.hostname, parts.port)}
        return any(name in names or (parts.hostname or "").endswith("." + name.lstrip(".")) for name in self.no_proxy)

    def ask(self, url: str) -> dict[str, t.Any]:
        """Ask one address. Any status below 500 is an answer: a registry says 401 to strangers."""
        opener = self.direct if self.is_direct(url) else self.proxied
        url = re.sub(r"(?<=://)[^/@]*@", "", url)  # a user and password, which are not told
        try:
            with opener.open(urllib.request.Request(url, method="GET"), timeout=self.timeout) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except (OSError, ValueError) as error:
            reason, detail = failure(error)
            return {"url": url, "ok": False, "reason": reason, "detail": detail}
        except Exception as error:  # pylint: disable=broad-except  # http.client's own errors share no base with OSError
            return {"url": url, "ok": False, "reason": "server", "detail": str(error) or type(error).__name__}
        if status == 407:
            return {"url": url, "ok": False, "reason": "proxy", "detail": "the proxy wants a password (HTTP 407)"}
        ok = status < 500
        return {"url": url, "ok": ok, "reason": None if ok else "server", "detail": "HTTP %d" % status}


class Reader:
    """A host and its Docker Engine, as far as they are read here."""

    def __init__(self, host: Host, params: dict[str, t.Any]) -> None:
        self.host, self.params = host, params
        self.docker = host.find("docker")
        self.inspected: list[dict] = []
        self.hashes: dict[str, str] = {}

    def json_of(self, *command: str) -> t.Any:
        """Return what a command of Docker's prints as JSON, or None."""
        _status, out, _err = self.host.run(self.docker or "docker", *command)
        try:
            return json.loads(out)
        except ValueError:
            return None

    def lines_of(self, *command: str) -> list[str]:
        _status, out, _err = self.host.run(self.docker or "docker", *command)
        return out.split("\n")[:-1]

    def engine(self) -> dict[str, t.Any] | None:
        """Return what the Engine is, and keep what its containers are."""
        if not self.docker:
            return None
        own = self.lines_of("ps", "--all", "--quiet", "--no-trunc", "--filter", "label=%s=%s" % (PROJECT_LABEL, self.params["project"]))
        everyone = [line.split("\t") for line in self.lines_of("ps", "--all", "--no-trunc", "--format", "{{.ID}}\t{{.Names}}\t{{.State}}")]
        wanted = [one[0] for one in everyone if one[0] in own or one[1] in self.params["containers"] or one[2] == "running"]
        with ThreadPoolExecutor(4) as pool:
            information = pool.submit(self.json_of, "info", "--format", "{{json .}}")
            inspected = pool.submit(self.json_of, "inspect", "--type", "container", *wanted) if wanted else None
            networks = pool.submit(self.lines_of, "network", "ls", "--format", '{{.Name}}\t{{.Label "%s"}}' % PROJECT_LABEL)
            volumes = pool.submit(self.lines_of, "volume", "ls", "--quiet")
            hashes = pool.submit(self.lines_of, "compose", "--project-directory", self.params["project_dir"], "config", "--hash", "*")
        info = information.result() or {}
        self.hashes = dict(line.split(" ", 1) for line in hashes.result() if " " in line)
        self.inspected = (inspected.result() if inspected else None) or []
        return {
            "version": info.get("ServerVersion") or "",
            "error": "; ".join(info.get("ServerErrors") or []),
            "data_root": info.get("DockerRootDir") or "",
            "free_mib": self.disk(info["DockerRootDir"])["free_mib"] if info.get("DockerRootDir") else None,
            "firewall_backend": (info.get("FirewallBackend") or {}).get("Driver", ""),
            # Engines before 25 do not know it, and say nothing about it.
            "cdi": bool(info.get("CDISpecDirs")),
            "runtimes": sorted(info.get("Runtimes") or {}),
            "cgroup_driver": info.get("CgroupDriver") or "",
            "networks": [
                {"name": name, "project": project}
                for name, project in (line.split("\t") for line in networks.result())
                if name in self.params["networks"]
            ],
            "volumes": volumes.result(),
        }

    def is_own(self, inspected: dict) -> bool:
        return ((inspected.get("Config") or {}).get("Labels") or {}).get(PROJECT_LABEL) == self.params["project"]

    def containers(self, values: dict[str, str]) -> list[dict]:
        chosen = (one for one in self.inspected if self.is_own(one) or one.get("Name", "").lstrip("/") in self.params["containers"])
        return sorted((container(one, values, self.hashes) for one in chosen), key=lambda one: one["name"])

    def process_of(self, inodes: set[str]) -> str:
        """Return the name and number of the process that holds a socket, as far as it may be read."""
        for number in filter(str.isdigit, self.host.names("/proc")):
            folder = "/proc/%s/fd" % number
            for descriptor in self.host.names(folder):
                if (self.host.link(folder + "/" + descriptor) or "")[8:-1] in inodes:
                    return "%s (process %s)" % (self.host.text("/proc/%s/comm" % number), number)
        return "a program that only root can see"

    def ports(self) -> list[dict[str, t.Any]]:
        listening = [one for name in ("tcp", "tcp6") for one in parse_listening(self.host.text("/proc/net/" + name) or "")]
        result = []
        for wanted in self.params["ports"]:
            address, port = wanted["address"], wanted["port"]
            takers = [one for one in listening if one[1] == port and overlaps(address, one[0])]
            holders = [one for one in self.inspected if any(at[1] == port and overlaps(address, at[0]) for at in published(one))]
            state, owner = "free", None
            if not has_address(address):
                state = "no_address"
            elif holders:
                state = "ours" if self.is_own(holders[0]) else "taken"
                owner = "container %s" % holders[0].get("Name", "").lstrip("/")
            elif takers:
                state, owner = "taken", self.process_of({one[2] for one in takers})
            result.append({**wanted, "state": state, "owner": owner})
        return result

    def disk(self, path: str) -> dict[str, t.Any]:
        above = path = os.path.abspath(path)
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        found = os.statvfs(above)
        return {
            "path": path,
            "exists": above == path,
            "free_mib": found.f_bavail * found.f_frsize // 2**20,
            "total_mib": found.f_blocks * found.f_frsize // 2**20,
        }

    def files(self) -> dict[str, dict[str, t.Any]]:
        """Return mode, owner and checksum of the project's files. The environment file's checksum would tell of its secrets."""
        found = {}
        for name in self.host.names(self.params["project_dir"]):
            path = os.path.join(self.params["project_dir"], name)
            if not os.path.isfile(path):
                continue
            found[name] = mode_of(path)
            if not name.startswith(".env"):
                found[name]["sha256"] = checksum(path)
        return found

    def units(self) -> dict[str, dict[str, t.Any]]:
        found = {}
        for name in self.params["units"]:
            path = os.path.join("/etc/systemd/system", name)
            found[name] = {
                "sha256": checksum(path) if os.path.isfile(path) else "",
                "enabled": self.host.run("systemctl", "is-enabled", "--quiet", name)[0] == 0,
            }
        return found

    def packages(self) -> dict[str, dict[str, t.Any]]:
        names, dpkg, rpm = self.params["packages"], self.host.find("dpkg-query"), self.host.find("rpm")
        if names and dpkg:
            fields = "${Package}\\t${Version}\\t${db:Status-Status}\\t${db:Status-Want}\\n"
            return parse_packages(self.host.run(dpkg, "--show", "--showformat", fields, *names)[1])
        if names and rpm:
            return parse_packages(self.host.run(rpm, "-q", "--queryformat", "%{NAME}\\t%{VERSION}-%{RELEASE}\\tinstalled\\n", *names)[1])
        return {}

    def cdi(self) -> list[dict[str, t.Any]]:
        found = []
        for folder in CDI_FOLDERS:
            for name in self.host.names(folder):
                path = "%s/%s" % (folder, name)
                if name.endswith((".json", ".yaml")):
                    kind, devices = parse_cdi(self.host.text(path) or "")
                    found.append({"path": path, "kind": kind, "devices": devices})
        return found

    def firewall(self) -> bool | None:
        script = os.path.join(self.params["project_dir"], "firewall")
        if not os.access(script, os.X_OK):
            return None
        # Not a script that somebody else may have put there.
        own = all(mode_of(path) in ({"mode": "0755", "owner": owner_name(os.geteuid())},) for path in (script, self.params["project_dir"]))
        return self.host.run(script, "check")[0] == 0 if own else None

    def package_sources(self) -> list[str]:
        """Return the addresses at which the host's APT would look for new lists."""
        apt = self.host.find("apt-get")
        _status, proxies, _err = (
            self.host.run("apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy") if apt else (0, "", "")
        )
        if not apt or '"http' in proxies:
            return []  # whatever is tried here would be tried without the proxy that APT has of its own
        _status, out, _err = self.host.run(apt, "update", "--print-uris")
        return sorted(set(re.findall(r"^'(https?://[^']+/InRelease)'", out, re.MULTILINE)))

    def sources(self) -> list[dict[str, t.Any]]:
        urls = self.params["sources"] + (self.package_sources() if self.params["package_sources"] else [])
        if not urls:
            return []
        way = Sources(self.params["timeout"], self.params["proxy"], self.params["no_proxy"], self.params["ca_pem"])
        with ThreadPoolExecutor(len(urls)) as pool:
            return list(pool.map(way.ask, urls))


def checksum(path: str) -> str:
    """Return the SHA-256 of a file, or nothing where it cannot be read."""
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
    return ""


def mode_of(path: str) -> dict[str, str]:
    """Return mode and owner of a file or folder."""
    status = os.stat(path)
    return {"mode": "%04o" % (status.st_mode & 0o7777), "owner": owner_name(status.st_uid)}


def owner_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def has_address(address: str) -> bool:
    """Whether the machine has an IP address: whether a socket can be bound to it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def read(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what the module returns, for its parameters."""
    host = Host(params["timeout"])
    found: dict[str, t.Any] = {}
    if "system" in params["sections"]:
        found["system"] = {**system.read(host), "machine": os.uname().machine}
    if "daemon" in params["sections"]:
        found["daemon"] = docker.read(host)
    if "stack" in params["sections"]:
        found.update(read_stack(host, params))
    return found


def read_stack(host: Host, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what is read of the Compose project and of what it needs."""
    clock = time.time()
    reader = Reader(host, params)
    environment = env_file.read(host.path(os.path.join(params["project_dir"], ".env")))
    with ThreadPoolExecutor(3) as pool:
        engine, sources, firewall = pool.submit(reader.engine), pool.submit(reader.sources), pool.submit(reader.firewall)
    values = environment.pop("values") if environment else {}
    return {
        "user": owner_name(os.geteuid()),
        "systemd": os.path.isdir("/run/systemd/system"),
        "memory_mib": parse_meminfo(host.text("/proc/meminfo") or "")[0],
        "clock_offset": round(clock - params["reference_time"], 1) if params["reference_time"] is not None else None,
        "iptables": host.find("iptables") is not None,
        "docker": engine.result(),
        "containers": reader.containers(values),
        "ports": reader.ports(),
        "paths": [reader.disk(path) for path in params["paths"]],
        "sources": sources.result(),
        "files": reader.files(),
        "unfinished": os.path.isdir(os.path.join(params["project_dir"], SNAPSHOT)),
        "project_dir": mode_of(params["project_dir"]) if os.path.isdir(params["project_dir"]) else None,
        "environment": environment and {"names": sorted(name for name, value in values.items() if value), **environment},
        "firewall": firewall.result(),
        "packages": reader.packages(),
        "cdi": reader.cdi(),
        "units": reader.units(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sections": {"type": "list", "elements": "str", "choices": ["stack", "system", "daemon"], "default": ["stack"]},
            "project": {"type": "str", "default": "local-llm"},
            "project_dir": {"type": "path", "default": "/opt/local_llm"},
            "containers": {"type": "list", "elements": "str", "default": []},
            "networks": {"type": "list", "elements": "str", "default": []},
            "ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"address": {"type": "str", "required": True}, "port": {"type": "int", "required": True}},
            },
            "units": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "str", "default": []},
            "sources": {"type": "list", "elements": "str", "default": []},
            "package_sources": {"type": "bool", "default": False},
            "proxy": {"type": "str", "no_log": True},
            "no_proxy": {"type": "list", "elements": "str", "default": []},
            "ca_pem": {"type": "str"},
            "reference_time": {"type": "float"},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **read(module.params))
    except (OSError, ssl.SSLError) as error:
        module.fail_json(msg="could not read the host: %s" % error)


if __name__ == "__main__":
    main()
