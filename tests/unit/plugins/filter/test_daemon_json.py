# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.local_llm.fleet.plugins.filter.daemon_json import daemon_json
from hypothesis import given
from hypothesis import strategies as st

ROTATION = {"max-size": "10m", "max-file": "3"}
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=4)


def test_empty():
    assert daemon_json("", {"registry-mirrors": ["a"]}, ROTATION) == {
        "registry-mirrors": ["a"],
        "log-driver": "json-file",
        "log-opts": ROTATION,
    }


def test_lists_keep_their_order_and_get_what_they_lack():
    text = '{"insecure-registries": ["b", "a"], "runtimes": {"own": {"path": "/own"}}}'
    merged = daemon_json(text, {"insecure-registries": ["a", "c"], "runtimes": {"nvidia": {"path": "/n"}}})
    assert merged == {"insecure-registries": ["b", "a", "c"], "runtimes": {"own": {"path": "/own"}, "nvidia": {"path": "/n"}}}


@pytest.mark.parametrize("driver", ["journald", "none", "syslog"])
def test_a_chosen_log_driver_stays(driver):
    text = json.dumps({"log-driver": driver})
    assert daemon_json(text, log_rotation=ROTATION) == {"log-driver": driver}


def test_chosen_log_options_stay():
    text = '{"log-opts": {"max-size": "1g"}}'
    assert daemon_json(text, log_rotation=ROTATION)["log-opts"] == {"max-size": "1g", "max-file": "3"}


@pytest.mark.parametrize("text", ["{", "nonsense", "[]", '"x"', "1", '{"a": 1,}'])
def test_unreadable(text):
    with pytest.raises(AnsibleFilterError, match=r"/etc/docker/daemon\.json is not (JSON|a JSON object) and was left as it is"):
        daemon_json(text)


@given(objects, objects)
def test_no_key_is_lost_and_twice_is_once(there, wanted):
    once = daemon_json(json.dumps(there), wanted, ROTATION)
    assert set(there) <= set(once)
    assert set(wanted) <= set(once)
    assert daemon_json(json.dumps(once), wanted, ROTATION) == once


@given(objects)
def test_what_was_there_stays_as_it_was(there):
    merged = daemon_json(json.dumps(there), log_rotation=ROTATION)
    assert {key: value for key, value in merged.items() if key not in ("log-driver", "log-opts")} == {
        key: value for key, value in there.items() if key not in ("log-driver", "log-opts")
    }


@given(st.text())
def test_any_text_is_merged_or_refused(text):
    try:
        assert isinstance(daemon_json(text, {"a": 1}), dict)
    except AnsibleFilterError as error:
        assert "daemon.json" in str(error)


# What the container toolkit needs, in every daemon.json that was thought of: nothing that was there is lost or changed.
TOOLKIT = {
    "features": {"cdi": True},
    "runtimes": {"nvidia": {"path": "nvidia-container-runtime"}},
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
}


@pytest.mark.parametrize(
    "there",
    [
        {},
        {"debug": True, "labels": ["rack=7"]},
        {"runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}},
        {
            "runtimes": {"nvidia": {"path": "/opt/nvidia/nvidia-container-runtime", "runtimeArgs": ["--log-level=debug"]}},
            "default-runtime": "nvidia",
        },
        {"features": {"buildkit": True, "containerd-snapshotter": False}},
        {"features": {"cdi": False}},
        {"exec-opts": ["native.cgroupdriver=systemd"]},
        {"log-driver": "journald", "insecure-registries": ["a:5000"], "data-root": "/srv/docker"},
    ],
)
def test_defaults_leave_what_is_there(there):
    def holds(larger, smaller):
        if isinstance(smaller, dict):
            return isinstance(larger, dict) and all(key in larger and holds(larger[key], value) for key, value in smaller.items())
        return larger == smaller

    merged = daemon_json(json.dumps(there), defaults=TOOLKIT)
    assert holds(merged, there)
    assert set(merged) == set(there) | set(TOOLKIT)
    assert "nvidia" in merged["runtimes"] and "cdi" in merged["features"]
    assert daemon_json(json.dumps(merged), defaults=TOOLKIT) == merged


@pytest.mark.parametrize("text", ["", "\n"])
def test_defaults_of_an_empty_file(text):
    assert daemon_json(text, defaults=TOOLKIT) == TOOLKIT


@pytest.mark.parametrize("text", ["{,}", "[]", '{"runtimes": ', "null"])
def test_defaults_of_what_is_no_object(text):
    with pytest.raises(AnsibleFilterError, match="left as it is"):
        daemon_json(text, defaults=TOOLKIT)


def test_wanted_wins_over_defaults():
    assert daemon_json("{}", wanted={"features": {"cdi": False}}, defaults=TOOLKIT)["features"] == {"cdi": False}
