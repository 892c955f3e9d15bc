# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine and the containers of a Compose project."""

from __future__ import annotations

import json
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor

from . import Host
from .docker import INFO
from .files import disk
from .sockets import EVERYWHERE

Inspected = dict[str, t.Any]  #: what ``docker inspect`` says of a container

# What the project hands on from its environment file by the same name; an image may have others of the file's names of its own.
PASSED_ON = re.compile(r"^(LITELLM_(MASTER|SALT)_KEY|POSTGRES_PASSWORD|REDIS_PASSWORD|[A-Z0-9_]+_API_KEY)$")
SECRET = re.compile(r"^(LITELLM_(MASTER|SALT)_KEY|POSTGRES_PASSWORD|REDIS_PASSWORD)$")
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
VARIABLES_LABEL = "local-llm.variables"  # further names that the project hands on, such as secrets of providers
HASH_LABEL = "com.docker.compose.config-hash"
DEFINITION_LABEL = "local-llm.definition"  # a checksum of all that a service was made of


def differing(values: dict[str, str], environment: list[str], further: str = "") -> list[str]:
    """Return which of an environment file's values a container does not have: by the variable's own name, and the database
    password by the address that it stands in.

    :arg further: names that the project hands on besides those of :data:`PASSED_ON`, with spaces between them.
    """
    there = variables(environment)
    passed_on = {name for name in values if PASSED_ON.match(name)} | set(further.split())
    differs = {name for name, value in values.items() if name in passed_on and name in there and there[name] != value}
    password, used = values.get("POSTGRES_PASSWORD"), database_password(there)
    if password is not None and used and used != password:
        differs.add("POSTGRES_PASSWORD")
    # Redis has its password under the name that redis-cli looks for.
    if there.get("REDISCLI_AUTH") not in (None, values.get("REDIS_PASSWORD")):
        differs.add("REDIS_PASSWORD")
    return sorted(differs)


def variables(environment: list[str]) -> dict[str, str]:
    """Return a container's environment by name."""
    return dict(line.split("=", 1) for line in environment if "=" in line)


def database_password(environment: dict[str, str]) -> str:
    """Return the database's password from the address that a container has of it; empty without one."""
    match = re.match(r"^[^:]+://[^:/]+:(.*)@[^@]*$", environment.get("DATABASE_URL", ""))
    return match.group(1) if match else ""


def secrets_of(environment: list[str]) -> dict[str, str]:
    """Return the secrets of a stack that a container runs with, by the names of the environment file."""
    there = variables(environment)
    found = {name: value for name, value in there.items() if SECRET.match(name) and value}
    password = database_password(there)
    return {**({"POSTGRES_PASSWORD": password} if password else {}), **found}


def container(inspected: Inspected, values: dict[str, str], hashes: dict[str, str] | None) -> dict[str, t.Any]:
    """Return what is told of a container, from what ``docker inspect`` says of it.

    :arg values: the environment file's values.
    :arg hashes: the checksums of the project's services, by name; None where nobody has asked for them.
    """
    state, config = inspected.get("State") or {}, inspected.get("Config") or {}
    labels = config.get("Labels") or {}
    return {
        "name": name_of(inspected),
        "service": labels.get(SERVICE_LABEL, ""),
        "project": labels.get(PROJECT_LABEL, ""),
        "status": state.get("Status", ""),
        "health": (state.get("Health") or {}).get("Status", ""),
        "restarts": inspected.get("RestartCount", 0),
        "oom_killed": bool(state.get("OOMKilled")),
        "published": ["%s:%d" % one for one in published(inspected)],
        "definition": labels.get(DEFINITION_LABEL, ""),
        "current": hashes is None or hashes.get(labels.get(SERVICE_LABEL, "")) == labels.get(HASH_LABEL, ""),
        "environment_differs": differing(values, config.get("Env") or [], labels.get(VARIABLES_LABEL, "")),
    }


def name_of(inspected: Inspected) -> str:
    """Return a container's name."""
    return str(inspected.get("Name", "")).lstrip("/")


def published(inspected: Inspected) -> list[tuple[str, int]]:
    """Return the addresses at which a running container's ports are published."""
    bindings = ((inspected.get("NetworkSettings") or {}).get("Ports") or {}).values()
    return [(binding["HostIp"] or EVERYWHERE[0], int(binding["HostPort"])) for some in bindings for binding in some or []]


class Engine:
    """The host's Docker Engine, and the containers of one project.

    :arg project: the Compose project's name.
    :arg project_dir: its folder.
    :arg names: containers that are read whichever project they belong to.
    :arg networks: networks to look for.
    :arg asks_compose: whether Compose says which containers are as the project's files describe them now.
    """

    def __init__(
        self, host: Host, project: str, project_dir: str, names: list[str], networks: list[str], asks_compose: bool = True
    ) -> None:
        self.host, self.project, self.project_dir, self.names, self.networks = host, project, project_dir, names, networks
        self.asks_compose = asks_compose
        self.docker = host.find("docker")
        self.inspected: list[Inspected] = []
        self.hashes: dict[str, str] = {}

    def json_of(self, *command: str) -> t.Any:
        """Return what a command of Docker's prints as JSON, or None."""
        _status, out, _err = self.host.run_once(self.docker or "docker", *command)
        try:
            return json.loads(out)
        except ValueError:
            return None

    def lines_of(self, *command: str) -> list[str]:
        _status, out, _err = self.host.run(self.docker or "docker", *command)
        return out.split("\n")[:-1]

    def read(self) -> dict[str, t.Any] | None:
        """Return what the Engine is, and keep what its containers are."""
        if not self.docker:
            return None
        form = '{{.ID}}\t{{.Names}}\t{{.State}}\t{{.Label "%s"}}' % PROJECT_LABEL
        everyone = [line.split("\t") for line in self.lines_of("ps", "--all", "--no-trunc", "--format", form)]
        wanted = [one[0] for one in everyone if one[3] == self.project or one[1] in self.names or one[2] == "running"]
        with ThreadPoolExecutor(4) as pool:
            information = pool.submit(self.json_of, *INFO)
            inspected = pool.submit(self.json_of, "inspect", "--type", "container", *wanted) if wanted else None
            networks = pool.submit(self.lines_of, "network", "ls", "--format", '{{.Name}}\t{{.Label "%s"}}' % PROJECT_LABEL)
            volumes = pool.submit(self.lines_of, "volume", "ls", "--quiet")
            hashes = pool.submit(self.hash_lines)
        info = information.result() or {}
        self.hashes = dict(line.split(" ", 1) for line in hashes.result() if " " in line)
        self.inspected = (inspected.result() if inspected else None) or []
        return {
            "version": info.get("ServerVersion") or "",
            "error": "; ".join(info.get("ServerErrors") or []),
            "data_root": info.get("DockerRootDir") or "",
            "free_mib": disk(info["DockerRootDir"])["free_mib"] if info.get("DockerRootDir") else None,
            "firewall_backend": (info.get("FirewallBackend") or {}).get("Driver", ""),
            # Engines before 25 do not know it, and say nothing about it.
            "cdi": bool(info.get("CDISpecDirs")),
            "runtimes": sorted(info.get("Runtimes") or {}),
            "cgroup_driver": info.get("CgroupDriver") or "",
            "networks": [
                {"name": name, "project": project}
                for name, project in (line.split("\t") for line in networks.result())
                if name in self.networks
            ],
            "volumes": volumes.result(),
        }

    def hash_lines(self) -> list[str]:
        """Return the checksums of the project's services, as Compose makes them, after each service's name."""
        command = ("compose", "--project-directory", self.project_dir, "config", "--hash", "*")
        return self.lines_of(*command) if self.asks_compose else []

    def is_own(self, inspected: Inspected) -> bool:
        """Whether a container belongs to the project."""
        return bool(((inspected.get("Config") or {}).get("Labels") or {}).get(PROJECT_LABEL) == self.project)

    def published(self) -> list[tuple[str, int, str, bool]]:
        """Return the published ports of the containers: address, port, container's name, and whether it is the project's."""
        return [
            (address, port, name_of(inspected), self.is_own(inspected))
            for inspected in self.inspected
            for address, port in published(inspected)
        ]

    def containers(self, values: dict[str, str]) -> list[dict[str, t.Any]]:
        """Return what is told of the project's containers and the named ones (see :func:`container`), by name."""
        chosen = (one for one in self.inspected if self.is_own(one) or name_of(one) in self.names)
        return sorted((container(one, values, self.hashes if self.asks_compose else None) for one in chosen), key=lambda one: one["name"])

    def secrets(self) -> dict[str, str]:
        """Return the secrets that the project's containers run with. Not to be returned from the host."""
        found: dict[str, str] = {}
        for inspected in self.inspected:
            if self.is_own(inspected):
                found.update(secrets_of((inspected.get("Config") or {}).get("Env") or []))
        return found
