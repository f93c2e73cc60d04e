"""Importers: what other tools measured, as Records, a file a tool.

Each has `takes(content)`, whether it knows a file by what is in it, and `read(content, file)`, its Records. Only what
was measured is taken over: raw times, counts, scores. A summary of times that are gone (a mean, a percentile) is not a
round, and is left out with a note. An imported Record says who measured it, and shares no fingerprint with one of ours,
so that the gate compares the two never.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StoreError, UnknownName
from ..record import Record, Timing, TokenTimes

#: Tool -> its module here.
TOOLS = {
    "pytest-benchmark": "pytest_benchmark",
    "llama-bench": "llama_bench",
    "vllm": "vllm",
    "aiperf": "aiperf",
    "lm-eval": "lm_eval",
    "optimum-benchmark": "optimum_benchmark",
}


@dataclass(frozen=True)
class File:
    """The file that Records come from."""

    path: Path
    #: Of its bytes: the same file imported twice is the same session.
    digest: str
    #: When the file was last written, for tools that say no time.
    written_utc: str


def records_of(path: Path, tool: str | None = None) -> list[Record]:
    """The Records of a file. Raises StoreError, naming it, for one that cannot be read or mapped."""
    if tool is not None and tool not in TOOLS:
        raise UnknownName("tool", tool, TOOLS, "--from")
    try:
        raw = path.read_bytes()
        written = path.stat().st_mtime
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}; name a file") from error
    content = _content(raw, path)
    name = tool or next((name for name in TOOLS if _module(name).takes(content)), None)
    if name is None:
        raise StoreError(f"{path} is of no tool that is known ({', '.join(TOOLS)}); say which with --from TOOL")
    file = File(path, sha256(raw).hexdigest()[:12], _utc(written))
    try:
        found: list[Record] = _module(name).read(content, file)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"{path} is not as {name} writes it: {what}") from error
    if not found:
        raise StoreError(f"{path} has no result of {name} in it")
    return found


def _module(name: str) -> Any:
    return import_module(f"{__package__}.{TOOLS[name]}")


def _content(raw: bytes, path: Path) -> Any:
    """JSON, or an object a line."""
    try:
        content = json.loads(raw)
        return [content] if path.suffix == ".jsonl" and isinstance(content, dict) else content  # of a single line
    except ValueError as error:
        lines = [line for line in raw.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines] if len(lines) > 1 else _refuse(path, error)
        except ValueError:
            return _refuse(path, error)


def _refuse(path: Path, error: ValueError) -> Any:
    raise StoreError(f"{path} is neither JSON nor JSON lines: {error}")


def imported(
    file: File,
    tool: str,
    name: str,
    *,
    version: str = "",
    started_utc: str = "",
    axes: Mapping[str, object] | None = None,
    machine: Mapping[str, Any] | None = None,
    **parts: Any,
) -> Record:
    """A passed Record of a foreign bench; axes without a value are none.

    `machine` has cpu_name, gpu_name, cores_usable as far as they are known.
    """
    known = {axis: str(value) for axis, value in (axes or {}).items() if value not in (None, "")}
    bench = f"{tool}::{name}"
    label = ",".join(known.values())
    return Record(
        bench=bench,
        axes=known,
        nodeid=f"{bench}[{label}]" if label else bench,
        outcome="passed",
        imported=f"{tool} {version}".strip(),
        environment=_environment(tool, version, machine or {}, parts.pop("environment", {})),
        session=f"import-{file.digest}",
        started_utc=started_utc or file.written_utc,
        notes=(*parts.pop("notes", ()), f"imported from {file.path.name}"),
        **parts,
    )


def _environment(tool: str, version: str, machine: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """As far as the file says it, under the names of `environment.py`."""
    told = json.dumps([tool, machine], sort_keys=True, default=str)
    gpu = machine.get("gpu_name")
    return {
        "git": {},
        "host": {"cpu_name": machine.get("cpu_name"), "cores_usable": machine.get("cores_usable")},
        "gpu": {"name": gpu} if gpu else None,
        "versions": {tool: version} if version else {},
        "fingerprint": f"imported-{sha256(told.encode()).hexdigest()[:12]}",
        **more,
    }


def rounds(seconds: Sequence[float], loops: int = 1) -> Timing:
    """Raw times of another tool. Raises ValueError for what is no time."""
    values = tuple(float(value) for value in seconds)
    if not values or not all(0 < value < float("inf") for value in values):
        raise ValueError(f"its times are not seconds above zero: {list(values[:3])}")
    return Timing("imported", values, loops=loops, stopped_by="imported")


class Request(NamedTuple):
    """One request of a server's client: when its chunks came, and how many tokens they were, where that is known."""

    ttft_seconds: float
    gaps_seconds: tuple[float, ...]
    e2el_seconds: float
    new_tokens: int | None


def token_times(requests: Sequence[Request], client: str) -> TokenTimes:
    """Requests as rounds. Their gaps are between chunks: between tokens only where each has as many of both."""
    chunks = [len(request.gaps_seconds) + 1 for request in requests]
    counted = tuple(request.new_tokens for request in requests)
    by_token = list(counted) == chunks
    return TokenTimes(
        ttft_seconds=tuple(request.ttft_seconds for request in requests),
        itl_seconds=tuple(request.gaps_seconds for request in requests),
        e2el_seconds=tuple(request.e2el_seconds for request in requests),
        batch_size=1,
        prompt_tokens=None,
        new_tokens=max(chunks) if by_token else counted[-1] or 0,
        taken_by=f"{client}'s client, at each chunk of a stream; a round is a request",
        counted_tokens=() if by_token else counted,
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
