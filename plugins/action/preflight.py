# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries what a host will fetch from, and tells everything that is wrong at once."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils import preflight
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError, Templated
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_inputs import Inputs, Raw
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_problems import site_ollama, truth, words
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_reading import Found, StackReading


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec({})
        self.task_vars = task_vars or {}
        try:
            inputs = Inputs.of(self.task_vars, self._templar.template, ["preflight"])
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        # What the plan says is not known yet; an earlier one stands for it.
        found = StackReading(inputs, self.module).read(None, self._task.check_mode)
        if found.failure:
            return {"failed": True, "msg": found.failure}
        return self.judge(inputs, found)

    def module(self, name: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._execute_module(module_name=name, module_args=args, task_vars=self.task_vars)

    def judge(self, inputs: Inputs, found: Found) -> dict[str, t.Any]:
        """Find all that is wrong, and try the addresses where no setting is."""
        made = found.stack
        facts = {"reading": made.reading, "has": made.has, "gpu": made.gpu, "is_complete": made.is_complete}
        variables = Raw({**inputs.settings, **facts}, inputs.variables)
        settings = preflight.settings(variables) + preflight.certificate(
            variables["site_ca_certificate"], self.certificate(inputs.variables)
        )
        settings += site_ollama(variables) + list(variables["model_plan_setting_problems"])
        problems = settings + preflight.host(variables)
        reached = {}
        # Addresses are not tried that are made of settings which are wrong.
        if preflight.is_to_be_tried(variables) and not settings:
            known = preflight.sources(variables)
            reached = self.reach(variables, list(known))
            if reached.get("failed"):
                return reached
            problems += preflight.disk_and_clock(variables, reached)
        # Where a stack runs, the role docker_engine itself says what is wrong, before it changes anything.
        if not made.is_complete:
            problems += list((variables.get("__docker_engine_plan") or {}).get("problems") or [])
        # A host that runs nothing in containers is asked by ollama_native what is wrong with it.
        services = variables["llm_stack_services"]
        if isinstance(services, str) or not services or made.services:
            problems += found.problems
        if truth(variables["_site_gateway_native"]) and "__litellm_native_state" in variables:
            problems += list(variables["_litellm_native_problems"])
        problems += preflight.native_engine(variables, made.running)
        problems += preflight.unreachable(reached["sources"], known) if reached else []
        message = preflight.failure(problems)
        return {"failed": True, "msg": message} if message else {"changed": False}

    def certificate(self, variables: Templated) -> str | None:
        """Return what is in the file of the site's authorities on this machine, from a vault or not; None where there is none."""
        return str(variables["_site_ca_pem"]) if Path(variables["_site_ca_path"] or "/").is_file() else None

    def reach(self, variables: t.Mapping[str, t.Any], addresses: list[str]) -> dict[str, t.Any]:
        """Try the addresses from the host, and read its clock and the disk that the images will lie on."""
        docker = variables["reading"]["docker"]
        wanted = {
            "sources": addresses,
            "package_sources": docker is None and not preflight.is_mac(variables),
            "proxy": variables["site_proxy"],
            "no_proxy": words(variables["_site_no_proxy"]),
            "ca_pem": variables["_site_ca_pem"],
            "reference_time": time.time(),
            "timeout": variables["preflight_timeout"],
            "paths": [(docker or {}).get("data_root") or "/var/lib/docker"],
        }
        given = {name: value for name, value in wanted.items() if value not in (None, "")}
        return self.module("local_llm.fleet.host_info", given)
