"""Records for pages: a suite of any size with variants, outcomes, caveats, scores and memory."""

import random
from dataclasses import replace
from math import sin

from pytest_modelbench.record import Caveat, Memory, Record, Score, Series, Timing

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
        counts={"tokens": 64.0},
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
