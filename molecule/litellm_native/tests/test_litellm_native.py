# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway without Docker, on a real host. The tests stand in the order in which a host lives, and each leaves it well."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "molecule"))
import runs
from runs import PROJECT, docker, key, reboot, sh, until

HOST, SITE = "native-gw", "local-llm-lab-site"
PLAY = "molecule/litellm_native/converge.yml"
UNINSTALL, ROTATE = (PLAY.replace("converge", name) for name in ("uninstall", "rotate"))
NEW, OLD = "1.106.2", "1.104.2"
runs.Run.inventory = TOP / "molecule/litellm_native/inventory"


def run(extra=None, playbook=PLAY, **options):
    return runs.run(HOST, extra, playbook=playbook, **options)


def refused(extra=None, **options):
    return runs.refused(HOST, extra, playbook=PLAY, **options)


def well(extra=None):
    assert "tinyllama answers:" in runs.ask(HOST)
    done = run(extra)
    assert (done.failed, done.changed) == (False, [])


def versions():
    return [name.split("-")[0] for name in sh(HOST, "ls /opt/litellm/versions").split()]


def link(name):
    return sh(HOST, f"basename $(readlink /opt/litellm/{name})", check=False).split("-")[0].strip()


def show(*names):
    text = sh(HOST, "systemctl show local-llm-gateway -p " + ",".join(names))
    return dict(line.split("=", 1) for line in text.splitlines())


def wheel(folder, version, script):
    """Make a wheel of a LiteLLM whose program is a script of ours, and put it into the site's index for as long as a test takes."""
    name = f"litellm-{version}"
    path = folder / f"{name}-py3-none-any.whl"
    files = {
        "broken_litellm.py": script,
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\nProvides-Extra: proxy\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}.dist-info/entry_points.txt": "[console_scripts]\nlitellm = broken_litellm:main\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
        record = "".join(f"{inner},,\n" for inner in files) + f"{name}.dist-info/RECORD,,\n"
        archive.writestr(f"{name}.dist-info/RECORD", record)
    return path


@pytest.fixture
def broken(tmp_path):
    """A function that puts a LiteLLM into the site's index which does what a script says."""
    where = docker("exec", SITE, "sh", "-c", "ls -d /srv/pypi/litellm /opt/packages/pypi/litellm 2>/dev/null | head -n 1").strip()
    page = docker("exec", SITE, "cat", f"{where}/index.html")
    made = []

    def put(version, script):
        path = wheel(tmp_path, version, script)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(f"{where}/{path.name}")
        docker("cp", "-q", str(path), f"{SITE}:{where}/{path.name}")
        entry = f'<a href="{path.name}#sha256={digest}">{path.name}</a><br>\n'
        docker("exec", "-i", SITE, "sh", "-c", f"cat >{where}/index.html", text=page + entry)

    yield put
    docker("exec", "-i", SITE, "sh", "-c", f"cat >{where}/index.html", text=page)
    docker("exec", SITE, "rm", "-f", *made)


# A bare host


def test_checked_while_virgin():
    look = "dpkg-query -l | sort | sha256sum; find /etc /opt /usr/local -type f | sort | sha256sum; getent passwd | sha256sum"
    before = sh(HOST, look)
    # There is no engine to bring models onto in this playbook's own hands.
    done = run(options=["--check", "--diff", "--skip-tags", "ollama_models"])
    assert not done.failed
    assert done.changed == [
        "Keep a folder for it",
        "Make a group for the gateway",
        "Keep the folders",
        "Make and keep the secrets",
        "Say what would follow",
    ]
    assert sh(HOST, look) == before


SETTINGS = {
    "an interpreter that is not there": (
        {"litellm_native_python": "/usr/bin/python3.99"},
        "litellm_native_python: the host has no /usr/bin/python3.99",
    ),
    "a version below the floor": ({"litellm_native_version": "1.83.9"}, "litellm_native_version: 1.83.9 is older than site_litellm_floor"),
    "a version that checks nothing": (
        {"litellm_native_version": "1.90.1"},
        "litellm_native_version: 1.90.1 cannot check its configuration",
    ),
    "no version": ({"litellm_native_version": "latest"}, "litellm_native_version: set a version with three parts"),
    "a user who can log in": ({"litellm_native_user": "ops"}, "litellm_native_user: the host has a user ops who can log in (/bin/bash)"),
    "root": ({"litellm_native_user": "root"}, "litellm_native_user: the host has a user root who can log in"),
    "a folder in a home": (
        {"litellm_native_dir": "/home/ops/litellm"},
        "litellm_native_dir, site_project_dir: the gateway sees nothing of /home",
    ),
    "a memory that is none": ({"litellm_native_memory": "much"}, "litellm_native_memory: set a number with m or g"),
    "a port of another program": ({"site_gateway_port": 11434}, "site_gateway_port and site_ollama_port are both 11434"),
    "a port for root": ({"site_gateway_port": 22}, "site_gateway_port: 22 is for root alone"),
    "an address of another host": ({"site_gateway_bind": "192.0.2.99"}, "site_gateway_bind: the host has no address 192.0.2.99"),
    "an index that is none": ({"litellm_native_index_url": "site.lab/pypi"}, "litellm_native_index_url: set http://host/path"),
    "keys of clients": ({"llm_stack_client_keys": {"continue": {}}}, "llm_stack_client_keys: keys for clients need a database"),
    "a key that is too short": ({"llm_stack_master_key": "sk-1234"}, "llm_stack_master_key: set sk- and at least 16"),
    "a list of packages that is not there": (
        {"litellm_native_requirements": "no/file.txt"},
        "litellm_native_requirements: the control node has no file",
    ),
}


def test_from_bare_to_an_answer():
    done = run()
    assert not done.failed
    assert versions() == [NEW] and link("current") == NEW and link("former") == ""
    well()


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_cannot_be(name):
    extra, words = SETTINGS[name]
    message = refused(extra)
    assert words in message, message


# As it should be


def test_strangers_are_refused():
    for stranger in ("sk-this-is-nobodys-key", "nobody"):
        # Without a database a key cannot be looked up: 400 no_db_connection.
        assert re.match(r"40[01] ", runs.ask(HOST, with_key=stranger))
    code = (
        "import urllib.error, urllib.request\n"
        "try: urllib.request.urlopen('http://127.0.0.1:4444/v1/models')\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    assert docker("exec", HOST, "python3", "-c", code).strip() == "401"


def test_it_is_confined():
    assert show("User", "NRestarts", "MemoryMax", "Type") == {
        "User": "litellm",
        "NRestarts": "0",
        "MemoryMax": str(2 * 2**30),
        "Type": "exec",
    }
    score = sh(HOST, "systemd-analyze security --no-pager local-llm-gateway | tail -n 1")
    assert float(re.search(r": ([0-9.]+) ", score).group(1)) <= 1.5, score
    pid = show("MainPID")["MainPID"]
    status = sh(HOST, f"cat /proc/{pid}/status")
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.M) and re.search(r"^Seccomp:\s*2$", status, re.M)
    assert re.search(r"^CapEff:\s*0+$", status, re.M) and re.search(r"^CapBnd:\s*0+$", status, re.M)


def test_nobody_but_root_writes_what_it_runs():
    assert sh(HOST, "find /opt/litellm ! -user root -o -perm /022 ! -type l | head") == ""


def test_secrets_are_roots_alone():
    assert sh(HOST, f"stat -c '%a %U' {PROJECT}/.env").split() == ["600", "root"]
    secret = key(HOST)
    where = "/etc /home /opt /root /run /tmp /usr /var --exclude-dir=proc"
    assert sh(HOST, f"grep -rlF -f - {where} 2>/dev/null", check=False, text=secret + "\n").split() == [f"{PROJECT}/.env"]
    assert secret not in sh(HOST, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert secret not in sh(HOST, "journalctl --no-pager -q")
    shown = run({"llm_stack_num_retries": 3}, options=["-vvv", "--diff"]).text + run(options=["-vvv", "--diff"]).text
    assert secret not in shown
    well()


def test_what_is_open_to_the_outside():
    listening = {line.split()[3] for line in sh(HOST, "ss -Hltn").splitlines()}
    assert {one.rsplit(":", 1)[1] for one in listening if not one.startswith(("127.", "[::1]"))} == {"22", "4444"}


def test_restarted_it_answers_by_itself():
    reboot(HOST)
    until(lambda: "tinyllama answers:" in runs.ask(HOST), 60, "no answer")
    well()


def test_an_edited_file_is_put_right_and_read():
    sh(HOST, f"echo 'general_settings: {{}}' >>{PROJECT}/config.yml")
    done = run()
    assert not done.failed and done.changed == ["Write the gateway's files", "Start it under systemd"]
    well()


def test_a_run_that_was_cut_between_writing_and_starting():
    # The file is right, and newer than the process.
    sh(HOST, f"touch {PROJECT}/config.yml")
    assert run().changed == ["Start it under systemd"]
    well()


def test_a_gateway_that_somebody_stopped():
    sh(HOST, "systemctl disable -q --now local-llm-gateway")
    assert run().changed == ["Start it under systemd"]
    assert sh(HOST, "systemctl is-enabled local-llm-gateway").strip() == "enabled"
    well()


def test_a_port_of_another_program():
    sh(HOST, "systemd-run -q --unit squatter python3 -m http.server 4555")
    until(lambda: "4555" in sh(HOST, "ss -Hltn"), 10, "it does not listen")
    assert re.search(r"site_gateway_port: 4555 belongs to python3 \(process \d+\)", refused({"site_gateway_port": 4555}))
    sh(HOST, "systemctl stop squatter")
    well()


# Versions


def test_an_invalid_configuration_and_the_old_one_serves():
    before = sh(HOST, f"cat {PROJECT}/config.yml; systemctl show -p MainPID local-llm-gateway")
    done = run({"llm_stack_litellm_config": {"model_list": [{"model_name": "broken"}]}})
    assert done.failed and "refuses the configuration, and the old one serves on" in done.message, done.message
    assert sh(HOST, f"cat {PROJECT}/config.yml; systemctl show -p MainPID local-llm-gateway") == before
    well()


def test_a_version_that_the_index_has_not():
    before = show("MainPID")
    done = run({"litellm_native_version": "1.999.0"})
    assert done.failed and "the index has no LiteLLM 1.999.0 for Python 3." in done.message, done.message
    assert versions() == [NEW] and show("MainPID") == before
    well()


def test_an_index_that_does_not_answer():
    done = run({"litellm_native_version": OLD, "litellm_native_index_url": "http://site.lab:9/pypi"})
    assert done.failed and "-> the index does not answer; set litellm_native_index_url or site_proxy" in done.message, done.message
    well()


ENDS = """
import sys
def main():
    if "--validate_config" in sys.argv:
        print("config OK")
    else:
        import os
        print("key is", os.environ["LITELLM_MASTER_KEY"])
        sys.exit("ModuleNotFoundError: No module named 'something'")
"""
HANGS = """
import sys, time
def main():
    if "--validate_config" not in sys.argv:
        time.sleep(3600)
"""


def test_a_version_that_ends_at_once_goes_back(broken):
    broken("1.107.99", ENDS)
    secret, before = key(HOST), sh(HOST, f"cat {PROJECT}/config.yml")
    done = run({"litellm_native_version": "1.107.99", "llm_stack_num_retries": 7})
    assert done.failed
    assert "The gateway with LiteLLM 1.107.99 does not come up: it has ended" in done.message, done.message
    assert "No module named 'something'" in done.message and "was put back, and answers" in done.message, done.message
    assert "key is ***" in done.message and secret not in done.text
    assert link("current") == NEW and link("former") == "" and sh(HOST, f"cat {PROJECT}/config.yml") == before
    well()
    assert versions() == [NEW]


def test_a_version_that_never_answers_goes_back(broken):
    broken("1.107.98", HANGS)
    done = run({"litellm_native_version": "1.107.98", "litellm_native_wait_timeout": 8})
    assert done.failed and "was put back, and answers" in done.message, done.message
    well()


def test_settings_that_it_does_not_start_with_go_back():
    # It takes this for a database, and ends because the engine of Prisma is not there.
    done = run({"llm_stack_litellm_environment": {"DATABASE_URL": "postgresql://127.0.0.1:9/none"}, "litellm_native_wait_timeout": 60})
    assert done.failed and "was put back, and answers" in done.message, done.message
    well()


def test_a_key_that_it_does_not_start_with_goes_back():
    """A unit that starts with the present key alone: the earlier one is in force again, and nothing of the other is left."""
    # What an earlier test had refused stays beside it until a change works.
    before, old = sh(HOST, f"cat {PROJECT}/.env; ls -A {PROJECT}"), key(HOST)
    folder = "/etc/systemd/system/local-llm-gateway.service.d"
    sh(
        HOST,
        f"mkdir -p {folder} && cat >{folder}/test.conf",
        text=f"[Service]\nExecStartPre=/bin/sh -c 'test \"$LITELLM_MASTER_KEY\" = {old}'\n",
    )
    sh(HOST, "systemctl daemon-reload")
    try:
        done = run({"litellm_native_wait_timeout": 20}, playbook=ROTATE)
        assert done.failed and "has the earlier one again, with which it answers" in done.message, done.message
        assert sh(HOST, f"cat {PROJECT}/.env; ls -A {PROJECT}") == before
        assert "tinyllama answers:" in runs.ask(HOST)
    finally:
        sh(HOST, f"rm -r {folder} && systemctl daemon-reload")
    assert not run().failed
    well()


def test_another_version_and_back():
    old = {"litellm_native_version": OLD}
    done = run(old)
    assert not done.failed
    assert (link("current"), link("former"), versions()) == (OLD, NEW, [OLD, NEW])
    well(old)
    done = run()
    assert not done.failed and "Install LiteLLM" not in done.changed
    assert (link("current"), link("former")) == (NEW, OLD)
    well()
    # A third one takes the place of the oldest.
    more = {"litellm_native_packages": ["rich"]}
    assert not run(more).failed
    assert versions() == [NEW, NEW] and link("former") == NEW
    well(more)
    assert not run().failed


def test_a_list_of_packages_with_hashes(tmp_path):
    lines = []
    for page in docker(
        "exec", SITE, "sh", "-c", "cat /srv/pypi/*/index.html /opt/packages/pypi/*/index.html 2>/dev/null", check=False
    ).splitlines():
        found = re.search(r'href="([^#"]+)#sha256=([0-9a-f]+)"', page)
        if found:
            name, version = found.group(1).split("-")[:2]
            lines.append((name, version, found.group(2)))
    frozen = sh(HOST, "/opt/litellm/current/bin/pip freeze --disable-pip-version-check").split()
    wanted = {re.sub(r"[-_.]+", "-", one.split("==")[0]).lower(): one.split("==")[1] for one in frozen}
    text = ""
    for name, version in wanted.items():
        hashes = [digest for one, there, digest in lines if re.sub(r"[-_.]+", "-", one).lower() == name and there == version]
        text += f"{'litellm[proxy]' if name == 'litellm' else name}=={version} " + " ".join(f"--hash=sha256:{one}" for one in hashes) + "\n"
    (tmp_path / "good.txt").write_text(text)
    (tmp_path / "bad.txt").write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", text))
    done = run({"litellm_native_requirements": str(tmp_path / "bad.txt")})
    assert done.failed and "make litellm_native_requirements anew" in done.message, done.message
    well()
    extra = {"litellm_native_requirements": str(tmp_path / "good.txt")}
    assert not run(extra).failed
    well(extra)
    assert not run().failed


# Keys


def test_a_new_key():
    old = key(HOST)
    assert not run(playbook=ROTATE).failed
    assert key(HOST) != old and "answers:" not in runs.ask(HOST, with_key=old)
    well()
    given = {"llm_stack_master_key": "sk-given-by-a-vault-0001"}
    assert "LITELLM_MASTER_KEY: the host has another than was given" in refused(given)
    assert not run(given, playbook=ROTATE).failed
    assert key(HOST) == given["llm_stack_master_key"]
    well()


# Away with it


def test_uninstalled_and_installed_again():
    secret = key(HOST)
    done = run(playbook=UNINSTALL)
    assert not done.failed
    assert (
        sh(HOST, "ls -d /opt/litellm /var/lib/local-llm-gateway /etc/systemd/system/local-llm-gateway.service 2>/dev/null", check=False)
        == ""
    )
    assert sh(HOST, "getent passwd litellm; getent group litellm", check=False) == ""
    assert sorted(sh(HOST, f"ls -A {PROJECT}").split()) == [".env", "plan.json"]
    assert run(playbook=UNINSTALL).changed == []
    assert not run().failed
    assert key(HOST) == secret
    well()
    assert not run({"litellm_native_remove_secrets": True}, playbook=UNINSTALL).failed
    assert json.loads(sh(HOST, f"cat {PROJECT}/plan.json"))["status"] == "final"
    assert sh(HOST, f"ls -A {PROJECT}").split() == ["plan.json"]
