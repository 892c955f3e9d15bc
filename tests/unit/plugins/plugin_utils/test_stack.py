# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of settings, a plan and a reading: the Compose file, units, firewall, secrets, and what has to be done."""

from __future__ import annotations

import copy
import subprocess

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.plugin_utils import stack
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import settings
from ansible_collections.local_llm.fleet.plugins.plugin_utils.verify import Stack as Verified

DEFAULTS = settings(["site", "llm_stack"], {}, str)
UUID = "GPU-0c1d2e3f-0000-4000-8000-000000000003"
NVIDIA_CDI = {"path": "/var/run/cdi/nvidia.yaml", "kind": "nvidia.com/gpu", "devices": ["0", UUID, "all"]}
ENGINE = {"context_length": 2048, "num_parallel": 1, "max_loaded_models": 1, "keep_alive": "5m", "kv_cache_type": "f16"}
MODEL = {
    "name": "tinyllama",
    "route": "tinyllama",
    "mode": "chat",
    "placement": "cpu",
    "bytes": 2**20 + 1,
    "preload": True,
    "context": 2048,
}
PLAN = {
    "host": {"memory_mib": 64000},
    "budget": {"kind": "cpu", "vendor": None, "mib": 16303},
    "engine": {**ENGINE, "flash_attention": "auto", "gpus": None},
    "models": [MODEL],
}
UNITS = {name: {"sha256": "", "enabled": False} for name in (stack.FIREWALL, stack.PRELOAD, stack.GPU)}
VIRGIN = {
    "docker": None,
    "containers": [],
    "files": {},
    "environment": None,
    "environment_in_containers": [],
    "firewall": None,
    "paths": [],
    "project_dir": None,
    "units": UNITS,
    "unfinished": False,
    "cdi": [],
}
DOCKER = {"version": "26.1.5", "cdi": True, "data_root": "/srv/docker", "volumes": []}
SECRETS = ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "POSTGRES_PASSWORD"]


def made(changes=None, reading=None, plan=..., node=None, **more):
    """The stack of a host whose settings, reading and so on differ from those of a bare one."""
    merged = {**DEFAULTS, **(changes or {})}
    about = stack.Node(**{"name": "box", "preload": "print()\n", **(node or {})})
    return stack.Stack(merged, about, {**VIRGIN, "docker": DOCKER, **(reading or {})}, PLAN if plan is ... else plan, **more)


def compose(*args, **kwargs):
    return yaml.safe_load(made(*args, **kwargs).compose)


def good(first=None, **kwargs):
    """The reading of a host that is what its stack says."""
    wanted = first or made(**kwargs)
    files = {
        name: {"sha256": stack.checksum(content), "mode": mode, "owner": "root"}
        for name, (content, mode, _validate) in wanted.files.items()
    }
    containers = [
        {
            "service": name,
            "project": "local-llm",
            "status": "running",
            "health": "healthy",
            "current": True,
            "definition": service["labels"][stack.DEFINITION_LABEL],
            "environment_differs": [],
        }
        for name, service in wanted.compose_services.items()
    ]
    names = sorted([*wanted.secret_names, *wanted.told, *wanted.clients.values()])
    return {
        **VIRGIN,
        "docker": {**DOCKER, "volumes": ["litellm_ollama_data", "litellm_postgres_data"]},
        "containers": containers,
        "environment": {"names": names, "same": sorted(wanted.told), "mounted": []},
        "files": {**{name: file for name, file in files.items() if wanted.files[name][0]}, ".env": {"mode": "0600", "owner": "root"}},
        "firewall": True,
        "project_dir": {"mode": "0755", "owner": "root"},
        "units": {
            name: {"sha256": stack.checksum(unit["content"]) if unit["needed"] else "", "enabled": unit["enabled"]}
            for name, unit in wanted.units.items()
        },
    }


def told(decision):
    return [(one["what"], one["why"], one["restarts"]) for one in decision["changes"]]


# What has to be done.


def test_nothing_differs_on_a_host_that_is_what_it_is_to_be():
    decision = stack.decide(made(reading=good()))
    assert decision["changes"] == [] and decision["was_well"]
    assert not any(decision[name] for name in ("folders", "files", "units", "firewall", "up", "recreate", "stale_files"))
    assert decision["environment"] == {"set": [], "recover": [], "generate": {}, "close": False}


def test_a_bare_host_gets_everything():
    decision = stack.decide(made(reading={"docker": None}))
    assert decision["folders"] == [{"path": "/opt/local_llm", "mode": "0755"}]
    assert decision["environment"]["generate"] == {"LITELLM_MASTER_KEY": "sk-", "LITELLM_SALT_KEY": "sk-", "POSTGRES_PASSWORD": ""}
    assert [file["name"] for file in decision["files"]] == ["config.yml", "compose.yml", "firewall", "preload.py"]
    assert [(unit["name"], unit["enabled"]) for unit in decision["units"]] == [(stack.FIREWALL, True), (stack.PRELOAD, True)]
    assert decision["firewall"] and decision["up"] and decision["recreate"] == ["ollama", "db", "litellm"] and not decision["was_well"]
    assert [what for what, _why, _restarts in told(decision)] == [
        "/opt/local_llm", ".env", "config.yml", "compose.yml", "firewall", "preload.py", stack.FIREWALL, stack.PRELOAD,
        "ollama", "db", "litellm",
    ]  # fmt: skip


def broken(path, value):
    """A good reading in which one thing is another."""
    reading = copy.deepcopy(good())
    *above, last = path
    place = reading
    for key in above:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return reading


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["files", "config.yml", "sha256"], "x", [("config.yml", "differs", [])]),
        (["files", "firewall", "mode"], "0644", [("firewall", "has another mode or owner", [])]),
        (["files", "preload.py"], None, [("preload.py", "is not there", [])]),
        (["files", ".env", "mode"], "0644", [(".env", "others than root may read it", [])]),
        (["project_dir", "mode"], "0777", [("/opt/local_llm", "is not a folder of root's with mode 0755", [])]),
        (["firewall"], False, [("firewall", "its rules are not in force", [])]),
        (["units", stack.PRELOAD, "enabled"], False, [(stack.PRELOAD, "has to be enabled", [])]),
        (["units", stack.FIREWALL, "sha256"], "x", [(stack.FIREWALL, "differs", [])]),
        (["units", stack.FIREWALL, "sha256"], "", [(stack.FIREWALL, "is not there", [])]),
        (["units", stack.GPU], {"sha256": "old", "enabled": True}, [(stack.GPU, "has to be disabled", [])]),
        (["containers", 1, "status"], "exited", [("db", "is exited", [])]),
        (["containers", 2, "health"], "unhealthy", [("litellm", "is unhealthy", [])]),
        (["containers", 2, "health"], "", [("litellm", "is without a health check", [])]),
        (["containers", 0], None, [("ollama", "is not there", [])]),
        (["containers", 0, "definition"], "x", [("ollama", "runs with other settings", ["ollama"])]),
        (["containers", 0, "current"], False, [("ollama", "runs with other settings", ["ollama"])]),
        (["containers", 2, "environment_differs"], ["GEMINI_API_KEY"], [("litellm", "runs with other settings", ["litellm"])]),
        (["containers", 0, "service"], "openwebui", [("ollama", "is not there", []), ("openwebui", "is not among llm_stack_services", ["openwebui"])]),
    ],
)  # fmt: skip
def test_every_difference_is_named_with_its_reason(path, value, expected):
    assert told(stack.decide(made(reading=broken(path, value)))) == expected


def test_what_is_made_of_several_things_is_recreated_alone():
    old = good()
    for changes, services in (
        ({"llm_stack_db_memory": "2g"}, ["db"]),
        ({"llm_stack_litellm_config": {"litellm_settings": {"json_logs": True}}}, ["litellm"]),
        ({"llm_stack_ollama_volume": "another"}, ["ollama"]),
        ({"llm_stack_db_volume": "another"}, ["db"]),
    ):
        decision = stack.decide(made(changes, old))
        assert decision["recreate"] == services and decision["up"], changes


def test_a_file_that_somebody_edited_is_put_back_and_no_container_replaced():
    decision = stack.decide(made(reading=broken(["files", "compose.yml", "sha256"], "x")))
    assert ([file["name"] for file in decision["files"]], decision["recreate"], decision["up"]) == (["compose.yml"], [], True)


def test_a_compose_file_is_checked_with_the_environment_file_where_there_is_one():
    def checked(*args):
        return next(file["validate"] for file in stack.decide(made(*args))["files"] if file["name"] == "compose.yml")

    # A mere engine has no secrets.
    engine = {"llm_stack_services": ["ollama"]}
    assert checked(engine).startswith("docker compose --env-file /dev/null -f")
    assert checked(engine, {"files": {".env": {"mode": "0600", "owner": "root"}}}).startswith(
        "docker compose --env-file /opt/local_llm/.env"
    )
    assert checked().startswith("docker compose --env-file /opt/local_llm/.env -f")


def test_the_firewall_is_put_in_force_for_its_file_and_its_unit():
    for path in (["files", "firewall", "sha256"], ["units", stack.FIREWALL, "sha256"]):
        assert stack.decide(made(reading=broken(path, "x")))["firewall"]


def test_on_macos_there_are_neither_units_nor_a_firewall():
    decision = stack.decide(made({"site_engine": "container", "site_gateway": "container"}, {"units": {}}, node={"is_mac": True}))
    assert decision["units"] == [] and not decision["firewall"]
    assert [file["name"] for file in decision["files"]] == ["config.yml", "compose.yml", "preload.py"]
    assert decision["files"][0]["validate"].startswith("sh -c ")


# Secrets.


def env(names=(), same=(), mounted=(), containers=(), volumes=(), **changes):
    reading = {
        "environment": {"names": list(names), "same": list(same), "mounted": list(mounted)},
        "environment_in_containers": list(containers),
        "docker": {**DOCKER, "volumes": list(volumes)},
    }
    return made(changes, reading)


def test_lost_secrets_are_taken_from_the_containers_that_run_with_them():
    found = env(["LITELLM_SALT_KEY"], containers=SECRETS, volumes=["litellm_postgres_data"])
    assert found.environment_changes["recover"] == ["LITELLM_MASTER_KEY", "POSTGRES_PASSWORD"]
    assert (found.environment_changes["generate"], found.demanded) == ({}, [])


def test_a_database_demands_the_secrets_that_it_was_made_with():
    found = env(volumes=["litellm_postgres_data"])
    assert found.demanded == ["LITELLM_MASTER_KEY", "POSTGRES_PASSWORD"]
    assert "LITELLM_SALT_KEY" not in found.environment_changes["generate"]
    assert env().demanded == []


def test_given_secrets_are_set_where_they_are_missing_and_told_where_they_are_others():
    given = {"llm_stack_master_key": "sk-0123456789abcdefg", "llm_stack_db_password": "x"}
    found = env(["POSTGRES_PASSWORD"], **given)
    assert found.environment_changes["set"] == ["LITELLM_MASTER_KEY"]
    assert found.given_otherwise == ["POSTGRES_PASSWORD"]
    assert env(SECRETS, same=SECRETS, **given).given_otherwise == []
    assert stack.secret_values(found, ["LITELLM_MASTER_KEY"]) == {"LITELLM_MASTER_KEY": "sk-0123456789abcdefg"}


def test_the_proxy_and_the_keys_of_providers_are_kept_as_the_settings_have_them():
    changes = {"site_proxy": "http://u:p@proxy:3128", "llm_stack_providers": {"gemini": {"api_key": "k", "models": ["gemini-2.5-flash"]}}}
    found = env(SECRETS, **changes)
    assert found.environment_changes["set"] == ["GEMINI_API_KEY", "SITE_PROXY"]
    assert (
        env([*SECRETS, "GEMINI_API_KEY", "SITE_PROXY"], same=["GEMINI_API_KEY", "SITE_PROXY"], **changes).environment_changes["set"] == []
    )
    assert stack.decide(found)["recreate"] == ["ollama", "db", "litellm"]
    service = found.compose_services["ollama"]["environment"]
    assert service["HTTPS_PROXY"] == "${SITE_PROXY:?}" and service["NO_PROXY"].startswith("localhost,127.0.0.1,::1,ollama,db,redis")


def test_keys_of_clients_are_made_and_those_of_others_are_to_go():
    found = env([*SECRETS, "CLIENT_KEY_OLD", "CLIENT_KEY_A_B"], llm_stack_client_keys={"a-b": {"rpm_limit": 5}, "new": None})
    assert found.environment_changes["generate"] == {"CLIENT_KEY_NEW": "sk-"}
    assert found.stale_clients == ["CLIENT_KEY_OLD"]
    assert found.client_keys == [
        {"alias": "a-b", "variable": "CLIENT_KEY_A_B", "rpm_limit": 5},
        {"alias": "new", "variable": "CLIENT_KEY_NEW"},
        {"alias": "CLIENT_KEY_OLD", "variable": "CLIENT_KEY_OLD", "state": "absent"},
    ]


def test_a_change_of_secrets_recreates_the_services_that_are_given_them():
    reading = good()
    reading["environment"]["names"].remove("LITELLM_SALT_KEY")
    reading["docker"]["volumes"] = []
    decision = stack.decide(made(reading=reading))
    assert (decision["recreate"], decision["up"]) == (["litellm"], True)
    assert told(decision)[0] == (".env", "made: LITELLM_SALT_KEY", [])


def test_what_else_is_told_of_the_environment_file():
    reading = {**good(), "environment_in_containers": ["POSTGRES_PASSWORD"]}
    reading["environment"]["names"] = ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY"]
    lines = told(stack.decide(made({"site_proxy": "http://proxy:1"}, reading)))
    assert (".env", "taken from the container that runs with it: POSTGRES_PASSWORD", []) in lines
    assert (".env", "taken from the settings: SITE_PROXY", []) in lines


# Other hosts.

SECOND = {"llm_stack_primary": "gw1", "llm_stack_services": ["litellm"]}
SHARED = {"LITELLM_MASTER_KEY": "sk-1", "POSTGRES_PASSWORD": "p", "REDIS_PASSWORD": "r", "OTHER": "x"}


def test_a_second_gateway_uses_database_redis_and_secrets_of_the_first():
    engines = {"box7": {"api_base": "http://192.0.2.7:11434", "has_gpu": False, "models": [{"name": "tinyllama"}]}}
    others = stack.Others({"box7": "http://192.0.2.7:11434"}, engines, "192.0.2.1", SHARED)
    found = made({**SECOND, "llm_stack_engines": ["box7"]}, others=others)
    service = found.compose_services["litellm"]
    assert service["environment"]["DATABASE_URL"] == "postgresql://llmproxy:${POSTGRES_PASSWORD:?}@192.0.2.1:5432/litellm"
    expected = {"REDIS_HOST": "192.0.2.1", "REDIS_PORT": "6379", "DISABLE_SCHEMA_UPDATE": "true"}
    assert {name: service["environment"][name] for name in expected} == expected
    assert "depends_on" not in service and "volumes" not in yaml.safe_load(found.compose)
    assert found.environment_changes["set"] == ["LITELLM_MASTER_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]
    assert "LITELLM_SALT_KEY" not in found.environment_changes["generate"]
    assert "192.0.2.1" in found.inside and "192.0.2.7" in found.inside
    assert [model["model_name"] for model in yaml.safe_load(found.config)["model_list"]] == ["tinyllama"]
    assert '"box7"' in found.files["engines.json"][0]


def test_a_first_gateway_publishes_database_and_redis_for_the_named_hosts():
    shares = {"llm_stack_share_bind": "192.0.2.1", "llm_stack_share_allow": ["192.0.2.2"], "llm_stack_services": ["db", "redis", "litellm"]}
    found = made({**shares, "llm_stack_backends": [{"api_base": "http://[bad", "models": [{"name": "tinyllama"}]}]})
    services = found.compose_services
    assert (services["db"]["ports"], services["redis"]["ports"]) == (["192.0.2.1:5432:5432"], ["192.0.2.1:6379:6379"])
    assert found.exposed == [("192.0.2.2", 5432), ("192.0.2.2", 6379)]
    assert found.result()["shared"] == ["192.0.2.1:5432", "192.0.2.1:6379"]
    assert services["litellm"]["environment"]["REDIS_HOST"] == "redis"
    assert services["redis"]["environment"] == {"REDISCLI_AUTH": "${REDIS_PASSWORD:?}"}


# The Compose file.


def test_the_compose_file_of_a_small_host():
    found = compose({"site_gateway_bind": "::1", "llm_stack_litellm_environment": {"LITELLM_LOG": "INFO"}})
    assert list(found["services"]) == ["ollama", "db", "litellm"]
    ollama, litellm = found["services"]["ollama"], found["services"]["litellm"]
    assert (ollama["mem_limit"], ollama["ports"], ollama["volumes"]) == ("57600m", ["127.0.0.1:11434:11434"], ["ollama:/root/.ollama"])
    assert ollama["environment"] == {
        "OLLAMA_CONTEXT_LENGTH": "2048", "OLLAMA_NUM_PARALLEL": "1", "OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_KEEP_ALIVE": "5m",
        "OLLAMA_NO_CLOUD": "1",
    }  # fmt: skip
    assert not {"devices", "deploy", "cap_add"} & set(ollama)
    assert litellm["ports"] == ["[::1]:4444:4000"] and litellm["environment"]["LITELLM_LOG"] == "INFO"
    assert litellm["environment"]["LITELLM_SALT_KEY"] is None and "secrets" not in litellm and "labels" in litellm
    assert list(litellm["depends_on"]) == ["db", "ollama"]
    assert found["volumes"] == {"ollama": {"name": "litellm_ollama_data"}, "db": {"name": "litellm_postgres_data"}}
    for service in found["services"].values():
        assert service["cap_drop"] == ["ALL"] and service["healthcheck"]["start_interval"] == "1s"


def test_an_older_docker_looks_more_often():
    check = compose(reading={"docker": {**DOCKER, "version": "24.0.7"}})["services"]["db"]["healthcheck"]
    assert check["interval"] == "5s" and "start_interval" not in check
    assert made(reading={"docker": None}).compose_services["db"]["healthcheck"]["interval"] == "5s"


def test_a_folder_for_models_is_mounted_and_must_be_there():
    changes = {"llm_stack_models_dir": "/srv/models/", "llm_stack_ollama_memory": "12g"}
    found = made(changes, {"paths": [{"exists": True}, {"exists": True, "mode": "0755", "owner": "root"}]})
    mount = {"type": "bind", "source": "/srv/models", "target": "/root/.ollama", "bind": {"create_host_path": False}}
    assert found.compose_services["ollama"]["volumes"] == [mount] and found.compose_services["ollama"]["mem_limit"] == "12g"
    assert found.volumes == {"db": {"name": "litellm_postgres_data"}}
    assert {"path": "/srv/models", "mode": "0700"} in found.folders
    assert found.result()["models_dir"] == "/srv/models/models"
    closed = made(changes, {"paths": [{"exists": True}, {"exists": True, "mode": "0700", "owner": "root"}]})
    assert [folder["path"] for folder in closed.folders] == ["/opt/local_llm"]


def test_the_sites_authorities_are_mounted_and_change_the_services():
    found = compose(node={"ca_pem": "PEM", "ca_bundle": "/etc/pki/tls/certs/ca-bundle.crt"})["services"]
    mount = "/etc/pki/tls/certs/ca-bundle.crt:/etc/ssl/certs/ca-certificates.crt:ro"
    assert mount in found["ollama"]["volumes"] and mount in found["litellm"]["volumes"]
    assert found["litellm"]["environment"]["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"
    plain = compose()["services"]
    assert [name for name in plain if plain[name]["labels"] != found[name]["labels"]] == ["ollama", "litellm"]
    other = compose(node={"ca_pem": "PEM2", "ca_bundle": "/etc/pki/tls/certs/ca-bundle.crt"})["services"]
    assert [name for name in found if other[name]["labels"] != found[name]["labels"]] == ["ollama", "litellm"]


def test_a_gateway_beside_a_native_engine():
    found = made({"site_engine": "native", "site_ollama_bind": "0.0.0.0"})
    assert found.services == ["db", "litellm"] and found.models == [] and found.planned == [MODEL]
    assert found.compose_services["litellm"]["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert yaml.safe_load(found.config)["model_list"][0]["litellm_params"]["api_base"] == "http://host.docker.internal:11434"
    assert found.is_complete is False and made({"site_engine": "native"}, {"files": {"compose.yml": {}}}).is_complete is False
    native = {"site_engine": "native", "site_gateway": "native"}
    assert made(native, {"files": {"plan.json": {}}}).is_complete


# What each host's GPUs are: the budget's vendor, the GPUs of the plan, whether Docker knows CDI, and what devices there are.
GPUS = {
    "cdi": {"vendor": "nvidia", "cdi": [NVIDIA_CDI]},
    "cdi-one": {"vendor": "nvidia", "gpus": [UUID], "cdi": [NVIDIA_CDI]},
    "cdi-other": {"vendor": "nvidia", "gpus": ["MIG-1"], "cdi": [NVIDIA_CDI]},
    "no-specification": {"vendor": "nvidia"},
    "old-docker": {"vendor": "nvidia", "docker_cdi": False, "cdi": [NVIDIA_CDI]},
    "old-docker-one": {"vendor": "nvidia", "gpus": [UUID], "docker_cdi": False},
    "told": {"vendor": "nvidia", "cdi": [NVIDIA_CDI], "injection": "legacy"},
    "amd": {"vendor": "amd"},
    "amd-one": {"vendor": "amd", "gpus": ["GPU-0123456789abcdef"]},
    "amd-unnamed": {"vendor": "amd", "gpus": ["0000:03:00.0"]},
    "amd-vulkan": {"vendor": "amd", "backend": "vulkan"},
    "intel": {"vendor": "intel"},
}


def on_gpu(name):
    host = GPUS[name]
    backend = {"backend": host["backend"]} if "backend" in host else {}
    engine = {**ENGINE, **backend, "kv_cache_type": "q8_0", "flash_attention": "on", "gpus": host.get("gpus")}
    budget = {"kind": "dedicated", "vendor": host["vendor"], "mib": 16303}
    plan = {**PLAN, "budget": budget, "engine": engine, "models": [{**MODEL, "placement": "gpu"}]}
    reading = {"docker": {**DOCKER, "cdi": host.get("docker_cdi", True)}, "cdi": host.get("cdi", [])}
    found = made({"llm_stack_services": ["ollama"], "llm_stack_gpu_injection": host.get("injection", "auto")}, reading, plan)
    return found, found.compose_services["ollama"]


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("cdi", {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"], "capabilities": ["gpu"]}),
        ("cdi-one", {"driver": "cdi", "device_ids": ["nvidia.com/gpu=" + UUID], "capabilities": ["gpu"]}),
        ("no-specification", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
        ("old-docker", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
        ("old-docker-one", {"driver": "nvidia", "device_ids": [UUID], "capabilities": ["gpu"]}),
        ("told", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
    ],
)
def test_nvidia(name, devices):
    found, service = on_gpu(name)
    assert service["deploy"]["resources"]["reservations"]["devices"] == [devices]
    assert "devices" not in service and found.gpu["problems"] == [] and not service["image"].endswith("-rocm")
    assert service["environment"]["OLLAMA_KV_CACHE_TYPE"] == "q8_0" and service["environment"]["OLLAMA_FLASH_ATTENTION"] == "1"
    assert (found.units[stack.GPU]["enabled"], stack.GPU in found.units_differing) == (True, True)


def test_amd_and_intel():
    _found, service = on_gpu("amd")
    assert service["devices"] == ["/dev/kfd", "/dev/dri"] and service["image"].endswith("-rocm") and "deploy" not in service
    assert on_gpu("amd-one")[1]["environment"]["ROCR_VISIBLE_DEVICES"] == "GPU-0123456789abcdef"
    _found, service = on_gpu("amd-vulkan")
    assert service["devices"] == ["/dev/dri"] and service["environment"]["OLLAMA_VULKAN"] == "1"
    assert (on_gpu("intel")[1]["devices"], on_gpu("intel")[1]["cap_add"]) == (["/dev/dri"], ["PERFMON"])


@pytest.mark.parametrize(
    ("name", "says"), [("cdi-other", "systemctl restart nvidia-cdi-refresh"), ("amd-unnamed", "leave model_plan_gpus empty")]
)
def test_gpus_that_cannot_be_handed_out(name, says):
    (line,) = on_gpu(name)[0].gpu["problems"]
    assert line.startswith("model_plan_gpus: ") and says in line


def test_a_host_without_a_plan():
    found = made({"llm_stack_services": ["litellm"]}, plan=None)
    assert (found.planned, found.models_mib, found.ollama_memory, stack.engine_environment(None)) == ([], 0, "", {})
    assert made().models_mib == 2


# Providers.

PROVIDERS = {
    "lmstudio": {"provider": "openai", "api_base": "http://192.0.2.9:1234/v1", "models": ["qwen3-8b"]},
    "bedrock": {"models": ["claude"], "secrets": {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}},
    "vertex_ai": {"models": ["gemini-2.5-pro"], "files": {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}},
    "gemini": {"models": ["gemini-2.5-flash"]},
}


def with_providers(mounted=()):
    changes = {"llm_stack_services": ["litellm"], "llm_stack_providers": PROVIDERS, "llm_stack_fallbacks": {"*": ["qwen3-8b"]}}
    reading = {"environment": {"names": ["LITELLM_MASTER_KEY", *mounted], "same": [], "mounted": list(mounted)}}
    return made(changes, reading, control_files={"key.json": {"path": "/x/key.json", "sha256": "abc"}})


def test_the_gateway_is_given_secrets_by_name_and_files_mounted():
    found = with_providers()
    content, service = yaml.safe_load(found.compose), found.compose_services["litellm"]
    names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"]
    assert {name: service["environment"][name] for name in names} == dict.fromkeys(names)
    assert "GEMINI_API_KEY" not in service["environment"] and service["labels"][stack.VARIABLES_LABEL] == " ".join(names)
    assert service["secrets"] == ["GOOGLE_APPLICATION_CREDENTIALS"]
    assert content["secrets"] == {"GOOGLE_APPLICATION_CREDENTIALS": {"file": "./secrets/GOOGLE_APPLICATION_CREDENTIALS"}}
    assert "AKIA" not in found.compose + found.config
    assert stack.secret_values(found, ["AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS"]) == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/GOOGLE_APPLICATION_CREDENTIALS",
    }
    assert stack.decide(found)["provider_files"][0]["path"] == "/x/key.json"


def test_a_providers_file_is_put_right_on_the_host():
    name = "GOOGLE_APPLICATION_CREDENTIALS"
    for there, said in (({}, "is not there"), ({name: {"mode": "0644", "owner": "root", "sha256": "abc"}}, "differs")):
        found = with_providers()
        found.reading["secret_files"] = there
        decision = stack.decide(found)
        assert ("secrets/" + name, said, []) in told(decision) and decision["up"] and len(decision["provider_files"]) == 1
    found.reading["secret_files"] = {name: {"mode": "0400", "owner": "root", "sha256": "abc"}}
    assert stack.decide(found)["provider_files"] == []


def test_files_of_earlier_providers_are_to_go():
    found = with_providers(["OLD_FILE", "GOOGLE_APPLICATION_CREDENTIALS"])
    assert found.stale_files == ["OLD_FILE"] and "GOOGLE_APPLICATION_CREDENTIALS" not in found.environment_changes["set"]
    assert ("secrets/OLD_FILE", "no provider is given it any more", []) in told(stack.decide(found))


def test_what_is_left_out_stands_in_the_configuration_where_verification_finds_it():
    found = with_providers()
    note = (
        "llm_stack_providers.gemini: no route gemini-2.5-flash, because there is no key; set api_key, or GEMINI_API_KEY in the host's .env"
    )
    assert [line for line in found.config.splitlines() if line.startswith("# Left out: " + note)]
    assert yaml.safe_load(found.config)["router_settings"]["default_fallbacks"] == ["qwen3-8b"]
    assert Verified({}, {"contents": {"config.yml": found.config}}).notes[0].startswith(note)
    assert stack.decide(found)["notes"][0].startswith(note)
    assert found.config.endswith("master_key: os.environ/LITELLM_MASTER_KEY\n")


# Firewall and units.


def test_the_firewall_lets_in_who_is_named():
    found = made({"site_ollama_bind": "0.0.0.0", "site_ollama_allow": ["192.0.2.30", "198.51.100.0/24"]})
    rules = [line.strip() for line in found.firewall.splitlines() if "RETURN" in line]
    assert rules == [
        '"$@" -p tcp -m conntrack --ctstate DNAT --ctorigdstport 4444 -j RETURN &&',
        '"$@" -s 192.0.2.30 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 11434 -j RETURN &&',
        '"$@" -s 198.51.100.0/24 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 11434 -j RETURN &&',
    ]
    assert 'wc -l)" = 5 ]' in found.firewall
    assert "http://127.0.0.1:11434" in found.units[stack.PRELOAD]["content"]
    assert subprocess.run(["sh", "-n"], input=found.firewall, text=True, check=False).returncode == 0
    assert "ctorigdstport" not in made({"llm_stack_services": ["ollama"]}).firewall and made().exposed == []


@pytest.mark.parametrize(("address", "expected"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("box", False)])
def test_loopback(address, expected):
    assert stack.is_loopback(address) is expected


def test_what_the_host_is_asked():
    asked = stack.parameters({**DEFAULTS, "llm_stack_models_dir": "/models"}, False)
    assert asked["ports"] == [{"address": "127.0.0.1", "port": 11434}, {"address": "127.0.0.1", "port": 4444}]
    assert asked["paths"] == ["/", "/models"] and asked["containers"] == ["ollama", "litellm_db", "litellm_redis", "litellm"]
    assert stack.parameters(DEFAULTS, True)["units"] == [] and stack.parameters(DEFAULTS, True)["ports"] == []
