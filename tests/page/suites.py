"""Records for pages: a suite of any size with variants, outcomes, caveats, scores and memory."""

import random
from dataclasses import replace
from math import sin
from typing import Any

from pytest_modelbench.record import Caveat, Cost, Memory, ModelFacts, Record, Score, Series, Timing
from pytest_modelbench.summary import row
from pytest_modelbench.verdict import Verdict, Verdicts, Word

ENVIRONMENT = {
    "git": {"commit": "3f9c1de" + "0" * 33, "branch": "main", "dirty": False},
    "host": {"cpu_name": "a processor", "cores_usable": 8},
    "gpu": None,
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "fingerprint": "7d2e41",
}
#: Variant -> its time against eager's.
VARIANTS = {"eager": 1.0, "compiled": 0.6, "onnx": 0.5, "int8": 0.4}


def suite(size: int, seed: int = 1) -> list[Record]:
    """So many Records of benches with four variants and two batch sizes; about one in a hundred is out of memory."""
    draw = random.Random(seed)
    records = []
    for place in range(size):
        bench, variant, batch = place // 8, list(VARIANTS)[place % 4], (8, 1)[place // 4 % 2]
        seconds = 0.001 * (1 + bench % 50) * batch * VARIANTS[variant]
        records.append(_record(draw, bench, variant, batch, seconds, place))
    return records


def _record(draw: random.Random, bench: int, variant: str, batch: int, seconds: float, place: int) -> Record:
    rounds = tuple(seconds * (1 + abs(draw.gauss(0, 0.02))) for _ in range(60))
    started = tuple(10**9 + round(seconds * 1.1e9 * at) for at in range(60))
    axes = {"model": "random:llama-tiny", "variant": variant, "device": "cpu", "batch_size": str(batch)}
    name = f"benches/bench_{bench % 40}.py::bench_op_{bench}"
    record = Record(
        name, axes, f"{name}[{variant}-{batch}]", "passed",
        timing=Timing("repeat", rounds, started, first_call_seconds=4 * seconds),
        counts={"tokens": 64.0 if variant != "int8" else 6_400.0},
        scores={"contains": Score(round(0.9 + 0.1 * draw.random(), 3), "ratio", "higher", (1.0, 0.0, 1.0))},
        memory=Memory(process_peak_bytes=round(2**29 * (1 + draw.random()))),
        environment=ENVIRONMENT, session="s1", started_utc="2026-01-31T10:00:00Z", wall_seconds=1.0,
    )  # fmt: skip
    if place % 97 == 13:
        return replace(record, outcome="oom", reason="11.2 GiB asked, 9.8 GiB free", timing=None, memory=Memory())
    if place % 53 == 7:
        return replace(record, caveats=(Caveat("recompiled", "1 of 60 rounds"),))
    if place % 8 == 0:
        times = tuple(range(started[0], started[-1], (started[-1] - started[0]) // 40))
        busy = Series(
            "process", "cpu_busy_ratio", "ratio", times, tuple(0.6 + 0.3 * sin(at) for at in range(len(times)))
        )
        return replace(record, samples=(busy,))
    return record


def judged(records: list[Record]) -> Verdicts:
    """Verdicts of every kind on some Records, with one score among them."""
    words: list[tuple[Word, float, float, float]] = [
        ("slower", 0.076, 0.061, 0.092), ("faster", -0.064, -0.079, -0.05), ("same", 0.003, -0.014, 0.021),
        ("unclear", 0.057, 0.019, 0.099), ("slower", 2.2, 1.9, 2.5), ("same", -0.008, -0.022, 0.007),
    ]  # fmt: skip
    found = []
    for place, record in enumerate(records):
        word, change, low, high = words[place % len(words)] if place < 60 else words[2]
        seconds = record.timing.rounds_seconds[0] if record.timing else 0.1
        found.append(
            Verdict(
                record.key, record.nodeid, "seconds", word, before=seconds / (1 + change), after=seconds, change=change,
                low=low, high=high, pairs=6, limit=0.05, detectable=0.08, failing=word == "slower",
            )
        )  # fmt: skip
    found[1] = Verdict(found[1].key, found[1].nodeid, "seconds", "new", "no such bench in main")
    key, node = records[0].key, records[0].nodeid
    found.append(
        Verdict(
            key, node, "score_contains", "slower", unit="ratio", direction="higher", before=0.95, after=0.925,
            change=-0.025, low=-0.06, high=-0.01, items=40, differing=1, limit=0.01, failing=True,
        )
    )  # fmt: skip
    changed = {"torch": ("2.12.1", "2.13.0"), "OMP_NUM_THREADS": ("unset", "1")}
    return Verdicts(tuple(found), "main (a1b2c3d)", "3f9c1de", "paired", 0.01, changed, ("The canary was steady.",))


def past(records: list[Record], sessions: int) -> list[dict[str, Any]]:
    """Rows of earlier sessions: the first bench became slower in the middle, the others only wander."""
    draw = random.Random(5)
    found = []
    for session in range(sessions):
        for place, record in enumerate(records):
            columns = row(record)
            if columns["median_seconds"]:
                level = 0.8 if place == 0 and session < sessions // 2 else 1.0
                by = level * (1 + draw.gauss(0, 0.01))
                seconds = {name: columns[name] * by for name in ("median_seconds", "p5_seconds", "p95_seconds")}
                found.append(columns | seconds | {"commit": f"{session:07x}", "session": f"s{session}"})
    return found


def grid() -> list[Record]:
    """A bench over two axes with two variants; the largest did not fit."""
    first = suite(1)[0]
    return [
        replace(
            first, bench="benches/bench_grid.py::bench_grid", nodeid=f"bench_grid[{variant}-{batch}-{length}]",
            axes={"variant": variant, "device": "cpu", "batch_size": str(batch), "length": str(length)},
            outcome="oom" if (batch, length) == (8, 1024) else "passed",
            timing=Timing("repeat", tuple(VARIANTS[variant] * batch * length * 1e-6 * (1 + n / 100) for n in range(9))),
        )
        for variant in ("eager", "onnx") for batch in (1, 8, 2) for length in (128, 1024)
    ]  # fmt: skip


def costed() -> list[Record]:
    """Four variants whose arithmetic and memory traffic are known, one of them quantized."""
    cost = Cost(
        flops=4e7, bytes_moved=8e6, dtype="float32", peak_flops_per_second=1e11, peak_bytes_per_second=2e10,
        datasheet_flops_per_second=2e11, datasheet_bytes_per_second=5e10,
    )  # fmt: skip
    kept = ModelFacts("a", parameters=25 * 10**6, weight_bytes=10**8)
    int8 = replace(kept, quantization="int8", weight_bytes=25 * 10**6)
    return [replace(record, cost=cost, model=int8 if record.axes["variant"] == "int8" else kept) for record in suite(4)]
