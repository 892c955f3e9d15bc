# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the models that fit a machine: pure functions from a reading, data and wishes to a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: model_plan
short_description: Choose the models that fit a machine
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes the plan of one host from what M(local_llm.fleet.gpu_info) has read, a catalog of models, a table of tiers, and
    the wishes of whoever runs the host. The same input gives the same plan; what is free at the moment plays no part.
  - The budget is the memory of the largest GPU that has memory of its own, or of several equal ones by choice; what the
    system lets a GPU use that shares the machine's memory; three quarters of the machine's memory where there is no GPU.
    The tier is the highest of that kind whose floor the budget reaches. A nominal size counts as reached from 92 % of it,
    because cards show less than they are sold as.
  - A model needs its weights, its context's cache, and 1024 MiB besides. Models that a tier keeps resident must fit
    together, the others each alone. The context is the largest that fits, up to the tier's limit. An embedding model
    that does not fit beside the resident ones is placed on the CPU, so that it does not drive them out.
  - C(engine.backend) says what the engine computes with - V(cuda), V(rocm), V(vulkan), V(metal) or V(cpu). AMD GPUs are used by ROCm
    where the C(gfx) of all that the budget counts is one of C(rocm_targets), and else by Vulkan, as Intel's are.
  - Nothing is chosen from a reading with problems that would lower a host below its earlier plan, or that has no earlier
    plan, until the host is told its tier.
positional: _input
options:
  _input:
    description:
      - What M(local_llm.fleet.gpu_info) returned.
    type: dict
    required: true
  catalog:
    description:
      - The models, by name. Each has C(route), C(mode) (V(chat) or V(embedding)), C(bytes), C(kv_bytes_per_token) and
        C(max_context), and may have C(good_for).
    type: dict
    required: true
  tiers:
    description:
      - The tiers, by name. Each has C(floor_gib), C(models), C(resident) and C(max_context), and may have C(aliases) and
        C(kind) (V(cpu), V(dedicated) or V(unified)). Without C(kind) a tier is for V(dedicated) memory, and with a floor
        of 0 for V(cpu).
    type: dict
    required: true
  wishes:
    description:
      - What is wanted of this host. The keys are those of the role's variables without C(model_plan_) - C(tier),
        C(tier_minimum), C(add), C(drop), C(require), C(reserve_mib), C(pool), C(gpus), C(num_parallel),
        C(kv_cache_type), C(keep_alive), C(rocm_targets), C(allow_downgrade) - and are described there.
    type: dict
    default: {}
  before:
    description:
      - The host's earlier plan, if it has one.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Read the host
  local_llm.fleet.gpu_info:
  register: reading

- name: Plan it, with one more model and 2 GiB left to others
  ansible.builtin.set_fact:
    plan: >-
      {{ reading | local_llm.fleet.model_plan(catalog=my_catalog, tiers=my_tiers,
                                              wishes={'add': ['qwen3:8b'], 'reserve_mib': 2048}) }}
"""

RETURN = r"""
_value:
  description:
    - The plan. C(status) is V(final); V(provisional) when a card has no driver yet; or V(refused) when wishes or data
      cannot be followed, or when the reading cannot be relied on. A plan that is not final names no models, and says in
      C(refusal), in one line, what stands in the way and what to set.
  type: dict
  sample:
    schema: 1
    status: final
    refusal: null
    host:
      os: Debian 13
      memory_mib: 64211
      gpus:
        - name: NVIDIA GeForce RTX 5080
          kind: dedicated
          mib: 16303
          uuid: GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90
          pci_address: "0000:01:00.0"
    tier: vram_16
    budget: {kind: dedicated, vendor: nvidia, gpus: [GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90], mib: 16303, reserve_mib: 0}
    engine:
      name: ollama
      backend: cuda
      context_length: 32768
      num_parallel: 1
      max_loaded_models: 2
      keep_alive: 5m
      kv_cache_type: f16
      flash_attention: auto
      gpus: null
    models:
      - name: gpt-oss:20b
        route: gpt-oss-20b
        mode: chat
        engine: ollama
        placement: gpu
        resident: true
        preload: true
        context: 32768
        bytes: 13793441244
        need_mib: {weights: 13155, kv: 1536, overhead: 1024, total: 15715}
    skipped: []
    problems: []
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import model_plan


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"model_plan": model_plan}
