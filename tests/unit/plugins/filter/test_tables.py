# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.local_llm.fleet.plugins.filter.verify_table import verify_table
from ansible_collections.local_llm.fleet.plugins.plugin_utils import gateway
from ansible_collections.local_llm.fleet.plugins.plugin_utils.model_plan import setting_problems as model_plan_problems


def decided(providers):
    return gateway.decide([], providers=providers, found=gateway.control_files(providers))


def test_files_of_providers_are_found_on_the_control_node(tmp_path: Path, monkeypatch):
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setenv("PWD", str(tmp_path))
    provider = {"models": ["gemini-2.5-pro"], "files": {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}}
    result = decided({"vertex_ai": provider})
    (file,) = result["files"]
    assert (file["name"], file["path"], len(file["sha256"])) == ("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"), 64)
    (tmp_path / "key.json").unlink()
    (problem,) = decided({"vertex_ai": provider})["problems"]
    assert problem.startswith("llm_stack_providers.vertex_ai.files.GOOGLE_APPLICATION_CREDENTIALS: the control node has no file ")
    # Nor does a setting of another shape stop it.
    for providers in ([], {"a": 1}, {"a": {"models": [], "files": ["x"]}}, {"a": {"models": [], "files": {"A": 1}}}):
        assert decided(providers)["problems"]


CATALOG = {"tiny": {"route": "tiny", "mode": "chat", "good_for": ["chat"], "bytes": 10**6, "kv_bytes_per_token": 10, "max_context": 2048}}
TIERS = {"cpu": {"floor_gib": 0, "models": ["tiny"], "resident": ["tiny"], "max_context": 2048}}


def test_settings_of_a_plan():
    assert model_plan_problems({"tier": "auto", "tier_minimum": ""}, CATALOG, TIERS) == []
    problems = model_plan_problems({"tier": "huge", "tier_minimum": "vast", "add": ["nobody"]}, CATALOG, TIERS)
    assert [line.split(":", maxsplit=1)[0] for line in problems] == ["model_plan_add", "model_plan_tier", "model_plan_tier_minimum"]
    assert model_plan_problems({"tier": "auto"}, {}, TIERS) == ["model_plan_tiers: cpu names tiny, which is not in model_plan_catalog"]


def test_a_table_of_checks():
    checks = [
        {"id": "firewall", "status": "fail", "observed": "open", "advice": "Run site.yml."},
        {"id": "answer", "status": "pass", "observed": "a\nlong " + "x" * 200},
    ]
    lines = verify_table({"pc1": {"checks": checks}, "pc10": None})
    assert lines[0].split() == ["HOST", "STATUS", "CHECK", "OBSERVED"]
    assert lines[1] == "pc1   fail    firewall  open"
    assert lines[2].strip() == "-> Run site.yml."
    assert lines[3].endswith("x…") and len(lines[3]) < 150
    assert lines[4].split() == ["pc10", "?", "-", "no", "answer"]
