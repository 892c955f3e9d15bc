# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import re

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_errors import CAUSES, cause_of, one_line, readable
from hypothesis import given
from hypothesis import strategies as st

R2 = "dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com"
SIGNED = (
    'max retries exceeded: Get "https://%s/ollama/docker/registry/v2/blobs/sha256/dd/dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77'
    "af9f7ccdff/data?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=66040c77ac1b787c3af820529859349a%%2F20250406%%2Fauto%%2Fs3%%2Faws4_request"
    "&X-Amz-Date=20250406T140206Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=e41e5767c92b09a2ac1929207ad1fa04f2b217e1bb1f06"
    '71f452e645e315023e": ' % R2
)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_each_example_is_of_its_own_cause(cause):
    assert cause_of(cause.example) is cause


def test_the_table_is_whole():
    assert len({cause.id for cause in CAUSES}) == len(CAUSES)
    for cause in CAUSES:
        assert cause.cause and cause.fix and "\n" not in cause.example + cause.cause + cause.fix
        assert not (cause.lasting and cause.wait)
        re.compile(cause.pattern)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('pull model manifest: 403: {"error":"denied"}', "login"),
        ("pull model manifest: 401: <html>\n<head><title>401 Authorization Required", "access-denied"),
        ('pull model manifest: 401: {"error":"Access to model x is restricted. You must be authenticated"}', "gated"),
        ("HTTP 429: hf.co does not give the manifest of hf.co/unsloth/X-GGUF:Q4_K_M: Too Many Requests", "rate-limit"),
        ("max retries exceeded: unexpected status code 429", "rate-limit"),
        ("max retries exceeded: toomanyrequests: You have reached your pull rate limit", "rate-limit"),
        ('HTTP 401: hf.co does not give the manifest of hf.co/x/y:z: {"error":"rate limit"}', "login"),
        ('pull model manifest: 404: {"error":"Repository not found"}', "no-model"),
        ('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}', "no-model"),
        ("HTTP 404: hf.co has no manifest of hf.co/x/y:z", "no-model"),
        ("the registry x does not answer: [Errno -2] Name or service not known", "name"),
        ("the registry x does not answer: [Errno -3] Temporary failure in name resolution", "name-server"),
        ("the registry x does not answer: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed", "certificate"),
        ("the registry x does not answer: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)", "plain-http"),
        ("the registry x does not answer: Tunnel connection failed: 407 Proxy Authentication Required", "proxy-login"),
        ("the registry x does not answer: Tunnel connection failed: 403 Forbidden", "proxy"),
        ("tls: first record does not look like a TLS handshake", "plain-http"),
        (SIGNED + "dial tcp: lookup %s: no such host" % R2, "data-name"),
        (SIGNED + "tls: failed to verify certificate: x509: certificate signed by unknown authority", "data-certificate"),
        (SIGNED + "dial tcp 192.0.2.7:443: connect: connection refused", "data-address"),
        (SIGNED + "proxyconnect tcp: dial tcp: lookup proxy: no such host", "proxy"),
        ("max retries exceeded: EOF", "broken"),
        ("stream error: stream ID 5; INTERNAL_ERROR; received from peer", "broken"),
        ("something went wrong, please try again or use a different network", "broken"),
        ("model 'x' is cloud-only; run ollama signin", "cloud-model"),
        ("pull model manifest: 502: <html><title>Bad Gateway", "server"),
        ("HTTP 500: open /root/.ollama/models/blobs: permission denied", "permission"),
        ("HTTP 500: model requires more system memory (5.5 GiB) than is available (3.1 GiB)", "model-memory"),
        ("HTTP 500: llama runner process has terminated: cudaMalloc failed: out of memory", "model-memory"),
        ("HTTP 500: llama runner process has terminated: signal: killed", "model-memory"),
        ("HTTP 500: error loading model: unknown model architecture: 'x'", "architecture"),
        ("HTTP 500: timed out waiting for llama runner to start - progress 0.98", "load-timeout"),
        ("the engine at http://127.0.0.1:11434 stopped answering: timed out", "engine-lost"),
        # A number in an address or a digest is not a status.
        ('max retries exceeded: Get "http://mirror:5000/v2/x/blobs/sha256:429": EOF', "broken"),
        ("digest mismatch, file must be downloaded again: want sha256:404 got sha256:503", "damaged"),
        ("something new", None),
    ],
)
def test_causes(text, cause):
    found = cause_of(text)
    assert (found and found.id) == cause


@pytest.mark.parametrize(
    "reason", ["dial tcp: lookup %s: no such host" % R2, "tls: failed to verify certificate: x509: certificate signed by unknown authority"]
)
def test_the_reason_behind_a_signed_address_is_shown(reason):
    text = SIGNED + reason
    assert readable(text) == 'max retries exceeded: Get "https://%s/...": %s' % (R2, reason)
    assert "*.r2.cloudflarestorage.com" in cause_of(text).fix


def test_short_addresses_stay():
    text = 'pull model manifest: Get "https://registry.ollama.ai/v2/library/qwen3/manifests/latest": EOF'
    assert readable(text) == text


@given(st.text(), st.integers(20, 400))
def test_a_line_of_at_most_so_many_characters(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit and "\n" not in line
    assert " ".join(text.split()).endswith(line[-5:])


def test_the_documentation_has_the_same_table(collection, tmp_path):
    spec = importlib.util.spec_from_file_location("generated", collection / "tests/generated.py")
    generated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generated)
    assert generated.differing() == [], "run tests/generated.py"
    # A difference is found, and written where that is asked for.
    (tmp_path / "docs").mkdir()
    text = (collection / "docs/troubleshooting.md").read_text(encoding="utf-8").replace("ssh: no key found", "ssh")
    (tmp_path / "docs/troubleshooting.md").write_text(text, encoding="utf-8")
    assert generated.differing(tmp_path) == ["causes"]
    assert generated.differing(tmp_path, write=True) == ["causes"]
    assert generated.differing(tmp_path) == []
    with pytest.raises(ValueError, match="markers of causes"):
        generated.updated("", "causes", "")
