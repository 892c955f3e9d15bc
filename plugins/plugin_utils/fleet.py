# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a gateway can ask the engines of other hosts for."""

from __future__ import annotations

import typing as t

from ..module_utils.ollama_client import ModelName

FIELDS = ("name", "route", "mode", "context", "placement", "preload")


def is_entry(entry: t.Any) -> bool:
    """Whether something is what this filter has made of a host."""
    return isinstance(entry, dict) and isinstance(entry.get("models"), list) and all(isinstance(one, dict) for one in entry["models"])


def engines(
    addresses: t.Mapping[str, str],
    plans: t.Mapping[str, t.Any] | None = None,
    remembered: t.Any = None,
    answers: t.Mapping[str, t.Any] | None = None,
    assume: bool = False,
) -> dict[str, dict[str, t.Any]]:
    """Return what a gateway can ask the engines of other hosts for: ``api_base``, ``has_gpu`` and ``models``, by the host's name.

    :arg addresses: the engines' addresses, by the host's name. One that is not among them is forgotten.
    :arg plans: the hosts' plans, as far as they are known now.
    :arg remembered: what this returned the last time.
    :arg answers: what the engines said: dicts with ``models`` (names) or ``msg``.
    :arg assume: whether a host that does not answer, and of which nothing is remembered, is taken for what its plan says. For a first
        run that is only being checked.
    """
    found = {}
    for host in sorted(addresses):
        plan = (plans or {}).get(host) or {}
        before = remembered.get(host) if isinstance(remembered, dict) and is_entry(remembered.get(host)) else None
        answer = (answers or {}).get(host) or {}
        models = [{key: model[key] for key in FIELDS if model.get(key) is not None} for model in plan.get("models") or []]
        if answer.get("models") is None:
            # Unknown is not the same as nothing: what it held before is what it will hold when it is back.
            models = before["models"] if before else models if assume else []
        else:
            held = {ModelName.key_of(name) for name in answer["models"]}
            known = models if plan else (before["models"] if before else [])
            models = [model for model in known if ModelName.parse(model["name"]).key in held]
        has_gpu = (plan.get("budget") or {}).get("kind", "cpu") != "cpu" if plan else bool(before and before.get("has_gpu"))
        if models or plan or before:
            found[str(host)] = {"api_base": addresses[host], "has_gpu": has_gpu, "models": models}
    return found
