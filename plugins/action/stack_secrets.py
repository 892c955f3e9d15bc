# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the secrets that settings give to the module env_file, which keeps them on the host."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils import native_gateway, stack
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs, file_reader
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {
                "set": {"type": "list", "elements": "str", "default": []},
                "recover": {"type": "list", "elements": "str", "default": []},
                "generate": {"type": "dict", "default": {}},
                "close": {"type": "bool", "default": False},
                "backup": {"type": "path"},
                "exports": {"type": "dict"},
            }
        )
        task_vars = task_vars or {}
        try:
            inputs = Inputs.of(task_vars, self._templar.template, file_reader(self._loader), ["litellm_native"])
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        made = inputs.stack_of({"files": {}, "containers": [], "units": {}})
        values = stack.secret_values(made, args["set"])
        if "gateway" in inputs.native:
            told = inputs.native_gateway({"native_gateway": native_gateway.NOTHING}, None).told
            values.update({name: value for name, value in told.items() if name in args["set"]})
        options = {
            "path": made.env_path,
            "values": values,
            "generate": args["generate"],
            "recover": args["recover"],
            "backup": args["backup"],
            "exports": args["exports"],
        }
        given = {name: value for name, value in options.items() if value is not None}
        return self._execute_module(module_name="local_llm.fleet.env_file", module_args=given, task_vars=task_vars)
