"""P1: what a timed call costs over a bare loop, and how far the reported median is from it.

A call of known length walks a `range`. A round of a bare loop runs between any two rounds of ours, where a Measure says
how far it is, so that both see the same machine from one millisecond to the next. The peers offer no such place: a bare
loop runs before and after each, and their median is compared with the mean of the two, so that slow drift cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import repeat
from statistics import median
from time import perf_counter_ns

from .figure import Figure, middle
from .peers import PEERS, absent, ours

ROUND_NS = 1_000_000
#: Lengths of a call in microseconds, from one that is all overhead to one that a round holds twice.
LENGTHS_US = (0.1, 1.0, 5.0, 50.0, 500.0)
#: From here on the bias has a target (docs: a round of shorter calls is the loop's own cost too).
JUDGED_FROM_US = 5.0


def figures(quick: bool) -> Iterator[Figure]:
    """Cost and bias for each length of call."""
    seconds, turns = (0.01, 2) if quick else (0.05, 31)
    for length_us in LENGTHS_US:
        call = _call(length_us * 1e3)
        pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ours", *PEERS)}
        before = _bare(call, seconds)
        for _ in range(turns):
            pairs["ours"].append(_ours_and_bare(call, seconds))
            for name, peer in PEERS.items():
                if not absent(name):
                    found = peer(call, seconds)
                    after = _bare(call, seconds)
                    pairs[name].append((found, (before + after) / 2))
                    before = after
        if length_us == LENGTHS_US[0]:
            costs = {name: [(timed - bare) * 1e9 for timed, bare in of] for name, of in pairs.items()}
            yield _figure(f"P1 cost of a timed call of {length_us:g} us", "ns", costs, 10.0)
        biases = {name: [(timed / bare - 1) * 100 for timed, bare in of] for name, of in pairs.items()}
        judged = 0.5 if length_us >= JUDGED_FROM_US else None
        yield _figure(f"P1 bias of the median, calls of {length_us:g} us", "%", biases, judged)


def _figure(what: str, unit: str, found: dict[str, list[float]], target: float | None) -> Figure:
    ours, interval = middle(found["ours"])
    peers = {name: median(values) if values else absent(name) for name, values in found.items() if name != "ours"}
    return Figure(what, unit, ours, target, interval, peers)


def _call(length_ns: float) -> Callable[[], None]:
    """A function without arguments that takes about so long, always the same work."""

    def made(turns: int) -> Callable[[], None]:
        numbers = range(turns)

        def call() -> None:
            for _ in numbers:
                pass

        return call

    turns = 1
    while (took := _bare(made(turns), 0.01) * 1e9) < length_ns:
        turns = max(turns + 1, min(turns * 10, math.ceil(turns * length_ns / took)))
    return made(turns)


def _ours_and_bare(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """The median that a Measure reports, and the median of bare rounds between its own."""
    loops, bare = _loops(call), []

    def between(phase: str, share: float | None) -> None:
        if phase == "rounds":
            bare.append(_bare_round(call, loops))

    return ours(call, seconds, between), median(bare) * 1e-9


def _bare(call: Callable[[], object], seconds: float) -> float:
    """Median seconds of a call over rounds of a plain loop."""
    loops, until, found = _loops(call), perf_counter_ns() + int(seconds * 1e9), []
    while perf_counter_ns() < until:
        found.append(_bare_round(call, loops))
    return median(found) * 1e-9


def _bare_round(call: Callable[[], object], loops: int) -> float:
    """Nanoseconds of a call in a plain loop."""
    turns = repeat(None, loops)
    started = perf_counter_ns()
    for _ in turns:
        call()
    return (perf_counter_ns() - started) / loops


def _loops(call: Callable[[], object]) -> int:
    """Calls that last about as long as a round."""
    return max(1, math.ceil(ROUND_NS / max(_bare_round(call, 10), 10)))
