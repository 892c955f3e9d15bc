# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say a host's plan to people, and what has changed in it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_text
short_description: Say a host's plan in a few lines
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Says a plan of P(local_llm.fleet.model_plan#filter) in one line, with the arithmetic of what the host does not get, and
    how it differs from the host's earlier plan, a line for each difference.
positional: _input
options:
  _input:
    description:
      - The plan.
    type: dict
    required: true
  before:
    description:
      - The host's earlier plan, if it has one.
    type: dict
    default: {}
seealso:
  - plugin: local_llm.fleet.plan_table
    plugin_type: filter
    description: The plans of many hosts.
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ model_plan_result | local_llm.fleet.plan_text }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
  sample: "vram_16, 15360 MiB (Tesla T4): tinyllama@2k *gpt-oss:20b@16k bge-m3[cpu]"
"""

import itertools
import typing as t

NAMELESS = ("unknown", "unsupported")
PREFIXES = ("NVIDIA GeForce ", "NVIDIA ", "AMD Instinct ", "Intel(R) ")


def tokens(context: int) -> str:
    """Write a number of tokens short: ``32k``."""
    return "%dk" % (context // 1024) if context % 1024 == 0 else str(context)


def models_text(plan: dict) -> str:
    """Name the models of a plan with their contexts, those that stay loaded with a star."""
    words = []
    for model in plan["models"]:
        word = "*" * model["resident"] + model["name"]
        if model["mode"] == "chat":
            word += "@" + tokens(model["context"])
        if model["placement"] == "cpu" and plan["budget"]["kind"] != "cpu":
            word += "[cpu]"
        words.append(word)
    return " ".join(words) or "-"


def skipped_text(plan: dict) -> str:
    """Say what a plan withholds, and why; of a plan that is not final, what stands in the way."""
    if plan.get("refusal"):
        return plan["refusal"]
    reasons = ["%s%s %s" % (entry["name"], " (wished)" if entry.get("wished") else "", entry["reason"]) for entry in plan["skipped"]]
    return "; ".join(reasons + plan["problems"]) or "-"


def gpus_text(plan: dict) -> str:
    """Name a host's GPUs, equal ones once."""
    names = []
    # What is used comes first.
    for gpu in sorted(plan["host"]["gpus"], key=lambda gpu: gpu["kind"] in NAMELESS):
        name = gpu["name"]
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
        names.append("%s (%s)" % (name, {"unknown": "unread", "unsupported": "unused"}[gpu["kind"]]) if gpu["kind"] in NAMELESS else name)
    counted = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    return ", ".join("%d x %s" % (count, name) if count > 1 else name for name, count in counted) or "-"


def cells(host: str, plan: dict) -> list[str]:
    """Return what there is to say of a host: its name, GPUs, MiB for models, tier, models, and what it does not get."""
    size = str(max(0, plan["budget"]["mib"] - plan["budget"]["reserve_mib"])) if plan["status"] == "final" else "?"
    tier = plan["tier"] or {"provisional": "pending"}.get(plan["status"], plan["status"])
    return [host, gpus_text(plan), size, tier, models_text(plan), skipped_text(plan)]


def plan_line(plan: dict) -> str:
    """Return one host's plan in a line, with the arithmetic of what it does not get."""
    _host, gpus, size, tier, models, skipped = cells("", plan)
    if plan["status"] != "final":
        return "%s (%s): %s" % (tier, gpus, skipped)
    line = "%s, %s MiB (%s): %s" % (tier, size, "no GPU" if gpus == "-" else gpus, models)
    return line if skipped == "-" else "%s; not: %s" % (line, skipped)


def plan_changes(plan: dict, before: dict) -> list[str]:
    """Say how a plan differs from the host's earlier one: a list of lines, empty where nothing that counts does.

    :arg before: the earlier plan; empty where there was none.
    """
    if not before:
        return []
    lines = []
    for name, now, then in (
        ("tier", plan["tier"], before.get("tier")),
        ("MiB", plan["budget"]["mib"], before["budget"].get("mib")),
        ("MiB reserved", plan["budget"]["reserve_mib"], before["budget"].get("reserve_mib")),
    ):
        if now != then:
            lines.append("%s: %s -> %s" % (name, then, now))
    now_models = {model["name"]: model for model in plan["models"]}
    then_models = {model["name"]: model for model in before["models"]}
    lines += ["- %s" % name for name in then_models if name not in now_models]
    lines += ["+ %s, %s tokens" % (name, model["context"]) for name, model in now_models.items() if name not in then_models]
    for name, model in now_models.items():
        then = then_models.get(name, model)
        for key in ("context", "placement", "resident", "route", "bytes"):
            if model[key] != then.get(key):
                lines.append("%s: %s %s -> %s" % (name, key, then.get(key), model[key]))
    engine = before["engine"]
    lines += ["engine %s: %s -> %s" % (key, engine.get(key), value) for key, value in plan["engine"].items() if engine.get(key) != value]
    return lines


def plan_text(plan: dict, before: dict | None = None) -> str:
    """The filter: :func:`plan_line`, and below it :func:`plan_changes`."""
    return "\n".join([plan_line(plan), *(plan_changes(plan, before or {}) if plan["status"] == "final" else [])])


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"plan_text": plan_text}
