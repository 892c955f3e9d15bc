# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading
from urllib.error import HTTPError

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.web import opened


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "elsewhere" in self.path:
            self.send_response(302)
            self.send_header("Location", "/there")
            self.end_headers()
            return
        self.send_response(404 if "missing" in self.path else 200)
        self.end_headers()
        self.wfile.write(f"{self.command} {self.path} {self.headers.get('Authorization')}".encode())

    do_POST = do_GET

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def address():
    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "127.0.0.1:%d" % server.server_address[1]
    server.shutdown()


def test_a_request_with_a_user_and_one_without(address):
    with opened(f"http://me:p%40ss@{address}/a") as answer:
        assert answer.read() == b"GET /a Basic bWU6cEBzcw=="
    with opened(f"http://{address}/b", method="POST", data=b"x", headers={"Authorization": "Bearer k"}) as answer:
        assert (answer.getcode(), answer.read()) == (200, b"POST /b Bearer k")
    with opened(f"http://me:p@{address}/c", headers={"Authorization": "Bearer k"}) as answer:
        assert answer.read() == b"GET /c Bearer k"
    # Another host may be there.
    with opened(f"http://me:p@{address}/elsewhere") as answer:
        assert answer.read() == b"GET /there None"
    with pytest.raises(HTTPError):
        opened(f"http://{address}/missing")


def test_a_proxy_is_asked_where_it_is_wanted(address, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{address}")
    monkeypatch.delenv("no_proxy", raising=False)
    with opened("http://nobody.invalid/c") as answer:
        assert answer.read().startswith(b"GET http://nobody.invalid/c")
    with pytest.raises(OSError):
        opened("http://nobody.invalid/c", use_proxy=False)


@pytest.mark.parametrize("validate_certs", [True, False])
def test_https_where_there_is_none(address, validate_certs):
    with pytest.raises(OSError):
        opened(f"https://{address}/", validate_certs=validate_certs, timeout=5)
