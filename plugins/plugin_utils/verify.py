# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a host of the stack is asked, and judge by its answers whether it is what its plan and its settings say."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from functools import cached_property

import yaml

from . import native_engine
from .role_settings import load_yaml
from .services import is_native
from .stack import in_url
from .stack_problems import EVERYWHERE
from .verify_gpu import Check, gpu_checks, short
from .versions import newer

Data = t.Mapping[str, t.Any]
MODES = ("chat", "embedding")  # that are asked, in this order
SHARED = ("db", "redis")  # services that other gateways may use
NOTE = "# Left out: "  # as config.yml tells of settings that have no effect on its host
UNKNOWN = 99999  # MiB


class Route(t.TypedDict):
    """A model that the gateway is asked for."""

    route: str
    name: str  #: as the engine knows it
    mode: str  #: ``chat`` or ``embedding``


def mapping(text: str | None) -> dict[str, t.Any]:
    """Return a YAML file's mapping; an empty one for a text that is none."""
    try:
        found = load_yaml(text or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Stack:
    """What a host is to be.

    :arg settings: variables ``site_*`` and ``stack_verify_*``, ``llm_stack_services``, ``ollama_native_home`` and
        ``litellm_native_dir``, by name.
    :arg reading: what ``host_info`` returned, with the contents of ``compose.yml`` and ``config.yml``.
    :arg plan: the host's model plan; None where it has none.
    :arg is_mac: whether the host runs macOS.
    :arg given_services: the services that run in containers, where the run that made them tells; else those of ``compose.yml``.
    :arg given_shared: the addresses at which other gateways reach database and Redis, as ``address:port``; else those of ``compose.yml``.
    :arg silent: engines of other hosts that did not answer in this run.
    :arg native_engine: how a native engine runs: ``version``, ``fault`` (empty where it runs as it was set up); None where
        it was not read.
    :arg native_gateway: the same of a native gateway.
    """

    settings: Data
    reading: Data
    plan: Data | None = None
    is_mac: bool = False
    given_services: t.Sequence[str] | None = None
    given_shared: t.Sequence[str] | None = None
    silent: t.Sequence[str] = ()
    native_engine: Data | None = None
    native_gateway: Data | None = None

    def is_native(self, setting: str) -> bool:
        """Whether what a setting such as ``site_engine`` places runs without a container."""
        return is_native(self.settings, setting, self.is_mac)

    def content(self, name: str) -> str:
        """Return the text of a file of the project; an empty one where there is none."""
        return str((self.reading.get("contents") or {}).get(name) or "")

    @cached_property
    def compose(self) -> dict[str, t.Any]:
        """The services of ``compose.yml``, by name."""
        services = mapping(self.content("compose.yml")).get("services")
        return {name: service or {} for name, service in services.items()} if isinstance(services, dict) else {}

    @cached_property
    def services(self) -> list[str]:
        """The services that run in containers."""
        return list(self.compose if self.given_services is None else self.given_services)

    @property
    def shared(self) -> list[str]:
        """The addresses at which other gateways reach database and Redis."""
        if self.given_shared is not None:
            return list(self.given_shared)
        ports = [port for name in SHARED for port in self.compose.get(name, {}).get("ports") or []]
        return [str(port).rpartition(":")[0] for port in ports]

    @property
    def has_native_engine(self) -> bool:
        """Whether Ollama runs on this host without a container."""
        return self.is_native("site_engine") and "ollama" in self.settings["llm_stack_services"]

    @property
    def has_native_gateway(self) -> bool:
        """Whether LiteLLM runs on this host without a container."""
        return self.is_native("site_gateway") and "litellm" in self.settings["llm_stack_services"]

    @property
    def has_engine(self) -> bool:
        """Whether Ollama runs on this host."""
        return "ollama" in self.services or self.has_native_engine

    @property
    def has_gateway(self) -> bool:
        """Whether LiteLLM runs on this host."""
        return "litellm" in self.services or self.has_native_gateway

    @property
    def is_full(self) -> bool:
        """Whether every local route, the database and the services are asked, too."""
        return bool(self.settings["stack_verify_depth"] == "full")

    @property
    def gateway_log(self) -> str:
        """The command that shows the gateway's log."""
        if not self.is_native("site_gateway"):
            return "`docker logs litellm`"
        return "%s/log/gateway.log" % self.settings["litellm_native_dir"] if self.is_mac else "`journalctl -u local-llm-gateway`"

    @property
    def engine_log(self) -> str:
        """The command that shows the engine's log, or the file that it is in."""
        if not self.is_native("site_engine"):
            return "`docker logs ollama`"
        return "%s/ollama.log" % native_engine.home_of(self.settings, self.is_mac) if self.is_mac else "`journalctl -u ollama`"

    @cached_property
    def planned(self) -> list[Data]:
        """The models of the plan, where this host has the engine to hold them."""
        return list((self.plan or {}).get("models") or []) if self.has_engine else []

    @property
    def gpu_models(self) -> list[Data]:
        """The models that the plan places on a GPU, where that is to be judged."""
        kind = ((self.plan or {}).get("budget") or {}).get("kind", "cpu")
        if self.settings["stack_verify_gpu"] == "off" or kind == "cpu":
            return []
        return [model for model in self.planned if model.get("placement") == "gpu"]

    @property
    def has_nvidia(self) -> bool:
        """Whether the plan places models on GPUs of NVIDIA's, whose driver can be asked."""
        return bool(self.gpu_models) and (((self.plan or {}).get("budget") or {}).get("vendor") or "nvidia") == "nvidia"

    @cached_property
    def config(self) -> dict[str, t.Any]:
        """The gateway's configuration."""
        return mapping(self.content("config.yml"))

    @property
    def models(self) -> list[Data]:
        """The entries of the gateway's ``model_list`` that have a name."""
        entries = self.config.get("model_list")
        return [one for one in entries if isinstance(one, dict) and one.get("model_name")] if isinstance(entries, list) else []

    @cached_property
    def routes(self) -> list[Route]:
        """The local routes: those that ask an engine, and no provider. Configurations of earlier versions tell providers by their key
        alone."""
        found: dict[str, Route] = {}
        for model in self.models:
            info = model.get("model_info") or {}
            if not (model.get("litellm_params") or {}).get("api_key") and not info.get("provider"):
                name = str(model["model_name"])
                found.setdefault(name, {"route": name, "name": name, "mode": info.get("mode") or "chat"})
        return list(found.values())

    @property
    def notes(self) -> list[str]:
        """The gateway's settings that have no effect on this host, as the head of its configuration tells them."""
        return [line[len(NOTE) :] for line in self.content("config.yml").splitlines() if line.startswith(NOTE)]

    @cached_property
    def asked(self) -> Route | None:
        """The model that is asked: one that the plan keeps in memory, so that the question costs no other its place; None where every
        route is of a provider, since a question to one costs money."""
        chat = [model for model in self.planned if model["mode"] == "chat"]
        first = [model for model in chat if model.get("resident")] + chat + self.planned
        if first:
            return {"route": first[0]["route"], "name": first[0]["name"], "mode": first[0]["mode"]}
        # Those that do something else, such as speech, are asked by nobody here.
        routes = [route for mode in MODES for route in self.routes if route["mode"] == mode]
        return routes[0] if routes else None

    def problem(self) -> str:
        """Return why there is nothing to verify, with the fix; empty where there is."""
        folder = self.settings["site_project_dir"]
        if not self.services and not self.has_engine and not self.has_gateway:
            return "This host has no %s/compose.yml: run site.yml for it first." % folder
        if self.has_engine and self.plan is None:
            return "This host has no %s/plan.json of this version yet: run site.yml for it first." % folder
        return ""


def addresses(settings: Data) -> dict[str, str]:
    """Return the settings that say where gateway and engine are asked, with those that follow from their addresses where none was set."""
    gateway, engine = str(settings["site_gateway_bind"]), str(settings["site_ollama_bind"])
    gateway = {EVERYWHERE: "127.0.0.1", "::": "::1"}.get(gateway, gateway)
    engine = "127.0.0.1" if engine == EVERYWHERE else engine
    return {
        "stack_verify_gateway_url": settings["stack_verify_gateway_url"]
        or "http://%s:%s/v1" % (in_url(gateway), settings["site_gateway_port"]),
        "stack_verify_engine_url": settings["stack_verify_engine_url"] or "http://%s:%s" % (engine, settings["site_ollama_port"]),
    }


def native_folders(settings: Data, is_mac: bool) -> list[str]:
    """Return the folders that services without containers fill: the models, and the versions of LiteLLM."""
    services, found = settings["llm_stack_services"], []
    if "ollama" in services and is_native(settings, "site_engine", is_mac):
        found.append(native_engine.home_of(settings, is_mac))
    if "litellm" in services and is_native(settings, "site_gateway", is_mac):
        found.append(str(settings["litellm_native_dir"]))
    return found


def host_parameters(settings: Data, is_mac: bool) -> dict[str, t.Any]:
    """Return the options of ``host_info`` that a verification needs."""
    native = is_native(settings, "site_engine", is_mac)
    with_engine = native and "ollama" in settings["llm_stack_services"]
    return {
        "project_dir": settings["site_project_dir"],
        "units": ["ollama-preload.service" if with_engine else "local-llm-preload.service"],
        "paths": native_folders(settings, is_mac),
        "contents": ["compose.yml", "config.yml", "plan.json"],
    }


def question(stack: Stack, route: Route, strangers: bool) -> dict[str, t.Any]:
    """Return the options of ``llm_endpoint_check`` that ask a route.

    :arg strangers: whether the gateway is asked without a key and with a wrong one, too.
    """
    settings = stack.settings
    return {
        "url": settings["stack_verify_gateway_url"] if stack.has_gateway else settings["stack_verify_engine_url"] + "/v1",
        "model": route["route"] if stack.has_gateway else route["name"],
        "env_file": settings["site_project_dir"] + "/.env" if stack.has_gateway else None,
        "strangers": strangers and stack.has_gateway,
        "mode": route["mode"],
        "prompt": settings["stack_verify_question"],
        "timeout": settings["stack_verify_timeout"],
    }


def first_question(stack: Stack, strangers: bool = True) -> dict[str, t.Any]:
    """Return the question of every verification. Where every route is a provider's, it is asked without a key, and must be refused."""
    if stack.asked:
        return question(stack, stack.asked, strangers)
    models = stack.models or [{"model_name": "none"}]
    route: Route = {"route": str(models[0]["model_name"]), "name": "", "mode": "chat"}
    return {**question(stack, route, strangers), "env_file": None, "expect": "refusal"}


def further_questions(stack: Stack) -> list[dict[str, t.Any]]:
    """Return a question for each of the other local routes."""
    asked = stack.asked["route"] if stack.asked else ""
    return [question(stack, route, strangers=False) for route in stack.routes if route["route"] != asked and route["mode"] in MODES]


def probe_parameters(stack: Stack) -> dict[str, t.Any]:
    """Return the options of ``stack_probe``: all that is asked in one round trip."""
    wanted: dict[str, t.Any] = {"question": first_question(stack), "env_file": stack.settings["site_project_dir"] + "/.env"}
    if stack.has_engine:
        wanted |= {"engine_url": stack.settings["stack_verify_engine_url"], "expected": [model["name"] for model in stack.planned]}
    if stack.has_nvidia and not stack.is_native("site_engine"):
        wanted["gpu_container"] = "ollama"
    if stack.is_full:
        wanted["gpu_processes"] = stack.has_nvidia
        wanted["database"] = "db" in stack.services
        wanted |= {"gateway_url": stack.settings["stack_verify_gateway_url"]} if stack.has_gateway else {}
    return wanted


def check(id: str, fault: str, good: str, advice: str, status: str = "fail") -> Check:
    """Return one check.

    :arg fault: what is wrong; empty where nothing is.
    :arg good: what is told where nothing is wrong.
    :arg status: the status where something is.
    """
    return {"id": id, "status": status if fault else "pass", "observed": fault or good, "advice": advice}


def listed(words: str, names: t.Iterable[str]) -> str:
    """Return words and the names after them; nothing where there are no names."""
    text = ", ".join(names)
    return words + text if text else ""


@dataclass(frozen=True)
class Verification:
    """The judgement of one host.

    :arg stack: what it is to be.
    :arg probe: what ``stack_probe`` returned.
    :arg answers: what came of each of :func:`further_questions`, by route: the result of ``llm_endpoint_check``, with ``msg`` where it
        failed.
    """

    stack: Stack
    probe: Data
    answers: t.Mapping[str, Data] = field(default_factory=dict)

    @property
    def answer(self) -> Data:
        """What came of the first question."""
        return t.cast(Data, self.probe.get("answer") or {})

    @property
    def is_answered(self) -> bool:
        """Whether the model has answered."""
        return "answer" in self.answer or "dimensions" in self.answer

    def answer_line(self) -> str:
        """Return the answer, and how long it took."""
        asked, said = self.stack.asked, self.answer
        line = "%s answered in %s s " % (asked["route"] if asked else "", said.get("seconds"))
        if "dimensions" in said:
            return line + "with %s dimensions" % said["dimensions"]
        return line + "(first token after %s s, %s tokens): %s" % (said.get("time_to_first_token"), said.get("tokens"), said.get("answer"))

    @property
    def strangers(self) -> list[Data]:
        """How the gateway took those without a key, and with a wrong one."""
        return list(self.answer.get("strangers") or [{"refused": False, "status": None, "reason": "not asked"}] * 2)

    def refusal_line(self) -> str:
        """Return how strangers were refused."""
        none, wrong = ("%s %s" % (one["status"] or "no answer", one["reason"]) for one in self.strangers)
        return "without a key: %s; with a wrong one: %s" % (none, wrong)

    def gpu_line(self) -> str:
        """Return the GPUs that the engine's container has; empty where it has none."""
        devices = (self.probe.get("gpus") or {}).get("devices") or []
        return "; ".join("%s (%s), %s of %s MiB free" % (row[1], row[0], row[3], row[2]) for row in devices)

    def containers(self) -> list[Check]:
        """Judge the project's containers: state, memory, restarts, published ports, firewall, secrets."""
        stack, reading = self.stack, self.stack.reading
        settings = stack.settings
        own = [one for one in reading["containers"] if one["service"] in stack.services]
        states = {one["service"]: (one["status"] + " " + one["health"]).strip() for one in own}
        healthy = [one["service"] for one in own if one["status"] == "running" and one["health"] == "healthy"]
        unhealthy = ["%s is %s" % (name, states.get(name, "not there")) for name in stack.services if name not in healthy]
        oom_killed = sorted({one["name"] for one in own if one["oom_killed"]})
        restarted = [one["name"] for one in own if one["restarts"]]
        meant = {"%s:%s" % (settings["site_%s_bind" % name], settings["site_%s_port" % name]) for name in ("gateway", "ollama")}
        exposed = [port for one in own for port in one["published"] if port not in meant | set(stack.shared)]
        differing = sorted({name for one in own for name in one["environment_differs"]})
        blind = reading["firewall"] is None and "firewall" in reading["files"]
        firewall = "not looked at, because others may have written the script that tells" if blind else "open to neighbours"
        return [
            check(
                "containers",
                listed("", unhealthy),
                ", ".join(healthy) + " run, and are healthy",
                "Run site.yml, or `docker compose up -d` in %s; `docker logs` says why a container ends." % settings["site_project_dir"],
            ),
            check(
                "containers.memory",
                listed("killed for want of memory: ", oom_killed),
                "none was killed for want of memory",
                "Raise llm_stack_ollama_memory, llm_stack_litellm_memory or llm_stack_db_memory, or give the host a smaller tier.",
            ),
            check(
                "containers.restarts",
                listed("Docker had to start again: ", restarted),
                "none was started again",
                "`docker logs` of the container says why; the count goes when the container is recreated.",
                "warn",
            ),
            check(
                "ports",
                listed("published besides what is meant: ", dict.fromkeys(exposed)),
                "nothing but what is meant is open",
                "Run site.yml, which publishes what the settings say alone.",
            ),
            check(
                "firewall",
                "" if reading["firewall"] else firewall,
                "closed to neighbours",
                "Run site.yml, or `systemctl restart local-llm-firewall` on the host; neighbours can route to the containers until then.",
                "skip" if blind else "fail",
            ),
            check(
                "secrets",
                listed("changed since the services were started: ", differing),
                "the services run with those of .env",
                "Run site.yml, or put the old ones back.",
                "warn",
            ),
        ]

    def insecure_files(self) -> list[str]:
        """Return the project's folder and files that others than root may change, or read where they hold secrets, each with owner and
        mode."""
        reading, found = self.stack.reading, []
        folder = reading["project_dir"]
        if folder and (folder["owner"], folder["mode"]) != ("root", "0755"):
            found.append("%s(%s,%s)" % (self.stack.settings["site_project_dir"], folder["owner"], folder["mode"]))
        for name, file in reading["files"].items():
            mode = file["mode"]
            closed = mode[-3:] in ("600", "400") if name.startswith(".env") else mode[-1] not in "2367" and mode[-2] not in "2367"
            if file["owner"] != "root" or not closed:
                found.append("%s(%s,%s)" % (name, file["owner"], mode))
        return found

    def files(self) -> list[Check]:
        """Judge the project's files, and the disk."""
        reading, floor = self.stack.reading, self.stack.settings["stack_verify_disk_floor_mib"]
        sizes = [one["free_mib"] for one in reading["paths"]] + [(reading["docker"] or {}).get("free_mib")]
        free = min((size for size in sizes if size is not None), default=UNKNOWN)
        words = "%d MiB free" % free
        return [
            check(
                "files",
                listed("open to others: ", self.insecure_files()),
                "root alone writes them, and reads the secrets",
                "Run site.yml, which closes them; and change secrets that others may have read with playbooks/rotate.yml.",
            ),
            check(
                "disk",
                words if free < floor else "",
                words,
                "Free some, or lower stack_verify_disk_floor_mib (%d). Models that nobody asked for go with -e ollama_models_prune=true."
                % floor,
                "warn",
            ),
        ]

    def native_services(self) -> list[Check]:
        """Judge what runs without containers, as far as it was read."""
        found = []
        stack = self.stack
        for id, program, service, log in (
            ("engine", "Ollama", stack.native_engine, stack.engine_log),
            ("gateway", "LiteLLM", stack.native_gateway, stack.gateway_log),
        ):
            if service is not None:
                what, advice = "%s %s " % (program, service["version"]), "Run site.yml; %s says why it ends." % log
                fault = what + service["fault"] if service["fault"] else ""
                found.append(check(id + ".service", fault, what + "runs as it was set up", advice))
        return found

    def engine(self) -> list[Check]:
        """Judge the engine and its models."""
        stack, engine = self.stack, self.probe.get("engine") or {"msg": "not asked"}
        floor = stack.settings["site_ollama_floor"]
        planned = {short(model["name"]) for model in stack.planned}
        loaded = [short(model["name"]) for model in engine.get("loaded") or []]
        unloaded = [short(model["name"]) for model in stack.planned if model.get("preload") and short(model["name"]) not in loaded]
        extra = [short(model["name"]) for model in engine.get("models") or [] if short(model["name"]) not in planned]
        units = {name: unit for name, unit in stack.reading["units"].items() if "preload" in name}
        preloads = any(unit["enabled"] for unit in units.values())
        version = str(engine.get("version", ""))
        variable = "ollama_native_version" if stack.is_native("site_engine") else "llm_stack_ollama_image"
        unit = next(iter(units), "local-llm-preload.service")
        in_memory = listed("not in memory: ", unloaded)
        found = [
            check(
                "engine.answers",
                "" if version else str(engine.get("msg") or "it does not tell its version"),
                version,
                "Look at %s; site.yml starts it." % stack.engine_log,
            ),
            check(
                "engine.version",
                "" if newer(version, floor) else version,
                version,
                "Set %s to %s or newer, or lower site_ollama_floor knowingly." % (variable, floor),
            ),
            check(
                "engine.models",
                listed("without ", engine.get("missing") or []),
                "all of the plan" + listed(", and besides ", extra),
                "Run playbooks/models.yml, which pulls what the plan names.",
            ),
            check(
                "engine.preloaded",
                in_memory if preloads else "",
                in_memory or ", ".join(loaded) + " in memory",
                "`systemctl start %s` loads it; `journalctl -u %s` says why it was not." % (unit, unit),
                "warn",
            ),
        ]
        if not version:
            found[1:] = [{**one, "status": "skip"} for one in found[1:]]
        return found

    def gpus(self) -> list[Check]:
        """Judge what the plan places on GPUs."""
        stack = self.stack
        if not stack.gpu_models:
            return []
        status = "fail" if stack.settings["stack_verify_gpu"] == "required" else "warn"
        gpus, found = self.probe.get("gpus"), []
        if gpus is not None:
            fault = "" if gpus["devices"] else "no GPU in the container: %s" % gpus["error"]
            advice = (
                "Run site.yml, which repairs driver, toolkit and CDI specification; `docker restart ollama` then gives a container back"
                " what it has lost. `docker inspect -f '{{.State.Error}}' ollama` says why it does not start."
            )
            found.append(check("engine.gpus", fault, self.gpu_line(), advice, status))
        names = {short(model["name"]) for model in stack.gpu_models}
        loaded = [model for model in (self.probe.get("engine") or {}).get("loaded") or [] if short(model["name"]) in names]
        return found + gpu_checks(
            loaded, status, self.probe.get("processes"), None if stack.is_native("site_engine") else "ollama", stack.engine_log
        )

    def answered(self, id: str, advice: str) -> Check:
        """Judge the answer."""
        if not self.stack.asked:
            return check(id, "every route is of a provider", "", advice, "skip")
        return check(id, "" if self.is_answered else str(self.answer.get("msg")), self.answer_line(), advice)

    def gateway(self) -> list[Check]:
        """Judge the gateway by its answer, and by how it takes strangers."""
        stack = self.stack
        advice = "Look at %s and at the engine's log." % stack.gateway_log
        if stack.silent:
            advice += " %s did not answer: stop what hangs there, or take it out of llm_stack_engines." % ", ".join(stack.silent)
        found = [self.answered("gateway.answer", advice)]
        for id, key, one in zip(("no_key", "wrong_key"), ("without a key", "to a wrong key"), self.strangers):
            advice = "The gateway must not answer %s; look at LITELLM_MASTER_KEY in %s/.env and at %s."
            advice %= (key, stack.settings["site_project_dir"], stack.gateway_log)
            fault = "" if one["refused"] else str(one["reason"])
            found.append(check("gateway.refuses_" + id, fault, str(one["status"]), advice))
        return found

    def gateway_in_full(self) -> list[Check]:
        """Judge the gateway's version, its routes, its settings and its database."""
        stack = self.stack
        version, floor = str(self.probe.get("gateway_version") or ""), stack.settings["site_litellm_floor"]
        routes = [route["route"] for route in stack.routes]
        database = self.probe.get("database") or {"tables": 0, "error": "there is none"}
        variable = "litellm_native_version" if stack.is_native("site_gateway") else "llm_stack_litellm_image"
        found = [
            check(
                "gateway.version",
                "" if version and newer(version, floor) else version or "it does not tell its version",
                version,
                "Set %s to %s or newer, or lower site_litellm_floor knowingly." % (variable, floor),
                "fail" if version else "skip",
            ),
            check(
                "gateway.routes",
                listed("no route for ", (model["route"] for model in stack.planned if model["route"] not in routes)),
                ", ".join(routes),
                "Run playbooks/models.yml, which sets the routes.",
            ),
            check(
                "gateway.settings",
                listed("without effect on this host: ", dict.fromkeys(note.split(": ")[0] for note in stack.notes)),
                "every setting of the gateway has its effect",
                ". ".join(stack.notes) + ".",
                "warn",
            ),
            check(
                "database",
                "" if database["tables"] else database["error"],
                "%d tables of LiteLLM" % database["tables"],
                "Look at `docker logs litellm_db`; a password that is refused is put right by playbooks/rotate.yml, and missing tables by"
                " `docker restart litellm`.",
                "fail" if "db" in stack.services else "skip",
            ),
        ]
        for name, answer in self.answers.items():
            advice = "Look at %s; playbooks/models.yml pulls a model that is missing." % stack.gateway_log
            found.append(check("gateway.route." + name, str(answer.get("msg", "")), "answers", advice))
        return found

    def checks(self) -> list[Check]:
        """Return all checks: those that failed first, then the warnings, then the others, which need no advice."""
        stack = self.stack
        found = (self.containers() if stack.services else []) + self.files() + self.native_services()
        if stack.has_engine:
            found += self.engine() + self.gpus()
        if stack.has_gateway:
            found += self.gateway() + (self.gateway_in_full() if stack.is_full else [])
        else:
            found.append(self.answered("answer", "Look at %s." % stack.engine_log))
        urgent = [one for status in ("fail", "warn") for one in found if one["status"] == status]
        others: list[Check] = [{**one, "advice": ""} for one in found if one["status"] in ("pass", "skip")]
        return urgent + others

    def lines(self, checks: t.Iterable[Check]) -> list[str]:
        """Return what a person is shown of a host that answers: the answer, the refusals, the GPUs, the warnings."""
        shown = [self.answer_line()] + ([self.refusal_line()] if self.stack.has_gateway else [])
        if self.stack.gpu_models and self.gpu_line():
            shown.append("the engine has " + self.gpu_line())
        return shown + ["warning: %(id)s: %(observed)s -> %(advice)s" % one for one in checks if one["status"] == "warn"]


def failure(checks: t.Iterable[Check]) -> str:
    """Return what a person reads where checks failed, each with its fix; empty where none did."""
    failed = ["%(id)s: %(observed)s -> %(advice)s" % one for one in checks if one["status"] == "fail"]
    return "\n".join(["This host is not what its plan says:", *failed]) if failed else ""
