"""Records side by side: a group a bench, a row a variant, the fastest first, each against the reference by name.

The terminal and the page show these groups, so that a number is written the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

from .quantity import ABSENT, digits, percent, quantity_text, speed, text, unit_for
from .record import OUTCOMES, Outcome, Record, Score
from .source import short
from .summary import row, throughput

#: The variant that others are compared with, where a group has it.
REFERENCE = "eager"
#: Of rows that differ in their device.
HOST = "cpu"
#: Outcomes, the worst first.
WORST_FIRST: tuple[Outcome, ...] = ("failed", "error", "oom", "invalid", "skipped", "passed")
#: Units of scores that say nothing beside the number.
_BARE = {"", "ratio", "share", "perplexity"}


@dataclass(frozen=True)
class Row:
    """One Record in its group: a label, its flat columns, and its numbers as people read them."""

    label: str
    record: Record
    columns: dict[str, Any]
    #: Column -> text: median, spread, against, throughput, ttft, peak, score, interval. Empty is "not applicable".
    texts: dict[str, str]

    @property
    def measured(self) -> bool:
        """Whether its numbers may stand beside the others'."""
        return self.record.outcome == "passed" and self.columns["median_seconds"] is not None

    @property
    def caveats(self) -> list[str]:
        """What limits it, in words: `recompiled (1 of 80 rounds)`."""
        said = [f"{caveat.kind} ({caveat.detail})" if caveat.detail else caveat.kind for caveat in self.record.caveats]
        return [*self.origin, *said]

    @property
    def kinds(self) -> list[str]:
        """The caveats, in one word each."""
        kinds = list(dict.fromkeys(caveat.kind for caveat in self.record.caveats))
        return [*self.origin, *kinds]

    @property
    def origin(self) -> list[str]:
        """What it is, where it is no measurement of ours of a model: these words come before its caveats."""
        simulated = ["simulated"] if self.record.simulated else []
        return [*simulated, f"imported from {self.record.imported}"] if self.record.imported else simulated


@dataclass(frozen=True)
class Group:
    """Rows that may be compared: one bench on the same axes, or what has nothing beside it, by file."""

    title: str
    #: The axes that all rows share.
    subtitle: str
    rows: tuple[Row, ...]
    #: Name of the first score in the group.
    score: str = ""
    #: Why no row has a ratio, where rows are variants.
    unreferenced: str = ""

    @property
    def worst(self) -> int:
        """Where its worst outcome stands in WORST_FIRST."""
        return min(WORST_FIRST.index(row.record.outcome) for row in self.rows)


def outcomes(records: Iterable[Record]) -> dict[Outcome, int]:
    """How many Records have each outcome, passed first; those that none has are left out."""
    found = [record.outcome for record in records]
    return {outcome: found.count(outcome) for outcome in OUTCOMES if outcome in found}


def side_by_side(records: Sequence[Record]) -> list[Group]:
    """The groups of some Records, in the order their benches ran; the fastest row first, what was not measured last."""
    global _last
    of, groups = _last
    if len(of) != len(records) or not all(map(is_, of, records)):
        groups = _groups(records)
        _last = list(records), groups
    return list(groups)


#: What was grouped last: the page and the terminal ask for the same Records one after the other.
_last: tuple[list[Record], list[Group]] = ([], [])


def _groups(records: Sequence[Record]) -> list[Group]:
    benches: dict[str, list[Record]] = {}
    for record in records:
        benches.setdefault(record.bench, []).append(record)
    titles = _titles(benches)
    devices = {record.axes["device"] for record in records if "device" in record.axes}
    groups: dict[tuple[str, ...], list[tuple[str, Record]]] = {}
    for bench, of_bench in benches.items():
        varying = _varying(of_bench)
        for record in of_bench:
            key, label = _place(titles[bench], record, varying, alone=len(of_bench) == 1, devices=len(devices))
            groups.setdefault(key, []).append((label, record))
    return [_group(title, ", ".join(shared), rows) for (title, *shared), rows in groups.items()]


def _titles(benches: Iterable[str]) -> dict[str, str]:
    """A bench's function without its `bench_`; where two files share it, the file as well."""
    names = {bench: bench.rpartition("::")[2].removeprefix("bench_") for bench in benches}
    taken = list(names.values())
    return {
        bench: name if taken.count(name) == 1 else f"{bench.partition('::')[0]}::{name}"
        for bench, name in names.items()
    }


def _varying(records: Sequence[Record]) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record.axes)
    return [name for name in names if len({record.axes.get(name) for record in records}) > 1]


def _place(
    title: str, record: Record, varying: Sequence[str], alone: bool, devices: int
) -> tuple[tuple[str, ...], str]:
    """The group a Record belongs to, and its label there."""
    hidden = {"variant"} if devices > 1 else {"variant", "device"}  # one device is said once, at the top
    if "variant" in varying:
        shared = [_axis(name, value) for name, value in record.axes.items() if name not in hidden]
        return (title, *shared), record.axes.get("variant", ABSENT)
    if alone and "variant" not in record.axes:
        return (record.bench.partition("::")[0],), ", ".join(
            [title, *(_axis(*axis) for axis in record.axes.items() if axis[0] not in hidden)]
        )
    shared = [_axis(name, value) for name, value in record.axes.items() if name not in {*hidden, *varying}]
    label = ", ".join(_axis(name, record.axes[name]) for name in varying if name in record.axes)
    return (title, *shared), label or record.axes.get("variant") or title


def _axis(name: str, value: str) -> str:
    """A value that speaks for itself stands alone, models and data sets by their short name: `batch_size=8`, `gpt2`."""
    if name in {"model", "dataset"}:
        return short(value)
    return value if name in {"variant", "device"} else f"{name}={value}"


def _group(title: str, subtitle: str, labelled: Sequence[tuple[str, Record]]) -> Group:
    columns = [row(record) for _, record in labelled]
    reference = _of_reference(labelled)
    base, why = _reference(labelled, columns, reference) if reference else (None, "")
    than = "" if reference == REFERENCE else f" than {reference}"  # the head of the column says eager
    score = next((name for _, record in labelled for name in record.scores), "")
    texts = _texts([record for _, record in labelled], columns, score)
    rows = []
    for (label, record), found, words in zip(labelled, columns, texts, strict=True):
        fast = Row(label, record, found, words)
        if base and fast.measured:
            words["against"] = "reference" if label == reference else speed(base, found["median_seconds"]) + than
        rows.append(fast)
    rows.sort(key=_fastest_first)
    return Group(title, subtitle, tuple(rows), score, why)


def _of_reference(labelled: Sequence[tuple[str, Record]]) -> str:
    """The label that others are held against: of variants `eager`, of devices `cpu`; empty for other rows."""
    if len({label for label, _ in labelled}) > 1:
        for axis, reference in (("variant", REFERENCE), ("device", HOST)):
            if all(label == record.axes.get(axis) for label, record in labelled):
                return reference
    return ""


def _reference(
    labelled: Sequence[tuple[str, Record]], columns: Sequence[dict[str, Any]], reference: str
) -> tuple[float | None, str]:
    """Seconds of the reference, or None and the reason."""
    for (label, record), found in zip(labelled, columns, strict=True):
        if label == reference:
            if record.outcome == "passed" and found["median_seconds"]:
                return found["median_seconds"], ""
            return None, f"no ratio: {reference} was not measured ({record.outcome})"
    return None, f"no ratio: {reference} did not run"


def _fastest_first(row: Row) -> tuple[bool, float, int]:
    seconds = row.columns["median_seconds"]
    return not row.measured, seconds if row.measured else 0.0, WORST_FIRST.index(row.record.outcome)


def _texts(records: Sequence[Record], columns: Sequence[dict[str, Any]], score: str) -> list[dict[str, str]]:
    """The numbers of a group as text, one unit a column."""
    quantities = {"median_seconds": "seconds", "ttft_seconds": "seconds", "peak_memory_bytes": "bytes"}
    units = {name: unit_for(quantity, [found[name] for found in columns]) for name, quantity in quantities.items()}

    def in_unit(found: dict[str, Any], name: str) -> str:
        value = found[name]
        if value is None:
            return ""
        # three digits of the group's unit would be mostly zeros: such a value is written in its own
        small = abs(value) < units[name].scale / 1000
        return quantity_text(quantities[name], value) if small else text(value, units[name])

    return [
        {
            "median": in_unit(found, "median_seconds"),
            "spread": "" if found["spread_ratio"] is None else percent(found["spread_ratio"]),
            "against": "",
            "throughput": _rate(record),
            "ttft": in_unit(found, "ttft_seconds"),
            "peak": in_unit(found, "peak_memory_bytes"),
            "score": score_text(record.scores[score]) if score in record.scores else "",
            "interval": interval_text(record.scores[score]) if score in record.scores else "",
        }
        for record, found in zip(records, columns, strict=True)
    ]


def _rate(record: Record) -> str:
    """The throughput a table has room for: of tokens where they are counted, else of the first count.

    FLOPs and bytes are no work that anybody asked for: the page tells of them under Cost.
    """
    rates = throughput(record)
    unit = "tokens" if "tokens" in rates else next((unit for unit in rates if unit not in ("flops", "bytes")), "")
    if unit == "audio_seconds":
        return f"{digits(rates[unit])} RTFx"  # seconds of audio a second, under the name it has
    return f"{digits(rates[unit])} {unit}/s" if unit else ""


def score_text(score: Score) -> str:
    """A score with its unit, where that says more than the number."""
    return digits(score.value) if score.unit in _BARE else f"{digits(score.value)} {score.unit}"


def interval_text(score: Score) -> str:
    """The 95 % interval of a score; empty where it has none.

    >>> interval_text(Score(0.75, "ratio", "higher", low=0.3006, high=0.9544))
    '0.301..0.954'
    """
    return "" if score.low is None or score.high is None else f"{digits(score.low)}..{digits(score.high)}"
