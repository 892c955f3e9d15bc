# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are made and kept in the environment file, and everything else in it stays."""

from __future__ import annotations

import grp
import os
import re
import stat
import subprocess

import pytest
from ansible_collections.local_llm.fleet.plugins.modules import database_password, env_file


@pytest.fixture
def env(tmp_path, run_module):
    """A function that runs the module over one file, and returns its result."""

    def env(check=False, **options):
        return run_module(env_file.main, {"path": str(tmp_path / ".env"), **options}, check)

    env.file = tmp_path / ".env"
    return env


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once(env):
    wanted = {"LITELLM_MASTER_KEY": "sk-", "POSTGRES_PASSWORD": ""}
    said = env(check=True, generate=wanted)
    assert said["changed"] and not env.file.exists()
    said = env(generate=wanted, values={"GEMINI_API_KEY": "g"})
    assert said == {"failed": False, "changed": True, "variables": ["GEMINI_API_KEY", *wanted]}
    text = env.file.read_text()
    assert re.fullmatch("LITELLM_MASTER_KEY=sk-[A-Za-z0-9]{40}\nPOSTGRES_PASSWORD=[A-Za-z0-9]{40}\nGEMINI_API_KEY=g\n", text)
    assert mode(env.file) == 0o600 and os.listdir(env.file.parent) == [".env"]
    assert env(generate=wanted, values={"GEMINI_API_KEY": "g"}) == {"failed": False, "changed": False, "variables": []}
    assert env.file.read_text() == text


def test_what_else_is_in_the_file_stays(env, tmp_path):
    env.file.write_bytes(b"# mine\xff\r\nA='1'\r\nB=2 # two\r\n")
    backup = str(tmp_path / "before/env")
    assert env(values={"B": "3", "C": "$x"}, absent=["A"], backup=backup)["variables"] == ["A", "B", "C"]
    assert env.file.read_bytes() == b"# mine\xff\r\nB='3' # two\r\nC='$x'\r\n"
    assert mode(tmp_path / "before/env") == 0o600 and mode(tmp_path / "before") == 0o700
    # One that is there has what worked, whatever is changed after it.
    assert env(values={"B": "4", "CLIENT_KEY_A": "x"}, backup=backup)["variables"] == ["B", "CLIENT_KEY_A"]
    assert env(restore=True, keep=["CLIENT_KEY_*"], backup=backup, check=True)["variables"] == ["A", "B", "C"]
    assert env(restore=True, keep=["CLIENT_KEY_*"], backup=backup)["variables"] == ["A", "B", "C"]
    assert env.file.read_bytes() == b"# mine\xff\r\nB='2' # two\r\nCLIENT_KEY_A=x\r\nA=1\r\n"
    assert env(restore=True, keep=["CLIENT_KEY_*"], backup=backup)["changed"] is False


def test_there_is_nothing_to_restore_where_nothing_was_changed(env, tmp_path):
    assert env(restore=True)["msg"].startswith("restore needs backup")
    env.file.write_text("A=1\n")
    assert env(restore=True, backup=str(tmp_path / "no")) == {"failed": False, "changed": False, "variables": []}
    assert env.file.read_text() == "A=1\n"


def test_a_file_that_others_can_read_is_closed(env):
    env.file.write_text("A=1\n")
    env.file.chmod(0o644)
    assert env(check=True) == {"failed": False, "changed": True, "variables": []} and mode(env.file) == 0o644
    assert env()["changed"] and mode(env.file) == 0o600 and env()["changed"] is False


def test_new_values_beside_the_old_ones(env, tmp_path):
    (tmp_path / "old").write_text("LITELLM_MASTER_KEY=sk-old\nOTHER=1\n")
    options = {
        "source": str(tmp_path / "old"),
        "generate": {"LITELLM_MASTER_KEY": "sk-"},
        "copy": {"LITELLM_SALT_KEY": "LITELLM_MASTER_KEY"},
        "values": {"POSTGRES_PASSWORD": "given"},
    }
    assert env(**options)["variables"] == ["LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "POSTGRES_PASSWORD"]
    text = env.file.read_text()
    assert "OTHER=1" in text and "LITELLM_SALT_KEY=sk-old\n" in text and "LITELLM_MASTER_KEY=sk-old" not in text
    assert env(**options)["changed"] is False and env.file.read_text() == text
    assert env(copy={"X": "Y"})["msg"].endswith(".env has no Y")


def test_values_of_containers(env, monkeypatch):
    monkeypatch.setattr(env_file, "containers", lambda project: {"POSTGRES_PASSWORD": project})
    assert env(recover=["POSTGRES_PASSWORD"])["variables"] == ["POSTGRES_PASSWORD"]
    assert env.file.read_text() == "POSTGRES_PASSWORD=local-llm\n"
    assert env(recover=["LITELLM_MASTER_KEY"])["msg"].endswith("no container of local-llm has LITELLM_MASTER_KEY")


def test_the_file_of_another_run_counts(env, monkeypatch):
    write = env_file.write

    def late(path, text, new=False):
        env.file.write_text("LITELLM_MASTER_KEY=sk-of-the-other\n")
        monkeypatch.setattr(env_file, "write", write)
        return write(path, text, new)

    monkeypatch.setattr(env_file, "write", late)
    assert env(generate={"LITELLM_MASTER_KEY": "sk-", "REDIS_PASSWORD": ""})["variables"] == ["REDIS_PASSWORD"]
    assert "sk-of-the-other" in env.file.read_text() and "REDIS_PASSWORD=" in env.file.read_text()


def test_what_cannot_be_written_is_told(env, tmp_path):
    assert "NUL" in env(values={"A": "x\0y"})["msg"] or env(values={"A": "x\0y"})["failed"]
    env.file.mkdir()
    assert env(values={"A": "1"})["failed"]


def test_containers_without_docker(monkeypatch):
    monkeypatch.setattr(env_file.Engine, "read", lambda self: None)
    assert env_file.containers("local-llm") == {}


@pytest.fixture
def psql(monkeypatch):
    """What the database is asked, and what it answers."""
    asked = []

    def run(_host, *command, text=None):
        asked.append((command, text))
        return answer

    answer = (0, "", "")
    monkeypatch.setattr(database_password.Host, "run", run)
    return asked


def test_the_database_gets_the_password_by_standard_input(tmp_path, run_module, psql, monkeypatch):
    (tmp_path / ".env").write_text('POSTGRES_PASSWORD="it\'s"\n')
    options = {"env_file": str(tmp_path / ".env")}
    assert run_module(database_password.main, options, check=True)["changed"] and psql == []
    assert run_module(database_password.main, options) == {"failed": False, "changed": True}
    ((command, text),) = psql
    assert text == "ALTER ROLE \"llmproxy\" PASSWORD 'it''s';\n" and "it's" not in " ".join(command)
    monkeypatch.setattr(database_password.Host, "run", lambda *_args, text=None: (1, "", "ERROR near it's"))
    assert run_module(database_password.main, options)["msg"] == "litellm_db: ERROR near ********"
    monkeypatch.setattr(database_password.Host, "run", lambda *_args, text=None: (None, "", ""))
    assert run_module(database_password.main, options)["msg"] == "litellm_db: psql did not end in 60 s"
    (tmp_path / ".env").write_text("")
    assert run_module(database_password.main, options)["msg"].endswith(".env has no POSTGRES_PASSWORD")


def test_a_second_file_for_a_shell(env, tmp_path):
    group = grp.getgrgid(os.getegid()).gr_name
    exports = {"path": str(tmp_path / "environment"), "names": ["A", "B", "GONE"], "group": group}
    values = {"A": "it's", "B": "2", "UNTOLD": "x"}
    assert env(values=values, exports=exports)["changed"] and not env(exports=exports)["changed"]
    text = (tmp_path / "environment").read_text()
    shell = subprocess.run(["sh", "-c", text + 'printf "%s %s" "$A" "$B"'], capture_output=True, text=True, check=True)
    assert (shell.stdout, mode(tmp_path / "environment")) == ("it's 2", 0o440) and "UNTOLD" not in text
    (tmp_path / "environment").chmod(0o644)
    assert env(exports=exports, check=True)["changed"] and mode(tmp_path / "environment") == 0o644
    assert env(exports=exports)["changed"] and mode(tmp_path / "environment") == 0o440
    # Its group may only be going to be made.
    missing = {**exports, "group": "nobody-of-this-name"}
    assert env(exports=missing, check=True)["changed"] and "nobody-of-this-name" in env(exports=missing)["msg"]
