# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide LiteLLM's configuration from plans, other engines and providers, and tell what of the settings is left out, and why."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import typing as t
import urllib.parse

ENGINE = "http://ollama:11434"  # the host's own, by its name on the network of the services
REDIS = {"redis_host": "os.environ/REDIS_HOST", "redis_port": "os.environ/REDIS_PORT", "redis_password": "os.environ/REDIS_PASSWORD"}
FAILOVERS = 5  # how many deployments of a route are asked in turn after a failure
MODES = ("chat", "embedding")  # of an engine's models
# What LiteLLM 1.104 can do with a provider's model: the modes of its price list (model_prices_and_context_window.json) and of its
# health checks (litellm_core_utils/health_check_helpers.py).
PROVIDER_MODES = (
    "chat",
    "completion",
    "responses",
    "embedding",
    "rerank",
    "moderation",
    "image_generation",
    "image_edit",
    "video_generation",
    "audio_transcription",
    "audio_speech",
    "realtime",
    "ocr",
    "search",
    "vector_store",
    "batch",
    "evaluation",
    "guardrail",
)
# LiteLLM's providers that are programs of one's own, which run without a key unless they are given one.
KEYLESS = frozenset(
    [
        "openai",
        "custom_openai",
        "aiohttp_openai",
        "text-completion-openai",
        "openai_like",
        "litellm_proxy",
        "hosted_vllm",
        "lm_studio",
        "llamafile",
        "docker_model_runner",
        "lemonade",
        "ollama",
        "ollama_chat",
        "xinference",
        "infinity",
        "triton",
        "oobabooga",
    ]
)
# Services that speak OpenAI's protocol and ask for a key (LiteLLM's openai_compatible_endpoints).
KEYED_HOSTS = frozenset(
    [
        "ai-gateway.helicone.ai",
        "ai-gateway.vercel.sh",
        "aliyuncs.com",
        "api-inference.modelscope.cn",
        "api.clarifai.com",
        "api.cognition.ai",
        "api.deepinfra.com",
        "api.deepseek.com",
        "api.edenai.run",
        "api.endpoints.anyscale.com",
        "api.featherless.ai",
        "api.fireworks.ai",
        "api.friendli.ai",
        "api.galadriel.ai",
        "api.groq.com",
        "api.hyperbolic.xyz",
        "api.inceptionlabs.ai",
        "api.inference.wandb.ai",
        "api.lambda.ai",
        "api.libertai.io",
        "api.llama.com",
        "api.meta.ai",
        "api.mistral.ai",
        "api.moonshot.ai",
        "api.morphllm.com",
        "api.openai.com",
        "api.perplexity.ai",
        "api.poe.com",
        "api.publicai.co",
        "api.sambanova.ai",
        "api.scx.ai",
        "api.stima.tech",
        "api.studio.nebius.ai",
        "api.synthetic.new",
        "api.together.ai",
        "api.together.xyz",
        "api.v0.dev",
        "api.x.ai",
        "app.empower.dev",
        "codestral.mistral.ai",
        "generativelanguage.googleapis.com",
        "inference.api.nscale.com",
        "integrate.api.nvidia.com",
        "llm.chutes.ai",
        "nano-gpt.com",
        "ollama.com",
        "openai.azure.com",
        "openrouter.ai",
        "pinstripes.io",
        "serverless.tensormesh.ai",
    ]
)
# Those whose credentials are not an api_key: the host's identity, a file, or several secrets.
AMBIENT = frozenset(
    [
        "bedrock",
        "bedrock_mantle",
        "sagemaker",
        "sagemaker_chat",
        "sagemaker_nova",
        "aws_polly",
        "aws_textract",
        "transcribe",
        "s3_vectors",
        "vertex_ai",
        "vertex_ai_beta",
    ]
)
# Parameters of LiteLLM that hold a credential. The configuration is for everybody on the host to read.
CREDENTIAL_PARAMS = frozenset(
    [
        "api_key",
        "azure_ad_token",
        "azure_password",
        "client_secret",
        "aws_secret_access_key",
        "aws_session_token",
        "oci_key",
        "vertex_credentials",
    ]
)
# Variables that the stack sets by itself, and those that change how programs start or what Compose does. A provider's key may begin in
# the same way, as that of litellm_proxy does.
OWN_VARIABLES = re.compile(
    r"^(?!.*_API_KEY$)(LITELLM_.*|POSTGRES_.*|DATABASE_URL|REDIS_.*|REDISCLI_.*|CLIENT_KEY_.*|SITE_PROXY|COMPOSE_.*|DOCKER_.*|(.*_)?PROXY"
    r"|DISABLE_SCHEMA_UPDATE|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|LD_.*|PYTHON.*|PATH|HOME|PWD|SHELL|USER|LOGNAME"
    r"|HOSTNAME|IFS|ENV|BASH_ENV|LANG|LC_.*|TZ|TMPDIR|CREDENTIALS_DIRECTORY)$"
)
VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*$")
NAMED = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")
MOUNTED = "/run/secrets/"  # where the gateway's container has the files of providers
# How headers, variables and settings are named that hold one, wherever they stand.
CREDENTIAL_NAME = re.compile(r"^(proxy-)?authorization$|(api[-_]?key|password|secret)$", re.IGNORECASE)
# What stands for a key where none is needed.
PLACEHOLDERS = ("none", "empty", "dummy", "not-needed")
NO_KEY = "none"  # what a provider that needs no key has as one: OpenAI's client does not start without any
DEFAULT = "*"  # the route of llm_stack_fallbacks that stands for all
# Names that a client's models may have besides routes (LiteLLM's SpecialModelNames).
CLIENT_SPECIAL = ("all-proxy-models", "all-team-models", "no-default-models")
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
# Those that the stack writes to, too.
OWN_SECTIONS = {"model_list": list, "litellm_settings": dict, "router_settings": dict, "general_settings": dict}
BACKEND_FIELDS = {"api_base", "models", "has_gpu"}
PROVIDER_FIELDS = {"models", "provider", "api_key", "api_base", "params", "secrets", "files"}
PROVIDER_MODEL_FIELDS = {"name", "route", "mode", "params"}
CLIENT_FIELDS: dict[str, type | tuple[type, ...]] = {
    "models": list,
    "max_budget": (int, float),
    "budget_duration": str,
    "rpm_limit": int,
    "tpm_limit": int,
    "max_parallel_requests": int,
}


class Deployment(t.TypedDict):
    """One entry of LiteLLM's ``model_list``."""

    model_name: str
    litellm_params: dict[str, t.Any]
    model_info: dict[str, t.Any]


class SecretFile(t.TypedDict):
    """A file of a provider that goes to the host."""

    name: str  #: the environment variable that names its path in the container, and its name on the host
    path: str  #: on the control node
    sha256: str


class ControlFile(t.TypedDict):
    """What was found of a file on the control node; an empty checksum where there is none."""

    path: str
    sha256: str


class Decision(t.TypedDict):
    """What is to be configured, and what is wrong with the settings or left out of them."""

    config: dict[str, t.Any]  #: LiteLLM's configuration; empty where there are problems
    secrets: dict[str, str]  #: values for the environment file, by variable, a file's being its path. Not to be shown
    files: list[SecretFile]  #: files for the host, by name
    variables: list[str]  #: names in the environment file that the gateway is given, sorted
    notes: list[str]  #: one line for each setting that has no effect here
    comments: str  #: the notes as comment lines for the head of the configuration, each with its end
    problems: list[str]  #: one line for each mistake, with the variable to set


def control_files(providers: t.Any) -> dict[str, ControlFile]:
    """Return what there is on the control node of the files that providers name, by the path as it was given."""
    found: dict[str, ControlFile] = {}
    for provider in providers.values() if isinstance(providers, dict) else ():
        files = provider.get("files") if isinstance(provider, dict) else None
        for path in files.values() if isinstance(files, dict) else ():
            if isinstance(path, str) and path:
                # A relative path begins where the playbook is started, which Ansible may have left since.
                where = os.path.join(os.environ.get("PWD") or os.getcwd(), os.path.expanduser(path))
                try:
                    with open(where, "rb") as stream:
                        found[path] = {"path": where, "sha256": hashlib.sha256(stream.read()).hexdigest()}
                except OSError:
                    found[path] = {"path": where, "sha256": ""}
    return found


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


def asks_for_key(api_base: str) -> bool:
    """Whether an address is of a service that is known to ask for a key."""
    try:
        host = urllib.parse.urlsplit(api_base).hostname or ""
    except ValueError:
        return False
    return any(host == known or host.endswith("." + known) for known in KEYED_HOSTS)


def needs_no_key(provider: t.Mapping[str, t.Any]) -> bool:
    """Whether a provider says that it needs no key; YAML takes ``None`` for a text, too."""
    return str(provider.get("api_key") or "").lower() == NO_KEY


def named_variables(value: t.Any) -> list[str]:
    """Return the environment variables that a part of a configuration names as ``os.environ/NAME``, sorted."""
    if isinstance(value, dict):
        return sorted({name for one in value.values() for name in named_variables(one)})
    if isinstance(value, (list, tuple)):
        return sorted({name for one in value for name in named_variables(one)})
    match = NAMED.match(value) if isinstance(value, str) else None
    return [match.group(1)] if match else []


def literal_credentials(value: t.Any, name: str = "") -> list[str]:
    """Return the names of the parameters, at any depth of a part of a configuration, that hold a credential itself rather than the
    name of its variable, sorted. LiteLLM takes Google's credentials as the path of a file, too."""
    if name == "vertex_credentials":
        literal = bool(value) and (not isinstance(value, str) or value.lstrip().startswith("{"))
        return [name] if literal else []
    if isinstance(value, dict):
        return sorted({one for key, part in value.items() for one in literal_credentials(part, str(key))})
    if isinstance(value, (list, tuple)):
        return sorted({one for part in value for one in literal_credentials(part, name)})
    holds = (name in CREDENTIAL_PARAMS or CREDENTIAL_NAME.search(name)) and isinstance(value, str) and value
    return [name] if holds and not re.match("os.environ/|oidc/", value) and value.lower() not in PLACEHOLDERS else []


def has_route(routes: t.Iterable[str], wanted: str) -> bool:
    """Whether one of the routes serves a name: by the same name, or by a pattern such as ``openai/*``."""
    return any(one == wanted or ("*" in one and re.fullmatch(re.escape(one).replace(r"\*", ".*"), wanted)) for one in routes)


def comment_lines(notes: t.Iterable[str]) -> str:
    """Return notes as comment lines of YAML, each with its end."""
    return "".join("# Left out: %s\n" % " ".join(note.split()) for note in notes)


def is_right(value: t.Any, kind: type | tuple[type, ...]) -> bool:
    """Whether a value of a client's rights is of its kind; a number is not negative."""
    return isinstance(value, kind) and not isinstance(value, bool) and not (isinstance(value, (int, float)) and value < 0)


def joined(names: t.Iterable[t.Any]) -> str:
    """Return names as they stand in a message."""
    return ", ".join(map(str, names))


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

    def __init__(
        self,
        max_parallel_requests: int,
        preload: bool,
        keys: t.Iterable[str] = (),
        environment: t.Iterable[str] = (),
        native: bool = False,
        found: t.Mapping[str, ControlFile] | None = None,
    ) -> None:
        self.models: list[Deployment] = []
        self.routes: dict[str, dict[str, t.Any]] = {}
        self.secrets: dict[str, str] = {}
        self.files: dict[str, SecretFile] = {}
        self.owners: dict[str, str] = {}  # which provider has given a variable its value
        self.left: dict[str, str] = {}  # the setting that a route is missing of, by the route
        self.used: set[str] = set()  # variables of the providers that have a route
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.limit = {"max_parallel_requests": max_parallel_requests} if max_parallel_requests else {}
        self.preload = preload
        self.keys = set(keys)
        self.environment = set(environment)
        self.native = native
        self.found = found or {}

    def has_value(self, name: str) -> bool:
        """Whether an environment variable has a value on the host, or is about to get one."""
        return name in self.keys or name in self.environment or name in self.secrets or name in self.files

    def add(self, variable: str, route: str, mode: str, params: dict[str, t.Any], provider: str = "", context: int | None = None) -> None:
        """Add one deployment of a route. An engine's has no provider."""
        local = not provider
        there = self.routes.setdefault(route, {"mode": mode, "local": local})
        if there["mode"] != mode:
            self.problems.append(
                "%s: the route %s is for %s here and for %s elsewhere; give one of them another route"
                % (variable, route, mode, there["mode"])
            )
        if there["local"] != local:
            self.problems.append(
                "%s: the route %s is both local and a provider's, so that requests could be sent to an external provider; give one of them"
                " another route" % (variable, route)
            )
        info: dict[str, t.Any] = {"mode": mode}
        if provider:
            info["provider"] = provider
        if context:
            info["max_input_tokens"] = context
        self.models.append({"model_name": route, "litellm_params": {**params, **self.limit}, "model_info": info})

    def add_engine(self, variable: str, api_base: str, models: t.Any, has_gpu: bool) -> None:
        """Add the models of an Ollama engine, as a plan has them."""
        for model in models if isinstance(models, list) else []:
            if not isinstance(model, dict) or not isinstance(model.get("name"), str) or model.get("mode", "chat") not in MODES:
                self.problems.append("%s: a model needs a name, and a mode that is chat (or left out) or embedding" % variable)
                continue
            if not isinstance(model.get("route") or "", str):
                self.problems.append("%s: the route of %s is not a name" % (variable, model["name"]))
                continue
            if not isinstance(model.get("context", 0), int):
                self.problems.append("%s: the context of %s is not a number of tokens" % (variable, model["name"]))
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
            self.add(variable, model.get("route") or model["name"], mode, params, context=context)

    def add_backends(self, backends: t.Iterable[t.Any], engines: t.Mapping[str, str]) -> None:
        """Add engines of other hosts.

        :arg engines: addresses of hosts of the inventory that were asked, by name. What is said of them must not depend on which
            of them answers now.
        """
        variable = "llm_stack_backends"
        names = {address.rstrip("/"): name for name, address in engines.items()}
        known = set()
        for backend in backends:
            if not isinstance(backend, dict) or set(backend) - BACKEND_FIELDS or not isinstance(backend.get("models"), list):
                self.problems.append("%s: each has api_base and models, may have has_gpu, and nothing else" % variable)
            elif not is_address(str(backend.get("api_base", ""))):
                self.problems.append(
                    "%s: '%s' is not an address; set api_base to http://host:port" % (variable, backend.get("api_base", ""))
                )
            else:
                address = backend["api_base"].rstrip("/")
                if backend["models"]:
                    known.add(address)
                elif address not in names:
                    self.notes.append(
                        "%s: %s has no route, because it has no models; name the models that it holds, or take it out" % (variable, address)
                    )
                self.add_engine(variable, address, backend["models"], bool(backend.get("has_gpu")))
        for address, name in names.items():
            if address not in known:
                self.notes.append(
                    "llm_stack_engines: %s has no route, because it is not known to hold a model of its plan; run site.yml for it,"
                    " or take it out" % name
                )

    def take_secrets(self, providers: t.Mapping[t.Any, t.Any]) -> dict[str, dict[str, t.Any]]:
        """Look at the providers' shape, take their secrets and files, and return those whose shape is right."""
        right: dict[str, dict[str, t.Any]] = {}
        for name, provider in providers.items():
            variable = "llm_stack_providers"
            if not re.match(r"^[a-z][a-z0-9_]*$", str(name)):
                self.problems.append("%s: '%s' is not a name; use small letters, digits and _" % (variable, name))
                continue
            variable = "%s.%s" % (variable, name)
            shape = isinstance(provider, dict) and not set(provider) - PROVIDER_FIELDS and isinstance(provider.get("models"), list)
            if not shape or not all(isinstance(provider.get(field) or {}, dict) for field in ("params", "secrets", "files")):
                fields = joined(sorted(PROVIDER_FIELDS - {"models"}))
                self.problems.append("%s: it has models, a list, and may have %s, and nothing else" % (variable, fields))
                continue
            right[str(name)] = provider
            key = str(provider.get("api_key") or "")
            if re.search(r"[\s'\"\\]", key):
                self.problems.append("%s.api_key: it has a space, a quote or a backslash, which no key has" % variable)
            elif re.match(r"os\.environ/|\$\{?[A-Za-z_]\w*\}?$", key):
                self.problems.append(
                    "%s.api_key: '%s' is the name of a variable, not a key; set the key, or leave api_key out where the host's .env has"
                    " %s, or put the name into params as os.environ/NAME" % (variable, key, key_variable(str(name)))
                )
            elif key and not needs_no_key(provider):
                self.give(variable, key_variable(str(name)), key)
            for secret, value in (provider.get("secrets") or {}).items():
                field = "%s.secrets.%s" % (variable, secret)
                if isinstance(value, (dict, list, tuple, bool)):
                    self.problems.append("%s: it is not a text; set the value, or an empty one for the one in the host's .env" % field)
                elif self.can_be_named(field, secret):
                    self.take_secret(field, variable, secret, str(value) if value is not None else "")
            for secret, value in (provider.get("files") or {}).items():
                field = "%s.files.%s" % (variable, secret)
                if self.can_be_named(field, secret):
                    self.take_file(field, variable, secret, value)
        return right

    def can_be_named(self, field: str, name: t.Any) -> bool:
        """Whether a provider may set this environment variable; a problem is noted where it may not."""
        if not isinstance(name, str) or not VARIABLE.match(name):
            self.problems.append("%s: it is not the name of a variable; use capital letters, digits and _" % field)
        elif OWN_VARIABLES.match(name):
            self.problems.append("%s: this variable is the stack's own, or one that changes how programs start; take it out" % field)
        elif name in self.environment:
            self.problems.append("%s: llm_stack_litellm_environment sets it, too; take it out there" % field)
        else:
            return True
        return False

    def give(self, variable: str, name: str, value: str) -> None:
        """Give a variable its value. Two providers cannot have two values for one."""
        if name in self.files or self.secrets.get(name, value) != value:
            self.problems.append(
                "%s: %s has another value in %s; give one of them another variable, and name that in params as os.environ/NAME"
                % (variable, name, self.owners[name])
            )
        else:
            self.secrets[name] = value
            self.owners.setdefault(name, variable)

    def take_secret(self, field: str, variable: str, name: str, value: str) -> None:
        if "\0" in value or (self.native and re.search(r"[\r\n'\"\\]", value)):
            what = "a quote, a backslash or a line's end, which the unit of a native gateway cannot be given" if self.native else "a NUL"
            self.problems.append("%s: it has %s" % (field, what))
        elif value:
            self.give(variable, name, value)

    def take_file(self, field: str, variable: str, name: str, path: t.Any) -> None:
        found = self.found.get(path) if isinstance(path, str) else None
        if self.native:
            self.problems.append("%s: a native gateway cannot be given files; run the gateway in containers, or use secrets" % field)
        elif not isinstance(path, str) or not path:
            self.problems.append("%s: it is not a path; set that of the file on the control node" % field)
        elif found is None or not found["sha256"]:
            self.problems.append(
                "%s: the control node has no file %s; set its path, which begins where the playbook is started if it is relative"
                % (field, found["path"] if found else path)
            )
        elif name in self.secrets or self.files.get(name, {"sha256": found["sha256"]})["sha256"] != found["sha256"]:
            self.problems.append(
                "%s: %s has another value in %s; give one of them another variable, and name that in params as os.environ/NAME"
                % (variable, name, self.owners[name])
            )
        else:
            self.files[name] = {"name": name, "path": found["path"], "sha256": found["sha256"]}
            self.owners.setdefault(name, variable)

    def add_providers(self, providers: t.Mapping[t.Any, t.Any]) -> None:
        """Add the models of external providers whose credentials are there."""
        for name, provider in self.take_secrets(providers).items():
            variable = "llm_stack_providers.%s" % name
            why: dict[str, list[str]] = {}
            for entry in provider["models"]:
                model = self.provider_model(variable, entry)
                if model is None:
                    continue
                route = str(model.get("route") or model["name"])
                kind = str(provider.get("provider") or name)
                params: dict[str, t.Any] = {"model": "%s/%s" % (kind, model["name"])}
                if provider.get("api_base"):
                    params["api_base"] = provider["api_base"]
                params.update(provider.get("params") or {})
                params.update(model.get("params") or {})
                key, missing = self.credential(name, kind, provider, params)
                if missing:
                    why.setdefault(missing, []).append(route)
                    self.left.setdefault(route, variable)
                    continue
                if key and "api_key" not in params:
                    params = {"model": params.pop("model"), "api_key": key, **params}
                self.used |= set(provider.get("secrets") or {}) | set(provider.get("files") or {})
                self.add(variable, route, model.get("mode") or "chat", params, provider=name)
            for missing, routes in why.items():
                self.notes.append("%s: no route %s, because %s" % (variable, joined(dict.fromkeys(routes)), missing))

    def provider_model(self, variable: str, entry: t.Any) -> dict[str, t.Any] | None:
        """Return an entry of a provider's models as a mapping; nothing, and a problem that names the field, where it has a mistake."""
        fields, variable = joined(sorted(PROVIDER_MODEL_FIELDS)), variable + ".models"
        if isinstance(entry, str) and entry:
            return {"name": entry}
        if not isinstance(entry, dict):
            self.problems.append("%s: '%s' is not a model; each is a name, or a mapping that has %s" % (variable, entry, fields))
            return None
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            self.problems.append("%s: a model has no name; each is a name, or a mapping that has %s" % (variable, fields))
            return None
        before = len(self.problems)
        unknown = sorted(map(str, set(entry) - PROVIDER_MODEL_FIELDS))
        if unknown:
            self.problems.append("%s: %s has %s, which no model has; there are %s" % (variable, name, joined(unknown), fields))
        if entry.get("mode", "chat") not in PROVIDER_MODES:
            self.problems.append("%s: %s has the mode '%s'; there are %s" % (variable, name, entry["mode"], joined(PROVIDER_MODES)))
        if not isinstance(entry.get("route") or "", str):
            self.problems.append("%s: the route of %s is not a name" % (variable, name))
        if not isinstance(entry.get("params") or {}, dict):
            self.problems.append("%s: the params of %s are not a mapping" % (variable, name))
        return entry if len(self.problems) == before else None

    def credential(self, name: str, kind: str, provider: dict[str, t.Any], params: dict[str, t.Any]) -> tuple[str, str]:
        """Return what a model of a provider has as its api_key (empty where it has none), and what is missing for a route (empty
        where nothing is)."""
        variable = "llm_stack_providers.%s" % name
        for param in literal_credentials(params):
            self.problems.append(
                "%s.params.%s: the configuration is for everybody to read; put the value into secrets, and name it here as"
                " os.environ/NAME" % (variable, param)
            )
        base = params.get("api_base")
        if base and not str(base).startswith("os.environ/") and not is_address(str(base)):
            self.problems.append("%s.api_base: '%s' is not an address; set it to https://host" % (variable, base))
        wanted = list(provider.get("secrets") or {}) + named_variables(params)
        lacking = [one for one in dict.fromkeys(map(str, wanted)) if not self.has_value(one) and not OWN_VARIABLES.match(one)]
        if lacking:
            return "", "%s %s no value; set %s in secrets, or in the host's .env" % (
                joined(lacking),
                "has" if len(lacking) == 1 else "have",
                "it" if len(lacking) == 1 else "them",
            )
        if needs_no_key(provider):
            return NO_KEY, ""
        if self.has_value(key_variable(name)):
            return "os.environ/" + key_variable(name), ""
        family = kind.split("/", maxsplit=1)[0]
        if family in AMBIENT or provider.get("secrets") or provider.get("files") or CREDENTIAL_PARAMS & set(params):
            return "", ""
        if family in KEYLESS and base and not asks_for_key(str(base)):
            # A word, because LiteLLM would take the key of another provider from its environment.
            return NO_KEY, ""
        how = "set api_key, or %s in the host's .env (a provider that needs no key has api_key: none" % key_variable(name)
        return "", "there is no key; %s%s)" % (how, ", or api_base" if family in KEYLESS and not base else "")

    def all_routes(self, extra: t.Mapping[str, t.Any]) -> list[str]:
        """Return the routes of this gateway, with those that llm_stack_litellm_config adds."""
        models, router = extra.get("model_list"), extra.get("router_settings")
        aliases = router.get("model_group_alias") if isinstance(router, dict) else None
        return [
            *self.routes,
            *(str(one.get("model_name")) for one in (models if isinstance(models, list) else []) if isinstance(one, dict)),
            *(aliases if isinstance(aliases, dict) else {}),
        ]

    def fallbacks(
        self,
        fallbacks: t.Mapping[str, t.Any],
        known: t.Sequence[str] | None,
        providers: t.Mapping[t.Any, t.Any],
        extra: t.Mapping[str, t.Any],
    ) -> dict[str, t.Any]:
        """Return LiteLLM's ``fallbacks`` and ``default_fallbacks`` among this gateway's routes, as far as there are any. Notes what
        is left out, and names as mistakes those that no host can have."""
        here = self.all_routes(extra)
        possible = set(here) | set(known or [])
        for provider in providers.values():
            models = provider.get("models") if isinstance(provider, dict) else None
            for entry in models if isinstance(models, list) else []:
                possible.add(str((entry.get("route") or entry.get("name")) if isinstance(entry, dict) else entry))
        made: list[dict[str, list[str]]] = []
        default: list[str] = []
        for route, others in fallbacks.items():
            variable = "llm_stack_fallbacks.%s" % route
            if not isinstance(others, list) or not all(isinstance(one, str) for one in others):
                self.problems.append("%s: it is not a list of routes, each a name" % variable)
                continue
            for one in ([] if route == DEFAULT else [route]) + others:
                if known and not has_route(possible, str(one)):
                    self.problems.append("llm_stack_fallbacks: there is no route '%s'; there are %s" % (one, joined(sorted(possible))))
            if route in others:
                self.problems.append("%s: it is its own fallback" % variable)
            there = [one for one in others if has_route(here, str(one))]
            missing = [one for one in dict.fromkeys(others) if one not in there]
            if route != DEFAULT and not has_route(here, str(route)):
                self.leave_out(variable, "it", [route])
            elif missing:
                self.leave_out(variable, joined(missing), missing)
            elif not others:
                self.notes.append("%s: it names no route; name one, or take it out" % variable)
            if there and route == DEFAULT:
                default = there
            elif there and has_route(here, str(route)):
                made.append({route: there})
        return {**({"fallbacks": made} if made else {}), **({"default_fallbacks": default} if default else {})}

    def leave_out(self, variable: str, what: str, routes: list[str]) -> None:
        """Note that a fallback has no effect on this host."""
        missing = "route " + joined(routes) if what == "it" else "such route"
        self.notes.append("%s: %s is left out, because this host has no %s; %s" % (variable, what, missing, self.remedy(routes)))

    def remedy(self, routes: t.Iterable[str]) -> str:
        """Return what to set for routes that are not here."""
        why = joined(dict.fromkeys(self.left[one] for one in routes if one in self.left))
        return "set what %s lacks" % why if why else "give it the model, or take it out"

    def check_clients(self, clients: t.Mapping[t.Any, t.Any], known: t.Sequence[str] | None, extra: t.Mapping[str, t.Any]) -> None:
        """Note what is not a right of a client's, or names no route."""
        here = self.all_routes(extra)
        for name, rights in clients.items():
            variable = "llm_stack_client_keys.%s" % name
            if not isinstance(rights or {}, dict):
                self.problems.append("%s: it is not a mapping; it may have %s" % (variable, ", ".join(CLIENT_FIELDS)))
                continue
            for field, value in (rights or {}).items():
                kind = CLIENT_FIELDS.get(field)
                if kind is None:
                    self.problems.append("%s: there is no '%s'; it may have %s" % (variable, field, ", ".join(CLIENT_FIELDS)))
                elif not is_right(value, kind):
                    what = "a list of routes" if kind is list else "a time such as 30d" if kind is str else "a number"
                    self.problems.append("%s.%s: it is not %s" % (variable, field, what))
                elif field == "budget_duration" and not re.match(r"^[1-9][0-9]*(s|m|h|d|w|mo)$", value):
                    self.problems.append("%s.%s: it is not a time such as 30d" % (variable, field))
                elif field == "models":
                    self.check_client_models(variable + ".models", value, here, known)

    def check_client_models(self, variable: str, models: list[t.Any], here: list[str], known: t.Sequence[str] | None) -> None:
        """Note the models of a client that this gateway does not have, and name as mistakes those that no host can have."""
        names = [str(one) for one in models if one not in CLIENT_SPECIAL]
        # A pattern of a client's stands for every route that it matches.
        missing = [one for one in names if not has_route(here, one) and not any(has_route([one], route) for route in here)]
        nowhere = [one for one in missing if known and one not in known and one not in self.left]
        if nowhere:
            self.problems.append("%s: there is no route %s" % (variable, joined(nowhere)))
        elif missing:
            self.notes.append(
                "%s: %s cannot be asked, because this host has no such route; %s" % (variable, joined(missing), self.remedy(missing))
            )

    def check_extra(self, extra: t.Mapping[str, t.Any]) -> None:
        """Note parts of llm_stack_litellm_config that LiteLLM would ignore, and variables in it that have no value."""
        variable = "llm_stack_litellm_config"
        for section in extra:
            if section not in SECTIONS:
                self.problems.append(
                    "%s: LiteLLM has no section '%s' and would ignore it; there are %s"
                    % (variable, section, ", ".join(SECTIONS[:4]) + " …")
                )
        if "master_key" in (extra.get("general_settings") or {}):
            self.problems.append("%s: leave general_settings.master_key out; give the key as llm_stack_master_key" % variable)
        for param in literal_credentials(extra):
            self.problems.append(
                "%s: %s holds a credential, and the configuration is for everybody to read; write it into the host's .env, and name it"
                " here as os.environ/NAME" % (variable, param)
            )
        for name in named_variables(extra):
            if not self.has_value(name) and not OWN_VARIABLES.match(name):
                self.notes.append(
                    "%s: %s has no value, so that what names it does not work; write it into the host's .env" % (variable, name)
                )

    def variables(self, config: dict[str, t.Any]) -> list[str]:
        """Return the names in the environment file that the gateway is given: those that the configuration names, and those of the
        providers that have a route. What the stack sets by itself is not among them."""
        names = set(named_variables(config)) | {str(one) for one in self.used}
        return sorted(name for name in names if not OWN_VARIABLES.match(name) and name not in self.environment)


def decide(
    models: list[t.Any],
    has_gpu: bool = False,
    preload: bool = True,
    engine: str = ENGINE,
    backends: list[t.Any] | None = None,
    engines: dict[str, str] | None = None,
    providers: dict[str, t.Any] | None = None,
    keys: t.Sequence[str] | None = None,
    environment: t.Sequence[str] | None = None,
    found: t.Mapping[str, ControlFile] | None = None,
    fallbacks: dict[str, t.Any] | None = None,
    client_keys: dict[str, t.Any] | None = None,
    known_routes: t.Sequence[str] | None = None,
    num_retries: int = 2,
    timeout: int = 600,
    max_parallel_requests: int = 0,
    redis: bool = False,
    native: bool = False,
    extra: dict[str, t.Any] | None = None,
) -> Decision:
    """Decide a gateway's configuration.

    :arg models: the models of the host's plan: dicts with ``name``, and ``route``, ``mode``, ``context``, ``placement``, ``preload``.
    :arg backends: other engines: dicts with ``api_base``, ``models`` (as above), and ``has_gpu``.
    :arg engines: addresses of the inventory's hosts that were asked for their models, by name.
    :arg providers: ``llm_stack_providers``: dicts with ``models``, and ``provider``, ``api_key``, ``api_base``, ``params``, ``secrets``,
        ``files``, by name.
    :arg keys: names in the host's environment file that have a value.
    :arg environment: names that ``llm_stack_litellm_environment`` sets.
    :arg found: what there is on the control node of the providers' files, by the path as it was given.
    :arg fallbacks: lists of routes by route; ``*`` stands for every route that has no list of its own.
    :arg known_routes: routes that other hosts may have. Without it no route is a mistake.
    :arg native: whether the gateway runs without containers.
    :arg extra: any other part of LiteLLM's configuration.

    Never raises for what a user may set: mistakes are in ``problems``, and ``config`` is empty then.
    """
    gateway = Gateway(max_parallel_requests, preload, keys or (), environment or (), native, found)
    shapes: tuple[tuple[str, t.Any, type, str], ...] = (
        ("llm_stack_backends", backends, list, "a list"),
        ("llm_stack_providers", providers, dict, "a mapping"),
        ("llm_stack_fallbacks", fallbacks, dict, "a mapping"),
        ("llm_stack_client_keys", client_keys, dict, "a mapping"),
        ("llm_stack_litellm_config", extra, dict, "a mapping"),
    )
    for name, value, kind, word in shapes:
        if value is not None and not isinstance(value, kind):
            gateway.problems.append("%s: it is not %s" % (name, word))
    for section, kind in OWN_SECTIONS.items():
        if isinstance(extra, dict) and not isinstance(extra.get(section) or kind(), kind):
            word = "a list" if kind is list else "a mapping"
            gateway.problems.append("llm_stack_litellm_config.%s: it is not %s" % (section, word))
    for name, value, least in (
        ("llm_stack_num_retries", num_retries, 0),
        ("llm_stack_request_timeout", timeout, 1),
        ("llm_stack_max_parallel_requests", max_parallel_requests, 0),
    ):
        if value < least:
            gateway.problems.append("%s: %d is less than %d" % (name, value, least))
    if gateway.problems:
        return decision(gateway, {})
    # A section of nothing is what YAML makes of a heading without lines below it.
    providers, extra = providers or {}, {section: value for section, value in (extra or {}).items() if value is not None}
    gateway.add_engine("model_plan_catalog", engine, models, has_gpu)
    gateway.add_backends(backends or [], engines or {})
    gateway.add_providers(providers)
    made = gateway.fallbacks(fallbacks or {}, known_routes, providers, extra)
    gateway.check_clients(client_keys or {}, known_routes, extra)
    gateway.check_extra(extra)
    config = merge(
        {
            "model_list": gateway.models,
            "litellm_settings": {"drop_params": True, "request_timeout": timeout},
            "router_settings": {"num_retries": num_retries, **(REDIS if redis else {}), **made},
            "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        },
        extra,
    )
    add_failover(config["model_list"])
    return decision(gateway, config)


def decision(gateway: Gateway, config: dict[str, t.Any]) -> Decision:
    """Return what has come of a configuration."""
    problems, notes = list(dict.fromkeys(gateway.problems)), list(dict.fromkeys(gateway.notes))
    files = [gateway.files[name] for name in sorted(gateway.files) if name in gateway.used]
    return {
        "config": {} if problems else config,
        "secrets": {**gateway.secrets, **{file["name"]: MOUNTED + file["name"] for file in files}},
        "files": files,
        "variables": gateway.variables(config),
        "notes": notes,
        "comments": comment_lines(notes),
        "problems": problems,
    }
