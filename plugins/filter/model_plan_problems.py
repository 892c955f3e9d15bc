# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for mistakes in what plans are made from, before a host is asked for anything."""

from __future__ import annotations

DOCUMENTATION = r"""
name: model_plan_problems
short_description: Say what is wrong with tiers, catalog and wishes
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns what P(local_llm.fleet.model_plan#filter) would refuse whatever host it plans for, such as an unknown tier.
positional: _input
options:
  _input:
    description:
      - The wishes, as P(local_llm.fleet.model_plan#filter) takes them.
    type: dict
    required: true
  catalog:
    description:
      - The models that can be chosen.
    type: dict
    required: true
  tiers:
    description:
      - The tiers.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse a tier that is none
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('; ') }}"
  vars:
    problems: "{{ {'tier': model_plan_tier} | local_llm.fleet.model_plan_problems(catalog=my_catalog, tiers=my_tiers) }}"
"""

RETURN = r"""
_value:
  description: One line for each mistake, with the variable to set.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import model_plan


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"model_plan_problems": model_plan.setting_problems}
