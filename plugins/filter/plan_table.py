# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say the plans of many hosts in a table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_table
short_description: Say the plans of many hosts in a table
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns a table with a line for each host - what it has, gets, and does not get. Long reasons are cut;
    P(local_llm.fleet.plan_text#filter) says all of one.
positional: _input
options:
  _input:
    description:
      - From host to plan, or to V(none) for a host that did not answer.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the plans of two hosts
  ansible.builtin.debug:
    msg: "{{ {'box7': plan_of_box7, 'box9': plan_of_box9} | local_llm.fleet.plan_table | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The table's lines.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.filter.plan_text import cells

HEADS = ("HOST", "GPU", "MIB", "TIER", "GETS (* stays loaded)", "DOES NOT GET")
WIDTHS = {1: 32, 5: 60}  # characters of GPU and of DOES NOT GET; site.yml and the JSON say all of it


def plan_table(plans: dict[str, dict]) -> list[str]:
    """Return the plans of many hosts as the lines of one table.

    :arg plans: from host to plan; to None for a host that did not answer, to a mapping without one for a host without an engine.
    """
    rows = [list(HEADS)]
    for host, plan in plans.items():
        if plan is not None and "status" not in plan:
            continue  # a mere gateway, which has none
        row = cells(host, plan) if plan else [host, "?", "?", "unread", "-", "no answer: see the task that failed above"]
        for column, width in WIDTHS.items():
            row[column] = row[column] if len(row[column]) <= width else row[column][: width - 3] + "..."
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"plan_table": plan_table}
