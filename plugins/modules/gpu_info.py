#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Read the GPUs and the memory of a machine
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads every GPU of the target and the machine's own memory, and says for each figure where it comes from.
  - Reports what it could not read as a problem, with the raw line. It never guesses, and writes nothing to the target.
  - Knows NVIDIA (C(nvidia-smi), slices of a card in MIG mode, Jetson, GB10, WSL2), AMD (the kernel's C(amdgpu), C(amd-smi),
    C(rocm-smi)), Intel (the kernel's C(xe) and C(i915), C(xpu-smi)) and Apple Silicon (Metal); cards that have no driver
    yet, from the PCI bus; and machines without a GPU.
options:
  timeout:
    description:
      - Seconds a vendor's tool may take before it is stopped and reported as a problem.
    type: int
    default: 15
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it, because it changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux and macOS with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: linux, macos
notes:
  - Reading does not need root. The memory limit of a container that the module runs in counts as the machine's memory.
  - A card that is lent to a virtual machine (C(vfio-pci)) is left out.
  - A card of AMD or Intel that the kernel serves and whose render node is not in C(/dev/dri) is a problem, because a container shows
    cards of its machine that it was not given.
  - A vendor's tool that fails is a problem only where it leaves something open. So an C(nvidia-smi) on a machine whose PCI
    bus shows no NVIDIA card is none.
  - AMD's and Intel's tools give names that the kernel does not know, and memory where it does not tell.
seealso:
  - plugin: local_llm.fleet.model_plan
    plugin_type: filter
    description: Chooses models for what this module has read.
"""

EXAMPLES = r"""
- name: Read the GPUs
  local_llm.fleet.gpu_info:
  register: reading

- name: Show the memory of the first one
  ansible.builtin.debug:
    msg: "{{ reading.gpus[0].name }} has {{ reading.gpus[0].memory_total_mib }} MiB"
  when: reading.gpus | length > 0
"""

RETURN = r"""
gpus:
  description: Every GPU that was found, in the order in which the driver numbers them.
  returned: always
  type: list
  elements: dict
  contains:
    vendor:
      description: Who made it - V(nvidia), V(amd), V(intel) or V(apple).
      type: str
      sample: nvidia
    name:
      description: The name the driver gives it, or its PCI vendor and device number when there is no driver.
      type: str
      sample: NVIDIA GeForce RTX 4090
    uuid:
      description: The driver's lasting name for it. V(none) without a driver, and where there is no such name.
      type: str
      sample: GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90
    pci_address:
      description: Where it sits on the PCI bus, as sysfs writes it. V(none) where it is not on that bus.
      type: str
      sample: "0000:01:00.0"
    kind:
      description:
        - V(dedicated) when it has memory of its own, V(slice) when it is a part of a card in MIG mode, V(unified) when it
          shares the machine's memory.
        - V(unsupported) when the engines leave it alone - graphics in Intel's and most of AMD's processors, cards
          of the driver C(radeon), NVIDIA's before Maxwell (compute capability 5.0).
        - V(unknown) when its memory could not be read.
      type: str
      sample: dedicated
    memory_total_mib:
      description:
        - Its memory in MiB; of a V(unified) GPU what the system lets it use, if the system says so.
        - V(none) when it could not be read, or is not told.
      type: int
      sample: 24564
    memory_free_mib:
      description: What is free of it now, in MiB. V(none) when it could not be read.
      type: int
      sample: 24081
    driver_version:
      description: The loaded driver's version. V(none) without a driver, and where the driver comes with the kernel.
      type: str
      sample: 580.95.05
    compute_capability:
      description: NVIDIA's number for what the GPU can do. V(none) when it could not be read, and for other vendors.
      type: str
      sample: "8.9"
    gfx:
      description:
        - What code an AMD GPU runs, by the kernel's own list of what ROCm can compute on. V(none) where it does not tell, without
          C(/dev/kfd), and for other vendors.
      type: str
      sample: gfx1100
    source:
      description:
        - What its memory was read from - V(nvidia-smi), V(device-tree), V(sysfs), V(amd-smi), V(rocm-smi), V(xpu-smi),
          V(metal), V(iogpu.wired_limit_mb) (a limit set on a Mac), V(hw.memsize) (two thirds of a Mac's memory).
        - V(pci) when the card was seen and no driver serves it.
      type: str
      sample: nvidia-smi
  sample:
    - {vendor: nvidia, name: NVIDIA GeForce RTX 4090, uuid: GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90, pci_address: "0000:01:00.0",
       kind: dedicated, memory_total_mib: 24564, memory_free_mib: 24081, driver_version: 580.95.05, compute_capability: "8.9",
       gfx: null, source: nvidia-smi}
memory:
  description: The machine's own memory, as far as the module's control group may use it.
  returned: always
  type: dict
  contains:
    total_mib:
      description: All of it, in MiB.
      type: int
      sample: 64211
    available_mib:
      description: What programs could get now without swapping, in MiB. V(none) on macOS.
      type: int
      sample: 58120
  sample: {total_mib: 64211, available_mib: 58120}
os:
  description: Name and version of the operating system. V(none) when they could not be read.
  returned: always
  type: str
  sample: Debian 13
problems:
  description: What could not be read, one line each. Empty when everything was.
  returned: always
  type: list
  elements: str
  sample: ["nvidia-smi printed: No devices were found"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import machine
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(argument_spec={"timeout": {"type": "int", "default": 15}}, supports_check_mode=True)
    if module.params["timeout"] <= 0:
        module.fail_json(msg="timeout: set a number of seconds above 0")
    module.exit_json(changed=False, **machine.read(Host(module.params["timeout"])))


if __name__ == "__main__":
    main()
