#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_driver_info
short_description: Read which NVIDIA driver a machine has, needs and can load
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads in one round trip all that decides about the driver of NVIDIA GPUs - the cards on the PCI bus, the driver that is loaded, the
    modules and libraries on disk, what C(nvidia-smi) says, Secure Boot, nouveau, the packages and the kernels.
  - It needs no driver, and no C(lspci). It judges nothing and changes nothing; the filter P(local_llm.fleet.nvidia_driver_plan#filter)
    decides.
options:
  files:
    description:
      - Files whose checksums are read.
    type: list
    elements: path
    default: []
  timeout:
    description:
      - Seconds that a tool such as C(nvidia-smi) may take to answer.
    type: int
    default: 30
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it, because it changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux with Python 3.9 or newer. No other package is needed; tools are read where they are.
    support: full
    platforms: linux
seealso:
  - plugin: local_llm.fleet.nvidia_driver_plan
    plugin_type: filter
  - module: local_llm.fleet.gpu_info
"""

EXAMPLES = r"""
- name: Read the driver
  local_llm.fleet.nvidia_driver_info:
  register: driver

- name: Is what is loaded what is on disk?
  ansible.builtin.assert:
    that: driver.loaded.version == driver.modules[driver.kernel.release].version
    fail_msg: The driver was upgraded and the machine has not been restarted since.
"""

RETURN = r"""
platform:
  description:
    - V(machine), or one whose driver is not a matter of packages - V(wsl) (it is Windows'), V(tegra) (it is JetPack's), V(dgx) (it is
      DGX OS'), V(vgpu) (a virtual machine with a share of a GPU, whose guest driver comes with the hypervisor's vGPU release).
  returned: success
  type: str
  sample: machine
vgpu:
  description: What shows that the GPUs are vGPUs. Empty where nothing does.
  returned: success
  type: str
  sample: ""
virtual:
  description: Whether this is a virtual machine. V(none) where the processor does not tell.
  returned: success
  type: bool
  sample: false
system:
  description: The operating system.
  returned: success
  type: dict
  contains:
    id:
      description: The C(ID) of C(/etc/os-release).
      type: str
      sample: debian
    like:
      description: Its C(ID_LIKE).
      type: str
      sample: "rhel centos fedora"
    version:
      description: Its C(VERSION_ID).
      type: str
      sample: "13"
    codename:
      description: Its C(VERSION_CODENAME).
      type: str
      sample: trixie
    base_codename:
      description: Its C(UBUNTU_CODENAME) or C(DEBIAN_CODENAME), the release that a derivative is made of.
      type: str
      sample: ""
    platform:
      description: Its C(PLATFORM_ID).
      type: str
      sample: ""
    name:
      description: Name and version, for messages.
      type: str
      sample: Debian 13
    package_tool:
      description: The tool that manages the host's packages - V(apt), V(dnf), V(zypper), V(pacman), V(yum), or empty.
      type: str
      sample: apt
    machine:
      description: What C(uname -m) says.
      type: str
      sample: x86_64
  sample: {id: debian, like: "", version: "13", codename: trixie, base_codename: "", platform: "", name: Debian 13, package_tool: apt,
           machine: x86_64}
kernel:
  description: The kernels.
  returned: success
  type: dict
  contains:
    release:
      description: The one that runs.
      type: str
      sample: 6.12.41+deb13-amd64
    installed:
      description: Those that have modules on disk, the newest last.
      type: list
      elements: str
      sample: [6.12.38+deb13-amd64, 6.12.41+deb13-amd64]
    metapackages:
      description: Packages that bring the newest kernel of a kind, and the kernel that each of them brings now.
      type: dict
      sample: {linux-image-generic: linux-image-6.8.0-60-generic}
  sample:
    release: 6.12.41+deb13-amd64
    installed: [6.12.41+deb13-amd64]
    metapackages: {linux-image-amd64: linux-image-6.12.41+deb13-amd64}
cards:
  description: NVIDIA's GPUs on the PCI bus, without those that are lent to virtual machines.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: Where it is.
      type: str
      sample: "0000:01:00.0"
    device:
      description: Its PCI device number.
      type: str
      sample: "2684"
    driver:
      description: The kernel's driver that serves it. V(none) when none does.
      type: str
      sample: nouveau
    generation:
      description: Its generation, from V(maxwell) to V(blackwell); V(older) for what no current driver serves.
      type: str
      sample: ada
  sample: [{address: "0000:01:00.0", device: "2684", driver: nouveau, generation: ada}]
lent:
  description: PCI addresses of NVIDIA's GPUs that are lent, or set aside, for virtual machines.
  returned: success
  type: list
  elements: str
  sample: []
switches:
  description: The number of NVSwitches.
  returned: success
  type: int
  sample: 0
loaded:
  description: The driver that is loaded.
  returned: success
  type: dict
  contains:
    version:
      description: Its version. V(none) when none of NVIDIA's is loaded.
      type: str
      sample: 580.126.09
    open:
      description: Whether it is the one with open kernel modules. V(none) when that could not be read.
      type: bool
      sample: true
  sample: {version: 580.126.09, open: true}
modules:
  description: NVIDIA's modules on disk, by kernel.
  returned: success
  type: dict
  contains:
    version:
      description: The driver's version.
      type: str
      sample: 580.126.09
    open:
      description: Whether they are the open ones.
      type: bool
      sample: true
    signer:
      description: Who signed them; empty when nobody did.
      type: str
      sample: DKMS module signing key
    fresh:
      description: Whether they came onto the disk after the machine was started.
      type: bool
      sample: false
  sample: {6.12.41+deb13-amd64: {version: 580.126.09, open: true, signer: DKMS module signing key, fresh: false}}
library:
  description: The version of the driver's library C(libnvidia-ml) on disk. V(none) where there is none.
  returned: success
  type: str
  sample: 580.126.09
smi:
  description: What C(nvidia-smi) says.
  returned: success
  type: dict
  contains:
    status:
      description: Its exit status. V(none) when there is no such tool, or it did not answer in time.
      type: int
      sample: 0
    gpus:
      description: How many GPUs it shows.
      type: int
      sample: 1
    version:
      description: The driver's version. V(none) when it shows no GPU.
      type: str
      sample: 580.126.09
    text:
      description: What it says instead of a GPU, in one line. Empty where all that it says is about GPUs.
      type: str
      sample: ""
    warnings:
      description: What it says beside the GPUs that it shows, and that does not keep them from working.
      type: list
      elements: str
      sample: []
  sample: {status: 0, gpus: 1, version: 580.126.09, text: "", warnings: []}
nouveau:
  description: The driver that comes with the kernel.
  returned: success
  type: dict
  contains:
    loaded:
      description: Whether it is loaded.
      type: bool
      sample: false
    blocked:
      description: Whether some file keeps it from being loaded.
      type: bool
      sample: true
  sample: {loaded: false, blocked: true}
secure_boot:
  description: Secure Boot.
  returned: success
  type: dict
  contains:
    enabled:
      description: Whether the firmware demands signed modules.
      type: bool
      sample: false
    enrolled:
      description: Whether the firmware knows the key that DKMS signs with. V(none) when there is no such key, or no C(mokutil).
      type: bool
      sample: false
  sample: {enabled: false, enrolled: false}
packages:
  description: The packages of NVIDIA's driver that are installed, by name; not those for containers, kernels or computing.
  returned: success
  type: dict
  contains:
    version:
      description: The package's version.
      type: str
      sample: 580.126.09-1
    held:
      description: Whether it is held back from upgrades.
      type: bool
      sample: false
  sample: {nvidia-driver-cuda: {version: 580.126.09-1, held: false}}
dnf_excludes:
  description: Which packages automatic upgrades of the RHEL family leave out. V(none) where there are none of that kind.
  returned: success
  type: list
  elements: str
  sample: null
runfile:
  description: Whether the driver was installed by NVIDIA's own installer, and not by packages.
  returned: success
  type: bool
  sample: false
dkms:
  description: What C(dkms status) says of NVIDIA's modules.
  returned: success
  type: list
  elements: str
  sample: ["nvidia/580.126.09, 6.12.41+deb13-amd64, x86_64: installed"]
units:
  description: The driver's services.
  returned: success
  type: dict
  contains:
    exists:
      description: Whether there is such a service.
      type: bool
      sample: true
    enabled:
      description: Whether it is started with the machine.
      type: bool
      sample: true
    active:
      description: Whether it runs.
      type: bool
      sample: true
  sample:
    nvidia-persistenced: {exists: true, enabled: true, active: true}
    nvidia-fabricmanager: {exists: false, enabled: false, active: false}
files:
  description: SHA-256 of the O(files), by path; empty where there is no such file.
  returned: success
  type: dict
  sample: {/etc/modprobe.d/local-llm-nvidia.conf: ""}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, nvidia_driver


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "path", "default": []},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    if module.params["timeout"] <= 0:
        module.fail_json(msg="timeout: set a number of seconds above 0")
    module.exit_json(changed=False, **nvidia_driver.read(Host(module.params["timeout"]), module.params["files"]))


if __name__ == "__main__":
    main()
