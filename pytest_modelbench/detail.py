"""One Record, opened: its charts and its facts in the words of the page that shows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from . import svg
from .caveats import SLOWED_BY
from .groups import Row, interval_text, score_text
from .phases import spans
from .provenance import fact_text
from .quantity import digits, percent, quantity_text, text, unit_for
from .record import Record, Series, TokenTimes
from .stats import P99_NEEDS, quantile
from .summary import throughput

#: A device timeline has at most so many panels (chosen here: they are read one under the other).
MOST_PANELS = 8
#: Panels that come first, and in this order: the device before its host; counters, which only rise, come last.
_PANELS_FIRST = (
    "gpu_busy_ratio", "sm_activity_ratio", "tensor_activity_ratio", "dram_activity_ratio", "power_watts",
    "memory_used_bytes", "sm_clock_hertz",
)  # fmt: skip
_COUNTERS = ("cpu_seconds", "energy_joules")


@dataclass(frozen=True)
class Chart:
    """A picture, what it is of, and what it cannot say itself."""

    title: str
    svg: str
    said: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values under a title."""

    title: str
    rows: list[tuple[str, str]]


def charts(record: Record) -> list[Chart]:
    """Rounds in time, their distribution, gaps between tokens, the device; what was not measured is not drawn."""
    drawn = []
    if record.timing and record.timing.rounds_seconds:
        drawn += _rounds(record.timing.rounds_seconds)
    if record.tokens:
        gaps = list(chain.from_iterable(record.tokens.itl_seconds))
        if len(gaps) > 1:
            by_chunk = record.tokens.counted_tokens
            title = "Gaps between chunks, of one token or several" if by_chunk else "Gaps between tokens (itl)"
            drawn.append(Chart(title, svg.ecdf(gaps), _quantiles(gaps, "gap")))
    timeline = _timeline(record)
    return [*drawn, timeline] if timeline else drawn


def _rounds(seconds: Sequence[float]) -> list[Chart]:
    if len(seconds) == 1:
        return [Chart("Rounds", "", "1 round: no distribution.")]
    said = f"The dashed line is the median. The axis starts at {quantity_text('seconds', svg.floor(seconds))}."
    if len(seconds) > svg.MOST_MARKS:
        said += " Each mark is the least to the most of several rounds."
    return [
        Chart("Rounds, in the order they ran", svg.rounds(seconds), said),
        Chart("Share of rounds at or under a time", svg.ecdf(seconds), _quantiles(seconds, "round")),
    ]


def _quantiles(values: Sequence[float], one: str) -> str:
    """Median, p95, and p99 where there are enough values for it."""
    named = [("median", 0.5), ("p95", 0.95)] + ([("p99", 0.99)] if len(values) >= P99_NEEDS else [])
    ordered = sorted(values)
    unit = unit_for("seconds", [ordered[len(ordered) // 2]])
    said = ", ".join(f"{name} {text(quantile(ordered, q), unit)}" for name, q in named)
    return f"{said}; n = {len(values):,} {one}{'s' if len(values) > 1 else ''}."


def _timeline(record: Record) -> Chart | None:
    """Panels of what was sampled under one time axis, over the span of the rounds and the samples."""
    shown = sorted((series for series in record.samples if series.values), key=_panel_place)
    if not shown:
        return None
    timing = record.timing
    starts, seconds, loops = (
        (timing.started_ns, timing.rounds_seconds, timing.loops) if timing and timing.started_ns else ((), (), 1)
    )
    ends = [start + int(value * loops * 1e9) for start, value in zip(starts, seconds, strict=False)]
    times = [*chain.from_iterable((series.at_ns[0], series.at_ns[-1]) for series in shown), *starts[:1], *ends[-1:]]
    span = (min(times), max(times))
    panels = [svg.panel(f"{s.name} ({s.sampler})", s.unit, s.at_ns, s.values, span) for s in shown[:MOST_PANELS]]
    more = f" {len(shown) - MOST_PANELS} more quantities are in the samples file." if len(shown) > MOST_PANELS else ""
    samples = sum(len(series.values) for series in shown)
    slowed = _slowed(record)
    prefills = [(part.start_ns, part.end_ns) for part in spans(record) if part.phase == "prefill"]
    darker = " The dark part of a round is prefill." if prefills else ""
    darker += " Hatched: the device slowed itself down." if slowed else ""
    return Chart(
        "The device meanwhile",
        "".join(panels) + svg.time_axis(span, starts, seconds, loops, prefills, slowed),
        f"{samples:,} samples; no line is drawn across a gap in sampling.{darker}{more}",
    )


def _slowed(record: Record) -> list[tuple[int, int]]:
    """When a sample said that the device slowed itself down: from each such sample to the next one."""
    found: list[tuple[int, int]] = []
    for series in record.samples:
        if (series.sampler, series.name) == ("nvml", "clock_event_reasons"):
            steps = zip(series.at_ns, series.at_ns[1:], series.values, strict=False)
            found += [(at, after) for at, after, value in steps if int(value) & sum(SLOWED_BY)]
    return found


def _panel_place(series: Series) -> int:
    if series.name in _PANELS_FIRST:
        return _PANELS_FIRST.index(series.name)
    return len(_PANELS_FIRST) + (series.name in _COUNTERS)


def facts(row: Row) -> list[Facts]:
    """What else is known of the Record: times, tokens, scores, memory, model and dataset; empty parts are left out."""
    record, columns = row.record, row.columns
    parts = [
        Facts("Time of one call", _times(record, columns)),
        Facts("Tokens", _tokens(record.tokens, columns) if record.tokens else []),
        Facts("Throughput", _rates(record)),
        Facts("Scores", [_score(name, record) for name in record.scores]),
        Facts("Memory, peak", _memory(record)),
        Facts("Energy", _energy(record, columns)),
        Facts("Cost of one call", _cost(record, columns)),
        Facts("Model", _known(vars(record.model) if record.model else {}, without=("details",))),
        Facts("Model, further", _known(record.model.details if record.model else {})),
        Facts("Dataset", _known(vars(record.dataset) if record.dataset else {})),
    ]
    return [part for part in parts if part.rows]


def _times(record: Record, columns: dict[str, Any]) -> list[tuple[str, str]]:
    timing = record.timing
    if timing is None:
        return []
    names = {
        "median": "median_seconds", "5 to 95 %": "p5_seconds", "p99": "p99_seconds", "least": "min_seconds",
        "most": "max_seconds", "device, median": "device_median_seconds", "first call, cold": "first_call_seconds",
        "compilation": "compile_seconds", "loading": "load_seconds",
    }  # fmt: skip
    rows = [
        (said, quantity_text("seconds", columns[name])) for said, name in names.items() if columns[name] is not None
    ]
    rows = [(said, f"{value} to {quantity_text('seconds', columns['p95_seconds'])}") if said == "5 to 95 %" else
            (said, value) for said, value in rows]  # fmt: skip
    loops = f" of {timing.loops:,} calls" if timing.loops > 1 else ""
    return [
        *rows,
        ("rounds", f"{len(timing.rounds_seconds):,}{loops}, ended by {timing.stopped_by}"),
        ("warm-up calls", f"{timing.warmup_calls:,}"),
        ("timed by", f"{timing.verb}, cold" if timing.cold else timing.verb),
    ]


def _tokens(tokens: TokenTimes, columns: dict[str, Any]) -> list[tuple[str, str]]:
    times = {
        "ttft": columns["ttft_seconds"], "ttft on the device": columns["ttft_device_seconds"],
        "itl, median": columns["itl_p50_seconds"], "itl, p95": columns["itl_p95_seconds"],
        "tpot": columns["tpot_seconds"], "e2el": columns["e2el_seconds"],
    }  # fmt: skip
    rates = {"prefill": columns["prefill_tokens_per_second"], "decode": columns["decode_tokens_per_second"]}
    prompt, new = (
        f"{number:,}" if number is not None else "unknown" for number in (tokens.prompt_tokens, columns["new_tokens"])
    )
    return [
        *((name, quantity_text("seconds", value)) for name, value in times.items() if value is not None),
        *((name, f"{digits(value)} tokens/s") for name, value in rates.items() if value is not None),
        ("tokens", f"{prompt} in the prompt, {new} new, {tokens.batch_size} at once"),
        ("taken by", tokens.taken_by),
    ]


def _rates(record: Record) -> list[tuple[str, str]]:
    own = {"flops": "flops_per_second", "bytes": "bytes_per_second"}
    return [
        (f"{unit}/s", quantity_text(own[unit], rate) if unit in own else digits(rate))
        for unit, rate in throughput(record).items()
    ]


def _score(name: str, record: Record) -> tuple[str, str]:
    score = record.scores[name]
    error = f" ± {digits(score.standard_error)} (standard error)" if score.standard_error else ""
    items = f", {len(score.items):,} items" if score.items else ""
    between = f", 95 % interval {interval_text(score)} ({score.interval})" if interval_text(score) else ""
    return name, f"{score_text(score)}{error}{between}{items}, {score.direction} is better"


def _memory(record: Record) -> list[tuple[str, str]]:
    names = {
        "process_peak_bytes": "process", "device_allocated_peak_bytes": "device, tensors",
        "device_reserved_peak_bytes": "device, reserved", "device_process_bytes": "device, this process",
        "device_used_bytes": "device, everyone", "weights_bytes": "weights", "kv_cache_bytes": "KV cache",
        "activations_peak_bytes": "activations", "oom_asked_bytes": "asked for when memory ran out",
    }  # fmt: skip
    rows = []
    for name, said in names.items():
        value = getattr(record.memory, name)
        if value is not None:
            source = record.memory.sources.get(name)
            rows.append((said, quantity_text("bytes", value) + (f" ({source})" if source else "")))
    return rows


def _energy(record: Record, columns: dict[str, Any]) -> list[tuple[str, str]]:
    names = {"one call": "energy_joules", "one token": "joules_per_token"}
    rows = [(said, quantity_text("joules", columns[name])) for said, name in names.items() if columns[name] is not None]
    idle = record.idle
    if idle is not None:
        rows.append(("idle", f"{quantity_text('watts', idle.watts)} ({idle.source}, over {digits(idle.seconds)} s)"))
    return rows


def _cost(record: Record, columns: dict[str, Any]) -> list[tuple[str, str]]:
    """What a call takes, what the device can do, and the ratio of the two; each with its source."""
    cost = record.cost
    names = {
        "arithmetic": ("flops", "flops"), "memory traffic": ("bytes", "bytes_moved"),
        f"peak arithmetic, {cost.dtype}": ("flops_per_second", "peak_flops_per_second"),
        "the same, stated": ("flops_per_second", "datasheet_flops_per_second"),
        "peak bandwidth": ("bytes_per_second", "peak_bytes_per_second"),
        "bandwidth, stated": ("bytes_per_second", "datasheet_bytes_per_second"),
    }  # fmt: skip
    rows = []
    for said, (quantity, name) in names.items():
        value, source = getattr(cost, name), cost.sources.get(name)
        if value is not None:
            rows.append((said, quantity_text(quantity, value) + (f" ({source})" if source else "")))
        elif source:
            rows.append((said, source))
    shares = {"MFU, of peak arithmetic": "mfu", "MBU, of peak bandwidth": "mbu"}
    rows += [(said, percent(columns[name])) for said, name in shares.items() if columns[name] is not None]
    return rows + ([("bound by", columns["bound_by"])] if columns["bound_by"] else [])


def _known(found: dict[str, Any], without: Collection[str] = ()) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), fact_text(name, value)) for name, value in found.items()
            if value is not None and name not in without]  # fmt: skip
