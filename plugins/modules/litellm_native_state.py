#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_native_state
short_description: Compare a gateway without a container with its settings
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads a host in one round trip, and compares LiteLLM without a container with what the settings of the roles
    P(local_llm.fleet.site#role) and
    P(local_llm.fleet.litellm_native#role) and the host's plan say. Nothing is changed.
  - It takes the variables of the host by their names, so that they need not be handed over.
options:
  plan:
    description:
      - The host's model plan, where it is not the one that the host has.
    type: dict
attributes:
  check_mode:
    description: Reads in check mode too, because reading changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description: Linux with systemd, and macOS, with Python 3.9 or newer.
    support: full
    platforms: posix
seealso:
  - module: local_llm.fleet.host_info
  - module: local_llm.fleet.litellm_native_wait
  - module: local_llm.fleet.stack_secrets
"""

EXAMPLES = r"""
- name: Compare it with its settings
  local_llm.fleet.litellm_native_state:
  register: found

- name: Show what differs
  ansible.builtin.debug:
    msg: "{{ found.changes }}"
"""

RETURN = r"""
changes:
  description:
    - All differences, in the order in which they are made good, each with C(what), C(why) and C(restarts) (services that are
      interrupted).
  returned: success
  type: list
  elements: dict
  sample: []
problems:
  description: What is wrong with the settings and with the host, a line each.
  returned: success
  type: list
  elements: str
  sample: []
secret_problems:
  description: What is wrong with the key that was given.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: Settings without an effect on this host, a line each.
  returned: success
  type: list
  elements: str
  sample: []
result:
  description:
    - What other roles have to know, the fact C(litellm_native_result) - C(exists) (whether there is a gateway to ask at the end
      of this run), C(version).
  returned: success
  type: dict
  sample: {exists: true, version: 1.104.2}
user:
  description: The user that it runs as.
  returned: success
  type: str
  sample: litellm
has_user:
  description: Whether the host has that user.
  returned: success
  type: bool
  sample: true
own_user:
  description: Whether the role has made that user.
  returned: success
  type: bool
  sample: true
comment:
  description: The comment of the user that the role makes.
  returned: success
  type: str
  sample: Gateway of the local LLM stack
group:
  description: The group of root's files.
  returned: success
  type: str
  sample: root
service_path:
  description: The file of its service.
  returned: success
  type: str
  sample: /etc/systemd/system/local-llm-gateway.service
apt:
  description: The package of Debian that makes virtual environments; empty where nothing is missing.
  returned: success
  type: str
  sample: ""
folders:
  description: Folders that are not as they should be, each with C(path), C(owner), C(group), C(mode).
  returned: success
  type: list
  elements: dict
  sample: []
authorities:
  description: Whether the file with authorities differs.
  returned: success
  type: bool
  sample: false
env_file:
  description: The file with the secrets.
  returned: success
  type: str
  sample: /opt/local_llm/.env
env_names:
  description: The variables in it that have a value.
  returned: success
  type: list
  elements: str
  sample: [LITELLM_MASTER_KEY]
environment:
  description: What has to be done to it, as M(local_llm.fleet.stack_secrets) takes it; empty for nothing.
  returned: success
  type: dict
  sample: {}
requirements:
  description: What pip is given.
  returned: success
  type: str
  sample: "litellm[proxy]==1.104.2\nprisma==0.15.0"
install:
  description: The environment of the installation.
  returned: success
  type: dict
  sample: {VENV: /opt/litellm/versions/1.104.2-0123abcd, INTERPRETER: /usr/bin/python3, HASHES: ''}
name:
  description: The name of the virtual environment.
  returned: success
  type: str
  sample: 1.104.2-0123abcd
venv:
  description: Its folder.
  returned: success
  type: str
  sample: /opt/litellm/versions/1.104.2-0123abcd
python_version:
  description: The version of the Python that it runs with; empty without one.
  returned: success
  type: str
  sample: 3.13.5
is_installed:
  description: Whether it is there.
  returned: success
  type: bool
  sample: true
files:
  description: Files that differ, each with C(path), C(content), C(mode), C(group).
  returned: success
  type: list
  elements: dict
  sample: []
config:
  description: The configuration, where it has to be checked before it is written; empty elsewhere.
  returned: success
  type: str
  sample: ""
switch:
  description: Whether another virtual environment is to be used.
  returned: success
  type: bool
  sample: false
is_first:
  description: Whether there is none yet.
  returned: success
  type: bool
  sample: false
current:
  description: The virtual environment in use; empty without one.
  returned: success
  type: str
  sample: 1.104.2-0123abcd
former:
  description: The one before; empty without one.
  returned: success
  type: str
  sample: ""
links:
  description: Where the links C(current) and C(former) are to point.
  returned: success
  type: dict
  sample: {}
has_former:
  description: Whether there is something to go back to.
  returned: success
  type: bool
  sample: false
runs:
  description: Whether it runs with the files that lie there.
  returned: success
  type: bool
  sample: true
start:
  description: Whether it has to be started, or started again.
  returned: success
  type: bool
  sample: false
older:
  description: Virtual environments that are not needed any more.
  returned: success
  type: list
  elements: str
  sample: []
become:
  description: The command that runs another one as its user.
  returned: success
  type: list
  elements: str
  sample: [runuser, -u, litellm]
wait:
  description: Options of M(local_llm.fleet.litellm_native_wait).
  returned: success
  type: dict
  sample: {dir: /opt/litellm, user: litellm, address: 127.0.0.1, port: 4444, env_file: /opt/local_llm/.env}
log:
  description: Where a person finds its log.
  returned: success
  type: str
  sample: "`journalctl -u local-llm-gateway`"
"""
