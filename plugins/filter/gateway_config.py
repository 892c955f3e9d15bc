# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make LiteLLM's configuration from plans, other engines and providers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_config
short_description: Make LiteLLM's configuration
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes the configuration of a LiteLLM gateway - one route for each model of the host's plan, of other engines, and of external
    providers whose key is there, and no other.
  - Chat models get the prefix C(ollama_chat/), which keeps their own template and tools; embedding models C(ollama/). Each
    gets one C(num_ctx), because another one would make the engine load the model anew, and those that stay in memory
    C(keep_alive=-1).
  - A fallback to a route that this host does not have is left out, so that one setting serves hosts with different models.
  - Returns no configuration, but C(problems), where settings contradict each other or mean nothing.
positional: _input
options:
  _input:
    description:
      - The models of the host's plan, as RV(local_llm.fleet.model_plan#filter:_value) has them. Empty for a gateway without an
        engine of its own.
    type: list
    elements: dict
    required: true
  has_gpu:
    description:
      - Whether the host's plan is for a GPU. Then models placed on the CPU are kept off it with C(num_gpu=0).
    type: bool
    default: false
  preload:
    description:
      - Whether models that the plan preloads are to stay in memory.
    type: bool
    default: true
  engine:
    description:
      - Address of the host's own engine, as the gateway reaches it.
    type: str
    default: http://ollama:11434
  backends:
    description:
      - Engines of other hosts, each with C(api_base) and the C(models) that it serves, as its plan has them (C(name) suffices),
        and C(has_gpu) where that plan is for a GPU. Models with the same route are one route, balanced among its engines.
    type: list
    elements: dict
    default: []
  providers:
    description:
      - External providers by a name of your own. Each has C(models) (names, or mappings with C(name), C(route), C(mode)) and may
        have C(provider) (LiteLLM's name for it; the name itself by default), C(api_key), C(api_base) and C(params).
    type: dict
    default: {}
  keys:
    description:
      - Names of the environment variables that have a value. A provider without its key's variable gets no route.
    type: list
    elements: str
    default: []
  fallbacks:
    description:
      - Routes to ask instead, by the route that fails.
    type: dict
    default: {}
  client_keys:
    description:
      - What each client may do, by its name. Only looked at for mistakes.
    type: dict
    default: {}
  known_routes:
    description:
      - Routes that other hosts have. A fallback to one of these is no mistake here. Without it, none is.
    type: list
    elements: str
  num_retries:
    description:
      - How often the gateway asks the only one that has a model again. Where several have it, up to five of them are asked in turn.
    type: int
    default: 2
  timeout:
    description:
      - Seconds after which the gateway gives a request up.
    type: int
    default: 600
  max_parallel_requests:
    description:
      - Requests per route and engine at a time, up to twice that where several have the route. The gateway refuses more with 429
        when nobody is left to ask; 0 leaves it to the engine, which queues.
    type: int
    default: 0
  redis:
    description:
      - Whether the gateway shares a Redis with others, whose address and password stand in its environment.
    type: bool
    default: false
  extra:
    description:
      - Any other part of LiteLLM's configuration, merged over what is made here. Lists are appended.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write the configuration of a gateway for the engines of two hosts
  ansible.builtin.copy:
    dest: /opt/local_llm/config.yml
    content: "{{ ([] | local_llm.fleet.gateway_config(backends=engines)).config | to_nice_yaml }}"
    mode: "0644"
  vars:
    engines:
      - {api_base: "http://192.0.2.11:11434", models: [{name: tinyllama}]}
      - {api_base: "http://192.0.2.12:11434", models: [{name: tinyllama}, {name: bge-m3, mode: embedding}]}
"""

RETURN = r"""
_value:
  description: The configuration, and what is wrong with the settings.
  type: dict
  contains:
    config:
      description: LiteLLM's configuration.
      type: dict
    secrets:
      description: The environment variables that the providers' given keys are to stand in. Not to be shown.
      type: dict
    problems:
      description: One line for each mistake, with the variable to set.
      type: list
      elements: str
      sample: []
"""

import copy
import re
import typing as t
import urllib.parse

MODES = ("chat", "embedding")
ENGINE = "http://ollama:11434"  # the host's own, by its name on the network of the services
REDIS = {"redis_host": "os.environ/REDIS_HOST", "redis_port": "os.environ/REDIS_PORT", "redis_password": "os.environ/REDIS_PASSWORD"}
FAILOVERS = 5  # how many deployments of a route are asked in turn after a failure
# The sections that LiteLLM reads. It ignores others without a word.
SECTIONS = [
    "model_list",
    "litellm_settings",
    "router_settings",
    "general_settings",
    "environment_variables",
    "callback_settings",
    "mcp_servers",
    "mcp_tools",
    "search_tools",
    "sandbox_tools",
    "guardrails",
    "vector_store_registry",
    "credential_list",
    "pass_through_endpoints",
    "policies",
    "prompts",
    "agents",
    "plugins",
    "worker_registry",
    "files_settings",
    "finetune_settings",
    "assistant_settings",
    "default_vertex_config",
    "include",
]
BACKEND_FIELDS = {"api_base", "models", "has_gpu"}
PROVIDER_FIELDS = {"models", "provider", "api_key", "api_base", "params"}
CLIENT_FIELDS = {
    "models": list,
    "max_budget": (int, float),
    "budget_duration": str,
    "rpm_limit": int,
    "tpm_limit": int,
    "max_parallel_requests": int,
}
PROVIDER_MODEL_FIELDS = {"name", "route", "mode", "params"}


def is_address(url: str) -> bool:
    """Whether something is an address of HTTP without a user in it."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in url and parts.port != 0 and " " not in url
    except ValueError:
        return False


def key_variable(provider: str) -> str:
    """Return the environment variable that a provider's key stands in: ``gemini`` has ``GEMINI_API_KEY``."""
    return provider.upper() + "_API_KEY"


def merge(base: t.Any, over: t.Any) -> t.Any:
    """Merge two values: mappings key by key, lists one after the other, and of anything else ``over`` wins."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merge(base[key], value) if key in base else copy.deepcopy(value) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return base + copy.deepcopy(over)
    return copy.deepcopy(over)


def add_failover(deployments: t.Any) -> None:
    """Where several deployments have a route, have them asked in turn when one fails. Adds to the list that is given.

    LiteLLM asks any deployment of the lowest order, and goes on to the next order after a failure. So each is there twice: together
    with the others, and with an order of its own; five of a route at most, because a question that brings an engine down
    should not go through all of them. LiteLLM's other ways lose requests: retries ask the one that failed again by chance, and
    enable_weighted_failover knows chat alone, no embeddings and no completions.
    """
    groups: dict[str, list[dict[str, t.Any]]] = {}
    for entry in deployments if isinstance(deployments, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("litellm_params"), dict):
            groups.setdefault(str(entry.get("model_name")), []).append(entry)
    for group in groups.values():
        if len(group) == 1 or any("order" in entry["litellm_params"] for entry in group):
            continue
        for number, entry in enumerate(group):
            params = {"num_retries": 0, **entry["litellm_params"]}
            entry["litellm_params"] = {**params, "order": 1}
            if number < FAILOVERS:
                deployments.append(copy.deepcopy({**entry, "litellm_params": {**params, "order": 2 + number}}))


class Gateway:
    """A configuration in the making."""

    def __init__(self, max_parallel_requests: int, preload: bool) -> None:
        self.models: list[dict[str, t.Any]] = []
        self.routes: dict[str, dict[str, t.Any]] = {}
        self.secrets: dict[str, str] = {}
        self.problems: list[str] = []
        self.limit = {"max_parallel_requests": max_parallel_requests} if max_parallel_requests else {}
        self.preload = preload

    def add(self, variable: str, route: str, mode: str, params: dict[str, t.Any], local: bool, context: int | None = None) -> None:
        """Add one deployment of a route."""
        there = self.routes.setdefault(route, {"mode": mode, "local": local})
        if there["mode"] != mode:
            self.problems.append(
                "%s: the route %s is for %s here and for %s elsewhere; give one of them another route"
                % (variable, route, mode, there["mode"])
            )
        if there["local"] != local:
            self.problems.append(
                "%s: the route %s is both local and a provider's, so that questions would leave the house by chance; give one of them"
                " another route" % (variable, route)
            )
        info = {"mode": mode, **({"max_input_tokens": context} if context else {})}
        self.models.append({"model_name": route, "litellm_params": {**params, **self.limit}, "model_info": info})

    def add_engine(self, variable: str, api_base: str, models: t.Any, has_gpu: bool) -> None:
        """Add the models of an Ollama engine, as a plan has them."""
        for model in models if isinstance(models, list) else []:
            if not isinstance(model, dict) or not isinstance(model.get("name"), str) or model.get("mode", "chat") not in MODES:
                self.problems.append("%s: a model needs a name, and a mode that is chat (or left out) or embedding" % variable)
                continue
            if not isinstance(model.get("context", 0), int):
                self.problems.append("%s: the context of %s is no number of tokens" % (variable, model["name"]))
                continue
            mode, context = model.get("mode", "chat"), model.get("context")
            params = {"model": ("ollama_chat/" if mode == "chat" else "ollama/") + model["name"], "api_base": api_base}
            if context:
                params["num_ctx"] = context
            if model.get("preload") and self.preload:
                # Or the first request would give the model back its few minutes.
                params["keep_alive"] = -1
            if model.get("placement") == "cpu" and has_gpu:
                # No layer on the GPU, where it would drive out the models that stay loaded.
                params["num_gpu"] = 0
            self.add(variable, model.get("route") or model["name"], mode, params, True, context)

    def add_backends(self, backends: t.Any) -> None:
        variable = "llm_stack_backends"
        for backend in backends:
            if not isinstance(backend, dict) or set(backend) - BACKEND_FIELDS or not isinstance(backend.get("models"), list):
                self.problems.append("%s: each has api_base and models, may have has_gpu, and nothing else" % variable)
            elif not is_address(str(backend.get("api_base", ""))):
                self.problems.append("%s: '%s' is no address; set api_base to http://host:port" % (variable, backend.get("api_base", "")))
            else:
                self.add_engine(variable, backend["api_base"].rstrip("/"), backend["models"], bool(backend.get("has_gpu")))

    def add_providers(self, providers: t.Any, keys: list[str]) -> None:
        for name, provider in providers.items():
            variable = "llm_stack_providers"
            if not re.match(r"^[a-z][a-z0-9_]*$", str(name)):
                self.problems.append("%s: '%s' is no name; use small letters, digits and _" % (variable, name))
                continue
            variable = "%s.%s" % (variable, name)
            shape = isinstance(provider, dict) and not set(provider) - PROVIDER_FIELDS and isinstance(provider.get("models"), list)
            if not shape or not isinstance(provider.get("params") or {}, dict):
                fields = ", ".join(sorted(PROVIDER_FIELDS - {"models"}))
                self.problems.append("%s: it has models, a list, and may have %s, and nothing else" % (variable, fields))
                continue
            secret = str(provider.get("api_key") or "")
            if re.search(r"[\s'\\]", secret):
                self.problems.append("%s.api_key: it has a space, a quote or a backslash, which no key has" % variable)
            if secret:
                self.secrets[key_variable(name)] = secret
            if secret or key_variable(name) in keys:
                self.add_provider(variable, name, provider)

    def add_provider(self, variable: str, name: str, provider: dict) -> None:
        """Add the models of a provider whose key is there."""
        for entry in provider["models"]:
            model = {"name": entry} if isinstance(entry, str) else entry
            if (
                not isinstance(model, dict)
                or set(model) - PROVIDER_MODEL_FIELDS
                or not model.get("name")
                or model.get("mode", "chat") not in MODES
            ):
                self.problems.append("%s.models: each is a name, or has %s" % (variable, ", ".join(sorted(PROVIDER_MODEL_FIELDS))))
                continue
            params = {"model": "%s/%s" % (provider.get("provider") or name, model["name"]), "api_key": "os.environ/" + key_variable(name)}
            if provider.get("api_base"):
                params["api_base"] = provider["api_base"]
            params.update(provider.get("params") or {})
            params.update(model.get("params") or {})
            self.add(variable, model.get("route") or model["name"], model.get("mode", "chat"), params, False)

    def fallbacks(self, fallbacks: t.Any, known: list[str] | None, providers: dict) -> list[dict[str, list[str]]]:
        """Return the fallbacks among this gateway's routes, and note those that no host can have."""
        variable = "llm_stack_fallbacks"
        possible = set(self.routes) | set(known or [])
        for provider in providers.values():
            models = provider.get("models") if isinstance(provider, dict) else None
            for entry in models if isinstance(models, list) else []:
                possible.add(entry.get("route") or entry.get("name") if isinstance(entry, dict) else entry)
        made = []
        for route, others in fallbacks.items():
            if not isinstance(others, list):
                self.problems.append("%s.%s: it is no list of routes" % (variable, route))
                continue
            for one in [route] + others:
                if known and one not in possible:
                    self.problems.append(
                        "%s: there is no route '%s'; there are %s" % (variable, one, ", ".join(sorted(map(str, possible))))
                    )
            if route in others:
                self.problems.append("%s.%s: it is its own fallback" % (variable, route))
            here = [one for one in others if one in self.routes]
            if route in self.routes and here:
                made.append({route: here})
        return made

    def check_clients(self, clients: dict, known: list[str] | None) -> None:
        """Note what is no right of a client's, or names no route."""
        for name, rights in clients.items():
            variable = "llm_stack_client_keys.%s" % name
            if not isinstance(rights or {}, dict):
                self.problems.append("%s: it is no mapping; it may have %s" % (variable, ", ".join(CLIENT_FIELDS)))
                continue
            for field, value in (rights or {}).items():
                kind = CLIENT_FIELDS.get(field)
                if kind is None:
                    self.problems.append("%s: there is no '%s'; it may have %s" % (variable, field, ", ".join(CLIENT_FIELDS)))
                elif not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, (int, float)) and value < 0):
                    what = {list: "a list of routes", str: "a time such as 30d"}.get(kind, "a number")
                    self.problems.append("%s.%s: it is not %s" % (variable, field, what))
                elif field == "budget_duration" and not re.match(r"^[1-9][0-9]*(s|m|h|d|w|mo)$", value):
                    self.problems.append("%s.%s: it is not a time such as 30d" % (variable, field))
                elif field == "models" and known:
                    missing = [route for route in value if route not in self.routes and route not in known]
                    if missing:
                        self.problems.append("%s.models: there is no route %s" % (variable, ", ".join(map(str, missing))))

    def check_extra(self, extra: dict) -> None:
        for section in extra:
            if section not in SECTIONS:
                self.problems.append(
                    "llm_stack_litellm_config: LiteLLM has no section '%s' and would ignore it; there are %s"
                    % (section, ", ".join(SECTIONS[:4]) + " …")
                )
        if "master_key" in (extra.get("general_settings") or {}):
            self.problems.append("llm_stack_litellm_config: leave general_settings.master_key out; give the key as llm_stack_master_key")


def gateway_config(
    models: list,
    has_gpu: bool = False,
    preload: bool = True,
    engine: str = ENGINE,
    backends: list | None = None,
    providers: dict | None = None,
    keys: list | None = None,
    fallbacks: dict | None = None,
    client_keys: dict | None = None,
    known_routes: list | None = None,
    num_retries: int = 2,
    timeout: int = 600,
    max_parallel_requests: int = 0,
    redis: bool = False,
    extra: dict | None = None,
) -> dict[str, t.Any]:
    """The filter. See this file's DOCUMENTATION for the arguments and the rules."""
    gateway = Gateway(max_parallel_requests, preload)
    for name, value, kind, word in (
        ("llm_stack_backends", backends, list, "a list"),
        ("llm_stack_providers", providers, dict, "a mapping"),
        ("llm_stack_fallbacks", fallbacks, dict, "a mapping"),
        ("llm_stack_client_keys", client_keys, dict, "a mapping"),
        ("llm_stack_litellm_config", extra, dict, "a mapping"),
    ):
        if value is not None and not isinstance(value, kind):
            gateway.problems.append("%s: it is not %s" % (name, word))
    for name, value, least in (
        ("llm_stack_num_retries", num_retries, 0),
        ("llm_stack_request_timeout", timeout, 1),
        ("llm_stack_max_parallel_requests", max_parallel_requests, 0),
    ):
        if value < least:
            gateway.problems.append("%s: %d is less than %d" % (name, value, least))
    if gateway.problems:
        return {"config": {}, "secrets": {}, "problems": gateway.problems}
    providers, extra = providers or {}, extra or {}
    gateway.add_engine("model_plan_catalog", engine, models, has_gpu)
    gateway.add_backends(backends or [])
    gateway.add_providers(providers, keys or [])
    made = gateway.fallbacks(fallbacks or {}, known_routes, providers)
    gateway.check_clients(client_keys or {}, known_routes)
    gateway.check_extra(extra)
    config = {
        "model_list": gateway.models,
        "litellm_settings": {"drop_params": True, "request_timeout": timeout},
        "router_settings": {
            "num_retries": num_retries,
            **(REDIS if redis else {}),
            **({"fallbacks": made} if made else {}),
        },
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }
    problems = list(dict.fromkeys(gateway.problems))
    config = merge(config, extra)
    add_failover(config["model_list"])
    return {
        "config": {} if problems else config,
        "secrets": gateway.secrets,
        "problems": problems,
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"gateway_config": gateway_config}
