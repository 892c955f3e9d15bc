# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what is wrong with settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: problems
short_description: Find what is wrong with the settings of a role
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns a line for each problem - the variable, what is wrong with it, and what to set. It takes the variables of the host by their
    names, so that they need not be handed over.
  - For the roles of this collection, which bring these variables along.
options:
  _terms:
    description:
      - What is looked at - V(site_ollama) (who may ask an engine), V(secrets) (secrets that were given).
    type: list
    elements: str
    choices: [site_ollama, secrets]
    required: true
"""

EXAMPLES = r"""
- name: Fail on invalid settings
  ansible.builtin.fail:
    msg: "{{ problems | join('; ') }}"
  vars:
    problems: "{{ query('local_llm.fleet.problems', 'secrets') }}"
  when: problems | length > 0
"""

RETURN = r"""
_raw:
  description: A line for each problem; none where nothing is wrong.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import Templated
from ansible_collections.local_llm.fleet.plugins.plugin_utils.stack_problems import SUBJECTS


class LookupModule(LookupBase):
    """The lookup of this file."""

    def run(self, terms: list[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        known = Templated(variables or {}, self._templar.template)
        unknown = [term for term in terms if term not in SUBJECTS]
        if unknown:
            raise AnsibleLookupError("there is no %s; ask for some of %s" % (", ".join(unknown), ", ".join(SUBJECTS)))
        return [problem for term in terms for problem in SUBJECTS[term](known)]
