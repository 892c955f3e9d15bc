# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of Ollama's HTTP API, on the standard library and Ansible's own URL helper."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import open_url

DEFAULT_REGISTRY = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"


class OllamaError(Exception):
    """The engine refused, failed, or could not be reached. The message is one line for the user."""


class ModelName(t.NamedTuple):
    """A model's name in its four parts, as Ollama reads it."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Read ``[host/][namespace/]model[:tag]``.

        :raises ValueError: when the text has an empty part or more than three parts before the tag.
        """
        path, colon, tag = text.strip().rpartition(":")
        if not colon or "/" in tag:  # a colon before a slash belongs to the host's port
            path, tag = text.strip(), DEFAULT_TAG
        path = path.split("://")[-1]
        parts = path.split("/")
        if len(parts) > 3 or not all(parts) or not tag:
            raise ValueError("'%s' is no model name: write [host/][namespace/]model[:tag]" % text)
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

    def _open(self, method: str, path: str, body: dict | None = None, timeout: int | None = None):
        try:
            return open_url(
                self.url + path,
                method=method,
                data=json.dumps(body).encode() if body is not None else None,
                headers={"Content-Type": "application/json"},
                timeout=timeout or self.timeout,
                use_proxy=False,
            )
        except HTTPError as error:
            raise OllamaError(self._reason(error)) from error
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise OllamaError("the engine at %s does not answer: %s" % (self.url, reason)) from error

    @staticmethod
    def _reason(error: HTTPError) -> str:
        text = error.read().decode("utf-8", "replace").strip()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = json.loads(text)["error"]
        return one_line("HTTP %d: %s" % (error.code, text or error.reason))

    def _json(self, method: str, path: str, body: dict | None = None) -> dict:
        try:
            with self._open(method, path, body) as answer:
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

    def models(self) -> list[dict]:
        """The models on the engine's disk, as ``/api/tags`` lists them."""
        return self._json("GET", "/api/tags").get("models") or []

    def loaded(self) -> list[dict]:
        """The models in memory, as ``/api/ps`` lists them."""
        return self._json("GET", "/api/ps").get("models") or []

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name. Costs no disk."""
        self._json("POST", "/api/copy", {"source": source, "destination": destination})

    def delete(self, name: str) -> None:
        """Take a name away, and the data that no other name uses."""
        self._json("DELETE", "/api/delete", {"model": name})

    def pull(self, name: str, insecure: bool, idle_timeout: int, clock: t.Callable[[], float] = time.monotonic) -> dict[str, int]:
        """Pull a model and wait until it is there.

        :arg name: the name to pull.
        :arg insecure: speak plain HTTP to the registry.
        :arg idle_timeout: seconds without a further downloaded byte after which the pull is given up. The engine sends
            lines all the while, also when its registry is silent, so a line alone is no progress.
        :returns: sizes in bytes by layer digest, of the layers that the engine reported.
        :raises OllamaError: on an error line (which comes with HTTP 200), on a stream that ends without success, and
            on idleness.
        """
        sizes: dict[str, int] = {}
        completed: dict[str, int] = {}
        best, last_growth, status = 0, clock(), ""
        try:
            # Nothing is sent while a large model's checksum is taken, which may last minutes.
            body = {"model": name, "insecure": insecure, "stream": True}
            with self._open("POST", "/api/pull", body, timeout=idle_timeout) as answer:
                for raw in answer:
                    line = parse_line(raw)
                    if "error" in line:
                        raise OllamaError(one_line(str(line["error"])))
                    if line.get("status", status) != status:
                        status, last_growth = line["status"], clock()
                    digest = line.get("digest")
                    if digest:
                        sizes[digest] = int(line.get("total") or 0)
                        completed[digest] = int(line.get("completed") or 0)
                        if sum(completed.values()) > best:
                            best, last_growth = sum(completed.values()), clock()
                    if clock() - last_growth > idle_timeout:
                        raise OllamaError("no progress for %d s after %d bytes" % (idle_timeout, best))
        except (OSError, HTTPException) as error:
            raise OllamaError("the connection to the engine broke during the pull: %s" % error) from error
        if status != "success":
            raise OllamaError("the engine ended the pull without saying why, after '%s'" % status)
        return sizes


def parse_line(raw: bytes) -> dict:
    """Read one line of a stream. A line that is no JSON object becomes an error line that shows it."""
    text = raw.decode("utf-8", "replace").strip()
    if not text:
        return {}
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"error": "the engine sent a line that is not JSON: %s" % text}


def one_line(text: str, limit: int = 300) -> str:
    """Fold white space, and cut what is longer than anyone reads: registries answer with whole HTML pages."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
