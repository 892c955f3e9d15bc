#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: llm_endpoint_check
short_description: Ask a model a real question through an OpenAI-compatible address
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Sends one chat question, or one text to embed, to an OpenAI-compatible address, and reports the answer and how fast
    it came.
  - Or asks the same and demands to be refused, to prove that the address is not open to everyone.
  - Fails when what came back is not what was expected, with the HTTP status and the server's own words.
options:
  url:
    description:
      - Base address, with the version, such as V(http://127.0.0.1:4444/v1).
    type: str
    required: true
  api_key:
    description:
      - Key to send. None is sent when this is not set.
    type: str
  env_file:
    description:
      - Environment file on the target to take the key from, so that it never leaves the target. Without a key in it none is sent.
    type: path
  env_name:
    description:
      - Name of the variable in O(env_file).
    type: str
    default: LITELLM_MASTER_KEY
  strangers:
    description:
      - Ask the same without a key and with a wrong one, too, and fail unless both are refused as with O(expect=refusal).
    type: bool
    default: false
  model:
    description:
      - Name of the model, as the server lists it.
    type: str
    required: true
  mode:
    description:
      - V(chat) asks O(prompt) and reads the answer as a stream. V(embedding) has O(prompt) embedded.
    type: str
    choices: [chat, embedding]
    default: chat
  prompt:
    description:
      - The question, or the text to embed.
    type: str
    default: Say in one sentence that you work.
  max_tokens:
    description:
      - The most tokens an answer may have, thinking included. A model that thinks before it speaks needs some hundred.
    type: int
    default: 1024
  expect:
    description:
      - V(answer) fails when there is none.
      - V(refusal) fails unless the server answers 401 or 403, or 400 because it has no database to look the key up in,
        which is what LiteLLM says without one. Any other 400, such as for an unknown model, is no refusal.
    type: str
    choices: [answer, refusal]
    default: answer
  timeout:
    description:
      - Seconds without a byte after which the question is given up. Loading a large model takes its time.
    type: int
    default: 300
  use_proxy:
    description:
      - Whether a proxy that the target's environment names is used. With V(false), key and question go to O(url) and to
        nobody else.
    type: bool
    default: true
  validate_certs:
    description:
      - Whether the certificate of an HTTPS address is checked.
    type: bool
    default: true
attributes:
  check_mode:
    description: Asks in check mode too, because asking changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Any with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Does the gateway answer?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    api_key: "{{ gateway_key }}"
    model: tinyllama
  register: check

- name: Show the answer
  ansible.builtin.debug:
    msg: "{{ check.answer }} ({{ check.tokens_per_second }} tokens/s)"

- name: Does it embed?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    api_key: "{{ gateway_key }}"
    model: bge-m3
    mode: embedding

- name: Does it answer to the key in a file, and to nobody else?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    env_file: /opt/local_llm/.env
    model: tinyllama
    strangers: true

- name: Is it closed to those without a key?
  local_llm.fleet.llm_endpoint_check:
    url: http://127.0.0.1:4444/v1
    model: tinyllama
    expect: refusal
"""

RETURN = r"""
status:
  description: HTTP status of the answer.
  returned: when the server answered
  type: int
  sample: 200
strangers:
  description: How the server took those without a key and with a wrong one.
  returned: O(strangers=true)
  type: list
  elements: dict
  contains:
    key:
      description: V(none) or V(wrong).
      type: str
      sample: wrong
    refused:
      description: Whether it refused.
      type: bool
      sample: true
    status:
      description: HTTP status of the answer. V(none) without one.
      type: int
      sample: 401
    reason:
      description: The server's own words, or what went wrong.
      type: str
      sample: Authentication Error
answer:
  description: What the model said.
  returned: O(mode=chat) and O(expect=answer)
  type: str
  sample: I work.
seconds:
  description: Seconds from the request to the last byte.
  returned: when the server answered
  type: float
  sample: 1.84
time_to_first_token:
  description: Seconds from the request to the first token, thinking included.
  returned: O(mode=chat) and O(expect=answer)
  type: float
  sample: 0.21
tokens:
  description: Tokens of the answer, by the server's own count where it gives one, else the number of pieces it came in.
  returned: O(mode=chat) and O(expect=answer)
  type: int
  sample: 42
tokens_per_second:
  description: Tokens after the first, by the seconds they took. V(none) for an answer of one token.
  returned: O(mode=chat) and O(expect=answer)
  type: float
  sample: 25.1
dimensions:
  description: Length of the embedding.
  returned: O(mode=embedding) and O(expect=answer)
  type: int
  sample: 1024
reason:
  description: The server's own words when it refused.
  returned: O(expect=refusal)
  type: str
  sample: No api key passed in.
"""

import json
import time
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_errors import one_line

# LiteLLM's error type for a key that it cannot look up.
NO_DATABASE = "no_db_connection"


class CheckError(Exception):
    """What came back is not what was expected."""

    def __init__(self, message: str, **facts) -> None:
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
            return json.loads(body)["error"]["type"] == NO_DATABASE
        except (ValueError, KeyError, TypeError):
            return False
    return status in (401, 403)


def read_chat(lines, started: float, clock=time.monotonic) -> dict:
    """Read a stream of server-sent events into the module's result.

    :arg lines: an iterable of bytes, one line each.
    :arg started: the clock's time when the request was sent.
    :raises CheckError: on an error event, on a stream that breaks off, and when the model said nothing, or only thought.
    """
    said, pieces, first, last, counted, ended = [], 0, None, None, None, False
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
        counted = (event.get("usage") or {}).get("completion_tokens") or counted
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

    def __init__(self, params: dict) -> None:
        self.params = params

    def request(self):
        chat = self.params["mode"] == "chat"
        body = {"model": self.params["model"]}
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
        return open_url(
            self.params["url"].rstrip("/") + ("/chat/completions" if chat else "/embeddings"),
            method="POST",
            data=json.dumps(body).encode(),
            headers=headers,
            timeout=self.params["timeout"],
            use_proxy=self.params["use_proxy"],
            validate_certs=self.params["validate_certs"],
        )

    def run(self) -> dict:
        """Ask, and return the module's result."""
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
        except (URLError, OSError, HTTPException) as error:
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


def strangers(params: dict) -> list[dict]:
    """Ask without a key and with a wrong one, and return how that was taken."""
    taken = []
    for name, key in (("none", None), ("wrong", "sk-this-is-nobodys-key")):
        try:
            result = EndpointCheck({**params, "api_key": key, "expect": "refusal", "timeout": min(params["timeout"], 30)}).run()
            taken.append({"key": name, "refused": True, "status": result["status"], "reason": result["reason"]})
        except CheckError as error:
            taken.append({"key": name, "refused": False, "status": error.facts.get("status"), "reason": str(error)})
    return taken


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "api_key": {"type": "str", "no_log": True},
            "env_file": {"type": "path"},
            "env_name": {"type": "str", "default": "LITELLM_MASTER_KEY"},
            "strangers": {"type": "bool", "default": False},
            "model": {"type": "str", "required": True},
            "mode": {"type": "str", "choices": ["chat", "embedding"], "default": "chat"},
            "prompt": {"type": "str", "default": "Say in one sentence that you work."},
            "max_tokens": {"type": "int", "default": 1024, "no_log": False},
            "expect": {"type": "str", "choices": ["answer", "refusal"], "default": "answer"},
            "timeout": {"type": "int", "default": 300},
            "use_proxy": {"type": "bool", "default": True},
            "validate_certs": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("api_key", "env_file")],
        supports_check_mode=True,
    )
    params = dict(module.params)
    if params["env_file"]:
        params["api_key"] = key_of(params["env_file"], params["env_name"])
    told = {"strangers": strangers(params)} if params["strangers"] else {}
    try:
        result = {**EndpointCheck(params).run(), **told}
        if not all(one["refused"] for one in told.get("strangers", [])):
            raise CheckError("the server does not refuse strangers", **result)
        module.exit_json(changed=False, **result)
    except CheckError as error:
        module.fail_json(msg="%s: %s" % (module.params["model"], error), **{**told, **error.facts})


if __name__ == "__main__":
    main()
