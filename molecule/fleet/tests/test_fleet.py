# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three engines behind two gateways: who may ask whom, what a lost host costs, and how routes follow plans."""

from __future__ import annotations

import collections
import concurrent.futures
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import PROJECT, Run, docker, key, run, sh, until

INVENTORY = TOP / "molecule/fleet/inventory"
Run.inventory = INVENTORY
ENGINES = {"fleet-e1": "172.30.90.83", "fleet-e2": "172.30.90.84", "fleet-e3": "172.30.90.85"}
GATEWAYS = {"fleet-g1": "172.30.90.81", "fleet-g2": "172.30.90.82"}


def ask(gateway, secret, kind="chat/completions", number=0):
    """Ask a gateway from this machine, as a client does. Returns the outcome, and how many seconds it took."""
    content = {
        "chat/completions": {"model": "tinyllama", "messages": [{"role": "user", "content": "Question %d" % number}]},
        "completions": {"model": "tinyllama", "prompt": "Question %d" % number},
        "embeddings": {"model": "bge-m3", "input": "Text %d" % number},
    }
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + secret}
    body = json.dumps(content[kind]).encode()
    started = time.monotonic()
    try:
        with urllib.request.urlopen(
            urllib.request.Request("http://%s:4444/v1/%s" % (GATEWAYS[gateway], kind), body, headers), timeout=120
        ) as answer:
            text = answer.read().decode()
        outcome = "answered" if "every part of this chain works" in text or "embedding" in text else text[:200]
    except urllib.error.HTTPError as error:
        outcome = "%d %s" % (error.code, error.read().decode()[:200])
    except OSError as error:
        outcome = str(error)
    return outcome, time.monotonic() - started


def reaches(host, address, port):
    script = f"import socket; socket.create_connection(('{address}', {port}), 3); print('open')"
    return docker("exec", host, "python3", "-c", script, check=False).strip() == "open"


def deployments(gateway="fleet-g1"):
    """The addresses that each route of a gateway goes to, without those that are there again for when one fails."""
    found = collections.defaultdict(list)
    for model in yaml.safe_load(sh(gateway, f"cat {PROJECT}/config.yml"))["model_list"]:
        if model["litellm_params"].get("order", 1) == 1:
            found[model["model_name"]].append(model["litellm_params"]["api_base"].split("/")[2].split(":")[0])
    return dict(found)


def nothing_to_do(inventory=INVENTORY):
    done = Run("all", inventory=inventory).end()
    assert (done.failed, done.changed) == (False, [])


@pytest.fixture(scope="module")
def secret():
    return key("fleet-g1")


def test_one_key_opens_both_gateways(secret):
    assert key("fleet-g2") == secret
    assert [ask(gateway, secret)[0] for gateway in GATEWAYS] == ["answered"] * 2
    assert ask("fleet-g2", "sk-" + "0" * 40)[0].startswith("400")  # the lab's LiteLLM; the official image says 401
    assert deployments("fleet-g1") == deployments("fleet-g2") == {"tinyllama": list(ENGINES.values())}


def test_engines_are_open_to_gateways_alone():
    for name, address in ENGINES.items():
        assert all(reaches(gateway, address, 11434) for gateway in GATEWAYS)
        assert not any(reaches(other, address, 11434) for other in ENGINES if other != name)
        assert all(reaches(other, address, 22) for other in ENGINES)


def test_database_and_redis_are_open_to_the_second_gateway_alone():
    for port in (5432, 6379):
        assert reaches("fleet-g2", GATEWAYS["fleet-g1"], port)
        assert not reaches("fleet-e1", GATEWAYS["fleet-g1"], port)
    assert "NOAUTH" in docker("exec", "fleet-g1", "docker", "exec", "-e", "REDISCLI_AUTH=", "litellm_redis", "redis-cli", "dbsize")
    password = sh("fleet-g1", f"sed -n 's/^REDIS_PASSWORD=//p' {PROJECT}/.env").strip()
    assert len(password) == 40 and password not in sh("fleet-g1", "ps ax -o args")


def test_requests_are_spread_and_both_gateways_count_in_one_redis(secret):
    # journald's lines of the native engines, and docker's of the one in a container
    since = int(time.time())
    for number in range(30):
        assert ask(list(GATEWAYS)[number % 2], secret, number=number)[0] == "answered"
    counted = [
        sh(
            name,
            f"(journalctl -o cat -u ollama --since @{since}; docker logs ollama --since {since}) 2>/dev/null | grep -c /api/chat || true",
        )
        for name in ENGINES
    ]
    assert all(int(count) >= 2 for count in counted), counted
    names = docker("exec", "fleet-g1", "docker", "exec", "litellm_redis", "redis-cli", "keys", "*")
    assert names.strip()


def test_a_host_that_dies_under_load_costs_no_request(secret, capsys):
    """300 requests, six at a time, through both gateways; an engine is cut off after 100 of them."""
    outcomes, dead = [], None
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(ask, list(GATEWAYS)[number % 2], secret, number=number) for number in range(300)]:
            outcomes.append(future.result())
            if len(outcomes) == 100:
                docker("kill", "fleet-e2")
                dead = time.monotonic()
    ended = time.monotonic()
    docker("start", "fleet-e2")
    failures = collections.Counter(outcome for outcome, _seconds in outcomes if outcome != "answered")
    before, after = ([seconds for _outcome, seconds in part] for part in (outcomes[:90], outcomes[110:]))
    with capsys.disabled():
        print(
            "\n300 requests in %.0f s, one of three engines cut off after %.0f s: %d failed %s; median %.2f s before, %.2f s after (longest %.1f s)"
            % (ended - started, dead - started, sum(failures.values()), dict(failures),
               sorted(before)[len(before) // 2], sorted(after)[len(after) // 2], max(after))
        )  # fmt: skip
    assert not failures
    until(lambda: reaches("fleet-g1", ENGINES["fleet-e2"], 11434), 60, "the engine does not come back")


# A machine without power says no word: packets to it and from it go nowhere.
DARK = """
table inet dark {
  chain in { type filter hook prerouting priority -500; iifname != "lo" drop; }
  chain out { type filter hook postrouting priority 500; oifname != "lo" drop; }
}
"""


def test_a_host_that_goes_dark_costs_no_request(secret, capsys):
    """As above, where nobody is left who could refuse a connection or end one."""
    outcomes, kinds = [], ["chat/completions", "completions", "chat/completions"]
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for future in [pool.submit(ask, list(GATEWAYS)[number % 2], secret, kinds[number % 3], number) for number in range(60)]:
                outcomes.append(future.result())
                if len(outcomes) == 20:
                    sh("fleet-e3", "nft -f - <<'EOF'" + DARK + "EOF")
    finally:
        sh("fleet-e3", "nft delete table inet dark")
    failures = collections.Counter(outcome for outcome, _seconds in outcomes if outcome != "answered")
    longest = max(seconds for _outcome, seconds in outcomes)
    with capsys.disabled():
        print(
            "\n60 requests, one of three engines dark after 20: %d failed %s; longest answer %.1f s"
            % (sum(failures.values()), dict(failures), longest)
        )
    assert not failures and longest < 90
    assert any(seconds > 5 for _outcome, seconds in outcomes[20:]), "nobody was sent to the dark machine"
    until(lambda: reaches("fleet-g1", ENGINES["fleet-e3"], 11434), 60, "the engine does not come back")


def test_a_host_that_is_down_keeps_its_routes(secret):
    docker("stop", "fleet-e3")
    try:
        done = run("fleet-g1")
        assert not done.failed and done.changed == []
        assert "No answer from fleet-e3" in done.text
        assert deployments()["tinyllama"] == list(ENGINES.values())
        assert ask("fleet-g1", secret)[0] == "answered"
    finally:
        docker("start", "fleet-e3")
        until(lambda: reaches("fleet-g1", ENGINES["fleet-e3"], 11434), 60, "the engine does not come back")


def test_a_limit_takes_nothing_away():
    done = run("fleet-g1,fleet-e1")
    assert (done.failed, done.changed) == (False, [])
    assert deployments()["tinyllama"] == list(ENGINES.values())


def test_a_changed_plan_changes_the_routes(secret):
    more = {"model_plan_add": ["bge-m3"]}
    assert not run("fleet-e2,fleet-e3", more).failed
    # The gateways alone, in a run of their own: the plan is read where it is carried out.
    assert not run("llm_gateways").failed
    assert [deployments(gateway)["bge-m3"] for gateway in GATEWAYS] == [[ENGINES["fleet-e2"], ENGINES["fleet-e3"]]] * 2
    docker("stop", "fleet-e2")
    try:
        outcomes = [ask(gateway, secret, "embeddings", number)[0] for number in range(6) for gateway in GATEWAYS]
        assert outcomes == ["answered"] * 12
    finally:
        docker("start", "fleet-e2")
        until(lambda: reaches("fleet-g1", ENGINES["fleet-e2"], 11434), 60, "the engine does not come back")
    # And back. The model stays on the disk, but no plan names it.
    assert not run("all").failed
    assert [list(deployments(gateway)) for gateway in GATEWAYS] == [["tinyllama"]] * 2
    nothing_to_do()


def test_a_host_that_leaves_the_inventory_leaves_the_gateways(tmp_path):
    smaller = tmp_path / "inventory"
    shutil.copytree(INVENTORY, smaller)
    hosts = yaml.safe_load((smaller / "hosts.yml").read_text())
    del hosts["llm_hosts"]["hosts"]["fleet-e3"]
    (smaller / "hosts.yml").write_text(yaml.safe_dump(hosts))
    assert not Run("llm_gateways", inventory=smaller).end().failed
    assert deployments()["tinyllama"] == [ENGINES["fleet-e1"], ENGINES["fleet-e2"]]
    assert not run("llm_gateways").failed
    nothing_to_do()


def test_redis_lost_costs_no_request(secret):
    sh("fleet-g1", "docker stop litellm_redis")
    try:
        outcomes = [ask(gateway, secret, number=number) for number in range(10) for gateway in GATEWAYS]
        assert [outcome for outcome, _seconds in outcomes] == ["answered"] * 20
    finally:
        assert not run("fleet-g1").failed
    nothing_to_do()


def test_a_gateway_that_had_no_redis_gets_one():
    # As a gateway was alone before it became the first of two.
    sh("fleet-g1", f"docker rm -f litellm litellm_redis >/dev/null; sed -i /REDIS_PASSWORD/d {PROJECT}/.env")
    assert not run("llm_gateways").failed
    look = f"sed -n 's/^REDIS_PASSWORD=//p' {PROJECT}/.env"
    assert sh("fleet-g1", look) == sh("fleet-g2", look) != ""
    nothing_to_do()


MISTAKES = {
    "an engine": ({"llm_stack_primary": "fleet-e1"}, "llm_stack_primary: fleet-e1 runs no db, redis, litellm; set"),
    "nobody": ({"llm_stack_primary": "fleet-g9"}, "llm_stack_primary: the inventory has no fleet-g9"),
    "no list": ({"llm_stack_engines": "fleet-e1"}, "llm_stack_engines: it is no list"),
    "no engine of that name": ({"llm_stack_engines": ["fleet-e9"]}, "llm_stack_engines: the inventory has no fleet-e9"),
    "no gateway": ({"llm_stack_services": ["litelm"]}, "runs no litellm (it has litelm)"),
}


@pytest.mark.parametrize(("settings", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_second_gateway_with_a_mistake_is_refused(settings, says):
    done = Run("fleet-g2", settings, options=["--check"]).end()
    assert done.failed and says in done.message


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"llm_stack_share_bind": ""}, "llm_stack_share_bind: fleet-g1 keeps its database and its Redis to itself"),
        ({"llm_stack_share_allow": ["172.30.90.99"]}, "llm_stack_share_allow: fleet-g1 does not let 172.30.90.82 in"),
    ],
)
def test_a_first_gateway_that_is_closed_is_named(settings, says, tmp_path):
    closed = tmp_path / "inventory"
    shutil.copytree(INVENTORY, closed)
    hosts = yaml.safe_load((closed / "hosts.yml").read_text())
    hosts["llm_gateways"]["hosts"]["fleet-g1"].update(settings)
    (closed / "hosts.yml").write_text(yaml.safe_dump(hosts))
    done = Run("fleet-g2", options=["--check"], inventory=closed).end()
    assert done.failed and says in done.message


def test_a_gateway_lost_leaves_the_other(secret):
    docker("stop", "fleet-g1")
    try:
        assert [ask("fleet-g2", secret, number=number)[0] for number in range(10)] == ["answered"] * 10
        # A run cannot bring the second one in line with a first one that does not answer, and touches nothing.
        done = run("fleet-g2")
        assert done.failed and done.changed == []
        assert ask("fleet-g2", secret)[0] == "answered"
    finally:
        docker("start", "fleet-g1")
        until(lambda: ask("fleet-g1", secret)[0] == "answered", 120, "the gateway does not come back")
    nothing_to_do()


def test_a_second_gateway_follows_changed_secrets():
    assert not run("fleet-g1", playbook="playbooks/rotate.yml").failed
    assert key("fleet-g1") != key("fleet-g2")
    assert not run("llm_gateways").failed
    assert key("fleet-g1") == key("fleet-g2")
    assert ask("fleet-g2", key("fleet-g1"))[0] == "answered"
    nothing_to_do()


def test_a_rollout_ends_with_the_gateways(tmp_path):
    retry = tmp_path / "rollout.retry"
    for options in (["--check"], []):
        done = Run("all", {"rollout_file": str(retry)}, playbook="playbooks/rollout.yml", options=options).end()
        assert (done.failed, done.changed) == (False, [])
        assert not retry.exists()
    docker("stop", "fleet-e3")
    try:
        done = Run("all", {"rollout_file": str(retry)}, playbook="playbooks/rollout.yml").end()
        assert done.failed and "fleet-e3 failed or was not reached, so that this wave did not begin" in done.text
        assert retry.read_text().split() == [*ENGINES, *GATEWAYS]
    finally:
        docker("start", "fleet-e3")
        until(lambda: reaches("fleet-g1", ENGINES["fleet-e3"], 11434), 60, "the engine does not come back")
    # As where the last wave has lost one.
    retry.write_text("fleet-e3\nfleet-g1\nfleet-g2\n")
    options = ["--skip-tags", "rollout_prepare"]
    done = run("llm_gateways", {"rollout_file": str(retry)}, playbook="playbooks/rollout.yml", options=options)
    assert done.failed and "fleet-e3 failed or was not reached, so that the gateways were left alone" in done.message
    assert done.changed == [] and retry.exists()


def test_every_host_verifies():
    done = run("all", playbook="playbooks/verify.yml")
    assert not done.failed and "fleet-g2" in done.text
