# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""litellm_key against a server that keeps keys as LiteLLM's endpoints describe it. No real one with a database could be had."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import urllib.parse

import pytest
from ansible_collections.local_llm.fleet.plugins.modules import litellm_key

MASTER = "sk-master-of-the-gateway"
KEY = "sk-key-of-the-client"


class Keeper(http.server.BaseHTTPRequestHandler):
    """/key/info, /key/generate, /key/update and /key/delete of LiteLLM 1.103."""

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def allowed(self):
        self.server.asked.append(self.path.split("?")[0])
        if self.server.refusal:
            self.answer(*self.server.refusal)
        return not self.server.refusal

    def do_GET(self):
        if not self.allowed():
            return
        assert KEY not in self.path
        token = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["key"][0]
        row = self.server.rows.get(token)
        if row is None:
            self.answer(404, {"error": {"message": "Key not found in database", "type": "not_found_error", "param": "key", "code": "404"}})
        else:
            self.answer(200, {"key": token, "info": row})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"] == "Bearer " + MASTER
        if not self.allowed():
            return
        if self.path == "/key/delete" and "key_aliases" in body:
            named = [row for row in self.server.rows.values() if row["key_alias"] in body["key_aliases"] and row["status"] == "active"]
            if not named:
                self.answer(404, {"error": {"message": "Keys not found", "code": "404"}})
                return
            for row in named:
                row["status"] = "deleted"
        elif self.path == "/key/delete":
            for key in body["keys"]:
                self.server.rows[hashlib.sha256(key.encode()).hexdigest()]["status"] = "deleted"
        else:
            token = hashlib.sha256(body.pop("key").encode()).hexdigest()
            assert (self.path == "/key/update") == (token in self.server.rows and self.server.rows[token]["status"] == "active")
            self.server.rows[token] = {"spend": 0.0, "status": "active", **body}
        self.answer(200, {})

    def log_message(self, *args):
        pass


@pytest.fixture
def keeper():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper) as server:
        server.rows, server.asked, server.refusal = {}, [], None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def manage(keeper, check=False, **settings):
    gateway = litellm_key.Gateway("http://127.0.0.1:%d/v1" % keeper.server_address[1], MASTER, 5)
    entry = {"alias": "continue", "key": KEY, "state": "present", "models": [], **dict.fromkeys(litellm_key.FIELDS[1:]), **settings}
    return litellm_key.manage(gateway, entry, check)


def test_made_once_changed_and_removed(keeper):
    settings = {"models": ["tinyllama", "bge-m3"], "rpm_limit": 60}
    assert manage(keeper, check=True, **settings)[0] == "made"
    assert keeper.rows == {}
    assert manage(keeper, **settings)[0] == "made"
    assert manage(keeper, **settings)[0] == "none"
    assert manage(keeper, models=["bge-m3", "tinyllama"], rpm_limit=60)[0] == "none"
    action, before, after = manage(keeper, models=["bge-m3"])
    assert (action, before["rpm_limit"], after["rpm_limit"]) == ("changed", 60, None)
    assert KEY not in json.dumps([before, after])
    assert manage(keeper, state="absent", check=True)[0] == "removed"
    assert manage(keeper, state="absent")[0] == "removed"
    assert manage(keeper, state="absent")[0] == "none"
    assert manage(keeper)[0] == "made"


def test_a_key_that_was_lost_gives_its_name_back(keeper):
    manage(keeper)
    assert manage(keeper, key="sk-another-key-of-the-client")[0] == "made"
    assert [row["status"] for row in keeper.rows.values()] == ["deleted", "active"]


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ((400, {"error": {"message": "No connected db.", "type": "no_db_connection"}}), "No connected db. - keys need LiteLLM's database"),
        ((500, {"error": {"message": "Database not connected. Connect a database to your proxy"}}), "is db in llm_stack_services?"),
        ((401, {"error": {"message": "Authentication Error"}}), "answered 401: Authentication Error"),
        ((400, {"detail": {"error": "Unique key aliases across all keys are required."}}), "answered 400: Unique key aliases"),
        ((422, {"detail": "no"}), "answered 422: no"),
    ],
)
def test_refusals_in_one_line(keeper, refusal, says):
    keeper.refusal = refusal
    with pytest.raises(litellm_key.GatewayError) as raised:
        manage(keeper)
    assert says in str(raised.value) and "\n" not in str(raised.value)
    assert MASTER not in str(raised.value) and KEY not in str(raised.value)


def test_nobody_there():
    gateway = litellm_key.Gateway("http://127.0.0.1:1", MASTER, 5)
    with pytest.raises(litellm_key.GatewayError, match="http://127.0.0.1:1: .*refused"):
        gateway.read(KEY)


def test_keys_are_taken_from_the_environment_file(keeper, tmp_path, run_module):
    asked = []

    def run(keys):
        asked.append(keys)
        return run_module(litellm_key.main, {"url": url, "env_file": str(tmp_path / ".env"), "keys": keys})

    (tmp_path / ".env").write_text("LITELLM_MASTER_KEY=%s\nCLIENT_KEY_A=%s\n" % (MASTER, KEY))
    url = "http://127.0.0.1:%d" % keeper.server_address[1]
    said = run([{"alias": "a", "variable": "CLIENT_KEY_A"}])
    assert said["keys"] == [{"alias": "a", "action": "made"}] and KEY not in json.dumps(said) + json.dumps(asked[0])
    assert list(keeper.rows) == [hashlib.sha256(KEY.encode()).hexdigest()]
    said = run([{"alias": "b", "variable": "CLIENT_KEY_B"}])
    assert said["failed"] and said["msg"].startswith("the key of b must begin with sk-")
    (tmp_path / ".env").write_text("")
    said = run([])
    assert said["msg"].endswith(".env has no LITELLM_MASTER_KEY")
