# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the models that fit a machine: pure functions from a reading and data to a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: model_plan
short_description: Choose the models that fit a machine
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes the plan of one host from what M(local_llm.fleet.gpu_info) has read, a catalog of models and a table of tiers.
  - The budget is the memory of the largest GPU with memory of its own, or three quarters of the machine's memory where
    there is no GPU, or none that is large enough for a tier of its own. The tier is the highest whose floor the budget
    reaches; a nominal size counts as reached from 92 % of it, because cards show less than they are sold as.
  - A model needs its weights, its context's cache, and 1024 MiB besides. Models that a tier keeps resident must fit
    together, the others each alone. The context is the largest that fits, up to the tier's limit.
positional: _input
options:
  _input:
    description:
      - What M(local_llm.fleet.gpu_info) returned.
    type: dict
    required: true
  catalog:
    description:
      - The models, by name. Each has C(route), C(mode) (V(chat) or V(embedding)), C(bytes), C(kv_bytes_per_token) and
        C(max_context).
    type: dict
    required: true
  tiers:
    description:
      - The tiers, by name. Each has C(floor_gib), C(models), C(resident) and C(max_context), and may have C(aliases).
        The tier with a floor of 0 is for machines without a GPU.
    type: dict
    required: true
  tier:
    description:
      - The tier to use, by name or alias, or V(auto).
    type: str
    default: auto
  tier_minimum:
    description:
      - Refuse to plan below this tier.
    type: str
  os:
    description:
      - The operating system's name, for the plan's C(host).
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Read the host
  local_llm.fleet.gpu_info:
  register: reading

- name: Plan it
  ansible.builtin.set_fact:
    plan: "{{ reading | local_llm.fleet.model_plan(catalog=my_catalog, tiers=my_tiers, tier='auto') }}"
"""

RETURN = r"""
_value:
  description:
    - The plan. C(status) is V(final), or V(unreadable) when the host has a GPU whose memory could not be read and its
      tier was not told; such a plan names no models.
  type: dict
"""

from ansible.errors import AnsibleFilterError

SCHEMA = 1
MIB = 2**20
NOMINAL = 0.92  # of a nominal size; cards of "16 GB" show from 15360 to 16384 MiB
OVERHEAD_MIB = 1024  # compute buffers and the GPU library's own context, per loaded model
CATALOG_FIELDS = {"route": str, "mode": str, "bytes": int, "kv_bytes_per_token": int, "max_context": int}
TIER_FIELDS = {"floor_gib": (int, float), "models": list, "resident": list, "max_context": int}
TYPE_NAMES = {str: "text", int: "a whole number", (int, float): "a number", list: "a list"}
CONTEXT_LADDER = (131072, 65536, 32768, 16384, 8192, 4096, 2048)


class PlanError(AnsibleFilterError):
    """The data or the wishes contradict themselves or the host. The message is one line that names the entry."""


def floor_mib(tier: dict) -> int:
    """The MiB from which a budget reaches a tier."""
    return int(tier["floor_gib"] * 1024 * NOMINAL)


def find_tier(name: str, tiers: dict, variable: str) -> str:
    """Return the tier that a name or an alias means.

    :raises PlanError: when there is none.
    """
    for tier, entry in tiers.items():
        if name == tier or name in entry.get("aliases", []):
            return tier
    known = [word for tier, entry in tiers.items() for word in [tier] + entry.get("aliases", [])]
    raise PlanError("%s: there is no tier '%s'; set one of auto, %s" % (variable, name, ", ".join(known)))


def check_fields(variable: str, name: str, entry, fields: dict) -> None:
    """Refuse an entry that lacks a field or has one of another type.

    :raises PlanError: naming the entry and the field.
    """
    if not isinstance(entry, dict):
        raise PlanError("%s: %s is not a mapping" % (variable, name))
    for field, kinds in fields.items():
        if field not in entry:
            raise PlanError("%s: %s has no %s" % (variable, name, field))
        if not isinstance(entry[field], kinds) or isinstance(entry[field], bool):
            raise PlanError("%s: %s has a %s that is not %s" % (variable, name, field, TYPE_NAMES[kinds]))


def check_data(catalog: dict, tiers: dict) -> None:
    """Refuse a catalog or tiers that cannot be planned with.

    :raises PlanError: naming the entry.
    """
    routes = {}
    for name, entry in catalog.items():
        check_fields("model_plan_catalog", name, entry, CATALOG_FIELDS)
        if entry["mode"] not in ("chat", "embedding"):
            raise PlanError("model_plan_catalog: %s has mode '%s'; set chat or embedding" % (name, entry["mode"]))
        if entry["bytes"] <= 0 or entry["kv_bytes_per_token"] < 0 or entry["max_context"] <= 0:
            raise PlanError("model_plan_catalog: %s has a size below zero" % name)
        if entry["route"] in routes:
            raise PlanError("model_plan_catalog: %s and %s have the same route '%s'" % (routes[entry["route"]], name, entry["route"]))
        routes[entry["route"]] = name
    for name, entry in tiers.items():
        check_fields("model_plan_tiers", name, entry, TIER_FIELDS)
        if entry["floor_gib"] < 0 or entry["max_context"] <= 0:
            raise PlanError("model_plan_tiers: %s has a size below zero" % name)
        for model in entry["models"]:
            if model not in catalog:
                raise PlanError("model_plan_tiers: %s names %s, which is not in model_plan_catalog" % (name, model))
        for model in entry["resident"]:
            if model not in entry["models"]:
                raise PlanError("model_plan_tiers: %s keeps %s resident, which is not among its models" % (name, model))
    if not any(entry["floor_gib"] == 0 for entry in tiers.values()):
        raise PlanError("model_plan_tiers: no tier has a floor_gib of 0, for machines without a GPU")


def cpu_budget(reading: dict) -> dict:
    """What models may use of the machine's own memory: three quarters of it, and always 2 GiB less than all."""
    total = (reading.get("memory") or {}).get("total_mib") or 0
    return {"kind": "cpu", "gpu": None, "mib": max(0, total - max(2048, total // 4)), "reserve_mib": 0}


def gpu_budget(reading: dict) -> dict | None:
    """The largest GPU that has memory of its own, or None where there is none. Stable from run to run, because it goes
    by what a card has and not by what is free."""
    cards = [gpu for gpu in reading.get("gpus") or [] if gpu.get("kind") == "dedicated" and gpu.get("memory_total_mib")]
    if not cards:
        return None
    card = max(cards, key=lambda gpu: gpu["memory_total_mib"])
    return {"kind": "dedicated", "gpu": card.get("uuid"), "mib": card["memory_total_mib"], "reserve_mib": 0}


def contexts(entry: dict, tier: dict) -> list[int]:
    """The contexts to try for a model, from the largest."""
    limit = min(entry["max_context"], tier["max_context"]) if entry["mode"] == "chat" else entry["max_context"]
    return [limit] + [step for step in CONTEXT_LADDER if step < limit]


def need(entry: dict, context: int) -> dict:
    """What a model takes with one context, in MiB, rounded up part by part."""
    weights = -(-entry["bytes"] // MIB)
    cache = -(-entry["kv_bytes_per_token"] * context // MIB)
    return {"weights": weights, "kv": cache, "overhead": OVERHEAD_MIB, "total": weights + cache + OVERHEAD_MIB}


def choose(names: list[str], catalog: dict, tier: dict, budget: dict) -> tuple[list[dict], list[dict]]:
    """Place a tier's models into a budget: the resident ones beside each other, the others each alone.

    :returns: the models of the plan, and what was skipped with the arithmetic.
    """
    models, skipped, taken = [], [], 0
    # The resident ones come first, in the tier's order: what the first takes, the next cannot have.
    resident = [name for name in tier["resident"] if name in names]
    # Each leaves room for the least that the resident ones after it need.
    least = {name: need(catalog[name], contexts(catalog[name], tier)[-1])["total"] for name in resident}
    for position, name in enumerate(resident + [name for name in names if name not in resident]):
        entry, stays = catalog[name], name in resident
        room = budget["mib"]
        if stays:
            room -= taken + sum(least[other] for other in resident[position + 1 :])
        fitting = [step for step in contexts(entry, tier) if need(entry, step)["total"] <= room]
        if not fitting:
            smallest = contexts(entry, tier)[-1]
            beside = " beside the resident models" if room != budget["mib"] else ""
            skipped.append(
                {
                    "name": name,
                    "reason": "needs %d MiB at %d tokens, budget is %d MiB%s" % (need(entry, smallest)["total"], smallest, room, beside),
                }
            )
            continue
        needed = need(entry, fitting[0])
        if stays:
            taken += needed["total"]
        models.append(
            {
                "name": name,
                "route": entry["route"],
                "mode": entry["mode"],
                "engine": "ollama",
                "placement": "cpu" if budget["kind"] == "cpu" else "gpu",
                "resident": stays,
                "preload": stays,
                "context": fitting[0],
                "bytes": entry["bytes"],
                "need_mib": needed,
            }
        )
    order = {name: position for position, name in enumerate(names)}
    return sorted(models, key=lambda model: order[model["name"]]), skipped


def model_plan(reading: dict, catalog: dict, tiers: dict, tier: str = "auto", tier_minimum: str | None = None, os: str = "") -> dict:
    """Make the plan of one host. See this file's DOCUMENTATION for the arguments and the rules.

    :raises PlanError: for data or wishes that cannot be followed.
    """
    check_data(catalog, tiers)
    ranked = sorted(tiers, key=lambda name: tiers[name]["floor_gib"])
    problems = list(reading.get("problems") or [])
    budget = gpu_budget(reading)
    unreadable = [gpu for gpu in reading.get("gpus") or [] if gpu.get("kind") != "dedicated"]
    for gpu in unreadable:
        problems.append("the GPU %s %s" % (gpu.get("name"), "has no driver" if gpu.get("source") == "pci" else "does not tell its memory"))
    plan = {
        "schema": SCHEMA,
        "status": "final",
        "host": {"os": os, "memory_mib": (reading.get("memory") or {}).get("total_mib")},
        "tier": None,
        "budget": budget or cpu_budget(reading),
        "engine": None,
        "models": [],
        "skipped": [],
        "problems": problems,
    }
    if tier in (None, "", "auto"):
        if problems:
            # A wrong reading is worse than none: nothing is chosen from it.
            plan["status"] = "unreadable"
            return plan
        reached = [name for name in ranked if floor_mib(tiers[name]) <= (budget["mib"] if budget else 0)]
        plan["tier"] = reached[-1]
    else:
        plan["tier"] = find_tier(tier, tiers, "model_plan_tier")
        if tiers[plan["tier"]]["floor_gib"] > 0 and budget is None:
            if not unreadable and not problems:
                raise PlanError("model_plan_tier: %s needs a GPU and this host has none; set auto" % tier)
            plan["budget"] = {"kind": "dedicated", "gpu": None, "mib": floor_mib(tiers[plan["tier"]]), "reserve_mib": 0}
    if tier_minimum:
        minimum = find_tier(tier_minimum, tiers, "model_plan_tier_minimum")
        if ranked.index(plan["tier"]) < ranked.index(minimum):
            raise PlanError(
                "model_plan_tier_minimum: this host has %d MiB, which is tier %s; %s begins at %d MiB"
                % (plan["budget"]["mib"], plan["tier"], minimum, floor_mib(tiers[minimum]))
            )
    chosen = tiers[plan["tier"]]
    if chosen["floor_gib"] == 0:
        plan["budget"] = cpu_budget(reading)  # a GPU too small for any tier of its own is left alone
    plan["models"], plan["skipped"] = choose(list(chosen["models"]), catalog, chosen, plan["budget"])
    resident = sum(model["resident"] for model in plan["models"])
    plan["engine"] = {
        "name": "ollama",
        "context_length": max([model["context"] for model in plan["models"] if model["mode"] == "chat"], default=CONTEXT_LADDER[-1]),
        "num_parallel": 1,
        "max_loaded_models": resident + (1 if resident < len(plan["models"]) else 0) or 1,
        "keep_alive": "5m",
        "kv_cache_type": "f16",
        "flash_attention": "auto",
    }
    return plan


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        return {"model_plan": model_plan}
