"""Quantities: what of a Record the gate can judge, with its unit and its good direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..record import Record
from ..summary import row

Direction = Literal["higher", "lower"]

#: The name a Score's quantity begins with: `score_accuracy`.
SCORE = "score_"


@dataclass(frozen=True)
class Quantity:
    """A number that may be judged: where `summary.row` has it, its unit (of `quantity.py`), its good direction."""

    column: str
    unit: str
    direction: Direction


#: All but the scores, whose units and directions are their metrics'.
QUANTITIES = {
    "seconds": Quantity("median_seconds", "seconds", "lower"),
    "tokens_per_second": Quantity("tokens_per_second", "tokens/s", "higher"),
    "peak_memory": Quantity("peak_memory_bytes", "bytes", "lower"),
    "energy": Quantity("energy_joules", "joules", "lower"),
}


def quantities(record: Record) -> dict[str, Quantity]:
    """What this Record can be judged by: the four, and its scores by name."""
    scores = {
        SCORE + name: Quantity(SCORE + name, score.unit, score.direction) for name, score in record.scores.items()
    }
    return QUANTITIES | scores


def value(columns: Mapping[str, Any], quantity: Quantity) -> float | None:
    """The number in a row of `summary.row`; None where it was not measured, or is of no use as a base (zero)."""
    found = columns.get(quantity.column)
    if quantity.column == "tokens_per_second" and found is None:
        found = columns.get("decode_tokens_per_second")  # a stream without a count of tokens
    if found is None or (found == 0 and not quantity.column.startswith(SCORE)):
        return None
    return float(found)


def measured(record: Record) -> dict[str, float]:
    """The numbers of one Record, by quantity; those that it lacks are left out."""
    columns = row(record)
    found = {name: value(columns, quantity) for name, quantity in quantities(record).items()}
    return {name: number for name, number in found.items() if number is not None}


def harm(change: float, direction: Direction) -> float:
    """A change as harm: above zero is worse, whichever way the quantity counts."""
    return change if direction == "lower" else -change


def most_harm(tolerated: float, quantity: Quantity) -> float:
    """A tolerated ratio as a logarithm of harm: a rate that falls by a tolerance of 5 % is 0.95 of itself."""
    return math.log1p(tolerated) if quantity.direction == "lower" else -math.log1p(-min(tolerated, 1 - 1e-9))
