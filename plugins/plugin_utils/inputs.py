# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take what a host is to be out of its variables: typed settings, and what follows from them."""

from __future__ import annotations

import base64
import json
import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ..module_utils import env_file
from . import fleet, gateway, model_plan, native_engine, native_gateway, preflight, stack, stack_problems
from .role_settings import ROLES, Templated, deep_plain, settings, tables
from .services import is_native
from .stack_problems import EVERYWHERE, told

Template = t.Callable[[t.Any], t.Any]
DEFAULT_SERVICES = ["ollama", "db", "litellm"]


def file_reader(loader: t.Any) -> t.Callable[[str], str]:
    """Return what reads the text of a file on the control node, from a vault or not.

    :arg loader: Ansible's own, which decrypts.
    """
    return lambda path: Path(loader.get_real_file(path)).read_bytes().decode()


def file_of(path: str) -> str:
    """Return the text of a file of this collection's roles."""
    return (ROLES / path).read_text(encoding="utf-8")


def known_routes(variables: t.Mapping[str, t.Any]) -> list[str]:
    """Return the routes of all models that some host may have: those of the catalog, and of what the settings add to it."""
    catalog = tables("model_plan")["_model_plan_catalog"]
    entries = {
        **catalog,
        **{name: {**catalog.get(name, {}), **(own or {})} for name, own in (variables.get("model_plan_catalog") or {}).items()},
    }
    return [entry["route"] for entry in entries.values() if isinstance(entry, dict) and entry.get("route")]


def address_of(host: t.Mapping[str, t.Any], name: str) -> str:
    """Return the address under which other hosts reach a host of the inventory."""
    return str(deep_plain(told(host, "site_address", None) or told(host, "ansible_host", None) or name))


@dataclass(frozen=True)
class Inputs:
    """What the settings of a host say, before the host is read.

    :arg variables: the host's variables.
    :arg settings: the settings of the roles, by name, of the types that their argument_specs give.
    :arg read_file: returns the text of a file on the control node, from a vault or not.
    """

    variables: Templated
    settings: dict[str, t.Any]
    read_file: t.Callable[[str], str]

    @classmethod
    def of(
        cls, task_vars: t.Mapping[str, t.Any], template: Template, read_file: t.Callable[[str], str], roles: t.Sequence[str] = ()
    ) -> Inputs:
        """Take them out of a task's variables.

        :arg roles: further roles whose settings are taken, besides ``site`` and ``llm_stack``.
        :raises SettingsError: for settings of the wrong type.
        """
        made = cls(Templated(task_vars, template), settings(["site", "llm_stack", *roles], task_vars, template), read_file)
        # The defaults that are templates.
        defaults = {
            "site_address": made.variables.get("ansible_host") or made.variables.get("inventory_hostname"),
            "ollama_models_url": made.engine_url,
        }
        made.settings.update({name: value for name, value in defaults.items() if name in made.settings and made.settings[name] is None})
        return made

    def learn(self, system: t.Mapping[str, t.Any]) -> None:
        """Take over what was read of the operating system, where no facts were gathered.

        :arg system: ``system`` of ``host_info``.
        """
        known = {"system": system["kernel"], "architecture": system["machine"], "pkg_mgr": system["package_tool"]}
        self.variables.known["ansible_facts"] = {**known, **self.facts}

    @property
    def no_proxy(self) -> list[str]:
        """Hosts and domains that are reached without the proxy."""
        return ["localhost", "127.0.0.1", "::1", *self.settings["site_no_proxy"]]

    @property
    def ca_path(self) -> str:
        """The file on the control node with the site's own authorities; empty without any. A relative path begins where the playbook
        is started, which Ansible may have left since."""
        name = self.settings["site_ca_certificate"]
        return os.path.join(os.environ.get("PWD") or os.getcwd(), name) if name else ""

    @property
    def ca_pem(self) -> str:
        """The certificates of the site's own authorities; empty without any, or where there is no such file."""
        return self.read_file(self.ca_path).rstrip() + "\n" if self.ca_path and os.path.isfile(self.ca_path) else ""

    @property
    def ca_store(self) -> dict[str, str]:
        """Where the host takes up certificates: ``anchor``, ``bundle``, ``command``."""
        stores = tables("site")["_site_ca_stores"]
        return dict(stores.get(self.facts.get("pkg_mgr"), stores["apt"]))

    @property
    def engine_url(self) -> str:
        """The address at which the host itself reaches its engine."""
        bind = self.settings["site_ollama_bind"]
        return "http://%s:%s" % ("127.0.0.1" if bind == EVERYWHERE else bind, self.settings["site_ollama_port"])

    @property
    def derived(self) -> dict[str, t.Any]:
        """What the role ``site`` derives from its settings, by the names of its variables."""
        settings, is_mac = self.settings, self.is_mac
        return {
            "_site_engine_native": is_native(settings, "site_engine", is_mac),
            "_site_gateway_native": is_native(settings, "site_gateway", is_mac),
            "_site_no_proxy": self.no_proxy,
            "_site_ca_path": self.ca_path,
            "_site_ca_pem": self.ca_pem,
        }

    @property
    def facts(self) -> t.Mapping[str, t.Any]:
        """What is known of the operating system."""
        return self.variables.get("ansible_facts") or {}

    @property
    def is_mac(self) -> bool:
        """Whether the host runs macOS."""
        return bool(self.facts.get("system") == "Darwin")

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return str(self.variables["inventory_hostname"])

    @property
    def is_second(self) -> bool:
        """Whether the gateway uses the database and the Redis of another one."""
        return self.settings["llm_stack_primary"] not in ("", self.name)

    @property
    def ports_are_good(self) -> bool:
        """Whether the addresses and ports can be looked for on the host."""
        return not stack_problems.addresses(self.raw)

    @property
    def raw(self) -> t.Mapping[str, t.Any]:
        """The settings as they are written, so that wrong ones can be told, with the defaults of the others."""
        return Raw(self.settings, self.variables, self.derived)

    def host(self, name: str) -> t.Mapping[str, t.Any]:
        """Return the variables of a host of the inventory; nothing of one that it has not."""
        hosts = self.variables.get("hostvars") or {}
        # Ansible's mapping has a value for every name, an undefined one for what it does not know.
        return hosts[name] if name in hosts else {}  # noqa: SIM401

    def engine_addresses(self) -> dict[str, str]:
        """Return the addresses of the engines that the gateway asks, by the name of their host."""
        engines, found = self.settings["llm_stack_engines"], {}
        for name in engines:
            host = self.host(name)
            if name != self.name and "ollama" in (told(host, "llm_stack_services", None) or DEFAULT_SERVICES):
                port = told(host, "site_ollama_port", None) or self.settings["site_ollama_port"]
                found[str(name)] = "http://%s:%s" % (stack.in_url(address_of(host, name)), port)
        return found

    def plans(self) -> dict[str, t.Any]:
        """Return the plans of those hosts: of this run, or as they are written there."""
        found = {}
        for name in self.engine_addresses():
            host = self.host(name)
            plan = host.get("model_plan_result") or (host.get("local_llm") or {}).get("plan_to_follow") or {}
            if plan.get("status") == "final":
                found[name] = plan
        for read in (self.variables.get("__llm_stack_engine_files") or {}).get("results") or []:
            if read.get("content") is not None:
                found[str(read["item"])] = model_plan.parse(text_of(read))
        return found

    def others(self, remembered: str | None, answers: t.Mapping[str, t.Any] | None, check_mode: bool) -> stack.Others:
        """Return what the stack has to do with other hosts.

        :arg remembered: the text of ``engines.json`` on the host.
        :arg answers: what the engines answered; None where they were not asked.
        """
        engines = None
        if answers is not None:
            plans, before = deep_plain(self.plans()), as_json(remembered)
            engines = fleet.engines(self.engine_addresses(), plans=plans, remembered=before, answers=dict(answers), assume=check_mode)
        primary = ""
        if self.is_second:
            name = self.settings["llm_stack_primary"]
            primary = address_of(self.host(name), name)
        shared = env_values(self.variables.get("__llm_stack_primary_env")) if self.is_second else {}
        return stack.Others(
            addresses=self.engine_addresses() if answers is not None else {}, engines=engines, primary=primary, shared=shared
        )

    @property
    def node(self) -> stack.Node:
        """What the services have to know of their host besides the settings."""
        return stack.Node(
            name=self.name,
            is_mac=self.is_mac,
            architecture=str(self.facts.get("architecture") or "x86_64"),
            ca_pem=self.ca_pem,
            ca_bundle=self.ca_store["bundle"],
            no_proxy=self.no_proxy,
            preload=file_of("site/files/preload.py"),
        )

    @property
    def native(self) -> list[str]:
        """The services of the host that run without a container: ``engine``, ``gateway``."""
        places = (("engine", "ollama", "site_engine"), ("gateway", "litellm", "site_gateway"))
        services = self.settings["llm_stack_services"]
        return [name for name, service, setting in places if service in services and is_native(self.settings, setting, self.is_mac)]

    def native_parameters(self, names: t.Iterable[str]) -> dict[str, t.Any]:
        """Return the options of ``host_info`` for services that run without a container, by the names of its sections.

        :arg names: ``engine``, ``gateway``.
        """
        makers = {"engine": native_engine.parameters, "gateway": native_gateway.parameters}
        return {"native_" + name: makers[name](self.settings, self.raw, self.node) for name in names}

    def native_engine(self, reading: t.Mapping[str, t.Any], plan: t.Mapping[str, t.Any] | None) -> native_engine.Engine:
        """Return the engine without a container that the host is to have.

        :arg reading: what ``host_info`` returned.
        :arg plan: the host's plan.
        """
        return native_engine.Engine(self.settings, self.raw, self.node, reading["native_engine"], deep_plain(plan) if plan else None)

    def native_gateway(self, reading: t.Mapping[str, t.Any], plan: t.Mapping[str, t.Any] | None) -> native_gateway.Gateway:
        """Return the gateway without a container that the host is to have.

        :arg reading: what ``host_info`` returned.
        :arg plan: the host's plan.
        """
        name = str(self.settings["litellm_native_requirements"] or "")
        # A relative path begins where the playbook is started.
        path = os.path.join(os.environ.get("PWD") or os.getcwd(), name)
        return native_gateway.Gateway(
            self.settings,
            self.raw,
            self.node,
            reading["native_gateway"],
            stack=reading,
            plan=deep_plain(plan) if plan else None,
            requirements=self.read_file(path).rstrip() if name and os.path.isfile(path) else None,
            known_routes=known_routes(self.variables),
        )

    def stack_of(
        self,
        reading: t.Mapping[str, t.Any],
        answers: t.Mapping[str, t.Any] | None = None,
        plan: t.Mapping[str, t.Any] | None = None,
        check_mode: bool = False,
    ) -> stack.Stack:
        """Return the stack that the host is to have.

        :arg reading: what ``host_info`` returned.
        :arg plan: the host's plan, where it is not the one that the host has.
        """
        contents = reading.get("contents") or {}
        return stack.Stack(
            settings=self.settings,
            node=self.node,
            reading=reading,
            plan=deep_plain(plan) if plan else model_plan.parse(contents.get("plan.json") or "") or None,
            others=self.others(contents.get("engines.json"), answers, check_mode),
            control_files=gateway.control_files(self.settings["llm_stack_providers"]),
            known_routes=known_routes(self.variables),
        )

    def problems(self, made: stack.Stack, answers: t.Mapping[str, t.Any] | None = None) -> list[str]:
        """Return what is wrong with the settings of the stack, and with its host."""
        variables = self.variables
        facts = {
            "reading": made.reading,
            "has": made.has,
            "uses": made.uses,
            "gpu": made.gpu,
            "gateway": made.gateway,
            "env_names": made.env_names,
            "env_path": made.env_path,
            "given_otherwise": made.given_otherwise,
            "demanded": made.demanded,
            "shared": made.shared,
            "secret_names": made.secret_names,
            "engines": made.others.engines or {},
            "asked": answers is not None,
            "silent": silent(answers),
            "models_dir": made.models_dir,
            "models_mib": made.models_mib,
            "is_blind": self.is_blind,
            "primary_read": "__llm_stack_primary_env" in variables,
        }
        return self.certificate_problems + stack_problems.Stack(Raw(self.settings, variables, {**self.derived, **facts})).all()

    @property
    def certificate_problems(self) -> list[str]:
        """What is wrong with the site's own authorities: without their file a service would be made without them."""
        return preflight.certificate(self.settings["site_ca_certificate"], self.ca_pem or None)

    @property
    def is_blind(self) -> bool:
        """Whether other hosts cannot be read: with ``-c local`` a task that is delegated to one is done here, without a word."""
        return (self.variables.get("ansible_connection") or "") == "local" and "ansible_connection" not in self.host(self.name)


class Raw(t.Mapping[str, t.Any]):
    """Variables as they are written, with what follows from them, and with the defaults of those that are not.

    :arg values: typed settings, taken for what is not written.
    :arg variables: the host's variables.
    :arg facts: what follows from them, taken first: a host may have variables of these names of its own.
    """

    def __init__(self, values: t.Mapping[str, t.Any], variables: Templated, facts: t.Mapping[str, t.Any] | None = None) -> None:
        self.values_of, self.variables, self.facts = values, variables, facts or {}

    def __getitem__(self, name: str) -> t.Any:
        if name in self.facts:
            return self.facts[name]
        return self.variables[name] if name in self.variables else self.values_of[name]

    def __contains__(self, name: object) -> bool:
        return name in self.facts or name in self.variables or name in self.values_of

    def __iter__(self) -> t.Iterator[str]:
        return iter({*self.facts, *self.variables, *self.values_of})

    def __len__(self) -> int:
        return len({*self.facts, *self.variables, *self.values_of})


def silent(answers: t.Mapping[str, t.Any] | None) -> list[str]:
    """Return the engines that did not answer."""
    return [str(name) for name, answer in (answers or {}).items() if answer.get("msg")]


def text_of(read: t.Mapping[str, t.Any] | None) -> str:
    """Return the text of a file that the module ``slurp`` has read; empty without one."""
    content = (read or {}).get("content")
    return base64.b64decode(content).decode("utf-8", "replace") if content else ""


def env_values(read: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """Return the values of an environment file that the module ``slurp`` has read."""
    return dict(env_file.parse(text_of(read))["values"])


def as_json(text: str | None) -> t.Any:
    """Return what a text of JSON holds; an empty mapping for what is none."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}


def new_salt() -> str:
    """Return a text that is used once."""
    return os.urandom(16).hex()
