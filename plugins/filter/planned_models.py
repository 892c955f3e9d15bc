# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a plan's models into what ollama_model takes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: planned_models
short_description: Turn a plan's models into what ollama_model takes
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns the models of a plan as the option O(local_llm.fleet.ollama_model#module:models) takes them. Those that stay in memory are
    loaded as the gateway asks for them.
positional: _input
options:
  _input:
    description:
      - The plan, as P(local_llm.fleet.model_plan#filter) returns it.
    type: dict
    required: true
  preload:
    description:
      - Whether models stay in memory.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Bring the plan's models onto the engine
  local_llm.fleet.ollama_model:
    models: "{{ plan | local_llm.fleet.planned_models }}"
"""

RETURN = r"""
_value:
  description: The models, each with C(name), C(loaded), C(keep_alive), C(options).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import models


def planned_models(plan: t.Mapping[str, t.Any], preload: bool = True) -> list[dict[str, t.Any]]:
    """The filter. See this file's DOCUMENTATION."""
    return models.planned(plan, preload)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"planned_models": planned_models}
