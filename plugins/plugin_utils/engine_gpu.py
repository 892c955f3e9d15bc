# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide how the engine's container gets its GPUs: image, devices and environment."""

from __future__ import annotations

import typing as t

Data = dict[str, t.Any]


class EngineGpu(t.TypedDict):
    """What the engine's service is given for its GPUs. Empty where the plan has no model on one."""

    vendor: str  #: ``nvidia``, ``amd``, ``intel`` or empty
    backend: str  #: what the engine computes with: ``cuda``, ``rocm``, ``vulkan`` or empty
    image: str
    reservation: Data  #: an entry of ``deploy.resources.reservations.devices``
    devices: list[str]  #: device nodes
    capabilities: list[str]
    environment: dict[str, str]
    problems: list[str]  #: one line each, with the variable to set


def engine_gpu(
    plan: t.Mapping[str, t.Any],
    image: str,
    rocm_image: str,
    cdi_devices: t.Sequence[str] = (),
    docker_cdi: bool = False,
    injection: str = "auto",
    architecture: str = "x86_64",
    environment: t.Mapping[str, t.Any] | None = None,
) -> EngineGpu:
    """Decide how the engine's container gets the GPUs that its plan uses.

    :arg plan: as the planner returns it: ``budget`` (``kind``, ``vendor``), ``engine`` (``backend``, ``gpus``), ``models``
        (``placement``). An empty one needs no GPU.
    :arg image: the standard image, with CUDA and Vulkan.
    :arg rocm_image: the image with ROCm, and without Vulkan.
    :arg cdi_devices: the names of the CDI devices of NVIDIA's kind that the host has.
    :arg docker_cdi: whether Docker reads CDI specifications.
    :arg injection: the setting llm_stack_gpu_injection.
    :arg architecture: what ``uname -m`` says.
    :arg environment: the setting llm_stack_ollama_environment.
    """
    budget, engine = plan.get("budget") or {}, plan.get("engine") or {}
    placed = any(model.get("placement") == "gpu" for model in plan.get("models") or [])
    # A host that was told its tier may not know whose GPU it has.
    vendor = (budget.get("vendor") or "nvidia") if placed and budget.get("kind", "cpu") != "cpu" else ""
    backend = engine.get("backend") or {"nvidia": "cuda", "amd": "rocm", "intel": "vulkan"}.get(vendor, "") if vendor else ""
    if vendor == "nvidia":
        backend = "cuda"
    gpus: list[str] = list(engine.get("gpus") or [])
    made: EngineGpu = {
        "vendor": vendor,
        "backend": backend,
        "image": rocm_image if backend == "rocm" else image,
        "reservation": {},
        "devices": [],
        "capabilities": [],
        "environment": {},
        "problems": [],
    }
    if vendor == "nvidia":
        return {**made, **nvidia(gpus, cdi_devices, docker_cdi, injection)}
    if backend not in ("rocm", "vulkan"):
        return made
    if architecture != "x86_64":
        setting = "llm_stack_ollama_rocm_image" if backend == "rocm" else "llm_stack_ollama_image"
        made["problems"].append(
            "%s: the host is %s, and the image has %s for x86_64 alone; set model_plan_tier to cpu"
            % (setting, architecture, {"rocm": "ROCm", "vulkan": "Vulkan"}[backend])
        )
    if backend == "rocm":
        made["devices"] = ["/dev/kfd", "/dev/dri"]
        unnamed = [gpu for gpu in gpus if not gpu.startswith("GPU-")]
        if unnamed:
            made["problems"].append("model_plan_gpus: ROCm knows no name of %s; leave model_plan_gpus empty" % ", ".join(unnamed))
        elif gpus:
            made["environment"] = {"ROCR_VISIBLE_DEVICES": ",".join(gpus)}
        return made
    made["devices"] = ["/dev/dri"]
    # Without it the size of an Intel GPU's memory cannot be read.
    made["capabilities"] = ["PERFMON"] if vendor == "intel" else []
    # Ollama before 0.30 uses Vulkan when it is asked to.
    made["environment"] = {"OLLAMA_VULKAN": "1"}
    if gpus and "GGML_VK_VISIBLE_DEVICES" not in (environment or {}):
        made["problems"].append(
            "model_plan_gpus: Vulkan knows GPUs by their numbers alone; set llm_stack_ollama_environment: {GGML_VK_VISIBLE_DEVICES: ...} to"
            " those of %s, or leave model_plan_gpus empty" % ", ".join(gpus)
        )
    return made


class Nvidia(t.TypedDict):
    """The part of :class:`EngineGpu` that NVIDIA's GPUs decide."""

    reservation: Data
    problems: list[str]


def nvidia(gpus: list[str], cdi_devices: t.Sequence[str], docker_cdi: bool, injection: str) -> Nvidia:
    """Decide how NVIDIA's GPUs get into the container: by CDI, which lasts when systemd is reloaded, where Docker knows it and the
    toolkit has written what the devices are; else by NVIDIA's hook."""
    by_cdi = injection == "cdi" or (injection == "auto" and docker_cdi and bool(cdi_devices))
    if not by_cdi:
        chosen: Data = {"device_ids": gpus} if gpus else {"count": "all"}
        return {"reservation": {"driver": "nvidia", **chosen, "capabilities": ["gpu"]}, "problems": []}
    problems = []
    missing = [gpu for gpu in gpus if gpu not in cdi_devices]
    if missing:
        problems.append(
            "model_plan_gpus: Docker hands out %s, and not %s; `systemctl restart nvidia-cdi-refresh` writes that list again"
            % (", ".join(cdi_devices), ", ".join(missing))
        )
    names = ["nvidia.com/gpu=" + gpu for gpu in gpus or ["all"]]
    return {"reservation": {"driver": "cdi", "device_ids": names, "capabilities": ["gpu"]}, "problems": problems}
