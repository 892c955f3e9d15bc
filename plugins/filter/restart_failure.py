# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a service did not start with new files, and what was put back."""

from __future__ import annotations

DOCUMENTATION = r"""
name: restart_failure
short_description: Say why a service did not start with new files
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes one message from a service's last log lines and from what M(local_llm.fleet.file_snapshot) has put back - the reason, the files,
    and how to fix it.
positional: _input, service, back, runs, fixes, otherwise, details, former
options:
  _input:
    description:
      - The service's last log lines, or the result of the task that failed.
    type: raw
    required: true
  service:
    description:
      - The service's name for people.
    type: str
    required: true
  back:
    description:
      - What the module returned. Empty where nothing was put back.
    type: dict
    default: {}
  runs:
    description:
      - Whether the service runs with the earlier files.
    type: bool
    default: false
  fixes:
    description:
      - What the log may say (C(says), a regular expression), and how to fix that (C(fix)).
    type: list
    elements: dict
    default: []
  otherwise:
    description:
      - The fix where none of them matches.
    type: str
    default: ""
  details:
    description:
      - Further lines to show, such as those of the containers that do not run.
    type: str
    default: ""
  former:
    description:
      - The version that runs again, where the service itself was another one.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Fail, and say what was put back
  ansible.builtin.fail:
    msg: "{{ journal.stdout | local_llm.fleet.restart_failure('Docker', back, true) }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
  sample: >-
    Docker did not start with the new /etc/docker/daemon.json: unable to configure the Docker daemon. The earlier file was put back, and
    Docker runs again. What was refused is /etc/docker/daemon.json.refused.
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.plugin_utils import restart


def restart_failure(
    log: str | dict[str, t.Any] | None,
    service: str,
    back: dict[str, t.Any] | None = None,
    runs: bool = False,
    fixes: list[dict[str, str]] | None = None,
    otherwise: str = "",
    details: str = "",
    former: str = "",
) -> str:
    """Return the message for a service that did not start with new files."""
    return restart.failure(log or "", service, back or {}, runs, fixes or [], otherwise, details or "", former)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"restart_failure": restart_failure}
