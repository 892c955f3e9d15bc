# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a native gateway was not brought to an answer."""

from __future__ import annotations

DOCUMENTATION = r"""
name: litellm_native_failure
short_description: Say why a native gateway was not brought to an answer
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Makes the message of a task that failed - what was seen, what was put back, and what to set.
  - For the role P(local_llm.fleet.litellm_native#role).
positional: stage, gateway
options:
  _input:
    description:
      - The result of the task.
    type: dict
    required: true
  stage:
    description:
      - What the task did - the V(installation), the V(check) of the configuration, or the V(start).
    type: str
    choices: [installation, check, start]
    required: true
  gateway:
    description:
      - What M(local_llm.fleet.litellm_native_state) has returned.
    type: dict
    required: true
  refused:
    description:
      - Files that were put aside on the way back.
    type: list
    elements: str
    default: []
  again:
    description:
      - What M(local_llm.fleet.litellm_native_wait) has returned on the way back.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Stop where it could not be installed
  ansible.builtin.fail:
    msg: "{{ installed | local_llm.fleet.litellm_native_failure('installation', gateway) }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
  sample: >-
    LiteLLM 1.108.7 was not installed: ERROR: No matching distribution found for litellm[proxy]==1.108.7 -> the index has no LiteLLM
    1.108.7 for Python 3.13.5; set litellm_native_version to one that it has
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.local_llm.fleet.plugins.plugin_utils import native_gateway


def litellm_native_failure(
    result: t.Mapping[str, t.Any],
    stage: str,
    gateway: t.Mapping[str, t.Any],
    refused: t.Sequence[str] = (),
    again: t.Mapping[str, t.Any] | None = None,
) -> str:
    """The filter. See this file's DOCUMENTATION."""
    text = "%s\n%s" % (result.get("stderr") or "", result.get("stdout") or "")
    if stage == "installation":
        return native_gateway.installation_failure(text, gateway)
    if stage == "check":
        return native_gateway.refusal("%s\n%s" % (result.get("stdout") or "", result.get("stderr") or ""), gateway)
    if stage == "start":
        return native_gateway.start_failure(result, gateway, refused, again or {})
    raise AnsibleFilterError("litellm_native_failure: there is no stage %s" % stage)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"litellm_native_failure": litellm_native_failure}
