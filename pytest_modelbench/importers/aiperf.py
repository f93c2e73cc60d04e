"""AIPerf: `profile_export.jsonl` with an object a request, or the summary `profile_export_aiperf.json`.

As with any server under load, the run is one round and the requests are the token times.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..importers import File, Request, imported, rounds, token_times
from ..record import Record, TokenTimes

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "sec": 1.0, "s": 1.0, "seconds": 1.0}


def takes(content: Any) -> bool:
    """Requests, or metrics that each have a unit."""
    if isinstance(content, list):
        return bool(content) and all(isinstance(one, dict) and {"metadata", "metrics"} <= one.keys() for one in content)
    counted = ("request_count", "request_throughput", "request_latency")
    return isinstance(content, dict) and all(isinstance(content.get(name), dict) for name in counted)


def read(content: Any, file: File) -> list[Record]:
    """One Record."""
    return [_requests(content, file) if isinstance(content, list) else _summary(content, file)]


def _requests(content: list[dict[str, Any]], file: File) -> Record:
    profiled = [one for one in content if one["metadata"].get("benchmark_phase", "profiling") != "warmup"]
    good = [one for one in profiled if not one.get("error")]
    if not good:
        raise ValueError("no request succeeded")
    starts = [int(one["metadata"]["request_start_ns"]) for one in good]
    ends = [int(one["metadata"]["request_end_ns"]) for one in good]
    counts = {"requests": float(len(good))}
    tokens = [one["metrics"].get("output_sequence_length") for one in good]
    if all(tokens):
        counts["tokens"] = float(sum(found["value"] for found in tokens if found))
    failed = len(profiled) - len(good)
    return imported(
        file,
        "aiperf",
        "profile",
        started_utc=datetime.fromtimestamp(min(starts) / 1e9, UTC).isoformat(timespec="milliseconds"),
        axes={"id": file.path.parent.name or file.path.stem},
        timing=rounds([(max(ends) - min(starts)) / 1e9]),
        tokens=_tokens([one["metrics"] for one in good]),
        counts=counts,
        notes=(f"{failed:,} request{'' if failed == 1 else 's'} failed",) if failed else (),
    )


def _tokens(metrics: list[dict[str, Any]]) -> TokenTimes | None:
    """Of requests that streamed."""
    streamed = [
        Request(
            _seconds(found["time_to_first_token"])[0],
            tuple(_seconds(found.get("inter_chunk_latency"))),
            _seconds(found["request_latency"])[0],
            (found.get("output_sequence_length") or {}).get("value"),
        )
        for found in metrics
        if "time_to_first_token" in found and "request_latency" in found
    ]
    return token_times(streamed, "AIPerf") if streamed else None


def _seconds(metric: dict[str, Any] | None) -> list[float]:
    """One value or a list of them, in seconds. Raises ValueError for a unit that is no time."""
    if metric is None:
        return []
    unit = metric["unit"]
    if unit not in _SECONDS:
        raise ValueError(f"{unit!r} is no unit of time that is known")
    values = metric["value"]
    return [float(value) * _SECONDS[unit] for value in (values if isinstance(values, list) else [values])]


def _summary(content: dict[str, Any], file: File) -> Record:
    duration = content.get("benchmark_duration") or {"unit": "sec", "avg": _duration(content)}
    seconds = _seconds({"unit": duration["unit"], "value": duration["avg"]})[0]
    counts = {"requests": float(content["request_count"]["avg"])}
    if "output_token_throughput" in content:
        counts["tokens"] = round(content["output_token_throughput"]["avg"] * seconds)
    return imported(
        file,
        "aiperf",
        "profile",
        version=str(content.get("aiperf_version") or ""),
        started_utc=str(content.get("start_time") or ""),
        axes=_axes(content, file),
        timing=rounds([seconds]),
        counts=counts,
        notes=("no times of requests in the file: import profile_export.jsonl for ttft and itl",),
    )


def _axes(content: dict[str, Any], file: File) -> dict[str, object]:
    """The model and the load, where the configuration, whose shape differs between versions, has them."""
    config = content.get("input_config") or {}
    endpoint, load = (config.get(name) or {} for name in ("endpoint", "loadgen"))
    names = endpoint.get("model_names") or config.get("models") or []
    variation = (content.get("run_info") or {}).get("variation_label")
    return {
        "model": names[0] if names and isinstance(names, list) else None,
        "concurrency": load.get("concurrency"),
        "request_rate": load.get("request_rate"),
        "id": variation if variation not in (None, "base") else file.path.parent.name,
    }


def _duration(content: dict[str, Any]) -> float:
    """Of a file that does not say it: requests over requests a second, as AIPerf computes the latter."""
    return float(content["request_count"]["avg"] / content["request_throughput"]["avg"])
