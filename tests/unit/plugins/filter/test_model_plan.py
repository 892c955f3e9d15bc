# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.local_llm.fleet.plugins.filter import plan_text
from ansible_collections.local_llm.fleet.plugins.filter.plan_table import plan_table
from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import (
    CACHE_TYPES,
    ROCM_TARGETS,
    WISHES,
    floor_mib,
    kind_of,
    model_plan,
    need,
    room_beside,
    spared,
)
from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import parse as plan_parse
from hypothesis import given
from hypothesis import strategies as st

COLLECTION = Path(__file__).resolve().parents[4]

DATA = yaml.safe_load((COLLECTION / "roles/model_plan/vars/main.yml").read_text())
CATALOG, TIERS = DATA["_model_plan_catalog"], DATA["_model_plan_tiers"]
DEDICATED = [name for name in TIERS if kind_of(TIERS[name]) == "dedicated"]
UNIFIED = [name for name in TIERS if kind_of(TIERS[name]) == "unified"]


def card(mib, **more):
    return {
        "vendor": "nvidia",
        "name": "card",
        "uuid": "GPU-%s" % mib,
        "pci_address": None,
        "kind": "dedicated",
        "memory_total_mib": mib,
        "source": "nvidia-smi",
        **more,
    }


def shared(vendor, mib=None):
    return card(mib, vendor=vendor, kind="unified", uuid=None)


def reading(*gpus, memory=64211, problems=()):
    return {"gpus": list(gpus), "memory": {"total_mib": memory, "available_mib": memory}, "os": "Debian 13", "problems": list(problems)}


NO_DRIVER = card(None, name="10de:2684", uuid=None, kind="unknown", source="pci", pci_address="0000:01:00.0")
LOST = "nvidia-smi printed: GPU is lost"


def plan(data, before=None, **wishes):
    return model_plan(data, CATALOG, TIERS, wishes, before)


def resident(made):
    return [(model["name"], model["context"], model["need_mib"]["total"]) for model in made["models"] if model["resident"]]


def named(made, name):
    return next(model for model in made["models"] if model["name"] == name)


# Tiers: what the tools show of every card that is known, and the tier that the size on its box stands for.
@pytest.mark.parametrize(
    ("mib", "tier"),
    [
        (6144, "cpu"),  # GTX 1060
        (7606, "vram_8"),  # P4
        (8176, "vram_8"),  # RX 7600
        (8192, "vram_8"),  # RTX 3070
        (10240, "vram_8"),  # RTX 3080
        (11264, "vram_8"),  # RTX 2080 Ti
        (12227, "vram_12"),  # RTX 5070
        (12272, "vram_12"),  # RX 6700 XT
        (12282, "vram_12"),  # RTX 4070
        (12288, "vram_12"),  # RTX 3060
        (15360, "vram_16"),  # T4
        (16303, "vram_16"),  # RTX 5080
        (16311, "vram_16"),  # RTX 5060 Ti
        (16368, "vram_16"),  # RX 7800 XT
        (16376, "vram_16"),  # RTX 4080
        (16380, "vram_16"),  # RTX 4060 Ti
        (16384, "vram_16"),  # V100
        (23028, "vram_24"),  # A10
        (23034, "vram_24"),  # L4
        (23040, "vram_24"),  # P40 with ECC
        (24560, "vram_24"),  # RX 7900 XTX
        (24564, "vram_24"),  # RTX 4090
        (24576, "vram_24"),  # RTX 3090
        (32607, "vram_24"),  # RTX 5090
        (32624, "vram_24"),  # R9700
        (32752, "vram_24"),  # MI50
        (40960, "vram_24"),  # A100
        (46068, "vram_48"),  # L40S
        (49140, "vram_48"),  # RTX A6000
        (81559, "vram_80"),  # H100
        (81920, "vram_80"),  # A100
        (95830, "vram_80"),  # H100 NVL
        (97871, "vram_80"),  # GH200
        (97887, "vram_80"),  # RTX PRO 6000
        (143771, "vram_80"),  # H200
        (196592, "vram_80"),  # MI300X
    ],
)
def test_tier_of_a_card(mib, tier):
    assert plan(reading(card(mib)))["tier"] == tier


@pytest.mark.parametrize(
    ("vendor", "mib", "memory", "budget", "tier"),
    [
        ("apple", 5461, 8192, 5461, "unified_8"),
        ("apple", 10922, 16384, 10922, "unified_16"),
        ("apple", 12124, 16384, 12124, "unified_16"),
        ("apple", 13640, 18432, 13640, "unified_16"),
        ("apple", 16384, 24576, 16384, "unified_24"),
        ("apple", 18186, 24576, 18186, "unified_24"),
        ("apple", 21845, 32768, 21845, "unified_32"),
        ("apple", 25559, 32768, 25559, "unified_32"),
        ("apple", 28754, 36864, 28754, "unified_32"),
        ("apple", 38338, 49152, 38338, "unified_48"),
        ("apple", 49152, 65536, 49152, "unified_64"),
        ("apple", 53084, 65536, 53084, "unified_64"),
        ("apple", 110100, 131072, 110100, "unified_128"),
        ("apple", 200000, 16384, 16384, "unified_24"),  # a limit that is more than there is
        ("nvidia", None, 122502, 91877, "unified_128"),  # GB10
        ("nvidia", 8128, 122502, 91877, "unified_128"),  # N1X: a driver that tells less
        ("nvidia", None, 7620, 5572, "unified_8"),  # Orin Nano
        ("nvidia", None, 30698, 23024, "unified_32"),  # AGX Orin
        ("nvidia", None, 125772, 94329, "unified_128"),  # Thor
        ("amd", 98304, 124500, 98304, "unified_128"),  # Strix Halo
        ("amd", 131072, 124500, 116308, "unified_128"),  # allowed all there is
        ("amd", 2048, 6000, 2048, "cpu"),
    ],
)
def test_tier_of_shared_memory(vendor, mib, memory, budget, tier):
    made = plan(reading(shared(vendor, mib), memory=memory))
    assert made["tier"] == tier
    if tier != "cpu":
        assert (made["budget"]["kind"], made["budget"]["mib"]) == ("unified", budget)


def test_the_card_of_the_design():
    made = plan(reading(card(16303)))
    assert resident(made) == [("gpt-oss:20b", 32768, 15715)]
    assert made["budget"] == {"kind": "dedicated", "vendor": "nvidia", "gpus": ["GPU-16303"], "mib": 16303, "reserve_mib": 0}
    assert made["engine"] == {
        "name": "ollama",
        "backend": "cuda",
        "context_length": 32768,
        "num_parallel": 1,
        "max_loaded_models": 3,  # the resident one, the embedding model on the CPU, and one that takes turns
        "keep_alive": "5m",
        "kv_cache_type": "f16",
        "flash_attention": "auto",
        "gpus": None,
    }
    assert made["host"] == {
        "os": "Debian 13",
        "memory_mib": 64211,
        "gpus": [{"name": "card", "kind": "dedicated", "mib": 16303, "uuid": "GPU-16303", "pci_address": None}],
    }
    assert named(made, "gpt-oss:20b")["need_mib"] == {"weights": 13155, "kv": 1536, "overhead": 1024, "total": 15715}


def radeon(mib, gfx, **more):
    return card(mib, vendor="amd", gfx=gfx, source="sysfs", **more)


NO_MEMORY = radeon(None, "gfx1100", uuid=None, kind="unknown", pci_address="0000:03:00.0")


@pytest.mark.parametrize(
    ("gpus", "wishes", "backend"),
    [
        ([], {}, "cpu"),
        ([card(16303)], {}, "cuda"),
        ([card(16303)], {"tier": "cpu"}, "cpu"),
        ([card(6144)], {}, "cpu"),  # too small for every tier
        ([shared("apple", 12124)], {}, "metal"),
        ([card(16288, vendor="intel")], {}, "vulkan"),
        ([radeon(24560, "gfx1100")], {}, "rocm"),
        ([radeon(12272, "gfx1031")], {}, "vulkan"),
        ([radeon(12272, None)], {}, "vulkan"),
        ([card(12272, vendor="amd")], {}, "vulkan"),  # of a reading from before there was a gfx
        ([radeon(12272, "gfx1031")], {"rocm_targets": ["gfx1031"]}, "rocm"),
        ([radeon(24560, "gfx1100")], {"rocm_targets": []}, "vulkan"),
        ([shared("amd", 60000) | {"gfx": "gfx1151"}], {}, "rocm"),
        # those that the budget counts decide: the largest, or all of a pool
        ([radeon(24560, "gfx1100", uuid="a"), radeon(8192, "gfx803", uuid="b")], {}, "rocm"),
        ([radeon(24560, "gfx1100", uuid="a"), radeon(24000, "gfx906", uuid="b")], {"pool": True}, "vulkan"),
        ([radeon(24560, "gfx1100", uuid="a"), radeon(24000, "gfx1101", uuid="b")], {"pool": True}, "rocm"),
        ([radeon(24560, "gfx1100", uuid="GPU-a"), radeon(32752, "gfx906", uuid="GPU-b")], {"gpus": ["GPU-a"]}, "rocm"),
        ([radeon(24560, "gfx1100", uuid="a"), card(16303)], {}, "rocm"),
        ([radeon(8192, "gfx1100", uuid="a"), card(16303)], {}, "cuda"),
        # a tier that the host was told in spite of its reading
        ([NO_MEMORY], {"tier": "vram_24"}, "rocm"),
        ([NO_MEMORY | {"gfx": None}], {"tier": "vram_24"}, "vulkan"),
    ],
)
def test_backend(gpus, wishes, backend):
    made = plan(reading(*gpus), **wishes)
    assert made["status"] == "final", made["refusal"]
    assert made["engine"]["backend"] == backend


def test_a_target_is_a_name():
    made = plan(reading(), rocm_targets=["10.3.0"])
    assert made["refusal"] == "model_plan_rocm_targets: '10.3.0' is not a target; set names such as gfx1100"


def test_the_targets_are_those_of_the_role():
    defaults = yaml.safe_load((COLLECTION / "roles/model_plan/defaults/main.yml").read_text())
    assert defaults["model_plan_rocm_targets"] == ROCM_TARGETS


def test_every_wish_is_a_variable_of_the_role_and_handed_over():
    defaults = yaml.safe_load((COLLECTION / "roles/model_plan/defaults/main.yml").read_text())
    for name in WISHES:
        assert "model_plan_" + name in defaults
        assert "'%s': model_plan_%s" % (name, name) in DATA["_model_plan_wishes"]


@pytest.mark.parametrize(
    ("mib", "models"),
    [
        (15360, "tinyllama@2k *gpt-oss:20b@16k bge-m3[cpu]"),
        (16303, "tinyllama@2k *gpt-oss:20b@32k bge-m3[cpu]"),
        (24564, "tinyllama@2k *gpt-oss:20b@32k bge-m3"),
    ],
)
def test_the_users_high_tier(mib, models):
    assert plan_text.models_text(plan(reading(card(mib)), tier="high")) == models


def test_no_gpu():
    made = plan(reading(memory=8000))
    assert (made["tier"], made["budget"]) == ("cpu", {"kind": "cpu", "vendor": None, "gpus": [], "mib": 5952, "reserve_mib": 0})
    assert [(model["name"], model["placement"]) for model in made["models"]] == [("tinyllama", "cpu")]
    assert made["engine"]["max_loaded_models"] == 1


def test_what_does_not_fit_is_skipped_with_the_arithmetic():
    made = plan(reading(card(7606)), add=["qwen3:32b"], drop=["bge-m3"])
    assert [model["name"] for model in made["models"]] == ["qwen3:8b"]
    assert made["skipped"] == [{"name": "qwen3:32b", "reason": "needs 20802 MiB at 2048 tokens, budget is 7606 MiB", "wished": True}]


def test_a_host_that_no_model_fits_is_refused():
    assert plan(reading(memory=3000))["refusal"] == (
        "model_plan_tiers: no model of the tier cpu fits this host: tinyllama needs 1677 MiB at 2048 tokens, budget is 952 MiB; add a smaller one to its models"
    )
    assert plan(reading(), drop=["tinyllama"])["refusal"].startswith(
        "model_plan_drop: it leaves this host without a model; take one of them out"
    )


def test_a_card_too_small_for_a_tier_is_left_alone():
    made = plan(reading(card(2048)))
    assert (made["tier"], made["budget"]["kind"]) == ("cpu", "cpu")
    assert [model["placement"] for model in made["models"]] == ["cpu"]


def test_a_gpu_that_no_engine_uses_is_left_alone():
    assert plan(reading(card(65536, kind="unsupported")))["tier"] == "cpu"


def test_the_largest_card_counts():
    assert plan(reading(card(8192), card(24564)))["budget"]["gpus"] == ["GPU-24564"]


def test_resident_models_leave_room_for_each_other():
    made = plan(reading(card(24564)))
    assert sum(total for _name, _context, total in resident(made)) <= 24564
    assert [name for name, _context, _total in resident(made)] == ["gpt-oss:20b", "bge-m3"]


def test_an_embedding_model_goes_where_it_drives_nothing_out():
    assert named(plan(reading(card(24564)), tier="high"), "bge-m3")["placement"] == "gpu"
    assert named(plan(reading(card(16303))), "bge-m3")["placement"] == "cpu"
    # Without memory to spare it takes turns.
    assert named(plan(reading(card(16303), memory=3000)), "bge-m3")["placement"] == "gpu"
    # A GPU that shares the machine's memory has no other to offer.
    assert named(plan(reading(shared("apple", 16384), memory=24576)), "bge-m3")["placement"] == "gpu"


# Pools, slices, choice


def test_equal_cards_are_one_pool_by_choice():
    cards = [card(24576, uuid="GPU-a"), card(24576, uuid="GPU-b"), card(8192, uuid="GPU-c")]
    made = plan(reading(*cards), pool=True)
    assert made["budget"] == {"kind": "pooled", "vendor": "nvidia", "gpus": ["GPU-a", "GPU-b"], "mib": 46694, "reserve_mib": 0}
    assert made["tier"] == "vram_48"
    assert plan(reading(*cards))["budget"]["mib"] == 24576


def test_one_card_is_no_pool():
    assert plan(reading(card(24576), card(8192)), pool=True)["budget"]["kind"] == "dedicated"


def test_cards_of_two_vendors_are_no_pool():
    cards = reading(card(24576), card(24560, vendor="amd", uuid=None, pci_address="0000:03:00.0"))
    assert plan(cards, pool=True)["budget"]["gpus"] == ["GPU-24576"]


def test_slices_are_no_pool_and_the_engine_is_given_one():
    made = plan(reading(card(19968, kind="slice", uuid="MIG-a"), card(19968, kind="slice", uuid="MIG-b")), pool=True)
    assert (made["budget"]["kind"], made["budget"]["mib"], made["engine"]["gpus"]) == ("slice", 19968, ["MIG-a"])


def test_a_gpu_that_is_named_twice_is_one():
    made = plan(reading(card(24564, uuid="GPU-a", pci_address="0000:01:00.0")), gpus=["GPU-a", "0000:01:00.0"], pool=True)
    assert (made["budget"]["kind"], made["budget"]["mib"]) == ("dedicated", 24564)


def test_an_address_means_all_slices_of_its_card():
    slices = [
        card(4864, kind="slice", uuid="MIG-a", pci_address="0000:01:00.0"),
        card(19968, kind="slice", uuid="MIG-b", pci_address="0000:01:00.0"),
    ]
    assert plan(reading(*slices), gpus=["0000:01:00.0"])["budget"]["gpus"] == ["MIG-b"]


def test_chosen_gpus():
    cards = reading(card(24564, uuid="GPU-a"), card(12282, uuid="GPU-b"), problems=[LOST])
    made = plan(cards, gpus=["gpu-B"])
    assert (made["status"], made["tier"], made["budget"]["gpus"], made["engine"]["gpus"]) == ("final", "vram_12", ["GPU-b"], ["GPU-b"])


# Wishes


def test_add_and_drop():
    made = plan(reading(card(24564)), add=["nomic-embed-text:latest", "llama3.3:70b"], drop=["qwen3:32b"])
    assert [model["name"] for model in made["models"]] == ["gpt-oss:20b", "bge-m3", "nomic-embed-text"]
    assert made["skipped"] == [{"name": "llama3.3:70b", "reason": "needs 42215 MiB at 2048 tokens, budget is 24564 MiB", "wished": True}]


def test_reserve_lowers_the_tier():
    made = plan(reading(card(16303)), reserve_mib=4096)
    assert (made["tier"], made["budget"]["mib"], made["budget"]["reserve_mib"]) == ("vram_12", 16303, 4096)
    made = plan(reading(card(16303)), reserve_mib=4096, tier="high")
    assert made["skipped"][0]["reason"] == "needs 14275 MiB at 2048 tokens, budget is 16303 MiB, of which 4096 are reserved"


def test_more_requests_at_a_time_take_more_cache():
    assert resident(plan(reading(card(16303)), num_parallel=2)) == [("gpt-oss:20b", 16384, 15715)]
    assert named(plan(reading(card(16303)), num_parallel=4), "bge-m3")["need_mib"]["kv"] == 0


def test_a_smaller_cache():
    made = plan(reading(card(15360)), kv_cache_type="q8_0")
    assert resident(made) == [("gpt-oss:20b", 32768, 13155 + 816 + 1024)]
    assert (made["engine"]["kv_cache_type"], made["engine"]["flash_attention"]) == ("q8_0", "on")


def test_keep_alive_may_be_a_number():
    assert plan(reading(), keep_alive=-1)["engine"]["keep_alive"] == "-1"


# Readings with problems


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (reading(NO_DRIVER, problems=[LOST]), LOST),
        (reading(card(24564), problems=[LOST]), LOST),
        (reading(problems=[LOST]), LOST),
        (reading(card(24564, kind="unknown")), "a GPU does not tell its memory"),
    ],
)
def test_a_reading_with_problems_chooses_nothing(data, fault):
    made = plan(data)
    assert (made["status"], made["tier"], made["models"]) == ("refused", None, [])
    fix = ": fix that, or tell this host its tier with model_plan_tier (cpu leaves the GPU alone)"
    if data["gpus"] and data["gpus"][0]["kind"] == "dedicated":
        fix += " or which GPUs to use with model_plan_gpus"
    assert made["refusal"] == fault + fix


@pytest.mark.parametrize("data", [reading(NO_DRIVER), reading(card(24564), NO_DRIVER)])
def test_a_card_without_a_driver_is_waited_for(data):
    made = plan(data)
    assert (made["status"], made["tier"], made["models"]) == ("provisional", None, [])
    assert made["refusal"].startswith("the GPU 10de:2684 at 0000:01:00.0 has no driver: install it, or tell this host its tier")


def test_told_its_tier_an_unreadable_host_gets_it():
    made = plan(reading(NO_DRIVER), tier="high")
    assert (made["status"], made["tier"], made["budget"]["mib"]) == ("final", "vram_16", floor_mib(TIERS["vram_16"]))
    assert plan(reading(NO_DRIVER), tier="cpu")["budget"]["kind"] == "cpu"


BIG = plan(reading(card(24564)))
SMALL = plan(reading())


@pytest.mark.parametrize(
    ("data", "before", "status"),
    [
        (reading(problems=[LOST]), BIG, "refused"),
        (reading(card(16303), problems=[LOST]), BIG, "refused"),
        (reading(card(24564), problems=[LOST]), BIG, "final"),
        (reading(card(46068), problems=[LOST]), BIG, "final"),
        (reading(card(16303)), BIG, "final"),  # nothing is wrong: the card was changed
        (reading(problems=[LOST]), SMALL, "final"),
        (reading(NO_DRIVER), BIG, "provisional"),
        (reading(card(24564), NO_DRIVER), BIG, "final"),
        (reading(card(24548), problems=[LOST]), BIG, "final"),  # another driver shows a little less
        (reading(card(24564, kind="unknown")), BIG, "refused"),
    ],
)
def test_a_reading_with_problems_never_lowers_a_host(data, before, status):
    made = plan(data, before)
    assert made["status"] == status
    if status == "refused":
        fault = LOST if data["problems"] else "a GPU does not tell its memory"
        assert made["refusal"] == (
            fault + ": this host has a bigger plan (tier vram_24, 24564 MiB), which a reading with problems does not lower;"
            " fix that, or set model_plan_allow_downgrade: true"
        )


def test_a_wish_may_lower_it():
    problem = reading(card(24564), problems=[LOST])
    assert plan(problem, BIG, reserve_mib=4096)["status"] == "final"
    pool = plan(reading(card(24564), card(24564)), pool=True)
    assert plan(reading(card(24564), card(24564), problems=[LOST]), pool)["status"] == "final"
    assert plan(reading(card(24564), problems=[LOST]), pool, pool=True)["status"] == "refused"


def test_a_hiccup_does_not_lower_a_host_that_is_told_its_tier():
    told = plan(reading(card(24564)), tier="high")
    assert plan(reading(problems=[LOST]), told, tier="high")["status"] == "refused"
    assert plan(reading(NO_DRIVER), told, tier="high")["status"] == "provisional"
    assert plan(reading(problems=[LOST]), told, tier="high", allow_downgrade=True)["budget"]["mib"] == floor_mib(TIERS["vram_16"])
    # Told something new, it gets that.
    assert plan(reading(problems=[LOST]), told, tier="cpu")["tier"] == "cpu"
    # What was never read is no less the next time.
    never = plan(reading(NO_DRIVER), tier="high")
    assert plan(reading(NO_DRIVER), never, tier="high") == never


def test_told_its_tier_a_host_does_not_have_to_do_with_the_small_card_that_is_read():
    made = plan(reading(card(4096), card(None, kind="unknown"), problems=[LOST]), tier="vram_24")
    assert (made["budget"]["mib"], made["models"][0]["name"]) == (floor_mib(TIERS["vram_24"]), "gpt-oss:20b")


def test_told_a_tier_of_shared_memory_an_unreadable_host_keeps_a_part_for_itself():
    assert plan(reading(shared("nvidia"), memory=15900, problems=[LOST]), tier="unified_24")["budget"]["mib"] == 11925
    assert plan(reading(memory=15900, problems=[LOST]), tier="unified_24")["budget"]["mib"] == 11925


def test_unless_it_is_allowed():
    for data in (reading(problems=[LOST]), reading(NO_DRIVER)):
        made = plan(data, BIG, allow_downgrade=True)
        assert (made["status"], made["tier"]) == ("final", "cpu")
    # What was never read cannot be lowered: this host must be told.
    assert plan(reading(problems=[LOST]), allow_downgrade=True)["status"] == "refused"


# Bad input: one line, which names the variable


@pytest.mark.parametrize(
    ("data", "wishes", "message"),
    [
        (reading(), {"tier": "huge"}, "model_plan_tier: there is no tier 'huge'; set one of cpu, low, vram_8"),
        (reading(), {"tier": "high"}, "model_plan_tier: high needs a GPU and this host has none; set auto"),
        (
            reading(card(8192)),
            {"tier_minimum": "high"},
            "model_plan_tier_minimum: this host has 8192 MiB for models and gets tier vram_8; vram_16 begins at 15073 MiB: set a smaller one, or none",
        ),
        (
            reading(),
            {"tier_minimum": "vram_8"},
            "model_plan_tier_minimum: this host has no GPU that counts and gets tier cpu; vram_8 begins at 7536 MiB",
        ),
        (reading(), {"tier_minimum": "x"}, "model_plan_tier_minimum: there is no tier 'x'"),
        (reading(), {"add": ["nosuch"]}, "model_plan_add: nosuch is not in model_plan_catalog; add it there, with its size"),
        (reading(), {"drop": ["nosuch"]}, "model_plan_drop: nosuch is not in model_plan_catalog"),
        (
            reading(),
            {"add": ["qwen3:8b"], "drop": ["qwen3:8b"]},
            "model_plan_drop: qwen3:8b is in model_plan_add, too; take it out of one of them",
        ),
        (reading(), {"add": "qwen3:8b"}, 'model_plan_add is "qwen3:8b", not a list of names such as [tinyllama]'),
        (reading(), {"pool": "yes"}, 'model_plan_pool is "yes", not true or false'),
        (reading(), {"num_parallel": True}, "model_plan_num_parallel is true, not a whole number"),
        (reading(), {"num_parallel": 0}, "model_plan_num_parallel: 0 is not between 1 and 1024"),
        (reading(), {"reserve_mib": -1}, "model_plan_reserve_mib: -1 is below zero"),
        (reading(), {"kv_cache_type": "f32"}, "model_plan_kv_cache_type: 'f32' is none; set one of f16, q8_0, q4_0"),
        (reading(), {"keep_alive": "banana"}, "model_plan_keep_alive: 'banana' is no time; set one such as 5m, 24h, or -1 for ever"),
        (reading(), {"keep_alive": True}, "model_plan_keep_alive is true, not text"),
        (reading(), {"tier": None}, "model_plan_tier is null, not text"),
        (reading(), {"tier_minimum": "auto"}, "model_plan_tier_minimum: there is no tier 'auto'; set one of cpu, low"),
        (
            reading(),
            {"reserve_mib": 47000},
            "model_plan_reserve_mib: no model of the tier cpu fits beside what is reserved: tinyllama needs",
        ),
        (reading(), {"quiet": True}, "model_plan_quiet: there is no such wish"),
        (reading(), {"require": ["gpt-oss:20b"]}, None),
        (
            reading(card(12282)),
            {"require": ["gpt-oss:20b"]},
            "model_plan_require: gpt-oss:20b cannot run on this host: it needs 14275 MiB at 2048 tokens, budget is 12282 MiB",
        ),
        (reading(card(12282, uuid=None)), {"gpus": ["None"]}, "model_plan_gpus: this host has no GPU 'None'"),
        (reading(card(12282)), {"gpus": ["GPU-x"]}, "model_plan_gpus: this host has no GPU 'GPU-x'; it has GPU-12282"),
        (reading(), {"gpus": ["GPU-x"]}, "model_plan_gpus: this host has no GPU 'GPU-x'; it has none that can be named"),
        (reading(NO_DRIVER), {"gpus": ["0000:01:00.0"]}, "model_plan_gpus: 0000:01:00.0 (10de:2684) cannot be used"),
    ],
)
def test_wishes_that_cannot_be_followed(data, wishes, message):
    made = plan(data, **wishes)
    if message is None:
        assert (made["status"], named(made, "gpt-oss:20b")["placement"]) == ("final", "cpu")
        return
    assert (made["status"], made["models"]) == ("refused", [])
    assert made["refusal"].startswith(message)
    assert "\n" not in made["refusal"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda catalog, tiers: tiers["cpu"]["models"].append("nosuch"),
            "model_plan_tiers: cpu names nosuch, which is not in model_plan_catalog",
        ),
        (lambda catalog, tiers: catalog["bge-m3"].pop("route"), "model_plan_catalog: bge-m3 has no route"),
        (lambda catalog, tiers: catalog["bge-m3"].update(route=""), "model_plan_catalog: bge-m3 has an empty route"),
        (lambda catalog, tiers: catalog["bge-m3"].update(mode="sing"), "model_plan_catalog: bge-m3 has mode 'sing'; set chat or embedding"),
        (
            lambda catalog, tiers: catalog["bge-m3"].update(mode="chat"),
            "model_plan_catalog: bge-m3 has mode chat, but is an embedding model by its other fields",
        ),
        (
            lambda catalog, tiers: catalog["tinyllama"].update(kv_bytes_per_token=0),
            "model_plan_catalog: tinyllama has mode chat, but is an embedding model",
        ),
        (
            lambda catalog, tiers: catalog["tinyllama"].update(mode="embedding"),
            "model_plan_catalog: tinyllama has mode embedding, but is good_for other things",
        ),
        (lambda catalog, tiers: catalog["bge-m3"].update(bytes=-1), "model_plan_catalog: bge-m3 has a size below zero, or none"),
        (lambda catalog, tiers: catalog["bge-m3"].update(bytes="12"), "model_plan_catalog: bge-m3 has a bytes that is not a whole number"),
        (
            lambda catalog, tiers: catalog["bge-m3"].update(bites=12),
            "model_plan_catalog: bge-m3 has 'bites', which means nothing here; there are route, mode, bytes",
        ),
        (
            lambda catalog, tiers: catalog["bge-m3"].update(route="tinyllama"),
            "model_plan_catalog: tinyllama and bge-m3 have the same route 'tinyllama'",
        ),
        (lambda catalog, tiers: catalog.update(x=None), "model_plan_catalog: x is not a mapping"),
        (
            lambda catalog, tiers: tiers["cpu"].update(resident=["bge-m3"]),
            "model_plan_tiers: cpu keeps bge-m3 resident, which is not among its models",
        ),
        (lambda catalog, tiers: tiers["cpu"].update(models="tinyllama"), "model_plan_tiers: cpu has a models that is not a list of names"),
        (lambda catalog, tiers: tiers["cpu"].update(models=[1]), "model_plan_tiers: cpu has a models that is not a list of names"),
        (lambda catalog, tiers: tiers["cpu"].update(models=["tinyllama", "tinyllama"]), "model_plan_tiers: cpu names a model twice"),
        (lambda catalog, tiers: tiers["cpu"].update(resident=["tinyllama", "tinyllama"]), "model_plan_tiers: cpu names a model twice"),
        (lambda catalog, tiers: tiers["cpu"].pop("floor_gib"), "model_plan_tiers: cpu has no floor_gib"),
        (lambda catalog, tiers: tiers["cpu"].update(floor_gib=1, kind="cpu"), "model_plan_tiers: no tier has a floor_gib of 0"),
        (
            lambda catalog, tiers: tiers["cpu"].update(kind="disk"),
            "model_plan_tiers: cpu has kind 'disk'; set one of cpu, dedicated, unified",
        ),
        (lambda catalog, tiers: tiers["vram_8"].update(floor_gib=-8), "model_plan_tiers: vram_8 has a size below zero"),
        (
            lambda catalog, tiers: tiers["vram_8"].update(floor_gib=float("nan")),
            "model_plan_tiers: vram_8 has a size below zero, or none, or no real one",
        ),
        (lambda catalog, tiers: tiers["vram_8"].update(floor_gib=12), "model_plan_tiers: vram_8 and vram_12 overlap: both begin at 12 GiB"),
        (lambda catalog, tiers: tiers["vram_8"].update(aliases=["low"]), "model_plan_tiers: the name 'low' means both cpu and vram_8"),
        (
            lambda catalog, tiers: tiers["vram_8"].update(aliases=["auto"]),
            "model_plan_tiers: the name 'auto' means both the tier of what a host has and vram_8",
        ),
        (
            lambda catalog, tiers: tiers["vram_16"].update(resident=["gpt-oss:20b", "bge-m3"]),
            "model_plan_tiers: vram_16 begins at 15073 MiB, but what it keeps resident needs 16404 MiB together",
        ),
    ],
)
def test_data_that_cannot_be_planned_with(spoil, message):
    catalog, tiers = copy.deepcopy(CATALOG), copy.deepcopy(TIERS)
    spoil(catalog, tiers)
    made = model_plan(reading(), catalog, tiers)
    assert made["status"] == "refused"
    assert made["refusal"].startswith(message)


@pytest.mark.parametrize("data", [None, [], {}, {"gpus": []}, {"gpus": [1], "memory": {}}, {"gpus": {}, "memory": {}}])
def test_no_reading(data):
    assert model_plan(data, CATALOG, TIERS)["refusal"] == "there is no reading to plan with: give what local_llm.fleet.gpu_info returned"


# The arithmetic, beside others'


@pytest.mark.parametrize("name", DEDICATED + UNIFIED)
def test_every_tier_fits_its_own_floor(name):
    floor = floor_mib(TIERS[name])
    made = plan(reading(card(floor) if name in DEDICATED else shared("apple", floor), memory=10**6))
    assert made["tier"] == name
    assert {name for name, _context, _total in resident(made)} == set(TIERS[name]["resident"])
    assert all(model["placement"] == "gpu" for model in made["models"] if model["resident"])
    assert not made["skipped"]


# Layers, key-value heads and head size as the models' configurations give them.
SHAPES = {
    "tinyllama": (22, 4, 64),
    "llama3.2:1b": (16, 8, 64),
    "llama3.2:3b": (28, 8, 128),
    "llama3.1:8b": (32, 8, 128),
    "llama3.3:70b": (80, 8, 128),
    "qwen3:0.6b": (28, 8, 128),
    "qwen3:1.7b": (28, 8, 128),
    "qwen3:4b": (36, 8, 128),
    "qwen3:8b": (36, 8, 128),
    "qwen3:14b": (40, 8, 128),
    "qwen3:32b": (64, 8, 128),
    "qwen3-coder:30b": (48, 4, 128),
    "gpt-oss:20b": (24, 8, 64),
    "gpt-oss:120b": (36, 8, 64),
}


def llmfit_cache_gib(layers, heads, size, context):
    """llmfit's precise formula, every layer counted, two bytes a value."""
    return layers * 2 * heads * size * context * 2 / 2**30


def gpustack_mib(size):
    """gpustack's claim for vLLM, which knows no context: weights and a fifth, and 2 GiB."""
    return size * 1.2 / 2**20 + 2048


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.items() if entry["mode"] == "chat"])
def test_the_cache_is_llmfits(name):
    needed = need(CATALOG[name], 8192)
    assert needed["kv"] == pytest.approx(llmfit_cache_gib(*SHAPES[name], 8192) * 1024, abs=1)


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.items() if entry["mode"] == "chat"])
def test_the_need_lies_between_the_bare_weights_and_gpustacks_claim(name):
    needed = need(CATALOG[name], min(8192, CATALOG[name]["max_context"]))
    assert CATALOG[name]["bytes"] / 2**20 + 1024 <= needed["total"] <= gpustack_mib(CATALOG[name]["bytes"])


# Properties

GPUS = st.builds(
    lambda kind, mib, vendor, source, uuid: card(mib, kind=kind, vendor=vendor, source=source, uuid=uuid),
    st.sampled_from(["dedicated", "unified", "slice", "unsupported", "unknown"]),
    st.none() | st.integers(-5, 10**6),
    st.sampled_from(["nvidia", "amd", "intel", "apple"]),
    st.sampled_from(["nvidia-smi", "pci"]),
    st.none() | st.sampled_from(["GPU-a", "GPU-b", "GPU-c"]),
)
READINGS = st.builds(
    lambda gpus, memory, problems: reading(*gpus, memory=memory, problems=problems),
    st.lists(GPUS, max_size=4),
    st.none() | st.integers(0, 10**7),
    st.lists(st.just(LOST), max_size=1),
)
NAMES = st.lists(st.sampled_from([*CATALOG, "nosuch"]), max_size=3)
WISHED = st.fixed_dictionaries(
    {},
    optional={
        "tier": st.sampled_from(["auto", *TIERS, "high", "nosuch"]),
        "tier_minimum": st.sampled_from(["", *TIERS]),
        "add": NAMES,
        "drop": NAMES,
        "require": NAMES,
        "reserve_mib": st.integers(-1, 10**5),
        "pool": st.booleans(),
        "gpus": st.lists(st.sampled_from(["GPU-a", "GPU-z"]), max_size=2),
        "num_parallel": st.integers(0, 8),
        "kv_cache_type": st.sampled_from([*CACHE_TYPES, "x"]),
        "allow_downgrade": st.booleans(),
    },
)


@given(READINGS, WISHED, st.sampled_from([None, {}, BIG, SMALL]))
def test_no_plan_is_larger_than_the_machine(data, wishes, before):
    made = model_plan(data, CATALOG, TIERS, wishes, before)
    assert model_plan(copy.deepcopy(data), CATALOG, TIERS, copy.deepcopy(wishes), before) == made
    assert json.loads(json.dumps(made)) == made
    plan_table({"host": made, "gone": None})
    assert "\n" not in plan_text.plan_line(made)
    assert bool(made["refusal"]) == (made["status"] != "final")
    if made["status"] != "final":
        assert (made["models"], made["tier"], made["engine"]) == ([], None, None)
        return
    assert plan_text.plan_changes(made, made) == []
    memory = data["memory"]["total_mib"] or 0
    cards = sum(
        gpu["memory_total_mib"] or 0 for gpu in data["gpus"] if gpu["kind"] in ("dedicated", "slice") and (gpu["memory_total_mib"] or 0) > 0
    )
    budget = made["budget"]
    if budget["gpus"] or budget["kind"] == "cpu":
        assert budget["mib"] <= (memory if budget["kind"] in ("cpu", "unified") else cards)
    free = max(0, budget["mib"] - budget["reserve_mib"])
    on_gpu = [model for model in made["models"] if budget["kind"] == "cpu" or model["placement"] == "gpu"]
    on_cpu = [model for model in made["models"] if model not in on_gpu]
    assert sum(model["need_mib"]["total"] for model in on_gpu if model["resident"]) <= free
    assert all(model["need_mib"]["total"] <= free for model in on_gpu)
    assert sum(model["need_mib"]["total"] for model in on_cpu) <= spared(memory)
    assert all(model["mode"] == "embedding" for model in on_cpu)
    assert all(2048 <= model["context"] <= CATALOG[model["name"]]["max_context"] for model in made["models"])
    later = [model for model in on_gpu if model["resident"]][1:]
    assert all(room_beside(model["need_mib"]) <= free for model in later)
    for name in wishes.get("require", []):
        assert named(made, name)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*CATALOG["bge-m3"], *TIERS["cpu"], *WISHES, "tinyllama", "cpu", "gpus", "memory"]) | st.text(),
            inner,
            max_size=6,
        )
    ),
)


@given(ANY, ANY, ANY, ANY, ANY)
def test_whatever_is_planned_with_ends_in_one_line(data, catalog, tiers, wishes, before):
    for made in (
        model_plan(data, catalog, tiers, wishes, before),
        model_plan(reading(), catalog, tiers),
        model_plan(reading(), CATALOG, tiers),
        model_plan(reading(), CATALOG, TIERS, wishes),
        model_plan(data, CATALOG, TIERS),
        model_plan(reading(problems=[LOST]), CATALOG, TIERS, {}, before),
    ):
        assert made["status"] in ("final", "refused", "provisional")


# What people are told


def test_a_plan_in_a_line():
    assert plan_text.plan_line(plan(reading(card(12282, name="NVIDIA GeForce RTX 4070")), add=["gpt-oss:20b"])) == (
        "vram_12, 12282 MiB (RTX 4070): *qwen3:8b@8k *bge-m3; not: gpt-oss:20b (wished) needs 14275 MiB at 2048 tokens, budget is 12282 MiB"
    )
    assert plan_text.plan_line(plan(reading(NO_DRIVER))).startswith(
        "pending (10de:2684 (unread)): the GPU 10de:2684 at 0000:01:00.0 has no driver"
    )
    assert plan_text.plan_line(plan(reading(), tier="x")).startswith("refused (-): model_plan_tier: there is no tier 'x'")


def test_plans_in_a_table():
    cards = [card(24576, name="NVIDIA GeForce RTX 3090"), card(24576, name="NVIDIA GeForce RTX 3090")]
    assert plan_table({"box": plan(reading(*cards)), "pc": plan(reading()), "gone": None}) == [
        "HOST  GPU           MIB    TIER     GETS (* stays loaded)                    DOES NOT GET",
        "box   2 x RTX 3090  24576  vram_24  *gpt-oss:20b@128k qwen3:32b@16k *bge-m3  -",
        "pc    -             48159  cpu      *tinyllama@2k                            -",
        "gone  ?             ?      unread   -                                        no answer: see the task that failed above",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '{"schema": 0}',
        '{"schema": 1, "status": "refused"}',
        '{"schema": 1, "status": "final", "budget": null, "models": null}',
        '{"schema": 1, "status": "final", "budget": {}, "engine": {}, "models": [{"nam": "x"}]}',
    ],
)
def test_an_earlier_plan_that_is_none(text):
    assert plan_parse(text) == {}


def test_an_earlier_plan():
    assert plan_parse(json.dumps(BIG)) == BIG


def test_a_plan_and_what_has_changed():
    assert plan_text.plan_text(SMALL) == plan_text.plan_line(SMALL)
    assert plan_text.plan_text(BIG, SMALL).splitlines()[1] == "tier: cpu -> vram_24"
    assert plan_text.plan_text(plan(reading(NO_DRIVER)), BIG).count("\n") == 0


def test_what_has_changed():
    then, now = plan(reading(card(15360))), plan(reading(card(24564)), num_parallel=2)
    assert plan_text.plan_changes(now, {}) == []
    assert plan_text.plan_changes(now, then) == [
        "tier: vram_16 -> vram_24",
        "MiB: 15360 -> 24564",
        "- tinyllama",
        "+ qwen3:32b, 8192 tokens",
        "gpt-oss:20b: context 16384 -> 65536",
        "bge-m3: placement cpu -> gpu",
        "bge-m3: resident False -> True",
        "engine context_length: 16384 -> 65536",
        "engine num_parallel: 1 -> 2",
    ]
