# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine's container gets its GPUs, for every vendor and way."""

from __future__ import annotations

import pytest
from ansible_collections.local_llm.fleet.plugins.plugin_utils.engine_gpu import engine_gpu

UUID = "GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90"


def plan(vendor="", backend=None, gpus=None, placement="gpu", kind="dedicated"):
    engine = {"gpus": gpus, **({"backend": backend} if backend else {})}
    return {"budget": {"kind": kind, "vendor": vendor or None}, "engine": engine, "models": [{"placement": placement}]}


def decide(*arguments, options=None, **more):
    return engine_gpu(plan(*arguments, **more), "ollama", "ollama-rocm", **(options or {}))


@pytest.mark.parametrize(
    ("made", "image", "devices", "capabilities", "environment"),
    [
        (decide("amd", "rocm"), "ollama-rocm", ["/dev/kfd", "/dev/dri"], [], {}),
        (decide("amd", "rocm", [UUID]), "ollama-rocm", ["/dev/kfd", "/dev/dri"], [], {"ROCR_VISIBLE_DEVICES": UUID}),
        # RX 580, MI50, RX 6700 XT, RX 6600: the ROCm image has no code for them
        (decide("amd", "vulkan"), "ollama", ["/dev/dri"], [], {"OLLAMA_VULKAN": "1"}),
        (decide("amd"), "ollama-rocm", ["/dev/kfd", "/dev/dri"], [], {}),  # a plan of before there were backends
        (decide("intel", "vulkan"), "ollama", ["/dev/dri"], ["PERFMON"], {"OLLAMA_VULKAN": "1"}),
        (decide("apple", "metal", kind="unified"), "ollama", [], [], {}),
        (decide("amd", "rocm", placement="cpu"), "ollama", [], [], {}),
        (decide("", "cpu", kind="cpu"), "ollama", [], [], {}),
        (engine_gpu({}, "ollama", "ollama-rocm"), "ollama", [], [], {}),
    ],
)
def test_images_and_devices(made, image, devices, capabilities, environment):
    found = (made["image"], made["devices"], made["capabilities"], made["environment"], made["reservation"], made["problems"])
    assert found == (image, devices, capabilities, environment, {}, [])


@pytest.mark.parametrize(
    ("gpus", "options", "reservation"),
    [
        (None, {"docker_cdi": True, "cdi_devices": ["all", UUID]}, {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"]}),
        ([UUID], {"docker_cdi": True, "cdi_devices": ["all", UUID]}, {"driver": "cdi", "device_ids": ["nvidia.com/gpu=" + UUID]}),
        (None, {"docker_cdi": True}, {"driver": "nvidia", "count": "all"}),
        (None, {"cdi_devices": ["all"]}, {"driver": "nvidia", "count": "all"}),
        ([UUID], {}, {"driver": "nvidia", "device_ids": [UUID]}),
        (None, {"docker_cdi": True, "cdi_devices": ["all"], "injection": "legacy"}, {"driver": "nvidia", "count": "all"}),
        (None, {"injection": "cdi"}, {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"]}),
    ],
)
@pytest.mark.parametrize("vendor", ["nvidia", ""])  # a host that was told its tier may not know whose GPU it has
def test_nvidia(vendor, gpus, options, reservation):
    made = decide(vendor, "cuda" if vendor else "cpu", gpus, options=options)
    assert made["reservation"] == {**reservation, "capabilities": ["gpu"]}
    assert (made["vendor"], made["backend"], made["image"], made["problems"]) == ("nvidia", "cuda", "ollama", [])


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (decide("nvidia", "cuda", ["MIG-1"], options={"docker_cdi": True, "cdi_devices": [UUID]}), "systemctl restart nvidia-cdi-refresh"),
        (decide("amd", "rocm", ["0000:03:00.0"]), "model_plan_gpus: ROCm knows no name of 0000:03:00.0; leave model_plan_gpus empty"),
        (decide("amd", "vulkan", [UUID]), "model_plan_gpus: Vulkan knows GPUs by their numbers alone"),
        (decide("amd", "rocm", options={"architecture": "aarch64"}), "llm_stack_ollama_rocm_image: the host is aarch64"),
        (
            decide("amd", "vulkan", options={"architecture": "aarch64"}),
            "llm_stack_ollama_image: the host is aarch64, and the image has Vulkan",
        ),
    ],
)
def test_what_cannot_be(made, says):
    (line,) = made["problems"]
    assert says in line


def test_vulkan_gpus_by_their_numbers():
    assert decide("amd", "vulkan", [UUID], options={"environment": {"GGML_VK_VISIBLE_DEVICES": "0"}})["problems"] == []
