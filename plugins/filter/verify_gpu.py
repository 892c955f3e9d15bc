# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether the engine's models are wholly on the GPU."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verify_gpu
short_description: Judge whether the engine's models are wholly on the GPU
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Takes what the engine says of its loaded models, and what the driver sees of its processes, and returns one check for each model and one
    for both witnesses.
positional: _input, fault, processes
options:
  _input:
    description:
      - Entries of C(/api/ps), each with C(name), C(size) and C(size_vram) in bytes.
    type: list
    elements: dict
    required: true
  fault:
    description:
      - The status of a check that does not pass, V(fail) or V(warn).
    type: str
    default: fail
  processes:
    description:
      - What C(nvidia-smi --query-compute-apps=process_name,used_memory --format=csv,noheader,nounits) prints on the host. Without it the
        engine's word stands alone.
    type: str
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.debug:
    msg: "{{ [{'name': 'gpt-oss:20b', 'size': 100, 'size_vram': 100}] | local_llm.fleet.verify_gpu }}"
"""

RETURN = r"""
_value:
  description: Checks, each with C(id), C(status), C(observed) and C(advice).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import verify_gpu as decision


def verify_gpu(loaded: list[dict[str, t.Any]], fault: str = "fail", processes: str | None = None) -> list[decision.Check]:
    """Return the checks of the models that are to be on a GPU."""
    return decision.gpu_checks(loaded, fault, processes)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"verify_gpu": verify_gpu}
