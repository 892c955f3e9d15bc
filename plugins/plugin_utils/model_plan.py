# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a host is to run: a pure function from a reading, a catalog, tiers and preferences to a plan.

The rules, and the sources of the arithmetic, are in docs/models.md.
"""

from __future__ import annotations

import json
import re
import typing as t

SCHEMA = 1
MODEL_FIELDS = ("name", "route", "mode", "placement", "resident", "context", "bytes")
MIB = 2**20
NOMINAL = 0.92  # of a nominal size; cards of "16 GB" show from 15360 to 16384 MiB
OVERHEAD_MIB = 1024  # compute buffers and the GPU library's own context, per loaded model
POOLED = 0.95  # of a pool's sum; what is lost to splitting layers and to buffers on every card
EQUAL = 0.9  # of the largest card; from there on two count as equal
ADMITTED = 0.8  # of the free memory; Ollama since 0.30 drives out another model for one that it predicts to need more
CONTEXT_LADDER = (131072, 65536, 32768, 16384, 8192, 4096, 2048)
CACHE_TYPES = {"f16": 1.0, "q8_0": 34 / 64, "q4_0": 18 / 64}  # bytes of a block of 32 values, beside 64 of f16
MODES = ("chat", "embedding")
KINDS = ("cpu", "dedicated", "unified")
USABLE = ("dedicated", "unified", "slice")
# What the image ollama/ollama:rocm has code for: its Dockerfile and llama/server/CMakePresets.json (preset rocm_v7_2_linux).
# fmt: off
ROCM_TARGETS = [
    "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1101", "gfx1102", "gfx1150", "gfx1151", "gfx1200", "gfx1201",
]
# fmt: on
BACKENDS = {"nvidia": "cuda", "intel": "vulkan", "apple": "metal"}
SAME = 0.97  # of an earlier size; another driver may show a few MiB less of the same card

CATALOG_FIELDS = {"route": str, "mode": str, "bytes": int, "kv_bytes_per_token": int, "max_context": int}
CATALOG_EXTRAS = {"good_for": list}
TIER_FIELDS = {"floor_gib": (int, float), "models": list, "resident": list, "max_context": int}
TIER_EXTRAS = {"aliases": list, "kind": str}
WISHES: dict[str, t.Any] = {
    "tier": "auto",
    "tier_minimum": "",
    "add": [],
    "drop": [],
    "require": [],
    "reserve_mib": 0,
    "pool": False,
    "gpus": [],
    "num_parallel": 1,
    "kv_cache_type": "f16",
    "keep_alive": "5m",
    "rocm_targets": ROCM_TARGETS,
    "allow_downgrade": False,
}
TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    (int, float): "a number",
    list: "a list of names such as [tinyllama]",
    bool: "true or false",
}


class PlanError(ValueError):
    """The data or the wishes contradict themselves or the host. The message is one line that names the entry."""


# What may be planned with


def is_kind(value: t.Any, kinds: t.Any) -> bool:
    """Tell whether a value has one of the types, where true is no number, and a list holds nothing but text."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        return kinds is bool and isinstance(value, bool)
    return not isinstance(value, list) or all(isinstance(item, str) for item in value)


def check_fields(variable: str, name: str, entry: t.Any, fields: dict[str, t.Any], extras: dict[str, t.Any]) -> None:
    """Refuse an entry that lacks a field, has one of another type, or has one that means nothing.

    :raises PlanError: naming the entry and the field.
    """
    if not isinstance(entry, dict):
        raise PlanError("%s: %s is not a mapping" % (variable, name))
    for field in fields:
        if field not in entry:
            raise PlanError("%s: %s has no %s" % (variable, name, field))
    known = {**fields, **extras}
    for field, value in entry.items():
        if field not in known:
            raise PlanError("%s: %s has '%s', which means nothing here; there are %s" % (variable, name, field, ", ".join(known)))
        if not is_kind(value, known[field]):
            raise PlanError("%s: %s has a %s that is not %s" % (variable, name, field, TYPE_NAMES[known[field]]))


def check_catalog(catalog: t.Any) -> None:
    """Refuse a catalog that cannot be planned with.

    :raises PlanError: naming the entry.
    """
    variable = "model_plan_catalog"
    if not isinstance(catalog, dict):
        raise PlanError("%s is not a mapping from a model's name to what is known of it" % variable)
    routes: dict[str, str] = {}
    for name, entry in catalog.items():
        check_fields(variable, name, entry, CATALOG_FIELDS, CATALOG_EXTRAS)
        if entry["mode"] not in MODES:
            raise PlanError("%s: %s has mode '%s'; set chat or embedding" % (variable, name, entry["mode"]))
        if entry["bytes"] <= 0 or entry["kv_bytes_per_token"] < 0 or entry["max_context"] <= 0:
            raise PlanError("%s: %s has a size below zero, or none" % (variable, name))
        # An embedding model keeps no cache, and every chat model does.
        if entry["mode"] == "chat" and (entry["kv_bytes_per_token"] == 0 or "embedding" in entry.get("good_for", [])):
            raise PlanError("%s: %s has mode chat, but is an embedding model by its other fields; set mode: embedding" % (variable, name))
        if entry["mode"] == "embedding" and set(entry.get("good_for", [])) - {"embedding"}:
            raise PlanError("%s: %s has mode embedding, but is good_for other things; set mode: chat" % (variable, name))
        if not entry["route"]:
            raise PlanError("%s: %s has an empty route" % (variable, name))
        if entry["route"] in routes:
            raise PlanError("%s: %s and %s have the same route '%s'" % (variable, routes[entry["route"]], name, entry["route"]))
        routes[entry["route"]] = name


def kind_of(tier: dict[str, t.Any]) -> str:
    """The kind of memory that a tier is for."""
    return str(tier.get("kind", "dedicated" if tier["floor_gib"] else "cpu"))


def floor_mib(tier: dict[str, t.Any]) -> int:
    """The MiB from which a budget reaches a tier."""
    return int(tier["floor_gib"] * 1024 * NOMINAL)


def check_tiers(tiers: t.Any, catalog: dict[str, t.Any]) -> None:
    """Refuse tiers that cannot be planned with.

    :raises PlanError: naming the entry.
    """
    variable = "model_plan_tiers"
    if not isinstance(tiers, dict):
        raise PlanError("%s is not a mapping from a tier's name to what it holds" % variable)
    words: dict[str, str] = {"auto": "the tier of what a host has"}
    floors: dict[tuple[str, float], str] = {}
    for name, entry in tiers.items():
        check_fields(variable, name, entry, TIER_FIELDS, TIER_EXTRAS)
        if not 0 <= entry["floor_gib"] < 10**6 or entry["max_context"] <= 0:
            raise PlanError("%s: %s has a size below zero, or none, or no real one" % (variable, name))
        if kind_of(entry) not in KINDS:
            raise PlanError("%s: %s has kind '%s'; set one of %s" % (variable, name, entry["kind"], ", ".join(KINDS)))
        for word in [name] + entry.get("aliases", []):
            if word in words:
                raise PlanError("%s: the name '%s' means both %s and %s" % (variable, word, words[word], name))
            words[word] = name
        place = (kind_of(entry), entry["floor_gib"])
        if place in floors:
            raise PlanError("%s: %s and %s overlap: both begin at %s GiB" % (variable, floors[place], name, entry["floor_gib"]))
        floors[place] = name
        for model in entry["models"]:
            if model not in catalog:
                raise PlanError("%s: %s names %s, which is not in model_plan_catalog" % (variable, name, model))
        for model in entry["resident"]:
            if model not in entry["models"]:
                raise PlanError("%s: %s keeps %s resident, which is not among its models" % (variable, name, model))
        if any(len(set(entry[field])) < len(entry[field]) for field in ("models", "resident")):
            raise PlanError("%s: %s names a model twice" % (variable, name))
    if ("cpu", 0) not in floors:
        raise PlanError("%s: no tier has a floor_gib of 0, for machines without a GPU" % variable)
    for name, entry in tiers.items():
        needed = sum(room_beside(least_need(catalog[model], entry)) for model in entry["resident"][1:])
        needed += sum(least_need(catalog[model], entry)["total"] for model in entry["resident"][:1])
        if entry["floor_gib"] and needed > floor_mib(entry):
            raise PlanError(
                "%s: %s begins at %d MiB, but what it keeps resident needs %d MiB together" % (variable, name, floor_mib(entry), needed)
            )


def find_tier(name: str, tiers: dict[str, t.Any], variable: str) -> str:
    """Return the tier that a name or an alias means.

    :raises PlanError: when there is none.
    """
    for tier, entry in tiers.items():
        if name == tier or name in entry.get("aliases", []):
            return tier
    known = [word for tier, entry in tiers.items() for word in [tier] + entry.get("aliases", [])]
    known += ["auto"] if variable == "model_plan_tier" else []
    raise PlanError("%s: there is no tier '%s'; set one of %s" % (variable, name, ", ".join(known)))


def check_wishes(wishes: t.Any, catalog: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the wishes, complete, with the models' names as the catalog writes them.

    :raises PlanError: naming the variable of a wish that means nothing or contradicts another.
    """
    if not isinstance(wishes, dict):
        raise PlanError("the wishes are not a mapping")
    for name, value in wishes.items():
        if name not in WISHES:
            raise PlanError("model_plan_%s: there is no such wish; there are %s" % (name, ", ".join(WISHES)))
        # Seconds may be written as a number: -1 keeps models loaded for ever.
        if not is_kind(value, type(WISHES[name])) and not (name == "keep_alive" and is_kind(value, int)):
            raise PlanError("model_plan_%s is %s, not %s" % (name, json.dumps(value, default=str)[:60], TYPE_NAMES[type(WISHES[name])]))
    made = {**WISHES, **wishes}
    made["keep_alive"] = str(made["keep_alive"])
    for name in ("add", "drop", "require"):
        # Ollama's own default tag goes without saying.
        made[name] = [model if model in catalog else model.rsplit(":latest", 1)[0] for model in made[name]]
        for model in made[name]:
            if model not in catalog:
                raise PlanError("model_plan_%s: %s is not in model_plan_catalog; add it there, with its size" % (name, model))
    for model in made["drop"]:
        for name in ("add", "require"):
            if model in made[name]:
                raise PlanError("model_plan_drop: %s is in model_plan_%s, too; take it out of one of them" % (model, name))
    if made["reserve_mib"] < 0:
        raise PlanError("model_plan_reserve_mib: %d is below zero" % made["reserve_mib"])
    if not 1 <= made["num_parallel"] <= 1024:
        raise PlanError("model_plan_num_parallel: %d is not between 1 and 1024" % made["num_parallel"])
    if not re.match(r"^(-?[0-9]+|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$", made["keep_alive"]):
        raise PlanError("model_plan_keep_alive: '%s' is no time; set one such as 5m, 24h, or -1 for ever" % made["keep_alive"])
    for target in made["rocm_targets"]:
        if not re.match("^gfx[0-9a-f]{3,4}$", target):
            raise PlanError("model_plan_rocm_targets: '%s' is not a target; set names such as gfx1100" % target)
    if made["kv_cache_type"] not in CACHE_TYPES:
        raise PlanError("model_plan_kv_cache_type: '%s' is none; set one of %s" % (made["kv_cache_type"], ", ".join(CACHE_TYPES)))
    return made


# What the host has


def number(value: t.Any) -> int:
    """A reading's number, or 0 where it could not be read."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def spared(total: int) -> int:
    """Three quarters of a machine's memory, and always 2 GiB less than all: the rest is the system's."""
    return max(0, total - max(2048, total // 4))


def gpu_mib(gpu: dict[str, t.Any], memory: int) -> int:
    """What models may use of one GPU, in MiB.

    :arg memory: the machine's own memory in MiB.
    """
    size = number(gpu.get("memory_total_mib"))
    if gpu.get("kind") != "unified":
        return size
    if gpu.get("vendor") == "nvidia":  # tells no size, or none to rely on
        return spared(memory)
    if gpu.get("vendor") == "amd":  # an administrator may have set it to all there is
        return min(size, memory - min(8192, memory // 4))
    return min(size, memory)  # macOS has kept its own share back


def cpu_budget(memory: int, wishes: dict[str, t.Any]) -> dict[str, t.Any]:
    """What models may use of the machine's own memory."""
    return {"kind": "cpu", "vendor": None, "gpus": [], "mib": spared(memory), "reserve_mib": wishes["reserve_mib"]}


def gpu_budget(gpus: list[dict[str, t.Any]], memory: int, wishes: dict[str, t.Any]) -> dict[str, t.Any] | None:
    """What models may use of the GPUs: of the largest, or of all that are as large as the largest where they are pooled.
    None where there is no GPU. It goes by what a GPU has and not by what is free, and so is stable from run to run."""
    sized = [(gpu_mib(gpu, memory), gpu) for gpu in gpus]
    sized = [(size, gpu) for size, gpu in sized if size]
    if not sized:
        return None
    largest, first = max(sized, key=lambda pair: pair[0])
    equal = [(largest, first)]
    if wishes["pool"] and first["kind"] == "dedicated":
        equal = [
            (size, gpu)
            for size, gpu in sized
            if gpu["kind"] == "dedicated" and gpu.get("vendor") == first.get("vendor") and size >= EQUAL * largest
        ]
    pooled = len(equal) > 1
    return {
        "kind": "pooled" if pooled else first["kind"],
        "vendor": first.get("vendor"),
        "gpus": [gpu.get("uuid") or gpu.get("pci_address") for _size, gpu in equal],
        "mib": int(sum(size for size, _gpu in equal) * POOLED) if pooled else largest,
        "reserve_mib": wishes["reserve_mib"],
    }


def backend_of(budget: dict[str, t.Any], gpus: list[dict[str, t.Any]], wishes: dict[str, t.Any]) -> str:
    """What the engine computes with: ``cuda``, ``rocm``, ``vulkan``, ``metal`` or ``cpu``.

    :arg gpus: the GPUs that the engine may use. Of AMD's those that the budget counts decide, and where a tier was told in spite of
        the reading, all. Vulkan serves every AMD GPU, and ROCm only those that its image has code for.
    """
    vendor = budget["vendor"]
    if budget["kind"] == "cpu" or not vendor:
        return "cpu"
    if vendor != "amd":
        return BACKENDS.get(str(vendor), "cpu")
    mine = [gpu for gpu in gpus if gpu.get("vendor") == vendor and gpu.get("kind") != "unsupported"]
    counted = [gpu for gpu in mine if (gpu.get("uuid") or gpu.get("pci_address")) in budget["gpus"]] or mine
    return "rocm" if counted and all(gpu.get("gfx") in wishes["rocm_targets"] for gpu in counted) else "vulkan"


def chosen_gpus(gpus: list[dict[str, t.Any]], wishes: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the GPUs that the wishes name, or all.

    :raises PlanError: when one of them is not there or cannot be used.
    """
    if not wishes["gpus"]:
        return gpus
    found: list[dict[str, t.Any]] = []
    for name in wishes["gpus"]:
        matching = [gpu for gpu in gpus if name.lower() in ((gpu.get("uuid") or "").lower(), gpu.get("pci_address"))]
        if not matching:
            words = [" at ".join(str(word) for word in (gpu.get("uuid"), gpu.get("pci_address")) if word) for gpu in gpus]
            there = ", ".join(word for word in words if word) or "none that can be named"
            raise PlanError("model_plan_gpus: this host has no GPU '%s'; it has %s" % (name, there))
        for gpu in matching:  # an address means all slices of its card
            if gpu.get("kind") not in USABLE:
                raise PlanError("model_plan_gpus: %s (%s) cannot be used" % (name, gpu.get("name")))
            if not any(gpu is other for other in found):
                found.append(gpu)
    return found


def room(budget: dict[str, t.Any]) -> int:
    """The MiB of a budget that models may take."""
    return max(0, int(budget["mib"] - budget["reserve_mib"]))


# What fits


def contexts(entry: dict[str, t.Any], tier: dict[str, t.Any]) -> list[int]:
    """The contexts to try for a model, from the largest."""
    limit = min(entry["max_context"], tier["max_context"]) if entry["mode"] == "chat" else entry["max_context"]
    return [limit] + [step for step in CONTEXT_LADDER if step < limit]


def need(entry: dict[str, t.Any], context: int, parallel: int = 1, cache_type: str = "f16") -> dict[str, int]:
    """What a model takes with one context, in MiB, rounded up part by part.

    The weights are the size of the download. The cache is what the keys and values of one token take in all layers
    (C(2 * layers * key-value heads * head size * 2 bytes) as f16), times the tokens, times the requests at a time. It is
    Ollama's own prediction, plus 1024 MiB for what that leaves out.
    """
    weights = -(-entry["bytes"] // MIB)
    cache = -(-int(entry["kv_bytes_per_token"] * context * parallel * CACHE_TYPES[cache_type]) // MIB)
    return {"weights": weights, "kv": cache, "overhead": OVERHEAD_MIB, "total": weights + cache + OVERHEAD_MIB}


def least_need(entry: dict[str, t.Any], tier: dict[str, t.Any], parallel: int = 1, cache_type: str = "f16") -> dict[str, int]:
    """What a model takes with the smallest context of the ladder."""
    return need(entry, contexts(entry, tier)[-1], parallel, cache_type)


def room_beside(needed: dict[str, int]) -> int:
    """The free MiB from which the engine loads a model beside others instead of in their place."""
    return max(needed["total"], -int(-(needed["weights"] + needed["kv"]) // ADMITTED))


class Placement:
    """Places a tier's models into a budget: the resident ones beside each other, the others each alone."""

    def __init__(
        self, catalog: dict[str, t.Any], tier: dict[str, t.Any], budget: dict[str, t.Any], memory: int, wishes: dict[str, t.Any]
    ) -> None:
        self.catalog = catalog
        self.tier = tier
        self.budget = budget
        self.wishes = wishes
        self.free = self.room = room(budget)
        # A CPU beside the GPU has memory of its own only where the GPU has, too.
        self.cpu_free = spared(memory) if budget["kind"] not in ("cpu", "unified") else 0
        self.models: list[dict[str, t.Any]] = []
        self.skipped: list[dict[str, t.Any]] = []

    def needs(self, name: str, context: int) -> dict[str, int]:
        parallel = self.wishes["num_parallel"] if self.catalog[name]["mode"] == "chat" else 1
        return need(self.catalog[name], context, parallel, self.wishes["kv_cache_type"])

    def largest(self, name: str, free: int, beside: bool) -> int | None:
        """The largest context with which a model fits, alone or beside others."""
        for context in contexts(self.catalog[name], self.tier):
            needed = self.needs(name, context)
            if (room_beside(needed) if beside else needed["total"]) <= free:
                return context
        return None

    def add(self, name: str, context: int, resident: bool, on_cpu: bool = False) -> None:
        entry = self.catalog[name]
        needed = self.needs(name, context)
        if on_cpu:
            self.cpu_free -= needed["total"]
        elif resident:
            self.free -= needed["total"]
        self.models.append(
            {
                "name": name,
                "route": entry["route"],
                "mode": entry["mode"],
                "engine": "ollama",
                "placement": "cpu" if on_cpu or self.budget["kind"] == "cpu" else "gpu",
                "resident": resident,
                "preload": resident,
                "context": context,
                "bytes": entry["bytes"],
                "need_mib": needed,
            }
        )

    def skip(self, name: str, free: int) -> None:
        smallest = contexts(self.catalog[name], self.tier)[-1]
        beside = " beside the resident models" if free != self.room else ""
        spare = ", of which %d are reserved" % self.budget["reserve_mib"] if self.budget["reserve_mib"] and not beside else ""
        size = free if beside else self.budget["mib"]
        reason = "needs %d MiB at %d tokens, budget is %d MiB%s%s" % (self.needs(name, smallest)["total"], smallest, size, spare, beside)
        self.skipped.append({"name": name, "reason": reason})

    def place_resident(self, name: str, later: list[str]) -> None:
        """Place a model that stays loaded; it leaves room for the least that the resident ones after it need."""
        first = self.free == self.room
        kept = sum(room_beside(self.needs(other, contexts(self.catalog[other], self.tier)[-1])) for other in later)
        context = self.largest(name, self.free - kept, not first)
        if context is not None:
            self.add(name, context, True)
        elif not self.place_on_cpu(name, True):
            self.skip(name, self.free - kept)

    def place_on_cpu(self, name: str, resident: bool) -> bool:
        """Place an embedding model, which is small and quick, on the CPU; true where that could be done."""
        context = self.largest(name, self.cpu_free, False)
        if self.catalog[name]["mode"] != "embedding" or context is None:
            return False
        self.add(name, context, resident, on_cpu=True)
        return True

    def place_other(self, name: str) -> None:
        """Place a model that takes turns, or stays out of the way of the resident ones."""
        context = self.largest(name, self.room, False)
        crowded = self.free < self.room and self.largest(name, self.free, True) is None
        if crowded and self.place_on_cpu(name, False):
            return
        if context is None:
            self.skip(name, self.room)
        else:
            self.add(name, context, False)

    def place(self, names: list[str]) -> None:
        """Place the models of these names, and leave them in this order."""
        # The resident ones come first, in the tier's order: what the first takes, the next cannot have.
        resident = [name for name in self.tier["resident"] if name in names]
        for position, name in enumerate(resident):
            self.place_resident(name, resident[position + 1 :])
        for name in names:
            if name not in resident:
                self.place_other(name)
        self.models.sort(key=lambda model: names.index(model["name"]))
        self.skipped.sort(key=lambda model: names.index(model["name"]))


# The plan


def lowered(before: t.Any, budget: dict[str, t.Any], wishes: dict[str, t.Any]) -> str | None:
    """Say what the earlier plan had where that was more than this budget and no wish is the reason, else None."""
    then = before.get("budget") if isinstance(before, dict) else None
    if not isinstance(then, dict) or then.get("kind") == "cpu" or (then.get("kind") == "pooled" and not wishes["pool"]):
        return None
    if budget["kind"] == "cpu" or budget["mib"] < number(then.get("mib")) * SAME:
        return "tier %s, %d MiB" % (before.get("tier"), number(then.get("mib")))
    return None


def engine_settings(
    models: list[dict[str, t.Any]], budget: dict[str, t.Any], wishes: dict[str, t.Any], gpus: list[dict[str, t.Any]]
) -> dict[str, t.Any]:
    """What the engine must be started with, so that it does what the plan says."""
    turns = [model for model in models if not model["resident"] and (model["placement"] == "gpu" or budget["kind"] == "cpu")]
    return {
        "name": "ollama",
        "backend": backend_of(budget, gpus, wishes),
        "context_length": max([model["context"] for model in models if model["mode"] == "chat"], default=CONTEXT_LADDER[-1]),
        "num_parallel": wishes["num_parallel"],
        "max_loaded_models": max(1, len(models) - len(turns) + bool(turns)),
        "keep_alive": wishes["keep_alive"],
        "kv_cache_type": wishes["kv_cache_type"],
        # A cache of fewer bits needs it.
        "flash_attention": "auto" if wishes["kv_cache_type"] == "f16" else "on",
        # The GPUs that the engine is confined to; None is all. Of several slices CUDA would take the first it meets.
        "gpus": budget["gpus"] if budget["kind"] == "slice" else wishes["gpus"] or None,
    }


def make_plan(
    reading: dict[str, t.Any],
    catalog: dict[str, t.Any],
    tiers: dict[str, t.Any],
    wishes: dict[str, t.Any] | None = None,
    before: dict[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Make the plan of one host. See this file's DOCUMENTATION for the arguments and the rules.

    :returns: a plan. Its status is ``final``, or ``provisional`` or ``refused`` with a ``refusal`` that says why.
    :raises PlanError: for data or wishes that cannot be followed.
    """
    plan = empty_plan(reading)
    check_catalog(catalog)
    check_tiers(tiers, catalog)
    wishes = check_wishes(wishes or {}, catalog)
    memory = number(reading["memory"].get("total_mib"))
    gpus = chosen_gpus(reading["gpus"], wishes)
    wishes["gpus"] = [gpu.get("uuid") or gpu.get("pci_address") for gpu in gpus] if wishes["gpus"] else []
    unread = [gpu for gpu in gpus if gpu.get("kind") == "unknown"]
    waiting = [gpu for gpu in unread if gpu.get("source") == "pci"]
    driverless = ["the GPU %s at %s has no driver" % (gpu.get("name"), gpu.get("pci_address")) for gpu in waiting]
    unsure = (bool(plan["problems"]) or len(unread) > len(driverless)) and not wishes["gpus"]
    plan["budget"] = gpu_budget([gpu for gpu in gpus if gpu.get("kind") in USABLE], memory, wishes) or cpu_budget(memory, wishes)
    told = find_tier(wishes["tier"], tiers, "model_plan_tier") if wishes["tier"] not in ("", "auto") else None
    name = told or reached(plan, tiers, memory, wishes)
    if told:
        tell(plan, tiers[told], wishes, memory, unread, bool(unread) or unsure)
    if (unsure or driverless) and not (told and (not before or told != before.get("tier"))):
        # Nobody has said, or has said nothing new about, what this host is to be: its reading must be relied on.
        faults = "; ".join(plan["problems"] or driverless or ["a GPU does not tell its memory"])
        less = lowered(before, plan["budget"], wishes)
        status = "refused" if unsure else "provisional"
        fix = "fix that, or" if unsure else "install it, or"
        others = " or which GPUs to use with model_plan_gpus" if plan["budget"]["kind"] != "cpu" else ""
        if not before:
            fix += " tell this host its tier with model_plan_tier (cpu leaves the GPU alone)" + others
            return dict(plan, status=status, refusal="%s: %s" % (faults, fix))
        if less and not wishes["allow_downgrade"]:
            fix = "this host has a bigger plan (%s), which a reading with problems does not lower; %s" % (less, fix)
            return dict(plan, status=status, refusal="%s: %s set model_plan_allow_downgrade: true" % (faults, fix))
    plan["problems"] += [line for line in driverless if not told]

    tier = tiers[name]
    if kind_of(tier) == "cpu":
        plan["budget"] = cpu_budget(memory, wishes)
    if wishes["tier_minimum"]:
        minimum = find_tier(wishes["tier_minimum"], tiers, "model_plan_tier_minimum")
        enough = plan["budget"]["kind"] != "cpu" or kind_of(tiers[minimum]) == "cpu"
        if not enough or room(plan["budget"]) < floor_mib(tiers[minimum]):
            what = "no GPU that counts" if not enough else "%d MiB for models" % room(plan["budget"])
            raise PlanError(
                "model_plan_tier_minimum: this host has %s and gets tier %s; %s begins at %d MiB: set a smaller one, or none"
                % (what, name, minimum, floor_mib(tiers[minimum]))
            )
    wished = [model for model in wishes["add"] + wishes["require"] if model not in tier["models"]]
    names = [model for model in tier["models"] if model not in wishes["drop"]] + list(dict.fromkeys(wished))
    placement = Placement(catalog, tier, plan["budget"], memory, wishes)
    placement.place(names)
    for entry in placement.skipped:
        if entry["name"] in wishes["require"]:
            raise PlanError("model_plan_require: %s cannot run on this host: it %s" % (entry["name"], entry["reason"]))
    if not names:
        raise PlanError("model_plan_drop: it leaves this host without a model; take one of them out, or add another with model_plan_add")
    if not placement.models:
        reasons = "; ".join("%s %s" % (entry["name"], entry["reason"]) for entry in placement.skipped)
        fix = "model_plan_tiers: no model of the tier %s fits this host: %s; add a smaller one to its models"
        if any(placement.needs(model, contexts(catalog[model], tier)[-1])["total"] <= plan["budget"]["mib"] for model in names):
            fix = "model_plan_reserve_mib: no model of the tier %s fits beside what is reserved: %s; lower it"
        raise PlanError(fix % (name, reasons))
    return dict(
        plan,
        status="final",
        tier=name,
        engine=engine_settings(placement.models, plan["budget"], wishes, gpus),
        models=placement.models,
        skipped=[dict(entry, wished=entry["name"] in wishes["add"]) for entry in placement.skipped],
    )


def reached(plan: dict[str, t.Any], tiers: dict[str, t.Any], memory: int, wishes: dict[str, t.Any]) -> str:
    """Return the highest tier whose floor the budget reaches. A GPU too small for any tier of its own is left alone: then
    the plan's budget becomes that of the CPU."""
    kind = {"cpu": "cpu", "unified": "unified"}.get(plan["budget"]["kind"], "dedicated")
    names = [name for name in tiers if kind_of(tiers[name]) == kind and floor_mib(tiers[name]) <= room(plan["budget"])]
    if not names:
        plan["budget"] = cpu_budget(memory, wishes)
        names = [name for name in tiers if kind_of(tiers[name]) == "cpu" and floor_mib(tiers[name]) <= room(plan["budget"])]
    return max(names, key=lambda name: tiers[name]["floor_gib"])


def tell(
    plan: dict[str, t.Any], tier: dict[str, t.Any], wishes: dict[str, t.Any], memory: int, unread: list[dict[str, t.Any]], unsure: bool
) -> None:
    """Give a plan the budget of the tier that its host was told, where the reading has less.

    :raises PlanError: when the tier needs a GPU and the host certainly has none.
    """
    if kind_of(tier) == "cpu":
        return
    if plan["budget"]["kind"] == "cpu" and not unsure:
        raise PlanError("model_plan_tier: %s needs a GPU and this host has none; set auto" % wishes["tier"])
    if plan["budget"]["kind"] == "cpu" or (unsure and room(plan["budget"]) < floor_mib(tier)):
        mib = min(floor_mib(tier), spared(memory)) if kind_of(tier) == "unified" else floor_mib(tier)
        vendor = next((gpu.get("vendor") for gpu in unread), plan["budget"]["vendor"])
        plan["budget"] = dict(cpu_budget(memory, wishes), kind=kind_of(tier), vendor=vendor, mib=mib)


def empty_plan(reading: t.Any) -> dict[str, t.Any]:
    """The plan of a host of which nothing is decided yet.

    :raises PlanError: when the reading is none of :ansplugin:`local_llm.fleet.gpu_info#module`.
    """
    if (
        not isinstance(reading, dict)
        or not isinstance(reading.get("memory"), dict)
        or not isinstance(reading.get("gpus"), list)
        or not all(isinstance(gpu, dict) for gpu in reading["gpus"])
    ):
        raise PlanError("there is no reading to plan with: give what local_llm.fleet.gpu_info returned")
    return {
        "schema": SCHEMA,
        "status": "refused",
        "refusal": None,
        "host": {
            "os": reading.get("os"),
            "memory_mib": reading["memory"].get("total_mib"),
            "gpus": [
                {
                    "name": gpu.get("name"),
                    "kind": gpu.get("kind"),
                    "mib": gpu.get("memory_total_mib"),
                    "uuid": gpu.get("uuid"),
                    "pci_address": gpu.get("pci_address"),
                }
                for gpu in reading["gpus"]
            ],
        },
        "tier": None,
        "budget": None,
        "engine": None,
        "models": [],
        "skipped": [],
        "problems": list(reading.get("problems") or []),
    }


def model_plan(
    reading: dict[str, t.Any],
    catalog: dict[str, t.Any],
    tiers: dict[str, t.Any],
    wishes: dict[str, t.Any] | None = None,
    before: dict[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Return :func:`make_plan`, with the line of a :class:`PlanError` in a plan that is refused."""
    try:
        return make_plan(reading, catalog, tiers, wishes, before)
    except PlanError as error:
        try:
            empty = empty_plan(reading)
        except PlanError:
            empty = empty_plan({"gpus": [], "memory": {}})
        return dict(empty, refusal=str(error))


def parse(text: str) -> dict[str, t.Any]:
    """Return the plan of a text. One that is none of this version's plans, or only a part of one, is an empty dict."""
    try:
        plan = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(plan, dict) or plan.get("schema") != SCHEMA or plan.get("status") != "final":
        return {}
    whole = all(isinstance(plan.get(key), kind) for key, kind in (("budget", dict), ("engine", dict), ("models", list)))
    return plan if whole and all(isinstance(model, dict) and set(MODEL_FIELDS) <= set(model) for model in plan["models"]) else {}


def setting_problems(wishes: dict[str, t.Any], catalog: dict[str, t.Any], tiers: dict[str, t.Any]) -> list[str]:
    """Return what no plan can be made from, whatever the host is: a line for each mistake, with the variable to set."""
    problems = []
    try:
        check_catalog(catalog)
        check_tiers(tiers, catalog)
    except PlanError as error:
        return [str(error)]
    try:
        check_wishes(wishes, catalog)
    except PlanError as error:
        problems.append(str(error))
    for name in ("tier", "tier_minimum"):
        told = wishes.get(name)
        if isinstance(told, str) and told not in ("", "auto"):
            try:
                find_tier(told, tiers, "model_plan_" + name)
            except PlanError as error:
                problems.append(str(error))
    return problems
