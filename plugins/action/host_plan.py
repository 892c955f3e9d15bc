# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host in one round trip, and has plugin_utils.host decide what has to be done for all roles."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils import host, preflight
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs, file_reader
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_reading import StackReading, notes

# Ansible imports this before it forks, and would read all of it in each process otherwise.
host.load()


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        switches = {"preflight": {"type": "bool", "default": True}, "report": {"type": "bool", "default": False}}
        _validated, args = self.validate_argument_spec(switches)
        self.task_vars = task_vars or {}
        try:
            inputs = Inputs.of(self.task_vars, self._templar.template, file_reader(self._loader), host.SETTINGS)
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        check_mode, had_facts = self._task.check_mode, "system" in inputs.facts
        # Where nothing is going to be done, engines count as holding what their plans say.
        assume = check_mode or args["report"]
        found = StackReading(inputs, self.module).read(
            None, assume, lambda reading: host.Host(inputs, reading, check_mode).plan_to_follow, lambda: host.parameters(inputs)
        )
        if found.failure:
            return {"failed": True, "msg": found.failure}
        state = host.Host(inputs, found.stack.reading, check_mode)
        problems: list[str] = []
        if args["preflight"]:
            problems, failure = host.preflight_problems(state, found, self.module)
            if failure:
                return {"failed": True, "msg": failure}
        else:
            problems += (found.problems + state.docker_problems if found.stack.services else []) + state.native_problems
        # A plan that waits for a driver is made after that.
        waits = bool(state.changes_of_driver())
        if state.has_engine and state.plan["status"] == "refused" and not waits:
            problems.append(str(state.plan["refusal"]))
        if problems and not args["report"]:
            return {"failed": True, "msg": preflight.failure(problems)}
        # What is to be done is not known where the settings cannot be.
        changes = [] if problems else state.changes(found)
        plan = state.plan if state.has_engine else None
        roles = state.all_roles() if problems else state.roles(changes)
        return {
            "changed": False,
            "_ansible_verbose_override": True,  # the reading is for -vvv
            # What roles ask for before they gather facts by themselves.
            **({} if had_facts else {"ansible_facts": {name: inputs.facts[name] for name in ("system", "architecture")}}),
            "changes": changes,
            "roles": roles,
            "notes": (notes(found) if found.stack.services else []) + state.native_notes,
            "native_engine": state.native_engine.result(check_mode) if state.has_native_engine else None,
            "native_gateway": state.native_gateway.result(check_mode) if state.has_native_gateway else None,
            "plan": plan,
            "plan_to_follow": state.plan_to_follow if state.has_engine else None,
            "report": {**(plan or {}), "changes": changes, "roles": state.roles(changes), "failure": "\n".join(dict.fromkeys(problems))},
            "failure": "\n".join(dict.fromkeys(problems)),
            "environment": state.environment(),
            "reading": {} if roles else state.reading_for_verification(),
            "docker": bool(found.stack.services) and not state.is_mac,
            "stack": {"exists": found.stack.exists or not check_mode, "silent": found.silent, **found.stack.result()},
        }

    def module(self, name: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._execute_module(module_name=name, module_args=args, task_vars=self.task_vars)
