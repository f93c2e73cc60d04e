"""vLLM: what `vllm bench serve --save-result`, `vllm bench latency --output-json` and `... throughput ...` write.

Of a server under load the time of the run and the tokens that came in it are one round, so that throughput is the
server's; the times of single requests, which `--save-detailed` keeps, are the token times.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..importers import File, Request, imported, rounds, token_times
from ..record import Record, TokenTimes


def takes(content: Any) -> bool:
    """One of the three objects."""
    if not isinstance(content, dict):
        return False
    keys = content.keys()
    serve, latency, throughput = (
        {"duration", "completed", "request_throughput"}, {"avg_latency", "latencies"}, {"elapsed_time", "num_requests"}
    )  # fmt: skip
    return any(wanted <= keys for wanted in (serve, latency, throughput))


def read(content: Any, file: File) -> list[Record]:
    """One Record. The latency and throughput files name no model: the name of the file has to tell them apart."""
    if "latencies" in content and "avg_latency" in content:
        axes = {"id": file.path.stem}
        return [imported(file, "vllm", "latency", axes=axes, timing=rounds(content["latencies"]))]
    if "elapsed_time" in content:
        counts = {"requests": float(content["num_requests"])}
        if "total_num_tokens" in content:
            counts["tokens"] = float(content["total_num_tokens"])
        timing = rounds([content["elapsed_time"]])
        return [imported(file, "vllm", "throughput", axes={"id": file.path.stem}, timing=timing, counts=counts)]
    return [_serve(content, file)]


def _serve(content: dict[str, Any], file: File) -> Record:
    if not content["completed"]:
        raise ValueError("no request was completed")
    tokens = _tokens(content)
    counts = {"requests": float(content["completed"])}
    if "total_output_tokens" in content:
        counts["tokens"] = float(content["total_output_tokens"])
    failed = content.get("failed") or content.get("num_prompts", content["completed"]) - content["completed"]
    notes = [f"{failed:,} request{'' if failed == 1 else 's'} failed"] if failed else []
    if tokens is None:
        notes.append("no times of requests in the file (--save-detailed keeps them): ttft and itl are not taken over")
    return imported(
        file,
        "vllm",
        "serve",
        started_utc=_started(content.get("date", "")),
        axes={
            "model": content.get("model_id"),
            "backend": content.get("endpoint_type") or content.get("backend"),
            "request_rate": content.get("request_rate"),
            "max_concurrency": content.get("max_concurrency"),
            "num_prompts": content.get("num_prompts"),
            "label": content.get("label"),
        },
        timing=rounds([content["duration"]]),
        tokens=tokens,
        counts=counts,
        notes=tuple(notes),
    )


def _tokens(content: dict[str, Any]) -> TokenTimes | None:
    """Requests that gave a token; a failed one has a ttft of 0."""
    ttfts, gaps = content.get("ttfts") or [], content.get("itls") or []
    ends = content.get("latencies") or [ttft + sum(of_one) for ttft, of_one in zip(ttfts, gaps, strict=True)]
    counts = content.get("output_lens") or [None] * len(ttfts)
    each = zip(ttfts, map(tuple, gaps), ends, counts, strict=True) if ttfts else ()
    good = [request for request in map(Request._make, each) if request.ttft_seconds > 0]
    return token_times(good, "vLLM") if good else None


def _started(date: str) -> str:
    """`20260131-100200`, of the local clock there: no zone is written, so it is taken as UTC."""
    try:
        return datetime.strptime(date, "%Y%m%d-%H%M%S").isoformat() + "Z"
    except ValueError:
        return ""
