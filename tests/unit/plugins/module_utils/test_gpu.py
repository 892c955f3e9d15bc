# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers' parsers and rules. Whole machines are in tests/unit/test_machines.py."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import amd, apple, cards, intel, nvidia, pci_address, system, vgpu
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu.machine import read
from ansible_collections.local_llm.fleet.plugins.module_utils.host import Host, whole
from hypothesis import given
from hypothesis import strategies as st

ROW = "0, GPU-1, 00000000:01:00.0, {name}, {total}, 100, 580.95.05, {device}, {capability}, [N/A]"


@pytest.fixture
def machine(tmp_path):
    """A function that gives a machine files and tools (scripts for sh), and returns it. It has a render node, as machines with a
    card of AMD or Intel do; containers may have none."""

    def make(files=None, tools=None, timeout=5.0, nodes=("/dev/dri/renderD128",)):
        for path, text in {**dict.fromkeys(nodes, ""), **(files or {})}.items():
            target = tmp_path / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        for name, script in (tools or {}).items():
            target = tmp_path / "usr/local/bin" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("#!/bin/sh\n" + script)
            target.chmod(0o755)
        return Host(timeout=timeout, root=str(tmp_path))

    return make


def printing(text, rc=0):
    return "cat <<'END'\n%s\nEND\nexit %d\n" % (text, rc)


def pci(address, vendor, device, **files):
    folder = "/sys/bus/pci/devices/%s/" % address
    base = {"vendor": "0x" + vendor, "device": "0x" + device, "class": "0x030000"}
    return {folder + name: str(text) + "\n" for name, text in {**base, **files}.items()}


def ask(host):
    return nvidia.read_tool(host, host.find("nvidia-smi"))


NVIDIA_CARD = pci("0000:01:00.0", "10de", "2684")


# Every card of which the driver's figure is known: none is taken for another kind, whatever its size.
@pytest.mark.parametrize(
    ("name", "total", "kind"),
    [
        ("NVIDIA GeForce RTX 3060", 12288, "dedicated"),
        ("NVIDIA GeForce RTX 2080 Ti", 11264, "dedicated"),
        ("NVIDIA GeForce RTX 3070", 8192, "dedicated"),
        ("NVIDIA GeForce RTX 3080", 10240, "dedicated"),
        ("NVIDIA GeForce RTX 3080 Ti", 12288, "dedicated"),
        ("NVIDIA GeForce RTX 3090", 24576, "dedicated"),
        ("NVIDIA GeForce RTX 4060 Ti", 16380, "dedicated"),
        ("NVIDIA GeForce RTX 4070", 12282, "dedicated"),
        ("NVIDIA GeForce RTX 4080 SUPER", 16376, "dedicated"),
        ("NVIDIA GeForce RTX 4090", 24564, "dedicated"),
        ("NVIDIA GeForce RTX 5070", 12227, "dedicated"),
        ("NVIDIA GeForce RTX 5080", 16303, "dedicated"),
        ("NVIDIA GeForce RTX 5060 Ti", 16311, "dedicated"),
        ("NVIDIA GeForce RTX 5090", 32607, "dedicated"),
        ("Tesla T4", 15360, "dedicated"),
        ("Tesla P4", 7606, "dedicated"),
        ("Tesla P40", 24576, "dedicated"),
        ("Tesla P40", 23040, "dedicated"),
        ("Tesla V100-SXM2-16GB", 16384, "dedicated"),
        ("NVIDIA A10", 23028, "dedicated"),
        ("NVIDIA L4", 23034, "dedicated"),
        ("NVIDIA A40", 46068, "dedicated"),
        ("NVIDIA L40S", 46068, "dedicated"),
        ("NVIDIA RTX A6000", 49140, "dedicated"),
        ("NVIDIA RTX 6000 Ada Generation", 49140, "dedicated"),
        ("NVIDIA A100-PCIE-40GB", 40960, "dedicated"),
        ("NVIDIA A100-SXM4-80GB", 81920, "dedicated"),
        ("NVIDIA H100 80GB HBM3", 81559, "dedicated"),
        ("NVIDIA H100 NVL", 95830, "dedicated"),
        ("NVIDIA H200", 143771, "dedicated"),
        ("NVIDIA GH200 480GB", 97871, "dedicated"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 97887, "dedicated"),
        ("NVIDIA GB10", "[N/A]", "unified"),
        ("NVIDIA GB10", 122502, "unified"),  # should a driver to come print a number
        ("NVIDIA Thor", "[N/A]", "unified"),
        ("Orin (nvgpu)", "[N/A]", "unified"),
        ("NVIDIA A, B and C", 8192, "dedicated"),  # a name with a comma
        ("NVIDIA GeForce RTX 4090", 0, "unknown"),
        ("NVIDIA GeForce RTX 4090", "[Unknown Error]", "unknown"),
        ("NVIDIA GeForce RTX 4090", "[GPU requires reset]", "unknown"),
        ("NVIDIA A100-SXM4-80GB", "[Insufficient Permissions]", "unknown"),
        ("NVIDIA GeForce RTX 4090", "[Not Supported]", "unknown"),
    ],
)
def test_cards_of_nvidia(machine, name, total, kind):
    host = machine(NVIDIA_CARD, {"nvidia-smi": printing(ROW.format(name=name, total=total, device="0x268410DE", capability="8.9"))})
    (gpu,), problems = ask(host)
    assert (gpu["name"], gpu["kind"], gpu["memory_total_mib"]) == (name, kind, total if isinstance(total, int) else None)
    assert bool(problems) == (kind == "unknown")
    assert all(str(total) in problem for problem in problems)


@pytest.mark.parametrize(("addressing", "kind"), [("ATS", "unified"), ("HMM", "unknown"), ("[N/A]", "unknown")])
def test_a_gpu_that_addresses_the_machines_memory(machine, addressing, kind):
    row = ROW.format(name="NVIDIA GX99", total="[N/A]", device="0x300010DE", capability="13.0")
    script = "case $1 in *addressing*) echo 'GPU-1, %s' ;; *) echo '%s' ;; esac" % (addressing, row)
    (gpu,), _problems = ask(machine(NVIDIA_CARD, {"nvidia-smi": script}))
    assert gpu["kind"] == kind


def test_reads_every_field(machine):
    row = "0, GPU-5f2e1c6a-0000, 00000000:01:00.0, NVIDIA GeForce RTX 4090, 24564, 24081, 580.95.05, 0x268410DE, 8.9, [N/A]\r"
    gpus, problems = ask(machine(NVIDIA_CARD, {"nvidia-smi": printing(row)}))
    assert problems == []
    assert gpus == [
        {
            "vendor": "nvidia",
            "name": "NVIDIA GeForce RTX 4090",
            "uuid": "GPU-5f2e1c6a-0000",
            "pci_address": "0000:01:00.0",
            "kind": "dedicated",
            "memory_total_mib": 24564,
            "memory_free_mib": 24081,
            "driver_version": "580.95.05",
            "compute_capability": "8.9",
            "gfx": None,
            "source": "nvidia-smi",
        }
    ]


# What nvidia-smi prints instead of figures. The message may be on either stream, and may come before healthy rows.
@pytest.mark.parametrize(
    ("text", "rc"),
    [
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
            9,
        ),
        ("Failed to initialize NVML: Driver/library version mismatch", 18),
        ("Failed to initialize NVML: Unknown Error", 255),
        ("Failed to initialize NVML: Insufficient Permissions", 4),
        ("Failed to initialize NVML: GPU access blocked by the operating system", 17),
        ("No devices were found", 6),
        ("Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error", 15),
        ("Unable to determine the device handle for GPU0000:CB:00.0: GPU is lost. Reboot the system to recover this GPU", 15),
        ("", 139),
    ],
)
@pytest.mark.parametrize("stream", ["", ">&2"])
def test_error_texts(machine, text, rc, stream):
    host = machine(NVIDIA_CARD, {"nvidia-smi": "echo '%s' %s\nexit %d" % (text.replace("'", "'\\''"), stream, rc)})
    gpus, (problem,) = ask(host)
    assert gpus == []
    assert text[:300] in problem
    assert text in problem or not text
    assert str(rc) in problem or not stream


def test_healthy_rows_beside_a_failed_one_are_kept(machine):
    row = ROW.format(name="NVIDIA L4", total=23034, device="0x27B810DE", capability="8.9")
    gpus, problems = ask(machine(NVIDIA_CARD, {"nvidia-smi": printing("GPU is lost.\n" + row, 15)}))
    assert [gpu["memory_total_mib"] for gpu in gpus] == [23034]
    assert problems == ["nvidia-smi printed: GPU is lost."]


def test_a_driver_that_does_not_know_a_field_is_asked_without_it(machine):
    script = """case $1 in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;;
*mig.mode*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2 ;;
*) echo '0, GPU-1, 00000000:01:00.0, Tesla M60, 8129, 8000, 440.33, 0x13F210DE' ;;
esac"""
    (gpu,), problems = ask(machine(NVIDIA_CARD, {"nvidia-smi": script}))
    assert (gpu["memory_total_mib"], gpu["compute_capability"], problems) == (8129, None, [])


def test_a_driver_that_knows_no_field_at_all_is_a_problem(machine):
    script = "echo 'Field \"uuid\" is not a valid field to query.'; exit 2"
    gpus, problems = ask(machine(NVIDIA_CARD, {"nvidia-smi": script}))
    assert (gpus, len(problems)) == ([], 1)


MIG_ROW = "0, GPU-1, 00000000:01:00.0, NVIDIA A100, 40960, 40000, 580.95.05, 0x20B010DE, 8.0, Enabled"
MIG_XML = "<a><gpu><mig_devices>%s</mig_devices><uuid>GPU-1</uuid></gpu></a>"
MIG_SLICE = "<mig_device><index>0</index><fb_memory_usage><total>19968 MiB</total></fb_memory_usage></mig_device>"


@pytest.mark.parametrize(
    ("xml", "listing", "kinds", "problem"),
    [
        (MIG_XML % "None", "echo", ["unknown"], "NVIDIA A100 is in MIG mode and has no slices: make some, or switch MIG off"),
        ("GPU is lost.", "echo", ["unknown"], "nvidia-smi -q -x printed no XML (syntax error: line 1, column 0): GPU is lost."),
        (MIG_XML % MIG_SLICE, "echo Failed; exit 9", ["unknown"], "nvidia-smi -L shows no UUID for a slice of NVIDIA A100"),
        (MIG_XML % MIG_SLICE, "sleep 9", ["unknown"], "nvidia-smi gave no answer about slices within 0.5 s"),
        (
            MIG_XML % MIG_SLICE.replace("19968 MiB", "N/A"),
            "echo",
            ["unknown"],
            "nvidia-smi -q -x shows no memory size for a slice of NVIDIA A100",
        ),
    ],
)
def test_slices_that_cannot_be_read_are_a_problem(machine, xml, listing, kinds, problem):
    script = 'case "$*" in *query*) echo "%s" ;; -L) %s ;; *) echo "%s" ;; esac' % (MIG_ROW, listing, xml)
    gpus, problems = ask(machine(NVIDIA_CARD, {"nvidia-smi": script}, timeout=0.5))
    assert [gpu["kind"] for gpu in gpus] == kinds
    assert problems[0] == problem


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("echo '%s'; echo 'WARNING: infoROM is corrupted at gpu 0000:01:00.0'; exit 14", 0),
        ("echo '%s WARNING: infoROM is corrupted at gpu 0000:01:00.0'; exit 14", 0),
        ("echo '%s'; exit 14", 1),
        ("true '%s'", 1),
    ],
)
def test_an_end_that_says_nothing_about_the_rows(machine, script, count):
    row = ROW.format(name="NVIDIA L4", total=23034, device="0x27B810DE", capability="8.9")
    assert len(ask(machine(NVIDIA_CARD, {"nvidia-smi": script % row}))[1]) == count


def test_a_tool_that_hangs_is_stopped(machine):
    host = machine(NVIDIA_CARD, {"nvidia-smi": "echo 'GPU is lost.'\nsleep 30 & sleep 30"}, timeout=0.3)
    started = time.monotonic()
    gpus, problems = ask(host)
    assert time.monotonic() - started < 3
    assert gpus == []
    assert problems == ["nvidia-smi printed: GPU is lost.", "nvidia-smi gave no answer within 0.3 s"]


def test_a_tool_that_cannot_be_stopped_is_left_behind(machine):
    # A child in a session of its own survives the tool and keeps its output open.
    host = machine(NVIDIA_CARD, {"nvidia-smi": "setsid sleep 6 &\nsleep 6"}, timeout=0.3)
    started = time.monotonic()
    _gpus, problems = ask(host)
    assert time.monotonic() - started < 4
    assert problems == ["nvidia-smi gave no answer within 0.3 s"]


def test_a_tool_that_cannot_be_started(machine):
    host = machine()
    assert host.run("/nonexistent/tool")[0] == 127


@pytest.mark.parametrize(
    ("driver", "kind", "problems"),
    [
        ("nouveau", "unknown", []),
        ("nvidia", "unknown", ["10de:2684 at 0000:01:00.0 has the driver nvidia, but nvidia-smi is not installed"]),
        ("vfio-pci", None, []),  # lent to a virtual machine: not this host's to use
        ("xen-pciback", None, []),
    ],
)
def test_a_card_without_the_tool(machine, tmp_path, driver, kind, problems):
    host = machine(
        {**NVIDIA_CARD, **pci("0000:01:00.1", "10de", "22ba", **{"class": "0x040300"}), "/proc/meminfo": "MemTotal: 8000000 kB\n"}
    )
    (tmp_path / "sys/bus/pci/devices/0000:01:00.0/driver").symlink_to("../../drivers/" + driver)
    reading = read(host)
    assert [gpu["kind"] for gpu in reading["gpus"]] == ([kind] if kind else [])
    assert [gpu["source"] for gpu in reading["gpus"] if problems] == ["sysfs" for _problem in problems]
    assert reading["problems"] == problems


def test_a_tool_on_a_machine_without_a_card_is_no_problem_unless_its_driver_is_loaded(machine):
    tools = {"nvidia-smi": printing("No devices were found", 6)}
    files = pci("0000:03:00.0", "1a03", "2000")
    assert nvidia.read(machine(files, tools), []) == ([], [])
    assert nvidia.read(machine({**files, "/sys/module/nvidia/initstate": "live\n"}, tools), [])[1] == [
        "nvidia-smi printed: No devices were found"
    ]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:01:00.0", "0000:01:00.0"),
        ("0000000F:01:00.0", "000f:01:00.0"),
        ("00010000:0A:00.0", "10000:0a:00.0"),
        ("0000:0a:00.0", "0000:0a:00.0"),
        ("C4:00.0", "0000:c4:00.0"),
        ("[N/A]", None),
    ],
)
def test_pci_address(text, address):
    assert pci_address(text) == address


def test_a_card_that_the_tool_does_not_show_is_a_problem(machine, tmp_path):
    row = ROW.format(name="NVIDIA L4", total=23034, device="0x27B810DE", capability="8.9")
    host = machine({**NVIDIA_CARD, **pci("0000:02:00.0", "10de", "27b8")}, {"nvidia-smi": printing(row)})
    (tmp_path / "sys/bus/pci/devices/0000:02:00.0/driver").symlink_to("../../drivers/nvidia")
    assert nvidia.read(host, cards(host))[1] == ["10de:27b8 at 0000:02:00.0 has the driver nvidia, but nvidia-smi does not show it"]


def test_a_part_of_a_card_that_is_made_to_be_lent_is_left_out(machine, tmp_path):
    host = machine({**pci("0000:4d:00.0", "8086", "56c0"), **pci("0000:4d:00.1", "8086", "56c0")})
    (tmp_path / "sys/bus/pci/devices/0000:4d:00.1/physfn").symlink_to("../0000:4d:00.0")
    assert [card.address for card in cards(host)] == ["0000:4d:00.0"]


def test_an_intel_card_in_a_virtual_machine_is_no_part_of_the_processor(machine):
    assert [gpu["kind"] for gpu in read(machine(pci("0000:00:10.0", "8086", "56a0")))["gpus"]] == ["unknown"]


@pytest.mark.parametrize(("number", "count"), [("51545", 1), ("0", 0)])
def test_amds_cards_that_only_the_kernels_list_shows(machine, number, count):
    host = machine({"/sys/class/kfd/kfd/topology/nodes/1/gpu_id": number}, {"amd-smi": "sleep 9"}, timeout=0.3)
    assert len(amd.read(host, [])[1]) == count


# AMD: what the kernel tells of cards and of graphics in processors.
@pytest.mark.parametrize(
    ("device", "files", "kind", "mib"),
    [
        ("7480", {"mem_info_vram_total": 8573157376, "mem_info_vram_vendor": "samsung"}, "dedicated", 8176),
        (
            "747e",
            {"mem_info_vram_total": 17163091968, "mem_info_gtt_total": 33000000000, "mem_info_vram_vendor": "hynix"},
            "dedicated",
            16368,
        ),
        ("744c", {"mem_info_vram_total": 25753026560}, "dedicated", 24560),
        ("7551", {"mem_info_vram_total": 34208743424}, "dedicated", 32624),
        ("66a1", {"mem_info_vram_total": 34342961152}, "dedicated", 32752),
        (
            "699f",
            {"mem_info_vram_total": 2147483648, "mem_info_gtt_total": 16000000000, "mem_info_vram_vendor": "micron"},
            "dedicated",
            2048,
        ),
        ("1586", {"mem_info_vram_total": 536870912, "mem_info_gtt_total": 103079215104}, "unified", 98304),
        ("1586", {"mem_info_gtt_total": 103079215104}, "unified", 98304),  # no VRAM at all
        ("1586", {"mem_info_vram_total": 103079215104, "mem_info_gtt_total": 16000000000}, "dedicated", 98304),  # set aside by the firmware
        (
            "15bf",
            {"mem_info_vram_total": 4294967296, "mem_info_gtt_total": 17179869184, "mem_info_vram_vendor": "unknown"},
            "unsupported",
            None,
        ),
        ("1638", {"mem_info_vram_total": 536870912, "mem_info_gtt_total": 3000000000}, "unsupported", None),
        ("15bf", {"mem_info_vram_total": 17179869184, "mem_info_gtt_total": 8000000000}, "unsupported", None),  # much set aside
        ("1586", {"mem_info_vram_total": 8589934592, "mem_info_gtt_total": 64424509440}, "unified", 61440),
        ("515e", {}, "unsupported", None),  # a server's management graphics of 2005
        ("744c", {}, "unknown", None),
    ],
)
def test_cards_of_amd(machine, tmp_path, device, files, kind, mib):
    host = machine({**pci("0000:03:00.0", "1002", device, **files), "/proc/meminfo": "MemTotal: 8000000 kB\n"})
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../drivers/amdgpu")
    reading = read(host)
    assert [(gpu["kind"], gpu["memory_total_mib"]) for gpu in reading["gpus"]] == [(kind, mib)]
    assert reading["problems"] == (["the driver of AMD 1002:744c at 0000:03:00.0 does not tell its memory"] if kind == "unknown" else [])


def test_an_old_radeon_is_left_alone(machine, tmp_path):
    host = machine({**pci("0000:03:00.0", "1002", "6779"), "/proc/meminfo": "MemTotal: 8000000 kB\n"})
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../drivers/radeon")
    assert [gpu["kind"] for gpu in read(host)["gpus"]] == ["unsupported"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            '[{"gpu": 0, "asic": {"market_name": "N/A"}, "bus": {"bdf": "0000:0B:00.0"}, "vram": {"size": {"value": 8176, "unit": "MB"}}}]',
            [(None, 8176)],
        ),
        ('WARNING: x\n{"gpu_data": [{"gpu": 0, "asic": "N/A", "bus": {"bdf": "0000:0b:00.0"}, "vram": {"size": "N/A"}}]}', [(None, None)]),
        ('[info] hello\n[{"gpu": 0, "asic": {"market_name": "X"}, "bus": {"bdf": "0000:0b:00.0"}, "vram": {"size": 8176}}]', [("X", 8176)]),
    ],
)
def test_amd_smi(text, names):
    found = amd.parse_amd_smi(text)
    assert [(gpu["name"], gpu["memory_total_mib"]) for gpu in found] == names
    assert [gpu["pci_address"] for gpu in found] == ["0000:0b:00.0"]


@pytest.mark.parametrize(
    "text", ["", "ERROR: x", "{}", '{"error": "x", "code": 3}', "[1]", "GPU[0]\t\t: VRAM Total Memory (B): 34342961152"]
)
def test_amd_tools_that_do_not_answer(text):
    for parse in (amd.parse_amd_smi, amd.parse_rocm_smi):
        with pytest.raises(ValueError):
            parse(text)


def test_rocm_smi_of_older_versions():
    text = '{"card0": {"VRAM Total Memory (B)": "25753026560", "PCI Bus": "0000:0B:00.0", "Card series": "0x1002", "Card model": "Radeon RX 7900"}}'
    assert amd.parse_rocm_smi(text) == [{"pci_address": "0000:0b:00.0", "name": "Radeon RX 7900", "memory_total_mib": 24560}]


def test_amds_tools_fail_and_the_kernel_has_told_nothing(machine, tmp_path):
    tools = {"amd-smi": "echo 'ERROR: no'; exit 1", "rocm-smi": "sleep 9"}
    host = machine({**pci("0000:03:00.0", "1002", "744c"), "/proc/meminfo": "MemTotal: 8000000 kB\n"}, tools, timeout=0.3)
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../drivers/amdgpu")
    assert read(host)["problems"][:2] == ["amd-smi printed: ERROR: no", "rocm-smi gave no answer within 0.3 s"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"device_list": null}', None),
        ('{"device_list": [{"device_id": 0}]}', 1),
        ('[2026] [E] zeInit error: 78000001\n{"device_list": []}', 0),
        ("[" * 100000, None),
        ('log line\n{"device_list": [{"device_id": 0}]}', 1),
        ('{"errno": 39, "error": "Level Zero Initialization Error"}', 1),
        ("No device discovered", None),
    ],
)
def test_xpu_smi(text, count):
    if count is None:
        with pytest.raises(ValueError):
            intel.parse_discovery(text)
    else:
        assert len(intel.parse_discovery(text)) == count


def test_an_arc_that_nothing_tells_about_is_a_problem(machine, tmp_path):
    host = machine(
        {**pci("0000:03:00.0", "8086", "56a0"), "/proc/meminfo": "MemTotal: 8000000 kB\n"},
        {"xpu-smi": printing("[2026-11-21 01:02:03] [E] No device\n{\n}\ndiscovered")},
    )
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../drivers/i915")
    assert read(host)["problems"] == [
        "xpu-smi discovery -j printed: No device { } discovered",
        "the driver of Intel 8086:56a0 at 0000:03:00.0 does not tell its memory",
    ]


def test_the_backported_i915_tells_its_memory(machine, tmp_path):
    host = machine({**pci("0000:03:00.0", "8086", "56a0"), "/sys/bus/pci/devices/0000:03:00.0/drm/card1/lmem_total_bytes": "17079205888\n"})
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../drivers/i915")
    assert [gpu["memory_total_mib"] for gpu in read(host)["gpus"]] == [16288]


# The kernel's list of what ROCm computes on. Numbers of real machines' files; a line is a name and a decimal number.
@pytest.mark.parametrize(
    ("version", "location", "domain", "node"),
    [
        (110000, 768, 0, ("0000:03:00.0", "gfx1100")),
        (100301, 768, 0, ("0000:03:00.0", "gfx1031")),
        (90010, 33537, 1, ("0001:83:00.1", "gfx90a")),
        (90402, 0x10000500, 0, ("0000:05:00.0", "gfx942")),  # the second partition of a card
        (80003, 0xC5F9, 0, ("0000:c5:1f.1", "gfx803")),
        (120001, 768, 0x10000, ("10000:03:00.0", "gfx1201")),
        (0, 0, 0, None),  # a processor
    ],
)
def test_nodes_of_amds_topology(version, location, domain, node):
    text = "cpu_cores_count 0\nsimd_count 96\ngfx_target_version %d\nvendor_id 4098\nlocation_id %d\ndomain %d\n"
    assert amd.parse_node(text % (version, location, domain)) == node


def amd_machine(machine, tmp_path, **more):
    files = {
        **pci("0000:03:00.0", "1002", "744c", mem_info_vram_total=25753026560),
        "/sys/class/kfd/kfd/topology/nodes/1/properties": "gfx_target_version 110000\nlocation_id 768\ndomain 0\n",
        "/sys/bus/pci/devices/0000:03:00.0/drm/renderD129/dev": "226:129",
        "/proc/meminfo": "MemTotal: 8000000 kB\n",
    }
    host = machine(files, **more)
    (tmp_path / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../drivers/amdgpu")
    return host


@pytest.mark.parametrize(
    ("nodes", "kind", "gfx", "missing"),
    [
        (("/dev/dri/renderD129", "/dev/kfd"), "dedicated", "gfx1100", None),
        (("/dev/dri/renderD129",), "dedicated", None, None),  # Vulkan needs no /dev/kfd
        (("/dev/dri/renderD128", "/dev/kfd"), "unknown", None, "/dev/dri/renderD129"),  # another card's
        ((), "unknown", None, "/dev/dri/renderD129"),
    ],
)
def test_a_card_of_amd_needs_its_node(machine, tmp_path, nodes, kind, gfx, missing):
    tools = {"amd-smi": printing('[{"bus": {"bdf": "0000:03:00.0"}, "asic": {"market_name": "X"}, "vram": {"size": 24560}}]')}
    reading = read(amd_machine(machine, tmp_path, nodes=nodes, tools=tools))
    assert [(gpu["kind"], gpu["gfx"]) for gpu in reading["gpus"]] == [(kind, gfx)]
    text = "1002:744c at 0000:03:00.0 has the driver amdgpu, but %s is not there: a container has to be given the card"
    assert reading["problems"] == ([text % missing] if missing else [])


@pytest.mark.parametrize("driver", ["i915", "xe"])
def test_a_card_of_intel_needs_a_node(machine, tmp_path, driver):
    files = {
        **pci("0000:03:00.0", "8086", "e20b", **{"tile0/physical_vram_size_bytes": 12884901888}),
        **pci("0000:00:02.0", "8086", "a780"),
    }
    host = machine({**files, "/proc/meminfo": "MemTotal: 8000000 kB\n"}, {"xpu-smi": printing("{}")}, nodes=())
    for address in ("0000:03:00.0", "0000:00:02.0"):
        (tmp_path / "sys/bus/pci/devices" / address / "driver").symlink_to("../../drivers/" + driver)
    reading = read(host)
    assert [(gpu["kind"], gpu["memory_total_mib"]) for gpu in reading["gpus"]] == [("unsupported", None), ("unknown", None)]
    assert reading["problems"] == [
        "8086:e20b at 0000:03:00.0 has the driver %s, but /dev/dri/renderD* is not there: a container has to be given the card" % driver
    ]


def test_a_card_without_a_driver_has_no_node_to_miss(machine):
    assert read(machine({**pci("0000:03:00.0", "8086", "56a0"), "/proc/meminfo": "MemTotal: 8000000 kB\n"}, nodes=()))["problems"] == []


# What nvidia-smi answers is read once for GPUs and drivers.
@pytest.mark.parametrize("stream", ["", ">&2"])
def test_a_warning_beside_rows_is_kept(machine, stream):
    row = ROW.format(name="NVIDIA L4", total=23034, device="0x27B810DE", capability="8.9")
    script = "echo '%s'; echo 'WARNING: infoROM is corrupted at gpu 0000:01:00.0' %s; exit 14" % (row, stream)
    host = machine(NVIDIA_CARD, {"nvidia-smi": script})
    answer = nvidia.query(host, host.find("nvidia-smi"))
    assert (answer.status, len(answer.rows), answer.problems) == (14, 1, [])
    assert answer.harmless == ["WARNING: infoROM is corrupted at gpu 0000:01:00.0"]


def space(*capabilities, status=0x10, first=0x60):
    """A PCI configuration space with capabilities at these places: (place, what is there)."""
    data = bytearray(256)
    data[0:4], data[6], data[0x34] = bytes.fromhex("de10b81e"), status, first
    for place, text in capabilities:
        data[place : place + len(text)] = text
    return bytes(data)


# The records of NVIDIA's own test: a share of a card, and a whole one, whose vendor specific capability says something else.
VF = b"\x09\x00\x1bVF\x00\x16460.16"


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (space((0x60, VF)), True),
        (space((0x60, b"\x05\xd0"), (0xD0, VF)), True),
        (space((0x60, b"\x09\xd0\x14\x01"), (0xD0, VF)), True),
        (space((0x60, b"\x09\x00\x14\x01\x00")), False),
        (space((0x60, VF), status=0), False),  # it has no capabilities
        (space((0x60, b"\x05\x60"), (0xD0, VF)), False),  # a ring
        (space((0x60, VF))[:64], False),  # what others than root read
        (space(first=0xFF), False),
        (b"", False),
    ],
)
def test_the_capability_of_a_vgpu(config, found):
    assert vgpu.has_capability(config) is found


@given(st.binary(max_size=300))
def test_any_configuration_space(config):
    assert vgpu.has_capability(config) in (True, False)


@pytest.mark.parametrize(
    ("device", "subsystem", "found"),
    [
        ("26b9", "18a4", True), ("26b9", "1889", True), ("26b9", "21fe", True), ("1eb8", "130f", True),
        ("26b9", "1851", False), ("26b9", "18cf", False), ("1eb8", "12a2", False), ("20b0", "1450", False), ("2684", "18a4", False), ("26b9", "", False),
    ],
)  # fmt: skip
def test_the_subsystem_of_a_vgpu(device, subsystem, found):
    assert vgpu.is_type(device, subsystem) is found


def test_runs_of_subsystems_are_in_order():
    for runs in vgpu.TYPES.values():
        for run in runs.split():
            first, _dash, last = run.partition("-")
            assert len(first) == 4 and (not last or first < last)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("    GPU Virtualization Mode\n        Virtualization Mode               : VGPU\n        Host VGPU Mode   : N/A\n", True),
        ("        Virtualization Mode               : Host VGPU\n        Host VGPU Mode      : SR-IOV\n", False),
        ("        Virtualization Mode               : Pass-Through\n", False),
        ("        Virtualization Mode               : None\n", False),
        ("        Host VGPU Mode                    : VGPU\n", False),
        ("", False),
    ],
)
def test_the_virtualization_mode(text, found):
    assert vgpu.says_guest(text) is found


@pytest.mark.parametrize(
    ("files", "packages", "mode", "shown"),
    [
        ({}, [], "None", ""),
        ({"/etc/nvidia/gridd.conf": "FeatureType=1\n"}, [], "None", "there is /etc/nvidia/gridd.conf"),
        ({}, ["nvidia-linux-grid-535"], "None", "the package nvidia-linux-grid-535 is installed"),
        ({}, ["nvidia-utils-535"], "VGPU", "nvidia-smi -q shows a vGPU"),
        ({"/etc/nvidia/gridd.conf.template": ""}, [], "Pass-Through", ""),
        # the same number of another vendor's board
        ({"/sys/bus/pci/devices/0000:01:00.0/subsystem_vendor": "0x1028", "/sys/bus/pci/devices/0000:01:00.0/subsystem_device": "0x18a4"}, [], "", ""),
    ],
)  # fmt: skip
def test_what_shows_a_vgpu(machine, files, packages, mode, shown):
    host = machine({**pci("0000:01:00.0", "10de", "26b9"), **files}, {"nvidia-smi": printing("  Virtualization Mode : " + mode)})
    tool = host.find("nvidia-smi")
    assert vgpu.witness(host, cards(host), packages, tool) == shown
    assert vgpu.witness(host, [], packages, tool) == ""


@pytest.mark.parametrize(
    ("text", "virtual"),
    [("flags\t\t: fpu sse2 hypervisor avx\n", True), ("flags\t\t: fpu sse2 avx\n", False), ("Features\t: fp asimd\n", None), (None, None)],
)
def test_a_virtual_machine(machine, text, virtual):
    assert vgpu.is_virtual_machine(machine({"/proc/cpuinfo": text} if text else {})) is virtual


# Apple: figures of Metal as they were logged, by machine and version of macOS.
@pytest.mark.parametrize(
    ("gib", "limit", "metal", "mib", "source"),
    [
        (16, 0, "11453246122", 10922, "metal"),
        (16, 0, "12713115648", 12124, "metal"),
        (18, 0, "14302248960", 13639, "metal"),
        (24, 0, "17179869184", 16384, "metal"),
        (64, 0, "5.566279168e+10", 53084, "metal"),
        (128, 114688, "undefined", 114688, "iogpu.wired_limit_mb"),
        (16, 999999, "null", 16384, "iogpu.wired_limit_mb"),  # more than there is
        (16, 0, "", 10813, "hw.memsize"),
    ],
)
def test_macs(machine, gib, limit, metal, mib, source):
    lines = "hw.memsize: %d\nhw.optional.arm64: 1\nmachdep.cpu.brand_string: Apple M4\niogpu.wired_limit_mb: %d" % (gib * 2**30, limit)
    host = machine(
        {}, {"sw_vers": printing("ProductName:\t\tmacOS\nProductVersion:\t\t15.6"), "sysctl": printing(lines), "osascript": printing(metal)}
    )
    reading = read(host)
    assert [(gpu["kind"], gpu["name"], gpu["memory_total_mib"], gpu["source"]) for gpu in reading["gpus"]] == [
        ("unified", "Apple M4", mib, source)
    ]
    assert (reading["memory"]["total_mib"], reading["os"], reading["problems"]) == (gib * 1024, "macOS 15.6", [])


def test_a_mac_that_does_not_answer(machine):
    host = machine({}, {"sw_vers": printing(""), "sysctl": "sleep 9", "osascript": "exit 1"}, timeout=0.3)
    assert read(host) == {
        "gpus": [],
        "memory": {"total_mib": None, "available_mib": None},
        "os": None,
        "problems": ["sysctl hw.memsize gave no answer within 0.3 s"],
    }


def test_a_mac_whose_metal_does_not_answer_in_time(machine):
    host = machine(
        {}, {"sw_vers": "true", "sysctl": printing("hw.memsize: 68719476736\nhw.optional.arm64: 1"), "osascript": "sleep 9"}, timeout=0.3
    )
    assert read(host)["problems"] == ["osascript gave no answer within 0.3 s"]


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
def test_memory(machine, files, total, available):
    memory, problems = system.read(machine({"/proc/meminfo": MEMINFO, **files}))
    assert (memory, problems) == ({"total_mib": total, "available_mib": available}, [])


def test_memory_that_cannot_be_read(machine):
    memory, problems = system.read(machine())
    assert memory["total_mib"] is None
    assert problems == ["/proc/meminfo does not say how much memory there is"]


# Any text in, no exception out, and no number that the text does not hold.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["gpu_data", "bus", "bdf", "vram", "size", "value", "asic", "card0", "device_list"]) | st.text(), inner
        )
    ),
)


def survives(parse, text):
    try:
        return parse(text)
    except ValueError:
        return None


@given(st.text())
def test_parsers_survive_any_text(text):
    rows, problems = nvidia.parse_query(text)
    assert len(rows) + len(problems) <= len(text.splitlines())
    assert all(nvidia.kind_of(row) in ("dedicated", "unified", "unknown", "unsupported") for row in rows)
    nvidia.parse_addressing(text)
    nvidia.parse_listing(text)
    assert nvidia.parse_mig(text, text)[1]  # a text that is XML by chance is not to be expected
    for parse in (amd.parse_amd_smi, amd.parse_rocm_smi, intel.parse_discovery):
        survives(parse, text)
    apple.parse_sysctl(text)
    apple.parse_metal(text)
    system.parse_meminfo(text)
    system.parse_cgroup_limit(text)
    pci_address(text)


@given(st.lists(st.text(alphabet="0123456789GPU-[]N/A.:, MiB"), min_size=10, max_size=12))
def test_rows_that_nearly_are_some(values):
    rows, _problems = nvidia.parse_query(",".join(values))
    for row in rows:
        assert nvidia.kind_of(row) in ("dedicated", "unified", "unknown", "unsupported")
        assert whole(row["memory.total"]) is None or str(whole(row["memory.total"])) in row["memory.total"]


@given(JSON)
def test_json_parsers_survive_any_json(value):
    text = json.dumps(value)
    for parse in (amd.parse_amd_smi, amd.parse_rocm_smi, intel.parse_discovery):
        survives(parse, text)


@given(st.binary())
def test_a_machine_of_any_bytes(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("machine")
    for path in ("proc/meminfo", "etc/os-release", "sys/bus/pci/devices/0000:01:00.0/class", "sys/fs/cgroup/memory.max"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    reading = read(Host(timeout=5, root=str(root)))
    assert reading["memory"]["total_mib"] is not None or reading["problems"]
