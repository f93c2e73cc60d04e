"""Impact: what fewer bits a weight do to one bench - time, memory, score - as one table for every report.

The rows are those of a group whose weights take fewer bits than its reference's, the most bits first: fp32, bf16, int8,
nf4. How many bits is counted on the loaded weights, never read off a name, so layers that stayed whole are in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .groups import REFERENCE, Group, Row, score_text
from .paired import difference_interval
from .parity import PREFIX
from .quantity import amount, percent, speed
from .said import change, interval
from .verdict import Verdict

#: Weights count as quantized, or as of a smaller dtype, under this share of the reference's bits (chosen here: buffers
#: and a few layers move it by less).
_FEWER = 0.9


@dataclass(frozen=True)
class Impact:
    """A table: heads, and a row of texts for each of some rows; the first is what the others are compared with."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    texts: tuple[tuple[str, ...], ...]


def impact(group: Group) -> Impact | None:
    """The table of a group; None where no measured row has fewer bits a weight than the reference."""
    sized = sorted((row for row in group.rows if row.measured and bits(row)), key=_most_bits_first)
    if not sized:
        return None
    reference = sized[0]
    fewer = [row for row in sized[1:] if (bits(row) or 0.0) < _FEWER * (bits(reference) or 0.0)]
    if not fewer:
        return None
    rows = (reference, *fewer)
    columns = {
        "variant": [row.label for row in rows],
        "bits/weight": [f"{bits(row):.1f}" for row in rows],
        "time": ["reference", *(_speed(reference, row) for row in fewer)],
        "weights": ["reference", *(_less(reference, row, "weight_bytes") for row in fewer)],
        "peak memory": ["reference", *(_less(reference, row, "peak_memory_bytes") for row in fewer)],
        "J/token": ["reference", *(_less(reference, row, "joules_per_token") for row in fewer)],
        group.score: [_score(row, group.score) for row in rows],
        "change, 95 % CI": ["", *(_change(reference, row, group.score) for row in fewer)],
        "as eager": [_agreement(row) for row in rows],
    }
    kept = {head: texts for head, texts in columns.items() if head and {*texts} - {"", "reference"}}
    return Impact(tuple(kept), rows, tuple(zip(*kept.values(), strict=True)))


def bits(row: Row) -> float | None:
    """Bits that a parameter takes in the mean, of the loaded weights; None where they are not known."""
    model = row.record.model
    if model is None or not model.parameters or not model.weight_bytes:
        return None
    return 8 * model.weight_bytes / model.parameters


def _most_bits_first(row: Row) -> tuple[float, bool]:
    return -round(bits(row) or 0.0, 1), row.label != REFERENCE


def _speed(reference: Row, row: Row) -> str:
    return speed(reference.columns["median_seconds"], row.columns["median_seconds"])


def _less(reference: Row, row: Row, column: str) -> str:
    before, after = reference.columns[column], row.columns[column]
    return amount(before, after) if before and after else ""


def _score(row: Row, name: str) -> str:
    return score_text(row.record.scores[name]) if name in row.record.scores else ""


def _change(reference: Row, row: Row, name: str) -> str:
    before, after = reference.record.scores.get(name), row.record.scores.get(name)
    if before is None or after is None or (before.unit, before.direction) != (after.unit, after.direction):
        return ""
    low, high = difference_interval(before, after) or (None, None)
    found = Verdict(
        row.record.key, row.record.nodeid, f"score_{name}", "unclear", unit=after.unit, direction=after.direction,
        before=before.value, after=after.value, change=after.value - before.value, low=low, high=high,
    )  # fmt: skip
    return f"{change(found)} ({interval(found)})" if interval(found) else change(found)


def _agreement(row: Row) -> str:
    scores = row.record.scores
    for name in ("tokens", "labels"):
        if PREFIX + name in scores:
            return f"{percent(scores[PREFIX + name].value)} of {name}"
    return f"cosine {scores[PREFIX + 'cosine'].value:.4f}" if PREFIX + "cosine" in scores else ""
