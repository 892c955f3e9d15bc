# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an address, with the standard library alone: Ansible's own helper takes a module longer to import than a gateway to answer."""

from __future__ import annotations

import base64
import ssl
import typing as t
import urllib.parse
import urllib.request


def opened(
    url: str,
    method: str = "GET",
    data: bytes | None = None,
    headers: t.Mapping[str, str] | None = None,
    timeout: float = 10,
    use_proxy: bool = True,
    validate_certs: bool = True,
) -> t.Any:
    """Send a request, and return the open answer.

    :arg url: its address, which may have a user and a password in it.
    :arg timeout: seconds without a byte after which it is given up.
    :arg use_proxy: whether the proxy of the environment is asked, where there is one.
    :raises HTTPError: for a status of 400 and above.
    :raises OSError: where there is no answer; URLError is one.
    """
    parts = urllib.parse.urlsplit(url)
    user, at, address = parts.netloc.rpartition("@")
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(None if use_proxy else {})]
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if not validate_certs:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        handlers.append(urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(parts._replace(netloc=address).geturl(), data, dict(headers or {}), method=method)
    if at and not request.has_header("Authorization"):
        # For this address alone: where it redirects to is another's.
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(urllib.parse.unquote(user).encode()).decode())
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout)
