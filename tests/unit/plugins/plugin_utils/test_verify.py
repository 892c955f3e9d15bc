# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.plugin_utils import verify
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings

SETTINGS = {
    **settings(
        ["site", "stack_verify"],
        {},
        str,
        {"llm_stack": ["llm_stack_services"], "ollama_native": ["ollama_native_home"], "litellm_native": ["litellm_native_dir"]},
    ),
    "stack_verify_gateway_url": "http://127.0.0.1:4444/v1",
    "stack_verify_engine_url": "http://127.0.0.1:11434",
}
COMPOSE = """
services:
  ollama: {ports: ["127.0.0.1:11434:11434"]}
  db: {ports: ["192.0.2.1:5432:5432"]}
  litellm:
"""
CONFIG = """# Ansible managed
# Left out: llm_stack_providers.gemini: there is no key
model_list:
- {model_name: tinyllama, litellm_params: {model: ollama_chat/tinyllama}, model_info: {mode: chat}}
- {model_name: tinyllama, litellm_params: {model: ollama_chat/tinyllama, api_base: "http://b"}, model_info: {mode: chat}}
- {model_name: gpt, litellm_params: {model: openai/gpt, api_key: os.environ/OPENAI_API_KEY}, model_info: {mode: chat}}
- {model_name: claude, litellm_params: {model: bedrock/claude}, model_info: {mode: chat, provider: bedrock}}
- {model_name: bge-m3, litellm_params: {model: ollama/bge-m3}, model_info: {mode: embedding}}
- {model_name: earlier, litellm_params: {model: ollama_chat/earlier}}
"""
TINY = {"name": "tinyllama", "route": "tinyllama", "mode": "chat", "resident": True, "preload": True, "placement": "gpu"}
BGE = {"name": "bge-m3", "route": "bge-m3", "mode": "embedding", "resident": False, "preload": False, "placement": "cpu"}
PLAN = {"budget": {"kind": "cpu", "vendor": None}, "models": [BGE, TINY]}
GPU_PLAN = {"budget": {"kind": "dedicated", "vendor": "nvidia"}, "models": [TINY, BGE]}


def container(service, **changes):
    return {
        "name": service, "service": service, "status": "running", "health": "healthy", "restarts": 0, "oom_killed": False,
        "published": [], "environment_differs": [], **changes,
    }  # fmt: skip


READING = {
    "containers": [
        container("ollama", published=["127.0.0.1:11434"]),
        container("db", published=["192.0.2.1:5432"]),
        container("litellm", published=["127.0.0.1:4444"]),
        container("something-else", status="exited"),
    ],
    "contents": {"compose.yml": COMPOSE, "config.yml": CONFIG, "plan.json": None},
    "docker": {"free_mib": 50000},
    "files": {"firewall": {"owner": "root", "mode": "0755"}, ".env": {"owner": "root", "mode": "0600"}},
    "firewall": True,
    "paths": [],
    "project_dir": {"owner": "root", "mode": "0755"},
    "units": {"local-llm-preload.service": {"sha256": "1", "enabled": True}},
}
REFUSED = [{"key": key, "refused": True, "status": 401, "reason": "no"} for key in ("none", "wrong")]
PROBE = {
    "answer": {"answer": "I work.", "seconds": 1.2, "time_to_first_token": 0.2, "tokens": 3, "strangers": REFUSED},
    "engine": {
        "version": "0.40.2",
        "models": [{"name": "tinyllama:latest"}, {"name": "bge-m3:latest"}],
        "missing": [],
        "loaded": [{"name": "tinyllama:latest", "size": 10 * 2**20, "size_vram": 10 * 2**20}],
    },
    "gateway_version": "1.104.2",
    "database": {"tables": 61, "error": ""},
}
DEVICES = [["GPU-1", "RTX 5080", "16303", "15620"]]


def stack(reading=None, chosen=None, **more):
    return verify.Stack(settings={**SETTINGS, **(chosen or {})}, reading={**READING, **(reading or {})}, **{"plan": PLAN, **more})


def judged(subject, probe=None, answers=None):
    return {one["id"]: one for one in verify.Verification(subject, {**PROBE, **(probe or {})}, answers or {}).checks()}


FULL = {"stack_verify_depth": "full"}


def test_a_stack_as_it_should_be():
    checks = judged(stack(chosen=FULL), answers={"bge-m3": {"dimensions": 4}, "earlier": {"answer": "yes"}})
    assert {id for id, one in checks.items() if one["status"] != "pass"} == {"gateway.settings"}
    assert checks["containers"]["observed"] == "ollama, db, litellm run, and are healthy"
    assert checks["engine.preloaded"]["observed"] == "tinyllama in memory"
    assert checks["gateway.routes"]["observed"] == "tinyllama, bge-m3, earlier"
    assert checks["gateway.settings"]["observed"] == "without effect on this host: llm_stack_providers.gemini"
    assert checks["gateway.settings"]["advice"] == "llm_stack_providers.gemini: there is no key."
    assert checks["gateway.answer"]["observed"] == "tinyllama answered in 1.2 s (first token after 0.2 s, 3 tokens): I work."
    assert not any(one["advice"] for one in checks.values() if one["status"] == "pass")
    quick = judged(stack())
    assert set(checks) - set(quick) == {
        "gateway.version", "gateway.routes", "gateway.settings", "database", "gateway.route.bge-m3", "gateway.route.earlier",
    }  # fmt: skip


def one(name, **changes):
    """The reading, with one container changed."""
    return {"containers": [{**there, **changes} if there["service"] == name else there for there in READING["containers"]]}


@pytest.mark.parametrize(
    ("reading", "id", "status", "observed"),
    [
        (one("litellm", status="exited", health=""), "containers", "fail", "litellm is exited"),
        (one("litellm", health="unhealthy"), "containers", "fail", "litellm is running unhealthy"),
        (one("litellm", service="other"), "containers", "fail", "litellm is not there"),
        (one("ollama", oom_killed=True), "containers.memory", "fail", "killed for want of memory: ollama"),
        (one("db", restarts=2), "containers.restarts", "warn", "Docker had to start again: db"),
        (one("ollama", published=["0.0.0.0:11434"]), "ports", "fail", "published besides what is meant: 0.0.0.0:11434"),
        (one("litellm", environment_differs=["B", "A"]), "secrets", "warn", "changed since the services were started: A, B"),
        ({"firewall": False}, "firewall", "fail", "open to neighbours"),
        ({"firewall": None}, "firewall", "skip", "not looked at, because others may have written the script that tells"),
        ({"firewall": None, "files": {}}, "firewall", "fail", "open to neighbours"),
        ({"project_dir": {"owner": "ops", "mode": "0755"}}, "files", "fail", "open to others: /opt/local_llm(ops,0755)"),
        ({"project_dir": None}, "files", "pass", "root alone writes them, and reads the secrets"),
        ({"files": {".env": {"owner": "root", "mode": "0644"}}}, "files", "fail", "open to others: .env(root,0644)"),
        ({"files": {".env.new": {"owner": "root", "mode": "0400"}}}, "files", "pass", "root alone writes them, and reads the secrets"),
        ({"files": {"compose.yml": {"owner": "root", "mode": "0664"}}}, "files", "fail", "open to others: compose.yml(root,0664)"),
        ({"files": {"compose.yml": {"owner": "root", "mode": "0646"}}}, "files", "fail", "open to others: compose.yml(root,0646)"),
        ({"files": {"compose.yml": {"owner": "ops", "mode": "0644"}}}, "files", "fail", "open to others: compose.yml(ops,0644)"),
        ({"docker": {"free_mib": 2047}}, "disk", "warn", "2047 MiB free"),
        ({"docker": None}, "disk", "pass", "99999 MiB free"),
        ({"docker": None, "paths": [{"free_mib": 5}]}, "disk", "warn", "5 MiB free"),
    ],
)
def test_the_host(reading, id, status, observed):
    checks = judged(stack(reading))
    assert (checks[id]["status"], checks[id]["observed"]) == (status, observed)
    assert {other for other, one in checks.items() if one["status"] in ("fail", "warn")} == ({id} if status in ("fail", "warn") else set())
    assert bool(checks[id]["advice"]) is (status in ("fail", "warn"))


def engine(**changes):
    return {"engine": {**PROBE["engine"], **changes}}


@pytest.mark.parametrize(
    ("probe", "id", "status", "observed"),
    [
        ({"engine": {"msg": "connection refused"}}, "engine.answers", "fail", "connection refused"),
        ({"engine": {"version": ""}}, "engine.answers", "fail", "it does not tell its version"),
        ({"engine": {"msg": "connection refused"}}, "engine.version", "skip", ""),
        ({"engine": {"msg": "connection refused"}}, "engine.models", "skip", "all of the plan"),
        (engine(version="0.9.3"), "engine.version", "fail", "0.9.3"),
        (engine(missing=["bge-m3"]), "engine.models", "fail", "without bge-m3"),
        (engine(models=[{"name": "old:7b"}]), "engine.models", "pass", "all of the plan, and besides old:7b"),
        (engine(loaded=[]), "engine.preloaded", "warn", "not in memory: tinyllama"),
        ({"answer": {"msg": "tinyllama: no answer", "strangers": REFUSED}}, "gateway.answer", "fail", "tinyllama: no answer"),
        ({"answer": {"msg": "not asked"}}, "gateway.refuses_no_key", "fail", "not asked"),
        ({"gateway_version": "1.83.9"}, "gateway.version", "fail", "1.83.9"),
        ({"gateway_version": ""}, "gateway.version", "skip", "it does not tell its version"),
        ({"database": {"tables": 0, "error": "password authentication failed"}}, "database", "fail", "password authentication failed"),
    ],
)
def test_the_services(probe, id, status, observed):
    checks = judged(stack(chosen=FULL), probe)
    assert (checks[id]["status"], checks[id]["observed"]) == (status, observed)


def test_strangers_that_are_answered():
    answer = copy.deepcopy(PROBE["answer"])
    answer["strangers"][1] = {"key": "wrong", "refused": False, "status": 200, "reason": "the server answered 200"}
    answer["msg"] = "tinyllama: the server does not refuse strangers"
    verification = verify.Verification(stack(), {**PROBE, "answer": answer})
    failed = [one["id"] for one in verification.checks() if one["status"] == "fail"]
    assert failed == ["gateway.refuses_wrong_key"] and verification.is_answered
    assert verification.refusal_line() == "without a key: 401 no; with a wrong one: 200 the server answered 200"


def test_what_is_not_preloaded_by_choice_is_no_warning():
    units = {"units": {"local-llm-preload.service": {"sha256": "", "enabled": False}}}
    found = judged(stack(units), engine(loaded=[]))["engine.preloaded"]
    assert (found["status"], found["observed"]) == ("pass", "not in memory: tinyllama")


def test_a_route_that_is_missing_and_one_that_fails():
    plan = {**PLAN, "models": [TINY, {**BGE, "route": "gone"}]}
    checks = judged(stack(plan=plan, chosen=FULL), answers={"bge-m3": {"msg": "500"}, "earlier": {}})
    assert checks["gateway.routes"]["observed"] == "no route for gone"
    assert (checks["gateway.route.bge-m3"]["status"], checks["gateway.route.bge-m3"]["observed"]) == ("fail", "500")
    assert (checks["gateway.route.earlier"]["status"], checks["gateway.route.earlier"]["observed"]) == ("pass", "answers")


@pytest.mark.parametrize(
    ("chosen", "probe", "statuses"),
    [
        ({}, {"gpus": {"devices": DEVICES, "error": ""}}, {"engine.gpus": "pass", "engine.gpu.tinyllama": "pass"}),
        ({}, {"gpus": {"devices": [], "error": "Failed to initialize NVML"}}, {"engine.gpus": "fail", "engine.gpu.tinyllama": "pass"}),
        (
            {"stack_verify_gpu": "report"},
            {"gpus": {"devices": [], "error": "x"}, **engine(loaded=[{"name": "tinyllama", "size": 4, "size_vram": 0}])},
            {"engine.gpus": "warn", "engine.gpu.tinyllama": "warn"},
        ),
        ({"stack_verify_gpu": "off"}, {}, {}),
        (
            {**FULL, "site_engine": "native"},
            {"processes": "/usr/bin/ollama, 2\n"},
            {"engine.gpu.tinyllama": "pass", "engine.gpu_memory": "fail"},
        ),
    ],
)
def test_gpus(chosen, probe, statuses):
    checks = judged(stack(plan=GPU_PLAN, chosen=chosen), probe)
    assert {id: one["status"] for id, one in checks.items() if id.startswith("engine.gpu")} == statuses


def test_what_is_shown():
    probe = {**PROBE, "gpus": {"devices": DEVICES, "error": ""}}
    verification = verify.Verification(stack(one("db", restarts=1), plan=GPU_PLAN), probe)
    assert verification.lines(verification.checks()) == [
        "tinyllama answered in 1.2 s (first token after 0.2 s, 3 tokens): I work.",
        "without a key: 401 no; with a wrong one: 401 no",
        "the engine has RTX 5080 (GPU-1), 15620 of 16303 MiB free",
        "warning: containers.restarts: Docker had to start again: db -> `docker logs` of the container says why; the count goes when the"
        " container is recreated.",
    ]


def test_what_failed_is_said_with_its_fix():
    checks = verify.Verification(stack({"firewall": False}), PROBE).checks()
    assert checks[0]["id"] == "firewall"
    assert verify.failure(checks).splitlines()[1].startswith("firewall: open to neighbours -> Run site.yml, or `systemctl restart")
    assert verify.failure(checks[1:]) == ""


def test_the_engine_alone():
    alone = stack({"contents": {"compose.yml": "services: {ollama: {}}"}, "containers": READING["containers"][:1]})
    assert (alone.has_engine, alone.has_gateway, alone.routes) == (True, False, [])
    asked = verify.first_question(alone)
    assert (asked["url"], asked["model"], asked["env_file"], asked["strangers"]) == ("http://127.0.0.1:11434/v1", "tinyllama", None, False)
    assert judged(alone, {"answer": {"msg": "no"}})["answer"]["observed"] == "no"
    embedded = verify.Verification(alone, {"answer": {"dimensions": 4, "seconds": 2}})
    assert embedded.answer_line() == "tinyllama answered in 2 s with 4 dimensions"
    assert embedded.lines([]) == [embedded.answer_line()]


def test_the_gateway_alone_is_asked_for_a_local_route():
    alone = stack({"contents": {"compose.yml": "services: {litellm: {}}", "config.yml": CONFIG}}, plan=None)
    assert (alone.has_engine, alone.problem(), alone.asked["route"]) == (False, "", "tinyllama")
    assert [one["model"] for one in verify.further_questions(alone)] == ["bge-m3", "earlier"]
    assert "engine_url" not in verify.probe_parameters(alone)


@pytest.mark.parametrize("models", ["[{model_name: gpt, litellm_params: {api_key: x}}]", "[]"])
def test_a_provider_is_asked_as_a_stranger_only(models):
    contents = {"compose.yml": "services: {litellm: {}}", "config.yml": "model_list: " + models}
    alone = stack({"contents": contents, "containers": [container("litellm")]}, plan=None)
    asked = verify.first_question(alone)
    assert (asked["expect"], asked["env_file"], asked["strangers"], asked["model"]) == (
        "refusal", None, True, "gpt" if "gpt" in models else "none",
    )  # fmt: skip
    checks = judged(alone, {"answer": {"status": 401, "reason": "no", "strangers": REFUSED}})
    assert (checks["gateway.answer"]["status"], checks["gateway.answer"]["observed"]) == ("skip", "every route is of a provider")


def test_what_is_probed():
    quick = verify.probe_parameters(stack(plan=GPU_PLAN))
    assert (quick["gpu_container"], quick["expected"], quick["env_file"]) == ("ollama", ["tinyllama", "bge-m3"], "/opt/local_llm/.env")
    assert not {"gpu_processes", "database", "gateway_url"} & set(quick)
    full = verify.probe_parameters(stack(plan=GPU_PLAN, chosen=FULL))
    assert (full["gpu_processes"], full["database"], full["gateway_url"]) == (True, True, "http://127.0.0.1:4444/v1")
    amd = {**GPU_PLAN, "budget": {"kind": "dedicated", "vendor": "amd"}}
    assert "gpu_container" not in verify.probe_parameters(stack(plan=amd))


NATIVE = {"site_engine": "native", "site_gateway": "native"}


def test_what_runs_without_containers():
    native = stack(
        {"contents": {}, "containers": [], "docker": None, "paths": [{"free_mib": 9000}], "files": {}},
        chosen={**NATIVE, **FULL},
        native_engine={"version": "0.40.2", "log": "`journalctl -u ollama`", "fault": "does not run"},
        native_gateway={"version": "1.104.2", "log": "`journalctl -u local-llm-gateway`", "fault": ""},
    )
    assert (native.has_engine, native.has_gateway, native.services) == (True, True, [])
    checks = judged(native, {"gateway_version": "1.0", "database": None})
    assert "containers" not in checks and checks["database"]["status"] == "skip"
    assert (checks["engine.service"]["status"], checks["engine.service"]["observed"]) == ("fail", "Ollama 0.40.2 does not run")
    assert checks["engine.service"]["advice"] == "Run site.yml; `journalctl -u ollama` says why it ends."
    assert (checks["gateway.service"]["status"], checks["gateway.service"]["observed"]) == ("pass", "LiteLLM 1.104.2 runs as it was set up")
    assert checks["gateway.version"]["advice"].startswith("Set litellm_native_version to")


@pytest.mark.parametrize(
    ("is_mac", "engine_log", "gateway_log"),
    [
        (False, "`journalctl -u ollama`", "`journalctl -u local-llm-gateway`"),
        (True, "/usr/local/var/ollama/ollama.log", "/opt/litellm/log/gateway.log"),
    ],
)
def test_what_runs_without_containers_is_not_looked_for_in_docker(is_mac, engine_log, gateway_log):
    gpu = {"budget": {"kind": "unified", "vendor": "apple"}, "models": [TINY]}
    reading = {"contents": {"config.yml": CONFIG}, "containers": [], "docker": None, "units": {"ollama-preload.service": {"enabled": True}}}
    native = stack(reading, plan=gpu, chosen={**NATIVE, **FULL}, is_mac=is_mac)
    broken = engine(version="0.1", loaded=[{"name": "tinyllama", "size": 4, "size_vram": 0}])
    checks = judged(native, {**broken, "answer": {"msg": "no"}}, {"bge-m3": {"msg": "500"}})
    assert "docker" not in " ".join(one["advice"] for id, one in checks.items() if id != "database").lower()
    assert checks["engine.version"]["advice"].startswith("Set ollama_native_version to")
    assert engine_log in checks["engine.gpu.tinyllama"]["advice"] and gateway_log in checks["gateway.answer"]["advice"]
    advice = judged(native, engine(loaded=[]))["engine.preloaded"]["advice"]
    assert advice == "`systemctl start ollama-preload.service` loads it; `journalctl -u ollama-preload.service` says why it was not."


@pytest.mark.parametrize(
    ("chosen", "gateway", "engine"),
    [
        ({}, "http://127.0.0.1:4444/v1", "http://127.0.0.1:11434"),
        ({"site_gateway_bind": "0.0.0.0", "site_ollama_bind": "0.0.0.0"}, "http://127.0.0.1:4444/v1", "http://127.0.0.1:11434"),
        ({"site_gateway_bind": "::", "site_ollama_bind": "192.0.2.7"}, "http://[::1]:4444/v1", "http://192.0.2.7:11434"),
        ({"stack_verify_gateway_url": "https://gw", "stack_verify_engine_url": "https://e"}, "https://gw", "https://e"),
    ],
)
def test_where_gateway_and_engine_are_asked(chosen, gateway, engine):
    unset = {"stack_verify_gateway_url": None, "stack_verify_engine_url": None}
    assert verify.addresses({**SETTINGS, **unset, **chosen}) == {"stack_verify_gateway_url": gateway, "stack_verify_engine_url": engine}


@pytest.mark.parametrize(
    ("chosen", "is_mac", "unit", "paths"),
    [
        ({}, False, "local-llm-preload.service", []),
        ({}, True, "ollama-preload.service", ["/usr/local/var/ollama", "/opt/litellm"]),
        (NATIVE, False, "ollama-preload.service", ["/var/lib/ollama", "/opt/litellm"]),
        ({**NATIVE, "ollama_native_home": "/srv/o"}, False, "ollama-preload.service", ["/srv/o", "/opt/litellm"]),
        ({**NATIVE, "llm_stack_services": ["litellm"]}, False, "local-llm-preload.service", ["/opt/litellm"]),
    ],
)
def test_what_is_read(chosen, is_mac, unit, paths):
    wanted = verify.host_parameters({**SETTINGS, **chosen}, is_mac)
    assert (wanted["units"], wanted["paths"]) == ([unit], paths)


@pytest.mark.parametrize(
    ("reading", "plan", "problem"),
    [
        ({"contents": {}}, PLAN, "This host has no /opt/local_llm/compose.yml: run site.yml for it first."),
        ({}, None, "This host has no /opt/local_llm/plan.json of this version yet: run site.yml for it first."),
        ({}, PLAN, ""),
        ({"contents": {"compose.yml": "{"}}, PLAN, "This host has no /opt/local_llm/compose.yml: run site.yml for it first."),
        ({"contents": {"compose.yml": "- x"}}, PLAN, "This host has no /opt/local_llm/compose.yml: run site.yml for it first."),
    ],
)
def test_where_there_is_nothing_to_verify(reading, plan, problem):
    assert stack(reading, plan=plan).problem() == problem


def test_what_a_run_has_just_decided_goes_before_what_the_files_say():
    subject = stack(given_services=["ollama"], given_shared=["192.0.2.1:1"], silent=["box7", "box9"])
    assert (subject.services, subject.shared) == (["ollama"], ["192.0.2.1:1"])
    assert stack().shared == ["192.0.2.1:5432"]
    silent = judged(stack(silent=["box7"]), {"answer": {"msg": "no"}})["gateway.answer"]["advice"]
    assert silent.endswith("box7 did not answer: stop what hangs there, or take it out of llm_stack_engines.")


def test_files_of_another_form_are_like_none():
    contents = {"compose.yml": "services: [ollama]", "config.yml": "model_list: [x, {model_name: speech, model_info: {mode: rerank}}, {}]"}
    odd = stack({"contents": contents}, given_services=["litellm"], plan=None)
    assert (odd.compose, [route["route"] for route in odd.routes], odd.asked, verify.further_questions(odd)) == ({}, ["speech"], None, [])
    assert stack({"contents": {"config.yml": "model_list: {}"}}).routes == []


def test_a_port_that_is_published_twice_is_told_once():
    found = judged(stack(one("litellm", published=["0.0.0.0:4444", "0.0.0.0:4444"])))["ports"]
    assert found["observed"] == "published besides what is meant: 0.0.0.0:4444"


def test_the_compose_file_is_yaml():
    assert list(stack().compose) == list(yaml.safe_load(COMPOSE)["services"])
