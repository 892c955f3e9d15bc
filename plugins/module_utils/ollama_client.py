# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of Ollama's HTTP API, on the standard library."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
import typing as t
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_errors import Cause, cause_of, readable
from ansible_collections.local_llm.fleet.plugins.module_utils.web import opened

DEFAULT_REGISTRY = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"


class OllamaError(Exception):
    """The engine or a registry refused, failed, or could not be reached.

    :arg text: all that is known, which the cause is found in. The message is one line of it for the user.
    :arg retry_after: the seconds after which the server wants to be asked again, 0 where it has not said so.
    """

    def __init__(self, text: str, retry_after: int = 0) -> None:
        super().__init__(readable(text))
        self.text = text
        self.retry_after = retry_after

    @property
    def cause(self) -> Cause | None:
        return cause_of(self.text)

    @property
    def lasting(self) -> bool:
        """Whether trying again would end in the same way."""
        return self.cause is not None and self.cause.lasting

    @property
    def fix(self) -> str:
        """What to do about it, or nothing where that is not known."""
        return self.cause.fix if self.cause else ""


NAME_PART = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$")


class ModelName(t.NamedTuple):
    """A model's name in its four parts, as Ollama reads it."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Read ``[host/][namespace/]model[:tag]``.

        :raises ValueError: when the text has more than three parts before the tag, or a part that is empty or has other
            than letters, digits and ``_.-`` in it.
        """
        path, colon, tag = text.strip().rpartition(":")
        if not colon or "/" in tag:  # a colon before a slash belongs to the host's port
            path, tag = text.strip(), DEFAULT_TAG
        path = path.split("://")[-1]
        parts = path.split("/")
        if len(parts) > 3 or not all(NAME_PART.match(part) for part in [*parts, tag]):
            raise ValueError("'%s' is not a model name: write [host/][namespace/]model[:tag]" % text)
        host, namespace = DEFAULT_REGISTRY, DEFAULT_NAMESPACE
        if len(parts) == 3:
            host = parts[0]
        if len(parts) > 1:
            namespace = parts[-2]
        return cls(host, namespace, parts[-1], tag)

    @property
    def key(self) -> tuple[str, ...]:
        """What two names share when they mean the same model: Ollama does not tell upper from lower case."""
        return tuple(part.lower() for part in self)

    @property
    def short(self) -> str:
        """The name as Ollama shows it: registry and namespace only where they are not the usual ones."""
        name = "%s:%s" % (self.model, self.tag)
        if self.host.lower() != DEFAULT_REGISTRY:
            return "%s/%s/%s" % (self.host, self.namespace, name)
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return "%s/%s" % (self.namespace, name)
        return name

    @classmethod
    def key_of(cls, text: str) -> tuple[str, ...]:
        """The key of a name that an engine shows. It may list names that it would not take, such as some of four parts."""
        try:
            return cls.parse(text).key
        except ValueError:
            return (text.lower(),)

    def at(self, mirror: str) -> ModelName:
        """The same model on a mirror, given as ``host[:port]``."""
        return self._replace(host=mirror)


class OllamaClient:
    """One engine.

    :arg url: its address, such as ``http://127.0.0.1:11434``.
    :arg timeout: seconds without a byte after which a request is given up.
    """

    def __init__(self, url: str, timeout: int = 60) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout

    def _open(self, method: str, path: str, body: dict[str, t.Any] | None = None, timeout: float | None = None) -> t.Any:
        try:
            return opened(
                self.url + path,
                method=method,
                data=json.dumps(body).encode() if body is not None else None,
                headers={"Content-Type": "application/json"},
                timeout=timeout or self.timeout,
                use_proxy=False,
            )
        except HTTPError as error:
            raise OllamaError(self._reason(error)) from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise OllamaError("the engine at %s does not answer: %s" % (self.url, reason)) from error

    @staticmethod
    def _reason(error: HTTPError) -> str:
        text = error.read().decode("utf-8", "replace").strip()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = json.loads(text)["error"]
        return "HTTP %d: %s" % (error.code, text or error.reason)

    def _json(self, method: str, path: str, body: dict[str, t.Any] | None = None, timeout: int | None = None) -> dict[str, t.Any]:
        try:
            with self._open(method, path, body, timeout) as answer:
                text = answer.read()
        except (OSError, HTTPException) as error:
            raise OllamaError("the engine at %s stopped answering: %s" % (self.url, error)) from error
        if not text:
            return {}
        try:
            data = json.loads(text)
        except ValueError as error:
            raise OllamaError("the engine at %s answers %s with something that is not JSON" % (self.url, path)) from error
        return data if isinstance(data, dict) else {}

    def version(self) -> str:
        """The engine's version, such as ``0.40.2``."""
        return str(self._json("GET", "/api/version").get("version", ""))

    def models(self) -> list[dict[str, t.Any]]:
        """The models on the engine's disk, as ``/api/tags`` lists them."""
        answer = self._json("GET", "/api/tags")
        if "models" not in answer:
            raise OllamaError("what answers at %s is not an Ollama engine: it has no list of models" % self.url)
        return answer["models"] or []

    def loaded(self) -> list[dict[str, t.Any]]:
        """The models in memory, as ``/api/ps`` lists them."""
        return self._json("GET", "/api/ps").get("models") or []

    def state(self, expected: t.Iterable[str] = ()) -> dict[str, t.Any]:
        """Return what ``ollama_model_info`` returns of this engine: ``version``, ``models``, ``missing``, ``loaded``.

        :arg expected: names of models that are to be on its disk.
        :raises OllamaError: when it does not answer.
        :raises ValueError: for a name that is none.
        """
        models, loaded, version = self.models(), self.loaded(), self.version()
        try:
            there = {ModelName.key_of(model["name"]) for model in models}
            return {
                "version": version,
                "models": [{key: model.get(key) for key in ("name", "digest", "size")} for model in models],
                "missing": [name for name in expected if ModelName.parse(name).key not in there],
                "loaded": [{key: model.get(key) for key in ("name", "size", "size_vram", "context_length")} for model in loaded],
            }
        except (AttributeError, KeyError, TypeError) as error:
            raise OllamaError("%s does not list models as Ollama does: %s" % (self.url, error)) from error

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name. Costs no disk."""
        self._json("POST", "/api/copy", {"source": source, "destination": destination})

    def delete(self, name: str) -> None:
        """Take a name away, and the data that no other name uses."""
        self._json("DELETE", "/api/delete", {"model": name})

    def load(self, name: str, keep_alive: str, options: dict[str, t.Any] | None = None, timeout: int = 600) -> None:
        """Load a model into memory.

        :arg keep_alive: how long it stays, as Ollama writes it; ``-1`` is for ever, ``0`` unloads it.
        :arg options: the engine's options, such as ``num_ctx``, which must be those of later requests: with others the
            engine loads the model again.
        """
        body: dict[str, t.Any] = {"model": name, "keep_alive": int(keep_alive) if re.match(r"^-?[0-9]+$", keep_alive) else keep_alive}
        if options:
            body["options"] = options
        try:
            # Without a prompt the engine loads the model and says nothing.
            self._json("POST", "/api/generate", dict(body, stream=False), timeout)
        except OllamaError as error:
            if "does not support generate" not in str(error):
                raise
            self._json("POST", "/api/embed", dict(body, input=[]), timeout)

    def pull(
        self,
        name: str,
        insecure: bool,
        idle_timeout: float,
        on_progress: t.Callable[[int, int], None] | None = None,
        there: dict[str, int] | None = None,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> int:
        """Pull a model and wait until it is there.

        :arg name: the name to pull.
        :arg insecure: speak plain HTTP to the registry.
        :arg idle_timeout: seconds without a further downloaded byte after which the pull is given up. The engine sends
            lines all the while, also when its registry is silent, so a line alone is not progress.
        :arg on_progress: called for every line about a layer with the bytes that are there and the bytes there are, of
            the layers that the engine has spoken of so far.
        :arg there: the bytes of each layer, by its digest, that were there before. Without it, what the engine has of a
            layer when it speaks of it for the first time counts as having been there.
        :returns: the bytes that came over the wire, as far as the engine tells: those of layers and parts of layers that
            were there are none of them, and those that were fetched twice count twice.
        :raises OllamaError: on an error line (which comes with HTTP 200), on a stream that ends without success, and
            on idleness.
        """
        totals: dict[str, int] = {}
        completed: dict[str, int] = {}
        best, fetched, last_growth, status = 0, 0, clock(), ""
        try:
            # Nothing is sent while a large model's checksum is taken, which may last minutes.
            body = {"model": name, "insecure": insecure, "stream": True}
            with self._open("POST", "/api/pull", body, timeout=idle_timeout) as answer:
                for raw in answer:
                    line = parse_line(raw)
                    if "error" in line:
                        raise OllamaError(str(line["error"]))
                    if line.get("status", status) != status:
                        status, last_growth = line["status"], clock()
                    digest = line.get("digest")
                    if digest:
                        now = int(line.get("completed") or 0)
                        if digest not in completed:
                            completed[digest] = now if there is None else there.get(digest, 0)
                        # It may fall, where a part stalled and is fetched again; what grows after that is growth.
                        if now > completed[digest]:
                            last_growth = clock()
                        fetched += max(0, now - completed[digest])
                        totals[digest], completed[digest] = int(line.get("total") or 0), now
                        best = max(best, sum(completed.values()))
                        if on_progress:
                            on_progress(sum(completed.values()), sum(totals.values()))
                    if clock() - last_growth > idle_timeout:
                        raise OllamaError("no progress for %g s after %d bytes" % (idle_timeout, best))
        except (OSError, HTTPException) as error:
            raise OllamaError("the connection to the engine broke during the pull: %s" % error) from error
        if status != "success":
            raise OllamaError("the engine ended the pull without saying why, after '%s'" % status)
        return fetched


class Manifest(t.NamedTuple):
    """What a registry has under a model's name."""

    digest: str  #: SHA-256 of the manifest, in 64 hexadecimal digits: what the engine calls the model's digest
    layers: dict[str, int]  #: from the digest of each blob (``sha256:...``) to its bytes

    @property
    def size(self) -> int:
        return sum(self.layers.values())


def fetch_manifest(name: ModelName, insecure: bool = False, timeout: int = 30) -> Manifest:
    """Ask a registry for a model's manifest, which is a few hundred bytes.

    Its SHA-256 is the digest that an engine shows for the model (since Ollama 0.19 always, before for ordinary models).

    :raises OllamaError: when the registry has no such model, the model runs in Ollama's cloud, or what answers is not a registry.
    """
    url = "%s://%s/v2/%s/%s/manifests/%s" % ("http" if insecure else "https", name.host, name.namespace, name.model, name.tag)
    try:
        with opened(url, headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"}, timeout=timeout) as answer:
            body = answer.read()
    except HTTPError as error:
        raise manifest_error(name, error) from error
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise OllamaError("the registry %s does not answer: %s" % (name.host, getattr(error, "reason", error))) from error
    try:
        data = json.loads(body)
        blobs = {str(blob["digest"]): int(blob["size"]) for blob in [data["config"], *(data["layers"] or [])]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OllamaError("%s answers for %s with something that is not a manifest" % (name.host, name.short)) from error
    if not data["layers"]:
        raise OllamaError(cloud_model(name.short))
    return Manifest(hashlib.sha256(body).hexdigest(), blobs)


def cloud_model(name: str) -> str:
    """Return what is said of a model that has no data of its own, because it runs on Ollama's servers."""
    return "%s is a cloud model, which has nothing to run on the host" % name


def manifest_error(name: ModelName, error: HTTPError) -> OllamaError:
    """Return what a registry's refusal means, in its own words where it has some."""
    if error.code == 404:
        return OllamaError("HTTP 404: %s has no manifest of %s" % (name.host, name.short))
    try:
        body = error.read(65536).decode("utf-8", "replace")
    except (OSError, HTTPException):
        body = ""
    after = str(error.headers.get("Retry-After") or "")
    text = "HTTP %d: %s does not give the manifest of %s: %s" % (error.code, name.host, name.short, said(body) or error.reason)
    return OllamaError(text, int(after) if re.match(r"^[0-9]{1,6}$", after) else 0)


def said(body: str) -> str:
    """Return what the body of a refusal says: the text of registries' JSON, or all there is."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        data = json.loads(body)
        if "errors" in data:
            return "; ".join("%s %s" % (one.get("code", ""), one.get("message", "")) for one in data["errors"]).strip()
        return str(data["error"])
    return body.strip()


def parse_line(raw: bytes) -> dict[str, t.Any]:
    """Read one line of a stream. A line that is not a JSON object becomes an error line that shows it."""
    text = raw.decode("utf-8", "replace").strip()
    if not text:
        return {}
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"error": "the engine sent a line that is not JSON: %s" % text}
