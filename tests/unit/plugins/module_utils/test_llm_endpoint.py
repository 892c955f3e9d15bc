# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils import llm_endpoint as check
from hypothesis import given
from hypothesis import strategies as st


def test_chat(recorded):
    ticks = iter(range(100, 200))
    result = check.read_chat(recorded("gateway/chat_stream.txt").splitlines(keepends=True), 90, clock=lambda: next(ticks))
    assert result == {
        "answer": "tinyllama answers: every part of this chain works, from question to model.",
        "time_to_first_token": 10,
        "tokens": 13,
        "tokens_per_second": round(12 / 11, 1),
    }


def test_thinking_counts_as_the_first_token():
    lines = [
        b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}',
        b'data: {"choices":[{"delta":{"content":"yes"},"finish_reason":"stop"}]}',
    ]
    ticks = iter((5.0, 7.0))
    result = check.read_chat(lines, 4.0, clock=lambda: next(ticks))
    assert (result["answer"], result["time_to_first_token"]) == ("yes", 1.0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the answer broke off after 0 pieces"),
        ([b"data: [DONE]"], "the model said nothing"),
        ([b'data: {"choices":[{"delta":{"content":"I am "}}]}'], "the answer broke off after 1 pieces: I am"),
        ([b'data: {"choices":[{"delta":{"reasoning_content":"hm"},"finish_reason":"length"}]}'], "thought, but said nothing"),
        ([b"data: null"], "not an object"),
        ([b'data: {"choices":[null]}'], "not a chat's"),
        ([b'data: {"error":{"message":"out of memory"}}'], "the answer broke off: out of memory"),
        ([b"data: {oops"], "not JSON"),
    ],
)
def test_no_chat(lines, message):
    with pytest.raises(check.CheckError, match=message):
        check.read_chat(lines, 0)


@pytest.mark.parametrize(
    ("status", "name", "refused"),
    [
        (401, "no_key", True),
        (400, "wrong_key_without_database", True),
        # The key was good, or this would not have been looked at: no refusal.
        (400, "unknown_model", False),
    ],
)
def test_refusal(recorded, status, name, refused):
    assert check.is_refusal(status, recorded("gateway/%s.json" % name).decode()) is refused


@pytest.mark.parametrize("status", [404, 429, 500, 502])
def test_other_errors_are_no_refusal(status):
    assert not check.is_refusal(status, "")


@given(st.text())
def test_any_body_has_a_reason(body):
    assert "\n" not in check.reason(body)
    assert check.is_refusal(400, body) is False


@given(st.binary())
def test_any_body_is_an_embedding_or_an_error(body):
    with pytest.raises(check.CheckError):
        check.dimensions(body)


def test_embedding():
    assert check.dimensions(b'{"data":[{"embedding":[0.1,0.2,0.3]}]}') == 3


def test_a_key_from_a_file(tmp_path):
    (tmp_path / ".env").write_text("A=1\nLITELLM_MASTER_KEY='sk-x'\n")
    assert check.key_of(str(tmp_path / ".env"), "LITELLM_MASTER_KEY") == "sk-x"
    assert check.key_of(str(tmp_path / ".env"), "B") is None
    assert check.key_of(str(tmp_path / "none"), "A") is None


@pytest.mark.parametrize(
    "body",
    [b'data: {"choices":[{"delta":"hi"}]}', b'data: {"usage":[1]}', b'data: {"usage":{"completion_tokens":"x"}}', b'data: {"choices":5}'],
)
def test_odd_answers_are_no_answers(door, body):
    door.answer = (200, body + b"\n\n")
    params = {"url": "http://127.0.0.1:%d/v1" % door.server_address[1], "model": "m", "mode": "chat", "prompt": "p", "timeout": 5, "api_key": None,
              "use_proxy": False, "validate_certs": True, "max_tokens": 5, "expect": "answer"}  # fmt: skip
    with pytest.raises(check.CheckError):
        check.EndpointCheck(params).run()
    with pytest.raises(check.CheckError, match="does not answer"):
        check.EndpointCheck({**params, "url": "4444"}).run()


@pytest.mark.parametrize(("status", "name", "refused"), [(401, "no_key", True), (400, "unknown_model", False), (200, "no_key", False)])
def test_strangers(door, recorded, status, name, refused):
    door.answer = (status, recorded("gateway/%s.json" % name))
    params = {"url": "http://127.0.0.1:%d/v1" % door.server_address[1], "model": "m", "mode": "embedding", "prompt": "p", "timeout": 5,
              "use_proxy": False, "validate_certs": True, "max_tokens": 5}  # fmt: skip
    taken = check.strangers(params)
    assert [(one["key"], one["refused"], one["status"]) for one in taken] == [("none", refused, status), ("wrong", refused, status)]
    assert door.keys == [None, "Bearer sk-this-is-nobodys-key"]


class Door(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.keys.append(self.headers["Authorization"])
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def door():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        server.keys = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
