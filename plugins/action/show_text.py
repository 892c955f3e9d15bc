# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows text to whoever runs the playbook, whatever else is shown of tasks without a change."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        options = {"text": {"type": "raw", "required": True}, "prefix": {"type": "bool", "default": True}}
        _validated, args = self.validate_argument_spec(options)
        lines = args["text"] if isinstance(args["text"], (list, tuple)) else str(args["text"]).splitlines()
        before = "  [%s] " % (task_vars or {}).get("inventory_hostname") if args["prefix"] else ""
        for line in lines:
            display.display(before + str(line))
        return {"changed": False}
