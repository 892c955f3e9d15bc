# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
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
