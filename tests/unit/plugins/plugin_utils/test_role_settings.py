# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.role_settings import ROLES, SettingsError, options, settings


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir()))
def test_every_role_has_options(role):
    assert all("type" in option and "description" not in option for option in options(role).values())


def test_values_have_their_types():
    variables = {"site_gateway_port": "{{ port }}", "stack_verify_gpu": False, "stack_verify_report_only": "yes", "other": "{{ fails }}"}
    found = settings(["site", "stack_verify"], variables, lambda value: "4000" if value == "{{ port }}" else value)
    assert (found["site_gateway_port"], found["stack_verify_gpu"], found["stack_verify_report_only"]) == (4000, "off", True)
    assert (found["site_ollama_port"], found["stack_verify_depth"]) == (11434, "quick")
    assert "other" not in found and "llm_stack_services" not in found


def test_further_options_of_other_roles():
    found = settings(["site"], {}, str, {"llm_stack": ["llm_stack_services"]})
    assert "ollama" in found["llm_stack_services"] and "llm_stack_network" not in found


def test_what_cannot_be_converted_is_named():
    with pytest.raises(SettingsError, match="site_gateway_port"):
        settings(["site"], {"site_gateway_port": "many"}, lambda value: value)
