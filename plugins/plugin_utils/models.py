# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which models an engine is to have on its disk and in memory, and in what it differs."""

from __future__ import annotations

import typing as t

from ..module_utils.ollama_client import ModelName

Data = t.Mapping[str, t.Any]
FOREVER = "-1"


def planned(plan: Data, preload: bool) -> list[dict[str, t.Any]]:
    """Return a plan's models as the module ``ollama_model`` takes them.

    Those that stay in memory are loaded as the gateway will ask for them: with one context, and without a layer on the GPU where the
    plan puts them beside it.

    :arg plan: ``models`` and ``budget`` of the planner.
    :arg preload: whether models stay in memory.
    """
    has_gpu = (plan.get("budget") or {}).get("kind", "cpu") != "cpu"
    found = []
    for model in plan.get("models") or []:
        options = {"num_ctx": model["context"]}
        if has_gpu and model["placement"] == "cpu":
            options["num_gpu"] = 0
        loaded = True if preload and model.get("preload") else None
        found.append({"name": model["name"], "loaded": loaded, "keep_alive": FOREVER, "options": options})
    return found


def changes(engine: Data, wanted: t.Sequence[Data], prune: bool = False) -> list[tuple[str, str]]:
    """Return in what an engine differs: the model, and why.

    :arg engine: what ``ollama_model_info`` returned of it, or ``msg`` where it does not answer.
    :arg wanted: models as :func:`planned` returns them.
    :arg prune: whether other models go.
    """
    there = {ModelName.key_of(model["name"]): model["name"] for model in engine.get("models") or []}
    loaded = {ModelName.key_of(model["name"]): model for model in engine.get("loaded") or []}
    found = []
    for model in wanted:
        key, context = ModelName.parse(model["name"]).key, model["options"]["num_ctx"]
        if key not in there:
            found.append((model["name"], "is not on the engine"))
        elif model["loaded"] and key not in loaded:
            found.append((model["name"], "is not in memory"))
        elif model["loaded"] and (loaded[key].get("context_length") or context) != context:
            found.append((model["name"], "is in memory with another context"))
    keys = {ModelName.parse(model["name"]).key for model in wanted}
    return found + ([(name, "is not asked for") for key, name in sorted(there.items()) if key not in keys] if prune else [])
