"""The JSON of pytest-benchmark, for what reads that: its `compare`, github-action-benchmark, Bencher.

The statistics are defined as pytest-benchmark's `stats.py` defines them (its quartiles are not ours), so that a bench
moved from its fixture to ours goes on in the same history.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ..declare import report
from ..files import written_whole
from ..record import Record
from ..results import Results
from ..stats import median
from ..summary import throughput

#: The version of pytest-benchmark whose format this is.
FORMAT_OF = "5.3.1"


@report("pytest-benchmark")
def pytest_benchmark(results: Results, place: Path) -> Path:
    """The benches that passed and were timed; others have no place in that format."""
    records = [record for record in results.records if record.outcome == "passed" and record.timing]
    timed = [record for record in records if record.timing and record.timing.rounds_seconds]
    seen = records[0].environment if records else {}
    content = {
        "machine_info": _machine(seen),
        "commit_info": _commit(seen),
        "benchmarks": [_bench(record, record.timing.rounds_seconds) for record in timed if record.timing],
        "datetime": min((record.started_utc for record in records), default=""),
        "version": FORMAT_OF,
    }
    return written_whole(place, json.dumps(content, indent=1, allow_nan=False) + "\n", "the pytest-benchmark report")


def _bench(record: Record, seconds: Sequence[float]) -> dict[str, Any]:
    assert record.timing is not None
    name = record.nodeid.partition("::")[2] or record.nodeid
    _, bracket, param = name.partition("[")
    return {
        "group": None,
        "name": name,
        "fullname": record.nodeid,
        "params": dict(record.axes) or None,
        "param": param.removesuffix("]") if bracket else None,
        "extra_info": {
            "modelbench_key": record.key,
            **{f"{unit}_per_second": rate for unit, rate in throughput(record).items()},
            **{f"score_{metric}": score.value for metric, score in record.scores.items()},
            **({"peak_memory_bytes": record.memory.peak_bytes} if record.memory.peak_bytes is not None else {}),
            **({"caveats": [caveat.kind for caveat in record.caveats]} if record.caveats else {}),
        },
        "options": {"disable_gc": True, "timer": "perf_counter_ns", "warmup": record.timing.warmup_calls > 0},
        "stats": {**_stats(seconds), "data": list(seconds), "iterations": record.timing.loops},
    }


def _stats(seconds: Sequence[float]) -> dict[str, Any]:
    ordered, total = sorted(seconds), sum(seconds)
    middle, spread = mean(seconds), stdev(seconds) if len(seconds) > 1 else 0.0
    first, third = _quartiles(ordered)
    low, high = first - 1.5 * (third - first), third + 1.5 * (third - first)
    outside_spread = sum(not middle - spread <= value <= middle + spread for value in ordered)
    outside_fences = sum(not low <= value <= high for value in ordered)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": middle,
        "stddev": spread,
        "rounds": len(ordered),
        "median": median(ordered),
        "iqr": third - first,
        "q1": first,
        "q3": third,
        "iqr_outliers": outside_fences,
        "stddev_outliers": outside_spread,
        "outliers": f"{outside_spread};{outside_fences}",
        "ld15iqr": ordered[min(bisect_left(ordered, low), len(ordered) - 1)],
        "hd15iqr": ordered[bisect_right(ordered, high) - 1],
        "ops": len(ordered) / total if total else 0,
        "total": total,
    }


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Medians of the halves where there are as many; else method 3 of https://en.wikipedia.org/wiki/Quartile."""
    rounds = len(ordered)
    if rounds == 1:
        return ordered[0], ordered[0]
    if rounds % 2 == 0:
        return median(ordered[: rounds // 2]), median(ordered[rounds // 2 :])
    n = rounds // 4
    if rounds % 4 == 1:
        return 0.25 * ordered[n - 1] + 0.75 * ordered[n], 0.75 * ordered[3 * n] + 0.25 * ordered[3 * n + 1]
    return 0.75 * ordered[n] + 0.25 * ordered[n + 1], 0.25 * ordered[3 * n + 1] + 0.75 * ordered[3 * n + 2]


def _machine(seen: dict[str, Any]) -> dict[str, Any]:
    host, versions = seen.get("host") or {}, seen.get("versions") or {}
    return {
        "node": "",  # a host's name is not recorded
        "machine": host.get("machine"),
        "system": host.get("system"),
        "python_version": versions.get("python"),
        "cpu": {"brand_raw": host.get("cpu_name"), "count": host.get("cores_usable")},
    }


def _commit(seen: dict[str, Any]) -> dict[str, Any]:
    git = seen.get("git") or {}
    return {
        "id": git.get("commit") or "unversioned",
        "time": None,
        "author_time": None,
        "dirty": bool(git.get("dirty")),
        "branch": git.get("branch") or "(unknown)",
    }
