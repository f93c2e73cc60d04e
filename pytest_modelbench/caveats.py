"""Caveats: what limits a Record, seen in the Record itself. Each is a function of it; limits say where they come from.

`truncated` is not here: only the outputs show it, and those are `measure.py`'s. Where a reading is missing (no samples,
no CUDA device, too few rounds to tell) a function says nothing: a caveat is something that was seen.
The manual: docs/reference/caveats.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .quantity import percent, quantity_text
from .record import CAVEATS, COMPILER, Caveat, Record, Series, Timing
from .stats import drift_ratio, median

# The least number of rounds whose range holds the true median with 95 %: 1 - 2 * 0.5**n is 93.8 % at 5 and 96.9 % at 6
# (order statistics: Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2).
LEAST_ROUNDS = 6
# What the project promises of a median (0.5 %, docs/reference/caveats.md) may not be used up by the timer alone.
TIMER_RATIO = 0.005
# As much as two windows of a warm-up may differ (measure.WARMUP_AGREES_RATIO): less is called steady there.
DRIFT_RATIO = 0.05
# Chosen here: a median does not notice what happened to fewer of its rounds than one in twenty.
THROTTLED_RATIO = 0.05
# Chosen here: an idle desktop keeps one to three percent of its cores busy; one busy core of eight is more than this.
OTHERS_RATIO = 0.1
# A core's busy time comes in ticks of 10 ms (proc_stat(5)); five readings a tenth of a second apart make them 2 %.
LEAST_HOST_READINGS = 5

#: Bits of NVML's clock event reasons that slow a device down, as nvml.h says (nvmlClocksEventReason*). Left out are
#: idle (0x1) and clocks that a person set: applications clocks (0x2) and display clocks (0x100).
SLOWED_BY = {
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost group",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x200: "board limit",
    0x400: "reliability limit",
}


def found(record: Record) -> tuple[Caveat, ...]:
    """All caveats of a Record: those that it has and those that its numbers show, in the order of CAVEATS."""
    if record.timing is None:
        return record.caveats
    seen = [caveat for look in LOOKS for caveat in look(record, record.timing)]
    order = list(CAVEATS)
    return tuple(sorted([*record.caveats, *seen], key=lambda caveat: order.index(caveat.kind)))


def recompiled(record: Record, timing: Timing) -> list[Caveat]:
    """A compile event that touches a timed round."""
    spans = _spans(timing)
    events = [
        (at, at + round(seconds * 1e9), seconds)
        for series in record.samples
        if series.sampler == COMPILER
        for at, seconds in zip(series.at_ns, series.values, strict=True)
    ]
    touched = [span for span in spans if any(at < span[1] and end > span[0] for at, end, _ in events)]
    if not touched:
        return []
    took = sum(seconds for at, end, seconds in events if at < spans[-1][1] and end > spans[0][0])
    return [Caveat("recompiled", f"{len(touched)} of {len(spans)} rounds, {quantity_text('seconds', took)}")]


def fallback(record: Record, timing: Timing) -> list[Caveat]:
    """A dtype or attention that was asked for and is not there, nodes on another provider, breaks in a graph."""
    if record.model is None:
        return []
    facts, details = record.model, record.model.details
    said = [
        f"asked for {name} {asked}, {real} ran"
        for name, asked, real in (
            ("dtype", details.get("asked_dtype"), facts.dtype),
            ("attention", details.get("asked_attention"), facts.attention),
        )
        if asked is not None and real is not None and asked != real
    ]
    if elsewhere := details.get("nodes_elsewhere"):
        said.append(str(elsewhere))
    if breaks := details.get("graph_breaks"):
        said.append(f"{breaks} graph break{'s' if breaks != 1 else ''}: what lies between graphs ran eagerly")
    return [Caveat("fallback", text) for text in said]


def throttled(record: Record, timing: Timing) -> list[Caveat]:
    """Clock event reasons other than idle in the samples between the first and the last round."""
    reasons = _series(record, "nvml", "clock_event_reasons")
    spans = _spans(timing)
    if reasons is None or not spans:
        return []
    bits = [int(value) for at, value in _between(reasons, spans[0][0], spans[-1][1])]
    shares = {name: sum(bool(value & bit) for value in bits) / len(bits) for bit, name in SLOWED_BY.items() if bits}
    said = [
        f"{percent(share)} of {len(bits)} samples: {name}"
        for name, share in sorted(shares.items(), key=lambda item: -item[1])
        if share >= THROTTLED_RATIO
    ]
    return [Caveat("throttled", "; ".join(said))] if said else []


def shared_device(record: Record, timing: Timing) -> list[Caveat]:
    """Others on the GPU before the first bench or while rounds ran; on the CPU, others' share of the host's cores."""
    gpu: dict[str, Any] | None = record.environment.get("gpu")
    if gpu is None:
        others = _others_on_host(record)
        said = [f"others kept {percent(others)} of the host's cores busy"] if (others or 0) > OTHERS_RATIO else []
    else:
        before, beside = gpu.get("busy_before_ratio"), _series(record, "nvml", "others_busy_ratio")
        said = [f"{percent(before)} busy before the first bench"] if (before or 0) > OTHERS_RATIO else []
        if beside and max(beside.values) > OTHERS_RATIO:
            said.append(f"other processes took {percent(max(beside.values))} of it meanwhile")
    return [Caveat("shared_device", "; ".join(said))] if said else []


def unstable(record: Record, timing: Timing) -> list[Caveat]:
    """Rounds of one and the same call that became slower or faster."""
    if timing.verb == "each":  # its rounds are different items
        return []
    drift = drift_ratio(timing.rounds_seconds)
    if drift is None or abs(drift) <= DRIFT_RATIO:
        return []
    word = "slower" if drift > 0 else "faster"
    return [Caveat("unstable", f"the last third was {percent(abs(drift))} {word} than the first")]


def few_samples(record: Record, timing: Timing) -> list[Caveat]:
    """Fewer rounds than bound a median; the items of `measure.each` are all there are."""
    n = len(timing.rounds_seconds)
    if timing.verb == "each" or not 0 < n < LEAST_ROUNDS:
        return []
    return [Caveat("few_samples", f"{n} round{'s' if n > 1 else ''}, of at least {LEAST_ROUNDS}")]


def timer_limited(record: Record, timing: Timing) -> list[Caveat]:
    """A round that the timer's own cost is a part of."""
    if timing.timer_seconds is None or not timing.rounds_seconds:
        return []
    length = median(timing.rounds_seconds) * timing.loops
    if timing.timer_seconds <= TIMER_RATIO * length:
        return []
    lengths = quantity_text("seconds", length), quantity_text("seconds", timing.timer_seconds)
    return [Caveat("timer_limited", "a round takes {}, reading the clock {}".format(*lengths))]


def oversubscribed(record: Record, timing: Timing) -> list[Caveat]:
    """More threads than cores, where the cores are what is timed."""
    cores: int | None = (record.environment.get("host") or {}).get("cores_usable")
    threads = _threads(record)
    if record.environment.get("gpu") is not None or not cores or threads <= cores:
        return []
    return [Caveat("oversubscribed", f"{threads} threads, {cores} usable core{'s' if cores > 1 else ''}")]


LOOKS: Sequence[Callable[[Record, Timing], list[Caveat]]] = (
    recompiled, fallback, throttled, shared_device, unstable, few_samples, timer_limited, oversubscribed,
)  # fmt: skip


# -- what they read


def _spans(timing: Timing) -> list[tuple[int, int]]:
    """Start and end of each round; none where they were not noted (pytest-benchmark's)."""
    return [
        (start, start + round(seconds * timing.loops * 1e9))
        for start, seconds in zip(timing.started_ns, timing.rounds_seconds, strict=False)
    ]


def _series(record: Record, sampler: str, name: str) -> Series | None:
    named = (series for series in record.samples if (series.sampler, series.name) == (sampler, name) and series.values)
    return next(named, None)


def _between(series: Series, first_ns: int, last_ns: int) -> list[tuple[int, float]]:
    return [(at, v) for at, v in zip(series.at_ns, series.values, strict=True) if first_ns <= at <= last_ns]


def _others_on_host(record: Record) -> float | None:
    """The share of the host's cores that others kept busy: the chance that a core of ours was theirs."""
    cores: int | None = (record.environment.get("host") or {}).get("cores_logical")
    busy, own = _series(record, "process", "host_busy_ratio"), _series(record, "process", "cpu_seconds")
    if not cores or busy is None or own is None or len(busy.values) < LEAST_HOST_READINGS:
        return None
    own_cores = sum(_a_second(series) for series in (own, _series(record, "process", "children_cpu_seconds")) if series)
    return max(sum(busy.values) / len(busy.values) - own_cores / cores, 0.0)


def _a_second(counter: Series) -> float:
    """By how much a counter grew in a second."""
    return (counter.values[-1] - counter.values[0]) / ((counter.at_ns[-1] - counter.at_ns[0]) * 1e-9)


def _threads(record: Record) -> int:
    """Threads that compute: torch's, else what OpenMP was told (the outermost of its levels); 0 where nothing says.

    They are each rank's, where a model has several.
    """
    threads: dict[str, Any] = record.environment.get("threads") or {}
    told = str(threads.get("OMP_NUM_THREADS", "")).partition(",")[0].strip()
    found: int = threads.get("torch_threads") or (int(told) if told.isdigit() else 0)
    ranks = record.model.details.get("ranks") if record.model else None
    return found * ranks if isinstance(ranks, int) else found
