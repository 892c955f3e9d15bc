# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What worked is put back, whatever has become of it in between."""

from __future__ import annotations

import os

import pytest
from ansible_collections.local_llm.fleet.plugins.modules import file_snapshot
from ansible_collections.local_llm.fleet.plugins.modules.file_snapshot import Snapshot


@pytest.fixture
def files(tmp_path):
    (tmp_path / "daemon.json").write_text("old")
    (tmp_path / "daemon.json").chmod(0o640)
    (tmp_path / "current").symlink_to("versions/1")
    return {name: str(tmp_path / name) for name in ("daemon.json", "current", "new.conf")}


def snapshot(tmp_path, **options):
    return Snapshot(str(tmp_path / "before"), **options)


def change(files):
    for name in ("daemon.json", "new.conf"):
        with open(files[name], "w", encoding="utf-8") as stream:
            stream.write("bad")
    os.remove(files["current"])
    os.symlink("versions/2", files["current"])


def text(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def test_put_back(tmp_path, files):
    assert snapshot(tmp_path).save(list(files.values()))
    assert oct((tmp_path / "before").stat().st_mode)[-3:] == "700"
    change(files)
    restored, refused = snapshot(tmp_path).restore()
    assert sorted(restored) == sorted(files.values())
    assert sorted(refused) == [files["daemon.json"] + ".refused", files["new.conf"] + ".refused"]
    assert (text(files["daemon.json"]), os.readlink(files["current"]), os.path.exists(files["new.conf"])) == ("old", "versions/1", False)
    assert oct(os.stat(files["daemon.json"]).st_mode)[-3:] == "640"
    assert [text(path) for path in refused] == ["bad", "bad"]
    assert not (tmp_path / "before").exists()


def test_what_last_worked_stays_when_a_run_was_cut(tmp_path, files):
    snapshot(tmp_path).save([files["daemon.json"]])
    change(files)
    assert snapshot(tmp_path).exists
    # the next run keeps more, and does not take the unfinished file for what worked
    assert snapshot(tmp_path).save([files["daemon.json"], files["new.conf"]])
    assert not snapshot(tmp_path).save([files["daemon.json"]])
    snapshot(tmp_path).restore()
    assert (text(files["daemon.json"]), text(files["new.conf"])) == ("old", "bad")


def test_what_is_as_it_was_is_left_alone(tmp_path, files):
    snapshot(tmp_path).save(list(files.values()))
    assert snapshot(tmp_path).restore() == ([], [])
    assert snapshot(tmp_path).restore() == ([], [])


def test_what_works_needs_no_snapshot(tmp_path, files):
    snapshot(tmp_path).save([files["daemon.json"]])
    change(files)
    snapshot(tmp_path).restore()
    snapshot(tmp_path).save([files["daemon.json"]])
    snapshot(tmp_path).forget()
    assert sorted(os.listdir(tmp_path)) == ["current", "daemon.json", "new.conf"]


def test_check_mode_writes_nothing(tmp_path, files):
    assert snapshot(tmp_path, check_mode=True).save(list(files.values()))
    assert not (tmp_path / "before").exists()
    snapshot(tmp_path).save(list(files.values()))
    change(files)
    before = {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(snapshot(tmp_path, check_mode=True).restore()[0]) == 3
    snapshot(tmp_path, check_mode=True).forget()
    assert {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_an_index_that_was_cut_is_none(tmp_path, files):
    (tmp_path / "before").mkdir()
    (tmp_path / "before/index.json").write_text('{"a"')
    assert not snapshot(tmp_path).exists
    assert snapshot(tmp_path).save([files["daemon.json"]])


def test_what_is_known_to_work_takes_the_place_of_an_earlier_snapshot(tmp_path, files):
    snapshot(tmp_path).save(list(files.values()))
    with open(files["daemon.json"], "w", encoding="utf-8") as stream:
        stream.write("by hand, and it works")
    assert snapshot(tmp_path).save([files["daemon.json"]], refresh=True)
    change(files)
    assert snapshot(tmp_path).restore()[0] == [files["daemon.json"]]
    assert text(files["daemon.json"]) == "by hand, and it works"


def test_the_present_file_stays_until_the_earlier_one_is_written(tmp_path, files, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    snapshot(tmp_path).save([files["daemon.json"]])
    change(files)
    monkeypatch.setattr(file_snapshot, "duplicate", full)
    with pytest.raises(OSError, match="No space left"):
        snapshot(tmp_path).restore()
    assert text(files["daemon.json"]) == "bad" and snapshot(tmp_path).exists
