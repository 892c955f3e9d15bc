# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.fleet import engines as fleet_engines

ADDRESSES = {"b": "http://192.0.2.2:11434", "a": "http://192.0.2.1:11434"}


def model(name, **more):
    return {"name": name, "route": name.replace(":", "-"), "mode": "chat", "context": 4096, "placement": "gpu", "preload": False, **more}


def plan(*names, kind="dedicated"):
    return {"budget": {"kind": kind}, "models": [{**model(name), "bytes": 1, "resident": True} for name in names]}


def held(*names):
    return {"models": list(names), "msg": ""}


SILENT = {"models": None, "msg": "timed out"}


def routes(found):
    return {host: [one["name"] for one in entry["models"]] for host, entry in found.items()}


@pytest.mark.parametrize(
    ("plans", "remembered", "answers", "expected"),
    [
        # what the plan says and the engine holds, whatever the spelling
        ({"a": plan("tinyllama", "qwen3:8b")}, {}, {"a": held("tinyllama:latest", "x:1")}, {"a": ["tinyllama"]}),
        # a plan that is not carried out yet
        ({"a": plan("tinyllama")}, {}, {"a": held()}, {"a": []}),
        # a host that does not answer keeps what it had, also when its plan is new
        ({"a": plan("qwen3:8b")}, {"a": {"models": [model("tinyllama")]}}, {"a": SILENT}, {"a": ["tinyllama"]}),
        # one that never answered has nothing
        ({"a": plan("tinyllama")}, {}, {"a": SILENT}, {"a": []}),
        # a host outside this run keeps what is remembered, as far as it still holds it
        ({}, {"a": {"models": [model("tinyllama"), model("b:1")]}}, {"a": held("b:1")}, {"a": ["b:1"]}),
        # a host that nothing is known about is left out
        ({"a": plan("tinyllama")}, {}, {"a": held("tinyllama")}, {"a": ["tinyllama"]}),
        # a host that left the inventory is forgotten
        ({}, {"gone": {"models": [model("tinyllama")]}}, {}, {}),
        # what somebody else wrote is not believed
        ({}, {"a": "text", "b": {"models": ["x"]}}, {"a": held("x"), "b": held("x")}, {}),
        ({}, [], {}, {}),
    ],
)
def test_what_each_host_is_asked_for(plans, remembered, answers, expected):
    assert routes(fleet_engines(ADDRESSES, plans, remembered, answers)) == expected


def test_a_first_run_that_is_only_checked_believes_the_plans():
    assert routes(fleet_engines(ADDRESSES, {"a": plan("x")}, {}, {"a": SILENT}, assume=True)) == {"a": ["x"]}


def test_the_hosts_stand_in_their_order_whatever_the_inventorys():
    everything = {"plans": {"a": plan("x"), "b": plan("x")}, "answers": {"a": held("x"), "b": held("x")}}
    assert list(fleet_engines(ADDRESSES, **everything)) == ["a", "b"]


def test_its_own_answer_is_what_it_remembers():
    first = fleet_engines(ADDRESSES, {"a": plan("x"), "b": plan("y", kind="cpu")}, {}, {"a": held("x"), "b": held("y")})
    assert fleet_engines(ADDRESSES, {}, first, {"a": held("x"), "b": SILENT}) == first
    assert [first[host]["has_gpu"] for host in ("a", "b")] == [True, False]
    assert first["a"]["models"] == [model("x")]
