# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter.gateway_config import gateway_config
from ansible_collections.local_llm.fleet.plugins.filter.model_plan_problems import model_plan_problems
from ansible_collections.local_llm.fleet.plugins.filter.verify_table import verify_table

CHAT = {"name": "gpt-oss:20b", "route": "gpt-oss-20b", "mode": "chat", "placement": "gpu", "preload": True, "context": 32768}
EMBED = {"name": "bge-m3", "route": "bge-m3", "mode": "embedding", "placement": "cpu", "preload": False, "context": 8192}
GEMINI = {"gemini": {"api_key": "AIza-1", "models": ["gemini-2.5-flash", {"name": "gemini-2.5-pro", "route": "pro"}]}}


def params(result, route):
    return [entry["litellm_params"] for entry in result["config"]["model_list"] if entry["model_name"] == route]


def test_a_plan_becomes_routes_with_the_right_prefix_and_one_context():
    result = gateway_config([CHAT, EMBED], has_gpu=True)
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
    result = gateway_config([CHAT], backends=backends)
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
    result = gateway_config([CHAT], extra={"model_list": [mine]})
    assert [(one["order"], one["num_retries"]) for one in params(result, "gpt-oss-20b")] == [(1, 0), (1, 5), (2, 0), (3, 5)]
    ordered = {**mine, "litellm_params": {**mine["litellm_params"], "order": 7}}
    assert [one.get("order") for one in params(gateway_config([CHAT], extra={"model_list": [ordered]}), "gpt-oss-20b")] == [None, 7]


def test_a_question_goes_to_five_more_at_most():
    backends = [{"api_base": "http://192.0.2.%d:11434" % number, "models": [CHAT]} for number in range(1, 21)]
    orders = [one["order"] for one in params(gateway_config([], backends=backends), "gpt-oss-20b")]
    assert orders == [1] * 20 + [2, 3, 4, 5, 6]


def test_the_cpu_of_a_host_without_a_gpu_needs_no_word():
    assert "num_gpu" not in params(gateway_config([EMBED]), "bge-m3")[0]


def test_without_preload_nothing_is_kept():
    assert "keep_alive" not in params(gateway_config([CHAT], preload=False), "gpt-oss-20b")[0]


def test_no_secret_in_the_configuration():
    result = gateway_config([CHAT], providers=GEMINI)
    assert "AIza-1" not in yaml.safe_dump(result["config"])
    assert result["secrets"] == {"GEMINI_API_KEY": "AIza-1"}
    assert params(result, "pro") == [{"model": "gemini/gemini-2.5-pro", "api_key": "os.environ/GEMINI_API_KEY"}]
    assert result["config"]["general_settings"] == {"master_key": "os.environ/LITELLM_MASTER_KEY"}


@pytest.mark.parametrize(("keys", "there"), [([], False), (["GEMINI_API_KEY"], True), (["OPENAI_API_KEY"], False)])
def test_a_provider_has_routes_where_its_key_is(keys, there):
    providers = {"gemini": {"models": ["gemini-2.5-flash"]}}
    assert bool(params(gateway_config([], providers=providers, keys=keys), "gemini-2.5-flash")) == there


def test_any_other_provider():
    providers = {
        "corp": {"provider": "openai", "api_base": "https://llm.example.com/v1", "api_key": "k", "models": ["big"], "params": {"rpm": 10}}
    }
    assert params(gateway_config([], providers=providers), "big") == [
        {"model": "openai/big", "api_key": "os.environ/CORP_API_KEY", "api_base": "https://llm.example.com/v1", "rpm": 10}
    ]


def test_fallbacks_to_what_this_host_has():
    fallbacks = {"gpt-oss-20b": ["qwen3-8b", "gemini-2.5-flash"], "qwen3-8b": ["gpt-oss-20b"]}
    result = gateway_config([CHAT], providers=GEMINI, fallbacks=fallbacks, known_routes=["qwen3-8b"])
    assert result["config"]["router_settings"]["fallbacks"] == [{"gpt-oss-20b": ["gemini-2.5-flash"]}]
    assert result["problems"] == []


def test_a_provider_without_its_key_is_no_mistake_in_a_fallback():
    providers = {"gemini": {"models": ["gemini-2.5-flash"]}}
    result = gateway_config([CHAT], providers=providers, fallbacks={"gpt-oss-20b": ["gemini-2.5-flash"]}, known_routes=[])
    assert result["problems"] == []
    assert "fallbacks" not in result["config"]["router_settings"]


def test_extra_is_merged_and_lists_are_appended():
    extra = {"litellm_settings": {"json_logs": True}, "model_list": [{"model_name": "mine", "litellm_params": {"model": "openai/x"}}]}
    before = copy.deepcopy(extra)
    result = gateway_config([CHAT], extra=extra)
    assert result["config"]["litellm_settings"] == {"drop_params": True, "request_timeout": 600, "json_logs": True}
    assert [entry["model_name"] for entry in result["config"]["model_list"]] == ["gpt-oss-20b", "mine"]
    assert extra == before


def test_a_limit_stands_where_litellm_reads_it():
    entry = gateway_config([CHAT], max_parallel_requests=4)["config"]["model_list"][0]
    assert entry["litellm_params"]["max_parallel_requests"] == 4
    assert "max_parallel_requests" not in entry["model_info"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"backends": {}}, "llm_stack_backends: it is not a list"),
        ({"backends": [{"api_base": "192.0.2.1:11434", "models": []}]}, "llm_stack_backends: '192.0.2.1:11434' is no address"),
        ({"backends": [{"api_base": "http://u:p@h:1", "models": []}]}, "is no address"),
        ({"backends": [{"api_base": "http://h:1"}]}, "llm_stack_backends: each has api_base and models"),
        ({"backends": [{"api_base": "http://h:1", "models": ["x"]}]}, "llm_stack_backends: a model needs a name"),
        ({"backends": [{"api_base": "http://h:1", "models": [{"name": "x", "mode": "rerank"}]}]}, "a mode that is chat"),
        (
            {"backends": [{"api_base": "http://h:1", "models": [{**EMBED, "mode": "chat"}]}]},
            "the route bge-m3 is for chat here and for embedding elsewhere",
        ),
        ({"providers": []}, "llm_stack_providers: it is not a mapping"),
        ({"providers": {"Gemini": {"models": []}}}, "'Gemini' is no name"),
        ({"providers": {"gemini": {}}}, "llm_stack_providers.gemini: it has models"),
        ({"providers": {"gemini": {"models": [], "key": "x"}}}, "llm_stack_providers.gemini: it has models"),
        ({"providers": {"gemini": {"api_key": "a b", "models": []}}}, "llm_stack_providers.gemini.api_key: it has a space"),
        ({"providers": {"gemini": {"api_key": "a", "models": [{"route": "x"}]}}}, "llm_stack_providers.gemini.models: each is a name"),
        (
            {"providers": {"gemini": {"api_key": "a", "models": [{"name": "x", "route": "bge-m3", "mode": "embedding"}]}}},
            "both local and a provider's",
        ),
        ({"providers": {"gemini": {"api_key": "a", "models": [4]}}}, "llm_stack_providers.gemini.models: each is a name"),
        ({"providers": {"gemini": {"models": 5}}, "fallbacks": {"bge-m3": []}}, "llm_stack_providers.gemini: it has models"),
        ({"providers": {"gemini": {"models": [], "params": ["b"]}}}, "llm_stack_providers.gemini: it has models"),
        ({"backends": [{"api_base": "http://h:1", "models": [{"name": "x", "context": "4096"}]}]}, "the context of x is no number"),
        ({"backends": [{"api_base": "http://h:114340", "models": []}]}, "is no address"),
        ({"fallbacks": {"bge-m3": ["bge-m3"]}}, "llm_stack_fallbacks.bge-m3: it is its own fallback"),
        ({"client_keys": []}, "llm_stack_client_keys: it is not a mapping"),
        ({"client_keys": {"c": ["x"]}}, "llm_stack_client_keys.c: it is no mapping"),
        ({"client_keys": {"c": {"model": ["x"]}}}, "llm_stack_client_keys.c: there is no 'model'; it may have models"),
        ({"client_keys": {"c": {"models": "bge-m3"}}}, "llm_stack_client_keys.c.models: it is not a list of routes"),
        ({"client_keys": {"c": {"models": ["typo"]}}, "known_routes": ["x"]}, "llm_stack_client_keys.c.models: there is no route typo"),
        ({"client_keys": {"c": {"rpm_limit": "sixty"}}}, "llm_stack_client_keys.c.rpm_limit: it is not a number"),
        ({"client_keys": {"c": {"max_budget": -3}}}, "llm_stack_client_keys.c.max_budget: it is not a number"),
        ({"client_keys": {"c": {"budget_duration": "30 days"}}}, "llm_stack_client_keys.c.budget_duration: it is not a time"),
        ({"fallbacks": {"bge-m3": "x"}}, "llm_stack_fallbacks.bge-m3: it is no list"),
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
    result = gateway_config([EMBED], **settings)
    assert result["config"] == {}
    assert [line for line in result["problems"] if says in line], result["problems"]


CATALOG = {"tiny": {"route": "tiny", "mode": "chat", "good_for": ["chat"], "bytes": 10**6, "kv_bytes_per_token": 10, "max_context": 2048}}
TIERS = {"cpu": {"floor_gib": 0, "models": ["tiny"], "resident": ["tiny"], "max_context": 2048}}


def test_settings_of_a_plan():
    assert model_plan_problems({"tier": "auto", "tier_minimum": ""}, CATALOG, TIERS) == []
    problems = model_plan_problems({"tier": "huge", "tier_minimum": "vast", "add": ["nobody"]}, CATALOG, TIERS)
    assert [line.split(":", maxsplit=1)[0] for line in problems] == ["model_plan_add", "model_plan_tier", "model_plan_tier_minimum"]
    assert model_plan_problems({"tier": "auto"}, {}, TIERS) == ["model_plan_tiers: cpu names tiny, which is not in model_plan_catalog"]


def test_a_table_of_checks():
    checks = [
        {"id": "firewall", "status": "fail", "observed": "open", "advice": "Run site.yml."},
        {"id": "answer", "status": "pass", "observed": "a\nlong " + "x" * 200},
    ]
    lines = verify_table({"pc1": {"checks": checks}, "pc10": None})
    assert lines[0].split() == ["HOST", "STATUS", "CHECK", "OBSERVED"]
    assert lines[1] == "pc1   fail    firewall  open"
    assert lines[2].strip() == "-> Run site.yml."
    assert lines[3].endswith("x…") and len(lines[3]) < 150
    assert lines[4].split() == ["pc10", "?", "-", "no", "answer"]


def test_what_a_client_may_do():
    clients = {"editor": {"models": ["bge-m3", "elsewhere"], "rpm_limit": 60, "max_budget": 1.5, "budget_duration": "30d"}, "all": None}
    assert gateway_config([EMBED], client_keys=clients, known_routes=["elsewhere"])["problems"] == []
