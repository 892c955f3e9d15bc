# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what the Compose stack of a host is to be, and what has to be done for it: files, units, secrets, services.

Nothing here reads a host or changes one. :class:`Stack` holds the settings and what was read; :func:`decide` compares them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import re
import typing as t
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

import yaml

from . import gateway
from .engine_gpu import EngineGpu, engine_gpu
from .gateway import SecretFile
from .services import SECRET_PREFIX, SERVICES, in_containers, published
from .templates import render

Data = t.Mapping[str, t.Any]

PROJECT = "local-llm"
BRIDGE = "llm-stack0"  # a name that the firewall can know before the network is there
MANAGED = "# Ansible managed\n"
DEFINITION_LABEL = "local-llm.definition"  # a checksum of all that a service is made of
VARIABLES_LABEL = "local-llm.variables"  # what a container has of .env besides the stack's own; host_info reads it
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # in the images
SECRETS = "/run/secrets/"  # where Compose mounts files
CLIENT_KEY = "CLIENT_KEY_"
# Probes on a connection that waits for an answer. Without them a question to a machine that has lost its power waits until
# llm_stack_request_timeout, where it could have gone to another one after half a minute.
PROBES = {"AIOHTTP_SO_KEEPALIVE": "True", "AIOHTTP_TCP_KEEPIDLE": "10", "AIOHTTP_TCP_KEEPINTVL": "5", "AIOHTTP_TCP_KEEPCNT": "4"}
# Asks a gateway from inside its container.
HEALTH = (
    "import http.client, sys; asked = http.client.HTTPConnection('localhost', 4000, timeout=5);"
    " asked.request('GET', '/health/liveliness'); sys.exit(asked.getresponse().status != 200)"
)
#: The secrets that may be given, by the variable of the environment file.
GIVEN = {
    "LITELLM_MASTER_KEY": "llm_stack_master_key",
    "LITELLM_SALT_KEY": "llm_stack_salt_key",
    "POSTGRES_PASSWORD": "llm_stack_db_password",
}
#: What a database was made with. Redis keeps nothing, so that its password may always be a new one.
DEMANDED = ("LITELLM_MASTER_KEY", "POSTGRES_PASSWORD")
FIREWALL, PRELOAD, GPU = "local-llm-firewall.service", "local-llm-preload.service", "local-llm-gpu.service"


class File(t.TypedDict):
    """A file that differs from what the host has."""

    name: str
    path: str
    content: str
    mode: str
    validate: str  #: the command that checks it, with ``%s`` for its path


class Unit(t.TypedDict):
    """A systemd unit that differs from what the host has."""

    name: str
    path: str
    content: str
    enabled: bool


class Environment(t.TypedDict):
    """What has to be done to the environment file; names alone."""

    set: list[str]  #: that get the value of a setting
    recover: list[str]  #: that were lost, and that a running container has
    generate: dict[str, str]  #: what a new secret begins with, by its name
    close: bool  #: whether others can read the file


class Change(t.TypedDict):
    """A difference, and what making it good does."""

    what: str
    why: str
    restarts: list[str]  #: services that are interrupted


class Decision(t.TypedDict):
    """What has to be done on a host."""

    changes: list[Change]
    folders: list[dict[str, str]]  #: ``path`` and ``mode``
    environment: Environment
    files: list[File]
    units: list[Unit]
    provider_files: list[gateway.SecretFile]
    stale_files: list[str]  #: variables of provider files that no provider is given any more
    firewall: bool  #: whether the rules have to be put in force
    up: bool  #: whether Compose has something to do
    recreate: list[str]  #: services whose containers are replaced
    was_well: bool  #: whether all of what was there ran
    notes: list[str]  #: settings without an effect on this host


@dataclass(frozen=True)
class Node:
    """What the stack has to know of its host besides the settings.

    :arg name: in the inventory.
    :arg is_mac: whether it runs macOS.
    :arg architecture: what ``uname -m`` says.
    :arg ca_pem: the certificates of the site's own authorities; empty without any.
    :arg ca_bundle: the host's file with all authorities that it trusts.
    :arg no_proxy: hosts and domains that are reached without the proxy.
    :arg preload: the script that loads models.
    """

    name: str
    is_mac: bool = False
    architecture: str = "x86_64"
    ca_pem: str = ""
    ca_bundle: str = CERTIFICATES
    no_proxy: t.Sequence[str] = ("localhost", "127.0.0.1", "::1")
    preload: str = ""


@dataclass(frozen=True)
class Others:
    """What the stack has to do with other hosts of the inventory.

    :arg addresses: engines that the gateway asks, by the name of their host.
    :arg engines: what they can be asked for, as :func:`fleet.engines` returns it; None before they were asked.
    :arg primary: the address of the gateway whose database and Redis this one uses; empty for a gateway with its own.
    :arg shared: that gateway's secrets, by name.
    """

    addresses: t.Mapping[str, str] = field(default_factory=dict)
    engines: t.Mapping[str, Data] | None = None
    primary: str = ""
    shared: t.Mapping[str, str] = field(default_factory=dict)


def checksum(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def client_variables(clients: t.Iterable[str]) -> dict[str, str]:
    """Return the variables that keep the keys of clients, by the client's name."""
    return {client: CLIENT_KEY + client.upper().replace("-", "_") for client in clients}


def host_of(url: t.Any) -> str:
    """Return the host of an address; empty for what is none."""
    try:
        return urlsplit(str(url or "")).hostname or ""
    except ValueError:
        return ""


def in_url(address: str) -> str:
    """Return an address as it stands in a URL: one of IPv6 in brackets."""
    return "[%s]" % address if ":" in address else address


def engine_environment(plan: Data | None) -> dict[str, str]:
    """Return the environment that a plan asks of Ollama, however it runs."""
    engine = (plan or {}).get("engine") or {}
    if not engine:
        return {}
    found = {
        "OLLAMA_CONTEXT_LENGTH": engine["context_length"],
        "OLLAMA_NUM_PARALLEL": engine["num_parallel"],
        "OLLAMA_MAX_LOADED_MODELS": engine["max_loaded_models"],
        "OLLAMA_KEEP_ALIVE": engine["keep_alive"],
        "OLLAMA_NO_CLOUD": "1",
    }
    if engine["kv_cache_type"] != "f16":
        found["OLLAMA_KV_CACHE_TYPE"] = engine["kv_cache_type"]
    if engine["flash_attention"] == "on":
        found["OLLAMA_FLASH_ATTENTION"] = "1"
    return {name: str(value) for name, value in found.items()}


@dataclass(frozen=True)
class Stack:
    """The Compose stack that a host is to have.

    :arg settings: ``site_*`` and ``llm_stack_*`` by name, of the types that their argument_specs give.
    :arg node: the host.
    :arg reading: what ``host_info`` returned for :func:`parameters`.
    :arg plan: the host's model plan; None where it has none.
    :arg others: other hosts.
    :arg control_files: what there is on the control node of the providers' files, by the path as it was given.
    :arg known_routes: routes that some host may have.
    """

    settings: Data
    node: Node
    reading: Data
    plan: Data | None = None
    others: Others = Others()
    control_files: t.Mapping[str, gateway.ControlFile] = field(default_factory=dict)
    known_routes: t.Sequence[str] = ()

    # What runs where.

    @cached_property
    def services(self) -> list[str]:
        """The services that run in containers."""
        return in_containers(self.settings, self.node.is_mac)

    @property
    def has(self) -> dict[str, bool]:
        """Whether each service runs in a container."""
        return {name: name in self.services for name in SERVICES}

    @property
    def is_second(self) -> bool:
        """Whether the gateway uses the database and the Redis of another one."""
        return self.settings["llm_stack_primary"] not in ("", self.node.name)

    @property
    def uses(self) -> dict[str, bool]:
        """Whether the gateway has a database and a Redis, here or at another gateway."""
        elsewhere = self.is_second and self.has["litellm"]
        return {name: self.has[name] or elsewhere for name in ("db", "redis")}

    @property
    def project_dir(self) -> str:
        """The folder of the project."""
        return str(self.settings["site_project_dir"])

    @property
    def env_path(self) -> str:
        """The environment file."""
        return self.project_dir + "/.env"

    @property
    def models_dir(self) -> str:
        """The folder that the models are kept in instead of a volume; empty for the volume."""
        return str(self.settings["llm_stack_models_dir"] or "").rstrip("/")

    # What the plan says.

    @property
    def planned(self) -> list[Data]:
        """The models of the plan, where the host has an engine, in a container or not."""
        return list((self.plan or {}).get("models") or []) if "ollama" in self.settings["llm_stack_services"] else []

    @property
    def models(self) -> list[Data]:
        """The models that the engine's container has."""
        return self.planned if self.has["ollama"] else []

    @property
    def budget(self) -> Data:
        """What the models may use, as the plan has it."""
        return (self.plan or {}).get("budget") or {}

    @property
    def preloaded(self) -> list[Data]:
        """The models that are loaded when the host has started, and stay in memory."""
        return [model for model in self.models if model.get("preload")] if self.settings["llm_stack_preload"] else []

    @property
    def models_mib(self) -> int:
        """What the models take on disk, in MiB."""
        return math.ceil(sum(int(model["bytes"]) for model in self.models) / 1048576)

    @property
    def ollama_memory(self) -> str:
        """The memory that the engine may take: nine tenths of the host's, unless a setting says otherwise. Empty is without a limit."""
        host = int(((self.plan or {}).get("host") or {}).get("memory_mib") or 0)
        return str(self.settings["llm_stack_ollama_memory"] or ("%dm" % (host * 0.9) if host else ""))

    @cached_property
    def gpu(self) -> EngineGpu:
        """How the engine's container gets its GPUs."""
        settings, docker = self.settings, self.reading.get("docker") or {}
        devices = [name for one in self.reading.get("cdi") or [] if one["kind"] == "nvidia.com/gpu" for name in one["devices"]]
        return engine_gpu(
            {"budget": self.budget, "engine": (self.plan or {}).get("engine") or {}, "models": self.models},
            settings["llm_stack_ollama_image"],
            settings["llm_stack_ollama_rocm_image"],
            cdi_devices=list(dict.fromkeys(devices)),
            docker_cdi=bool(docker.get("cdi")),
            injection=settings["llm_stack_gpu_injection"],
            architecture=self.node.architecture,
            environment=settings["llm_stack_ollama_environment"],
        )

    # The gateway.

    @property
    def backends(self) -> list[t.Any]:
        """The engines that the gateway asks besides its own."""
        return [*self.settings["llm_stack_backends"], *(self.others.engines or {}).values()]

    @cached_property
    def gateway(self) -> gateway.Decision:
        """The gateway's configuration, and what is wrong with the settings that it is made from."""
        settings = self.settings
        engine = "http://ollama:11434" if self.has["ollama"] else "http://host.docker.internal:%s" % settings["site_ollama_port"]
        return gateway.decide(
            self.planned,
            has_gpu=self.budget.get("kind", "cpu") != "cpu",
            preload=settings["llm_stack_preload"],
            engine=engine,
            backends=self.backends,
            engines=dict(self.others.addresses) if self.others.engines is not None else {},
            redis=self.uses["redis"],
            providers=settings["llm_stack_providers"],
            keys=[name for name in self.env_names if name not in self.mounted_files],
            environment=list(settings["llm_stack_litellm_environment"]),
            found=self.control_files,
            fallbacks=settings["llm_stack_fallbacks"],
            client_keys=settings["llm_stack_client_keys"],
            known_routes=self.known_routes,
            num_retries=settings["llm_stack_num_retries"],
            timeout=settings["llm_stack_request_timeout"],
            max_parallel_requests=settings["llm_stack_max_parallel_requests"],
            extra=settings["llm_stack_litellm_config"],
        )

    # The environment file, of which names alone are known here.

    @property
    def environment(self) -> Data:
        """What was read of the environment file."""
        return self.reading.get("environment") or {}

    @property
    def env_names(self) -> list[str]:
        """The variables of the environment file that have a value."""
        return list(self.environment.get("names") or [])

    @property
    def mounted_files(self) -> list[str]:
        """The variables of the environment file that name a provider's file, which an earlier run has copied."""
        return list(self.environment.get("mounted") or [])

    @property
    def stale_files(self) -> list[str]:
        """Those of them that no provider is given any more."""
        used = [one["name"] for one in self.gateway["files"]]
        return [name for name in self.mounted_files if name not in used]

    @property
    def secret_names(self) -> list[str]:
        """The secrets that the services cannot be without."""
        uses = {**self.has, **self.uses}
        return [secret for name in ("litellm", "db", "redis") if uses[name] for secret in SERVICES[name].secrets]

    @property
    def shared(self) -> dict[str, str]:
        """The secrets that a second gateway takes over from the first, whatever it had before."""
        return {name: value for name, value in self.others.shared.items() if name in self.secret_names} if self.is_second else {}

    @property
    def given(self) -> dict[str, str]:
        """The secrets that the settings give."""
        found = {
            name: str(self.settings[setting]) for name, setting in GIVEN.items() if self.settings[setting] and name in self.secret_names
        }
        return {**found, **self.shared}

    @property
    def told(self) -> dict[str, str]:
        """What the settings say of the environment file, whatever the host has."""
        settings, shared = self.settings, self.shared
        return {**self.gateway["secrets"], **({"SITE_PROXY": str(settings["site_proxy"])} if settings["site_proxy"] else {}), **shared}

    @property
    def given_otherwise(self) -> list[str]:
        """The secrets that were given, and of which the host has another value."""
        same = self.environment.get("same") or []
        return [name for name in self.given if name in self.env_names and name not in same and name not in self.shared]

    @property
    def has_database(self) -> bool:
        """Whether the host has the volume of a database."""
        return self.settings["llm_stack_db_volume"] in ((self.reading.get("docker") or {}).get("volumes") or [])

    @property
    def clients(self) -> dict[str, str]:
        """The variables that keep the keys of clients, by the client."""
        return client_variables(self.settings["llm_stack_client_keys"])

    @property
    def stale_clients(self) -> list[str]:
        """The variables of clients that are not named any more."""
        return [name for name in self.env_names if name.startswith(CLIENT_KEY) and name not in self.clients.values()]

    @property
    def client_keys(self) -> list[dict[str, t.Any]]:
        """What the gateway's keys are to be, as the module ``litellm_key`` takes it: those of clients, and those that are to go."""
        given = self.settings["llm_stack_client_keys"]
        keys = [{**(given[client] or {}), "alias": client, "variable": name} for client, name in self.clients.items()]
        return keys + [{"alias": name, "variable": name, "state": "absent"} for name in self.stale_clients]

    @property
    def env_missing(self) -> list[str]:
        """The secrets that the environment file lacks."""
        return [name for name in self.secret_names if name not in self.env_names]

    @property
    def unknown(self) -> list[str]:
        """Those of them that neither a setting nor a container has."""
        recovered = self.environment_in_containers
        return [name for name in self.env_missing if name not in self.given and name not in recovered]

    @property
    def environment_in_containers(self) -> list[str]:
        """The secrets that the containers of the project run with."""
        return list(self.reading.get("environment_in_containers") or [])

    @property
    def demanded(self) -> list[str]:
        """The secrets that the host's database was made with, and that nobody knows."""
        return [name for name in self.unknown if name in DEMANDED] if self.has_database else []

    @cached_property
    def environment_changes(self) -> Environment:
        """What has to be done to the environment file."""
        mounted = {name: SECRETS + name for name in self.mounted_files}
        same = [*(self.environment.get("same") or []), *(name for name, path in mounted.items() if self.told.get(name) == path)]
        missing = self.env_missing
        # A database without a salt key has its secrets under the master key: a salt key now would make them unreadable.
        unsalted = ["LITELLM_SALT_KEY"] if self.has_database or self.is_second else []
        generate = [name for name in self.unknown if name not in unsalted]
        if self.has["db"]:
            generate += [name for name in self.clients.values() if name not in self.env_names]
        recover = [name for name in missing if name in self.environment_in_containers]
        given = [name for name in missing if name in self.given and name not in recover]
        file = (self.reading.get("files") or {}).get(".env")
        return {
            "set": sorted({*given, *(name for name in self.told if name not in same)}),
            "recover": recover,
            "generate": {name: SECRET_PREFIX.get(name, "sk-") for name in sorted(generate)},
            "close": file is not None and (file["mode"], file["owner"]) != ("0600", "root"),
        }

    @property
    def has_environment(self) -> bool:
        """Whether there is an environment file by the time the project's files are written."""
        changes = self.environment_changes
        return ".env" in self.reading["files"] or bool(changes["set"] or changes["recover"] or changes["generate"])

    # The Compose file.

    @property
    def inside(self) -> list[str]:
        """What the services reach without the proxy, besides what the host does."""
        addresses = [host_of(one.get("api_base")) for one in self.backends if isinstance(one, t.Mapping)]
        primary = [self.others.primary] if self.is_second else []
        return ["ollama", "db", "redis", "host.docker.internal", *primary, *dict.fromkeys(filter(None, addresses))]

    @property
    def proxy(self) -> dict[str, str]:
        """The environment for a proxy, which is for what lies outside. Its address may hold a password, and so stands in .env."""
        if not self.settings["site_proxy"]:
            return {}
        return {"HTTPS_PROXY": "${SITE_PROXY:?}", "NO_PROXY": ",".join([*self.node.no_proxy, *self.inside])}

    def base(self, name: str, image: str, memory: str) -> dict[str, t.Any]:
        """Return what all services have: no capabilities, bounded logs, a limit of memory."""
        return {
            "container_name": SERVICES[name].container,
            "image": image,
            **({"mem_limit": memory} if memory else {}),
            "restart": "unless-stopped",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
            "networks": ["default"],
        }

    def healthcheck(self, *test: str) -> dict[str, t.Any]:
        """Return a health check, with a quick first look at a starting service where the Engine can tell it from the later ones."""
        version = str((self.reading.get("docker") or {}).get("version") or "0")
        starts = re.match("[0-9]+", version)
        quick = starts is not None and int(starts.group()) >= 25
        interval = {"interval": "30s", "start_interval": "1s"} if quick else {"interval": "5s"}
        return {"test": list(test), "timeout": "10s", "retries": 5, "start_period": "180s", **interval}

    def ports(self, name: str) -> dict[str, list[str]]:
        """Return the published port of a service; nothing where it is not published."""
        found = published(self.settings, [name])
        return {"ports": ["%s:%d:%d" % (in_url(address), port, SERVICES[name].port) for address, port in found.values()]} if found else {}

    def authorities(self) -> list[str]:
        """Return the mount of the site's authorities."""
        return ["%s:%s:ro" % (self.node.ca_bundle, CERTIFICATES)] if self.node.ca_pem else []

    def ollama(self) -> tuple[dict[str, t.Any], t.Any]:
        """Return the engine's service. Ollama has no authentication: other hosts reach it as far as the script firewall lets them."""
        settings, gpu, folder = self.settings, self.gpu, self.models_dir
        environment = {**engine_environment(self.plan), **gpu["environment"], **self.proxy, **settings["llm_stack_ollama_environment"]}
        # A disk that is not mounted is an error, and not an empty folder on the disk beneath.
        models: t.Any = "ollama:/root/.ollama"
        if folder:
            models = {"type": "bind", "source": folder, "target": "/root/.ollama", "bind": {"create_host_path": False}}
        service = {
            **self.base("ollama", gpu["image"], self.ollama_memory),
            "environment": {name: str(value) for name, value in environment.items()},
            "volumes": [models, *self.authorities()],
            **self.ports("ollama"),
            "healthcheck": self.healthcheck("CMD", "ollama", "list"),
            **({"deploy": {"resources": {"reservations": {"devices": [gpu["reservation"]]}}}} if gpu["reservation"] else {}),
            **({"devices": gpu["devices"]} if gpu["devices"] else {}),
            **({"cap_add": gpu["capabilities"]} if gpu["capabilities"] else {}),
        }
        return service, [folder or settings["llm_stack_ollama_volume"], self.node.ca_pem]

    def db(self) -> tuple[dict[str, t.Any], t.Any]:
        """Return the database's service."""
        service = {
            **self.base("db", self.settings["llm_stack_db_image"], self.settings["llm_stack_db_memory"]),
            # What the image's entrypoint needs to hand its files to the user postgres and to become it.
            "cap_add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
            "environment": {"POSTGRES_DB": "litellm", "POSTGRES_USER": "llmproxy", "POSTGRES_PASSWORD": "${POSTGRES_PASSWORD:?}"},
            "volumes": ["db:/var/lib/postgresql/data"],
            **self.ports("db"),
            # Over TCP, because the server that sets up an empty volume listens on its socket only.
            "healthcheck": self.healthcheck("CMD", "pg_isready", "-h", "127.0.0.1", "-U", "llmproxy", "-d", "litellm"),
        }
        return service, self.settings["llm_stack_db_volume"]

    def redis(self) -> tuple[dict[str, t.Any], t.Any]:
        """Return the service of Redis. Nothing is kept, because gateways only count in it."""
        # The password goes in by standard input, because every user of the host can read a command line.
        command = 'printf "requirepass %s\\nsave \\"\\"\\nappendonly no\\ndir /tmp\\n" "$$REDISCLI_AUTH" | exec redis-server -'
        service = {
            **self.base("redis", self.settings["llm_stack_redis_image"], self.settings["llm_stack_redis_memory"]),
            "user": "999:999",  # the image's own
            # Under the name that redis-cli looks for.
            "environment": {"REDISCLI_AUTH": "${REDIS_PASSWORD:?}"},
            "entrypoint": ["sh", "-c"],
            "command": [command],
            **self.ports("redis"),
            "healthcheck": self.healthcheck("CMD-SHELL", "redis-cli ping | grep -q PONG"),
        }
        return service, None

    def litellm(self) -> tuple[dict[str, t.Any], t.Any]:
        """Return the gateway's service."""
        settings, made = self.settings, self.gateway
        names, files = made["variables"], [one["name"] for one in made["files"]]
        environment: dict[str, str | None] = {
            "LITELLM_MASTER_KEY": "${LITELLM_MASTER_KEY:?}",
            # Without a value here it is taken from .env, and left out where there is none: LiteLLM takes an empty one for a key.
            "LITELLM_SALT_KEY": None,
            **dict.fromkeys(names),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            **PROBES,
            **self.proxy,
        }
        if self.uses["db"]:
            address = "db:5432" if self.has["db"] else "%s:%s" % (self.others.primary, settings["llm_stack_db_port"])
            environment["DATABASE_URL"] = "postgresql://llmproxy:${POSTGRES_PASSWORD:?}@%s/litellm" % address
        if self.is_second:
            environment["DISABLE_SCHEMA_UPDATE"] = "true"
        if self.uses["redis"]:
            environment["REDIS_PASSWORD"] = "${REDIS_PASSWORD:?}"  # noqa: S105 (a reference)
            environment["REDIS_HOST"] = self.others.primary if self.is_second else "redis"
            environment["REDIS_PORT"] = str(settings["llm_stack_redis_port"] if self.is_second else SERVICES["redis"].port)
        if self.node.ca_pem:
            environment.update(dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), CERTIFICATES))
        environment.update({name: str(value) for name, value in settings["llm_stack_litellm_environment"].items()})
        needs = {name: {"condition": "service_healthy"} for name in ("db", "ollama", "redis") if self.has[name]}
        engine_beside = not self.has["ollama"] and "ollama" in settings["llm_stack_services"]
        service = {
            **self.base("litellm", settings["llm_stack_litellm_image"], settings["llm_stack_litellm_memory"]),
            "command": ["--config", "/app/config.yml", "--port", str(SERVICES["litellm"].port)],
            # Fail over from an unreachable engine after 3 seconds where a connection is to be made (LiteLLM tries twice), and after
            # 25 where it was being sent to, instead of two minutes and a quarter of an hour.
            "sysctls": {"net.ipv4.tcp_syn_retries": 1, "net.ipv4.tcp_retries2": 6},
            # So that a changed value can be told from one of the image's.
            **({"labels": {VARIABLES_LABEL: " ".join(names)}} if names else {}),
            "environment": environment,
            "volumes": ["./config.yml:/app/config.yml:ro", *self.authorities()],
            # As /run/secrets/NAME, which the variable NAME names.
            **({"secrets": files} if files else {}),
            **self.ports("litellm"),
            # Docker on macOS knows this name by itself.
            **({"extra_hosts": ["host.docker.internal:host-gateway"]} if engine_beside else {}),
            **({"depends_on": needs} if needs else {}),
            # The image has neither curl nor wget, and answers HEAD with 405.
            "healthcheck": self.healthcheck(
                "CMD",
                "python3",
                "-c",
                HEALTH,
            ),
        }
        return service, [checksum(self.config), [one["sha256"] for one in made["files"]], self.node.ca_pem]

    @cached_property
    def compose_services(self) -> dict[str, dict[str, t.Any]]:
        """The services of the Compose file. Each has a checksum of all that it is made of, also of files and volumes, whose change
        Compose does not see: a changed one is re-created, and no other."""
        makers: dict[str, t.Callable[[], tuple[dict[str, t.Any], t.Any]]] = {
            "ollama": self.ollama, "db": self.db, "redis": self.redis, "litellm": self.litellm,
        }  # fmt: skip
        found = {}
        for name, make in makers.items():
            if self.has[name]:
                service, beside = make()
                definition = checksum(json.dumps([service, beside], sort_keys=True, default=str))
                found[name] = {**service, "labels": {**service.get("labels", {}), DEFINITION_LABEL: definition}}
        return found

    @property
    def volumes(self) -> dict[str, dict[str, str]]:
        """The volumes of the Compose file."""
        found = {}
        if self.has["ollama"] and not self.models_dir:
            found["ollama"] = {"name": self.settings["llm_stack_ollama_volume"]}
        if self.has["db"]:
            found["db"] = {"name": self.settings["llm_stack_db_volume"]}
        return found

    @cached_property
    def compose(self) -> str:
        """The Compose file."""
        files = [one["name"] for one in self.gateway["files"]] if self.has["litellm"] else []
        content = {
            "name": PROJECT,
            "services": self.compose_services,
            "networks": {
                "default": {"name": self.settings["llm_stack_network"], "driver_opts": {"com.docker.network.bridge.name": BRIDGE}}
            },
            **({"volumes": self.volumes} if self.volumes else {}),
            **({"secrets": {name: {"file": "./secrets/" + name} for name in files}} if files else {}),
        }
        return MANAGED + "# Secrets are in .env beside this file and reach the services by name.\n" + as_yaml(content)

    @cached_property
    def config(self) -> str:
        """LiteLLM's configuration."""
        return (
            MANAGED
            + "# One route for each model of this host's plan, of other engines and of providers whose credentials are there. Further\n"
            + "# settings go into the variable llm_stack_litellm_config.\n"
            + self.gateway["comments"]
            + as_yaml(self.gateway["config"])
        )

    # The firewall and the units.

    @property
    def exposed(self) -> list[tuple[str, int]]:
        """Who is let through to what besides the gateway: source, and the port that it asks."""
        found = []
        for name, (address, port) in published(self.settings, self.services).items():
            allow = SERVICES[name].allow
            if allow and not is_loopback(address):
                found += [(str(source), port) for source in self.settings[allow]]
        return found

    @cached_property
    def firewall(self) -> str:
        """The script that closes the bridge to neighbours."""
        rules = [*([("", self.settings["site_gateway_port"])] if self.has["litellm"] else []), *self.exposed]
        return render("llm_stack", "firewall.j2", bridge=BRIDGE, rules=rules)

    @cached_property
    def units(self) -> dict[str, Data]:
        """The systemd units, by name: ``content``, ``enabled``, and whether they are ``needed`` at all."""
        if self.node.is_mac:
            return {}
        settings, nvidia = self.settings, self.gpu["vendor"] == "nvidia"
        bind = settings["site_ollama_bind"]
        host = "127.0.0.1" if bind == "0.0.0.0" else bind  # noqa: S104 (compared with, never bound to)
        places = {"project_dir": self.project_dir, "engine": "http://%s:%s" % (host, settings["site_ollama_port"])}
        wanted = {FIREWALL: (True, True), PRELOAD: (bool(self.preloaded), True), GPU: (nvidia, nvidia)}
        return {
            name: {"content": render("llm_stack", name + ".j2", **places), "enabled": enabled, "needed": needed}
            for name, (enabled, needed) in wanted.items()
        }

    @property
    def units_differing(self) -> list[str]:
        """The units that are not as they should be. One that is not needed is left out where it is not there."""
        found = []
        for name, unit in self.units.items():
            there = self.reading["units"][name]
            wanted = (checksum(unit["content"]), unit["enabled"])
            if (there["sha256"] or unit["needed"]) and (there["sha256"], there["enabled"]) != wanted:
                found.append(name)
        return found

    # The files of the project.

    @property
    def files(self) -> dict[str, tuple[str, str, str]]:
        """The files of the project, in the order in which they are written: content (empty for one that is not wanted), mode, and the
        command that checks it."""
        # A mere engine has no secrets, and so no environment file.
        image, env = self.settings["llm_stack_litellm_image"], self.env_path if self.has_environment else "/dev/null"
        options = "--network none -e LITELLM_MASTER_KEY=sk-only-for-this-check -e LITELLM_LOCAL_MODEL_COST_MAP=True"
        validate = "docker run --rm %s -v %%s:/app/config.yml:ro %s --config /app/config.yml --validate_config" % (options, image)
        if self.node.is_mac:
            # Docker on macOS hands containers no file of root's temporary folder.
            validate = (
                "sh -c \"docker run --rm -i %s --entrypoint sh %s -c 'cat >/tmp/config.yml && exec litellm --config /tmp/config.yml"
                " --validate_config' <%%s\"" % (options, image)
            )
        script = "python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' %s"
        has, engines = self.has, self.others.engines or {}
        routes = has["litellm"] and bool(self.settings["llm_stack_engines"])
        return {
            "config.yml": (self.config if has["litellm"] else "", "0644", validate),
            "compose.yml": (self.compose, "0644", "docker compose --env-file %s -f %%s config -q" % env),
            "firewall": ("" if self.node.is_mac else self.firewall, "0755", "sh -n %s"),
            "engines.json": (json.dumps(engines, indent=4, sort_keys=True) + "\n" if routes else "", "0644", "python3 -m json.tool %s"),
            "preload.py": (self.node.preload if has["ollama"] else "", "0644", script),
        }

    @cached_property
    def files_differing(self) -> list[File]:
        """The files of the project that differ from the host's."""
        found: list[File] = []
        for name, (content, mode, validate) in self.files.items():
            wanted = {"sha256": checksum(content), "mode": mode, "owner": "root"}
            if content and self.reading["files"].get(name) != wanted:
                path = "%s/%s" % (self.project_dir, name)
                found.append({"name": name, "path": path, "content": content, "mode": mode, "validate": validate})
        return found

    @property
    def provider_files(self) -> list[SecretFile]:
        """The files of providers that differ from the host's."""
        there = self.reading.get("secret_files") or {}
        wanted = {"mode": "0400", "owner": "root"}
        files = self.gateway["files"] if self.has["litellm"] else []
        return [file for file in files if there.get(file["name"]) != {**wanted, "sha256": file["sha256"]}]

    # The containers.

    @property
    def own_containers(self) -> list[Data]:
        """The containers of the project."""
        return [one for one in self.reading["containers"] if one["project"] == PROJECT]

    @property
    def running(self) -> list[str]:
        """The services that run."""
        return [one["service"] for one in self.own_containers if one["status"] == "running"]

    @property
    def exists(self) -> bool:
        """Whether the project was written by an earlier run."""
        return "compose.yml" in self.reading["files"]

    @property
    def is_complete(self) -> bool:
        """Whether there is a stack, and all of its services run."""
        file = "compose.yml" if self.services else "plan.json"
        return file in self.reading["files"] and all(name in self.running for name in self.services)

    @property
    def healthy(self) -> list[str]:
        """The services that run with what their files say, and are healthy."""
        return [
            one["service"] for one in self.own_containers if one["current"] and one["status"] == "running" and one["health"] == "healthy"
        ]

    @property
    def was_well(self) -> bool:
        """Whether all that was there runs."""
        return bool(self.own_containers) and len(self.healthy) == len(self.own_containers)

    @property
    def recreated(self) -> list[str]:
        """The services whose containers are replaced, or made: those that are made of something else, or have another environment."""
        environment = self.environment_changes
        # What is taken from a container is what it runs with.
        changed = {*environment["set"], *environment["generate"]}
        containers = {one["service"]: one for one in self.own_containers}
        rewritten = any(file["name"] == "compose.yml" for file in self.files_differing)
        found = []
        for name, service in self.compose_services.items():
            there = containers.get(name)
            if (
                there is None
                or there["definition"] != service["labels"][DEFINITION_LABEL]
                or there["environment_differs"]
                or (not there["current"] and not rewritten)
                or changed & variables_of(service)
            ):
                found.append(name)
        return found

    @property
    def folders(self) -> list[dict[str, str]]:
        """The folders that are not there, or not as they should be."""
        found, project = [], self.reading.get("project_dir")
        if project != {"mode": "0755", "owner": "root"}:
            found.append({"path": self.project_dir, "mode": "0755"})
        if self.models_dir:
            # ``paths`` of the reading are the folder above it, and its own.
            own = (self.reading.get("paths") or [{}, {}])[1]
            if not own.get("exists") or (own.get("mode"), own.get("owner")) != ("0700", "root"):
                found.append({"path": self.models_dir, "mode": "0700"})
        return found

    def result(self) -> dict[str, t.Any]:
        """Return what other roles have to know of the stack: ``llm_stack_result``."""
        root = (self.reading.get("docker") or {}).get("data_root") or "/var/lib/docker"
        volume = "%s/volumes/%s/_data/models" % (root, self.settings["llm_stack_ollama_volume"])
        shared = [name for name in ("db", "redis") if name in published(self.settings, self.services)]
        return {
            "services": self.services,
            "models_dir": self.models_dir + "/models" if self.models_dir else volume,
            "preload": self.settings["llm_stack_preload"],
            "shared": ["%s:%d" % published(self.settings, [name])[name] for name in shared],
        }


def is_loopback(address: str) -> bool:
    """Whether an address is of the host itself alone."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def variables_of(service: Data) -> set[str]:
    """Return the variables of the environment file that a service of the Compose file is given."""
    environment = service["environment"]
    named = {name for value in environment.values() if value for name in re.findall(r"\$\{([A-Z0-9_]+)", value)}
    return named | {name for name, value in environment.items() if value is None}


# The writer in C takes a tenth of the time, where PyYAML was built with it.
BASE: t.Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Dumper(BASE):  # type: ignore[misc]
    """Writes YAML as people do: lists of a few words on one line."""


def short_lists(dumper: yaml.SafeDumper, data: list[t.Any]) -> yaml.SequenceNode:
    """Represent a list: on one line where it is made of numbers and texts that fit there."""
    flat = all(one is None or isinstance(one, (str, int, float)) for one in data) and sum(len(str(one)) + 2 for one in data) < 100
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat)


Dumper.add_representer(list, short_lists)


def as_yaml(content: t.Any) -> str:
    """Return YAML with the keys in their order."""
    return yaml.dump(content, Dumper=Dumper, indent=2, sort_keys=False, width=160, allow_unicode=True, default_flow_style=False)


def parameters(settings: Data, is_mac: bool) -> dict[str, t.Any]:
    """Return the options of ``host_info`` whose answers :class:`Stack` judges."""
    names = in_containers(settings, is_mac)
    folder = str(settings["llm_stack_models_dir"] or "").rstrip("/")
    return {
        "project_dir": settings["site_project_dir"],
        "containers": [service.container for service in SERVICES.values()],
        "networks": [settings["llm_stack_network"]],
        "ports": [{"address": address, "port": port} for address, port in published(settings, names).values()],
        "units": [] if is_mac else [FIREWALL, PRELOAD, GPU],
        "paths": [folder.rpartition("/")[0] or "/", folder] if folder.startswith("/") else [],
        "contents": ["compose.yml", "config.yml", "plan.json", "engines.json"],
    }


def secret_values(stack: Stack, names: t.Iterable[str]) -> dict[str, str]:
    """Return the values that the settings give to variables of the environment file. Not to be shown."""
    values = {**stack.given, **stack.told}
    # Which files a provider is given is known where the environment file was read; where they are mounted is known here, too.
    return {name: values.get(name, SECRETS + name) for name in names}


def decide(stack: Stack) -> Decision:
    """Compare a host with the stack that it is to have, and return what has to be done, in the order in which it is done.

    Settings must have no problems (see ``stack_problems``).
    """
    files, units, environment = stack.files_differing, stack.units_differing, stack.environment_changes
    file_names = [file["name"] for file in files]
    rewrites = bool(environment["set"] or environment["recover"] or environment["generate"])
    recreate = stack.recreated
    runs = sorted(stack.healthy) == sorted(stack.services) and len(stack.own_containers) == len(stack.services)
    up = not runs or bool(files) or rewrites or bool(recreate) or bool(stack.provider_files)
    firewall = not stack.node.is_mac and (not stack.reading.get("firewall") or "firewall" in file_names or FIREWALL in units)
    decision: Decision = {
        "changes": [],
        "folders": stack.folders,
        "environment": environment,
        "files": files,
        "units": [
            {
                "name": name,
                "path": "/etc/systemd/system/" + name,
                "content": stack.units[name]["content"],
                "enabled": stack.units[name]["enabled"],
            }
            for name in units
        ],
        "provider_files": stack.provider_files,
        "stale_files": stack.stale_files,
        "firewall": firewall,
        "up": up,
        "recreate": recreate,
        "was_well": stack.was_well,
        "notes": stack.gateway["notes"] if stack.has["litellm"] else [],
    }
    decision["changes"] = changes(stack, decision)
    return decision


def changes(stack: Stack, decision: Decision) -> list[Change]:
    """Return what a person is told of a decision: each difference with its reason, and the services that it interrupts."""
    found: list[Change] = []

    def add(what: str, why: str, restarts: t.Iterable[str] = ()) -> None:
        found.append({"what": what, "why": why, "restarts": list(restarts)})

    reading, containers = stack.reading, {one["service"]: one for one in stack.own_containers}
    for folder in decision["folders"]:
        add(folder["path"], "is not a folder of root's with mode %s" % folder["mode"])
    environment = decision["environment"]
    for names, why in (
        (environment["generate"], "made"),
        (environment["recover"], "taken from the container that runs with it"),
        (environment["set"], "taken from the settings"),
    ):
        if names:
            add(".env", "%s: %s" % (why, ", ".join(names)))
    if environment["close"]:
        add(".env", "others than root may read it")
    for file in decision["files"]:
        there = reading["files"].get(file["name"])
        same = there is not None and there.get("sha256") == checksum(file["content"])
        add(file["name"], "is not there" if there is None else "has another mode or owner" if same else "differs")
    for secret in decision["provider_files"]:
        add("secrets/" + secret["name"], "differs" if secret["name"] in (reading.get("secret_files") or {}) else "is not there")
    for unit in decision["units"]:
        there = reading["units"][unit["name"]]
        state = "has to be enabled" if unit["enabled"] else "has to be disabled"
        add(unit["name"], "is not there" if not there["sha256"] else state if there["enabled"] != unit["enabled"] else "differs")
    if decision["firewall"] and reading.get("firewall") is False:
        add("firewall", "its rules are not in force")
    for name in stack.services:
        there = containers.get(name)
        if there is None:
            add(name, "is not there")
        elif name in decision["recreate"]:
            add(name, "runs with other settings", [name])
        elif there["status"] != "running":
            add(name, "is %s" % there["status"])
        elif there["health"] != "healthy":
            add(name, "is %s" % (there["health"] or "without a health check"))
    for name in sorted(set(containers) - set(stack.services)):
        add(name, "is not among llm_stack_services", [name])
    for name in decision["stale_files"]:
        add("secrets/" + name, "no provider is given it any more")
    return found
