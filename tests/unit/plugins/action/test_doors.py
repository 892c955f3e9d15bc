# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions run on a host, in which order, and what they make of it. The modules are imitated; the scenarios run the real ones."""

from __future__ import annotations

import base64
import json
import types

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.action import host_plan, preflight, stack_secrets, stack_state, stack_verify
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

    def run(action, variables, results, args=None, check=False):
        door, calls = object.__new__(action.ActionModule), []
        door._task = types.SimpleNamespace(args=args or {}, no_log=False, check_mode=check)
        door._loader = types.SimpleNamespace(get_real_file=lambda path: path)
        door._templar = types.SimpleNamespace(template=lambda value: value)

        def execute(module_name, module_args, task_vars):
            calls.append((module_name.rpartition(".")[2], module_args))
            return results.pop(0)

        door._execute_module = execute
        return door.run(None, variables), calls

    return run


VERIFY = {"stack_verify_gateway_url": "http://gw/v1", "stack_verify_engine_url": "http://engine"}


def test_verify_reads_asks_and_judges(run, capsys):
    starting = {**READING, "containers": [{"health": "starting"}]}
    reading = {**READING, "contents": {**READING["contents"], "plan.json": json.dumps(PLAN)}}
    done, calls = run(stack_verify, {**VERIFY, "inventory_hostname": "box"}, [starting, reading, PROBE], {"report_only": True})
    assert [name for name, _args in calls] == ["host_info", "host_info", "stack_probe"]
    assert calls[2][1]["question"]["url"] == "http://engine/v1" and "env_file" not in calls[2][1]["question"]
    assert [one["id"] for one in done["result"]["checks"] if one["status"] == "fail"] == ["containers"]
    assert done["failure"].startswith("This host is not what its plan says:\ncontainers: ollama is not there -> ")
    assert "  [box] tinyllama answered in 1 s (first token after 0.5 s, 3 tokens): I work.\n" in capsys.readouterr().out
    done_by_itself, _calls = run(stack_verify, VERIFY, [reading, PROBE])
    assert done_by_itself["failed"] and done_by_itself["msg"] == done["failure"]
    assert not done.get("failed") and not any("advice" in one for one in done["result"]["checks"] if one["status"] == "pass")


@pytest.mark.parametrize(
    "told",
    [
        {"llm_stack_result": {"exists": False}},
        {"ollama_native_result": {"exists": False}},
        {"litellm_native_result": {"exists": False}},
        {"model_plan_pending": "true"},
    ],
)
def test_verify_asks_nothing_where_there_is_nothing_yet(run, told):
    done, calls = run(stack_verify, {**VERIFY, **told}, [])
    assert done["skipped"] and calls == []


def test_verify_takes_over_a_comparison_that_nothing_was_changed_since(run):
    compared = {
        "reading": READING, "stack": {"services": ["ollama"], "shared": [], "exists": True}, "plan": PLAN, "native_engine": None,
        "native_gateway": None,
    }  # fmt: skip
    done, calls = run(stack_verify, {}, [PROBE], {"compared": compared, "report_only": True})
    assert [name for name, _args in calls] == ["stack_probe"] and calls[0][1]["engine_url"] == "http://127.0.0.1:11434"
    assert done["result"]["depth"] == "quick"


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
    done, _calls = run(stack_verify, {**VERIFY, **variables, "model_plan_result": PLAN}, results)
    assert done["failed"] and message in done["msg"]


@pytest.mark.parametrize(
    ("probe", "failed", "said"),
    [(PROBE, False, "tinyllama answered in 1 s"), ({"answer": {"msg": "nobody is there"}}, True, "nobody is there")],
)
def test_verify_asks_only(run, probe, failed, said):
    done, calls = run(stack_verify, {**VERIFY, "model_plan_result": PLAN}, [READING, probe], {"ask_only": True})
    assert (bool(done.get("failed")), list(calls[1][1])) == (failed, ["question"])
    assert said in done["msg" if failed else "answer"]


UNITS = {
    name: {"sha256": "", "enabled": False} for name in ("local-llm-firewall.service", "local-llm-preload.service", "local-llm-gpu.service")
}
HOST = {
    "ansible_facts": {"system": "Linux", "architecture": "x86_64"},
    "ansible_check_mode": False,
    "groups": {"all": ["box", "box7"]},
    "hostvars": {"box": {"ansible_connection": "ssh"}, "box7": {"site_address": "192.0.2.7"}},
    "inventory_hostname": "box",
    "llm_stack_services": ["ollama"],
    "_site_engine_native": False,
    "_site_gateway_native": False,
    "_site_no_proxy": ["localhost"],
}
FULL = {
    **READING,
    "units": UNITS,
    "environment": None,
    "unfinished": False,
    "cdi": [],
    "docker": {**READING["docker"], "version": "26.1.5", "volumes": []},
}
CPU = {"gpus": [], "memory": {"total_mib": 24105, "limit_mib": None}, "os": "Debian 13", "problems": []}
SYSTEM = {
    "id": "debian",
    "version": "13",
    "codename": "trixie",
    "name": "Debian 13",
    "package_tool": "apt",
    "machine": "x86_64",
    "kernel": "Linux",
}
DAEMON = {
    "installed": True, "snap": False, "version": "26.1.5", "errors": [], "compose_version": "2.26.1", "data_root": "/var/lib/docker",
    "log_driver": "json-file", "flags": [], "applied": True, "unfinished": False, "mirrors": [], "insecure": [], "has_proxy": False,
    "runtimes": [], "cdi": False, "content": "{}",
}  # fmt: skip
NO_CARD = {
    "platform": "machine", "system": SYSTEM, "cards": [], "lent": [], "smi": {"gpus": 0, "version": None}, "loaded": {"version": None},
    "packages": {}, "switches": 0,
}  # fmt: skip
WHOLE = {
    **FULL, "gpus": CPU, "system": SYSTEM, "daemon": DAEMON, "driver": NO_CARD, "engine": {"msg": "no answer"}, "packages": {},
    "checksums": {"/etc/apt/apt.conf.d/52local-llm-nvidia": {"sha256": "", "modified": None}}, "contents": {},
}  # fmt: skip
NATIVE_ENGINE = {
    "installed": "", "versions": [], "started": [], "user": None, "home": False, "above": True, "files": {}, "python": "/usr/bin/python3",
    "release": "", "active": False, "firewall": False, "has_firewall_tool": True, "addresses": [], "foreign": False, "address": "",
    "brewed": False, "sleep": {}, "disk": {"path": "/var/lib/ollama", "free_mib": 1000},
}  # fmt: skip
NATIVE_GATEWAY = {
    "python": {"version": [3, 13, 5], "venv": True}, "user": None, "versions": [], "complete": [], "current": "", "former": "", "files": {},
    "service": {"active": False, "enabled": False}, "stale": False, "answers": False, "port": {"state": "free", "owner": ""},
    "exported": {"names": [], "other": []}, "authorities": True, "disk": {"path": "/opt/litellm", "free_mib": 2000},
}  # fmt: skip
PREFLIGHT = {**settings(["site", "llm_stack", "preflight"], {}, str), **HOST}
REACHED = {
    "clock_offset": 0.0,
    "paths": [{"path": "/srv/docker", "free_mib": 1}],
    "sources": [{"url": "https://registry.ollama.ai/v2/", "ok": False, "reason": "name", "detail": "unknown"}],
}


def test_preflight_tells_all_at_once(run):
    done, calls = run(preflight, {**PREFLIGHT, "llm_stack_ollama_memory": "many"}, [WHOLE, REACHED])
    assert calls[1][1]["paths"] == ["/srv/docker"] and "https://registry-1.docker.io/v2/" in calls[1][1]["sources"]
    assert not {"proxy", "ca_pem"} & set(calls[1][1])
    assert done["msg"].splitlines() == [
        "Nothing was changed. 3 to fix first:",
        "- /srv/docker has 1 MiB free, and preflight_disk_floor_mib asks for 8192; free some, or mount a larger disk there",
        "- llm_stack_ollama_memory: set a number with m or g, such as 2g",
        "- https://registry.ollama.ai/v2/ (unknown): no name server knows it; fix the host's DNS, or set site_model_mirror",
    ]


def test_preflight_tries_no_address_of_wrong_settings(run):
    wrong = {"site_model_mirror": "http://m", "site_ca_certificate": "/nowhere.pem"}
    done, calls = run(preflight, {**PREFLIGHT, **wrong}, [WHOLE])
    assert len(calls) == 1 and done["failed"] and done["msg"].startswith("Nothing was changed. 2 to fix first:\n- site_model_mirror: ")


def test_preflight_of_a_good_host(run, tmp_path):
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    good = {
        "site_ca_certificate": str(tmp_path / "ca.pem"),
    }
    own = {"project": "local-llm", "service": "ollama", "status": "running", "environment_differs": []}
    reading = {**WHOLE, "files": {"compose.yml": {}}, "containers": [own]}
    done, calls = run(preflight, {**PREFLIGHT, **good}, [reading])
    assert done == {"changed": False} and [name for name, _args in calls] == ["host_info"]
    reading["native_engine"] = NATIVE_ENGINE
    done, _calls = run(preflight, {**PREFLIGHT, **good, "site_engine": "native"}, [reading, {**REACHED, "sources": []}])
    assert "- site_engine: the engine of this host runs in a container; run playbooks/uninstall.yml" in done["msg"]


@pytest.mark.parametrize(
    ("daemon", "says"),
    [({"snap": True}, "Docker on this host is the snap package"), ({"content": "{,"}, "/etc/docker/daemon.json is not JSON")],
)
def test_what_keeps_docker_from_being_installed_or_configured(run, daemon, says):
    reading = {**WHOLE, "daemon": {**DAEMON, **daemon}}
    done, _calls = run(preflight, {**PREFLIGHT, "preflight_reach": "never"}, [reading])
    assert "- " + says in done["msg"]
    done, _calls = run(host_plan, BARE, [reading], {"preflight": False})
    assert "- " + says in done["msg"]


def test_preflight_asks_a_host_without_containers_for_nothing_of_a_stack(run):
    native = {"site_engine": "native", "_site_engine_native": True, "preflight_reach": "never", "llm_stack_ollama_memory": "many"}
    reading = {**WHOLE, "native_engine": NATIVE_ENGINE}
    assert run(preflight, {**PREFLIGHT, **native}, [reading])[0] == {"changed": False}


@pytest.mark.parametrize("results", [[{"failed": True, "msg": "no Python"}], [WHOLE, {"failed": True, "msg": "no Python"}]])
def test_preflight_passes_on_what_keeps_it_from_reading(run, results):
    done, _calls = run(preflight, PREFLIGHT, results)
    assert done == {"failed": True, "msg": "no Python"}


def test_settings_of_the_wrong_type_are_told(run):
    for action in (preflight, stack_state):
        done, calls = run(action, {**PREFLIGHT, "site_gateway_port": "many"}, [])
        assert done["failed"] and "site_gateway_port" in done["msg"] and calls == []


BARE = {name: value for name, value in HOST.items() if not name.startswith("_") and name != "ansible_facts"}
FREE = {**REACHED, "sources": [], "paths": [{"path": "/srv/docker", "free_mib": 90000}]}


def test_the_plan_of_a_host_is_made_from_one_reading(run):
    done, calls = run(host_plan, BARE, [WHOLE, FREE])
    assert [name for name, _args in calls] == ["host_info", "host_info"] and calls[1][1]["sources"]
    assert set(calls[0][1]["sections"]) == {"stack", "system", "daemon", "gpus", "driver", "engine"}
    assert done["roles"] == ["docker_engine", "nvidia_container_toolkit", "model_plan", "llm_stack", "ollama_models"], done
    assert done["plan"]["tier"] == "cpu" and done["docker"] and done["native_engine"] is None
    assert done["reading"] == {} and done["stack"]["exists"] and not done["changed"]
    done, calls = run(host_plan, BARE, [WHOLE], {"preflight": False}, check=True)
    assert len(calls) == 1 and not done["stack"]["exists"]
    # Whoever asks for one role alone has that one say what is wrong.
    done, _calls = run(host_plan, {**BARE, "llm_stack_ollama_memory": "many"}, [WHOLE], {"preflight": False, "report": True})
    assert "llm_stack_ollama_memory" in done["failure"] and "llm_stack" in done["roles"] and done["changes"] == []


def test_a_host_that_cannot_be_what_it_is_to_be_is_told_all_at_once(run):
    wrong = {**BARE, "model_plan_require": ["gpt-oss:120b"], "llm_stack_ollama_memory": "many"}
    done, _calls = run(host_plan, wrong, [WHOLE, FREE])
    lines = done["msg"].splitlines()
    assert lines[0] == "Nothing was changed. 2 to fix first:" and [line.split(":")[0] for line in lines[1:]] == [
        "- llm_stack_ollama_memory",
        "- model_plan_require",
    ]
    assert run(host_plan, BARE, [WHOLE, {"failed": True, "msg": "no Python"}])[0]["msg"] == "no Python"
    assert run(host_plan, BARE, [{"failed": True, "msg": "no Python"}])[0]["msg"] == "no Python"
    assert "site_gateway_port" in run(host_plan, {**BARE, "site_gateway_port": "many"}, [])[0]["msg"]


def test_services_without_containers_are_in_the_same_plan(run):
    reading = {**WHOLE, "native_engine": NATIVE_ENGINE, "units": {**UNITS, "ollama-preload.service": {"sha256": "", "enabled": False}}}
    done, calls = run(host_plan, {**BARE, "site_engine": "native"}, [reading, FREE])
    assert done["native_engine"]["exists"] and not done["docker"] and len(calls) == 2
    assert done["roles"] == ["model_plan", "ollama_native", "llm_stack", "ollama_models"] and "native_engine" in calls[0][1]["sections"]
    assert [one["what"] for one in done["changes"] if one["role"] == "ollama_native"][:2] == ["user ollama", "/var/lib/ollama"]


def test_a_mac_is_read_again_as_one(run):
    system = {**SYSTEM, "kernel": "Darwin", "machine": "arm64", "package_tool": ""}
    units = {"ollama-preload.service": {"sha256": "", "enabled": False}}
    mac = {**WHOLE, "system": system, "native_engine": NATIVE_ENGINE, "native_gateway": NATIVE_GATEWAY, "units": units}
    done, calls = run(host_plan, {**BARE, "llm_stack_services": ["ollama", "litellm"]}, [mac, mac, FREE])
    assert [args.get("native_engine", {}).get("user") for _name, args in calls] == [None, "_ollama", None]
    assert "PATH" in done["environment"] and done["native_gateway"]["version"] and done["roles"][-3:-1] == ["llm_stack", "litellm_native"]


STATE = {**settings(["site", "llm_stack"], {}, str), **HOST}


def test_the_state_of_a_bare_host_is_all_that_has_to_be_done(run):
    done, calls = run(stack_state, STATE, [FULL], {"plan": PLAN})
    assert [name for name, _args in calls] == ["host_info"] and not done.get("failed")
    assert [one["what"] for one in done["changes"]][:3] == ["/opt/local_llm", "compose.yml", "firewall"]
    assert (done["exists"], done["result"]["exists"], done["result"]["services"]) == (False, True, ["ollama"])
    assert run(stack_state, STATE, [FULL], {"plan": PLAN}, check=True)[0]["result"]["exists"] is False


def test_the_state_names_what_is_wrong(run):
    silent_docker = {**FULL, "docker": {**FULL["docker"], "version": ""}}
    done, _calls = run(stack_state, {**STATE, "llm_stack_ollama_memory": "many"}, [silent_docker])
    assert done["failed"] and done["msg"].startswith("llm_stack_ollama_memory: set a number")
    assert "; Docker does not answer on this host: run site.yml, or start it" in done["msg"]
    assert not run(stack_state, STATE, [silent_docker], check=True)[0].get("failed")
    assert run(stack_state, STATE, [{"failed": True, "msg": "no Python"}])[0]["msg"] == "no Python"


GATEWAY = {**STATE, "llm_stack_services": ["litellm"], "llm_stack_engines": ["box7"]}
HELD = {"engines": {"box7": {"models": ["tinyllama"]}}}
SLURPED = {"results": [{"item": "box7", "content": base64.b64encode(json.dumps(PLAN).encode()).decode()}, {"item": "box8"}]}


def test_a_gateway_asks_the_engines_of_other_hosts(run):
    done, calls = run(stack_state, {**GATEWAY, "__llm_stack_engine_files": SLURPED}, [FULL, HELD])
    assert calls[1] == ("ollama_model_info", {"engines": {"box7": "http://192.0.2.7:11434"}, "timeout": 5})
    (config,) = [file["content"] for file in done["files"] if file["name"] == "config.yml"]
    assert "http://192.0.2.7:11434" in config and done["result"]["silent"] == []
    hosts = {**HOST["hostvars"], "box7": {"ansible_host": "192.0.2.8", "model_plan_result": PLAN, "site_ollama_port": 11500}}
    done, calls = run(stack_state, {**GATEWAY, "hostvars": hosts}, [FULL, HELD])
    assert calls[1][1]["engines"] == {"box7": "http://192.0.2.8:11500"} and not done.get("failed")


def test_an_engine_that_does_not_answer_keeps_what_is_remembered_of_it(run):
    remembered = json.dumps({"box7": {"api_base": "http://old", "has_gpu": False, "models": [{"name": "tinyllama", "route": "tinyllama"}]}})
    reading = {**FULL, "contents": {"engines.json": remembered}}
    asked = {"engines": {"box7": {"models": None, "msg": "no answer"}}}
    done, _calls = run(stack_state, GATEWAY, [reading, asked])
    assert done["result"]["silent"] == ["box7"]
    assert done["notes"] == ["No answer from box7: there are no routes to them yet"]
    assert any("tinyllama" in file["content"] for file in done["files"] if file["name"] == "engines.json")
    done, _calls = run(stack_state, GATEWAY, [{**FULL, "contents": {"engines.json": "{"}}, asked])
    assert "llm_stack_engines: none of box7 holds a model" in done["msg"]
    assert run(stack_state, GATEWAY, [FULL, {"failed": True, "msg": "no Python"}])[0]["msg"] == "no Python"


@pytest.mark.parametrize(
    "changes",
    [
        {"llm_stack_engines": "box7"},
        {"llm_stack_engines": ["box", "box9"]},
        {"llm_stack_engines": ["box"]},
        {"ansible_connection": "local", "hostvars": {"box": {}, "box7": {}}},
        {"llm_stack_services": ["ollama"]},
    ],
)
def test_engines_are_asked_only_where_they_are_known(run, changes):
    assert len(run(stack_state, {**GATEWAY, **changes}, [FULL])[1]) == 1


PRIMARY = base64.b64encode(b"LITELLM_MASTER_KEY=sk-1\nPOSTGRES_PASSWORD=p\nREDIS_PASSWORD=r\n").decode()


def test_a_second_gateway_is_handed_the_secrets_of_the_first(run):
    first = {"ansible_host": "192.0.2.7", "llm_stack_services": ["db", "redis", "litellm"], "llm_stack_share_bind": "192.0.2.7"}
    variables = {
        **GATEWAY,
        "llm_stack_engines": [],
        "llm_stack_backends": [{"api_base": "http://192.0.2.9:11434", "models": [{"name": "tinyllama"}]}],
        "llm_stack_primary": "box7",
        "site_address": "box",
        "hostvars": {"box": {"ansible_connection": "ssh"}, "box7": first},
        "__llm_stack_primary_env": {"content": PRIMARY},
    }
    done, calls = run(stack_state, variables, [FULL])
    assert done["environment"]["set"] == ["LITELLM_MASTER_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"], done
    assert set(calls[0][1]["environment"]) == set(done["environment"]["set"]) and "sk-1" not in json.dumps([done, calls[0][1]])
    _done, calls = run(stack_secrets, variables, [{"changed": True}], {"set": ["REDIS_PASSWORD"], "backup": "/opt/local_llm/.env.before"})
    assert calls == [
        (
            "env_file",
            {
                "path": "/opt/local_llm/.env",
                "values": {"REDIS_PASSWORD": "r"},
                "generate": {},
                "recover": [],
                "backup": "/opt/local_llm/.env.before",
            },
        )
    ]


def test_ports_that_are_none_are_not_looked_for(run):
    done, calls = run(stack_state, {**STATE, "site_ollama_bind": "box"}, [FULL])
    assert calls[0][1]["ports"] == [] and "site_ollama_bind" in done["msg"]
