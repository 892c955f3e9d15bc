# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether the engine's models are wholly on the GPU: by what the engine says, and by what the driver sees of its processes."""

from __future__ import annotations

import re
import typing as t

# The engine, and what it starts for each model: `ollama runner` before 0.30, llama-server since.
ENGINE_PROCESS = re.compile(r"(^|/)(ollama|llama[-_]server|ollama_llama_server)\b")
ENOUGH = 0.9  # of what the engine says; its processes hold the models and their own needs besides
MIB = 2**20


class Check(t.TypedDict):
    """One line of a verification."""

    id: str
    status: str  #: ``pass``, ``warn``, ``fail`` or ``skip``
    observed: str
    advice: str


def short(name: str) -> str:
    """Return a model's name as people write it: without ``:latest``."""
    return re.sub(":latest$", "", name)


def parse_processes(text: str) -> list[tuple[str, int | None]]:
    """Return name and MiB of the processes that compute on GPUs; None for a size that the driver does not tell.

    :arg text: what ``nvidia-smi --query-compute-apps=process_name,used_memory --format=csv,noheader,nounits`` prints.
    """
    found = []
    for line in text.splitlines():
        name, comma, size = line.rpartition(",")
        if comma:
            found.append((name.strip(), int(size) if re.fullmatch(r"\s*[0-9]{1,9}\s*", size) else None))
    return found


def engine_memory(processes: t.Iterable[tuple[str, int | None]]) -> int | None:
    """Return the MiB that the engine's processes have on GPUs; None where it has none there, or the driver does not tell all."""
    sizes = [size for name, size in processes if ENGINE_PROCESS.search(name)]
    known = [size for size in sizes if size is not None]
    return sum(known) if sizes and len(known) == len(sizes) else None


def model_check(model: t.Mapping[str, t.Any], fault: str, container: str | None = "ollama", log: str = "`docker logs ollama`") -> Check:
    """Judge one loaded model by what the engine says of it: ``name``, ``size`` and ``size_vram`` in bytes, as ``/api/ps`` has them."""
    size, on_gpu = int(model.get("size") or 0), int(model.get("size_vram") or 0)
    where = "The model runs on the CPU" if on_gpu == 0 else "A part of the model runs on the CPU"
    return {
        "id": "engine.gpu.%s" % short(str(model["name"])),
        "status": "pass" if on_gpu >= size else fault,
        "observed": "%d of %d MiB are on a GPU" % (round(on_gpu / MIB), round(size / MIB)),
        "advice": where
        + ": %s says what the engine found. Other programs on the GPU take memory (model_plan_reserve_mib leaves them some)" % log
        + ("; `docker restart %s` where the container has lost its GPU." % container if container else "."),
    }


def gpu_checks(
    loaded: t.Sequence[t.Mapping[str, t.Any]],
    fault: str,
    processes: str | None = None,
    container: str | None = "ollama",
    log: str = "`docker logs ollama`",
) -> list[Check]:
    """Judge the models that the plan places on a GPU and that are loaded.

    :arg loaded: their entries of ``/api/ps``.
    :arg fault: the status of a check that does not pass: ``fail`` or ``warn``.
    :arg processes: what the driver says of the processes on the host's GPUs (see :func:`parse_processes`); None where it was not
        asked. The engine may say that a model is wholly on the GPU while it spills into the machine's memory.
    :arg container: the engine's container; None where it runs without one.
    :arg log: the command that shows the engine's log, or the file that it is in.
    """
    checks = [model_check(model, fault, container, log) for model in loaded]
    said = sum(int(model.get("size_vram") or 0) for model in loaded) // MIB
    seen = engine_memory(parse_processes(processes)) if processes is not None else None
    if said and processes is not None:
        checks.append(
            {
                "id": "engine.gpu_memory",
                "status": "skip" if seen is None else "pass" if seen >= ENOUGH * said else fault,
                "observed": "the driver does not tell how much the engine's processes have"
                if seen is None
                else "the engine says %d MiB, its processes have %d MiB on the GPU" % (said, seen),
                "advice": "The engine says that its models are on the GPU, and the driver sees less of them there: a part lies in the"
                " machine's memory. Take a smaller context or model, or leave others less of the GPU (model_plan_reserve_mib).",
            }
        )
    return checks
