# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a stack, one row each: what they are called, listen on, take from the settings and keep in the environment file.

Whatever else has to know a service takes it from here: the Compose file, the ports, preflight, verification.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Settings = t.Mapping[str, t.Any]

#: What a generated secret begins with, by the variable that keeps it.
SECRET_PREFIX = {"LITELLM_MASTER_KEY": "sk-", "LITELLM_SALT_KEY": "sk-", "POSTGRES_PASSWORD": "", "REDIS_PASSWORD": ""}


@dataclass(frozen=True)
class Service:
    """A service of the Compose project.

    :arg name: as ``llm_stack_services`` and the Compose file have it.
    :arg container: the container's name.
    :arg port: the TCP port that it listens on in its container.
    :arg bind: the setting with the host's address that the port is published on. An empty one is not published.
    :arg host_port: the setting with the host's port.
    :arg allow: the setting with the addresses that may reach the port; empty for the gateway, which authenticates by itself.
    :arg secrets: the variables of the environment file that it cannot be without.
    :arg native: the setting that may place it beside the containers: ``site_engine`` or ``site_gateway``.
    """

    name: str
    container: str
    port: int
    bind: str
    host_port: str
    allow: str
    secrets: tuple[str, ...]
    native: str

    @property
    def image(self) -> str:
        """The setting with the image."""
        return "llm_stack_%s_image" % self.name

    @property
    def memory(self) -> str:
        """The setting with the limit of memory."""
        return "llm_stack_%s_memory" % self.name


SERVICES = {
    service.name: service
    for service in (
        Service("ollama", "ollama", 11434, "site_ollama_bind", "site_ollama_port", "site_ollama_allow", (), "site_engine"),
        # Without the gateway nobody uses database and Redis, which go where it goes.
        Service(
            "db", "litellm_db", 5432, "llm_stack_share_bind", "llm_stack_db_port", "llm_stack_share_allow",
            ("POSTGRES_PASSWORD",), "site_gateway",
        ),
        Service(
            "redis", "litellm_redis", 6379, "llm_stack_share_bind", "llm_stack_redis_port", "llm_stack_share_allow",
            ("REDIS_PASSWORD",), "site_gateway",
        ),
        Service(
            "litellm", "litellm", 4000, "site_gateway_bind", "site_gateway_port", "",
            ("LITELLM_MASTER_KEY", "LITELLM_SALT_KEY"), "site_gateway",
        ),
    )
}  # fmt: skip


def is_native(settings: Settings, setting: str, is_mac: bool) -> bool:
    """Whether what a setting such as ``site_engine`` places runs without a container."""
    return bool(settings[setting] == "native" or (settings[setting] == "auto" and is_mac))


def in_containers(settings: Settings, is_mac: bool) -> list[str]:
    """Return the services of ``llm_stack_services`` that run in containers, in their order there. Unknown names stay, to be refused."""
    return [
        name for name in settings["llm_stack_services"] if name not in SERVICES or not is_native(settings, SERVICES[name].native, is_mac)
    ]


def images(settings: Settings, names: t.Iterable[str], engine_image: str) -> dict[str, str]:
    """Return the images of services, by the setting that names each.

    :arg engine_image: the engine's, which depends on the GPUs of the plan.
    """
    return {
        SERVICES[name].image: engine_image if name == "ollama" else str(settings[SERVICES[name].image])
        for name in SERVICES
        if name in names
    }


def published(settings: Settings, names: t.Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return address and port that services are published on, by the service; those that are not published are left out."""
    return {
        name: (str(settings[service.bind]), int(settings[service.host_port]))
        for name, service in SERVICES.items()
        if name in names and settings[service.bind]
    }
