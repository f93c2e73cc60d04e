"""Verdict: what the gate says of one quantity of one bench against a baseline, and all of them for a session."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Word = Literal["faster", "same", "slower", "unclear", "new", "missing", "incomparable", "invalid"]
#: The worst first: the order in which reports show them.
WORDS: tuple[Word, ...] = ("slower", "invalid", "incomparable", "missing", "unclear", "new", "faster", "same")
assert set(WORDS) == set(typing.get_args(Word))

#: Quantity -> how its two directions are said of it; a quantity that is not named here is said as "seconds" is.
SAID: dict[str, dict[str, str]] = {
    "peak_memory": {"slower": "more memory", "faster": "less memory"},
    "energy": {"slower": "more energy", "faster": "less energy"},
    "score": {"slower": "worse", "faster": "better"},
}


@dataclass(frozen=True)
class Verdict:
    """One quantity of one bench, before and after; a change and its interval are of `after` against `before`."""

    #: `Record.key` of the bench, and where pytest finds it.
    key: str
    nodeid: str
    #: "seconds", "tokens_per_second", "peak_memory", "energy" or "score_<metric>".
    quantity: str
    #: "slower" is the harmful direction of every quantity, "faster" the good one; `said` words it.
    word: Word
    #: Why, where the numbers do not say it: one line.
    reason: str = ""
    unit: str = "seconds"
    direction: Literal["higher", "lower"] = "lower"
    #: Medians (a score's value), in SI units; `before` of stored sessions is the geometric mean of theirs.
    before: float | None = None
    after: float | None = None
    #: (after - before) / before; of a score the difference itself. With its 95 % interval, over pairs or sessions.
    change: float | None = None
    low: float | None = None
    high: float | None = None
    #: Process pairs it rests on; for a stored baseline its sessions.
    pairs: int | None = None
    #: Of a score: the items that both sides judged, and how many of them came out differently.
    items: int | None = None
    differing: int | None = None
    #: The tolerated change, above zero, in the harmful direction; in the unit of `change`.
    limit: float | None = None
    #: The smallest change that would have been seen.
    detectable: float | None = None
    #: Whether the bench fails by it.
    failing: bool = False
    #: Whether it rests on too little to fail a bench.
    advisory: bool = False

    @property
    def said(self) -> str:
        """The word as this quantity has it: a score is worse, not slower."""
        kind = "score" if self.quantity.startswith("score_") else self.quantity
        return SAID.get(kind, {}).get(self.word, self.word)


@dataclass(frozen=True)
class Verdicts:
    """All that the gate said in one session."""

    verdicts: tuple[Verdict, ...]
    #: What was compared with: "main (a1b2c3d)", a place, "variant:eager".
    against: str
    head: str
    #: "paired" (both sides ran here, in turn) or "stored" (Records of earlier sessions).
    how: Literal["paired", "stored"]
    #: What identical code would raise, as calibrated on this machine; None where it was not.
    alarms_per_suite: float | None = None
    #: What else differs between the two sides: fact -> (before, after).
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Things worth saying once.
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def of(self, key: str) -> tuple[Verdict, ...]:
        """Those of one bench, by `Record.key`."""
        return tuple(verdict for verdict in self.verdicts if verdict.key == key)
