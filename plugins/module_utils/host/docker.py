# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the Docker daemon: what it is, and what its unit gives it on the command line."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
import typing as t

from . import Host

# Flags whose key in daemon.json is written otherwise (dockerd's reference: most list flags are plural there).
KEYS = {
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "cluster-store-opt": "cluster-store-opts",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "host": "hosts",
    "host-gateway-ip": "host-gateway-ips",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
SHORT = {"b": "bridge", "D": "debug", "G": "group", "H": "host", "l": "log-level", "p": "pidfile", "s": "storage-driver", "g": "data-root"}
PROXIES = ("http-proxy", "https-proxy", "no-proxy")
DAEMON_JSON = "/etc/docker/daemon.json"
SNAPSHOT = "/etc/docker/.local-llm-before"  # of the role docker_engine, until Docker has started with what it has written
PROPERTIES = ("MainPID", "ExecMainStartTimestampMonotonic", "ExecStart", "Environment", "EnvironmentFiles", "FragmentPath", "DropInPaths")


class Flag(t.TypedDict):
    """A key of daemon.json that the daemon's command line has."""

    flag: str  #: its long name, without the dashes
    key: str
    values: list[str]  #: in order, an empty one for a flag without a value; a proxy's is empty, since it may hold a password
    file: str  #: the file that names the flag; empty where none does


def parse_command_line(arguments: list[str]) -> dict[str, list[str]]:
    """Return the values of dockerd's flags by the flag's long name, in order. A flag without a value has an empty one.

    Flags are read as pflag does: ``--name=value``, ``--name value``, ``-H value``, ``-Hvalue``.
    """
    found: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        one = rest.pop(0)
        if one.startswith("--"):
            name, equals, value = one[2:].partition("=")
        elif re.match(r"^-[A-Za-z]", one):
            name, value = SHORT.get(one[1], one[1]), one[2:].lstrip("=")
            equals = value
        else:
            continue
        if not equals and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        if name:
            found.setdefault(name, []).append(value)
    return found


def parse_properties(text: str) -> dict[str, str]:
    """Return what ``systemctl show`` prints, by property; several lines of one property are joined by a line's end."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _equals, value = line.partition("=")
        found[name] = found[name] + "\n" + value if name in found else value
    return found


def environment_of(host: Host, properties: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the environment that a unit's command line is filled from, and the files that it comes from."""
    values = dict(word.split("=", 1) for word in words_of(properties.get("Environment", "")) if "=" in word)
    files = [line.split(" (")[0] for line in properties.get("EnvironmentFiles", "").splitlines() if line]
    for path in files:
        # A line that ends in a backslash goes on in the next one.
        for line in re.sub(r"\\\r?\n", "", host.text(path) or "").splitlines():
            match = re.match(r"^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$", line)
            if match:
                values[match.group(1)] = " ".join(words_of(match.group(2)))
    return values, files


def words_of(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def next_command_line(properties: dict[str, str], environment: dict[str, str]) -> list[str]:
    """Return the arguments that the unit starts the daemon with, its variables filled in as systemd does."""
    match = re.search(r"argv\[\]=(.*?) ; ignore_errors=", properties.get("ExecStart", ""))
    arguments: list[str] = []
    for word in words_of(match.group(1)) if match else []:
        whole = re.match(r"^\$([A-Za-z_][A-Za-z0-9_]*)$", word)
        if whole:  # alone it is split into words, in braces it is not
            arguments += words_of(environment.get(whole.group(1), ""))
        else:
            arguments.append(re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", lambda name: environment.get(name.group(1), ""), word))
    # A wrapper has arguments of its own, before the daemon's.
    at = next((at for at, word in enumerate(arguments) if word.rsplit("/", 1)[-1] == "dockerd"), 0)
    return arguments[at + 1 :]


INFO = ("info", "--format", "{{json .}}")  # what of Docker's client tells of the daemon


def unit(host: Host) -> dict[str, str]:
    """Return the properties of Docker's unit; none where there is no systemd or no such unit."""
    return parse_properties(host.run("systemctl", "show", "docker.service", "--property=" + ",".join(PROPERTIES))[1])


def flags(host: Host, properties: dict[str, str]) -> list[Flag]:
    """Read which keys of daemon.json the daemon's command line has: as its unit would start it, or as it runs where no unit does.

    A key that stands in both places keeps the daemon from starting, and ``dockerd --validate`` does not see that by itself.

    :arg properties: what :func:`unit` returns.
    """
    environment, files = environment_of(host, properties)
    files = properties.get("DropInPaths", "").split() + files + properties.get("FragmentPath", "").split()
    arguments = next_command_line(properties, environment)
    if not properties.get("ExecStart"):
        number = host.text("/run/docker.pid") or host.text("/var/run/docker.pid") or "0"
        arguments = (host.text("/proc/%s/cmdline" % number) or "").split("\0")[1:] if number != "0" else []
    texts = {path: host.text(path) or "" for path in dict.fromkeys(files)}
    return [
        {
            "flag": name,
            "key": KEYS.get(name, name),
            "values": [] if name in PROXIES else values,
            "file": next((path for path, text in texts.items() if re.search(r"--?%s\b" % re.escape(name), text)), ""),
        }
        for name, values in parse_command_line(arguments).items()
    ]


def is_applied(host: Host, properties: dict[str, str]) -> bool:
    """Whether the daemon was started after daemon.json was last written, so that it is known to start with it."""
    started = properties.get("ExecMainStartTimestampMonotonic", "")
    if not re.fullmatch("[1-9][0-9]*", started) or properties.get("MainPID", "0") == "0":
        return False
    try:
        written = os.stat(host.path(DAEMON_JSON)).st_mtime
    except FileNotFoundError:
        return True
    # systemd counts in microseconds on the same clock.
    return time.time() - written > time.clock_gettime(time.CLOCK_MONOTONIC) - int(started) / 1e6


def read(host: Host) -> dict[str, t.Any]:
    """Read the daemon of a host: what ``docker info`` says of it, and its flags.

    :returns: ``installed`` (a dockerd is there), ``snap``, ``version`` (empty where it does not answer), ``errors``,
        ``compose_version``, ``data_root``, ``log_driver``, ``mirrors``, ``insecure``, ``has_proxy``, ``runtimes``, ``cdi``,
        ``flags`` (see :class:`Flag`), ``applied`` (see :func:`is_applied`), ``unfinished`` (a run was cut between writing daemon.json
        and the start with it). No password is among them.
    """
    docker, info, properties = host.find("docker"), {}, unit(host)
    if docker:
        # Without a daemon it answers too, with an exit status that differs by version, and the server's part is empty.
        try:
            info = json.loads(host.run_once(docker, *INFO)[1])
        except ValueError:
            info = {}
    registry = info.get("RegistryConfig") or {}
    plugins = (info.get("ClientInfo") or {}).get("Plugins") or []
    return {
        "installed": host.find("dockerd") is not None,
        "snap": host.find("docker", "/snap/bin") == host.path("/snap/bin/docker"),
        "version": info.get("ServerVersion") or "",
        "errors": info.get("ServerErrors") or [],
        "compose_version": next((str(one.get("Version", "")).lstrip("v") for one in plugins if one.get("Name") == "compose"), ""),
        "data_root": info.get("DockerRootDir") or "",
        "log_driver": info.get("LoggingDriver") or "",
        "mirrors": registry.get("Mirrors") or [],
        "insecure": sorted(registry.get("IndexConfigs") or {}),
        "has_proxy": bool(info.get("HttpsProxy")),
        "runtimes": sorted(info.get("Runtimes") or {}),
        "cdi": bool(info.get("CDISpecDirs")),
        "flags": flags(host, properties),
        "applied": is_applied(host, properties),
        "unfinished": host.exists(SNAPSHOT),
    }
