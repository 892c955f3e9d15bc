# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare versions as programs write them."""

from __future__ import annotations

import re


def newer(one: str | None, other: str | None) -> bool:
    """Whether a version such as ``580.95.05`` is that of the other, or newer. Text between the numbers does not count, and None is
    older than all."""
    return [int(part) for part in re.findall("[0-9]+", str(one or "0"))] >= [int(part) for part in re.findall("[0-9]+", str(other or "0"))]
