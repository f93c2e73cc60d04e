"""On what Records were made, in words: commit, machine, versions, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .quantity import duration, percent, quantity_text
from .record import Record


def commit(record: Record) -> str:
    """The commit, or nothing where it is not known."""
    return str((record.environment.get("git") or {}).get("commit") or "")


def session_facts(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Commit, machine, versions and time, as far as they are known, of the session that the first Record is of."""
    if not records:
        return []
    seen = records[0].environment
    git, host, gpu = seen.get("git") or {}, seen.get("host") or {}, seen.get("gpu") or {}
    versions = seen.get("versions") or {}
    started = sorted(record.started_utc for record in records if record.started_utc)
    walls = [record.wall_seconds for record in records if record.wall_seconds is not None]
    machine = [
        gpu.get("name"),
        host.get("cpu_name"),
        host.get("cores_usable") and f"{host['cores_usable']} usable cores",
    ]
    dirty = ", with uncommitted changes" if git.get("dirty") else ""
    branch = f" on {git['branch']}" if git.get("branch") else ""
    found = {
        "Commit": commit(records[0])[:12] + branch + dirty if commit(records[0]) else "",
        "Machine": ", ".join(str(part) for part in machine if part),
        "Devices": ", ".join(dict.fromkeys(record.axes["device"] for record in records if "device" in record.axes)),
        "Versions": ", ".join(
            f"{name} {versions[name]}"
            for name in ("python", "torch", "transformers", "onnxruntime")
            if versions.get(name)
        ),
        "Started": started[0].replace("T", " ").replace("Z", " UTC") if started else "",
        "Took": duration(sum(walls)) + " in benches" if walls else "",
        "Session": ", ".join(dict.fromkeys(record.session for record in records if record.session)),
        "Fingerprint": str(seen.get("fingerprint") or ""),
    }
    return [(name, value) for name, value in found.items() if value]


def environments(records: Sequence[Record]) -> tuple[dict[str, list[tuple[str, str]]], int, int]:
    """The first Record's environment by heading, how many environments there are, and in how many facts they differ."""
    distinct: list[dict[str, Any]] = []
    for record in records:
        if record.environment not in distinct:
            distinct.append(record.environment)
    first = _flat(distinct[0]) if distinct else {}
    others = {name for other in distinct[1:] for name, value in _flat(other).items() if first.get(name) != value}
    parts: dict[str, list[tuple[str, str]]] = {}
    for name, value in first.items():
        title, _, rest = name.rpartition(".")
        changes = " (not in every bench)" if name in others else ""
        parts.setdefault(title.replace(".", ", ") or "general", []).append((rest.replace("_", " "), value + changes))
    return parts, len(distinct), len(others)


def _flat(found: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested facts as `git.commit` -> text."""
    flat: dict[str, str] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = fact_text(str(name), value)
    return flat


def fact_text(name: str, value: Any) -> str:
    """A value of any kind for a reader; the unit at the end of its name says how."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        for ending in ("bytes", "seconds", "watts", "hertz"):
            if name.endswith(ending):
                return quantity_text(ending, value)
        if name.endswith("ratio"):
            return percent(value)
        return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(fact_text("", inner) for inner in value) or "none"
    return str(value)
