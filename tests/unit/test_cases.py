# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input of tests/cases.py gives what is right."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("cases", TOP / "tests/cases.py")
cases = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cases)


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: "%s: %s" % (case.id, case.input[:40]))
def test_case(case):
    text, right = case.gives()
    assert right, text


def test_the_table_names_them_all(capsys):
    assert cases.main(["fallback-default"]) == 0
    assert "| fallback-default | " in capsys.readouterr().out
