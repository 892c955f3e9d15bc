# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the changes of many hosts as one table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: changes_table
short_description: Show the changes of many hosts as one table
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns the lines of a table with the host, the role, what differs, in what, and which services are interrupted.
positional: _input
options:
  _input:
    description:
      - What M(local_llm.fleet.host_plan) returned, by host; V(none) for a host that did not answer.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what differs on all hosts
  ansible.builtin.debug:
    msg: "{{ dict(hosts) | local_llm.fleet.changes_table | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The table's lines.
  type: list
  elements: str
"""

import typing as t

HEADS = ("HOST", "ROLE", "WHAT", "WHY", "INTERRUPTS")
TELLING = {"llm_stack", "litellm_native"}  # roles that tell by themselves which settings have no effect
LONGEST = 70  # characters of a cell; the JSON says all of it


def rows_of(host: str, plan: t.Mapping[str, t.Any] | None) -> list[list[str]]:
    """Return a host's rows."""
    if not plan:
        return [[host, "-", "no answer: see the task that failed above", "", ""]]
    if plan.get("failure"):
        return [[host, "-", "not compared: see the failure below", "", ""]]
    rows = [[host, one["role"], one["what"], one["why"], ", ".join(one["restarts"])] for one in plan["changes"]]
    return rows or [[host, "-", "nothing", "", ""]]


def notes_of(host: str, plan: t.Mapping[str, t.Any] | None) -> list[str]:
    """Return what a host's settings have no effect on, where no role is going to tell it."""
    told = (plan or {}).get("notes") or []
    return [] if TELLING & set((plan or {}).get("roles") or []) else ["  [%s] %s" % (host, line) for line in told]


def changes_table(plans: t.Mapping[str, t.Any]) -> list[str]:
    """The filter. See this file's DOCUMENTATION."""
    rows = [list(HEADS), *(row for host, plan in plans.items() for row in rows_of(host, plan))]
    short = [
        [cell if len(cell) <= LONGEST else cell[: LONGEST - 3] + "..." for cell in (" ".join(cell.split()) for cell in row)] for row in rows
    ]
    widths = [max(len(row[column]) for row in short) for column in range(len(HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in short]
    return lines + [line for host, plan in plans.items() for line in notes_of(host, plan)]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"changes_table": changes_table}
