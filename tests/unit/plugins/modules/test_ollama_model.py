# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import OllamaError
from ansible_collections.local_llm.fleet.plugins.modules.ollama_model import ModelSet

PARAMS = {"state": "present", "mirror": None, "mirror_insecure": False, "idle_timeout": 60}


class Engine:
    """An engine that keeps a book of what it is asked to do."""

    def __init__(self, *names):
        self.names, self.calls = list(names), []

    def models(self):
        return [{"name": name, "digest": "d-" + name, "size": 7} for name in self.names]

    def pull(self, name, insecure, idle_timeout):
        self.calls.append(("pull", name, insecure))
        self.names.append(name)

    def copy(self, source, destination):
        self.calls.append(("copy", source, destination))
        self.names.append(destination)

    def delete(self, name):
        self.calls.append(("delete", name))
        self.names.remove(name)


def run(engine, names, check_mode=False, **params):
    return ModelSet(engine, {**PARAMS, **params, "models": [{"name": name} for name in names]}, check_mode).run()


def test_missing_is_pulled_and_present_is_left():
    engine = Engine("bge-m3:latest")
    result = run(engine, ["BGE-M3", "tinyllama"])
    assert engine.calls == [("pull", "tinyllama:latest", False)]
    assert result["changed"]
    assert [(model["name"], model["action"], model["size"]) for model in result["models"]] == [
        ("BGE-M3:latest", "none", 7),
        ("tinyllama:latest", "pulled", 7),
    ]
    assert result["diff"] == {"before": "bge-m3:latest\n", "after": "bge-m3:latest\ntinyllama:latest\n"}


def test_second_run_changes_nothing():
    engine = Engine("tinyllama:latest")
    assert not run(engine, ["tinyllama"])["changed"]
    assert engine.calls == []


def test_mirror_name_is_dropped():
    engine = Engine()
    run(engine, ["tinyllama"], mirror="mirror:5000", mirror_insecure=True)
    assert engine.names == ["tinyllama:latest"]
    assert engine.calls[0] == ("pull", "mirror:5000/library/tinyllama:latest", True)


@pytest.mark.parametrize(
    ("state", "names", "changed"), [("present", ["b"], True), ("present", ["a"], False), ("absent", ["a"], True), ("absent", ["b"], False)]
)
def test_check_mode_predicts_and_touches_nothing(state, names, changed):
    engine = Engine("a:latest")
    assert run(engine, names, check_mode=True, state=state)["changed"] is changed
    assert engine.calls == []
    real = run(Engine("a:latest"), names, state=state)
    assert real["changed"] is changed


def test_absent_removes_under_the_engines_own_spelling():
    engine = Engine("Model:latest", "other:latest")
    result = run(engine, ["model"], state="absent")
    assert engine.calls == [("delete", "Model:latest")]
    assert result["diff"]["after"] == "other:latest\n"


def test_the_same_model_twice_is_pulled_once():
    engine = Engine()
    run(engine, ["a", "a:latest"])
    assert engine.calls == [("pull", "a:latest", False)]


def test_the_model_that_ended_the_call_is_named():
    engine = Engine()

    def fail(name, insecure, idle_timeout):
        raise OllamaError("no such model")

    engine.pull = fail
    models = ModelSet(engine, {**PARAMS, "models": [{"name": "a"}, {"name": "b"}]}, False)
    with pytest.raises(OllamaError):
        models.run()
    assert [(model["name"], model["action"]) for model in models.results] == [("a:latest", "failed")]
