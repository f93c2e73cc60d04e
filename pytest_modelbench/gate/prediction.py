"""Prediction: what one more session would measure if nothing had changed, from the sessions that are stored.

The session is the unit of replication. Rounds of one process are not independent: the median of a session varies 16 to
44 times more than its rounds claim (docs/explanation/how-stored-sessions-are-judged.md), so its rounds are not asked.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..stats import student_quantile

#: Under this many sessions a verdict is advisory: the spread itself is known to a factor of three only (the 95 %
#: interval of a standard deviation of four normal values is 0.57 to 3.73 times it, by chi-square).
LEAST_SESSIONS = 5
#: Sessions that are looked at, the newest: with ten the interval is 5 % wider than with all there could ever be
#: (sqrt(1 + 1/10)), and older ones are of an older machine.
MOST_SESSIONS = 10
#: Medians of sessions have heavy tails (a neighbour, a clock), so Student's t is not given more degrees of freedom than
#: a population with the tails of t with 3 has. With all n - 1, 20 such benches would raise an alarm in 22 % of suites
#: where 5 % are claimed (simulated: tests/unit/test_gate_prediction.py).
MOST_DEGREES = 3
#: The chance, for a whole suite, that this sets out from. Chosen here by the same simulation, so that with tails of t
#: with 3 and five sessions 5 % of suites of identical code raise an alarm, and fewer with more sessions or lighter
#: tails; the limit, which a change must clear besides, only lowers that.
SUITE_TAIL = 0.03


@dataclass(frozen=True)
class Predicted:
    """A new value against stored ones, as differences of logarithms."""

    change: float
    #: Half the interval at 95 % of one bench, and half of that in which a suite's benches stay when nothing changed.
    half: float
    half_of_suite: float
    sessions: int


def predicted(stored: Sequence[float], new: float, tests: int) -> Predicted | None:
    """The change of a positive value, one of `tests` in a suite; None under two sessions, which have no spread.

    The interval is that of one further value (Hahn & Meeker, Statistical Intervals, 2nd ed., section 4.8), on
    logarithms: times are multiplied by what disturbs them. The suite's is Bonferroni's, one side.
    """
    if len(stored) < 2:
        return None
    logs = [math.log(value) for value in stored]
    n = len(logs)
    # where all are equal, rounding must not leave a spread, nor a change
    spread = statistics.stdev(logs) if len(set(stored)) > 1 else 0.0
    scale = spread * math.sqrt(1 + 1 / n)
    degrees = min(n - 1, MOST_DEGREES)
    change = math.log(new) - statistics.fmean(logs)
    return Predicted(
        change if abs(change) > 1e-12 else 0.0,
        scale * student_quantile(0.025, degrees),
        scale * student_quantile(SUITE_TAIL / max(tests, 1), degrees),
        n,
    )
