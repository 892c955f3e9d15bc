#!/usr/bin/env python3
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of tests/machines as an inventory, with their wishes as the variables of the roles model_plan and nvidia_driver."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests/machines"))
import make


def hosts(machines, prefix, role):
    return {
        prefix + name: {
            "ansible_connection": "community.docker.docker",
            "ansible_host": f"machine-{prefix}{name}",
            "ansible_become": False,  # they are asked as root, and have no sudo
            "ansible_python_interpreter": "/usr/bin/python3",
            **{f"{role}_{wish}": value for wish, value in machine.get("wishes", {}).items()},
        }
        for name, machine in machines.items()
    }


planned = hosts(make.load(), "", "model_plan")
driven = hosts(make.load_drivers(), "driver-", "nvidia_driver")
groups = {"llm_hosts": {"hosts": list(planned)}, "drivers": {"hosts": list(driven)}}
print(json.dumps({**groups, "_meta": {"hostvars": {**planned, **driven}}}))
