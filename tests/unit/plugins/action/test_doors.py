# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions run on a host, in which order, and what they make of it. The modules are imitated; the scenarios run the real ones."""

from __future__ import annotations

import json
import types

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.action import preflight, stack_verify
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings

READING = {
    "containers": [],
    "contents": {"compose.yml": "services: {ollama: {}}", "config.yml": None, "plan.json": None},
    "docker": {"free_mib": 50000, "data_root": "/srv/docker"},
    "files": {},
    "firewall": True,
    "iptables": True,
    "memory_mib": 8000,
    "paths": [],
    "ports": [],
    "project_dir": None,
    "systemd": True,
    "units": {},
    "user": "root",
}
MODEL = {"name": "tinyllama", "route": "tinyllama", "mode": "chat", "placement": "cpu", "resident": True, "context": 2048, "bytes": 1}
PLAN = {"schema": 1, "status": "final", "budget": {"kind": "cpu"}, "engine": {}, "models": [MODEL]}
ANSWER = {"answer": "I work.", "seconds": 1, "time_to_first_token": 0.5, "tokens": 3}
PROBE = {"answer": ANSWER, "engine": {"version": "0.40.2", "models": [], "missing": [], "loaded": []}}


@pytest.fixture
def run(monkeypatch):
    """A function that runs an action over imitated modules, and returns its result and the calls."""
    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    monkeypatch.setattr(stack_verify.time, "sleep", lambda seconds: None)

    def run(action, variables, results, args=None):
        door, calls = object.__new__(action.ActionModule), []
        door._task = types.SimpleNamespace(args=args or {}, no_log=False)
        door._templar = types.SimpleNamespace(template=lambda value: value)

        def execute(module_name, module_args, task_vars):
            calls.append((module_name.rpartition(".")[2], module_args))
            return results.pop(0)

        door._execute_module = execute
        return door.run(None, variables), calls

    return run


VERIFY = {"stack_verify_gateway_url": "http://gw/v1", "stack_verify_engine_url": "http://engine"}


def test_verify_reads_asks_and_judges(run):
    starting = {**READING, "containers": [{"health": "starting"}]}
    reading = {**READING, "contents": {**READING["contents"], "plan.json": json.dumps(PLAN)}}
    done, calls = run(stack_verify, VERIFY, [starting, reading, PROBE])
    assert [name for name, _args in calls] == ["host_info", "host_info", "stack_probe"]
    assert calls[2][1]["question"]["url"] == "http://engine/v1" and "env_file" not in calls[2][1]["question"]
    assert [one["id"] for one in done["result"]["checks"] if one["status"] == "fail"] == ["containers"]
    assert done["failure"].startswith("This host is not what its plan says:\ncontainers: ollama is not there -> ")
    assert done["lines"] == ["tinyllama answered in 1 s (first token after 0.5 s, 3 tokens): I work."]
    assert not done.get("failed") and not any("advice" in one for one in done["result"]["checks"] if one["status"] == "pass")


def test_verify_asks_each_further_route_by_itself(run):
    config = "model_list: [{model_name: a, litellm_params: {}}, {model_name: b, litellm_params: {}}, {model_name: c, litellm_params: {}}]"
    contents = {"compose.yml": "services: {litellm: {}}", "config.yml": config}
    results = [{**READING, "contents": contents}, PROBE, {"failed": True, "msg": "b: 500"}, {"answer": "yes"}]
    done, calls = run(stack_verify, {**VERIFY, "stack_verify_depth": "full"}, results)
    assert [(name, args.get("model")) for name, args in calls[2:]] == [("llm_endpoint_check", "b"), ("llm_endpoint_check", "c")]
    routes = {one["id"]: one["status"] for one in done["result"]["checks"] if one["id"].startswith("gateway.route.")}
    assert routes == {"gateway.route.b": "fail", "gateway.route.c": "pass"}


@pytest.mark.parametrize(
    ("results", "variables", "message"),
    [
        ([{"failed": True, "msg": "no Python"}], {}, "no Python"),
        ([{**READING, "contents": {}}], {}, "This host has no /opt/local_llm/compose.yml: run site.yml for it first."),
        ([READING, {"failed": True, "msg": "no Python"}], {}, "no Python"),
        ([], {"site_gateway_port": "many"}, "site_gateway_port"),
    ],
)
def test_verify_fails_where_there_is_nothing_to_judge(run, results, variables, message):
    done, _calls = run(stack_verify, {**VERIFY, **variables}, results, {"plan": PLAN})
    assert done["failed"] and message in done["msg"]


@pytest.mark.parametrize(
    ("probe", "failed", "said"),
    [(PROBE, False, "tinyllama answered in 1 s"), ({"answer": {"msg": "nobody is there"}}, True, "nobody is there")],
)
def test_verify_asks_only(run, probe, failed, said):
    done, calls = run(stack_verify, VERIFY, [READING, probe], {"ask_only": True, "plan": PLAN})
    assert (bool(done.get("failed")), list(calls[1][1])) == (failed, ["question"])
    assert said in done["msg" if failed else "answer"]


PREFLIGHT = {
    **settings(["site", "llm_stack", "preflight"], {}, str),
    "ansible_facts": {"system": "Linux", "architecture": "x86_64"},
    "model_plan_setting_problems": [],
    "_llm_stack_complete": False,
    "_llm_stack_gpu": {"image": "ollama/ollama:0.40.2"},
    "_llm_stack_has": {"ollama": True, "db": False, "redis": False, "litellm": False},
    "_llm_stack_problems": ["llm_stack_network: no"],
    "_llm_stack_services": ["ollama"],
    "_site_ca_path": "/nowhere.pem",
    "_site_ca_pem": "",
    "_site_engine_native": False,
    "_site_gateway_native": False,
    "_site_no_proxy": ["localhost"],
    "__llm_stack_host": READING,
}
REACHED = {
    "clock_offset": 0.0,
    "paths": [{"path": "/srv/docker", "free_mib": 1}],
    "sources": [{"url": "https://registry.ollama.ai/v2/", "ok": False, "reason": "name", "detail": "unknown"}],
}


def test_preflight_tells_all_at_once(run):
    done, calls = run(preflight, PREFLIGHT, [REACHED])
    assert calls[0][1]["paths"] == ["/srv/docker"] and "https://registry-1.docker.io/v2/" in calls[0][1]["sources"]
    assert not {"proxy", "ca_pem"} & set(calls[0][1])
    assert done["msg"].splitlines() == [
        "Nothing was changed. 3 to fix first:",
        "- /srv/docker has 1 MiB free, and preflight_disk_floor_mib asks for 8192; free some, or mount a larger disk there",
        "- llm_stack_network: no",
        "- https://registry.ollama.ai/v2/ (unknown): no name server knows it; fix the host's DNS, or set site_model_mirror",
    ]


def test_preflight_tries_no_address_of_wrong_settings(run):
    wrong = {"site_model_mirror": "http://m", "site_ca_certificate": "/nowhere.pem", "_llm_stack_problems": []}
    done, calls = run(preflight, {**PREFLIGHT, **wrong}, [])
    assert calls == [] and done["failed"] and done["msg"].startswith("Nothing was changed. 2 to fix first:\n- site_model_mirror: ")


def test_preflight_of_a_good_host(run, tmp_path):
    (tmp_path / "ca.pem").touch()
    good = {
        "site_ca_certificate": "ca.pem",
        "_site_ca_path": str(tmp_path / "ca.pem"),
        "_site_ca_pem": "-----BEGIN CERTIFICATE-----",
        "_site_gateway_native": True,
        "__litellm_native_state": {},
        "_litellm_native_problems": [],
        "_llm_stack_problems": [],
        "_llm_stack_complete": True,
        "__docker_engine_plan": {"problems": []},
    }
    assert run(preflight, {**PREFLIGHT, **good}, []) == ({"changed": False}, [])


def test_preflight_leaves_a_host_without_containers_to_its_own_role(run):
    native = {"_llm_stack_services": [], "preflight_reach": "never"}
    assert run(preflight, {**PREFLIGHT, **native}, []) == ({"changed": False}, [])


def test_preflight_passes_on_what_keeps_it_from_reading(run):
    done, _calls = run(preflight, PREFLIGHT, [{"failed": True, "msg": "no Python"}])
    assert done == {"failed": True, "msg": "no Python"}
