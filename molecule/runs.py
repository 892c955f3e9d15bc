# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of playbooks over hosts of the lab, and looks at these hosts: what the tests of several scenarios share.

A test sets :attr:`Run.inventory` to its scenario's inventory first.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PROJECT = "/opt/local_llm"


def docker(*command, check=True, text=None):
    done = subprocess.run(["docker", *command], capture_output=True, text=True, check=False, input=text)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def sh(host, script, check=True, text=None):
    """Run a script on a host as root, and return what it prints."""
    return docker("exec", "-i", host, "sh", "-c", script, check=check, text=text)


class Run:
    """A run of a playbook in a process of its own."""

    inventory = ""

    def __init__(self, host, extra=None, playbook="site.yml", options=(), inventory=None):
        environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml", "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_DISPLAY_OK_HOSTS"] = "true"  # every task, to wait for
        for name in ("ANSIBLE_FORCE_COLOR", "PY_COLORS", "FORCE_COLOR", "ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_CONFIG"):
            environment.pop(name, None)
        command = [
            "ansible-playbook",
            "-i",
            inventory or self.inventory,
            "--limit",
            host,
            "-e",
            json.dumps(extra or {}),
            *options,
            playbook,
        ]
        self.process = subprocess.Popen(
            command, cwd=TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.text = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.text += line

    def wait_for(self, words, seconds=300):
        """Wait until the run has printed something."""
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def cut(self):
        """End it as a lost terminal or a power cut would: at once, with all it has started on this side."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        self.process.wait(timeout=1200)
        self.reader.join(timeout=10)
        print(self.text)
        return self

    @property
    def failed(self):
        return self.process.returncode != 0

    @property
    def changed(self):
        """The tasks that changed something, in their order."""
        parts = re.split(r"^TASK \[([^\]]*)\].*$", self.text, flags=re.M)
        return [name.split(" : ")[-1] for name, body in zip(parts[1::2], parts[2::2]) if re.search(r"^changed: \[", body, re.M)]

    @property
    def message(self):
        """What a person reads when it failed, in one line."""
        found = re.findall(r"^fatal: .*?^    msg: (.*?)(?=^    \w|^\S)", self.text, re.M | re.S)
        return " ".join(found[-1].split()) if found else ""


def run(host, extra=None, **options):
    return Run(host, extra, **options).end()


def refused(host, extra=None, **options):
    """Run, and return the message with which it was refused. Nothing may have changed."""
    done = run(host, extra, **options)
    assert done.failed and done.changed == [], done.changed
    assert "Traceback" not in done.text
    return done.message


def well(host, extra=None):
    """The host is as it should be: verified in full, and with nothing to do for a run."""
    assert not run(host, extra, playbook="playbooks/verify.yml").failed
    done = run(host, extra)
    assert (done.failed, done.changed) == (False, [])


def key(host):
    return re.search(r"^LITELLM_MASTER_KEY=(\S+)$", sh(host, f"cat {PROJECT}/.env"), re.M).group(1)


ASK = """
import json, sys, urllib.error, urllib.request
url, key, model = sys.argv[1:]
body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Do you work?"}]}).encode()
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
try:
    with urllib.request.urlopen(urllib.request.Request(url + "/v1/chat/completions", body, headers), timeout=60) as answer:
        print(json.load(answer)["choices"][0]["message"]["content"])
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except OSError as error:
    print(error)
"""


def ask(host, model="tinyllama", with_key=None):
    return docker("exec", "-i", host, "python3", "-c", ASK, "http://127.0.0.1:4444", with_key or key(host), model)


def until(check, seconds, what):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.5)
    return found


def reboot(host):
    docker("restart", host)
    until(lambda: "ready" in sh(host, "systemctl is-active ssh >/dev/null && echo ready", check=False), 60, "the host does not start")


def engine(host, path):
    script = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:11434{path}').read().decode())"
    answer = docker("exec", host, "python3", "-c", script, check=False)
    return json.loads(answer) if answer else {}
