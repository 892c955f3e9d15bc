# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a stack is judged by: its host, and the engines of other hosts that its gateway asks."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..module_utils import env_file
from . import native_gateway, stack
from .inputs import Inputs, new_salt, silent
from .services import in_containers

#: Runs a module of this collection on the host: its name, and its options.
Run = t.Callable[[str, dict[str, t.Any]], dict[str, t.Any]]
COLLECTION = "local_llm.fleet."
ENGINE_TIMEOUT = 5  # seconds that an engine of another host may take to say which models it holds


@dataclass
class Found:
    """What was read, and the stack that the host is to have.

    :arg failure: why nothing could be read; empty where it could.
    """

    stack: stack.Stack
    problems: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    failure: str = ""


def notes(found: Found) -> list[str]:
    """Return which settings have no effect on the host, and which engines do not answer, a line each."""
    made = found.stack
    lines = list(made.gateway["notes"]) if made.has["litellm"] else []
    if not found.silent:
        return lines
    kept = "routes to them stay as they were" if "engines.json" in made.reading["files"] else "there are no routes to them yet"
    return [*lines, "No answer from %s: %s" % (", ".join(found.silent), kept)]


class StackReading:
    """Reads one host.

    :arg inputs: its settings.
    :arg run: what runs modules on it.
    """

    def __init__(self, inputs: Inputs, run: Run) -> None:
        self.inputs, self.run = inputs, run

    def read(
        self,
        plan: t.Mapping[str, t.Any] | None,
        check_mode: bool,
        decide: t.Callable[[dict[str, t.Any]], t.Mapping[str, t.Any] | None] | None = None,
        more: t.Callable[[], dict[str, t.Any]] = dict,
        asks: bool = True,
    ) -> Found:
        """Read the host in one round trip, and the engines of others, where its gateway asks them, in another.

        :arg plan: the host's plan, where it is not the one that it has.
        :arg decide: makes the plan from what was read.
        :arg asks: whether engines of other hosts are asked.
        :arg more: returns further options of ``host_info``, which may depend on the operating system.
        """
        inputs, answers = self.inputs, None
        options = {**self.options(), **more()}
        reading = self.run(COLLECTION + "host_info", options)
        empty = stack.Stack(inputs.settings, stack.Node(inputs.name), reading)
        if reading.get("failed"):
            return Found(empty, failure=str(reading.get("msg")))
        if "system" in reading:
            was_mac = inputs.is_mac
            inputs.learn(reading["system"])
            if inputs.is_mac and not was_mac:  # which has other services in containers, and no units
                return self.read(plan, check_mode, decide, more, asks)
        if asks and self.asks_engines():
            asked = self.run(COLLECTION + "ollama_model_info", {"engines": inputs.engine_addresses(), "timeout": ENGINE_TIMEOUT})
            if asked.get("failed"):
                return Found(empty, failure=str(asked.get("msg")))
            answers = asked.get("engines") or {}
        made = inputs.stack_of(reading, answers, decide(reading) if decide else plan, check_mode)
        return Found(made, inputs.problems(made, answers), silent(answers))

    def options(self) -> dict[str, t.Any]:
        """Return the options of ``host_info``. Secrets that are given are compared by their digests."""
        inputs = self.inputs
        options = stack.parameters(inputs.settings, inputs.is_mac)
        if not inputs.ports_are_good:
            options["ports"] = []
        salt, blank = new_salt(), inputs.stack_of({"files": {}, "containers": [], "units": {}})
        values = stack.secret_values(blank, {**blank.given, **blank.told})
        if "gateway" in inputs.native and "litellm_native_dir" in inputs.settings:
            values.update(inputs.native_gateway({"native_gateway": native_gateway.NOTHING}, None).told)
        options["environment"] = {name: env_file.digest(value, salt) for name, value in values.items()}
        return {**options, "environment_salt": salt}

    def asks_engines(self) -> bool:
        """Whether the gateway in its container asks engines of other hosts, and these are known."""
        inputs, engines = self.inputs, self.inputs.variables.get("llm_stack_engines", self.inputs.settings["llm_stack_engines"])
        if isinstance(engines, str) or inputs.is_blind or "litellm" not in in_containers(inputs.settings, inputs.is_mac):
            return False
        known = (inputs.variables.get("groups") or {}).get("all") or []
        return bool([name for name in engines if name != inputs.name]) and all(name in known for name in engines)
