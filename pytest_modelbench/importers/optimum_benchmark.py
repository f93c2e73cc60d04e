"""optimum-benchmark: `benchmark.json`, or the part of it that is `benchmark_report.json`."""

from __future__ import annotations

from typing import Any

from ..importers import File, imported, rounds
from ..record import Memory, ModelFacts, Record

#: Its memory in our names; it counts in MB.
_MEMORY = {
    "max_ram": "process_peak_bytes",
    "max_allocated": "device_allocated_peak_bytes",
    "max_reserved": "device_reserved_peak_bytes",
    "max_process_vram": "device_process_bytes",
    "max_global_vram": "device_used_bytes",
}


def takes(content: Any) -> bool:
    """A report of measured parts, alone or under its key."""
    report = content.get("report", content) if isinstance(content, dict) else None
    return isinstance(report, dict) and any(
        isinstance(part, dict) and {"latency", "memory"} <= part.keys() for part in report.values()
    )


def read(content: Any, file: File) -> list[Record]:
    """A Record a part that was timed: load_model, prefill, decode, per_token, forward, ..."""
    report, config = content.get("report", content), content.get("config") or {}
    backend, scenario, machine = (config.get(name) or {} for name in ("backend", "scenario", "environment"))
    shapes = scenario.get("input_shapes") or {}
    gpu = machine.get("gpu")
    found = []
    for part, measured in report.items():
        latency = measured.get("latency")
        if not latency or not latency.get("values"):
            continue
        if latency["unit"] != "s":
            raise ValueError(f"the times of {part} are in {latency['unit']!r}, not in s")
        found.append(
            imported(
                file,
                "optimum-benchmark",
                part,
                version=str(machine.get("optimum_benchmark_version") or ""),
                axes={
                    "model": backend.get("model"),
                    "device": backend.get("device"),
                    "backend": backend.get("name"),
                    "batch_size": shapes.get("batch_size"),
                    "sequence_length": shapes.get("sequence_length"),
                    "id": config.get("name") or file.path.parent.name,
                },
                machine={
                    "cpu_name": machine.get("cpu"),
                    "cores_usable": machine.get("cpu_count"),
                    "gpu_name": gpu[0] if isinstance(gpu, list) and gpu else gpu or None,
                },
                timing=rounds(latency["values"]),
                counts=_counts(measured.get("throughput"), latency["values"]),
                memory=_memory(measured.get("memory")),
                model=ModelFacts(str(backend["model"]), task=backend.get("task"), dtype=backend.get("torch_dtype"))
                if backend.get("model")
                else None,
                notes=("its energy is not taken over: it is of the whole run",) if measured.get("energy") else (),
            )
        )
    return found


def _counts(throughput: dict[str, Any] | None, seconds: list[float]) -> dict[str, float]:
    """Work in one call: its throughput is a volume over the mean time."""
    if not throughput:
        return {}
    volume = throughput["value"] * sum(seconds) / len(seconds)
    return {throughput["unit"].partition("/")[0]: float(round(volume, 6))}


def _memory(memory: dict[str, Any] | None) -> Memory:
    if not memory:
        return Memory()
    if memory.get("unit", "MB") != "MB":
        raise ValueError(f"its memory is in {memory['unit']!r}, not in MB")
    known = {ours: round(memory[theirs] * 1e6) for theirs, ours in _MEMORY.items() if memory.get(theirs) is not None}
    return Memory(**known, sources=dict.fromkeys(known, "optimum-benchmark"))
