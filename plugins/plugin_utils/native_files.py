# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a service that runs without a container, compared with those that the host has."""

from __future__ import annotations

import plistlib
import typing as t
from dataclasses import dataclass

from .stack import checksum

Data = t.Mapping[str, t.Any]
Change = tuple[str, str, list[str]]  #: what differs, why, and the services that making it good interrupts


@dataclass(frozen=True)
class File:
    """A file of root's.

    :arg content: empty for one that is not needed.
    :arg group: who may read it besides root.
    """

    path: str
    content: str
    mode: str
    group: str

    def differs(self, there: Data | None) -> bool:
        """Whether the host has another one, or none.

        :arg there: what ``host_info`` says of it.
        """
        wanted = (checksum(self.content), self.mode, "root")
        return bool(self.content) and (there is None or (there["sha256"], there["mode"], there["owner"]) != wanted)

    def why(self, there: Data | None) -> str:
        """Return what a person is told of the difference."""
        if there is None:
            return "is not there"
        return "has another mode or owner" if there["sha256"] == checksum(self.content) else "differs"

    @property
    def is_job(self) -> bool:
        """Whether it is a job of launchd."""
        return bool(self.content) and self.path.endswith(".plist")

    def as_task(self) -> dict[str, str]:
        """Return it as a task writes it."""
        return {"path": self.path, "content": self.content, "mode": self.mode, "group": self.group}


def plist(job: Data) -> str:
    """Return a job of launchd, as launchd.plist(5) has it, as a property list."""
    return plistlib.dumps(dict(job), sort_keys=True).decode()


def may_log_in(account: Data | None) -> str:
    """Return the shell of a user who may log in; empty for one of a service, or without one."""
    shell = str((account or {}).get("shell") or "")
    return "" if not shell or shell.rpartition("/")[2] in ("nologin", "false") else shell
