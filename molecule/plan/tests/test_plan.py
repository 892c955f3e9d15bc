# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/plan.yml over all machines at once: every plan is right, and no machine is written to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/machines"))
import make

sys.path.insert(0, str(TOP / "collections"))
from ansible_collections.local_llm.fleet.plugins.filter.plan_text import models_text, skipped_text

MACHINES = make.load()
ROLES = ("nvidia_driver", "docker_engine", "nvidia_container_toolkit", "model_plan", "llm_stack", "ollama_models", "-")
ALL_DRIVERS = make.load_drivers()


def some_drivers():
    """One machine of each system, action and source of the driver. What is decided for each of them is a unit test (test_drivers.py); the
    tasks of the role are tried on these, and on all by `make test-all`."""
    found = {}
    for name, machine in ALL_DRIVERS.items():
        expected = machine["expect"]
        found.setdefault((machine["os"].get("id"), expected["action"], expected.get("source")), name)
    return {name: ALL_DRIVERS[name] for name in found.values()}


DRIVERS = ALL_DRIVERS if os.environ.get("LAB_ALL_MACHINES") else some_drivers()


def run_plan(inventory, *options, playbook="playbooks/plan.yml"):
    command = ["ansible-playbook", "-i", inventory, TOP / playbook, *options]
    environment = {name: value for name, value in os.environ.items() if name not in ("ANSIBLE_FORCE_COLOR", "PY_COLORS", "FORCE_COLOR")}
    done = subprocess.run(command, cwd=TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    return done


def written(machines):
    """What the containers of machines hold that their image does not."""

    def lines(name):
        return set(subprocess.run(["docker", "diff", f"machine-{name}"], capture_output=True, text=True, check=True).stdout.splitlines())

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(machines, pool.map(lines, machines)))


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """One run over all machines: the finished process, the plans it wrote, and what it has added to the machines."""
    folder, before = tmp_path_factory.mktemp("plan"), written(MACHINES)
    done = run_plan(TOP / "molecule/plan/inventory", "-e", f"plan_json={folder}/plans.json")
    added = {name: lines - before[name] for name, lines in written(MACHINES).items()}
    return done, json.loads((folder / "plans.json").read_text()), added


@pytest.mark.parametrize("name", MACHINES)
def test_plan(planned, name):
    plan, expected = planned[1][name], MACHINES[name]["expect"]
    assert (plan["status"], plan["tier"]) == (expected.get("status", "final"), expected.get("tier"))
    assert models_text(plan) == expected.get("gets", "-")
    assert expected.get("says", "-") in skipped_text(plan)
    if plan["status"] == "final":
        assert plan["budget"]["mib"] == expected["mib"]


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """One run of the role nvidia_driver in check mode over all its machines: the decisions, and what was added to the machines."""
    hosts = [f"driver-{name}" for name in DRIVERS]
    folder, before = tmp_path_factory.mktemp("drivers"), written(hosts)
    options = ("--check", "-e", f"drivers_json={folder}/drivers.json", "--limit", ",".join(hosts))
    run_plan(TOP / "molecule/plan/inventory", *options, playbook="molecule/plan/drivers.yml")
    added = {name: lines - before[name] for name, lines in written(hosts).items()}
    return json.loads((folder / "drivers.json").read_text()), added


@pytest.mark.parametrize("name", DRIVERS)
def test_driver(driven, name):
    decision, expected = driven[0][f"driver-{name}"], DRIVERS[name]["expect"]
    plan = decision["result"]
    for key in ("action", "source", "branch", "flavour", "reboot"):
        if key in expected:
            assert plan[key] == expected[key], plan
    assert "has" not in expected or any(expected["has"] in group for group in plan["packages"])
    assert (decision["refusal"] != "") == (plan["action"] == "refuse")
    # A container shows its machine's /proc, so that the kind of a loaded module is not seen there.
    assert expected.get("in_a_container", expected.get("says", "")) in f"{plan['reason']}: {decision['refusal']}"


def test_no_machine_was_written_to_by_the_driver(driven):
    for lines in driven[1].values():
        assert [line for line in lines if ".ansible" not in line and line != "C /root"] == []


def test_every_machine_has_one_line_on_the_screen(planned):
    plans, changes = planned[0].stdout.split("HOST ")[1:3]
    for name in MACHINES:
        assert len([line for line in plans.splitlines() if line.startswith(f"{name} ")]) == 1
        # None of these machines has anything of what it is to get.
        lines = [line.split() for line in changes.splitlines() if line.startswith(f"{name} ") and " ok=" not in line]
        assert lines and all(line[1] in ROLES for line in lines), lines


def test_it_fails_for_those_that_would_stop_and_for_no_others(planned):
    assert planned[0].returncode == 2
    # A host that site.yml gives its driver first does not stop it.
    driver = [name for name, plan in planned[1].items() if any(change["role"] == "nvidia_driver" for change in plan["changes"])]
    refused = [name for name in MACHINES if "status" in MACHINES[name]["expect"] and name not in driver]
    assert "new-card" in driver and refused
    failed = [line.split()[0] for line in planned[0].stdout.splitlines() if " failed=1 " in line]
    assert sorted(failed) == sorted(refused)
    assert " changed=1" not in planned[0].stdout


def test_no_machine_was_written_to(planned):
    # But for Ansible's own folder of the user it logs in as.
    for lines in planned[2].values():
        assert [line for line in lines if ".ansible" not in line and line != "C /root"] == []


def test_an_unreachable_host_has_its_line(tmp_path):
    (tmp_path / "hosts.yml").write_text(
        "llm_hosts: {hosts: {gone: {ansible_connection: community.docker.docker, ansible_host: machine-nowhere, ansible_become: false},"
        " t4: {ansible_connection: community.docker.docker, ansible_host: machine-t4, ansible_become: false,"
        " ansible_python_interpreter: /usr/bin/python3}}}"
    )
    done = run_plan(tmp_path / "hosts.yml")
    assert "gone  ?         ?      unread" in done.stdout, done.stdout
    assert "t4    Tesla T4  15360  vram_16" in done.stdout
    assert done.returncode == 2


def test_site_yml_shows_the_same_in_check_mode():
    options = ("--check", "--tags", "model_plan", "--limit", "old-pc,new-card,mismatch")
    done = run_plan(TOP / "molecule/plan/inventory", *options, playbook="site.yml")
    assert "[old-pc] cpu, 5792 MiB (Intel 8086:0412 (unused)): *tinyllama@2k\n" in done.stdout
    # What waits for a driver is shown in check mode, and stops a real run.
    assert "pending (10de:2684 (unread)): the GPU 10de:2684 at 0000:01:00.0 has no driver: install it," in done.stdout
    failed = [line.split()[0] for line in done.stdout.splitlines() if " failed=1 " in line]
    assert failed == ["mismatch"]
    real = run_plan(TOP / "molecule/plan/inventory", "--tags", "model_plan", "--limit", "new-card", playbook="site.yml")
    assert (real.returncode, "has no driver: install it" in real.stdout) == (2, True)
