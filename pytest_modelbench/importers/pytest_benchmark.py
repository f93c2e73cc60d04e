"""pytest-benchmark: what `--benchmark-json`, `--benchmark-save` and our own report of that name write."""

from __future__ import annotations

from typing import Any

from ..importers import File, imported, rounds
from ..record import Record


def takes(content: Any) -> bool:
    """An object of benchmarks on one machine."""
    return isinstance(content, dict) and {"benchmarks", "machine_info"} <= content.keys()


def read(content: Any, file: File) -> list[Record]:
    """A Record a benchmark. Where rounds were not saved, one window of all calls: their total is what was measured."""
    machine, commit = content["machine_info"], content.get("commit_info") or {}
    cpu = machine.get("cpu") or {}
    git = {"commit": commit.get("id"), "branch": commit.get("branch"), "dirty": commit.get("dirty")}
    found = []
    for bench in content["benchmarks"]:
        stats = bench["stats"]
        data, loops = stats.get("data"), int(stats.get("iterations") or 1)
        notes: tuple[str, ...] = ()
        if not data:
            calls = int(stats["rounds"])
            data, loops = [stats["total"] / calls], calls * loops
            notes = (
                f"no rounds in the file (--benchmark-save-data keeps them): the time is the mean of {calls:,} rounds",
            )
        found.append(
            imported(
                file,
                "pytest-benchmark",
                bench["fullname"].partition("[")[0],
                version=content.get("version", ""),
                started_utc=content.get("datetime", ""),
                axes=bench.get("params") or {"id": bench.get("param")},
                machine={
                    "cpu_name": cpu.get("brand_raw"),
                    "cores_usable": cpu.get("count"),
                    "node": machine.get("node"),
                },
                environment={"git": git},
                timing=rounds(data, loops),
                notes=notes,
            )
        )
    return found
