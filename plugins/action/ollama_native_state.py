# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host, and has plugin_utils compare it with the engine that it is to have without a container.

``litellm_native_state`` is the same for a gateway.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs, file_reader
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_reading import StackReading


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False
    SERVICE, ROLE = "engine", "ollama_native"

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec({"plan": {"type": "dict"}})
        task_vars, check_mode = task_vars or {}, self._task.check_mode
        try:
            inputs = Inputs.of(task_vars, self._templar.template, file_reader(self._loader), [self.ROLE])
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        reader = StackReading(inputs, lambda name, args: self._execute_module(module_name=name, module_args=args, task_vars=task_vars))
        found = reader.read(args["plan"], check_mode, more=lambda: self.options(inputs), asks=False)
        if found.failure:
            return {"failed": True, "msg": found.failure}
        made = getattr(inputs, "native_" + self.SERVICE)(found.stack.reading, found.stack.plan)
        decision = made.decide(check_mode)
        decision["problems"] += inputs.certificate_problems
        return {"changed": False, "_ansible_verbose_override": True, **decision}  # files as a whole are for -vvv

    def options(self, inputs: Inputs) -> dict[str, t.Any]:
        """Return the options of ``host_info`` beside those of the project's folder."""
        native = inputs.native_parameters([self.SERVICE])
        return {"sections": ["stack", "system", *native], **native}
