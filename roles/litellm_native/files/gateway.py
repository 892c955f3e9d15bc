# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role litellm_native asks a host. It reaches the host's Python by standard input, so that nothing has to be copied.

    state DIR USER ADDRESS PORT FILE...      what there is; changes nothing
    wait DIR USER ADDRESS PORT SECONDS ENV   until the gateway answers, or has ended, or the time is over

The answer is one line of JSON. Runs with Python 3.6 or newer, because it has to say that a Python is too old.
"""

import errno
import hashlib
import json
import os
import pwd
import re
import socket
import subprocess
import sys
import time
import urllib.request

UNIT = "local-llm-gateway.service"
LABEL = "local-llm.gateway"
MAC = sys.platform == "darwin"
LINES = 10
SECRET = (".env", "environment")
# A statement of an environment file: its value in single quotes, in double ones, or without.
VALUE = re.compile(r"""^[^=:\n#]*[=:][ \t]*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\n]*))""", re.MULTILINE | re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where an address of all is reached from the host itself)


def output(*command):
    """Return what a command prints, and nothing where there is no such command."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, env=dict(os.environ, LC_ALL="C"))
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace")


def assignments(text):
    """Return the lines NAME=value of a text; the first of a name counts."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name.strip(), value.strip())
    return found


def secrets(text):
    """Return the lines of all values of an environment file, as Compose reads them, and systemd, which leaves $$ alone. A name that
    stands twice has two: all are secret. What is short is left out, because it would be found in every text."""
    found = set()
    for single, double, plain in VALUE.findall(text):
        value = single.replace("\\'", "'") or plain.partition(" #")[0]
        value = re.sub(r"\\([abfnrtv$\"\\])", lambda match: ESCAPES.get(match.group(1), match.group(1)), double) or value
        for line in value.split("\n"):
            found.update((line.strip(), line.replace("$$", "$").strip()))
    return [value for value in found if len(value) > 7]


def number(text):
    return int(text) if re.match(r"^[0-9]+$", text or "") else 0


def systemd_service(text, now, monotonic):
    """Return a service's state from what `systemctl show` prints. Its start is in seconds since 1970, None where it does not run."""
    shown = assignments(text)
    pid, started = number(shown.get("MainPID")), number(shown.get("ExecMainStartTimestampMonotonic"))
    return {
        "active": shown.get("ActiveState") == "active" and pid > 0,
        "ended": shown.get("ActiveState") in ("failed", "inactive") or number(shown.get("NRestarts")) > 0,
        "enabled": shown.get("UnitFileState") == "enabled",
        "pid": pid,
        "started": now - (monotonic - started / 1e6) if pid and started else None,
    }


def launchd_service(text, started_text):
    """Return a service's state from what `launchctl print` and `ps -o lstart=` print."""
    shown = assignments(text)
    pid = number(shown.get("pid"))
    try:
        started = time.mktime(time.strptime(" ".join(started_text.split()), "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        started = None
    return {
        "active": shown.get("state") == "running" and pid > 0,
        "ended": number(shown.get("runs")) > 1 and number(shown.get("last exit code")) > 0,
        "enabled": bool(shown),
        "pid": pid,
        "started": started if pid else None,
    }


def service():
    if MAC:
        text = output("launchctl", "print", "system/" + LABEL)
        return launchd_service(text, output("ps", "-o", "lstart=", "-p", assignments(text).get("pid", "0")))
    names = "ActiveState,MainPID,NRestarts,UnitFileState,ExecMainStartTimestampMonotonic"
    return systemd_service(output("systemctl", "show", "--property", names, UNIT), time.time(), time.monotonic())


def listening(text, port):
    """Return (uid, inode) of each socket that listens on a port, from the text of /proc/net/tcp."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            found.append((int(fields[7]), fields[9]))
    return found


def owners(port):
    """Return (uid, name) of each process that listens on a port."""
    if MAC:
        found, name = [], ""
        for line in output("lsof", "-nP", "-iTCP:%d" % port, "-sTCP:LISTEN", "-Fpcu").splitlines():
            if line.startswith("p"):
                name = line[1:]
            elif line.startswith("c"):
                name = "%s (process %s)" % (line[1:], name)
            elif line.startswith("u"):
                found.append((number(line[1:]), name))
        return found
    sockets = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as stream:
                sockets += listening(stream.read(), port)
        except OSError:
            pass
    return [(uid, process(inode)) for uid, inode in sockets]


def process(inode):
    """Return the name of the process that holds a socket."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for entry in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, entry)) == "socket:[%s]" % inode:
                    with open("/proc/%s/comm" % pid) as stream:
                        return "%s (process %s)" % (stream.read().strip(), pid)
        except OSError:
            continue
    return "another program"


def door(address, port, uid):
    """Return whether an address is free, ours, taken or not of this host, and who has it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            # Some systems say only now that it is taken.
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return {"state": "no_address", "owner": ""}
            if error.errno != errno.EADDRINUSE:
                return {"state": "free", "owner": ""}
        else:
            return {"state": "free", "owner": ""}
    found = owners(port)
    if found and all(one == uid for one, _name in found):
        return {"state": "ours", "owner": ""}
    return {"state": "taken", "owner": next((name for one, name in found if one != uid), "another program")}


def alive(address, port, seconds=5):
    """Return why the gateway does not answer, or nothing where it does."""
    host = ANY.get(address, address)
    url = "http://%s:%d/health/liveliness" % ("[%s]" % host if ":" in host else host, port)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(url, timeout=seconds).close()
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def account(name):
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return {"uid": entry.pw_uid, "shell": entry.pw_shell, "comment": entry.pw_gecos}


def link(path):
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else ""


def look(path):
    """Return what a path is. The text of a file that everybody may read is told, so that it can be put back."""
    try:
        there = os.lstat(path)
    except OSError:
        return None
    try:
        owner = pwd.getpwuid(there.st_uid).pw_name
    except KeyError:
        owner = str(there.st_uid)
    found = {"mode": "%04o" % (there.st_mode & 0o7777), "owner": owner, "changed": there.st_mtime, "sha256": "", "text": ""}
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            content = stream.read()
        found["sha256"] = hashlib.sha256(content).hexdigest()
        if there.st_mode & 0o004 and not os.path.basename(path).startswith(SECRET):
            found["text"] = content.decode("utf-8", "replace")
    return found


def state(folder, user, address, port, *paths):
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401

        can_venv = True
    except ImportError:
        can_venv = False
    versions = os.path.join(folder, "versions")
    names = sorted(os.listdir(versions)) if os.path.isdir(versions) else []
    files = {path: look(path) for path in paths}
    there, now = account(user), service()
    changes = [found["changed"] for found in files.values() if found and found["sha256"]]
    if os.path.islink(os.path.join(folder, "current")):
        changes.append(os.lstat(os.path.join(folder, "current")).st_mtime)
    return {
        "python": list(sys.version_info[:3]),
        "venv": can_venv,
        "user": there,
        "versions": names,
        "complete": [name for name in names if os.path.exists(os.path.join(versions, name, "complete"))],
        "current": link(os.path.join(folder, "current")),
        "former": link(os.path.join(folder, "former")),
        "files": files,
        "service": now,
        # What it was started with may be older than what lies there now.
        "stale": now["started"] is not None and max(changes or [0]) > now["started"],
        "answers": now["active"] and not alive(address, int(port)),
        "port": door(address, int(port), there["uid"] if there else -1),
    }


def last_lines(folder, values, since):
    """Return the last lines that the gateway has logged since it was started, without the secrets."""
    if MAC:
        text = output("tail", "-n", "400", os.path.join(folder, "log", "gateway.log"))
    else:
        # The start came a little before it was waited for, and before the start the old one's last words.
        text = output("journalctl", "--unit", UNIT, "--no-pager", "--quiet", "--output", "cat", "--since", "@%d" % (since - 10))
        text = text.partition("Starting %s" % UNIT)[2] or text
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.rstrip()[:300] for line in text.splitlines() if line.strip() and not line.startswith(" - ")]
    # systemd's own lines say less than the gateway's.
    said = [line for line in lines if not re.match(r"^((Started|Starting|Stopped|Stopping) )?%s" % re.escape(UNIT), line)]
    return (said or lines)[-LINES:]


def wait(folder, user, address, port, seconds, environment):
    started, since = time.monotonic(), time.time()
    why = "it has not been asked"
    uid = (account(user) or {"uid": -1})["uid"]
    while time.monotonic() - started < int(seconds):
        now = service()
        if now["ended"]:
            why = "it has ended"
            break
        # The answer must be its own, and not that of another program on the same port.
        why = alive(address, int(port)) if now["active"] else "it does not run"
        if not why and door(address, int(port), uid)["state"] == "ours":
            return {"ok": True, "seconds": round(time.monotonic() - started, 1), "why": "", "lines": []}
        time.sleep(0.5)
    try:
        with open(environment, encoding="utf-8", errors="replace", newline="") as stream:
            values = secrets(stream.read())
    except OSError:
        values = []
    lines = last_lines(folder, values, since)
    return {"ok": False, "seconds": round(time.monotonic() - started, 1), "why": why, "lines": lines}


if __name__ == "__main__":
    print(json.dumps({"state": state, "wait": wait}[sys.argv[1]](*sys.argv[2:])))
