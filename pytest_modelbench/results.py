"""Results: what a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .record import Record
from .verdict import Verdicts


@dataclass(frozen=True)
class Results:
    """The Records of a session, what the gate said of them, and rows of earlier sessions."""

    records: Sequence[Record]
    verdicts: Verdicts | None = None
    #: Rows as `summary.row` gives them, of earlier sessions, the oldest first.
    history: Sequence[Mapping[str, Any]] = ()
