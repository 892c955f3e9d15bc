#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_snapshot
short_description: Keep files until a service has started with the new ones
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Keeps a copy of files before they are changed, so that what worked can be put back when a service does not start with the new ones.
  - A snapshot that a run left behind because it was cut off is what last worked. It stays, and the next run goes on with it.
options:
  path:
    description:
      - Folder of the snapshot. It is made for root alone, and is gone after V(restored) and V(absent).
    type: path
    required: true
  state:
    description:
      - V(saved) keeps the O(files) that are not kept yet; also that one is not there.
      - V(restored) puts back what differs from what was kept. A file that is replaced by that, or goes, stays beside it as
        C(FILE.refused), to look at.
      - V(absent) is for when the service has started. It removes the snapshot, and earlier C(FILE.refused) of its files.
    type: str
    choices: [saved, restored, absent]
    default: saved
  files:
    description:
      - Files and symbolic links to keep. Folders are not.
    type: list
    elements: path
    default: []
  refresh:
    description:
      - With V(saved), whether the service is known to run with the O(files) as they are now. Then they are kept in place of those of an
        earlier snapshot.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and say what would be done.
    support: full
  diff_mode:
    description: Shows no contents, because the files may hold secrets.
    support: none
  platform:
    description: Linux and macOS with Python 3.9 or newer.
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Keep the configuration that works
  local_llm.fleet.file_snapshot:
    path: /var/lib/local_llm/before/docker
    files: [/etc/docker/daemon.json]

- name: Put it back
  local_llm.fleet.file_snapshot:
    path: /var/lib/local_llm/before/docker
    state: restored
"""

RETURN = r"""
exists:
  description: Whether there was a snapshot before.
  returned: success
  type: bool
  sample: false
files:
  description: The files that the snapshot holds, or that were put back.
  returned: success
  type: list
  elements: str
  sample: [/etc/docker/daemon.json]
refused:
  description: What was put aside when files were put back.
  returned: success
  type: list
  elements: str
  sample: [/etc/docker/daemon.json.refused]
"""

import contextlib
import filecmp
import json
import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

REFUSED = ".refused"


class Snapshot:
    """Copies of files in a folder, and a list of what they are.

    :arg path: the folder.
    :arg check_mode: nothing is written.
    """

    def __init__(self, path: str, check_mode: bool = False) -> None:
        self.path, self.check_mode = path, check_mode
        self.index = os.path.join(path, "index.json")
        self.kept: dict[str, dict[str, t.Any]] = {}
        self.exists = False
        with contextlib.suppress(OSError, ValueError):
            with open(self.index, encoding="utf-8") as stream:
                self.kept = json.load(stream)
            self.exists = True

    def save(self, files: list[str], refresh: bool = False) -> bool:
        """Keep files that are not kept yet, or all of them again where these are known to work; return whether there were any."""
        new = [path for path in dict.fromkeys(files) if refresh or path not in self.kept]
        if self.check_mode:
            return bool(new)
        if refresh:
            # Its own copies alone: something else may be kept in the folder for the same run.
            for kept in self.kept.values():
                with contextlib.suppress(FileNotFoundError):
                    os.remove(kept.get("copy") or self.index)
            self.kept = {}
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        os.chmod(self.path, 0o700)
        for path in new:
            copy = os.path.join(self.path, "%d" % len(self.kept))
            if os.path.islink(path):
                self.kept[path] = {"link": os.readlink(path)}
            elif os.path.exists(path):
                duplicate(path, copy)
                self.kept[path] = {"copy": copy}
            else:
                self.kept[path] = {}
        if new:
            # Whole or not at all: a run may be cut here.
            with open(self.index + ".new", "w", encoding="utf-8") as stream:
                json.dump(self.kept, stream)
            os.replace(self.index + ".new", self.index)
        return bool(new)

    def restore(self) -> tuple[list[str], list[str]]:
        """Put back what differs; return the files that were, and what was put aside."""
        restored, refused = [], []
        for path, kept in self.kept.items():
            if is_same(path, kept):
                continue
            restored.append(path)
            if os.path.isfile(path) and not os.path.islink(path):
                refused.append(path + REFUSED)
            if self.check_mode:
                continue
            # First what may fail, on a full disk for one: until the earlier file is there again, the present one stays.
            if "copy" in kept:
                duplicate(kept["copy"], path + ".new")
            elif "link" in kept:
                os.symlink(kept["link"], path + ".new")
            if os.path.isfile(path) and not os.path.islink(path):
                os.replace(path, path + REFUSED)
            elif os.path.lexists(path):
                os.remove(path)
            if kept:
                os.replace(path + ".new", path)
        self.remove()
        return restored, refused

    def forget(self) -> None:
        """Remove the snapshot and what was put aside of its files before."""
        for path in self.kept:
            if not self.check_mode:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path + REFUSED)
        self.remove()

    def remove(self) -> None:
        # Also a folder without a list, in which something else was kept for the same run.
        if os.path.isdir(self.path) and not self.check_mode:
            shutil.rmtree(self.path)


def is_same(path: str, kept: dict[str, t.Any]) -> bool:
    """Whether a file is what was kept of it."""
    if os.path.islink(path):
        return kept.get("link") == os.readlink(path)
    if not os.path.exists(path):
        return not kept
    return "copy" in kept and filecmp.cmp(path, kept["copy"], shallow=False)


def duplicate(source: str, target: str) -> None:
    """Copy a file with its owner and mode; nobody else can read it in between."""
    known = os.stat(source)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out, open(source, "rb") as stream:
        shutil.copyfileobj(stream, out)
    os.chown(target, known.st_uid, known.st_gid)
    shutil.copystat(source, target)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["saved", "restored", "absent"], "default": "saved"},
            "files": {"type": "list", "elements": "path", "default": []},
            "refresh": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    snapshot = Snapshot(module.params["path"], module.check_mode)
    state, existed, refused = module.params["state"], snapshot.exists, []
    try:
        if state == "saved":
            changed = snapshot.save(module.params["files"], module.params["refresh"])
            files = list(snapshot.kept)
        elif state == "restored":
            files, refused = snapshot.restore()
            changed = existed
        else:
            files, changed = list(snapshot.kept), existed
            snapshot.forget()
    except OSError as error:
        module.fail_json(msg="%s: %s" % (module.params["path"], error))
    module.exit_json(changed=changed, exists=existed, files=files, refused=refused)


if __name__ == "__main__":
    main()
