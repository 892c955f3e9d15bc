# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import Manifest, ModelName, OllamaError
from ansible_collections.local_llm.fleet.plugins.modules.ollama_model import Disk, ModelSet, Progress

PARAMS = {
    "state": "present",
    "exclusive": False,
    "mirror": None,
    "mirror_insecure": False,
    "idle_timeout": 60,
    "retries": 2,
    "parallel": 1,
    "models_dir": None,
    "disk_reserve": 0,
    "progress_file": None,
}
MODEL = {"state": None, "digest": None, "loaded": None, "keep_alive": "5m", "options": {}}


class Engine:
    """An engine that keeps a book of what it is asked to do, and a registry that has every model."""

    def __init__(self, *names, loaded=(), faults=()):
        self.names, self.calls, self.in_memory, self.faults = list(names), [], list(loaded), list(faults)

    def models(self):
        return [{"name": name, "digest": "old" if name.startswith("old") else "d" * 64, "size": 7} for name in self.names]

    def loaded(self):
        return [{"name": name, "context_length": 4096} for name in self.in_memory]

    def load(self, name, keep_alive, options=None):
        self.calls.append(("load", name, keep_alive))

    def pull(self, name, insecure, idle_timeout, on_progress, there):
        self.calls.append(("pull", name, insecure))
        if self.faults:
            raise OllamaError(self.faults.pop(0))
        on_progress(5, 7)
        if name not in self.names:
            self.names.append(name)
        return 7

    def copy(self, source, destination):
        self.calls.append(("copy", source, destination))
        self.names.append(destination)

    def delete(self, name):
        self.calls.append(("delete", name))
        self.names.remove(name)


def registry(name, insecure):
    if name.model == "nosuch":
        raise OllamaError("HTTP 404: x has no manifest of nosuch:latest")
    if name.model == "offline":
        raise OllamaError("the registry x does not answer: refused")
    return Manifest("d" * 64, {"sha256:a": 5, "sha256:b": 2})


def run(engine, models, check_mode=False, waits=None, **params):
    wanted = [{**MODEL, **(model if isinstance(model, dict) else {"name": model})} for model in models]
    return ModelSet(engine, {**PARAMS, **params, "models": wanted}, check_mode, registry, (waits if waits is not None else []).append).run()


def actions(result):
    return [(model["name"], model["action"]) for model in result["models"]]


def test_missing_is_pulled_and_present_is_left():
    engine = Engine("bge-m3:latest")
    result = run(engine, ["BGE-M3", "tinyllama"])
    assert engine.calls == [("pull", "tinyllama:latest", False)]
    assert result["changed"]
    assert actions(result) == [("BGE-M3:latest", "none"), ("tinyllama:latest", "pulled")]
    assert [(model["size"], model["bytes"], model["tries"]) for model in result["models"]] == [(7, 0, 0), (7, 7, 1)]
    assert result["diff"] == {
        "before": "bge-m3:latest dddddddddddd\n",
        "after": "bge-m3:latest dddddddddddd\ntinyllama:latest dddddddddddd\n",
    }


def test_second_run_changes_nothing():
    engine = Engine("tinyllama:latest")
    assert not run(engine, ["tinyllama"])["changed"]
    assert engine.calls == []


def test_mirror_name_is_dropped():
    engine = Engine()
    run(engine, ["tinyllama"], mirror="mirror:5000", mirror_insecure=True)
    assert engine.names == ["tinyllama:latest"]
    assert engine.calls[0] == ("pull", "mirror:5000/library/tinyllama:latest", True)


def test_another_run_has_renamed_it_in_between():
    engine = Engine()

    def copy(source, destination):
        engine.names[:] = [destination]
        raise OllamaError("HTTP 404: model not found")

    engine.copy = copy
    assert actions(run(engine, ["a"], mirror="m")) == [("a:latest", "pulled")]


@pytest.mark.parametrize(
    ("state", "model", "action"),
    [
        ("present", "new", "pulled"),
        ("present", "same", "none"),
        ("present", "old", "none"),
        ("latest", "new", "pulled"),
        ("latest", "same", "none"),
        ("latest", "old", "updated"),
        ("absent", "same", "removed"),
        ("absent", "new", "none"),
    ],
)
def test_check_mode_predicts_and_touches_nothing(state, model, action):
    engine = Engine("same:latest", "old:latest")
    result = run(engine, [model], check_mode=True, state=state)
    assert (actions(result), engine.calls) == ([(model + ":latest", action)], [])
    assert result["models"][0]["bytes"] == (7 if action in ("pulled", "updated") else 0)
    assert result["changed"] is (action != "none")
    engine = Engine("same:latest", "old:latest")
    real = run(engine, [model], state=state)
    # This engine goes on showing its old digest, as one before 0.19 may: then nothing was updated.
    assert actions(real) == [(model + ":latest", "none" if action == "updated" else action)]
    assert bool(engine.calls) is (action != "none")


def test_a_state_of_its_own():
    result = run(Engine("a:latest", "b:latest"), [{"name": "a", "state": "absent"}, "b", {"name": "old", "state": "latest"}])
    assert actions(result) == [("a:latest", "removed"), ("b:latest", "none"), ("old:latest", "pulled")]


def test_absent_removes_under_the_engines_own_spelling_and_frees_memory():
    engine = Engine("Model:latest", "other:latest", loaded=["Model:latest"])
    result = run(engine, ["model"], state="absent")
    assert engine.calls == [("load", "Model:latest", "0"), ("delete", "Model:latest")]
    assert result["diff"]["after"] == "other:latest dddddddddddd\n"


def test_the_same_model_twice_is_a_mistake():
    with pytest.raises(ValueError, match="models: a:latest is asked for twice"):
        run(Engine(), ["a", "a:latest"])


def test_a_replaced_version_leaves_no_data_behind():
    engine = Engine("old:latest")
    run(engine, ["old"], state="latest", mirror="m")
    long = "m/library/old:latest"
    assert engine.calls == [
        ("pull", long, False),
        ("copy", "old:latest", "old:latest-replaced"),
        ("copy", long, "old:latest"),
        ("delete", "old:latest-replaced"),
        ("delete", long),
    ]


def test_a_mirrors_name_that_was_there_or_is_wanted_stays():
    for engine, models in ((Engine("m/library/a:latest"), ["a"]), (Engine(), ["m/library/a", "a"])):
        run(engine, models, mirror="m")
        assert "m/library/a:latest" in engine.names


def test_an_update_that_was_not_given_its_name_is_no_success():
    engine = Engine("old:latest")

    def copy(source, destination):
        raise OllamaError("HTTP 500: no")

    engine.copy = copy
    assert actions(run(engine, ["old"], state="latest", mirror="m")) == [("old:latest", "failed")]


def test_a_pull_whose_load_fails_is_a_change():
    engine = Engine()

    def load(name, keep_alive, options=None):
        raise OllamaError("HTTP 400: no")

    engine.load = load
    result = run(engine, [{"name": "a", "loaded": True}])
    assert (result["changed"], result["failed"], result["msg"]) == (True, True, "a:latest: HTTP 400: no")


def test_removing_what_another_run_has_removed():
    engine = Engine("a:latest")

    def delete(name):
        engine.names.remove(name)
        raise OllamaError("HTTP 404: model not found")

    engine.delete = delete
    assert actions(run(engine, ["a"], state="absent")) == [("a:latest", "removed")]


def test_others_are_named_and_removed_when_asked():
    engine = Engine("a:latest", "b:latest", "m:5000/library/c:latest")
    assert run(engine, ["a"])["extra"] == ["b:latest", "m:5000/library/c:latest"]
    assert engine.calls == []
    assert actions(run(engine, ["a"], check_mode=True, exclusive=True))[1:] == [
        ("b:latest", "removed"),
        ("m:5000/library/c:latest", "removed"),
    ]
    assert engine.calls == []
    result = run(engine, ["a"], exclusive=True)
    assert (engine.names, result["extra"], result["changed"]) == (["a:latest"], [], True)


def test_nothing_is_removed_where_something_failed():
    engine = Engine("b:latest")
    assert run(engine, ["nosuch"], exclusive=True)["failed"]
    assert engine.names == ["b:latest"]


# Digests


@pytest.mark.parametrize(("digest", "action"), [("d" * 64, "none"), ("sha256:" + "D" * 64, "none"), ("e" * 64, "failed")])
def test_an_expected_digest(digest, action):
    for check_mode in (True, False):
        engine = Engine("a:latest")
        result = run(engine, [{"name": "a", "digest": digest}], check_mode=check_mode)
        assert (actions(result), engine.calls) == ([("a:latest", action)], [])
    if action == "failed":
        assert result["msg"] == "a:latest: the registry has the digest %s, not %s" % ("d" * 64, "e" * 64)


def test_another_version_is_replaced_by_the_expected_one():
    engine = Engine("old:latest")
    assert actions(run(engine, [{"name": "old", "digest": "d" * 64}], check_mode=True)) == [("old:latest", "updated")]


# Memory


@pytest.mark.parametrize(
    ("wanted", "loaded", "options", "memory"),
    [
        (True, [], {}, "loaded"),
        (True, ["a:latest"], {}, "none"),
        (True, ["a:latest"], {"num_ctx": 4096}, "none"),
        (True, ["a:latest"], {"num_ctx": 8192}, "loaded"),
        (False, ["a:latest"], {"num_ctx": 8192}, "unloaded"),
        (False, [], {}, "none"),
        (None, ["a:latest"], {}, "none"),
    ],
)
def test_memory(wanted, loaded, options, memory):
    model = {"name": "a", "loaded": wanted, "options": options, "keep_alive": "-1"}
    for check_mode in (True, False):
        engine = Engine("a:latest", loaded=loaded)
        result = run(engine, [model], check_mode=check_mode)
        assert (result["models"][0]["memory"], result["changed"]) == (memory, memory != "none")
        wait = {"loaded": "-1", "unloaded": "0"}
        assert engine.calls == ([("load", "a:latest", wait[memory])] if memory != "none" and not check_mode else [])


# Faults


def test_a_fault_that_may_pass_is_tried_again():
    waits = []
    engine = Engine(faults=["max retries exceeded", "no progress for 60 s after 3 bytes"])
    result = run(engine, ["a"], waits=waits)
    assert (result["models"][0]["tries"], result["models"][0]["action"], waits) == (3, "pulled", [1, 2])


def test_not_for_ever():
    result = run(Engine(faults=["max retries exceeded"] * 9), ["a"])
    assert result["models"][0]["tries"] == 3
    assert result["msg"] == "a:latest: max retries exceeded: run again: the engine goes on where it was, unless restarted"


LIMITED = "pull model manifest: 429: rate limit"


def test_a_rate_limit_is_waited_for_by_minutes():
    waits = []
    result = run(Engine(faults=[LIMITED] * 9), ["a"], waits=waits, retries=4)
    assert (waits, result["failed"]) == ([60, 120, 240, 300], True)
    assert "wait some minutes" in result["msg"]


@pytest.mark.parametrize(("asked", "waits"), [(7, [7, 120]), (86400, [900, 120]), (0, [60, 120])])
def test_a_registry_that_says_how_long_to_wait(asked, waits):
    said = []

    def limited(name, insecure):
        raise OllamaError("HTTP 429: x", retry_after=asked)

    models = {**PARAMS, "models": [{**MODEL, "name": "a"}]}
    result = ModelSet(Engine(faults=[LIMITED] * 2), models, False, limited, said.append).run()
    assert (actions(result), said) == ([("a:latest", "pulled")], waits)


def test_a_wait_is_told_to_the_control_node(tmp_path):
    progress = Progress(str(tmp_path / "p"))
    progress.waiting("a", 1, 60, "too many requests")
    (state,) = json.loads((tmp_path / "p").read_text())["pulls"].values()
    assert state == {"completed": 0, "total": 0, "waits": {"tries": 1, "seconds": 60, "cause": "too many requests"}}


def test_a_cloud_model_is_refused():
    def cloud(name, insecure):
        raise OllamaError("%s is a cloud model, which has nothing to run on the host" % name.short)

    engine = Engine()
    result = ModelSet(engine, {**PARAMS, "models": [{**MODEL, "name": "m:cloud"}]}, False, cloud).run()
    assert (engine.calls, result["msg"].startswith("m:cloud: m:cloud is a cloud model")) == ([], True)
    engine = Engine("a:latest", "m:cloud")
    engine.models = lambda: [{"name": "a:latest", "digest": "d"}, {"name": "m:cloud", "remote_model": "m", "digest": "e"}]
    result = run(engine, ["a", "m:cloud"])
    assert (actions(result), engine.calls) == ([("a:latest", "none"), ("m:cloud", "failed")], [])
    assert run(engine, ["a"])["extra"] == ["m:cloud"]


def test_names_that_the_engine_lists_and_would_not_take():
    odd = "team/group/project/model:tag"
    engine = Engine("a:latest", odd, loaded=[odd])
    assert run(engine, [{"name": "a", "loaded": False}])["extra"] == [odd]
    result = run(engine, ["a"], exclusive=True)
    assert actions(result) == [("a:latest", "none"), (odd, "removed")]
    assert engine.names == ["a:latest"]


def test_a_fault_that_lasts_ends_it_at_once_and_not_the_others():
    engine = Engine(faults=["write blob: no space left on device"])
    result = run(engine, ["a", "b"])
    assert actions(result) == [("a:latest", "failed"), ("b:latest", "pulled")]
    assert (result["failed"], result["changed"], result["models"][0]["tries"]) == (True, True, 1)
    assert result["msg"].startswith("a:latest: write blob: no space left on device: free some space and run again")


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_model_that_the_registry_does_not_have(check_mode):
    engine = Engine()
    result = run(engine, ["nosuch"], check_mode=check_mode)
    assert (result["failed"], engine.calls) == (True, [])
    assert result["msg"] == (
        "nosuch:latest: HTTP 404: x has no manifest of nosuch:latest: the registry has no such model: mind its name and tag, or put it there"
    )


def test_a_registry_that_only_the_engine_reaches():
    engine = Engine()
    assert actions(run(engine, ["offline"])) == [("offline:latest", "pulled")]
    assert run(Engine(), ["offline"], check_mode=True)["failed"]
    assert run(Engine("offline:latest"), ["offline"], state="latest")["failed"]


# The disk


def test_the_disk_is_checked_before_anything_is_pulled(tmp_path):
    engine = Engine()
    result = run(engine, ["a"], models_dir=str(tmp_path / "not" / "there"), disk_reserve=10**9)
    assert engine.calls == []
    assert result["msg"].startswith(
        "a:latest: disk_reserve: the models need 1 MiB more and 1000000000 MiB must stay free, but %s" % tmp_path
    )
    # Then nothing else is done either.
    engine = Engine("b:latest")
    result = run(engine, ["a", {"name": "b", "state": "absent"}], models_dir=str(tmp_path), disk_reserve=10**9)
    assert (actions(result), engine.calls, result["changed"]) == ([("a:latest", "failed"), ("b:latest", "none")], [], False)


def test_what_is_there_needs_no_disk(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/sha256-a").write_bytes(b"12345")
    (tmp_path / "blobs/sha256-b").write_bytes(b"12")
    assert run(Engine(), ["a"], models_dir=str(tmp_path), disk_reserve=10**9)["changed"]


def test_a_part_counts_as_far_as_it_is_written(tmp_path):
    (tmp_path / "blobs").mkdir()
    with open(tmp_path / "blobs/sha256-a-partial", "wb") as stream:
        stream.truncate(10**9)
        stream.write(b"x" * 8192)
        stream.flush()
    assert 8192 <= Disk(str(tmp_path)).has("sha256:a") < 10**6
    assert Disk(str(tmp_path)).has("sha256:b") == 0


# Progress


def test_progress_is_written_once_a_second_at_most(tmp_path):
    now = [10.0]
    progress = Progress(str(tmp_path / "p"), clock=lambda: now[0])
    for step in range(30):
        now[0] = 10 + step / 10
        progress.report("a", step, 100)
    assert json.loads((tmp_path / "p").read_text())["pulls"] == {"a": {"completed": 20, "total": 100}}


def test_progress_that_cannot_be_told_breaks_nothing(tmp_path):
    Progress(str(tmp_path / "missing" / "p")).report("a", 1, 2)


def test_progress_of_several_pulls_at_a_time(tmp_path):
    ticks = iter(range(10**6))
    progress = Progress(str(tmp_path / "p"), clock=lambda: next(ticks))
    with ThreadPoolExecutor() as pool:
        for job in [pool.submit(progress.report, "m%d" % step, step, 100) for step in range(400)]:
            job.result()
    assert len(json.loads((tmp_path / "p").read_text())["pulls"]) == 400


def test_names_in_results_are_the_engines():
    assert ModelName.parse(run(Engine(), ["Library/A"])["models"][0]["name"]).short == "A:latest"
