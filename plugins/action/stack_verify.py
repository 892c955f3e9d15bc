# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host, asks its services, and has plugin_utils.verify judge what comes back."""

from __future__ import annotations

import time
import typing as t
from functools import cached_property

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.local_llm.fleet.plugins.plugin_utils import model_plan, verify
from ansible_collections.local_llm.fleet.plugins.plugin_utils.inputs import Inputs, file_reader
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import SettingsError, Templated, deep_plain, settings
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_problems import truth

display = Display()

SCHEMA = 1
POLL = 2  # seconds between two looks at containers that are starting


class ActionModule(ActionBase):
    """See the documentation of the module of this name."""

    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        options = {"ask_only": {"type": "bool", "default": False}, "report_only": {"type": "bool"}, "compared": {"type": "dict"}}
        _validated, args = self.validate_argument_spec(options)
        about = self.about(args["compared"])
        if not args["ask_only"] and is_absent(about):
            return {"changed": False, "skipped": True, "skip_reason": "There is nothing to ask yet"}
        try:
            found = settings(
                ["site", "stack_verify"],
                self.task_vars,
                self._templar.template,
                {"llm_stack": ["llm_stack_services"], "ollama_native": ["ollama_native_home"], "litellm_native": ["litellm_native_dir"]},
            )
        except SettingsError as error:
            return {"failed": True, "msg": str(error)}
        found.update(verify.addresses(found))
        is_mac = (self.task_vars.get("ansible_facts") or {}).get("system") == "Darwin"
        reading, native = about["reading"], {}
        if not args["ask_only"] and found["stack_verify_depth"] == "full" and verify.native_folders(found, is_mac):
            try:
                native = self.native()
            except SettingsError as error:
                return {"failed": True, "msg": str(error)}
        if not reading or is_starting(reading):
            parameters = {**verify.host_parameters(found, is_mac), **native, "sections": ["stack", *native]}
            reading = self.read(parameters, wait=0 if args["ask_only"] else found["stack_verify_timeout"])
        if reading.get("failed"):
            return reading
        plan = about["plan"] or model_plan.parse((reading.get("contents") or {}).get("plan.json") or "") or None
        stack = verify.Stack(
            settings=found,
            reading=reading,
            plan=plan,
            is_mac=is_mac,
            given_services=about["stack"].get("services"),
            given_shared=about["stack"].get("shared"),
            silent=about["stack"].get("silent") or [],
            native_engine=self.native_engine(reading, plan) if "native_engine" in native else None,
            native_gateway=self.native_gateway(reading, plan) if "native_gateway" in native else None,
        )
        if stack.problem():
            return {"failed": True, "msg": stack.problem()}
        if args["ask_only"]:
            return self.ask(stack)
        report_only = found["stack_verify_report_only"] if args["report_only"] is None else args["report_only"]
        return self.judge(stack, found["stack_verify_depth"], report_only)

    def about(self, compared: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """Return what is known of the host: of a comparison that nothing was changed since, or what the roles have told.

        :arg compared: what ``host_plan`` returned.
        """
        if compared is not None:
            return {**compared, "stack": compared["stack"] if compared["stack"]["services"] else {}, "pending": False}
        names = {"stack": "llm_stack_result", "plan": "model_plan_result", "pending": "model_plan_pending"}
        names.update({"native_engine": "ollama_native_result", "native_gateway": "litellm_native_result"})
        known = Templated(self.task_vars, self._templar.template)
        found = {name: deep_plain(known[variable]) if variable in known else None for name, variable in names.items()}
        return {**found, "stack": found["stack"] or {}, "reading": None}

    @cached_property
    def inputs(self) -> Inputs:
        """The settings of services that run without a container."""
        return Inputs.of(self.task_vars, self._templar.template, file_reader(self._loader), ["ollama_native", "litellm_native"])

    def native(self) -> dict[str, t.Any]:
        """Return the options of ``host_info`` for services that run without a container."""
        return self.inputs.native_parameters(self.inputs.native)

    def native_engine(self, reading: dict[str, t.Any], plan: dict[str, t.Any] | None) -> dict[str, str]:
        """Return how a native engine runs."""
        engine = self.inputs.native_engine(reading, plan)
        return {"version": engine.reading["installed"], "fault": engine.fault}

    def native_gateway(self, reading: dict[str, t.Any], plan: dict[str, t.Any] | None) -> dict[str, str]:
        """Return how a native gateway runs."""
        gateway = self.inputs.native_gateway(reading, plan)
        return {"version": gateway.reading["current"], "fault": gateway.fault}

    def module(self, name: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._execute_module(module_name="local_llm.fleet." + name, module_args=given(args), task_vars=self.task_vars)

    def read(self, parameters: dict[str, t.Any], wait: int) -> dict[str, t.Any]:
        """Read the host. After a restart of the host or of Docker the first health check takes some seconds, which are waited for."""
        ends = time.monotonic() + wait
        while True:
            reading = self.module("host_info", parameters)
            if not is_starting(reading) or time.monotonic() > ends:
                return reading
            time.sleep(POLL)

    def ask(self, stack: verify.Stack) -> dict[str, t.Any]:
        """Ask a question, and nothing else."""
        probe = self.module("stack_probe", {"question": verify.first_question(stack, strangers=False)})
        found = verify.Verification(stack, probe)
        if not found.is_answered:
            return {"failed": True, "msg": probe.get("msg") or found.answer.get("msg") or "every route is of a provider"}
        return {"changed": False, "answer": found.answer_line()}

    def judge(self, stack: verify.Stack, depth: str, report_only: bool) -> dict[str, t.Any]:
        """Ask all that is to be asked, and judge it."""
        probe = self.module("stack_probe", verify.probe_parameters(stack))
        if probe.get("failed"):
            return probe
        # Each by itself: a model that has to be loaded may take minutes, in which a connection without a byte may be lost.
        further = verify.further_questions(stack) if stack.is_full and stack.has_gateway else []
        answers = {one["model"]: self.answer(one) for one in further}
        found = verify.Verification(stack, probe, answers)
        checks = found.checks()
        for line in found.lines(checks) if found.is_answered else []:
            display.display("  [%s] %s" % (self.task_vars.get("inventory_hostname"), line))
        failed = {"failed": True, "msg": verify.failure(checks)} if verify.failure(checks) and not report_only else {}
        return {
            "changed": False,
            **failed,
            "result": {"schema": SCHEMA, "ok": not verify.failure(checks), "depth": depth, "checks": shown(checks)},
            "failure": verify.failure(checks),
        }

    def answer(self, question: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask one further question; where it fails, the result has ``msg``."""
        result = self.module("llm_endpoint_check", {**question, "use_proxy": False})
        return result if result.get("failed") else {key: value for key, value in result.items() if key != "msg"}


def is_absent(about: dict[str, t.Any]) -> bool:
    """Whether there is nothing to ask yet: in a first run that is only being checked, or one where a change of plan is."""
    parts = [about.get(name) or {} for name in ("stack", "native_engine", "native_gateway")]
    return truth(about["pending"] or False) or not all(truth(one.get("exists", True)) for one in parts)


def is_starting(reading: dict[str, t.Any]) -> bool:
    """Whether a container's health is not known yet."""
    return any(one["health"] == "starting" for one in reading.get("containers") or [])


def given(args: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return options without those that are None, in suboptions, too: a module takes its defaults for what is not given."""
    return {key: given(value) if isinstance(value, dict) else value for key, value in args.items() if value is not None}


def shown(checks: list[verify.Check]) -> list[dict[str, t.Any]]:
    """Return the checks as they are written to files: without advice where there is none."""
    return [{key: value for key, value in check.items() if value or key != "advice"} for check in checks]
