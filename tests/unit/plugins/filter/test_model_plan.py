# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter.model_plan import PlanError, floor_mib, model_plan
from hypothesis import given
from hypothesis import strategies as st

COLLECTION = Path(__file__).resolve().parents[4]

DATA = yaml.safe_load((COLLECTION / "roles/model_plan/vars/main.yml").read_text())
CATALOG, TIERS = DATA["_model_plan_catalog"], DATA["_model_plan_tiers"]


def card(mib, **more):
    return {
        "vendor": "nvidia",
        "name": "card",
        "uuid": "GPU-%s" % mib,
        "kind": "dedicated",
        "memory_total_mib": mib,
        "source": "nvidia-smi",
        **more,
    }


def reading(*gpus, memory=64211, problems=()):
    return {"gpus": list(gpus), "memory": {"total_mib": memory, "available_mib": memory}, "problems": list(problems)}


NO_DRIVER = card(None, name="10de:2684", uuid=None, kind="unknown", source="pci")


def plan(data, **wishes):
    return model_plan(data, CATALOG, TIERS, **wishes)


@pytest.mark.parametrize(
    ("mib", "tier"),
    [
        # What nvidia-smi shows of cards that are sold as 8, 11, 12, 16, 24, 40, 48 and 80 GB.
        (7606, "vram_8"),
        (8192, "vram_8"),
        (11264, "vram_8"),
        (12227, "vram_12"),
        (12282, "vram_12"),
        (15360, "vram_16"),
        (16303, "vram_16"),
        (16384, "vram_16"),
        (23028, "vram_24"),
        (24564, "vram_24"),
        (32607, "vram_24"),
        (40960, "vram_24"),
        (46068, "vram_48"),
        (49140, "vram_48"),
        (81559, "vram_80"),
        (143771, "vram_80"),
        (6144, "cpu"),
    ],
)
def test_tier(mib, tier):
    assert plan(reading(card(mib)))["tier"] == tier


def chosen(made):
    return [(model["name"], model["context"], model["need_mib"]["total"]) for model in made["models"] if model["resident"]]


def test_the_card_of_the_design():
    made = plan(reading(card(16303)), os="Debian 13")
    assert chosen(made) == [("gpt-oss:20b", 32768, 15715)]
    assert made["budget"] == {"kind": "dedicated", "gpu": "GPU-16303", "mib": 16303, "reserve_mib": 0}
    assert made["engine"]["context_length"] == 32768
    assert made["host"] == {"os": "Debian 13", "memory_mib": 64211}
    assert made["models"][1]["need_mib"] == {"weights": 13155, "kv": 1536, "overhead": 1024, "total": 15715}


def test_a_smaller_card_of_the_same_name_gets_a_smaller_context():
    assert chosen(plan(reading(card(15360)))) == [("gpt-oss:20b", 16384, 14947)]


def test_no_gpu():
    made = plan(reading(memory=8000))
    assert (made["tier"], made["budget"]) == ("cpu", {"kind": "cpu", "gpu": None, "mib": 5952, "reserve_mib": 0})
    assert [(model["name"], model["placement"]) for model in made["models"]] == [("tinyllama", "cpu")]


def test_what_does_not_fit_is_skipped_with_the_arithmetic():
    made = plan(reading(memory=3000))
    assert made["models"] == []
    assert made["skipped"] == [{"name": "tinyllama", "reason": "needs 1677 MiB at 2048 tokens, budget is 952 MiB"}]


def test_a_card_too_small_for_a_tier_is_left_alone():
    made = plan(reading(card(2048)))
    assert (made["tier"], made["budget"]["kind"]) == ("cpu", "cpu")
    assert [model["placement"] for model in made["models"]] == ["cpu"]


def test_the_largest_card_counts():
    assert plan(reading(card(8192), card(24564)))["budget"]["mib"] == 24564


def test_resident_models_leave_room_for_each_other():
    made = plan(reading(card(24564)))
    assert sum(need for _name, _context, need in chosen(made)) <= 24564
    assert [name for name, _context, _need in chosen(made)] == ["gpt-oss:20b", "bge-m3"]


@pytest.mark.parametrize(
    "data", [reading(NO_DRIVER), reading(card(24564), problems=["nvidia-smi printed: GPU is lost"]), reading(card(24564), NO_DRIVER)]
)
def test_a_reading_with_problems_chooses_nothing(data):
    made = plan(data)
    assert (made["status"], made["tier"], made["models"]) == ("unreadable", None, [])
    assert made["problems"]


def test_told_its_tier_an_unreadable_host_gets_it():
    made = plan(reading(NO_DRIVER), tier="high")
    assert (made["status"], made["tier"], made["budget"]["mib"]) == ("final", "vram_16", floor_mib(TIERS["vram_16"]))
    assert plan(reading(NO_DRIVER), tier="cpu")["budget"]["kind"] == "cpu"


@pytest.mark.parametrize(
    ("data", "wishes", "message"),
    [
        (reading(), {"tier": "huge"}, "model_plan_tier: there is no tier 'huge'; set one of auto, cpu"),
        (reading(), {"tier": "high"}, "model_plan_tier: high needs a GPU and this host has none"),
        (
            reading(card(8192)),
            {"tier_minimum": "high"},
            "model_plan_tier_minimum: this host has 8192 MiB, which is tier vram_8; vram_16 begins at 15073 MiB",
        ),
        (reading(), {"tier_minimum": "x"}, "model_plan_tier_minimum: there is no tier 'x'"),
    ],
)
def test_wishes_that_cannot_be_followed(data, wishes, message):
    with pytest.raises(PlanError, match=message):
        plan(data, **wishes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda catalog, tiers: tiers["cpu"]["models"].append("nosuch"), "model_plan_tiers: cpu names nosuch"),
        (lambda catalog, tiers: catalog["bge-m3"].pop("route"), "model_plan_catalog: bge-m3 has no route"),
        (lambda catalog, tiers: catalog["bge-m3"].update(mode="sing"), "model_plan_catalog: bge-m3 has mode 'sing'"),
        (lambda catalog, tiers: catalog["bge-m3"].update(bytes=-1), "model_plan_catalog: bge-m3 has a size below zero"),
        (lambda catalog, tiers: catalog["bge-m3"].update(bytes="12"), "model_plan_catalog: bge-m3 has a bytes that is not a whole number"),
        (lambda catalog, tiers: catalog["bge-m3"].update(route="tinyllama"), "tinyllama and bge-m3 have the same route 'tinyllama'"),
        (lambda catalog, tiers: catalog.update(x=None), "model_plan_catalog: x is not a mapping"),
        (lambda catalog, tiers: tiers["cpu"].update(resident=["bge-m3"]), "model_plan_tiers: cpu keeps bge-m3 resident"),
        (lambda catalog, tiers: tiers["cpu"].update(models="tinyllama"), "model_plan_tiers: cpu has a models that is not a list"),
        (lambda catalog, tiers: tiers["cpu"].pop("floor_gib"), "model_plan_tiers: cpu has no floor_gib"),
        (lambda catalog, tiers: tiers["cpu"].update(floor_gib=1), "no tier has a floor_gib of 0"),
    ],
)
def test_data_that_cannot_be_planned_with(spoil, message):
    catalog, tiers = copy.deepcopy(CATALOG), copy.deepcopy(TIERS)
    spoil(catalog, tiers)
    with pytest.raises(PlanError, match=message):
        model_plan(reading(), catalog, tiers)


@pytest.mark.parametrize("name", [name for name, tier in TIERS.items() if tier["floor_gib"]])
def test_every_tier_fits_its_own_floor(name):
    made = plan(reading(card(floor_mib(TIERS[name]))))
    assert made["tier"] == name
    assert [model["name"] for model in made["models"] if model["resident"]] == [
        m for m in TIERS[name]["models"] if m in TIERS[name]["resident"]
    ]


@given(st.integers(0, 10**6), st.integers(0, 10**7))
def test_no_plan_is_larger_than_the_machine(mib, memory):
    data = reading(*([card(mib)] if mib else []), memory=memory)
    made = plan(data)
    assert made["budget"]["mib"] <= (mib if made["budget"]["kind"] == "dedicated" else memory)
    assert sum(need for _name, _context, need in chosen(made)) <= made["budget"]["mib"]
    assert all(model["need_mib"]["total"] <= made["budget"]["mib"] for model in made["models"])
    assert plan(data) == made
