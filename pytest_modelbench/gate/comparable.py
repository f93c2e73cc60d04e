"""Comparable: why a stored Record may not be compared with a new one, and which caveats explain a change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..record import Caveat, Record

#: Columns of a stored row that decide it.
COLUMNS = (
    "outcome", "simulated", "cold", "fingerprint", "dataset_digest", "dataset_items", "source_digest", "caveats",
)  # fmt: skip
OF_ANOTHER_MACHINE = "the baseline is of another machine"

#: Caveats that can move a quantity by themselves; without them the rest stays judged. `short_window` is not here: where
#: it holds there are no joules to compare.
_OF_TIME = (
    "recompiled", "fallback", "throttled", "shared_device", "unstable", "few_samples", "timer_limited", "truncated",
    "oversubscribed",
)  # fmt: skip
_OF_WORK = ("fallback", "truncated")
EXPLAIN = {
    "seconds": _OF_TIME,
    "tokens_per_second": _OF_TIME,
    "energy": _OF_TIME,
    "peak_memory": ("recompiled", "fallback", "truncated"),
    "score": _OF_WORK,
}


def why_not(record: Record, stored: Mapping[str, Any]) -> str:
    """Why a stored row is not of the same thing on the same machine; empty where it may be compared.

    A row is `summary.row` of a Record, or a part of it that has COLUMNS.
    """
    if stored["outcome"] != "passed":
        return f"the baseline's bench {_ENDED.get(stored['outcome'], 'was ' + str(stored['outcome']))}"
    if bool(stored["simulated"]) != record.simulated:
        return "the baseline is simulated" if stored["simulated"] else "the baseline is not simulated"
    if stored["fingerprint"] != record.environment.get("fingerprint"):
        return OF_ANOTHER_MACHINE
    cold = bool(record.timing and record.timing.cold)
    if bool(stored["cold"]) != cold:
        return "the baseline is hot, this is cold" if cold else "the baseline is cold, this is hot"
    digest, items = (record.dataset.digest, record.dataset.n) if record.dataset else (None, None)
    if stored["dataset_items"] != items:
        return f"the baseline has {stored['dataset_items'] or 'no'} items, this {items or 'none'}"
    if stored["dataset_digest"] != digest:
        return "the baseline is of other data (the digests differ)"
    return ""


_ENDED = {"failed": "failed", "skipped": "was skipped", "oom": "ran out of memory", "error": "was in error"}


def machine(environment: Mapping[str, Any]) -> str:
    """What is known of one, so that a person sees what differs."""
    host, gpu = environment.get("host") or {}, environment.get("gpu") or {}
    cores = host.get("cores_usable") and f"{host['cores_usable']} cores"
    return ", ".join(str(part) for part in (gpu.get("name"), host.get("cpu_name"), cores) if part) or "not known"


def usual_caveats(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """The kinds that at least half of some stored rows have: what they do is in the baseline, and in its spread."""
    kinds = [set(filter(None, str(found["caveats"] or "").split(","))) for found in rows]
    every = set().union(*kinds) if kinds else set()
    return {kind for kind in every if 2 * sum(kind in of_row for of_row in kinds) >= len(kinds)}


def explanation(quantity: str, caveats: Sequence[Caveat], usual: Collection[str]) -> str:
    """What explains a change of a quantity: a caveat that only one side has; empty where nothing does."""
    kinds = EXPLAIN["score" if quantity.startswith("score_") else quantity]
    here = [caveat for caveat in caveats if caveat.kind in kinds and caveat.kind not in usual]
    if here:
        return f"explained by {', '.join(f'{c.kind} ({c.detail})' if c.detail else c.kind for c in here)}"
    there = [kind for kind in kinds if kind in usual and kind not in {caveat.kind for caveat in caveats}]
    return f"explained by the baseline's {', '.join(there)}" if there else ""
