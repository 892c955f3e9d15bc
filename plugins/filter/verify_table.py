# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say to people what a verification has found."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verify_table
short_description: Lay the results of a verification out as a table
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns the lines of a table, one for each check of each host. What failed comes first, with its fix in a line of its own.
positional: _input
options:
  _input:
    description:
      - The results that the role P(local_llm.fleet.stack_verify#role) has left, by host; V(none) for a host that did not answer.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: stack_verify_result} | local_llm.fleet.verify_table }}"
"""

RETURN = r"""
_value:
  description: The table's lines.
  type: list
  elements: str
"""

import typing as t

WIDTH = 110  # columns of what was observed


def cell(value: t.Any) -> str:
    """A value in one line of bounded length."""
    words = " ".join(str(value).split())
    return words if len(words) <= WIDTH else words[: WIDTH - 1] + "…"


def verify_table(results: dict) -> list[str]:
    """The filter. See this file's DOCUMENTATION."""
    rows = [("HOST", "STATUS", "CHECK", "OBSERVED", "")]
    for host, result in results.items():
        if not result:
            rows.append((host, "?", "-", "no answer", ""))
        for check in (result or {}).get("checks", []):
            rows.append((host, check["status"], check["id"], cell(check["observed"]), check.get("advice", "")))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for host, status, check, observed, advice in rows:
        lines.append("%-*s  %-*s  %-*s  %s" % (widths[0], host, widths[1], status, widths[2], check, observed))
        if advice:
            lines.append("%s-> %s" % (" " * (widths[0] + 2), advice))
    return lines


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"verify_table": verify_table}
