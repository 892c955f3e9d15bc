# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils import ollama_client
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import ModelName, OllamaClient, OllamaError, fetch_manifest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("qwen3", "qwen3:latest"),
        ("qwen3:8b", "qwen3:8b"),
        ("library/qwen3", "qwen3:latest"),
        ("registry.ollama.ai/library/qwen3:latest", "qwen3:latest"),
        ("me/model", "me/model:latest"),
        ("hf.co/user/repo:Q4_K_M", "hf.co/user/repo:Q4_K_M"),
        ("mirror:5000/library/qwen3", "mirror:5000/library/qwen3:latest"),
        ("http://mirror:5000/library/qwen3:8b", "mirror:5000/library/qwen3:8b"),
    ],
)
def test_name(text, short):
    name = ModelName.parse(text)
    assert name.short == short
    assert ModelName.parse(short) == name


def test_one_model_under_many_names():
    names = ("qwen3", "Qwen3:Latest", "library/qwen3", "registry.ollama.ai/library/qwen3:latest")
    assert len({ModelName.parse(name).key for name in names}) == 1


def test_name_on_a_mirror():
    assert ModelName.parse("qwen3").at("mirror:5000").short == "mirror:5000/library/qwen3:latest"


@pytest.mark.parametrize("text", ["", ":8b", "a/b/c/d", "a//b", "qwen3:", "mod\u00e8le", "a b", "-x"])
def test_no_name(text):
    with pytest.raises(ValueError, match="is not a model name"):
        ModelName.parse(text)


@given(st.text())
def test_any_text_is_a_name_or_refused(text):
    try:
        name = ModelName.parse(text)
    except ValueError:
        return
    assert all(name)


@given(st.binary())
def test_any_bytes_are_a_line(raw):
    assert isinstance(ollama_client.parse_line(raw), dict)


class Replay(OllamaClient):
    """A client whose engine says what was recorded."""

    def __init__(self, lines: bytes) -> None:
        super().__init__("http://127.0.0.1:9")
        self.lines = lines

    def _open(self, method, path, body=None, timeout=None):
        import io

        return io.BytesIO(self.lines)


def test_the_state_of_an_engine():
    engine = Replay(b'{"version": "0.40.2", "models": [{"name": "tinyllama:latest", "size": 5, "digest": "d"}]}')
    state = engine.state(["tinyllama", "bge-m3"])
    assert (state["version"], state["missing"], state["models"]) == (
        "0.40.2", ["bge-m3"], [{"name": "tinyllama:latest", "digest": "d", "size": 5}],
    )  # fmt: skip


@pytest.mark.parametrize("body", [b'{"models": ["x"]}', b'{"models": [{"model": "x"}]}', b'{"models": [{"name": null}]}', b'{"models": 5}'])
def test_what_only_stands_at_an_engines_address_is_no_engine(body):
    with pytest.raises(OllamaError):
        Replay(body).state(["tinyllama"])


def test_pull(recorded):
    said = []
    client = Replay(recorded("ollama/pull_success.ndjson"))
    size = 475744 + 13 + 18 + 414
    assert client.pull("tinyllama", False, 60, lambda *now: said.append(now), there={}) == size
    assert said[-1] == (size, size)


def test_what_was_there_did_not_come_over_the_wire():
    def lines(*completed):
        return b"".join(json.dumps({"status": "x", "digest": "a", "total": 100, "completed": now}).encode() + b"\n" for now in completed)

    end = b'{"status":"success"}\n'
    # Resumed at 40 of 100; then a part of 20 was lost and fetched again.
    assert Replay(lines(40, 70, 50, 100) + end).pull("m", False, 60, there={"a": 40}) == 80
    assert Replay(lines(40, 70, 50, 100) + end).pull("m", False, 60) == 80
    assert Replay(lines(100) + end).pull("m", False, 60, there={"a": 100}) == 0
    assert Replay(lines(100) + end).pull("m", False, 60, there={}) == 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pull_unknown_model", "pull model manifest: file does not exist"),
        ("pull_https_to_http", "server gave HTTP response to HTTPS client"),
        ("pull_no_dns", "lookup registry.ollama.ai"),
    ],
)
def test_error_line_inside_a_successful_answer(recorded, name, message):
    with pytest.raises(OllamaError, match=message):
        Replay(recorded("ollama/%s.ndjson" % name)).pull("tinyllama", False, 60)


def test_stream_that_ends_without_success(recorded):
    cut = b"\n".join(recorded("ollama/pull_success.ndjson").splitlines()[:3]) + b"\n"
    with pytest.raises(OllamaError, match="ended the pull without saying why, after 'pulling 8971631822aa'"):
        Replay(cut).pull("tinyllama", False, 60)


def test_lines_without_growth_are_idleness():
    # What a silent mirror looks like: the engine goes on sending, and the completed bytes even fall.
    line = json.dumps({"status": "pulling a", "digest": "sha256:a", "total": 100, "completed": 50}).encode() + b"\n"
    fallen = line.replace(b"50", b"10")
    ticks = iter(range(1000))
    with pytest.raises(OllamaError, match="no progress for 30 s after 50 bytes"):
        Replay(line + fallen * 500).pull("tinyllama", False, 30, clock=lambda: next(ticks))


def test_growth_after_a_fall_is_growth():
    line = '{"status": "x", "digest": "a", "total": 1000, "completed": %d}\n'
    lines = "".join(line % now for now in [*range(0, 900, 10), *range(20, 1000, 5)]) + '{"status":"success"}\n'
    ticks = iter(range(1000))
    Replay(lines.encode()).pull("m", False, 5, clock=lambda: next(ticks))


def test_slow_growth_is_no_idleness():
    lines = b"".join(
        json.dumps({"status": "pulling a", "digest": "a", "total": 999, "completed": n}).encode() + b"\n" for n in range(1, 500)
    )
    ticks = iter(range(10000))
    Replay(lines + b'{"status":"success"}\n').pull("tinyllama", False, 10, clock=lambda: next(ticks))


@pytest.fixture
def server():
    """A server that answers every request with what the test sets."""

    class Handler(BaseHTTPRequestHandler):
        answer = (200, b"{}")

        def do_GET(self):
            self.send_response(self.answer[0])
            self.send_header("Content-Length", str(len(self.answer[1])))
            self.end_headers()
            self.wfile.write(self.answer[1])

        do_POST = do_DELETE = do_GET

        def log_message(self, *args):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield Handler, "http://127.0.0.1:%d" % running.server_port
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, b'{"error":"model \'x\' not found"}'), "HTTP 404: model 'x' not found"),
        ((502, b"<html>\n<body>Bad Gateway</body>"), "HTTP 502: <html> <body>Bad Gateway</body>"),
        ((500, b""), "HTTP 500: Internal Server Error"),
        ((200, b"hello"), "something that is not JSON"),
    ],
)
def test_refusals_are_one_line(server, answer, message):
    handler, url = server
    handler.answer = answer
    with pytest.raises(OllamaError, match=message) as caught:
        OllamaClient(url).delete("x")
    assert "\n" not in str(caught.value)


MANIFEST = (
    b'{"config": {"digest": "sha256:c", "size": 3}, "layers": [{"digest": "sha256:a", "size": 40}, {"digest": "sha256:b", "size": 2}]}'
)


def test_manifest(server):
    handler, url = server
    handler.answer = (200, MANIFEST)
    manifest = fetch_manifest(ModelName.parse("qwen3").at(url[len("http://") :]), insecure=True)
    assert manifest.digest == hashlib.sha256(MANIFEST).hexdigest()
    assert (manifest.size, manifest.layers["sha256:a"]) == (45, 40)


@pytest.mark.parametrize(
    ("answer", "message", "lasting"),
    [
        ((404, b"no"), "HTTP 404: .* has no manifest of", True),
        ((500, b"<html>"), "HTTP 500: .* does not give the manifest of .*: <html>", False),
        ((503, b""), "HTTP 503: .* does not give the manifest of .*: Service Unavailable", False),
        ((401, b'{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}'), "HTTP 401: .*: UNAUTHORIZED log in", True),
        ((403, b'{"errors":[{"detail":1}]}'), "HTTP 403: .*: Forbidden", True),
        ((403, b'{"errors":"x"}'), "HTTP 403: ", True),
        ((429, b'{"error":"slow down"}'), "HTTP 429: .* does not give the manifest of .*: slow down", False),
        ((200, b"<html>"), "answers for .* with something that is not a manifest", True),
        ((200, b"[]"), "answers for .* with something that is not a manifest", True),
        ((200, b'{"config": {}, "layers": []}'), "answers for .* with something that is not a manifest", True),
        ((200, MANIFEST.partition(b"[")[0] + b"null}"), "qwen3:latest is a cloud model", True),
        ((200, MANIFEST.partition(b"[")[0] + b"[]}"), "qwen3:latest is a cloud model", True),
    ],
)
def test_no_manifest(server, answer, message, lasting):
    handler, url = server
    handler.answer = answer
    with pytest.raises(OllamaError, match=message) as caught:
        fetch_manifest(ModelName.parse("qwen3").at(url[len("http://") :]), insecure=True)
    assert caught.value.lasting is lasting


@pytest.mark.parametrize(("header", "seconds"), [("120", 120), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("", 0), ("-1", 0)])
def test_when_a_registry_wants_to_be_asked_again(server, header, seconds):
    handler, url = server

    def answer(self):
        self.send_response(429)
        self.send_header("Retry-After", header)
        self.send_header("Content-Length", "0")
        self.end_headers()

    handler.do_GET = answer
    with pytest.raises(OllamaError) as caught:
        fetch_manifest(ModelName.parse("qwen3").at(url[len("http://") :]), insecure=True)
    assert (caught.value.retry_after, caught.value.cause.id) == (seconds, "rate-limit")


def test_names_that_an_engine_shows():
    assert ModelName.key_of("Qwen3") == ModelName.parse("qwen3:latest").key
    assert ModelName.key_of("Team/Group/Project/Model:tag") == ("team/group/project/model:tag",)


def test_a_registry_that_is_not_there():
    with pytest.raises(OllamaError, match="the registry 127.0.0.1:9 does not answer"):
        fetch_manifest(ModelName.parse("qwen3").at("127.0.0.1:9"), insecure=True)


def test_an_error_keeps_its_whole_text_and_shows_its_reason():
    error = OllamaError('max retries exceeded: Get "https://r.example/%s?X=%s": EOF' % ("x" * 200, "y" * 400))
    assert str(error) == 'max retries exceeded: Get "https://r.example/...": EOF'
    assert (len(error.text) > 600, error.cause.id, error.lasting, error.fix[:9]) == (True, "broken", False, "run again")
    assert (OllamaError("something new").cause, OllamaError("something new").lasting, OllamaError("something new").fix) == (None, False, "")


def test_loading(server):
    handler, url = server
    asked = []

    def answer(self):
        asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        text = b'{"error":"\\"m\\" does not support generate"}' if self.path == "/api/generate" else b"{}"
        self.send_response(400 if self.path == "/api/generate" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    handler.do_POST = answer
    OllamaClient(url).load("m", "-1", {"num_ctx": 2048})
    body = {"model": "m", "keep_alive": -1, "options": {"num_ctx": 2048}}
    assert asked == [("/api/generate", {**body, "stream": False}), ("/api/embed", {**body, "input": []})]


@pytest.mark.parametrize("answer", [b"[1]", b"{}", b'{"error": "x"}'])
def test_something_else_there(server, answer):
    handler, url = server
    handler.answer = (200, answer)
    with pytest.raises(OllamaError, match="is not an Ollama engine: it has no list of models"):
        OllamaClient(url).models()


def test_no_address():
    with pytest.raises(OllamaError, match="the engine at localhost does not answer"):
        OllamaClient("localhost").models()


def test_nobody_there():
    with pytest.raises(OllamaError, match="the engine at http://127.0.0.1:9 does not answer"):
        OllamaClient("http://127.0.0.1:9").version()
