# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit tests share: the collection's files, as data."""

from __future__ import annotations

from pathlib import Path

import pytest

COLLECTION = Path(__file__).resolve().parents[2]


@pytest.fixture
def collection() -> Path:
    """The collection's root."""
    return COLLECTION


@pytest.fixture
def recorded():
    """A function that returns the bytes of a recorded output under tests/unit/data."""
    return lambda name: (COLLECTION / "tests" / "unit" / "data" / name).read_bytes()
