# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries what a host will fetch from, and tells everything that is wrong at once."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils import host, preflight
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs, file_reader
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_reading import StackReading

ROLES = ("preflight", "docker_engine", "model_plan", "ollama_native", "litellm_native")


def options(inputs: Inputs) -> dict[str, t.Any]:
    """Return the options of ``host_info`` beside those of the stack."""
    native = inputs.native_parameters(inputs.native)
    return {"sections": ["stack", "system", "daemon", *native], **native, "daemon_json": True, "timeout": 30}


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        self.task_vars = task_vars or {}
        try:
            inputs = Inputs.of(self.task_vars, self._templar.template, file_reader(self._loader), ROLES)
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        # What the plan says is not known yet; an earlier one stands for it.
        found = StackReading(inputs, self.module).read(None, self._task.check_mode, more=lambda: options(inputs))
        if found.failure:
            return {"failed": True, "msg": found.failure}
        problems, failure = host.preflight_problems(host.Host(inputs, found.stack.reading, self._task.check_mode), found, self.module)
        message = failure or preflight.failure(problems)
        return {"failed": True, "msg": message} if message else {"changed": False}

    def module(self, name: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._execute_module(module_name=name, module_args=args, task_vars=self.task_vars)
