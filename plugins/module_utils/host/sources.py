# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the addresses that a host fetches from can be reached."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from . import Host


def failure(error: Exception) -> tuple[str, str]:
    """Return the reason and the words for an error of a request."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, (ssl.SSLCertVerificationError, ssl.CertificateError)):
        return "certificate", getattr(cause, "verify_message", "") or str(cause)
    if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
        return "plain", "it speaks plain HTTP"
    if isinstance(cause, socket.gaierror):
        return "name", str(cause)
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return "timeout", "no answer in time"
    if "Tunnel connection failed" in str(cause):
        return "proxy", str(cause)
    return "connection", str(cause)


class Sources:
    """A way to the addresses that a host fetches from."""

    def __init__(self, timeout: int, proxy: str | None, no_proxy: list[str], ca_pem: str | None) -> None:
        self.timeout, self.no_proxy = timeout, no_proxy
        self.networks = []
        for name in no_proxy:
            with contextlib.suppress(ValueError):
                self.networks.append(ipaddress.ip_network(name))
        context = ssl.create_default_context()
        # Docker and Ollama take authorities whose certificate lacks what Python has begun to ask for in 3.13.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
        https = urllib.request.HTTPSHandler(context=context)
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
        self.proxied = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}), https)

    def is_direct(self, url: str) -> bool:
        """Whether an address is one of ``no_proxy``: the host itself, or one of a domain (``.example.com``)."""
        parts = urllib.parse.urlsplit(url)
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(parts.hostname or "")
            if any(address in network for network in self.networks):
                return True
        names = {parts.hostname or "", "%s:%s" % (parts.hostname, parts.port)}
        return any(name in names or (parts.hostname or "").endswith("." + name.lstrip(".")) for name in self.no_proxy)

    def ask(self, url: str) -> dict[str, t.Any]:
        """Ask one address. Any status below 500 is an answer: a registry says 401 to strangers."""
        opener = self.direct if self.is_direct(url) else self.proxied
        url = re.sub(r"(?<=://)[^/@]*@", "", url)  # a user and password, which are not told
        try:
            with opener.open(urllib.request.Request(url, method="GET"), timeout=self.timeout) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except (OSError, ValueError) as error:
            reason, detail = failure(error)
            return {"url": url, "ok": False, "reason": reason, "detail": detail}
        except Exception as error:  # pylint: disable=broad-except  # http.client's own errors share no base with OSError
            return {"url": url, "ok": False, "reason": "server", "detail": str(error) or type(error).__name__}
        if status == 407:
            return {"url": url, "ok": False, "reason": "proxy", "detail": "the proxy wants a password (HTTP 407)"}
        ok = status < 500
        return {"url": url, "ok": ok, "reason": None if ok else "server", "detail": "HTTP %d" % status}


def package_sources(host: Host) -> list[str]:
    """Return the addresses at which the host's APT would look for new lists."""
    apt = host.find("apt-get")
    _status, proxies, _err = host.run("apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy") if apt else (0, "", "")
    if not apt or '"http' in proxies:
        return []  # whatever is tried here would be tried without the proxy that APT has of its own
    _status, out, _err = host.run(apt, "update", "--print-uris")
    return sorted(set(re.findall(r"^'(https?://[^']+/InRelease)'", out, re.MULTILINE)))
