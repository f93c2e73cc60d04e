"""Results: what a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .record import Record
from .verdict import Verdicts

#: What a session gives its reports of earlier ones: these columns, of so many sessions (chosen here: 60 files of 50
#: rows were read in 0.14 s; `modelbench report` reads all there are).
HISTORY_COLUMNS = (
    "key", "session", "started_utc", "outcome", "commit", "fingerprint", "median_seconds", "p5_seconds", "p95_seconds",
)  # fmt: skip
MOST_SESSIONS = 60


@dataclass(frozen=True)
class Results:
    """The Records of a session, what the gate said of them, and rows of earlier sessions."""

    records: Sequence[Record]
    verdicts: Verdicts | None = None
    #: Rows as `summary.row` gives them, of earlier sessions, the oldest first; at least HISTORY_COLUMNS of them.
    history: Sequence[Mapping[str, Any]] = ()
