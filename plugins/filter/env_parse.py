# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an environment file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: env_parse
short_description: Read an environment file
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads the text of an environment file by the rules of Compose, and returns its values.
positional: _input
options:
  _input:
    description:
      - The file's text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show which variables have a value
  ansible.builtin.debug:
    msg: "{{ 'A=1' | local_llm.fleet.env_parse | list }}"
"""

RETURN = r"""
_value:
  description:
    - The values that Compose has where its environment sets none of the variables, by name. The last statement of a name counts.
  type: dict
"""

import typing as t

from ansible_collections.local_llm.fleet.plugins.module_utils import env_file


def env_parse(text: str | None) -> dict[str, str]:
    """Return an environment file's values by name."""
    return env_file.parse(text or "")["values"]  # an empty template is None


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, t.Callable]:
        return {"env_parse": env_parse}
