# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide how the engine's container gets its GPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_gpu
short_description: Decide how the engine's container gets its GPUs
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes a host's plan and says which image of Ollama it needs and which devices, capabilities and environment its service is given.
positional: _input, image, rocm_image
options:
  _input:
    description:
      - The plan, as RV(local_llm.fleet.model_plan#filter:_value) has it. An empty one needs no GPU.
    type: dict
    required: true
  image:
    description:
      - The standard image, with CUDA and Vulkan.
    type: str
    required: true
  rocm_image:
    description:
      - The image with ROCm.
    type: str
    required: true
  cdi_devices:
    description:
      - Names of the CDI devices of NVIDIA's kind that the host has.
    type: list
    elements: str
    default: []
  docker_cdi:
    description:
      - Whether Docker reads CDI specifications.
    type: bool
    default: false
  injection:
    description:
      - V(cdi), V(legacy), or V(auto), which is CDI where Docker and the host have it.
    type: str
    default: auto
  architecture:
    description:
      - What C(uname -m) says.
    type: str
    default: x86_64
  environment:
    description:
      - The engine's further environment, as somebody has set it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say which image a host needs
  ansible.builtin.debug:
    msg: "{{ (model_plan_result | local_llm.fleet.engine_gpu('ollama/ollama:0.40.2', 'ollama/ollama:0.40.2-rocm')).image }}"
"""

RETURN = r"""
_value:
  description:
    - C(vendor), C(backend), C(image), C(reservation) (of C(deploy.resources.reservations.devices)), C(devices), C(capabilities),
      C(environment), and C(problems), one line for each setting that cannot be.
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import engine_gpu as decision


def engine_gpu(plan: dict[str, t.Any] | None, image: str, rocm_image: str, **options: t.Any) -> decision.EngineGpu:
    """Return what the engine's service is given for its GPUs."""
    return decision.engine_gpu(plan or {}, image, rocm_image, **options)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"engine_gpu": engine_gpu}
