"""What a million rounds cost to store: a thousand Records of a thousand rounds, their clock read in whole nanoseconds.

Round lengths spread by a percent or two about medians between a microsecond and a tenth of a second, with a tail, and
start some microseconds after each other; the seconds are made of them as a Measure makes them. Compared are JSON, which
pytest-benchmark writes, and Parquet of plain float64 columns.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .figure import Figure


def figures(quick: bool) -> Iterator[Figure]:
    """Seconds and megabytes."""
    from pytest_modelbench.stores.parquet import Parquet

    records = _records(20 if quick else 1000)
    rounds = sum(len(record.timing.rounds_seconds) for record in records)
    ours: list[float] = []
    for _ in range(1 if quick else 5):
        with tempfile.TemporaryDirectory() as name:
            started = perf_counter()
            Parquet(name).append(records)
            ours.append(perf_counter() - started)
            size = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file()) / 1e6
    said, took = _as_json(records)
    yield Figure(f"storing {rounds:,} rounds", "s", median(ours), 0.4, (min(ours), max(ours)), {"JSON": took})
    yield Figure(f"{rounds:,} rounds, stored", "MB", size, 6.0, None, {"JSON": said / 1e6})


def _as_json(records: list[Any]) -> tuple[int, float]:
    started = perf_counter()
    text = json.dumps([vars(record) for record in records], default=vars)
    return len(text), perf_counter() - started


def _records(number: int) -> list[Any]:
    from pytest_modelbench.record import Record, Timing
    from pytest_modelbench.rounds import seconds_of

    draw = random.Random(0)
    records = []
    for bench in range(number):
        length_ns = 10 ** draw.uniform(3, 8)
        loops = max(1, round(1e6 / length_ns))
        started, lengths, starts = 10**15, [], []
        for _ in range(1000):
            took = round(length_ns * loops * (1 + draw.gauss(0, 0.01) + draw.expovariate(200)))
            starts.append(started)
            lengths.append(seconds_of(took, loops))
            started += took + draw.randrange(8_000, 12_000)
        timing = Timing("repeat", tuple(lengths), tuple(starts), loops=loops)
        key = f"benches/bench_storage.py::bench_{bench}"
        records.append(Record(key, {}, key, "passed", timing=timing, session="s", started_utc="2026-01-31T10:00:00Z"))
    return records
