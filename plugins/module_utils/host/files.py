# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, folders, units and disks of the host, as far as they can be told without their secrets."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import typing as t

from . import Host


def checksum(path: str) -> str:
    """Return the SHA-256 of a file, or nothing where it cannot be read."""
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
    return ""


def mode_of(path: str) -> dict[str, str]:
    """Return mode and owner of a file or folder."""
    status = os.stat(path)
    return {"mode": "%04o" % (status.st_mode & 0o7777), "owner": owner_name(status.st_uid)}


def owner_name(number: int) -> str:
    """Return a user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def disk(path: str) -> dict[str, t.Any]:
    """Measure the file system of a folder, and return its mode and owner; one that does not exist yet stands for the nearest above it
    that does, and has neither."""
    above = path = os.path.abspath(path)
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    found = os.statvfs(above)
    return {
        "path": path,
        "exists": above == path,
        "free_mib": found.f_bavail * found.f_frsize // 2**20,
        "total_mib": found.f_blocks * found.f_frsize // 2**20,
        **(mode_of(path) if above == path else {"mode": "", "owner": ""}),
    }


def files(host: Host, folder: str) -> dict[str, dict[str, t.Any]]:
    """Return mode, owner and checksum of a project's files. The environment file's checksum would tell of its secrets."""
    found: dict[str, dict[str, t.Any]] = {}
    for name in host.names(folder):
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            continue
        found[name] = {**mode_of(path)}
        if not name.startswith(".env"):
            found[name]["sha256"] = checksum(path)
    return found


def units(host: Host, names: list[str]) -> dict[str, dict[str, t.Any]]:
    """Return the checksum of each unit's file in ``/etc/systemd/system``, and whether it is started with the host."""
    # One call for all; a unit that is not there has no state.
    shown = host.run("systemctl", "show", "--property=Id,UnitFileState", *names)[1] if names else ""
    enabled = set(re.findall(r"(?m)^Id=(.+)\nUnitFileState=enabled$", shown))
    found = {}
    for name in names:
        path = os.path.join("/etc/systemd/system", name)
        found[name] = {"sha256": checksum(path) if os.path.isfile(path) else "", "enabled": name in enabled}
    return found


def look(host: Host, paths: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
    """Return mode, owner, group, date and checksum of files and folders, by path; those that are not there are left out. A folder has no
    checksum, and neither has an environment file, whose checksum would tell of its secrets."""
    found: dict[str, dict[str, t.Any]] = {}
    for path in paths:
        try:
            status = os.lstat(host.path(path))
        except OSError:
            continue
        is_told = os.path.isfile(host.path(path)) and not os.path.basename(path).startswith(".env")
        found[path] = {
            "mode": "%04o" % (status.st_mode & 0o7777),
            "owner": owner_name(status.st_uid),
            "modified": status.st_mtime,
            "sha256": checksum(host.path(path)) if is_told else "",
        }
    return found


def account(name: str) -> dict[str, t.Any] | None:
    """Return number, shell and comment of a user; None where there is none of that name."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return {"uid": entry.pw_uid, "shell": entry.pw_shell, "comment": entry.pw_gecos}
