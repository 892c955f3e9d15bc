# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an OpenAI-compatible address a question, and read its answer or its refusal."""

from __future__ import annotations

import json
import time
import typing as t
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from . import env_file
from .ollama_errors import one_line
from .web import opened

# LiteLLM's error type for a key that it cannot look up.
NO_DATABASE = "no_db_connection"


class CheckError(Exception):
    """What came back is not what was expected."""

    def __init__(self, message: str, **facts: t.Any) -> None:
        super().__init__(message)
        self.facts = facts


def reason(body: str) -> str:
    """The server's own words in the body of an error, which may be any text."""
    try:
        error = json.loads(body).get("error", "")
        return one_line(str(error.get("message", error) if isinstance(error, dict) else error))
    except (ValueError, AttributeError):
        return one_line(body)


def is_refusal(status: int, body: str) -> bool:
    """Whether an error says that the key is missing or wrong, and not that something else is."""
    if status == 400:
        try:
            return bool(json.loads(body)["error"]["type"] == NO_DATABASE)
        except (ValueError, KeyError, TypeError):
            return False
    return status in (401, 403)


def read_chat(lines: t.Iterable[bytes], started: float, clock: t.Callable[[], float] = time.monotonic) -> dict[str, t.Any]:
    """Read a stream of server-sent events into the module's result.

    :arg lines: an iterable of bytes, one line each.
    :arg started: the clock's time when the request was sent.
    :raises CheckError: on an error event, on a stream that breaks off, and when the model said nothing, or only thought.
    """
    said: list[str] = []
    pieces, first, last, counted, ended = 0, 0.0, 0.0, 0, False
    for raw in lines:
        line = raw.decode("utf-8", "replace").strip()
        if not line.startswith("data:"):
            continue
        if line[5:].strip() == "[DONE]":
            ended = True
            continue
        try:
            event = json.loads(line[5:])
        except ValueError:
            raise CheckError("the server sent an event that is not JSON: %s" % one_line(line)) from None
        if not isinstance(event, dict):
            raise CheckError("the server sent an event that is not an object: %s" % one_line(line))
        if event.get("error"):
            raise CheckError("the answer broke off: %s" % reason(json.dumps(event)))
        counted = int((event.get("usage") or {}).get("completion_tokens") or counted)
        for choice in event.get("choices") or []:
            if not isinstance(choice, dict):
                raise CheckError("the server sent an event that is not a chat's: %s" % one_line(line))
            ended = ended or bool(choice.get("finish_reason"))
            delta = choice.get("delta") or {}
            if delta.get("content") or delta.get("reasoning_content"):
                last = clock()
                first = first or last
                pieces += 1
                said.append(delta.get("content") or "")
    answer = "".join(said).strip()
    if not ended:
        raise CheckError("the answer broke off after %d pieces: %s" % (pieces, one_line(answer)))
    if not answer:
        raise CheckError("the model thought, but said nothing; allow it more max_tokens" if pieces else "the model said nothing")
    tokens = counted or pieces
    return {
        "answer": answer,
        "time_to_first_token": round(first - started, 3),
        "tokens": tokens,
        "tokens_per_second": round((tokens - 1) / (last - first), 1) if tokens > 1 and last > first else None,
    }


class EndpointCheck:
    """One question to one server."""

    def __init__(self, params: dict[str, t.Any]) -> None:
        self.params = params

    def request(self) -> t.Any:
        """Send the question, and return the open answer."""
        chat = self.params["mode"] == "chat"
        body: dict[str, t.Any] = {"model": self.params["model"]}
        if chat:
            body.update(
                messages=[{"role": "user", "content": self.params["prompt"]}],
                max_tokens=self.params["max_tokens"],
                stream=True,
                stream_options={"include_usage": True},
            )
        else:
            body.update(input=self.params["prompt"])
        headers = {"Content-Type": "application/json"}
        if self.params["api_key"]:
            headers["Authorization"] = "Bearer " + self.params["api_key"]
        return opened(
            self.params["url"].rstrip("/") + ("/chat/completions" if chat else "/embeddings"),
            method="POST",
            data=json.dumps(body).encode(),
            headers=headers,
            timeout=self.params["timeout"],
            use_proxy=self.params["use_proxy"],
            validate_certs=self.params["validate_certs"],
        )

    def run(self) -> dict[str, t.Any]:
        """Ask, and return the module's result.

        :raises CheckError: when what comes back is not what is expected.
        """
        started = time.monotonic()
        try:
            with self.request() as answer:
                result = {"status": answer.getcode()}
                if self.params["expect"] == "refusal":
                    raise CheckError("the server answered %d where it should have refused" % result["status"], **result)
                if self.params["mode"] == "chat":
                    result.update(read_chat(answer, started))
                else:
                    result["dimensions"] = dimensions(answer.read())
        except HTTPError as error:
            body = error.read().decode("utf-8", "replace")
            result = {"status": error.code, "reason": reason(body)}
            if self.params["expect"] == "answer" or not is_refusal(error.code, body):
                raise CheckError("the server answered %d: %s" % (error.code, result["reason"]), **result) from error
        except (AttributeError, KeyError, TypeError) as error:
            raise CheckError("the server sent something that is no answer: %s" % error) from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            raise CheckError("%s does not answer: %s" % (self.params["url"], getattr(error, "reason", error))) from error
        result["seconds"] = round(time.monotonic() - started, 3)
        return result


def dimensions(body: bytes) -> int:
    """The length of the first embedding in an answer.

    :raises CheckError: when there is none.
    """
    try:
        length = len(json.loads(body)["data"][0]["embedding"])
    except (ValueError, KeyError, IndexError, TypeError):
        length = 0
    if not length:
        raise CheckError("the answer holds no embedding: %s" % one_line(body.decode("utf-8", "replace")))
    return length


def key_of(path: str, name: str) -> str | None:
    """Return a variable of an environment file, or None where there is neither."""
    found = env_file.read(path)
    return found["values"].get(name) if found else None


def strangers(params: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Ask without a key and with a wrong one, and return how that was taken."""
    taken = []
    for name, key in (("none", None), ("wrong", "sk-this-is-nobodys-key")):
        try:
            result = EndpointCheck({**params, "api_key": key, "expect": "refusal", "timeout": min(params["timeout"], 30)}).run()
            taken.append({"key": name, "refused": True, "status": result["status"], "reason": result["reason"]})
        except CheckError as error:
            taken.append({"key": name, "refused": False, "status": error.facts.get("status"), "reason": str(error)})
    return taken


def ask(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Ask as the options of ``llm_endpoint_check`` say, and return its result.

    :raises CheckError: when what comes back is not what is expected, or strangers are not refused.
    """
    params = dict(params)
    if params["env_file"]:
        params["api_key"] = key_of(params["env_file"], params["env_name"])
    told = {"strangers": strangers(params)} if params["strangers"] else {}
    try:
        result = {**EndpointCheck(params).run(), **told}
    except CheckError as error:
        raise CheckError("%s: %s" % (params["model"], error), **{**told, **error.facts}) from error
    if not all(one["refused"] for one in told.get("strangers", [])):
        raise CheckError("%s: the server does not refuse strangers" % params["model"], **result)
    return result
