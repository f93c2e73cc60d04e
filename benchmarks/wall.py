"""P2: wall seconds of one bench at defaults: a quiet call of one millisecond.

The call spins on the clock until its millisecond is over, so it is as quiet as the machine lets it be. Counted are
set-up, call and teardown of the test, in sessions of one bench and of two: their difference is a bench, and the rest is
what a session pays once (the lease, the sampling process, facts of the machine).
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter, perf_counter_ns

from .figure import Figure, middle
from .peers import absent, torch_timer
from .sessions import folder_of, pytest_session

CALL = """
from time import perf_counter_ns

def call():
    until = perf_counter_ns() + 1_000_000
    while perf_counter_ns() < until:
        pass
"""
#: Whose -> a file of tests that take its fixture.
FILES = {
    "ours": CALL + "\ndef bench_1(measure): measure(call)\n",
    "pytest-benchmark": CALL + "\ndef test_1(benchmark): benchmark(call)\n",
    "codspeed": CALL + "\ndef test_1(benchmark): benchmark(call)\n",
}


def figures(quick: bool) -> Iterator[Figure]:
    """Seconds of a bench."""
    without = {name: "left out of --quick" if quick and name != "ours" else absent(name) for name in FILES}
    benches: dict[str, list[float]] = {name: [] for name in FILES if not without[name]}
    for _ in range(1 if quick else 5):
        for name, found in benches.items():
            found.append(_test_seconds(name, 2) - _test_seconds(name, 1))
    ours, interval = middle(benches.pop("ours"))
    peers: dict[str, float | str] = {name: median(found) for name, found in benches.items()}
    peers |= {name: why for name, why in without.items() if why}
    peers["torch Timer"] = absent("torch Timer") or _timer_seconds()
    yield Figure("P2 wall time of a bench at defaults, a quiet call of 1 ms", "s", ours, 1.0, interval, peers)


def _test_seconds(whose: str, tests: int) -> float:
    text, kind = FILES[whose], "bench" if whose == "ours" else "test"
    text += "".join(text[text.rindex(f"def {kind}") :].replace("_1", f"_{n}") for n in range(2, tests + 1))
    switch = ["--codspeed"] if whose == "codspeed" else []
    with folder_of(**{f"{kind}_wall": text}) as folder:
        seconds = pytest_session(folder, whose, "-q", *switch).seconds
    return seconds["setup"] + seconds["call"] + seconds["teardown"]


def _timer_seconds() -> float:
    def call() -> None:
        until = perf_counter_ns() + 1_000_000
        while perf_counter_ns() < until:
            pass

    torch_timer(call, 0.001)  # imports torch
    started = perf_counter()
    torch_timer(call, 0.2)  # the default of blocked_autorange
    return perf_counter() - started
