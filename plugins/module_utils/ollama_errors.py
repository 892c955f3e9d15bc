# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines and registries say when something fails: its cause, whether another try can help, and the fix."""

from __future__ import annotations

import re
import typing as t

LIMIT = 300  # characters of an error's text that people are shown
RATE_LIMIT_WAIT = 60  # seconds before the next try; twice as long each time


class Cause(t.NamedTuple):
    """One cause of an error."""

    id: str
    pattern: str  #: matched on the whole text, in upper or lower case
    lasting: bool  #: whether another try ends in the same way
    wait: int  #: seconds before the next try at least; 0 where a few seconds are enough
    example: str
    cause: str  #: in words
    fix: str


def status(codes: str) -> str:
    """Return a pattern of an HTTP status, as the engine writes it ("manifest: 401: ...") and as the module does ("HTTP 401: ...")."""
    return r"(?:\bHTTP |\bmanifest: |\bstatus(?: code)?:? )(?:%s)\b" % codes


R2 = "*.r2.cloudflarestorage.com"
R2_FIX = "the data of models of registry.ollama.ai comes from %s: %%s, or set a mirror (site_model_mirror)" % R2
GET = 'pull model manifest: Get "https://registry.ollama.ai/v2/library/qwen3/manifests/latest": '
R2_GET = (
    'max retries exceeded: Get "https://dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com/ollama/docker/registry/v2/blobs/'
    'sha256/dd/dde5aa3fc5ff/data?X-Amz-Date=20250406T140206Z&X-Amz-Expires=86400&X-Amz-Signature=e41e5767c92b09a2": '
)

# The first that matches counts: from the specific to the general.
CAUSES = (
    Cause(
        "cloud-model",
        r"cloud[ -]only|is a cloud model|signed in to Ollama|ollama signin|run Cloud models",
        True,
        0,
        "you need to be signed in to Ollama to run Cloud models.",
        "the model runs on Ollama's servers and not on the host",
        "name a model that runs on the host: one without cloud in its tag",
    ),
    Cause(
        "empty-key",
        r"ssh: no key found",
        True,
        0,
        "pull model manifest: ssh: no key found",
        "the engine's key ~/.ollama/id_ed25519 is empty or damaged, often after a full disk",
        "remove the file id_ed25519 from the engine's folder .ollama and restart the engine, which makes a new one",
    ),
    Cause(
        "newer-engine",
        r"requires a newer version|" + status("412"),
        True,
        0,
        "pull model manifest: 412: The model you are attempting to pull requires a newer version of Ollama.",
        "the engine is too old for the model",
        "upgrade the engine",
    ),
    Cause(
        "sharded",
        r"sharded GGUF",
        True,
        0,
        'pull model manifest: 400: {"error":"The specified repository contains sharded GGUF. Ollama does not support this yet."}',
        "the model's file is split into parts, which the engine does not load",
        "choose a repository or a tag with a single file, or merge the parts (llama-gguf-split --merge) and create the model from it",
    ),
    Cause(
        "proxy-login",
        r"Proxy Authentication Required|" + status("407"),
        True,
        0,
        GET + "Proxy Authentication Required",
        "the proxy wants a user and a password",
        "set them in site_proxy, http://user:password@host:port",
    ),
    Cause(
        "proxy",
        r"proxyconnect|Tunnel connection failed",
        True,
        0,
        GET + "proxyconnect tcp: dial tcp: lookup proxy on 127.0.0.11:53: no such host",
        "the proxy cannot be reached",
        "check site_proxy: its name, its port, and the way from the host to it; hosts that need no proxy belong in site_no_proxy",
    ),
    Cause(
        "plain-http",
        r"HTTP response to HTTPS client|WRONG_VERSION_NUMBER|record layer|first record does not look like a TLS handshake",
        True,
        0,
        GET + "http: server gave HTTP response to HTTPS client",
        "the registry speaks plain HTTP",
        "the registry speaks plain HTTP: set mirror_insecure: true (site_model_mirror_insecure)",
    ),
    Cause(
        "data-certificate",
        r"cloudflarestorage\.com.*(?:x509|certificate)",
        True,
        0,
        R2_GET + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "a firewall or proxy opens the TLS connection to %s, where the data of registry.ollama.ai's models is" % R2,
        R2_FIX % "add the CA of the firewall or proxy to the engine's system (site_ca_certificate), exempt that name from inspection",
    ),
    Cause(
        "certificate",
        r"x509|certificate",
        True,
        0,
        GET + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "the certificate of the registry, or of a proxy in between, is not trusted",
        "the registry's certificate is not trusted: add its CA to the system of the engine and of the target",
    ),
    Cause(
        "data-name",
        r"cloudflarestorage\.com.*(?:no such host|not known)",
        True,
        0,
        R2_GET + "dial tcp: lookup dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com: no such host",
        "the name server does not resolve %s, where the data of registry.ollama.ai's models is" % R2,
        R2_FIX % "let the host's name server resolve that name and the firewall pass it",
    ),
    Cause(
        "data-address",
        r"cloudflarestorage\.com.*(?:timeout|timed out|connection refused|connection reset|no route|unreachable|EOF)",
        False,
        0,
        R2_GET + "dial tcp 192.0.2.7:443: i/o timeout",
        "%s, where the data of registry.ollama.ai's models is, cannot be reached: often a firewall knows only the registry" % R2,
        R2_FIX % "let the firewall or proxy pass that name",
    ),
    Cause(
        "name",
        r"no such host|name or service not known|nodename nor servname|no address associated with hostname",
        True,
        0,
        GET + "dial tcp: lookup registry.ollama.ai on 127.0.0.53:53: no such host",
        "the name server does not know the registry's name",
        "check the name of the registry or mirror, and the name server of the host and of Docker",
    ),
    Cause(
        "name-server",
        r"server misbehaving|temporary failure in name resolution|lookup [^ ]+.*: i/o timeout",
        False,
        0,
        GET + "dial tcp: lookup registry.ollama.ai on 127.0.0.11:53: server misbehaving",
        "the name server does not answer, or not as it should",
        "check the name server of the host and of Docker",
    ),
    Cause(
        "rate-limit",
        # The words alone count where no other status is named.
        status("429") + r"|^(?!.*%s).*(?:rate.limit|too ?many ?requests)" % status("[45][0-9][0-9]"),
        False,
        RATE_LIMIT_WAIT,
        'pull model manifest: 429: {"error":"We had to rate limit your IP (192.0.2.1). To continue using our service, create a HF'
        ' account or login to your existing account"}',
        "the registry has counted too many requests of this address",
        "wait some minutes and run again; fewer hosts at a time, or a mirror (site_model_mirror), ask less often",
    ),
    Cause(
        "gated",
        r"\bgated\b|access to model .*restricted|authorized list",
        True,
        0,
        'pull model manifest: 403: {"error":"Access to model meta-llama/Llama-3 is restricted and you are not in the authorized list."}',
        "the repository on Hugging Face is gated",
        "accept its terms there, and add the engine's public key (.ollama/id_ed25519.pub) to that account's SSH keys",
    ),
    Cause(
        "access-denied",
        r"%s.*(?:<html|<!doctype|Access Denied)" % status("401|403|451"),
        True,
        0,
        "pull model manifest: 403: <html> <head><title>Access Denied</title>",
        "a firewall, a proxy or a country block in front of the registry answers with a web page",
        "open the way to the registry there, or set a mirror (site_model_mirror)",
    ),
    Cause(
        "login",
        r"unauthorized|invalid username or password|authentication required|" + status("401|403"),
        True,
        0,
        'pull model manifest: 401: {"error":"Invalid username or password."}',
        "the registry wants a login, or has no such repository and does not say so",
        "check the model's name; a private repository needs the engine's public key (.ollama/id_ed25519.pub) in the registry's account",
    ),
    Cause(
        "manifest-invalid",
        r"MANIFEST_INVALID|manifest invalid|something that is not a manifest",
        True,
        0,
        'pull model manifest: 500: {"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}',
        "the registry's manifest of the model is damaged, or what answers is not a registry",
        "push the model to the mirror again; check that the address is that of a registry",
    ),
    Cause(
        "no-model",
        r"file does not exist|manifest.unknown|name.unknown|repository not found|" + status("404"),
        True,
        0,
        "pull model manifest: file does not exist",
        "the registry or mirror has no such model",
        "the registry has no such model: mind its name and tag, or put it there",
    ),
    Cause(
        "no-location",
        r"no Location header",
        True,
        0,
        "pull model manifest: http: no Location header in response",
        "a plain registry as mirror, which sends blobs itself",
        "the mirror must answer for a blob with a Location header",
    ),
    Cause(
        "model-name",
        r"invalid model name|invalid model path",
        True,
        0,
        "HTTP 400: invalid model name",
        "the engine does not take the model's name",
        "correct the model's name: [host/][namespace/]model[:tag]",
    ),
    Cause(
        "disk-full",
        r"no space left on device|disk quota exceeded",
        True,
        0,
        "write /root/.ollama/models/blobs/sha256-aa-partial: no space left on device",
        "the disk of the engine's models is full",
        "free some space and run again; a restart of the engine drops what unfinished pulls have left",
    ),
    Cause(
        "read-only",
        r"read-only file system",
        True,
        0,
        "mkdir /root/.ollama/models: read-only file system",
        "the file system of the engine's models is read-only: mounted so, or after a disk error",
        "look at dmesg and at the mount of the engine's folder, and make it writable",
    ),
    Cause(
        "permission",
        r"permission denied|operation not permitted",
        True,
        0,
        "open /root/.ollama/models/blobs/sha256-aa-partial: permission denied",
        "the engine's user may not write to the folder of its models",
        "give that folder to the engine's user, and look at SELinux or AppArmor",
    ),
    Cause(
        "damaged",
        r"digest mismatch",
        False,
        0,
        "digest mismatch, file must be downloaded again: want sha256:aa, got sha256:bb",
        "what came is damaged",
        "what came is damaged: look at the registry's disk, and at the line",
    ),
    Cause(
        "refused",
        r"connection refused|actively refused",
        False,
        0,
        GET + "dial tcp 192.0.2.7:443: connect: connection refused",
        "nothing listens at the address, or a firewall refuses the connection",
        "check that what has this address runs there, its port, and the firewall",
    ),
    Cause(
        "unreachable",
        r"no route to host|network is unreachable|host is down",
        False,
        0,
        GET + "dial tcp 192.0.2.7:443: connect: no route to host",
        "there is no way from the host to the address",
        "check routes, firewall and proxy of the host",
    ),
    Cause(
        "model-memory",
        r"more system memory|out of memory|cudaMalloc failed|signal: killed|unable to allocate \S+ buffer",
        True,
        0,
        "HTTP 500: model requires more system memory (5.5 GiB) than is available (3.1 GiB)",
        "the model needs more memory than the host has free",
        "take a smaller model or a smaller context in model_plan_catalog, or free memory on the host",
    ),
    Cause(
        "architecture",
        r"unknown model architecture|unsupported model architecture",
        True,
        0,
        "HTTP 500: llama runner process has terminated: error loading model: unknown model architecture: 'gemma4'",
        "the engine does not know this kind of model",
        "upgrade the engine, or take another model",
    ),
    Cause(
        "load-timeout",
        r"waiting for llama runner",
        False,
        0,
        "HTTP 500: timed out waiting for llama runner to start - progress 0.98 - ",
        "the engine took too long to load the model: a slow disk, or too little memory",
        "set OLLAMA_LOAD_TIMEOUT of the engine higher, or take a smaller model",
    ),
    Cause(
        "runner",
        r"llama runner process",
        False,
        0,
        "HTTP 500: llama runner process has terminated: exit status 2",
        "the engine's process that loads the model has ended",
        "look at the engine's log, which says why",
    ),
    Cause(
        "engine-lost",
        r"engine broke|ended the pull without saying why|engine at .* stopped answering",
        False,
        0,
        "the connection to the engine broke during the pull: [Errno 104] Connection reset by peer",
        "the engine was stopped or killed, as by a lack of memory",
        "look at the engine's log and run again: the engine goes on where it was, unless restarted",
    ),
    Cause(
        "timeout",
        r"i/o timeout|timed out|TLS handshake timeout|Client\.Timeout",
        False,
        0,
        GET + "dial tcp 192.0.2.7:443: i/o timeout",
        "the address does not answer: often a firewall drops the packets, or the way to it needs a proxy",
        "open the way to that address, or set site_proxy or site_model_mirror",
    ),
    Cause(
        "server",
        r"internal server error|bad gateway|service unavailable|gateway timeout|" + status("50[0-9]|52[0-9]"),
        False,
        0,
        "HTTP 503: registry.ollama.ai does not give the manifest of qwen3:latest: Service Unavailable",
        "the registry has a fault of its own",
        "run again later; for a mirror, look at its log",
    ),
    Cause(
        "silent",
        r"no progress|deadline exceeded",
        False,
        0,
        "no progress for 300 s after 83000000 bytes",
        "the registry has stopped sending",
        "run again: the engine goes on where it was, unless restarted",
    ),
    Cause(
        "broken",
        r"stream error|\bEOF\b|connection reset|broken pipe|max retries|try again or use a different network",
        False,
        0,
        "max retries exceeded: unexpected EOF",
        "the connection to the registry breaks again and again",
        "run again: the engine goes on where it was, unless restarted",
    ),
)


def cause_of(text: str) -> Cause | None:
    """Return the cause of an error, or None where it is not known."""
    return next((cause for cause in CAUSES if re.search(cause.pattern, text, re.IGNORECASE | re.DOTALL)), None)


def one_line(text: str, limit: int = LIMIT) -> str:
    """Fold white space, and cut what is longer than anyone reads out of the middle: the reason is at the end."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    tail = limit // 2
    return text[: limit - tail - 5] + " ... " + text[-tail:]


def readable(text: str) -> str:
    """Return an error's text for people: in one line, a signed or very long address without its path."""
    return one_line(re.sub(r"(https?://[^/\s\"'?]+)(/[^\s\"']*)", lambda match: match.group(1) + short_path(match.group(2)), text))


def short_path(path: str) -> str:
    return "/..." if "?" in path or len(path) > 100 else path


def table() -> str:
    """Return the causes as a table in Markdown, for the documentation."""
    rows = ["| what the message has in it | what it is | what to do |", "|---|---|---|"]
    for cause in CAUSES:
        rows.append("| `%s` | %s | %s |" % (readable(cause.example).replace("|", "\\|"), cause.cause, cause.fix))
    return "\n".join(rows) + "\n"
