#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_native_wait
short_description: Wait until a native gateway answers
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Asks LiteLLM, as it runs without a container, until it answers, or has ended, or the time is over. An answer counts that is the
    gateway's own, and not that of another program on the same port.
  - Fails where it does not answer, and returns the last lines of its log then, without the secrets.
options:
  dir:
    description:
      - Folder with its versions.
    type: path
    required: true
  user:
    description:
      - User that it runs as.
    type: str
    required: true
  address:
    description:
      - IP address that it listens on.
    type: str
    required: true
  port:
    description:
      - TCP port that it listens on.
    type: int
    required: true
  env_file:
    description:
      - File with its secrets, which are masked in the lines of the log.
    type: path
    required: true
  timeout:
    description:
      - Seconds to wait.
    type: int
    default: 180
attributes:
  check_mode:
    description: Waits in check mode too, because asking changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux with systemd, and macOS, with Python 3.9 or newer.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.litellm_native_state
"""

EXAMPLES = r"""
- name: Wait until it answers
  local_llm.fleet.litellm_native_wait:
    dir: /opt/litellm
    user: litellm
    address: 127.0.0.1
    port: 4444
    env_file: /opt/local_llm/.env
"""

RETURN = r"""
ok:
  description: Whether it answers.
  returned: always
  type: bool
  sample: true
seconds:
  description: How long was waited, in seconds.
  returned: always
  type: float
  sample: 12.5
why:
  description: Why it does not answer; empty where it does.
  returned: always
  type: str
  sample: it has ended
lines:
  description: The last lines of its log where it does not answer.
  returned: always
  type: list
  elements: str
  sample: ["ModuleNotFoundError: No module named 'prisma'"]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, native_gateway

TOOL_TIMEOUT = 30  # seconds


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dir": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "env_file": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    found = native_gateway.wait(Host(TOOL_TIMEOUT), module.params, os.uname().sysname == "Darwin")
    if found["ok"]:
        module.exit_json(changed=False, **found)
    module.fail_json(msg="the gateway does not answer: %s" % found["why"], **found)


if __name__ == "__main__":
    main()
