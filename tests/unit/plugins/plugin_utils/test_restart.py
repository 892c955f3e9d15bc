# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user reads when a service did not start with new files."""

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.restart import LONGEST, failure, reason, text_of

DOCKER = """Starting docker.service - Docker Application Container Engine...
unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are specified both as a flag: log-driver
docker.service: Main process exited, code=exited, status=1/FAILURE
docker.service: Failed with result 'exit-code'.
Failed to start docker.service - Docker Application Container Engine.
"""
FIXES = [{"says": "both as a flag", "fix": "take it out"}, {"says": "no space left", "fix": "free some disk"}]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (DOCKER, "unable to configure the Docker daemon"),
        ("listening on 80\nstarted\n", "started"),
        ("docker.service: Failed with result 'exit-code'.", "Failed with result"),
        (DOCKER + 'time="12:56" level=warning msg="grpc: error while closing"\n', "unable to configure the Docker daemon"),
        # A daemon's own "failed to start" is the reason; systemd's repeats it.
        ("failed to start daemon: chmod /x: not a directory\nFailed to start docker.service - Docker.\n", "chmod /x"),
        ("", "its log says nothing"),
        ("error: " + "x" * 900 + " the end", "the end"),
    ],
)
def test_reason(log, says):
    assert says in reason(log) and len(reason(log)) <= LONGEST + 3


@pytest.mark.parametrize(
    ("files", "refused", "runs", "says"),
    [
        (["/a"], ["/a.refused"], True, "did not start with the new /a: unable"),
        (
            ["/a"],
            ["/a.refused"],
            True,
            "The earlier file was put back, and Docker runs again. What was refused is /a.refused. -> take it out",
        ),
        (["/a"], [], False, "The earlier file was put back, and Docker does not start with that either. -> take it out"),
        (["/a", "/b"], ["/a.refused", "/b.refused"], True, "The earlier files were put back"),
        ([], [], True, "No file was changed that could be put back, and Docker runs as before. ->"),
        ([], [], False, "No file was changed that could be put back. ->"),
    ],
)
def test_message(files, refused, runs, says):
    assert says in failure(DOCKER, "Docker", {"files": files, "refused": refused}, runs, FIXES)


def test_a_cause_that_is_not_known():
    assert failure("boom", "It", {}, False, FIXES, "look").endswith(" -> look")
    assert "->" not in failure("boom", "It", {}, False, FIXES)


def test_details_are_shown_and_searched_too():
    text = failure("boom", "The stack", {}, False, FIXES, "look", "litellm is exited:\nno space left on device\n")
    assert text.endswith("\nlitellm is exited:\nno space left on device\n-> free some disk")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("a log", "a log"),
        ({"msg": "no"}, "no"),
        ({"msg": "failed to validate", "stderr": "line 3: error\n"}, "failed to validate\nline 3: error"),
        (
            {"msg": "One failed", "results": [{"failed": False}, {"failed": True, "item": {"name": "config.yml"}, "msg": "bad"}]},
            "config.yml: bad",
        ),
        ({"results": [{"failed": True, "item": "a.service", "msg": "bad"}]}, "a.service: bad"),
        ({}, ""),
    ],
)
def test_results_of_tasks(result, text):
    assert text_of(result) == text


def test_another_version_runs_again():
    back = {"files": ["/opt/ollama/current"], "refused": []}
    assert "and 0.9.3 runs again." in failure("boom", "Ollama 0.9.5", back, True, former="0.9.3")
    # After a run that was cut no file is left to put back, but the version is.
    assert failure("boom", "Ollama 0.9.5", {}, True, former="0.9.3") == "Ollama 0.9.5 does not start: boom. 0.9.3 runs again."
    assert failure("boom", "Ollama 0.9.5", {}, False, former="0.9.3") == "Ollama 0.9.5 does not start: boom. 0.9.3 does not start either."


def test_files_that_could_not_be_put_back():
    text = failure(DOCKER, "Docker", {"failed": True, "msg": "/etc/docker: No space left on device"}, False, FIXES)
    assert "The earlier files could not be put back: /etc/docker: No space left on device. -> take it out" in text
