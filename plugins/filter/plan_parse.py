# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the plan that an earlier run has left on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_parse
short_description: Read the text of a plan.json
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns the plan that an earlier run has left on a host. A text that is none, or is of another form than this version's,
    gives an empty dict.
positional: _input
options:
  _input:
    description:
      - The file's text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Read a host's plan
  ansible.builtin.slurp:
    src: /opt/local_llm/plan.json
  register: file

- name: Show its tier
  ansible.builtin.debug:
    msg: "{{ (file.content | b64decode | local_llm.fleet.plan_parse).tier | default('no plan') }}"
"""

RETURN = r"""
_value:
  description: The plan, as P(local_llm.fleet.model_plan#filter) returns it.
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import model_plan


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"plan_parse": model_plan.parse}
