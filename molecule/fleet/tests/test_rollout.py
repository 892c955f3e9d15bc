# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten engines, one of them broken: a rollout in waves stops there, and goes on when it was repaired."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
from runs import Run, sh

INVENTORY = TOP / "molecule/fleet/waves"
HOSTS = list(yaml.safe_load((INVENTORY / "hosts.yml").read_text())["llm_hosts"]["hosts"])
BROKEN = "wave-05"
RETRY = TOP / "rollout.retry"


def lab(playbook):
    environment = {**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible.cfg")}
    subprocess.run(["ansible-playbook", "-i", INVENTORY, f"lab/{playbook}.yml"], cwd=TOP, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module", autouse=True)
def hosts():
    lab("destroy")
    lab("create")
    RETRY.unlink(missing_ok=True)
    yield
    lab("destroy")
    RETRY.unlink(missing_ok=True)


def rollout(limit="all", **extra):
    return Run(limit, {"rollout_file": str(RETRY), **extra}, playbook="playbooks/rollout.yml", inventory=INVENTORY).end()


def provisioned():
    """The hosts whose engine runs, and has its model."""
    look = "systemctl is-active --quiet ollama && find /var/lib/ollama/models/manifests -type f"
    return [host for host in HOSTS if "tinyllama" in sh(host, look, check=False)]


def test_a_check_touches_nobody():
    extra = {"rollout_file": str(RETRY)}
    done = Run("all", extra, playbook="playbooks/rollout.yml", inventory=INVENTORY, options=["--check"]).end()
    assert not done.failed
    assert provisioned() == [] and not RETRY.exists()


def test_a_rollout_stops_in_the_wave_of_a_broken_host(capsys):
    sh(BROKEN, "useradd --create-home --shell /bin/bash ollama")  # somebody of that name
    done = rollout()
    assert done.failed and "ollama_native_user: ollama is a user of this host who may log in" in done.message
    touched, left = provisioned(), RETRY.read_text().split()
    with capsys.disabled():
        print("\nten hosts in waves of 1, 2, 2, ...; %s broken: done %s; left %s" % (BROKEN, " ".join(touched), " ".join(left)))
    # One first, then a fifth of all at a time: wave-04 and wave-05 are the third wave.
    assert touched == ["wave-01", "wave-02", "wave-03"]
    assert left == HOSTS[3:]
    untouched = [host for host in HOSTS[5:] if sh(host, "test -e /opt/local_llm || test -e /opt/ollama || echo untouched").strip()]
    assert untouched == HOSTS[5:]


def test_the_same_again_goes_on_with_those_who_are_left(capsys):
    sh(BROKEN, "userdel --remove ollama 2>/dev/null")
    done = rollout(f"@{RETRY}")
    assert not done.failed
    assert "wave-01" not in done.text.split("PLAY RECAP")[1]
    with capsys.disabled():
        print(
            "\nthe second run had %s"
            % " ".join(line.split()[0] for line in done.text.split("PLAY RECAP")[1].splitlines() if ": ok=" in line)
        )
    assert provisioned() == HOSTS
    assert not RETRY.exists()


def test_a_rollout_with_nothing_to_do_changes_nothing():
    done = rollout(rollout_waves=["100%"])
    assert (done.failed, done.changed) == (False, [])
    assert not RETRY.exists()


def test_a_host_that_cannot_be_reached_stops_it_before_anything_is_touched():
    subprocess.run(["docker", "stop", "wave-09"], check=True, capture_output=True)
    try:
        done = rollout(rollout_waves=["100%"], ollama_native_environment={"OLLAMA_DEBUG": "1"})
        assert done.failed and "wave-09 failed or was not reached, so that this wave did not begin" in done.text
        assert done.changed == [] and RETRY.read_text().split() == HOSTS
    finally:
        subprocess.run(["docker", "start", "wave-09"], check=True, capture_output=True)
        RETRY.unlink()


def test_models_are_pulled_ahead_and_throttled():
    done = Run(
        "wave-01,wave-02", {"model_plan_add": ["bge-m3"], "ollama_models_throttle": 1}, playbook="playbooks/pull.yml", inventory=INVENTORY
    ).end()
    assert not done.failed
    for host in HOSTS[:2]:
        assert "bge-m3" in sh(host, "find /var/lib/ollama/models/manifests -type f")
        # No setting was touched: the plan is the one that is carried out.
        assert [model["name"] for model in json.loads(sh(host, "cat /opt/local_llm/plan.json"))["models"]] == ["tinyllama"]
    assert "bge-m3" not in sh(HOSTS[2], "find /var/lib/ollama/models/manifests -type f")
