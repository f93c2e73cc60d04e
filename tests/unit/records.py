"""Records for tests: one with every part, and plain ones."""

from dataclasses import replace

from pytest_modelbench.record import (
    Caveat,
    Cost,
    DatasetFacts,
    Idle,
    Memory,
    ModelFacts,
    Outcome,
    Record,
    Score,
    Series,
    Timing,
    TokenTimes,
)

ENVIRONMENT = {
    "git": {"commit": "3f9c1de" + "0" * 33, "branch": "main", "dirty": True},
    "host": {"cpu_name": "a processor", "cores_usable": 8},
    "gpu": None,
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "fingerprint": "7d2e41",
}

FULL = Record(
    bench="benches/bench_llama.py::bench_generate",
    axes={"model": "package:llm", "variant": "eager", "device": "cpu", "batch_size": "2", "n": "8"},
    nodeid="bench_llama.py::bench_generate[llm-eager-cpu-2-8]",
    outcome="passed",
    timing=Timing(
        "repeat",
        rounds_seconds=(0.1, 0.30000000000000004, 0.2),
        started_ns=(10**9, 10**9 + 10**8, 10**9 + 4 * 10**8),
        device_seconds=(0.09, 0.29, 0.19),
        loops=1,
        warmup_calls=3,
        first_call_seconds=2.5,
        compile_seconds=1.25,
        stopped_by="precision",
    ),
    tokens=TokenTimes(
        ttft_seconds=(0.04, 0.05, 0.06),
        itl_seconds=((0.01, 0.02), (), (0.03,)),
        e2el_seconds=(0.07, 0.05, 0.09),
        batch_size=2,
        prompt_tokens=12,
        new_tokens=6,
        taken_by="a clock in a test",
        ttft_device_seconds=(0.03, 0.04, 0.05),
    ),
    counts={"tokens": 6.0},
    scores={"contains": Score(0.75, "ratio", "higher", (1.0, 1.0, 0.0, 1.0), 0.25)},
    memory=Memory(
        process_peak_bytes=2**30,
        weights_bytes=40,
        kv_cache_bytes=2048,
        sources={"process_peak_bytes": "VmHWM", "kv_cache_bytes": "a cache in a test"},
    ),
    cost=Cost(
        flops=4e6,
        bytes_moved=8e6,
        step_bytes=1e6,
        dtype="float32",
        peak_flops_per_second=1e8,
        peak_bytes_per_second=2e8,
        datasheet_flops_per_second=1.5e8,
        sources={"flops": "a formula"},
    ),
    idle=Idle(11.5, 0.2, "energy counter of a test"),
    samples=(
        Series("process", "rss", "bytes", (10**9, 2 * 10**9), (1.0, 2.0)),
        Series("process", "nothing", "ratio", (), ()),
    ),
    caveats=(Caveat("recompiled", "1 of 3 rounds"),),
    notes=("a note",),
    model=ModelFacts("package:llm", "0.1", dtype="float32", parameters=10, load_seconds=0.5, details={"opset": 18}),
    dataset=DatasetFacts("package:countryinfo#capitals", "1.0", None, 4, "sha256:00"),
    environment=ENVIRONMENT,
    source_digest="sha256:11",
    session="20260131-abc",
    worker="gw0",
    started_utc="2026-01-31T10:02:00Z",
    wall_seconds=4.5,
)


def timed(bench: str = "benches/bench_x.py::bench_x", seconds: float = 0.1, **axes: str) -> Record:
    """A passed Record of five rounds about `seconds`."""
    rounds = tuple(seconds * factor for factor in (0.98, 0.99, 1.0, 1.01, 1.02))
    return Record(
        bench,
        axes,
        f"{bench}[{'-'.join(axes.values())}]",
        "passed",
        timing=Timing("repeat", rounds),
        environment=ENVIRONMENT,
        session="s1",
        started_utc="2026-01-31T10:00:00Z",
    )


def ended(outcome: Outcome, reason: str = "", bench: str = "benches/bench_x.py::bench_x", **axes: str) -> Record:
    """A Record without times."""
    return replace(timed(bench, **axes), outcome=outcome, reason=reason, timing=None)
