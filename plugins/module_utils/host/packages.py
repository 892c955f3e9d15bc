# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of installed packages."""

from __future__ import annotations

import typing as t

from . import Host


def parse_packages(text: str) -> dict[str, dict[str, t.Any]]:
    """Parse lines of name, version, status and wanted state, with tabs between them, as dpkg and rpm are asked for them."""
    rows = [(line.split("\t") + [""] * 4)[:4] for line in text.splitlines()]
    return {name: {"version": version, "held": wanted == "hold"} for name, version, status, wanted in rows if status == "installed"}


def packages(host: Host, names: list[str]) -> dict[str, dict[str, t.Any]]:
    """Return version and hold of those of the packages that are installed, by name."""
    dpkg, rpm = host.find("dpkg-query"), host.find("rpm")
    if names and dpkg:
        fields = "${Package}\\t${Version}\\t${db:Status-Status}\\t${db:Status-Want}\\n"
        return parse_packages(host.run(dpkg, "--show", "--showformat", fields, *names)[1])
    if names and rpm:
        return parse_packages(host.run(rpm, "-q", "--queryformat", "%{NAME}\\t%{VERSION}-%{RELEASE}\\tinstalled\\n", *names)[1])
    return {}
