# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what has to be done on a host, for all roles: one reading, one list of changes.

A role that has no change is not visited. What a role changes may change what the next one has to do, so that a host with changes is
read again by each role that has some.
"""

from __future__ import annotations

import base64
import time
import typing as t
from functools import cached_property

from . import docker_engine, model_plan, models, native_engine, native_gateway, nvidia_driver, nvidia_toolkit, preflight, stack
from .inputs import Inputs, Raw
from .role_settings import options, tables, templated_defaults
from .services import in_containers
from .stack_problems import site_ollama
from .stack_reading import Found, Run
from .templates import load_all

#: The roles in the order in which they are applied.
ROLES = (
    "nvidia_driver",
    "docker_engine",
    "nvidia_container_toolkit",
    "model_plan",
    "ollama_native",
    "llm_stack",
    "litellm_native",
    "ollama_models",
)
#: Those that an engine needs, and a mere gateway does not.
OF_ENGINES = ("nvidia_driver", "nvidia_container_toolkit", "model_plan", "ollama_native", "ollama_models")
#: The roles whose settings a host is compared with.
SETTINGS = (
    "preflight",
    "nvidia_driver",
    "docker_engine",
    "nvidia_container_toolkit",
    "model_plan",
    "ollama_native",
    "litellm_native",
    "ollama_models",
    "stack_verify",
)
#: A change of a plan is none if only what people read of the reading is another: a tool's words, and the machine's exact size.
UNTOLD: dict[str, t.Any] = {"host": {}, "problems": []}


#: What a verification needs of the reading. The rest is large, or may hold the password of a proxy.
VERIFIED = (
    "clock_offset", "containers", "contents", "docker", "environment", "files", "firewall", "iptables", "memory_mib", "ports",
    "native_engine", "native_gateway", "project_dir", "systemd", "unfinished", "units", "user",
)  # fmt: skip
NATIVE_PRELOAD = "ollama-preload.service"


class Change(t.TypedDict):
    """A difference, and what making it good does."""

    role: str
    what: str
    why: str
    restarts: list[str]  #: services that are interrupted


def wishes(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the settings of the planner, as it takes them."""
    names = (
        "tier", "tier_minimum", "add", "drop", "require", "reserve_mib", "pool", "gpus", "num_parallel", "kv_cache_type", "keep_alive",
        "rocm_targets", "allow_downgrade",
    )  # fmt: skip
    return {name: settings["model_plan_" + name] for name in names}


def merged(base: t.Mapping[str, t.Any], over: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a mapping with another merged in, mappings in it, too."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(found.get(key), t.Mapping) and isinstance(value, t.Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def catalog_and_tiers(settings: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the catalog of models and the tiers, with what the settings add to them."""
    known = tables("model_plan")
    return (
        merged(known["_model_plan_catalog"], settings["model_plan_catalog"]),
        merged(known["_model_plan_tiers"], settings["model_plan_tiers"]),
    )


def docker_settings(settings: t.Mapping[str, t.Any], no_proxy: t.Sequence[str]) -> docker_engine.Settings:
    """Return what decides about Docker besides the reading."""
    known = tables("docker_engine")
    return {
        "source": settings["docker_engine_source"],
        "packages": known["_docker_engine_distribution_packages"],
        "docker_packages": known["_docker_engine_docker_packages"],
        "daemon_config": settings["docker_engine_daemon_config"],
        "defaults": {},
        "log_rotation": {"max-size": settings["docker_engine_log_max_size"], "max-file": str(settings["docker_engine_log_max_file"])},
        "registry_mirrors": settings["site_registry_mirrors"],
        "insecure_registries": settings["site_insecure_registries"],
        "proxy": settings["site_proxy"],
        "no_proxy": list(no_proxy),
    }


def parameters(inputs: Inputs) -> dict[str, t.Any]:
    """Return the options of ``host_info`` beside those of the stack, for one reading of all that is decided here."""
    # Which of them the host has is known by what is read.
    stores = tables("site")["_site_ca_stores"].values() if inputs.settings["site_ca_certificate"] else []
    known = sorted({store[part] for store in stores for part in ("anchor", "bundle")})
    timeouts = [int(inputs.settings[name]) for name in ("nvidia_driver_probe_timeout", "model_plan_probe_timeout")]
    native = inputs.native_parameters(inputs.native)
    return {
        "sections": ["stack", "system", "daemon", "gpus", "driver", "engine", *native],
        **native,
        "units": stack.parameters(inputs.settings, inputs.is_mac)["units"] + ([NATIVE_PRELOAD] if "engine" in inputs.native else []),
        "daemon_json": True,
        # The label with the checksum of a service's definition says it in a tenth of the time.
        "config_hashes": False,
        "engine_url": inputs.settings["ollama_models_url"],
        "packages": list(nvidia_toolkit.PACKAGES),
        "checksums": [nvidia_driver.HOLD_PATH, *known],
        "timeout": max(30, *timeouts),
    }


def load() -> None:
    """Read the roles' files, which every host is compared with. Ansible forks a process for each host after that."""
    for role in ("site", "llm_stack", *SETTINGS):
        options(role)
        templated_defaults(role)
    for role in ("site", "docker_engine", "model_plan", "nvidia_driver", "ollama_native"):
        tables(role)
    for role in ("llm_stack", "ollama_native", "litellm_native"):
        load_all(role)


class Host:
    """What one host is, and what it is to be.

    :arg inputs: its settings.
    :arg reading: what ``host_info`` returned for :func:`parameters`.
    :arg check_mode: whether nothing is changed in this run.
    """

    def __init__(self, inputs: Inputs, reading: t.Mapping[str, t.Any], check_mode: bool) -> None:
        self.inputs, self.settings, self.reading, self.check_mode = inputs, inputs.settings, reading, check_mode
        self.is_mac = inputs.is_mac
        self.has_engine = "ollama" in self.settings["llm_stack_services"]
        self.has_native_engine, self.has_native_gateway = ("engine" in inputs.native, "gateway" in inputs.native)

    @cached_property
    def driver(self) -> t.Mapping[str, t.Any]:
        """What has to be done about NVIDIA's driver."""
        known, settings = tables("nvidia_driver"), self.settings
        names = ("source", "branch", "replace", "secure_boot_ok")
        return nvidia_driver.nvidia_driver_plan(
            self.reading["driver"],
            known["_nvidia_driver_systems"],
            known["_nvidia_driver_packages"],
            {name: settings["nvidia_driver_" + name] for name in names},
        )

    @cached_property
    def docker(self) -> t.Mapping[str, t.Any]:
        """What has to be done about Docker."""
        content = base64.b64encode(self.reading["daemon"]["content"].encode()).decode()
        return docker_engine.decide(self.reading, content, docker_settings(self.settings, self.inputs.no_proxy))

    @property
    def docker_problems(self) -> list[str]:
        """What keeps Docker from being installed or configured."""
        return [] if self.is_mac or not in_containers(self.settings, self.is_mac) else list(self.docker["problems"])

    @property
    def before(self) -> dict[str, t.Any]:
        """The plan that the host has; an empty one where it has none of this version."""
        return model_plan.parse((self.reading.get("contents") or {}).get("plan.json") or "")

    @cached_property
    def native_engine(self) -> native_engine.Engine:
        """The engine without a container that the host is to have."""
        return self.inputs.native_engine(self.reading, self.plan_to_follow)

    @cached_property
    def native_gateway(self) -> native_gateway.Gateway:
        """The gateway without a container that the host is to have."""
        return self.inputs.native_gateway(self.reading, self.plan_to_follow)

    @property
    def native_problems(self) -> list[str]:
        """What is wrong with services that run without a container, and with the host for them."""
        engine = self.native_engine.problems() if self.has_native_engine else []
        return engine + (self.native_gateway.problems() if self.has_native_gateway else [])

    def reading_for_verification(self) -> dict[str, t.Any]:
        """Return what ``stack_verify`` needs of the reading, where nothing was changed since."""
        found = {name: value for name, value in self.reading.items() if name in VERIFIED}
        preload = NATIVE_PRELOAD if self.has_native_engine else stack.PRELOAD
        found["units"] = {name: unit for name, unit in self.reading["units"].items() if name == preload}
        found["paths"] = [self.reading[name]["disk"] for name in ("native_engine", "native_gateway") if name in self.reading]
        return found

    @property
    def native_notes(self) -> list[str]:
        """Which settings have no effect on a gateway that runs without a container."""
        return list(self.native_gateway.gateway["notes"]) if self.has_native_gateway else []

    @cached_property
    def plan(self) -> dict[str, t.Any]:
        """The plan that is made from this reading."""
        catalog, tiers = catalog_and_tiers(self.settings)
        return model_plan.model_plan(self.reading["gpus"], catalog, tiers, wishes(self.settings), self.before)

    @property
    def plan_to_follow(self) -> dict[str, t.Any] | None:
        """The plan that the rest of the host is compared with: the new one where it is final, and there was a look at the GPUs."""
        if not self.has_engine or "gpus" not in self.reading:
            return self.before or None
        return (self.plan if self.plan["status"] == "final" else self.before) or None

    def changes_of_driver(self) -> list[tuple[str, str]]:
        """What differs of NVIDIA's driver."""
        state = self.settings["nvidia_driver_state"]
        if self.is_mac or state != "present" or not self.has_engine:
            return []
        driver, reading = self.driver, self.reading["driver"]
        if driver["action"] != "none":
            return [("NVIDIA driver", driver["reason"])]
        if driver["version"] is None or driver["platform"] != "machine":
            return []
        files = {nvidia_driver.HOLD_PATH: self.reading["checksums"][nvidia_driver.HOLD_PATH]["sha256"]}
        kept = nvidia_driver.upkeep({**reading, "files": files}, driver["family"], self.settings["nvidia_driver_hold"])
        found = [(name, "does not run, or is not started with the host") for name in kept["services_down"]]
        return found + ([("unattended upgrades", "the driver is not kept out of them")] if kept["hold_differs"] else [])

    def changes_of_docker(self) -> list[tuple[str, str]]:
        """What differs of Docker."""
        if self.is_mac or not in_containers(self.settings, self.is_mac):
            return []
        plan, found = self.docker, []
        if not plan["good"]:
            found.append(("Docker", "is to be installed" if not plan["version"] else "has no Compose v2"))
        elif plan["after"] != plan["before"]:
            found.append(("/etc/docker/daemon.json", "differs"))
        elif plan["stale"]:
            found.append(("Docker", "runs with less than its file says"))
        elif plan["finished"]:
            found.append(("/etc/docker/daemon.json", "a run that was cut has left a copy"))
        if self.settings["site_ca_certificate"]:
            store, known = self.inputs.ca_store, self.reading["checksums"]
            anchor, bundle = known[store["anchor"]], known[store["bundle"]]
            if anchor["sha256"] != stack.checksum(self.inputs.ca_pem):
                found.append((store["anchor"], "differs"))
            elif (bundle["modified"] or 0) < anchor["modified"]:
                found.append((store["bundle"], "is older than the site's authorities"))
        return found

    def changes_of_toolkit(self) -> list[tuple[str, str]]:
        """What differs of NVIDIA's container toolkit."""
        state = self.settings["nvidia_container_toolkit_state"]
        if self.is_mac or self.has_native_engine or state != "present" or not self.has_engine:
            return []
        decision = self.toolkit
        declined = self.docker_declines(decision)
        idle = {"Docker"} if declined else set()
        # A Docker that makes no use of CDI needs no specification.
        if not (self.reading["docker"] or {}).get("cdi") and (declined or not decision["knows_cdi"]):
            idle.add("CDI")
        return [one for one in decision["changes"] if one[0] not in idle]

    @cached_property
    def toolkit(self) -> nvidia_toolkit.Decision:
        """What has to be done about NVIDIA's container toolkit."""
        settings = self.settings
        return nvidia_toolkit.decide(
            self.reading,
            self.driver,
            settings["nvidia_container_toolkit_version"],
            settings["nvidia_container_toolkit_floor"],
            self.reading["system"]["package_tool"],
            self.check_mode,
        )

    @property
    def toolkit_problems(self) -> list[str]:
        """What is wrong with the settings of the toolkit, where the host has a GPU for it."""
        # The role preflight knows neither these settings nor the driver.
        if self.settings.get("nvidia_container_toolkit_state") != "present":
            return []
        if self.is_mac or self.has_native_engine or not self.has_engine:
            return []
        return [line for line in self.toolkit["problems"] if line.startswith("nvidia_container_toolkit_")] if self.toolkit["wanted"] else []

    def docker_declines(self, decision: nvidia_toolkit.Decision) -> bool:
        """Whether somebody else has set otherwise what Docker would need: such an Engine is not asked for more."""
        before, cgroups = self.docker["before"], "native.cgroupdriver=cgroupfs"
        if (before.get("features") or {}).get("cdi", True) is False:
            return True
        options = before.get("exec-opts", [cgroups])
        return not decision["knows_cdi"] and ("exec-opts" in self.docker["flag_keys"] or cgroups not in options)

    def changes_of_plan(self) -> list[tuple[str, str]]:
        """What differs of the plan."""
        if not self.has_engine:
            return []
        if self.plan["status"] != "final":
            return [("plan.json", str(self.plan["refusal"] or "cannot be made before NVIDIA's driver is there"))]
        if not self.before:
            return [("plan.json", "is not there")]
        return [("plan.json", "differs")] if {**self.plan, **UNTOLD} != {**self.before, **UNTOLD} else []

    def changes_of_models(self) -> list[tuple[str, str]]:
        """What differs of the models on the engine."""
        plan, settings = self.plan_to_follow, self.settings
        if not self.has_engine or plan is None:
            return []
        if settings["ollama_models_list"] or settings["ollama_models_state"] != "present":
            return [("models", "ollama_models_list or ollama_models_state is set")]
        wanted = models.planned(plan, settings["ollama_native_preload" if self.has_native_engine else "llm_stack_preload"])
        return models.changes(self.reading["engine"], wanted, settings["ollama_models_prune"])

    def changes(self, found: Found) -> list[Change]:
        """Return all that has to be done, in the order in which it is done.

        :arg found: the Compose stack that the host is to have.
        """
        decision = stack.decide(found.stack) if found.stack.services else None
        of_stack = [(one["what"], one["why"], one["restarts"]) for one in decision["changes"]] if decision else []
        if decision and found.stack.reading["unfinished"] and not of_stack:
            of_stack.append((".before", "a run that was cut has left it", []))
        if decision and found.stack.has["db"]:
            of_stack += [(name, "its client is not named any more", []) for name in found.stack.stale_clients]
        by_role: dict[str, list[tuple[str, str, list[str]]]] = {
            "nvidia_driver": interrupting(self.changes_of_driver()),
            # Docker is started again for either.
            "docker_engine": interrupting(self.changes_of_docker(), found.stack.running),
            "nvidia_container_toolkit": interrupting(self.changes_of_toolkit(), found.stack.running),
            "model_plan": interrupting(self.changes_of_plan()),
            "ollama_native": self.native_engine.changes() if self.has_native_engine else [],
            "llm_stack": of_stack,
            "litellm_native": self.native_gateway.changes() if self.has_native_gateway else [],
            "ollama_models": interrupting(self.changes_of_models()),
        }
        return [{"role": role, "what": what, "why": why, "restarts": restarts} for role in ROLES for what, why, restarts in by_role[role]]

    def undecided(self) -> list[str]:
        """Return the roles that read the host by themselves, and are always visited."""
        # What is left of packages that are gone is known to the roles alone.
        found = [role for role in ("nvidia_driver", "nvidia_container_toolkit") if self.settings[role + "_state"] == "absent"]
        # Keys of clients are known to the gateway alone.
        return found + (["llm_stack"] if self.settings["llm_stack_client_keys"] else [])

    def roles(self, changes: t.Sequence[Change]) -> list[str]:
        """Return the roles that are visited, in their order: from the first one with a change on, because what it changes may change
        what the others have to do, and those that decide by themselves."""
        visited = [role for role in ROLES if role in {change["role"] for change in changes}]
        first = ROLES.index(visited[0]) if visited else len(ROLES)
        undecided = self.undecided()
        return [role for role in self.all_roles() if ROLES.index(role) >= first or role in undecided]

    def all_roles(self) -> list[str]:
        """Return the roles that a host of these services may have work for."""
        native = {"ollama_native": self.has_native_engine, "litellm_native": self.has_native_gateway}
        idle = () if self.has_engine else OF_ENGINES
        return [role for role in ROLES if native.get(role, True) and role not in idle]

    def environment(self) -> dict[str, str]:
        """Return what tasks on the host need in their environment: on a Mac root finds neither Docker nor its socket."""
        path = {"PATH": "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"} if self.is_mac else {}
        socket = self.settings["site_docker_host"]
        return {**path, **({"DOCKER_HOST": socket} if socket else {})}

    @property
    def setting_problems(self) -> list[str]:
        """What no plan can be made from, whatever the host is."""
        catalog, tiers = catalog_and_tiers(self.settings)
        return model_plan.setting_problems(wishes(self.settings), catalog, tiers)


def interrupting(changes: list[tuple[str, str]], services: t.Sequence[str] = ()) -> list[tuple[str, str, list[str]]]:
    """Return changes that interrupt services of the stack."""
    return [(what, why, sorted(services)) for what, why in changes]


def preflight_problems(host: Host, found: Found, run: Run) -> tuple[list[str], str]:
    """Find all that would stop a run, and try the addresses that the host will fetch from where no setting is wrong.

    :arg found: the Compose stack that the host is to have, and what is wrong with it.
    :arg run: runs a module of this collection on the host.
    :returns: the problems, and why the addresses could not be tried; empty where they could.
    """
    inputs, made = host.inputs, found.stack
    facts = {
        "reading": made.reading,
        "has": made.has,
        "gpu": made.gpu,
        "is_complete": made.is_complete,
        "docker_plan": host.docker,
        "gateway_installed": host.has_native_gateway and host.native_gateway.is_installed,
    }
    variables = Raw(inputs.settings, inputs.variables, {**inputs.derived, **facts})
    settings = preflight.settings(variables) + preflight.certificate(inputs.settings["site_ca_certificate"], inputs.ca_pem or None)
    settings += site_ollama(variables) + host.setting_problems
    problems = settings + preflight.host(variables)
    known, reached = {}, {}
    # Addresses are not tried that are made of settings which are wrong.
    if preflight.is_to_be_tried(variables) and not settings:
        known = preflight.sources(variables)
        reached = run("local_llm.fleet.host_info", reach_parameters(inputs, made.reading["docker"], list(known)))
        if reached.get("failed"):
            return [], str(reached.get("msg"))
        problems += preflight.disk_and_clock(variables, reached)
    problems += host.docker_problems + host.toolkit_problems
    # Of a host that runs nothing in containers the stack says that it has no services.
    services = variables["llm_stack_services"]
    if isinstance(services, str) or not services or made.services:
        problems += found.problems
    problems += host.native_problems
    problems += preflight.native_engine(variables, made.running)
    return problems + (preflight.unreachable(reached["sources"], known) if reached else []), ""


def reach_parameters(inputs: Inputs, docker: t.Mapping[str, t.Any] | None, addresses: list[str]) -> dict[str, t.Any]:
    """Return the options of ``host_info`` that try addresses from the host, and read its clock and the disk that images lie on."""
    wanted = {
        "sources": addresses,
        "package_sources": docker is None and not inputs.is_mac,
        "proxy": inputs.settings["site_proxy"],
        "no_proxy": inputs.no_proxy,
        "ca_pem": inputs.ca_pem,
        "reference_time": time.time(),
        "timeout": inputs.settings["preflight_timeout"],
        "paths": [(docker or {}).get("data_root") or "/var/lib/docker"],
    }
    return {name: value for name, value in wanted.items() if value not in (None, "")}
