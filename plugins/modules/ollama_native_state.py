#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_native_state
short_description: Compare an engine without a container with its settings
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads a host in one round trip, and compares Ollama without a container with what the settings of the roles
    P(local_llm.fleet.site#role) and
    P(local_llm.fleet.ollama_native#role) and the host's plan say. Nothing is changed.
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
  - module: local_llm.fleet.ollama_model
"""

EXAMPLES = r"""
- name: Compare it with its settings
  local_llm.fleet.ollama_native_state:
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
result:
  description:
    - What other roles have to know, the fact C(ollama_native_result) - C(exists) (whether there is an engine to ask at the end of
      this run), C(version), C(models_dir), C(preload), C(restarts).
  returned: success
  type: dict
  sample: {exists: true, version: 0.40.2, models_dir: /var/lib/ollama/models, preload: true, restarts: false}
user:
  description: The user that it runs as.
  returned: success
  type: str
  sample: ollama
has_user:
  description: Whether the host has that user.
  returned: success
  type: bool
  sample: true
group:
  description: The group of root's files.
  returned: success
  type: str
  sample: root
home:
  description: The folder with the models.
  returned: success
  type: str
  sample: /var/lib/ollama
makes_parent:
  description: Whether the folder above that has to be made.
  returned: success
  type: bool
  sample: false
archive:
  description: The archive for this host.
  returned: success
  type: str
  sample: ollama-linux-amd64.tar.zst
checksum:
  description: The SHA-256 that it must have; empty where none is known.
  returned: success
  type: str
  sample: 726bee78706c281b0eeef00746efe51a044d71c592c3f0b195820707f31fdf04
binary:
  description: The program.
  returned: success
  type: str
  sample: /opt/ollama/current/bin/ollama
installed:
  description: The version in use; empty without one.
  returned: success
  type: str
  sample: 0.40.2
is_installed:
  description: Whether the version that is meant lies there.
  returned: success
  type: bool
  sample: true
is_current:
  description: Whether it is in use.
  returned: success
  type: bool
  sample: true
prepare:
  description: Whether user, folders, packages or the version are missing.
  returned: success
  type: bool
  sample: false
is_open:
  description: Whether it listens to more than the host itself.
  returned: success
  type: bool
  sample: false
files:
  description: Files that differ, each with C(path), C(content), C(mode), C(group).
  returned: success
  type: list
  elements: dict
  sample: []
unneeded:
  description: Files that are not needed any more.
  returned: success
  type: list
  elements: str
  sample: []
paths:
  description: All files that it may have.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/ollama.service, /opt/ollama/ollama.env]
saved:
  description: Files that are kept for the way back.
  returned: success
  type: list
  elements: str
  sample: []
jobs:
  description: Jobs of launchd, in the order in which they are started.
  returned: success
  type: list
  elements: str
  sample: []
units:
  description: Units of systemd that are started with the host.
  returned: success
  type: list
  elements: str
  sample: [ollama.service]
digest:
  description: A checksum of all that a start takes up.
  returned: success
  type: str
  sample: 8c6f6ff6a0c9e7
start:
  description: Whether it has to be started, or started again.
  returned: success
  type: bool
  sample: false
is_active:
  description: Whether it runs.
  returned: success
  type: bool
  sample: true
was_started:
  description: Whether a start has ever come to its end.
  returned: success
  type: bool
  sample: true
former:
  description: The version to go back to; empty without one.
  returned: success
  type: str
  sample: ""
older:
  description: Versions that are not needed any more.
  returned: success
  type: list
  elements: str
  sample: []
wake:
  description: Whether a Mac has to be kept awake.
  returned: success
  type: bool
  sample: false
log:
  description: The command that shows its last lines.
  returned: success
  type: list
  elements: str
  sample: [journalctl, -u, ollama]
"""
