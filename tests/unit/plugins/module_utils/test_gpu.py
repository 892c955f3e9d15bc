# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import nvidia, system
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "memory", "problems"),
    [
        ("rtx_4090.csv", [24564], 0),
        ("two_cards.csv", [32607, 40960], 0),
        ("gb10.csv", [None], 1),
        ("no_driver.txt", [], 1),
        ("mismatch.txt", [], 2),
        ("lost_beside_healthy.txt", [23034], 1),
    ],
)
def test_query(recorded, name, memory, problems):
    gpus, found = nvidia.parse_query(recorded("nvidia_smi/" + name).decode())
    assert [gpu["memory_total_mib"] for gpu in gpus] == memory
    assert len(found) == problems


def test_query_through_windows(recorded):
    text = recorded("nvidia_smi/rtx_4090.csv").decode()
    assert nvidia.parse_query(text.replace("\n", "\r\n")) == nvidia.parse_query(text)


def test_query_keeps_the_raw_line(recorded):
    _gpus, problems = nvidia.parse_query(recorded("nvidia_smi/lost_beside_healthy.txt").decode())
    assert problems == ["nvidia-smi printed: Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error"]


def test_query_reads_every_field(recorded):
    gpus, _problems = nvidia.parse_query(recorded("nvidia_smi/rtx_4090.csv").decode())
    assert gpus == [
        {
            "vendor": "nvidia",
            "name": "NVIDIA GeForce RTX 4090",
            "uuid": "GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90",
            "pci_address": "0000:01:00.0",
            "kind": "dedicated",
            "memory_total_mib": 24564,
            "memory_free_mib": 24081,
            "driver_version": "580.95.05",
            "compute_capability": "8.9",
            "source": "nvidia-smi",
        }
    ]


@given(st.text())
def test_query_survives_any_text(text):
    gpus, problems = nvidia.parse_query(text)
    assert len(gpus) + len(problems) <= 2 * len(text.splitlines())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:01:00.0", "0000:01:00.0"),
        ("0000000F:01:00.0", "000f:01:00.0"),
        ("00010000:0A:00.0", "10000:0a:00.0"),
        ("0000:0a:00.0", "0000:0a:00.0"),
        ("[N/A]", None),
    ],
)
def test_pci_address(text, address):
    assert nvidia.pci_address(text) == address


def pci_device(root, address, vendor, kind, device="0x2684", driver=None):
    folder = root / address
    folder.mkdir(parents=True)
    for name, value in (("vendor", vendor), ("class", kind), ("device", device)):
        (folder / name).write_text(value + "\n")
    if driver:
        target = root.parent / "drivers" / driver
        target.mkdir(parents=True, exist_ok=True)
        os.symlink(target, folder / "driver")


def read(tmp_path, output=None, rc=0):
    return nvidia.read(
        lambda command: (rc, output, ""), lambda name: "/usr/bin/nvidia-smi" if output is not None else None, str(tmp_path / "pci")
    )


def test_a_card_without_a_driver_is_seen(tmp_path):
    pci_device(tmp_path / "pci", "0000:01:00.0", "0x10de", "0x030000", driver="nouveau")
    pci_device(tmp_path / "pci", "0000:01:00.1", "0x10de", "0x040300")  # its sound
    pci_device(tmp_path / "pci", "0000:02:00.0", "0x1002", "0x030000")  # not NVIDIA's
    gpus, problems = read(tmp_path)
    assert [(gpu["name"], gpu["source"], gpu["kind"], gpu["memory_total_mib"]) for gpu in gpus] == [("10de:2684", "pci", "unknown", None)]
    assert problems == []


def test_a_card_with_a_driver_is_seen_once(tmp_path, recorded):
    pci_device(tmp_path / "pci", "0000:01:00.0", "0x10de", "0x030000", driver="nvidia")
    gpus, _problems = read(tmp_path, recorded("nvidia_smi/rtx_4090.csv").decode())
    assert [gpu["source"] for gpu in gpus] == ["nvidia-smi"]


def test_a_card_lent_to_a_virtual_machine_is_left_out(tmp_path):
    pci_device(tmp_path / "pci", "0000:01:00.0", "0x10de", "0x030000", driver="vfio-pci")
    assert read(tmp_path) == ([], [])


def test_a_tool_that_fails_silently_is_a_problem(tmp_path):
    assert read(tmp_path, "", rc=124) == ([], ["nvidia-smi ended with 124: no output"])


def test_no_pci_at_all(tmp_path):
    assert nvidia.read_pci(str(tmp_path / "missing")) == []


MEMINFO = "MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:    8192000 kB\n"


@pytest.mark.parametrize(
    ("files", "total", "available"),
    [
        ({}, 16000, 8000),
        ({"/sys/fs/cgroup/memory.max": "max\n"}, 16000, 8000),
        ({"/sys/fs/cgroup/memory.max": "4294967296\n"}, 4096, 4096),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16000, 8000),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, 1024, 1024),
    ],
)
def test_memory(files, total, available):
    memory, problems = system.read({"/proc/meminfo": MEMINFO, **files}.get)
    assert (memory, problems) == ({"total_mib": total, "available_mib": available}, [])


@given(st.text())
def test_memory_survives_any_text(text):
    memory, problems = system.read(lambda path: text)
    assert (memory["total_mib"] is None) == bool(problems)
