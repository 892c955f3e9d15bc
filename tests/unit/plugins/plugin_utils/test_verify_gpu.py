# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two witnesses of whether the engine's models are on the GPU."""

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.verify_gpu import MIB, engine_memory, gpu_checks, parse_processes

WHOLE = {"name": "gpt-oss:20b", "size": 13000 * MIB, "size_vram": 13000 * MIB}
# A GB10 withholds memory.*, and tells what each process has.
SEEN = "/usr/lib/xorg/Xorg, 43\n/usr/bin/ollama, 180\n/usr/lib/ollama/llama-server, 13200\n"


@pytest.mark.parametrize(
    ("model", "status", "observed"),
    [
        (WHOLE, "pass", "13000 of 13000 MiB are on a GPU"),
        ({**WHOLE, "size_vram": 9000 * MIB}, "fail", "9000 of 13000 MiB are on a GPU"),
        ({**WHOLE, "size_vram": 0}, "fail", "0 of 13000 MiB are on a GPU"),
        ({"name": "bge-m3:latest"}, "pass", "0 of 0 MiB are on a GPU"),
    ],
)
def test_the_engines_word(model, status, observed):
    (check,) = gpu_checks([model], "fail")
    assert (check["status"], check["observed"]) == (status, observed)
    assert ":latest" not in check["id"]


@pytest.mark.parametrize(
    ("processes", "status"),
    [
        (SEEN, "pass"),
        (SEEN.replace("13200", "7100"), "warn"),  # "100 % GPU" while it spills
        (SEEN.replace("13200", "[N/A]"), "skip"),
        ("", "skip"),
        ("/usr/lib/xorg/Xorg, 43\n", "skip"),
        ("No running processes found", "skip"),
    ],
)
def test_the_drivers_word(processes, status):
    check = gpu_checks([WHOLE], "warn", processes)[-1]
    assert (check["id"], check["status"]) == ("engine.gpu_memory", status)


def test_nothing_is_compared_with_nothing():
    assert [check["id"] for check in gpu_checks([{**WHOLE, "size_vram": 0}], "fail", SEEN)] == ["engine.gpu.gpt-oss:20b"]
    assert gpu_checks([], "fail", SEEN) == []


def test_processes():
    assert parse_processes("/a, b/ollama, 12\nx\n") == [("/a, b/ollama", 12)]
    assert engine_memory([("/usr/local/bin/ollama", 5), ("/opt/llama-server", 7), ("python3", 9), ("/x/ollamaX", 1)]) == 12
