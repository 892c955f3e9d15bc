# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set values in an environment file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: env_update
short_description: Set values in an environment file
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Returns the text of an environment file with some values set, in quotes where Compose needs them. A second statement of
    such a name is removed. All other text stays as it is, in its place, except a byte order mark.
positional: _input
options:
  _input:
    description:
      - The file's text.
    type: str
    required: true
  values:
    description:
      - The values to set, by name. V(none) removes a name. A value may hold every character except NUL.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the file with a value that it did not have
  ansible.builtin.debug:
    msg: "{{ 'A=1' | local_llm.fleet.env_update({'B': '2'}) }}"
"""

RETURN = r"""
_value:
  description: The file's text.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.local_llm.fleet.plugins.module_utils import env_file


def env_update(text: str, values: dict[str, str | None]) -> str:
    """Return an environment file's text with some values set."""
    try:
        return env_file.update(text, values)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"env_update": env_update}
