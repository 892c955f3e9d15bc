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
  - This version knows NVIDIA cards with memory of their own, cards without a driver (from the PCI bus), and machines
    without a GPU.
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
    description: Linux with Python 3.9 or newer. No other package is needed.
    support: full
    platforms: linux
notes:
  - Reading does not need root. The memory limit of a container that the module runs in counts as the machine's memory.
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
      description: Who made it.
      type: str
      sample: nvidia
    name:
      description: The name the driver gives it, or its PCI vendor and device number when there is no driver.
      type: str
      sample: NVIDIA GeForce RTX 4090
    uuid:
      description: The driver's lasting name for it. V(none) without a driver.
      type: str
      sample: GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90
    pci_address:
      description: Where it sits, as sysfs writes it.
      type: str
      sample: "0000:01:00.0"
    kind:
      description: V(dedicated) when it has memory of its own, V(unknown) when its memory could not be read.
      type: str
      sample: dedicated
    memory_total_mib:
      description: Its memory in MiB. V(none) when it could not be read.
      type: int
      sample: 24564
    memory_free_mib:
      description: What is free of it now, in MiB. V(none) when it could not be read.
      type: int
      sample: 24081
    driver_version:
      description: The loaded driver's version. V(none) without a driver.
      type: str
      sample: 580.95.05
    compute_capability:
      description: NVIDIA's number for what the GPU can do. V(none) when it could not be read.
      type: str
      sample: "8.9"
    source:
      description: What this was read from, V(nvidia-smi) or V(pci).
      type: str
      sample: nvidia-smi
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
      description: What programs could get now without swapping, in MiB.
      type: int
      sample: 58120
  sample: {total_mib: 64211, available_mib: 58120}
problems:
  description: What could not be read, one line each. Empty when everything was.
  returned: always
  type: list
  elements: str
  sample: ["nvidia-smi printed: No devices were found"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import nvidia, system


class GpuInfo:
    """Collects the readings of all vendors."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.timeout: int = module.params["timeout"]

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        """Run a vendor's tool, ended by coreutils' timeout (rc 124) when it hangs."""
        bound = self.module.get_bin_path("timeout")
        if bound:
            command = [bound, "--kill-after=2", str(self.timeout)] + command
        rc, out, err = self.module.run_command(command, environ_update={"LC_ALL": "C"}, errors="replace")
        if bound and rc in (124, 137):
            err = "no answer within %d s" % self.timeout
        return rc, out, err

    @staticmethod
    def open_text(path: str) -> str | None:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return None

    def read(self) -> dict:
        gpus, problems = nvidia.read(self.run_command, self.module.get_bin_path)
        memory, more = system.read(self.open_text)
        return {"gpus": gpus, "memory": memory, "problems": problems + more}


def main() -> None:
    module = AnsibleModule(argument_spec={"timeout": {"type": "int", "default": 15}}, supports_check_mode=True)
    module.exit_json(changed=False, **GpuInfo(module).read())


if __name__ == "__main__":
    main()
