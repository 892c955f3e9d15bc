# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import json
import threading

import pytest
from ansible_collections.local_llm.fleet.plugins.modules import stack_probe

CHAT = b'data: {"choices":[{"delta":{"content":"I work."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
QUESTION = {
    "model": "tinyllama", "env_file": None, "env_name": "LITELLM_MASTER_KEY", "strangers": True, "mode": "chat", "prompt": "?",
    "max_tokens": 9, "expect": "answer", "timeout": 5,
}  # fmt: skip


class Services(http.server.BaseHTTPRequestHandler):
    """A gateway and an engine in one, as far as they are asked here."""

    def do_POST(self):
        self.answer(200, CHAT) if self.headers["Authorization"] == "Bearer sk-right" else self.answer(401, b'{"error": {"message": "no"}}')

    def do_GET(self):
        known = self.headers["Authorization"] == "Bearer sk-right"
        answers = {
            "/health/readiness/details": {"litellm_version": "1.104.2"} if known else {},
            "/api/version": {"version": "0.40.2"},
            "/api/tags": {"models": [{"name": "tinyllama:latest", "digest": "d", "size": 1}]},
            "/api/ps": {"models": []},
        }
        self.answer(200, json.dumps(answers[self.path]).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Services) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "http://127.0.0.1:%d" % server.server_address[1]
        server.shutdown()


@pytest.fixture
def params(tmp_path):
    (tmp_path / ".env").write_text("LITELLM_MASTER_KEY=sk-right\nPOSTGRES_PASSWORD=secret\n")
    nothing = {"question": None, "engine_url": None, "expected": [], "gateway_url": None, "database": False, "gpu_container": None}
    return {**nothing, "gpu_processes": False, "env_file": str(tmp_path / ".env")}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A function that puts a script in a tool's place."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def put(name, script):
        (tmp_path / name).write_text("#!/bin/sh\n" + script)
        (tmp_path / name).chmod(0o755)

    return put


def test_all_services(address, params):
    question = {**QUESTION, "url": address + "/v1", "env_file": params["env_file"]}
    wanted = {**params, "question": question, "engine_url": address, "expected": ["tinyllama", "bge-m3"], "gateway_url": address + "/v1"}
    found = stack_probe.probe(wanted)
    assert found["answer"]["answer"] == "I work." and "msg" not in found["answer"]
    assert [one["refused"] for one in found["answer"]["strangers"]] == [True, True]
    assert (found["engine"]["version"], found["engine"]["missing"], found["gateway_version"]) == ("0.40.2", ["bge-m3"], "1.104.2")
    assert not {"database", "gpus", "processes"} & set(found)
    assert "sk-right" not in str(found)


def test_nothing_is_asked_that_is_not_wanted(params):
    assert stack_probe.probe(params) == {}


def test_services_that_do_not_answer(params):
    nowhere = "http://127.0.0.1:1"
    wanted = {**params, "question": {**QUESTION, "url": nowhere + "/v1"}, "engine_url": nowhere, "gateway_url": nowhere + "/v1"}
    found = stack_probe.probe(wanted)
    assert "does not answer" in found["answer"]["msg"] and not found["answer"]["strangers"][0]["refused"]
    assert "refused" in found["engine"]["msg"].lower() and found["gateway_version"] == ""


def test_a_wrong_key_is_told_no_version(address, params, tmp_path):
    (tmp_path / ".env").write_text("LITELLM_MASTER_KEY=sk-other\n")
    assert stack_probe.probe({**params, "gateway_url": address + "/v1"}) == {"gateway_version": ""}


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('read -r password; [ "$password" = secret ] && echo 61', {"tables": 61, "error": ""}),
        ("echo 0", {"tables": 0, "error": "no table of LiteLLM"}),
        ("echo 'password authentication failed' >&2; exit 2", {"tables": 0, "error": "password authentication failed"}),
    ],
)
def test_the_database(params, tool, script, found):
    tool("docker", script)
    assert stack_probe.probe({**params, "database": True}) == {"database": found}


@pytest.mark.parametrize(
    ("script", "devices", "error"),
    [
        ("echo 'GPU-1, RTX 5080, 16303, 15620'", [["GPU-1", "RTX 5080", "16303", "15620"]], ""),
        ("echo 'Failed to initialize NVML: Unknown Error'; exit 255", [], "Failed to initialize NVML: Unknown Error"),
        ("exit 1", [], "no answer"),
        ("echo 'No devices were found'", [], "No devices were found"),
    ],
)
def test_the_gpus_of_a_container(params, tool, script, devices, error):
    tool("docker", script)
    assert stack_probe.probe({**params, "gpu_container": "ollama"}) == {"gpus": {"devices": devices, "error": error}}


@pytest.mark.parametrize(("script", "found"), [("echo '/usr/bin/ollama, 1021'", "/usr/bin/ollama, 1021\n"), ("exit 9", None)])
def test_the_processes_on_the_gpus(params, tool, script, found):
    tool("nvidia-smi", script)
    assert stack_probe.probe({**params, "gpu_processes": True}) == {"processes": found}
