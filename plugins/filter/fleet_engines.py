# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a gateway can ask the engines of other hosts for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_engines
short_description: Tell what a gateway can ask the engines of other hosts for
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes one entry for each host whose plan is known, with what its engine is asked for - those models of its plan that it holds.
  - A host that does not answer keeps what was remembered of it, because the gateway goes round it by itself, and it may be back
    in a minute. A host that never answered gets nothing.
  - A host that is not in O(_input) any more is forgotten.
positional: _input
options:
  _input:
    description:
      - Addresses of the engines, by the names of their hosts.
    type: dict
    required: true
  plans:
    description:
      - The hosts' plans, by the names of the hosts, as far as they are known now.
    type: dict
    default: {}
  remembered:
    description:
      - What this filter returned the last time.
    type: dict
    default: {}
  assume:
    description:
      - Whether a host that does not answer, and of which nothing is remembered, is taken for what its plan says. For a first run that
        is only being checked.
    type: bool
    default: false
  answers:
    description:
      - What the engines said, as RV(local_llm.fleet.ollama_model_info#module:engines) has it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what can be asked for
  ansible.builtin.debug:
    msg: "{{ {'box7': 'http://192.0.2.7:11434'} | local_llm.fleet.fleet_engines(plans={'box7': plan}, answers=asked.engines) }}"
"""

RETURN = r"""
_value:
  description:
    - By the name of its host, each engine's C(api_base), C(has_gpu), and C(models), which is what the option C(backends) of
      P(local_llm.fleet.gateway_config#filter) takes.
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import fleet


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"fleet_engines": fleet.engines}
