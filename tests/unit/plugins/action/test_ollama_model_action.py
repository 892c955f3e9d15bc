# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import types

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.local_llm.fleet.plugins.action import ollama_model
from ansible_collections.local_llm.fleet.plugins.action.ollama_model import ActionModule, Pull, duration, megabytes


def test_lines_of_a_pull():
    pull = Pull(0.0, 0)
    assert pull.line("m", 0, 10**9, 0.0) == "m   0 %, 0 MB of 1.0 GB"
    assert pull.line("m", 5 * 10**7, 10**9, 5.0) is None
    assert pull.line("m", 10**8, 10**9, 10.0) == "m  10 %, 100 MB of 1.0 GB, 10.0 MB/s, 1 min 30 s left"
    assert pull.line("m", 10**8 + 10**7, 10**9, 26.0) == "m  11 %, 110 MB of 1.0 GB, 0.6 MB/s, 3 min 30 s left"
    assert pull.line("m", 10**8 + 10**7, 10**9, 99.0) is None  # nothing to say
    assert pull.line("m", 10**9, 10**9, 100.0) == "m 100 %, 1.0 GB of 1.0 GB"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3599, "59 min 59 s"), (7800, "2 h 10 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_sizes():
    assert (megabytes(637700138), megabytes(13793441244)) == ("638 MB", "13.8 GB")


@pytest.mark.parametrize(
    ("state", "running"),
    [
        ('{"started": 1, "finished": 0}', True),
        ('{"started": true, "finished": false}', True),
        ('{"star', True),
        ('{"changed": true}', False),
        ('{"started": 1, "finished": 1}', False),
    ],
)
def test_the_file_of_a_background_job(state, running):
    assert ActionModule.running(state) is running


@pytest.fixture
def watcher(monkeypatch):
    """A function that watches a job whose host says what is given, or cannot be reached where that is None."""
    now = [0.0]
    monkeypatch.setattr(ollama_model.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(ollama_model.time, "monotonic", lambda: now[0])

    def watch(said):
        action, shown = object.__new__(ActionModule), []
        action._task = types.SimpleNamespace(no_log=False)
        answers = iter(said)

        def command(text):
            answer = next(answers, said[-1])
            if answer is None:
                raise AnsibleConnectionFailure("no route")
            progress, state = answer
            mark = text.split("echo ")[1].split(";")[0]
            return "%s\n%s\n%s" % (json.dumps(progress) if progress else "", mark, state)

        action.command, action.show = command, shown.append
        return action.watch({"results_file": "/r"}, "/p", True), shown, now[0]

    return watch


AT_WORK = '{"started": 1, "finished": 0}'


def at(completed):
    return {"beats": 1, "pulls": {"m": {"completed": completed, "total": 10**9}}}, AT_WORK


def test_a_lost_connection_is_survived(watcher):
    fault, shown, _seconds = watcher([at(10**8), None, None, None, at(5 * 10**8), (None, '{"changed": true}')])
    assert fault is None
    assert [line.split(",")[0] for line in shown] == ["m  10 %", "m  50 %"]


def test_a_connection_that_stays_lost_is_told(watcher):
    fault, _shown, seconds = watcher([at(1), None])
    assert fault == "the connection was lost for 10 min 0 s (no route); the pull goes on: run again"
    assert 600 < seconds < 620


def test_a_host_that_was_restarted_is_told(watcher):
    fault, _shown, seconds = watcher([at(1)])
    assert fault.startswith("there has been no sign of the pull for 5 min")
    assert 300 < seconds < 320


def test_a_module_that_waits_is_not_gone(watcher):
    beating = [({"beats": step // 6, "pulls": {}}, AT_WORK) for step in range(2000)]
    assert watcher([*beating, (None, "{}")])[0] is None


def test_a_pull_that_moves_is_watched_for_days(watcher):
    fault, shown, seconds = watcher([at(step * 1000) for step in range(10**5)] + [(None, "{}")])
    assert (fault, seconds > 4 * 10**5, len(shown) < 2 * 10**5) == (None, True, True)


def test_a_wait_before_another_try_is_shown_once():
    state = {"completed": 0, "total": 0, "waits": {"tries": 1, "seconds": 60, "cause": "too many requests"}}
    shown = []
    action = object.__new__(ActionModule)
    action.show = shown.append
    pulls = {}
    for waits in ({**state["waits"]}, {**state["waits"]}, {**state["waits"], "tries": 2}):
        action.show_progress(json.dumps({"pulls": {"a": {**state, "waits": waits}}}), pulls, 1.0)
    action.show_progress(json.dumps({"pulls": {"a": {"completed": 5, "total": 10}}}), pulls, 2.0)
    assert shown == ["a waits 1 min 0 s before another try: too many requests"] * 2 + ["a  50 %, 0 MB of 0 MB, 0.0 MB/s, 1 s left"]
