"""A Record as one flat row: what a user selects, sorts and compares. Every reader of Records starts here."""

from __future__ import annotations

from typing import Any
from weakref import ref

from .cost import bound_by, call_seconds, mbu, mfu
from .energy import joules_per_call, joules_per_token
from .record import Record
from .stats import P99_NEEDS, decode_rate, median, quantile, quantile_of_sorted, spread_ratio, tpot

#: Axes with a column of their own in every row; other parametrized axes follow as `axis_<name>`.
AXES = ("model", "variant", "device", "dataset", "batch_size")

_FLOATS = ("_seconds", "_ratio", "_per_second", "_joules", "_watts")
_FLOATS_TOO = {"flops", "bytes_moved", "mfu", "mbu", "joules_per_token"}
_INTS = {
    "rounds",
    "loops",
    "warmup_calls",
    "prompt_tokens",
    "new_tokens",
    "cores_usable",
    "parameters",
    "dataset_items",
}
_BOOLS = {"simulated", "dirty", "cold"}


def column_type(name: str) -> type[str] | type[int] | type[float] | type[bool]:
    """The type of a column of `row`, so that a store can type it where every value is None."""
    if name.startswith("axis_"):
        return str
    if name.startswith(("count_", "score_")) or name.endswith(_FLOATS) or name in _FLOATS_TOO:
        return float
    if name in _INTS or name.endswith("_bytes"):
        return int
    return bool if name in _BOOLS else str


def row(record: Record) -> dict[str, Any]:
    """The flat columns of a Record: str, int, float, bool or None; units stand in the names.

    `score_<metric>` and `count_<unit>` and `axis_<name>` columns are there where the Record has them.
    """
    place = id(record)
    if place not in _known:
        _known[place] = ref(record, lambda _: _known.pop(place)), _columns(record)
    return dict(_known[place][1])


#: Columns of the Records that live, by identity: a Record is frozen, and stores, page and terminal all ask for its row.
_known: dict[int, tuple[ref[Record], dict[str, Any]]] = {}


def _columns(record: Record) -> dict[str, Any]:
    return {
        **_identity(record),
        **_seconds(record),
        **_tokens(record),
        **_memory(record),
        **_energy(record),
        **_cost(record),
        "caveats": ",".join(dict.fromkeys(caveat.kind for caveat in record.caveats)),
        **_provenance(record),
        **{f"count_{unit}": value for unit, value in record.counts.items()},
        **{f"score_{name}": score.value for name, score in record.scores.items()},
        **{f"axis_{name}": value for name, value in record.axes.items() if name not in AXES},
    }


def _identity(record: Record) -> dict[str, Any]:
    return {
        "record_id": record.record_id,
        "session": record.session,
        "bench": record.bench,
        "key": record.key,
        **{name: record.axes.get(name) for name in AXES},
        "outcome": record.outcome,
        "reason": record.reason or None,
        "simulated": record.simulated,
        "imported": record.imported or None,
    }


def _seconds(record: Record) -> dict[str, Any]:
    timing = record.timing
    values = sorted(timing.rounds_seconds) if timing else []  # sorted once
    return {
        "median_seconds": median(values) if values else None,
        "p5_seconds": quantile_of_sorted(values, 0.05) if values else None,
        "p95_seconds": quantile_of_sorted(values, 0.95) if values else None,
        "p99_seconds": quantile_of_sorted(values, 0.99) if len(values) >= P99_NEEDS else None,
        "min_seconds": values[0] if values else None,
        "max_seconds": values[-1] if values else None,
        "mean_seconds": sum(values) / len(values) if values else None,
        "spread_ratio": spread_ratio(values),
        "device_median_seconds": median(timing.device_seconds) if timing and timing.device_seconds else None,
        "rounds": len(values),
        "loops": timing.loops if timing else None,
        "warmup_calls": timing.warmup_calls if timing else None,
        "cold": timing.cold if timing else None,
        "stopped_by": timing.stopped_by if timing else None,
        "first_call_seconds": timing.first_call_seconds if timing else None,
        "compile_seconds": timing.compile_seconds if timing else None,
        "load_seconds": record.model.load_seconds if record.model else None,
        "wall_seconds": record.wall_seconds,
    }


def throughput(record: Record) -> dict[str, float]:
    """Units of work a second, by unit: a call's count over the median call; over the mean call for `each`."""
    timing = record.timing
    if timing is None or not timing.rounds_seconds:
        return {}
    seconds = call_seconds(timing)
    return {unit: count / seconds for unit, count in record.counts.items()} if seconds else {}


def _tokens(record: Record) -> dict[str, Any]:
    columns: dict[str, Any] = dict.fromkeys(
        ("ttft_seconds", "ttft_device_seconds", "itl_p50_seconds", "itl_p95_seconds", "tpot_seconds", "e2el_seconds",
         "prefill_tokens_per_second", "decode_tokens_per_second", "prompt_tokens", "new_tokens")
    )  # fmt: skip
    columns["tokens_per_second"] = throughput(record).get("tokens")
    times = record.tokens
    if times is None or not times.ttft_seconds:
        return columns
    by_chunk = bool(times.counted_tokens)
    gaps = [] if by_chunk else sorted(gap for gaps in times.itl_seconds for gap in gaps)
    ttft, e2el = median(times.ttft_seconds), median(times.e2el_seconds)
    columns |= {
        "ttft_seconds": ttft,
        "ttft_device_seconds": median(times.ttft_device_seconds) if times.ttft_device_seconds else None,
        "itl_p50_seconds": median(gaps) if gaps else None,
        "itl_p95_seconds": quantile(gaps, 0.95) if gaps else None,
        "tpot_seconds": tpot(times),
        "e2el_seconds": e2el,
        "prefill_tokens_per_second": times.prompt_tokens / ttft if times.prompt_tokens and ttft else None,
        "decode_tokens_per_second": decode_rate(times),
        "prompt_tokens": times.prompt_tokens,
        "new_tokens": times.new_tokens or None,  # nobody counted what came in chunks
    }
    return columns


def _memory(record: Record) -> dict[str, Any]:
    memory = record.memory
    return {
        "peak_memory_bytes": memory.peak_bytes,
        "process_peak_bytes": memory.process_peak_bytes,
        "device_allocated_peak_bytes": memory.device_allocated_peak_bytes,
        "device_reserved_peak_bytes": memory.device_reserved_peak_bytes,
        "device_process_bytes": memory.device_process_bytes,
        "device_used_bytes": memory.device_used_bytes,
        "weights_bytes": memory.weights_bytes,
        "kv_cache_bytes": memory.kv_cache_bytes,
        "activations_peak_bytes": memory.activations_peak_bytes,
        "oom_asked_bytes": memory.oom_asked_bytes,
    }


def _energy(record: Record) -> dict[str, Any]:
    return {
        "energy_joules": joules_per_call(record),
        "joules_per_token": joules_per_token(record),
        "idle_watts": record.idle.watts if record.idle else None,
    }


def _cost(record: Record) -> dict[str, Any]:
    cost = record.cost
    return {
        "flops": cost.flops,
        "bytes_moved": cost.bytes_moved,
        "mfu": mfu(record),
        "mbu": mbu(record),
        "bound_by": bound_by(record),
        "peak_flops_per_second": cost.peak_flops_per_second,
        "peak_bytes_per_second": cost.peak_bytes_per_second,
        "datasheet_flops_per_second": cost.datasheet_flops_per_second,
        "datasheet_bytes_per_second": cost.datasheet_bytes_per_second,
    }


def _provenance(record: Record) -> dict[str, Any]:
    """The environment's own flat names are environment.py's; here they are picked, and absent is None."""
    seen = record.environment
    git, host, gpu = seen.get("git", {}), seen.get("host", {}), seen.get("gpu") or {}
    model, dataset, versions = record.model, record.dataset, seen.get("versions", {})
    return {
        "commit": git.get("commit"),
        "branch": git.get("branch"),
        "dirty": git.get("dirty"),
        "started_utc": record.started_utc,
        "fingerprint": seen.get("fingerprint"),
        "gpu_name": gpu.get("name"),
        "cpu_name": host.get("cpu_name"),
        "cores_usable": host.get("cores_usable"),
        "torch_version": versions.get("torch"),
        "model_revision": model.revision if model else None,
        "model_dtype": model.dtype if model else None,
        "parameters": model.parameters if model else None,
        "weight_bytes": model.weight_bytes if model else None,
        "ran_on": model.ran_on if model else None,
        "dataset_revision": dataset.revision if dataset else None,
        "dataset_digest": dataset.digest if dataset else None,
        "dataset_items": dataset.n if dataset else None,
        "source_digest": record.source_digest,
        "worker": record.worker,
        "nodeid": record.nodeid,
    }
