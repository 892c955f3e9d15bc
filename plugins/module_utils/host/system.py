# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the operating system is, and which package tool it has."""

from __future__ import annotations

import re
import shlex

from . import Host

# The first of them that is there; a host of one family may have another's tool, but not the one that manages its packages.
PACKAGE_TOOLS = (("apt-get", "apt"), ("dnf", "dnf"), ("zypper", "zypper"), ("pacman", "pacman"), ("yum", "yum"))


def parse_os_release(text: str) -> dict[str, str]:
    """Return the values of an os-release file by name.

    The format is that of os-release(5): ``NAME=value`` a line, quoted as for a shell, and nothing is expanded.
    A line that a shell would not take is left out.
    """
    found = {}
    for line in text.splitlines():
        match = re.match(r"^\s*([A-Z][A-Z0-9_]*)=(.*)$", line)
        if match:
            try:
                words = shlex.split(match.group(2), comments=True)
            except ValueError:
                continue
            found[match.group(1)] = words[0] if words else ""
    return found


def package_tool(host: Host, fields: dict[str, str] | None = None) -> str:
    """Return the tool that manages the host's packages: ``apt``, ``dnf``, ``zypper``, ``pacman``, ``yum``, or nothing.

    :arg fields: the values of os-release. Fedora and the RHEL family have a package of apt, which manages nothing there.
    """
    fields = fields or {}
    names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    first = [one for one in PACKAGE_TOOLS if one[1] == "dnf"] if {"fedora", "rhel", "ol"} & set(names) else []
    return next((name for tool, name in [*first, *PACKAGE_TOOLS] if host.find(tool)), "")


def read(host: Host) -> dict[str, str]:
    """Read what the operating system says of itself.

    :returns: ``id``, ``like``, ``version``, ``codename``, ``platform`` as os-release has them; ``base_codename``, the
        release of Ubuntu or Debian that a derivative is made of; ``name``, for messages; ``package_tool``.
    """
    text = host.text("/etc/os-release")
    fields = parse_os_release(text if text is not None else host.text("/usr/lib/os-release") or "")
    return {
        "id": fields.get("ID", ""),
        "like": fields.get("ID_LIKE", ""),
        "version": fields.get("VERSION_ID", ""),
        "codename": fields.get("VERSION_CODENAME", ""),
        "base_codename": fields.get("UBUNTU_CODENAME", "") or fields.get("DEBIAN_CODENAME", ""),
        "platform": fields.get("PLATFORM_ID", ""),
        "name": " ".join(word for word in (fields.get("NAME", "").replace(" GNU/Linux", ""), fields.get("VERSION_ID", "")) if word),
        "package_tool": package_tool(host, fields),
    }
