"""Pareto: what quality costs - which rows of a group no other row beats in both, and what beats the others.

A row is dominated when another one costs no more and scores no worse, and is better in one of the two. Scores are taken
as they are: a front of rows whose scores differ by noise is longer than it should be, never shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .groups import Group, Row
from .parity import PREFIX
from .record import Score

#: Columns of a row that a score may be set against, all of them better when smaller, and how a table calls them.
COSTS = {"median_seconds": "time", "peak_memory_bytes": "memory", "joules_per_token": "J/token"}


def dominating(points: Sequence[tuple[float, float]], *, higher: bool = True) -> list[int | None]:
    """For each (cost, score) the place of one that dominates it, the best of those; None for what is on the front.

    `higher` says whether a higher score is better; a lower cost always is.

    >>> dominating([(1.0, 0.9), (2.0, 0.9), (3.0, 0.95), (4.0, 0.5)])
    [None, 0, None, 2]
    """
    sign = -1.0 if higher else 1.0
    keys = [(sign * score, cost) for cost, score in points]  # both better when smaller
    found: list[int | None] = []
    for key in keys:
        better = [other for other in keys if other != key and other[0] <= key[0] and other[1] <= key[1]]
        found.append(keys.index(min(better)) if better else None)
    return found


@dataclass(frozen=True)
class Point:
    """A row with its cost and its score, and the row that dominates it, if any."""

    row: Row
    cost: float
    score: Score
    dominated_by: Row | None = None


@dataclass(frozen=True)
class Front:
    """The rows of a group by one cost and one score, the cheapest first."""

    #: A key of COSTS.
    cost: str
    #: Name of the score.
    score: str
    points: tuple[Point, ...]

    @property
    def best(self) -> tuple[Point, ...]:
        """Those that nothing dominates."""
        return tuple(point for point in self.points if point.dominated_by is None)

    @property
    def dominated(self) -> tuple[Point, ...]:
        """The others."""
        return tuple(point for point in self.points if point.dominated_by is not None)


def fronts(group: Group) -> list[Front]:
    """Each cost against each score that at least two measured rows of the group have.

    Agreement with eager is no score of a row by itself: eager has none.
    """
    rows = [row for row in group.rows if row.measured]
    scores = dict.fromkeys(name for row in rows for name in row.record.scores if not name.startswith(PREFIX))
    made = (_front(rows, cost, score) for score in scores for cost in COSTS)
    return [front for front in made if len(front.points) > 1]


def front(group: Group) -> Front | None:
    """The one that a table has room for: time against the group's first score."""
    return next((one for one in fronts(group) if one.cost == "median_seconds" and one.score == group.score), None)


def _front(rows: Sequence[Row], cost: str, name: str) -> Front:
    known = [row for row in rows if row.columns[cost] is not None and name in row.record.scores]
    scores = [row.record.scores[name] for row in known]
    costs = [row.columns[cost] for row in known]
    values = [score.value for score in scores]
    higher = all(score.direction == "higher" for score in scores)
    beaten = dominating(list(zip(costs, values, strict=True)), higher=higher)
    points = [
        Point(row, price, score, None if by is None else known[by])
        for row, price, score, by in zip(known, costs, scores, beaten, strict=True)
    ]
    return Front(cost, name, tuple(sorted(points, key=lambda point: point.cost)))
