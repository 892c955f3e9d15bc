# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

"""What the gateway is given for what the settings say: routes, secrets, mistakes, and a word for all that has no effect."""

import copy

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.plugin_utils import gateway
from ansible_collections.local_llm.fleet.plugins.plugin_utils.gateway import decide

CHAT = {"name": "gpt-oss:20b", "route": "gpt-oss-20b", "mode": "chat", "placement": "gpu", "preload": True, "context": 32768}
EMBED = {"name": "bge-m3", "route": "bge-m3", "mode": "embedding", "placement": "cpu", "preload": False, "context": 8192}
GEMINI = {"gemini": {"api_key": "AIza-1", "models": ["gemini-2.5-flash", {"name": "gemini-2.5-pro", "route": "pro"}]}}


def params(result, route):
    return [entry["litellm_params"] for entry in result["config"]["model_list"] if entry["model_name"] == route]


def test_a_plan_becomes_routes_with_the_right_prefix_and_one_context():
    result = decide([CHAT, EMBED], has_gpu=True)
    assert params(result, "gpt-oss-20b") == [
        {"model": "ollama_chat/gpt-oss:20b", "api_base": "http://ollama:11434", "num_ctx": 32768, "keep_alive": -1}
    ]
    assert params(result, "bge-m3") == [{"model": "ollama/bge-m3", "api_base": "http://ollama:11434", "num_ctx": 8192, "num_gpu": 0}]
    assert [entry["model_info"] for entry in result["config"]["model_list"]] == [
        {"mode": "chat", "max_input_tokens": 32768},
        {"mode": "embedding", "max_input_tokens": 8192},
    ]
    assert result["problems"] == []


def test_where_several_have_a_model_all_are_asked_in_turn():
    # The slash at the end is one that people write.
    backends = [
        {"api_base": "http://192.0.2.11:11434/", "models": [{"name": "tinyllama"}, {"name": "gpt-oss:20b", "route": "gpt-oss-20b"}]}
    ]
    result = decide([CHAT], backends=backends)
    own, other = "http://ollama:11434", "http://192.0.2.11:11434"
    assert [(one["order"], one["num_retries"], one["api_base"]) for one in params(result, "gpt-oss-20b")] == [
        (1, 0, own),
        (1, 0, other),
        (2, 0, own),
        (3, 0, other),
    ]
    assert params(result, "tinyllama") == [{"model": "ollama_chat/tinyllama", "api_base": other}]
    assert result["config"]["router_settings"] == {"num_retries": 2}


def test_those_that_are_added_by_hand_are_asked_in_turn_too():
    mine = {"model_name": "gpt-oss-20b", "litellm_params": {"model": "ollama_chat/gpt-oss:20b", "num_retries": 5}}
    result = decide([CHAT], extra={"model_list": [mine]})
    assert [(one["order"], one["num_retries"]) for one in params(result, "gpt-oss-20b")] == [(1, 0), (1, 5), (2, 0), (3, 5)]
    ordered = {**mine, "litellm_params": {**mine["litellm_params"], "order": 7}}
    assert [one.get("order") for one in params(decide([CHAT], extra={"model_list": [ordered]}), "gpt-oss-20b")] == [None, 7]


def test_a_question_goes_to_five_more_at_most():
    backends = [{"api_base": "http://192.0.2.%d:11434" % number, "models": [CHAT]} for number in range(1, 21)]
    orders = [one["order"] for one in params(decide([], backends=backends), "gpt-oss-20b")]
    assert orders == [1] * 20 + [2, 3, 4, 5, 6]


def test_the_cpu_of_a_host_without_a_gpu_needs_no_word():
    assert "num_gpu" not in params(decide([EMBED]), "bge-m3")[0]


def test_without_preload_nothing_is_kept():
    assert "keep_alive" not in params(decide([CHAT], preload=False), "gpt-oss-20b")[0]


def test_no_secret_in_the_configuration():
    result = decide([CHAT], providers=GEMINI)
    assert "AIza-1" not in yaml.safe_dump(result["config"])
    assert result["secrets"] == {"GEMINI_API_KEY": "AIza-1"}
    assert params(result, "pro") == [{"model": "gemini/gemini-2.5-pro", "api_key": "os.environ/GEMINI_API_KEY"}]
    assert result["config"]["general_settings"] == {"master_key": "os.environ/LITELLM_MASTER_KEY"}


@pytest.mark.parametrize(("keys", "there"), [([], False), (["GEMINI_API_KEY"], True), (["OPENAI_API_KEY"], False)])
def test_a_provider_has_routes_where_its_key_is(keys, there):
    providers = {"gemini": {"models": ["gemini-2.5-flash"]}}
    assert bool(params(decide([], providers=providers, keys=keys), "gemini-2.5-flash")) == there


def test_any_other_provider():
    providers = {
        "corp": {"provider": "openai", "api_base": "https://llm.example.com/v1", "api_key": "k", "models": ["big"], "params": {"rpm": 10}}
    }
    assert params(decide([], providers=providers), "big") == [
        {"model": "openai/big", "api_key": "os.environ/CORP_API_KEY", "api_base": "https://llm.example.com/v1", "rpm": 10}
    ]


def test_fallbacks_to_what_this_host_has():
    fallbacks = {"gpt-oss-20b": ["qwen3-8b", "gemini-2.5-flash"], "qwen3-8b": ["gpt-oss-20b"]}
    result = decide([CHAT], providers=GEMINI, fallbacks=fallbacks, known_routes=["qwen3-8b"])
    assert result["config"]["router_settings"]["fallbacks"] == [{"gpt-oss-20b": ["gemini-2.5-flash"]}]
    assert result["problems"] == []


def test_a_provider_without_its_key_is_not_a_mistake_in_a_fallback():
    providers = {"gemini": {"models": ["gemini-2.5-flash"]}}
    result = decide([CHAT], providers=providers, fallbacks={"gpt-oss-20b": ["gemini-2.5-flash"]}, known_routes=[])
    assert result["problems"] == []
    assert "fallbacks" not in result["config"]["router_settings"]


def test_extra_is_merged_and_lists_are_appended():
    extra = {"litellm_settings": {"json_logs": True}, "model_list": [{"model_name": "mine", "litellm_params": {"model": "openai/x"}}]}
    before = copy.deepcopy(extra)
    result = decide([CHAT], extra=extra)
    assert result["config"]["litellm_settings"] == {"drop_params": True, "request_timeout": 600, "json_logs": True}
    assert [entry["model_name"] for entry in result["config"]["model_list"]] == ["gpt-oss-20b", "mine"]
    assert extra == before


def test_a_limit_stands_where_litellm_reads_it():
    entry = decide([CHAT], max_parallel_requests=4)["config"]["model_list"][0]
    assert entry["litellm_params"]["max_parallel_requests"] == 4
    assert "max_parallel_requests" not in entry["model_info"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"backends": {}}, "llm_stack_backends: it is not a list"),
        ({"backends": [{"api_base": "192.0.2.1:11434", "models": []}]}, "llm_stack_backends: '192.0.2.1:11434' is not an address"),
        ({"backends": [{"api_base": "http://u:p@h:1", "models": []}]}, "is not an address"),
        ({"backends": [{"api_base": "http://h:1"}]}, "llm_stack_backends: each has api_base and models"),
        ({"backends": [{"api_base": "http://h:1", "models": ["x"]}]}, "llm_stack_backends: a model needs a name"),
        ({"backends": [{"api_base": "http://h:1", "models": [{"name": "x", "mode": "rerank"}]}]}, "a mode that is chat"),
        (
            {"backends": [{"api_base": "http://h:1", "models": [{**EMBED, "mode": "chat"}]}]},
            "the route bge-m3 is for chat here and for embedding elsewhere",
        ),
        ({"providers": []}, "llm_stack_providers: it is not a mapping"),
        ({"providers": {"Gemini": {"models": []}}}, "'Gemini' is not a name"),
        ({"providers": {"gemini": {}}}, "llm_stack_providers.gemini: it has models"),
        ({"providers": {"gemini": {"models": [], "key": "x"}}}, "llm_stack_providers.gemini: it has models"),
        ({"providers": {"gemini": {"api_key": "a b", "models": []}}}, "llm_stack_providers.gemini.api_key: it has a space"),
        ({"providers": {"gemini": {"api_key": "a", "models": [{"route": "x"}]}}}, "llm_stack_providers.gemini.models: a model has no name"),
        (
            {"providers": {"gemini": {"api_key": "a", "models": [{"name": "x", "route": "bge-m3", "mode": "embedding"}]}}},
            "both local and a provider's",
        ),
        ({"providers": {"gemini": {"api_key": "a", "models": [4]}}}, "llm_stack_providers.gemini.models: '4' is not a model"),
        ({"providers": {"gemini": {"models": 5}}, "fallbacks": {"bge-m3": []}}, "llm_stack_providers.gemini: it has models"),
        ({"providers": {"gemini": {"models": [], "params": ["b"]}}}, "llm_stack_providers.gemini: it has models"),
        ({"backends": [{"api_base": "http://h:1", "models": [{"name": "x", "context": "4096"}]}]}, "the context of x is not a number"),
        ({"backends": [{"api_base": "http://h:114340", "models": []}]}, "is not an address"),
        ({"fallbacks": {"bge-m3": ["bge-m3"]}}, "llm_stack_fallbacks.bge-m3: it is its own fallback"),
        ({"client_keys": []}, "llm_stack_client_keys: it is not a mapping"),
        ({"client_keys": {"c": ["x"]}}, "llm_stack_client_keys.c: it is not a mapping"),
        ({"client_keys": {"c": {"model": ["x"]}}}, "llm_stack_client_keys.c: there is no 'model'; it may have models"),
        ({"client_keys": {"c": {"models": "bge-m3"}}}, "llm_stack_client_keys.c.models: it is not a list of routes"),
        ({"client_keys": {"c": {"models": ["typo"]}}, "known_routes": ["x"]}, "llm_stack_client_keys.c.models: there is no route typo"),
        ({"client_keys": {"c": {"rpm_limit": "sixty"}}}, "llm_stack_client_keys.c.rpm_limit: it is not a number"),
        ({"client_keys": {"c": {"max_budget": -3}}}, "llm_stack_client_keys.c.max_budget: it is not a number"),
        ({"client_keys": {"c": {"budget_duration": "30 days"}}}, "llm_stack_client_keys.c.budget_duration: it is not a time"),
        ({"fallbacks": {"bge-m3": "x"}}, "llm_stack_fallbacks.bge-m3: it is not a list of routes"),
        (
            {"fallbacks": {"bge-m3": ["typo"]}, "known_routes": ["bge-m3"]},
            "llm_stack_fallbacks: there is no route 'typo'; there are bge-m3",
        ),
        ({"num_retries": -1}, "llm_stack_num_retries: -1 is less than 0"),
        ({"timeout": 0}, "llm_stack_request_timeout: 0 is less than 1"),
        ({"max_parallel_requests": -1}, "llm_stack_max_parallel_requests: -1"),
        ({"extra": {"general": {"debug": True}}}, "llm_stack_litellm_config: LiteLLM has no section 'general'"),
        ({"extra": {"general_settings": {"master_key": "sk-x"}}}, "leave general_settings.master_key out"),
    ],
)
def test_mistakes_are_named(settings, says):
    result = decide([EMBED], **settings)
    assert result["config"] == {}
    assert [line for line in result["problems"] if says in line], result["problems"]


def test_what_a_client_may_do():
    clients = {"editor": {"models": ["bge-m3", "elsewhere"], "rpm_limit": 60, "max_budget": 1.5, "budget_duration": "30d"}, "all": None}
    assert decide([EMBED], client_keys=clients, known_routes=["elsewhere"])["problems"] == []


LOCAL = "http://192.0.2.9:1234/v1"
HOSTED = "https://api.groq.com/openai/v1"
NEEDS_KEY = "because there is no key; set api_key, or "
ENVIRON = "os.environ/"


@pytest.mark.parametrize(
    ("provider", "keys", "api_key", "note"),
    [
        # A program of one's own, by its address or by its word.
        ({"provider": "openai", "api_base": LOCAL}, [], "none", ""),
        ({"provider": "openai", "params": {"api_base": LOCAL}}, [], "none", ""),
        ({"provider": "openai", "api_base": HOSTED, "api_key": "none"}, [], "none", ""),
        ({"provider": "openai", "api_base": HOSTED, "api_key": "None"}, ["MINE_API_KEY"], "none", ""),
        ({"provider": "openai", "api_base": "https://llm.example.com/v1"}, [], "none", ""),
        *[({"provider": kind, "api_base": LOCAL}, [], "none", "") for kind in sorted(gateway.KEYLESS)],
        ({"provider": "anthropic", "api_base": LOCAL, "api_key": "none"}, [], "none", ""),
        # Its key counts where it has one.
        ({"provider": "openai", "api_base": LOCAL, "api_key": "k"}, [], "os.environ/MINE_API_KEY", ""),
        ({"provider": "openai", "api_base": LOCAL}, ["MINE_API_KEY"], "os.environ/MINE_API_KEY", ""),
        ({"provider": "openai", "api_base": LOCAL}, ["OPENAI_API_KEY"], "none", ""),
        # Services ask for one.
        ({"provider": "openai"}, [], None, NEEDS_KEY + "MINE_API_KEY"),
        ({"provider": "openai", "api_key": ""}, [], None, "api_key: none, or api_base)"),
        ({"provider": "hosted_vllm"}, [], None, "api_key: none, or api_base)"),
        ({"provider": "openai", "api_base": HOSTED}, [], None, NEEDS_KEY),
        ({"provider": "openai", "api_base": "https://api.openai.com/v1"}, [], None, NEEDS_KEY),
        ({"provider": "openai", "api_base": "https://eu.api.openai.com/v1"}, [], None, NEEDS_KEY),
        ({"provider": "openai", "api_base": "https://x.openai.azure.com"}, [], None, NEEDS_KEY),
        ({"provider": "anthropic", "api_base": LOCAL}, [], None, NEEDS_KEY),
        ({"provider": "azure", "api_base": "https://x.openai.azure.com"}, [], None, NEEDS_KEY),
        # Credentials that are not an api_key.
        *[({"provider": kind}, [], None, "") for kind in sorted(gateway.AMBIENT)],
        ({"provider": "bedrock/converse"}, [], None, ""),
        ({"provider": "bedrock", "secrets": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}}, [], None, ""),
        ({"provider": "bedrock", "secrets": {"AWS_ACCESS_KEY_ID": ""}}, ["AWS_ACCESS_KEY_ID"], None, ""),
        ({"provider": "bedrock", "secrets": {"AWS_ACCESS_KEY_ID": None}}, [], None, "because AWS_ACCESS_KEY_ID has no value; set it in"),
        ({"provider": "bedrock", "secrets": {"A": "", "B": ""}}, [], None, "because A, B have no value; set them in secrets"),
        ({"provider": "azure", "params": {"tenant_id": "t", "client_secret": ENVIRON + "S"}, "secrets": {"S": "x"}}, [], None, ""),
        ({"provider": "azure", "params": {"tenant_id": "t", "client_secret": ENVIRON + "S"}}, ["S"], None, ""),
        ({"provider": "azure", "params": {"tenant_id": "t", "client_secret": ENVIRON + "S"}}, [], None, "because S has no value"),
        ({"provider": "watsonx", "secrets": {"WATSONX_APIKEY": "x"}}, [], None, ""),
        ({"provider": "groq", "params": {"api_key": ENVIRON + "OTHER"}}, ["OTHER"], "os.environ/OTHER", ""),
        ({"provider": "groq", "params": {"api_key": ENVIRON + "OTHER"}}, [], None, "because OTHER has no value"),
    ],
)
def test_which_provider_has_a_route_and_what_is_said_where_it_has_none(provider, keys, api_key, note):
    result = decide([], providers={"mine": {**provider, "models": ["m"]}}, keys=keys)
    assert result["problems"] == []
    if note:
        (line,) = result["notes"]
        assert line.startswith("llm_stack_providers.mine: no route m, because ") and note in line
        assert result["config"]["model_list"] == [] and result["variables"] == []
    else:
        (deployment,) = result["config"]["model_list"]
        assert deployment["litellm_params"].get("api_key") == api_key and result["notes"] == []
        assert deployment["model_info"] == {"mode": "chat", "provider": "mine"}


def test_the_case_of_a_provider_without_a_key():
    provider = {"provider": "openai", "api_base": LOCAL, "models": ["qwen3-8b"]}
    assert params(decide([], providers={"lmstudio": provider}), "qwen3-8b") == [
        {"model": "openai/qwen3-8b", "api_key": "none", "api_base": LOCAL}
    ]


def test_local_routes_name_no_provider():
    result = decide([CHAT], backends=[{"api_base": "http://192.0.2.11:11434", "models": [EMBED]}])
    assert not [one for one in result["config"]["model_list"] if "provider" in one["model_info"]]


FOUND = {
    "key.json": {"path": "/x/key.json", "sha256": "1"},
    "b.json": {"path": "/x/b.json", "sha256": "2"},
    "no": {"path": "/x/no", "sha256": ""},
}
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"


def test_secrets_go_where_the_others_are_and_files_beside_them():
    providers = {
        "bedrock": {"models": ["claude"], "secrets": {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "a'b\nc"}},
        "vertex_ai": {"models": ["gemini-2.5-pro"], "files": {CREDENTIALS: "key.json"}},
        "azure": {
            "api_base": "https://x.openai.azure.com",
            "models": [{"name": "d", "route": "gpt"}],
            "params": {"tenant_id": "t", "client_id": "c", "client_secret": "os.environ/AZURE_CLIENT_SECRET"},
            "secrets": {"AZURE_CLIENT_SECRET": 1234},
        },
    }
    result = decide([], providers=providers, found=FOUND)
    assert result["problems"] == result["notes"] == []
    assert result["secrets"] == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "a'b\nc",
        "AZURE_CLIENT_SECRET": "1234",
        CREDENTIALS: "/run/secrets/" + CREDENTIALS,
    }
    assert result["files"] == [{"name": CREDENTIALS, "path": "/x/key.json", "sha256": "1"}]
    assert result["variables"] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", CREDENTIALS]
    assert not {"AKIA", "1234"} & set(yaml.safe_dump(result["config"]).split())


def test_a_provider_without_a_route_is_given_nothing():
    provider = {"models": ["m"], "secrets": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": ""}, "files": {CREDENTIALS: "key.json"}}
    result = decide([], providers={"bedrock": provider}, found=FOUND)
    assert (result["files"], result["variables"]) == ([], [])
    assert len(result["notes"]) == 1


def test_variables_are_those_that_the_configuration_names_and_the_stack_does_not_set():
    extra = {
        "search_tools": [
            {"search_tool_name": "s", "litellm_params": {"search_provider": "serper", "api_key": "os.environ/SERPER_API_KEY"}}
        ],
        "litellm_settings": {"a": "os.environ/LITELLM_X", "b": "os.environ/LOGGED"},
    }
    result = decide([], extra=extra, keys=["SERPER_API_KEY"], environment=["LOGGED"], redis=True, providers=GEMINI)
    assert (result["variables"], result["notes"]) == (["GEMINI_API_KEY", "SERPER_API_KEY"], [])
    (note,) = decide([], extra=extra, environment=["LOGGED"])["notes"]
    assert note.startswith("llm_stack_litellm_config: SERPER_API_KEY has no value")


@pytest.mark.parametrize("name", ["litellm_proxy", "docker_model_runner", "redis_docs"])
def test_a_key_may_begin_as_a_variable_of_the_stack(name):
    result = decide([], providers={name: {"api_key": "k", "models": ["m"]}})
    assert result["variables"] == list(result["secrets"]) == [name.upper() + "_API_KEY"]


def secrets(**values):
    return {"bedrock": {"models": ["m"], "secrets": values}}


def files(**values):
    return {"vertex_ai": {"models": ["m"], "files": values}}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"providers": secrets(lower="x")}, "llm_stack_providers.bedrock.secrets.lower: it is not the name of a variable"),
        ({"providers": {"bedrock": {"models": [], "secrets": {1: "x"}}}}, "bedrock.secrets.1: it is not the name of a variable"),
        *[
            ({"providers": secrets(**{name: "x"})}, "secrets.%s: this variable is the stack's own" % name)
            for name in (
                *("LITELLM_MASTER_KEY", "LITELLM_LOG", "POSTGRES_PASSWORD", "DATABASE_URL", "REDIS_PASSWORD", "CLIENT_KEY_A", "SITE_PROXY"),
                *("PATH", "HOME", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "LD_PRELOAD", "PYTHONPATH", "COMPOSE_FILE"),
            )
        ],
        ({"providers": files(PATH="key.json"), "found": FOUND}, "files.PATH: this variable is the stack's own"),
        ({"providers": secrets(X="x"), "environment": ["X"]}, "secrets.X: llm_stack_litellm_environment sets it, too"),
        ({"providers": secrets(X=["x"])}, "secrets.X: it is not a text"),
        ({"providers": secrets(X=True)}, "secrets.X: it is not a text"),
        ({"providers": secrets(X="a\0b")}, "secrets.X: it has a NUL"),
        ({"providers": secrets(X="a\nb"), "native": True}, "secrets.X: it has a quote, a backslash or a line's end"),
        (
            {"providers": {**secrets(X="1"), "b": {"models": [], "secrets": {"X": "2"}}}},
            "llm_stack_providers.b: X has another value in llm_stack_",
        ),
        (
            {"providers": {"x": {"api_key": "1", "models": []}, "y": {"models": [], "secrets": {"X_API_KEY": "2"}}}},
            "y: X_API_KEY has another value",
        ),
        ({"providers": {**secrets(X="1"), **files(X="key.json")}, "found": FOUND}, "vertex_ai: X has another value"),
        ({"providers": {**files(X="key.json"), **secrets(X="1")}, "found": FOUND}, "bedrock: X has another value"),
        ({"providers": {**files(X="key.json"), "b": {"models": [], "files": {"X": "b.json"}}}, "found": FOUND}, "b: X has another value"),
        ({"providers": files(X="no"), "found": FOUND}, "files.X: the control node has no file /x/no"),
        ({"providers": files(X="")}, "files.X: it is not a path"),
        ({"providers": files(X=["a"])}, "files.X: it is not a path"),
        ({"providers": files(X="key.json"), "found": FOUND, "native": True}, "files.X: a native gateway cannot be given files"),
        ({"providers": {"a": {"models": [], "secrets": ["X"]}}}, "llm_stack_providers.a: it has models"),
        ({"providers": {"a": {"models": [], "files": "X"}}}, "llm_stack_providers.a: it has models"),
        (
            {"providers": {"azure": {"models": ["m"], "params": {"client_secret": "x"}}}},
            "llm_stack_providers.azure.params.client_secret: the configuration is for everybody to read",
        ),
        (
            {"providers": {"vertex_ai": {"models": ["m"], "params": {"vertex_credentials": '{"a": 1}'}}}},
            "params.vertex_credentials: the con",
        ),
        (
            {"providers": {"a": {"api_key": "k", "models": [{"name": "x", "mode": "sing"}]}}},
            "a.models: x has the mode 'sing'; there are chat, ",
        ),
        ({"providers": {"a": {"api_key": "k", "models": [{"name": "x", "mode": "sing"}]}}}, "audio_transcription"),
        ({"providers": {"a": {"api_key": "k", "models": [{"name": "x", "modes": "chat"}]}}}, "a.models: x has modes, which no model has"),
        ({"providers": {"a": {"api_key": "k", "models": [{"name": 4}]}}}, "a.models: a model has no name"),
        ({"providers": {"a": {"api_key": "k", "models": [""]}}}, "a.models: '' is not a model"),
        ({"providers": {"a": {"api_key": "k", "models": [{"name": "x", "route": 4}]}}}, "a.models: the route of x is not a name"),
        ({"providers": {"a": {"api_key": "k", "models": [{"name": "x", "params": [4]}]}}}, "a.models: the params of x are not a mapping"),
        ({"fallbacks": {"*": "x"}}, "llm_stack_fallbacks.*: it is not a list of routes"),
        ({"fallbacks": {"*": [{"a": ["b"]}]}}, "llm_stack_fallbacks.*: it is not a list of routes, each a name"),
        ({"backends": [{"api_base": "http://h:1", "models": [{"name": "x", "route": ["y"]}]}]}, "backends: the route of x is not a name"),
        # A key that only names a variable would go into .env as the key.
        *[
            ({"providers": {"a": {"api_key": key, "models": ["x"]}}}, "a.api_key: '%s' is the name of a variable" % key)
            for key in ("os.environ/A_KEY", "$A_KEY", "${A_KEY}")
        ],
        (
            {"providers": {"a": {"api_key": "k", "models": ["x"], "api_base": "api.example.com/v1"}}},
            "a.api_base: 'api.example.com/v1' is not",
        ),
        # Credentials that would stand in a file that everybody may read.
        *[
            ({"providers": {"a": {"models": [{"name": "x", "params": params}]}}}, "a.params.%s: the configuration is for everybody" % name)
            for name, params in (
                ("api_key", {"api_key": "sk-1"}),
                ("vertex_credentials", {"vertex_credentials": {"private_key": "p"}}),
                ("vertex_credentials", {"vertex_credentials": '{"private_key": "p"}'}),
                ("Authorization", {"extra_headers": {"Authorization": "Bearer x"}}),
                ("x-api-key", {"extra_headers": {"x-api-key": "x"}}),
            )
        ],
        (
            {"extra": {"model_list": [{"model_name": "x", "litellm_params": {"api_key": "sk-1"}}]}},
            "litellm_config: api_key holds a credential",
        ),
        ({"extra": {"environment_variables": {"X_API_KEY": "sk-1"}}}, "llm_stack_litellm_config: X_API_KEY holds a credential"),
        ({"extra": {"litellm_settings": {"cache_params": {"password": "p"}}}}, "llm_stack_litellm_config: password holds a credential"),
        ({"extra": {"model_list": {"a": 1}}}, "llm_stack_litellm_config.model_list: it is not a list"),
        ({"extra": {"general_settings": True}}, "llm_stack_litellm_config.general_settings: it is not a mapping"),
        ({"extra": {"router_settings": [1]}}, "llm_stack_litellm_config.router_settings: it is not a mapping"),
        ({"fallbacks": {"*": ["typo"]}, "known_routes": ["bge-m3"]}, "llm_stack_fallbacks: there is no route 'typo'"),
    ],
)
def test_mistakes_of_providers_are_named(settings, says):
    result = decide([EMBED], **settings)
    assert result["config"] == {}
    assert [line for line in result["problems"] if says in line], result["problems"]


def test_empty_sections_change_nothing():
    """A heading whose lines are all comments is what people have in a file of settings."""
    empty = dict.fromkeys(gateway.OWN_SECTIONS)
    assert decide([CHAT], extra=empty)["config"] == decide([CHAT])["config"]


@pytest.mark.parametrize("value", ["none", "EMPTY", "os.environ/X"])
def test_what_stands_for_a_key_may_be_added_by_hand(value):
    mine = {"model_name": "x", "litellm_params": {"model": "hosted_vllm/x", "api_base": "http://h:1", "api_key": value}}
    assert decide([], extra={"model_list": [mine]}, keys=["X"])["problems"] == []


def test_one_value_for_two_providers_is_not_a_mistake():
    providers = {
        **secrets(X="1"),
        "b": {"models": [], "secrets": {"X": "1", "Y": ""}},
        **files(Z="key.json"),
        "c": {"models": [], "files": {"Z": "key.json"}},
    }
    assert decide([], providers=providers, found=FOUND)["problems"] == []


@pytest.mark.parametrize("value", ["/run/secrets/X", "os.environ/X", "oidc/google/x"])
def test_what_only_names_a_credential_may_stand_in_the_configuration(value):
    providers = {"vertex_ai": {"models": ["m"], "params": {"vertex_credentials": value}}}
    assert decide([], providers=providers, keys=["X"])["problems"] == []


@pytest.mark.parametrize("mode", gateway.PROVIDER_MODES)
def test_modes_of_litellm_are_passed_on_for_providers(mode):
    result = decide([], providers={"openai": {"api_key": "k", "models": [{"name": "m", "mode": mode}]}})
    assert result["config"]["model_list"][0]["model_info"] == {"mode": mode, "provider": "openai"}


ELSEWHERE = "give it the model, or take it out"


@pytest.mark.parametrize(
    ("settings", "made", "notes"),
    [
        ({"fallbacks": {"*": ["bge-m3"]}}, {"default_fallbacks": ["bge-m3"]}, []),
        (
            {"fallbacks": {"gpt-oss-20b": ["bge-m3"], "*": ["gpt-oss-20b", "far"]}},
            {"fallbacks": [{"gpt-oss-20b": ["bge-m3"]}], "default_fallbacks": ["gpt-oss-20b"]},
            ["llm_stack_fallbacks.*: far is left out, because this host has no such route; " + ELSEWHERE],
        ),
        ({"fallbacks": {"*": ["far"]}}, {}, ["llm_stack_fallbacks.*: far is left out, because this host has no such route; " + ELSEWHERE]),
        (
            {"fallbacks": {"far": ["bge-m3"]}},
            {},
            ["llm_stack_fallbacks.far: it is left out, because this host has no route far; " + ELSEWHERE],
        ),
        ({"fallbacks": {"bge-m3": []}}, {}, ["llm_stack_fallbacks.bge-m3: it names no route; name one, or take it out"]),
        (
            {"fallbacks": {"bge-m3": ["x"]}, "providers": {"gemini": {"models": ["x"]}}},
            {},
            [
                "llm_stack_providers.gemini: no route x, because there is no key; set api_key, or GEMINI_API_KEY in the host's .env (a provider"
                " that needs no key has api_key: none)",
                "llm_stack_fallbacks.bge-m3: x is left out, because this host has no such route; set what llm_stack_providers.gemini lacks",
            ],
        ),
        # Routes that are added by hand, other names for routes, and patterns are routes.
        (
            {
                "fallbacks": {"bge-m3": ["mine"], "mine": ["bge-m3"]},
                "extra": {"model_list": [{"model_name": "mine", "litellm_params": {}}]},
            },
            {"fallbacks": [{"bge-m3": ["mine"]}, {"mine": ["bge-m3"]}]},
            [],
        ),
        (
            {"fallbacks": {"bge-m3": ["alias"]}, "extra": {"router_settings": {"model_group_alias": {"alias": "gpt-oss-20b"}}}},
            {"model_group_alias": {"alias": "gpt-oss-20b"}, "fallbacks": [{"bge-m3": ["alias"]}]},
            [],
        ),
        (
            {
                "fallbacks": {"bge-m3": ["openai/gpt-5"]},
                "providers": {"openai": {"api_key": "k", "models": [{"name": "*", "route": "openai/*"}]}},
            },
            {"fallbacks": [{"bge-m3": ["openai/gpt-5"]}]},
            [],
        ),
    ],
)
@pytest.mark.parametrize("known", [None, ["far", "gpt-oss-20b", "bge-m3"]])
def test_fallbacks_and_what_is_said_of_those_that_are_left_out(settings, made, notes, known):
    result = decide([CHAT, EMBED], known_routes=known, **settings)
    assert result["problems"] == [] and result["notes"] == notes
    assert result["config"]["router_settings"] == {"num_retries": 2, **made}


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        (
            {"client_keys": {"c": {"models": ["bge-m3", "far"]}}},
            "llm_stack_client_keys.c.models: far cannot be asked, because this host has no such",
        ),
        (
            {"client_keys": {"c": {"models": ["x"]}}, "providers": {"gemini": {"models": ["x"]}}, "known_routes": ["bge-m3"]},
            "llm_stack_client_keys.c.models: x cannot be asked, because this host has no such route; set what llm_stack_providers.gemini lacks",
        ),
        ({"client_keys": {"c": {"models": ["all-proxy-models", "bge-*"]}}, "known_routes": ["x"]}, ""),
        ({"backends": [{"api_base": "http://h:1", "models": []}]}, "llm_stack_backends: http://h:1 has no route, because it has no models"),
        (
            {"backends": [{"api_base": "http://h:1", "models": []}], "engines": {"box7": "http://h:1"}},
            "llm_stack_engines: box7 has no route, because it is not known to hold a model of its plan; run site.yml for it",
        ),
        ({"engines": {"box7": "http://h:1"}}, "llm_stack_engines: box7 has no route"),
        ({"backends": [{"api_base": "http://h:1", "models": [CHAT]}], "engines": {"box7": "http://h:1"}}, ""),
    ],
)
def test_settings_without_effect_get_a_word(settings, note):
    result = decide([EMBED], **settings)
    assert result["problems"] == []
    assert [line for line in result["notes"] if line.startswith(note)] if note else result["notes"] == [], result["notes"]


def test_notes_are_comments_that_leave_the_configuration_as_it_is():
    result = decide([EMBED], client_keys={"c": {"models": ["a\nmodel_list: []"]}})
    text = result["comments"] + yaml.safe_dump(result["config"])
    assert result["comments"].startswith("# Left out: llm_stack_client_keys.c.models: a model_list: [] cannot be asked")
    assert result["comments"].count("\n") == 1 and yaml.safe_load(text) == result["config"]
    assert decide([EMBED])["comments"] == ""
