# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

"""What the roles say about themselves is what they do."""

import re
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir())
TYPES = {"str": str, "path": str, "int": int, "bool": bool, "list": list, "dict": dict}


def load(role, path):
    return yaml.safe_load((ROLES / role / path).read_text())


@pytest.mark.parametrize("role", NAMES)
def test_defaults_are_the_argument_specs(role):
    defaults = load(role, "defaults/main.yml")
    options = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name: option.get("default") for name, option in options.items()} == defaults


@pytest.mark.parametrize("role", NAMES)
def test_options_have_types_and_descriptions(role):
    defaults = load(role, "defaults/main.yml")
    for name, option in load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"].items():
        assert option["description"], name
        templated = isinstance(defaults[name], str) and "{{" in defaults[name]
        assert defaults[name] is None or templated or isinstance(defaults[name], TYPES[option["type"]]), name


@pytest.mark.parametrize("role", NAMES)
def test_every_default_has_its_line(role):
    lines = (ROLES / role / "defaults/main.yml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"^\w+:", line):
            assert lines[number - 1].startswith("#"), line
            assert line.startswith(role + "_"), line


@pytest.mark.parametrize("role", [name for name in NAMES if name != "site"])
def test_every_role_can_read_the_shared_settings(role):
    assert {"role": "local_llm.fleet.site"} in load(role, "meta/main.yml")["dependencies"]
