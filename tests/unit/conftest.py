# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit tests share: the collection's files, as data."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

COLLECTION = Path(__file__).resolve().parents[2]


@pytest.fixture
def collection() -> Path:
    """The collection's root."""
    return COLLECTION


@pytest.fixture
def recorded():
    """A function that returns the bytes of a recorded output under tests/unit/data."""
    return lambda name: (COLLECTION / "tests" / "unit" / "data" / name).read_bytes()


@pytest.fixture
def run_module(monkeypatch):
    """A function that runs a module's main function with options, and returns its result."""

    def run(main, options, check=False):
        said = {}

        def end(_self, **result):
            said.update({"failed": False, **result})
            raise SystemExit

        def fail(_self, msg, **result):
            said.update({"failed": True, "msg": msg, **result})
            raise SystemExit

        monkeypatch.setattr(AnsibleModule, "exit_json", end)
        monkeypatch.setattr(AnsibleModule, "fail_json", fail)
        with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            main()
        return said

    return run
