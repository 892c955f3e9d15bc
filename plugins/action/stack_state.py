# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host, and has plugin_utils.stack compare it with the stack that it is to have."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils import stack
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs, file_reader
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_reading import StackReading, notes


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec({"plan": {"type": "dict"}})
        task_vars = task_vars or {}
        try:
            inputs = Inputs.of(task_vars, self._templar.template, file_reader(self._loader))
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        reader = StackReading(inputs, lambda name, args: self._execute_module(module_name=name, module_args=args, task_vars=task_vars))
        found = reader.read(args["plan"], self._task.check_mode)
        if found.failure:
            return {"failed": True, "msg": found.failure}
        made, problems = found.stack, found.problems
        docker = made.reading["docker"] or {}
        if not docker.get("version") and made.services and not self._task.check_mode:
            problems.append("Docker does not answer on this host: run site.yml, or start it; journalctl -u docker says what is wrong")
        if problems:
            return {"failed": True, "msg": "%s." % "; ".join(problems)}
        decision = stack.decide(made)
        decision["notes"] = notes(found)
        return {
            "changed": False,
            "_ansible_verbose_override": True,  # files as a whole are for -vvv
            **decision,
            "exists": made.exists,
            "client_keys": made.client_keys if made.has["litellm"] and made.has["db"] else [],
            "stale_clients": made.stale_clients,
            "unfinished": made.reading["unfinished"],
            "units_before": [name for name, unit in made.reading["units"].items() if unit["sha256"]],
            "enabled_before": [name for name, unit in made.reading["units"].items() if unit["sha256"] and unit["enabled"]],
            "result": {"exists": made.exists or not self._task.check_mode, "silent": found.silent, **made.result()},
        }
