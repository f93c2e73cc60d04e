"""What quantization saved, and what it cost: quantized rows beside the reference of their group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...groups import Group, Row, score_text
from ...quantity import amount, digits, quantity_text, speed
from ...said import SHARES
from .compare import name, row_id, typeset

#: Rows of the table (chosen here).
MOST_ROWS = 60


def quantization(groups: Sequence[Group]) -> dict[str, Any]:
    """Quantized rows beside the reference of their group: what was saved, and what it cost."""
    return {"quantization": [found for group in groups for found in _impact(group)][:MOST_ROWS]}


def _impact(group: Group) -> Iterable[dict[str, str]]:
    base = next((row for row in group.rows if row.texts["against"] == "reference"), None)
    for row in group.rows:
        model = row.record.model
        if base is None or not row.measured or model is None or not model.quantization:
            continue
        yield {
            "id": row_id(row.record),
            "name": name(row.record),
            "how": model.quantization,
            "weights": _beside(row, base, "weight_bytes"),
            "peak": _beside(row, base, "peak_memory_bytes"),
            "time": typeset(speed(base.columns["median_seconds"], row.columns["median_seconds"])),
            "energy": _beside(row, base, "joules_per_token", "joules"),
            "score": _score(row, base, group.score),
        }


def _beside(row: Row, base: Row, column: str, quantity: str = "bytes") -> str:
    mine, theirs = row.columns[column], base.columns[column]
    if mine is None:
        return ""
    return quantity_text(quantity, mine) + (f", {typeset(amount(theirs, mine))}" if theirs else "")


def _score(row: Row, base: Row, score: str) -> str:
    mine, theirs = row.record.scores.get(score), base.record.scores.get(score)
    if mine is None:
        return ""
    if theirs is None:
        return score_text(mine)
    share = mine.unit in SHARES
    moved = (mine.value - theirs.value) * (100 if share else 1)
    sign = "+" if moved > 0 else "\N{MINUS SIGN}" if moved < 0 else ""
    return f"{score_text(mine)}, {sign}{digits(abs(moved))} pt"
