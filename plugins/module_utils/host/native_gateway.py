# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiteLLM without a container, as the host has it."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import socket
import time
import typing as t

from .. import env_file
from ..web import opened
from . import Host, whole
from .files import account, disk, look
from .sockets import EVERYWHERE, process_of

UNIT = "local-llm-gateway.service"
LABEL = "local-llm.gateway"
SNAPSHOT = ".before"  # of the role litellm_native, in its folder
LISTEN = "0A"  # the kernel's number for a listening socket
PYTHON = """
import json, sys
try:
    import ensurepip, venv
    can = True
except ImportError:
    can = False
print(json.dumps({"version": list(sys.version_info[:3]), "venv": can}))
"""
BUNDLES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")
PROPERTIES = "ActiveState,MainPID,NRestarts,UnitFileState,ExecMainStartTimestampMonotonic"
ANSWER_TIMEOUT = 5  # seconds
LINES = 10  # that are told of a gateway's log
# A statement of an environment file: its value in single quotes, in double ones, or without.
VALUE = re.compile(r"""^[^=:\n#]*[=:][ \t]*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\n]*))""", re.MULTILINE | re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Service(t.TypedDict):
    """How a service runs."""

    active: bool
    ended: bool  #: whether it has ended since it was started last
    enabled: bool  #: whether it is started with the host
    pid: int
    started: float | None  #: in seconds since 1970


def assignments(text: str) -> dict[str, str]:
    """Return the lines NAME=value of a text; the first of a name counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name.strip(), value.strip())
    return found


def systemd_service(text: str, now: float, monotonic: float) -> Service:
    """Return a service's state from what ``systemctl show`` prints.

    :arg now: seconds since 1970.
    :arg monotonic: seconds of the clock that systemd tells the start by.
    """
    shown = assignments(text)
    pid, started = whole(shown.get("MainPID")) or 0, whole(shown.get("ExecMainStartTimestampMonotonic")) or 0
    return {
        "active": shown.get("ActiveState") == "active" and pid > 0,
        "ended": shown.get("ActiveState") in ("failed", "inactive") or (whole(shown.get("NRestarts")) or 0) > 0,
        "enabled": shown.get("UnitFileState") == "enabled",
        "pid": pid,
        "started": now - (monotonic - started / 1e6) if pid and started else None,
    }


def launchd_service(text: str, started_text: str) -> Service:
    """Return a service's state from what ``launchctl print`` and ``ps -o lstart=`` print."""
    shown = assignments(text)
    pid = whole(shown.get("pid")) or 0
    started = None
    try:
        started = time.mktime(time.strptime(" ".join(started_text.split()), "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        started = None
    return {
        "active": shown.get("state") == "running" and pid > 0,
        "ended": (whole(shown.get("runs")) or 0) > 1 and (whole(shown.get("last exit code")) or 0) > 0,
        "enabled": bool(shown),
        "pid": pid,
        "started": started if pid else None,
    }


def service(host: Host, mac: bool) -> Service:
    """Return how the gateway's service runs."""
    if mac:
        text = host.run("launchctl", "print", "system/" + LABEL)[1]
        return launchd_service(text, host.run("ps", "-o", "lstart=", "-p", assignments(text).get("pid", "0"))[1])
    text = host.run("systemctl", "show", "--property", PROPERTIES, UNIT)[1]
    return systemd_service(text, time.time(), time.monotonic())


def listening(text: str, port: int) -> list[tuple[int, str]]:
    """Return (uid, inode) of each socket that listens on a port, from the text of ``/proc/net/tcp``."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
            found.append((int(fields[7]), fields[9]))
    return found


def owners(host: Host, port: int, mac: bool) -> list[tuple[int, str]]:
    """Return (uid, name) of each process that listens on a port."""
    if not mac:
        texts = [host.text("/proc/net/" + name) or "" for name in ("tcp", "tcp6")]
        return [(uid, process_of(host, {inode})) for text in texts for uid, inode in listening(text, port)]
    found, name = [], ""
    for line in host.run("lsof", "-nP", "-iTCP:%d" % port, "-sTCP:LISTEN", "-Fpcu")[1].splitlines():
        if line.startswith("p"):
            name = line[1:]
        elif line.startswith("c"):
            name = "%s (process %s)" % (line[1:], name)
        elif line.startswith("u"):
            found.append((whole(line[1:]) or 0, name))
    return found


def door(host: Host, address: str, port: int, uid: int, mac: bool) -> dict[str, str]:
    """Return whether an address is ``free``, ``ours``, ``taken`` or no address of this host, and who has it.

    :arg uid: the number of the gateway's user.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            # Some systems say only now that it is taken.
            probe.listen(1)
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
                return {"state": "no_address", "owner": ""}
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                return {"state": "free", "owner": ""}
        else:
            return {"state": "free", "owner": ""}
    found = owners(host, port, mac)
    if found and all(one == uid for one, _name in found):
        return {"state": "ours", "owner": ""}
    return {"state": "taken", "owner": next((name for one, name in found if one != uid), "another program")}


def alive(address: str, port: int) -> str:
    """Return why the gateway does not answer; empty where it does."""
    here = ("::1" if ":" in address else "127.0.0.1") if address in EVERYWHERE else address
    url = "http://%s:%d/health/liveliness" % ("[%s]" % here if ":" in here else here, port)
    try:
        opened(url, timeout=ANSWER_TIMEOUT, use_proxy=False).close()
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def python(host: Host, path: str) -> dict[str, t.Any] | None:
    """Return ``version`` of a Python, and whether it makes virtual environments (``venv``); None where there is none."""
    status, text, _errors = host.run(path, "-I", "-c", PYTHON)
    return dict(json.loads(text)) if status == 0 else None


def exported(text: str, values: t.Mapping[str, str]) -> dict[str, list[str]]:
    """Return the ``names`` that a file of ``export NAME=value`` sets, and which of them have ``other`` values than the environment file.

    :arg values: those of the environment file, by name.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        return {"names": [], "other": []}
    found = dict(word.split("=", 1) for word in words if "=" in word)
    return {"names": sorted(found), "other": sorted(name for name, value in found.items() if value != values.get(name))}


def authorities(host: Host, pem: str) -> bytes:
    """Return the host's own authorities with those of the site after them, as programs take them that know one file alone."""
    return next((host.data(path) for path in BUNDLES if host.data(path)), b"") + pem.encode()


def read(host: Host, params: dict[str, t.Any], mac: bool) -> dict[str, t.Any]:
    """Return what there is of a native gateway.

    :arg params: ``dir`` (the folder with its versions), ``python``, ``user``, ``address``, ``port``, ``files``, ``env_file``,
        ``ca_pem`` (the site's own authorities).
    :arg mac: whether the host runs macOS.
    """
    folder, versions = params["dir"], params["dir"] + "/versions"
    names = host.names(versions)
    files = look(host, [*params["files"], folder + "/authorities.pem"])
    if folder + "/environment" in files:
        files[folder + "/environment"]["sha256"] = ""  # it would tell of its secrets
    there, now = account(params["user"]), service(host, mac)
    changes = [one["modified"] for path, one in {**files, **look(host, [params["env_file"]])}.items() if os.path.isfile(host.path(path))]
    if os.path.islink(host.path(folder + "/current")):
        changes.append(os.lstat(host.path(folder + "/current")).st_mtime)
    values = (env_file.read(host.path(params["env_file"])) or {}).get("values") or {}
    pem = params["ca_pem"] or ""
    return {
        "python": python(host, params["python"]),
        "user": there,
        "versions": names,
        "complete": [name for name in names if host.exists("%s/%s/complete" % (versions, name))],
        "current": host.link(folder + "/current") or "",
        "former": host.link(folder + "/former") or "",
        "files": files,
        "disk": disk(host.path(folder)),
        "service": now,
        # What it was started with may be older than what lies there now.
        "stale": now["started"] is not None and max(changes or [0]) > now["started"],
        "answers": now["active"] and not alive(params["address"], params["port"]),
        "port": door(host, params["address"], params["port"], there["uid"] if there else -1, mac),
        "exported": exported(host.text(folder + "/environment") or "", values),
        "unfinished": host.exists(folder + "/" + SNAPSHOT),
        "authorities": not pem or host.data(folder + "/authorities.pem") == authorities(host, pem),
    }


def secrets(text: str) -> list[str]:
    """Return the lines of all values of an environment file, as Compose reads them, and systemd, which leaves ``$$`` alone. A name that
    stands twice has two: all are secret. What is short is left out, because it would be found in every text."""
    found: set[str] = set()
    for single, double, plain in VALUE.findall(text):
        value = single.replace("\\'", "'") or plain.partition(" #")[0]
        value = re.sub(r"\\([abfnrtv$\"\\])", lambda match: ESCAPES.get(match.group(1), match.group(1)), double) or value
        for line in value.split("\n"):
            found.update((line.strip(), line.replace("$$", "$").strip()))
    return [value for value in found if len(value) > 7]


def last_lines(host: Host, folder: str, values: t.Iterable[str], since: float, mac: bool) -> list[str]:
    """Return the last lines that the gateway has logged since it was started.

    :arg values: secrets, which are masked.
    :arg since: when it was started, in seconds since 1970.
    """
    if mac:
        text = host.run("tail", "-n", "400", folder + "/log/gateway.log")[1]
    else:
        # The start came a little before it was waited for, and before the start the old one's last words.
        text = host.run("journalctl", "--unit", UNIT, "--no-pager", "--quiet", "--output", "cat", "--since", "@%d" % (since - 10))[1]
        text = text.partition("Starting %s" % UNIT)[2] or text
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.rstrip()[:300] for line in text.splitlines() if line.strip() and not line.startswith(" - ")]
    # systemd's own lines say less than the gateway's.
    said = [line for line in lines if not re.match(r"^((Started|Starting|Stopped|Stopping) )?%s" % re.escape(UNIT), line)]
    return (said or lines)[-LINES:]


def wait(host: Host, params: dict[str, t.Any], mac: bool) -> dict[str, t.Any]:
    """Wait until the gateway answers, or has ended, or the time is over.

    :arg params: ``dir``, ``user``, ``address``, ``port``, ``timeout`` (seconds), ``env_file``.
    """
    started, since = time.monotonic(), time.time()
    why = "it has not been asked"
    uid = (account(params["user"]) or {"uid": -1})["uid"]
    while time.monotonic() - started < params["timeout"]:
        now = service(host, mac)
        if now["ended"]:
            why = "it has ended"
            break
        # The answer must be its own, and not that of another program on the same port.
        why = alive(params["address"], params["port"]) if now["active"] else "it does not run"
        if not why and door(host, params["address"], params["port"], uid, mac)["state"] == "ours":
            return {"ok": True, "seconds": round(time.monotonic() - started, 1), "why": "", "lines": []}
        time.sleep(0.5)
    hidden = secrets(host.data(params["env_file"]).decode("utf-8", "replace"))
    lines = last_lines(host, params["dir"], hidden, since, mac)
    return {"ok": False, "seconds": round(time.monotonic() - started, 1), "why": why, "lines": lines}
