# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import Templated, settings
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_problems import SUBJECTS, Stack, addresses, number, words

DEFAULTS = settings(["site", "llm_stack"], {}, str)
READING = {
    "docker": {"volumes": [], "networks": [{"name": "litellm-network", "project": "local-llm"}], "firewall_backend": ""},
    "containers": [{"name": "litellm", "project": "local-llm", "environment_differs": []}],
    "environment": {"names": [], "unread_lines": [], "expanded": []},
    "files": {},
    "iptables": True,
    "paths": [{"exists": True, "free_mib": 9000}, {"exists": True, "free_mib": 9000}],
    "ports": [{"address": "127.0.0.1", "port": 4444, "state": "free", "owner": None}],
}
FIRST = {"llm_stack_services": ["db", "redis", "litellm"], "llm_stack_share_bind": "192.0.2.1", "llm_stack_share_allow": ["192.0.2.2"]}
SECOND = {"llm_stack_primary": "gw1", "llm_stack_services": ["litellm"], "site_address": "192.0.2.2", "llm_stack_engines": ["gw1"]}
ENV = {"LITELLM_MASTER_KEY": "sk-1", "LITELLM_SALT_KEY": "s"}


class Unknown(dict):
    """Variables of a host whose templates cannot be replaced."""

    def get(self, name, default=None):
        raise RuntimeError("'site_address' is undefined")


def host(changes, reading=None):
    """A host's variables, with what its role derives from them as far as problems are found by it."""
    variables = {
        **DEFAULTS,
        "ansible_check_mode": False,
        "ansible_facts": {"system": "Linux"},
        "groups": {"all": ["box", "gw1", "box7"]},
        "hostvars": {"gw1": FIRST},
        "inventory_hostname": "box",
        "site_address": "192.0.2.9",
        "engines": {},
        "env_names": ENV,
        "env_path": "/opt/local_llm/.env",
        "gateway": {"problems": []},
        "asked": False,
        "demanded": [],
        "given_otherwise": [],
        "gpu": {"problems": [], "image": "ollama/ollama:0.40.2"},
        "is_blind": False,
        "models_dir": "/srv/models",
        "models_mib": 5000,
        "secret_names": ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "POSTGRES_PASSWORD"],
        "shared": {"LITELLM_MASTER_KEY": "x", "POSTGRES_PASSWORD": "y"},
        "primary_read": False,
        "silent": [],
        "_site_engine_native": False,
        "reading": {**READING, **(reading or {})},
        **changes,
    }
    services = words(variables["llm_stack_services"])
    native = ["ollama"] if variables["_site_engine_native"] else []
    variables["has"] = {one: one in services and one not in native for one in ("ollama", "db", "redis", "litellm")}
    variables["uses"] = {"db": "db" in services or variables["llm_stack_primary"] == "gw1", "redis": "redis" in services}
    return variables


ALL = {**SUBJECTS, "addresses": addresses, "stack": lambda variables: Stack(variables).all()}


def lines(subject, changes, reading=None):
    return ALL[subject](host(changes, reading))


def test_nothing_is_wrong_with_the_defaults():
    assert [lines(subject, {}) for subject in ALL] == [[]] * len(ALL)


NO_ENGINES = {"llm_stack_services": ["litellm"], "llm_stack_engines": ["box7"], "asked": True}
OTHER_PORT = {"address": "192.0.2.1", "port": 5432, "state": "taken", "owner": "postgres (process 8)"}


@pytest.mark.parametrize(
    ("changes", "beginnings"),
    [
        ({"llm_stack_services": "ollama"}, ["llm_stack_services: it is no list; set some of ollama, db, redis, litellm, as in [ollama]"]),
        ({"llm_stack_services": []}, ["llm_stack_services: it is empty"]),
        ({"llm_stack_models_dir": "/"}, ["llm_stack_models_dir: / is the host"]),
        ({"llm_stack_services": ["ollama", "vllm"]}, ["llm_stack_services: there is no vllm; set some of"]),
        ({"llm_stack_services": ["ollama", "db"]}, ["llm_stack_services: db or redis without litellm"]),
        ({"llm_stack_services": ["litellm"]}, ["llm_stack_services: litellm has no route"]),
        ({"llm_stack_services": ["litellm"], "llm_stack_backends": [{"api_base": "http://b"}]}, []),
        ({"llm_stack_engines": "box7"}, ["llm_stack_engines: it is no list of hosts of the inventory"]),
        ({"llm_stack_engines": ["box7", "box8"]}, ["llm_stack_engines: the inventory has no box8; name its hosts"]),
        ({"llm_stack_engines": ["box"], "is_blind": True}, []),
        ({"llm_stack_engines": ["box7"], "is_blind": True}, ["llm_stack_engines, llm_stack_primary: this run works on the host"]),
        (NO_ENGINES, ["llm_stack_engines: none of box7 holds a model that its plan names: run site.yml for them first"]),
        (
            {**NO_ENGINES, "silent": ["box7"]},
            ["llm_stack_engines: none of box7 holds a model that its plan names (box7 did not answer: run site.yml"],
        ),
        ({**NO_ENGINES, "engines": {"box7": {"models": ["tinyllama"]}}}, []),
        ({**NO_ENGINES, "llm_stack_providers": {"openai": {}}}, []),
        ({"_site_engine_native": True}, ["site_ollama_bind: the gateway in its container cannot reach an engine on 127.0.0.1; set 0.0.0.0"]),
        ({"_site_engine_native": "True", "site_ollama_bind": "0.0.0.0"}, []),
        ({"_site_engine_native": True, "llm_stack_services": ["ollama"]}, []),
        ({"ansible_facts": {"system": "Darwin"}}, ["site_project_dir: Docker on macOS hands containers files below /Users alone"]),
        ({"ansible_facts": {"system": "Darwin"}, "site_project_dir": "/Users/Shared/local_llm"}, []),
        ({"demanded": ["POSTGRES_PASSWORD"]}, ["/opt/local_llm/.env: the volume litellm_postgres_data holds a database, and the file lacks POSTGRES"]),
        ({"llm_stack_share_allow": "192.0.2.1"}, ["llm_stack_share_allow: it is no list"]),
        ({"llm_stack_share_bind": "192.0.2.1"}, ["llm_stack_share_allow: llm_stack_share_bind is 192.0.2.1, and nobody is let in"]),
        (
            {"llm_stack_share_bind": "192.0.2.1", "llm_stack_share_allow": ["192.0.2.2", "gw2", "192.0.2.0/33"]},
            ["llm_stack_share_allow: each is an IPv4 address or network (gw2, 192.0.2.0/33)"],
        ),
        ({"llm_stack_share_bind": "192.0.2.1", "llm_stack_share_allow": ["192.0.2.0/24"]}, []),
        (SECOND, []),
        ({**SECOND, "llm_stack_primary": "gw9"}, ["llm_stack_primary: the inventory has no gw9"]),
        ({"llm_stack_primary": "box"}, []),
        # What only the other host's own roles can tell is no problem of this one.
        ({**SECOND, "hostvars": {"gw1": Unknown(FIRST)}}, []),
        ({**SECOND, "hostvars": {"gw1": {**FIRST, "llm_stack_services": None}}}, []),
        ({"llm_stack_models_dir": 5}, ["llm_stack_models_dir: 5 is no absolute path; set one"]),
        ({**SECOND, "llm_stack_services": ["db", "litellm"]}, ["llm_stack_services: this gateway uses the database and the Redis of gw1"]),
        ({**SECOND, "hostvars": {"gw1": {}}}, ["llm_stack_primary: gw1 runs no redis"]),
        (
            {**SECOND, "hostvars": {"gw1": {"llm_stack_services": ["db", "redis", "litellm"]}}},
            ["llm_stack_share_bind: gw1 keeps its database and its Redis to itself"],
        ),
        ({**SECOND, "site_address": "192.0.2.7"}, ["llm_stack_share_allow: gw1 does not let 192.0.2.7 in"]),
        ({**SECOND, "site_address": "gw2.example.com"}, []),
        ({**SECOND, "site_address": "192.0.2.7", "hostvars": {"gw1": {**FIRST, "llm_stack_share_allow": ["192.0.2.0/24"]}}}, []),
        (
            {**SECOND, "primary_read": True, "shared": {"LITELLM_MASTER_KEY": "x"}},
            ["llm_stack_primary: gw1 has no secrets for database and Redis yet"],
        ),
        ({**SECOND, "primary_read": True}, []),
        ({**SECOND, "primary_read": True, "shared": {}, "ansible_check_mode": True}, []),
        ({"site_gateway_bind": "gateway"}, ["site_gateway_bind, site_ollama_bind, site_gateway_port, site_ollama_port: set 127.0.0.1"]),
        ({"site_gateway_bind": "fd00::1"}, []),
        ({"site_gateway_port": 70000}, ["site_gateway_bind, site_ollama_bind, site_gateway_port, site_ollama_port: set 127.0.0.1"]),
        ({"site_gateway_port": "many"}, ["site_gateway_bind, site_ollama_bind, site_gateway_port, site_ollama_port: set 127.0.0.1"]),
        ({"llm_stack_db_port": 0}, ["site_gateway_bind, site_ollama_bind, site_gateway_port, site_ollama_port: set 127.0.0.1"]),
        ({"site_ollama_bind": "fd00::1"}, ["site_ollama_allow: site_ollama_bind is fd00::1", "site_ollama_bind: it is no address of IPv4"]),
        ({"site_gateway_port": "11434"}, ["site_gateway_port and site_ollama_port are both 11434; give one of them another"]),
        ({"site_gateway_port": 11434, "llm_stack_services": ["ollama"]}, []),
        ({"gpu": {"problems": ["a card"], "image": "x"}}, ["a card"]),
        ({"llm_stack_models_dir": "models"}, ["llm_stack_models_dir: models is no absolute path; set one"]),
        ({"llm_stack_models_dir": "/srv/models"}, []),
        (
            {"llm_stack_ollama_memory": "8", "llm_stack_redis_memory": "0m", "llm_stack_db_memory": "512M"},
            ["llm_stack_ollama_memory: set a number with m or g, such as 2g", "llm_stack_redis_memory: set a number with m or g"],
        ),
        ({"llm_stack_client_keys": {"Continue": {}}}, ["llm_stack_client_keys: a client is named with small letters, digits, - and _ (Continue)"]),
        ({"llm_stack_client_keys": {"a-b": {}, "a_b": {}}}, ["llm_stack_client_keys: a client is named with small letters, digits, - and _ (a-b)"]),
        ({"llm_stack_client_keys": {"ci": {}}}, []),
        (
            {"llm_stack_client_keys": {"ci": {}}, "llm_stack_services": ["ollama", "litellm"]},
            ["llm_stack_client_keys: keys for clients need the database; add db to llm_stack_services"],
        ),
        (
            {"gpu": {"problems": [], "image": "mirror:5000/ollama/ollama:0.16.9"}},
            ["llm_stack_ollama_image: 0.16.9 is older than site_ollama_floor (0.17.1); set a newer one"],
        ),
        ({"gpu": {"problems": [], "image": "ollama/ollama:latest"}}, []),
        (
            {"llm_stack_litellm_image": "ghcr.io/berriai/litellm:main-v1.83.1-stable"},
            ["llm_stack_litellm_image: 1.83.1 is older than site_litellm_floor (1.84.0); set a newer one"],
        ),
        (
            {"llm_stack_litellm_image": "ghcr.io/berriai/litellm:v1.103.9"},
            ["llm_stack_litellm_image: 1.103.9 cannot check its configuration; set 1.104 or newer"],
        ),
        (
            {"given_otherwise": ["LITELLM_MASTER_KEY", "POSTGRES_PASSWORD"]},
            ["LITELLM_MASTER_KEY and POSTGRES_PASSWORD: the host has another than was given; playbooks/rotate.yml puts"],
        ),
        ({"given_otherwise": ["LITELLM_SALT_KEY"]}, ["llm_stack_salt_key: the host has another, which can never be changed"]),
        ({"gateway": {"problems": ["llm_stack_providers.x: no"]}}, ["llm_stack_providers.x: no"]),
        ({"gateway": {"problems": ["llm_stack_providers.x: no"]}, "llm_stack_services": ["ollama"]}, []),
        ({"llm_stack_master_key": "sk-short"}, ["llm_stack_master_key: set sk- and at least 16 letters or digits"]),
        ({"llm_stack_salt_key": "with a blank......"}, ["llm_stack_salt_key: set at least 16 letters or digits"]),
        ({"llm_stack_db_password": "a/b"}, ["llm_stack_db_password: set letters, digits, dots, - and _ only"]),
        ({"llm_stack_master_key": "sk-" + "a" * 16, "llm_stack_salt_key": "b" * 16, "llm_stack_db_password": "c.d-e_f"}, []),
        ({"site_ollama_bind": "0.0.0.0"}, ["site_ollama_allow: site_ollama_bind is 0.0.0.0, and nobody is let in"]),
        ({"site_ollama_bind": "0.0.0.0", "site_ollama_allow": ["192.0.2.30"]}, []),
        ({"site_ollama_allow": "192.0.2.30"}, ["site_ollama_allow: it is no list"]),
        ({"site_ollama_allow": ["192.0.2.300"]}, ["site_ollama_allow: each is an address or network of IPv4 (192.0.2.300)"]),
    ],
)  # fmt: skip
def test_settings(changes, beginnings):
    found = lines("stack", changes)
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


FOREIGN = [{"name": "ollama", "project": "devnet", "environment_differs": []}]
DIFFERS = [{"name": "litellm", "project": "local-llm", "environment_differs": ["LITELLM_SALT_KEY", "POSTGRES_PASSWORD"]}]


@pytest.mark.parametrize(
    ("reading", "changes", "beginnings"),
    [
        ({"ports": [{**OTHER_PORT, "port": 4444}]}, {}, ["site_gateway_port: 4444 belongs to postgres (process 8); stop that, or set another port"]),
        ({"ports": [{**OTHER_PORT, "port": "11434"}]}, {}, ["site_ollama_port: 11434 belongs to postgres"]),
        ({"ports": [{**OTHER_PORT, "port": 5431}]}, {"llm_stack_db_port": "5431"}, ["llm_stack_db_port: 5431 belongs to postgres"]),
        ({"ports": [{**OTHER_PORT, "port": 6379, "state": "no_address"}]}, {}, ["llm_stack_share_bind: the host has no address 192.0.2.1; set one"]),
        ({"ports": [{**OTHER_PORT, "port": 11434, "state": "no_address"}]}, {}, ["site_ollama_bind: the host has no address 192.0.2.1"]),
        ({"ports": [{**OTHER_PORT, "port": 4444, "state": "no_address"}]}, {}, ["site_gateway_bind: the host has no address 192.0.2.1"]),
        (
            {"paths": [{"exists": False}, {"exists": False, "free_mib": 9}]},
            {"llm_stack_models_dir": "/srv/models"},
            ["llm_stack_models_dir: there is no folder /srv; mount the disk, or set another"],
        ),
        (
            {"paths": [{"exists": True}, {"exists": False, "free_mib": 4999}]},
            {"llm_stack_models_dir": "/srv/models"},
            ["llm_stack_models_dir: the models need 5000 MiB, and /srv/models has 4999; free some, or set another"],
        ),
        ({"paths": [{"exists": True}, {"exists": True, "free_mib": 1}]}, {"llm_stack_models_dir": "/srv/models"}, []),
        (
            {"docker": {**READING["docker"], "volumes": ["litellm_postgres_data"]}},
            {"llm_stack_salt_key": "a" * 16, "env_names": {"LITELLM_MASTER_KEY": "x"}},
            ["llm_stack_salt_key: the database was filled without one, and would be unreadable with it; take it out"],
        ),
        ({"environment": None}, {}, []),
        (
            {"environment": {"unread_lines": [3, 7], "expanded": ["A", "B"]}},
            {},
            [
                "/opt/local_llm/.env: Compose cannot read line 3, 7; fix it, or take it out",
                "/opt/local_llm/.env: Compose would replace the $ in A, B; put the value into single quotes",
            ],
        ),
        (
            {"containers": DIFFERS},
            {},
            [
                "/opt/local_llm/.env: LITELLM_SALT_KEY is not the one that the database was filled with",
                "/opt/local_llm/.env: POSTGRES_PASSWORD is not the one that the database has; put the old one back",
            ],
        ),
        ({"files": {".env.new": {}}}, {}, ["/opt/local_llm/.env.new: a change of secrets was cut off; run playbooks/rotate.yml"]),
        (
            {"containers": FOREIGN, "docker": {**READING["docker"], "networks": [{"name": "litellm-network", "project": ""}]}},
            {},
            ["This host has another stack: the network litellm-network, the container ollama. Stop it with `docker compose down`"],
        ),
        ({"iptables": False}, {}, ["the host has Docker, but no iptables"]),
        ({"iptables": False, "docker": None}, {}, []),
        ({"docker": {**READING["docker"], "firewall_backend": "nftables"}}, {}, ["The firewall backend of Docker is nftables"]),
    ],
)  # fmt: skip
def test_the_host(reading, changes, beginnings):
    found = lines("stack", changes, reading)
    assert len(found) == len(beginnings) and all(line.startswith(start) for line, start in zip(found, beginnings)), found


@pytest.mark.parametrize(("value", "expected"), [("4444", 4444), (4444, 4444), ("many", 0), (None, 0), ([], 0)])
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(["a", 1], ["a", "1"]), ({"a": 1}, ["a"]), ("a", []), (None, []), (5, [])])
def test_words(value, expected):
    assert words(value) == expected


def test_who_may_ask_an_engine_where_nothing_is_known_of_services():
    known = {"site_ollama_bind": "0.0.0.0", "site_ollama_allow": [], "_site_engine_native": False}
    assert [line.split(":")[0] for line in SUBJECTS["site_ollama"](known)] == ["site_ollama_allow"]
    assert SUBJECTS["site_ollama"]({**known, "llm_stack_services": ["litellm"]}) == []
    # The firewall of a native engine lets the gateway's container in.
    assert SUBJECTS["site_ollama"]({**known, "_site_engine_native": True, "llm_stack_services": ["ollama", "litellm"]}) == []


def test_variables_are_templated_when_they_are_asked_for():
    asked = []
    variables = Templated({"a": "{{ b }}", "five": 5, "c": "x"}, lambda value: asked.append(value) or str(value).upper())
    assert (variables["a"], variables["a"], variables["five"], "c" in variables, "d" in variables) == (
        "{{ B }}",
        "{{ B }}",
        "5",
        True,
        False,
    )
    assert asked == ["{{ b }}", 5] and variables.get("d", 1) == 1 and len(variables) == len(list(variables)) == 3


def test_texts_of_a_vault_are_texts_and_hostvars_are_left_alone():
    class Vaulted:
        def __str__(self):
            return "http://me:pw@proxy:3128"

    hostvars = Templated({}, str)
    variables = Templated({"site_proxy": Vaulted(), "hostvars": hostvars, "n": None}, lambda value: value)
    assert (variables["site_proxy"], variables["hostvars"], variables["n"]) == ("http://me:pw@proxy:3128", hostvars, None)


def test_a_host_of_macos_is_not_asked_for_iptables():
    mac = {"ansible_facts": {"system": "Darwin"}, "site_project_dir": "/Users/Shared/local_llm"}
    assert Stack(host(mac, {"iptables": False})).of_host() == []
