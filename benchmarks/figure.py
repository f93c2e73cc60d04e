"""Figure: one row of the table - what was measured, ours beside the peers', and whether the target is met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One number of ours with the same number of the peers, in one unit; less is better, 0 is best."""

    what: str
    unit: str
    #: None: not measured here, and `note` says why.
    ours: float | None
    target: float | None = None
    #: The 95 % interval of `ours`; none where it was measured once.
    interval: tuple[float, float] | None = None
    #: Peer -> its number, or why it has none.
    peers: dict[str, float | str] = field(default_factory=dict)
    note: str = ""

    @property
    def met(self) -> str:
        """`yes`, `no`, `unclear` where the interval holds the target, "" without one."""
        if self.ours is None or self.target is None:
            return ""
        ends = [abs(end) for end in self.interval or (self.ours, self.ours)]
        if self.interval and self.interval[0] * self.interval[1] < 0:
            ends.append(0.0)  # the interval holds zero: the least it can be
        if max(ends) <= self.target:
            return "yes"
        return "no" if min(ends) > self.target else "unclear"

    @property
    def ratio(self) -> float | None:
        """Ours over the best peer's; None where either is about zero or missing."""
        known = [value for value in self.peers.values() if isinstance(value, float) and value > 0]
        return self.ours / min(known) if known and self.ours is not None and self.ours > 0 else None

    def cells(self) -> list[str]:
        """The row as text: what, ours, peers, ratio, target, met."""
        known = {name: value if isinstance(value, str) else self._text(value) for name, value in self.peers.items()}
        return [
            self.what,
            (self.note if self.ours is None else f"{self._text(self.ours)}{self._error()}"),
            ", ".join(f"{name} {value}" for name, value in known.items()),
            "" if self.ratio is None else f"{self.ratio:.2g}",
            "" if self.target is None else f"\N{LESS-THAN OR EQUAL TO} {self.target:g} {self.unit}",
            self.met,
        ]

    def _text(self, value: float) -> str:
        return f"{value:.3g} {self.unit}" if abs(value) < 1000 else f"{value:,.0f} {self.unit}"

    def _error(self) -> str:
        if self.interval is None:
            return ""
        return f" ({self.interval[0]:.2g} to {self.interval[1]:.2g})"


HEADS = ["what", "ours", "peers", "ratio", "target", "met?"]


def middle(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The median, and its 95 % interval by order statistics (Conover, Practical Nonparametric Statistics, 3.2).

    Under six values the interval is all of them: five of one sign are still one chance in sixteen.
    """
    ordered, n = sorted(values), len(values)
    # ranks n/2 -+ 1.96 * sqrt(n)/2, the normal form of the sign test; clipped to what is there
    half = 1.96 * math.sqrt(n) / 2
    low, high = max(math.floor(n / 2 - half), 0), min(math.ceil(n / 2 + half), n - 1)
    return median(ordered), (ordered[low], ordered[high])
