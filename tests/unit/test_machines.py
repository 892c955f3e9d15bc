# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded machine is read right and gets the models that fit: real files and processes, recorded output."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter.plan_text import models_text, skipped_text
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu.machine import read
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host
from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import model_plan
from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import parse as plan_parse

COLLECTION = Path(__file__).resolve().parents[2]
DATA = yaml.safe_load((COLLECTION / "roles/model_plan/vars/main.yml").read_text())
SPEC = importlib.util.spec_from_file_location("machines_make", COLLECTION / "tests/machines/make.py")
machines = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(machines)
MACHINES = machines.load()


@pytest.mark.parametrize("name", MACHINES)
def test_machine(name, tmp_path):
    machine, expected = MACHINES[name], MACHINES[name]["expect"]
    machines.make(machine, tmp_path)
    reading = read(Host(timeout=15, root=str(tmp_path)))
    earlier = tmp_path / "opt/local_llm/plan.json"
    before = plan_parse(earlier.read_text() if earlier.exists() else "")
    plan = model_plan(reading, DATA["_model_plan_catalog"], DATA["_model_plan_tiers"], machine.get("wishes"), before)
    assert ["%s %s %s" % (gpu["kind"], gpu["memory_total_mib"], gpu["source"]) for gpu in reading["gpus"]] == expected["gpus"]
    assert reading["memory"]["total_mib"] == machine.get("limit_mib", machine["memory_mib"])
    assert (plan["status"], plan["tier"]) == (expected.get("status", "final"), expected.get("tier"))
    assert models_text(plan) == expected.get("gets", "-")
    assert expected.get("says", "-") in skipped_text(plan)
    assert [gpu["gfx"] for gpu in reading["gpus"]] == expected.get("gfx", [None] * len(reading["gpus"]))
    if plan["status"] == "final":
        assert plan["engine"]["backend"] == expected.get("backend", "cpu" if plan["budget"]["kind"] == "cpu" else "cuda")
        assert plan["budget"]["mib"] == expected["mib"]


def test_there_is_a_machine_for_every_backend():
    assert {machine["expect"].get("backend") for machine in MACHINES.values()} == {None, "metal", "rocm", "vulkan"}


def test_a_machine_with_nothing_wrong_says_nothing(tmp_path):
    machines.make(MACHINES["rtx4090"], tmp_path)
    assert read(Host(timeout=15, root=str(tmp_path)))["problems"] == []
