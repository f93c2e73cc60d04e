"""Paired: how much better or worse a score is on the same items in the same order, with its 95 % interval.

Two variants of a model fail mostly on the same items, so the difference of their scores is known far better than each
score: the interval is of the differences, item by item.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .record import Score

#: The normal distribution's 97.5 % quantile.
_Z = 1.96
#: Draws of the bootstrap: its 2.5 % quantile is then known to 0.35 % (the binomial's error).
_DRAWS = 2000
#: Under this many items that are not just right or wrong, percentiles of resampled means are too narrow (Efron &
#: Tibshirani, An Introduction to the Bootstrap, section 13.3, show it at n = 10).
LEAST_ITEMS = 10
#: Of a mean of items, and of a score that was stored as text.
_ROUNDING = 1e-9


def difference_interval(before: Score, after: Score) -> tuple[float, float] | None:
    """The 95 % interval of `after.value - before.value`; None where the items do not tell it.

    Right and wrong: Bonett & Price 2012, "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions
    Based on Paired Data". Other means of items: the percentiles of a paired bootstrap (Koehn 2004). A perplexity, which
    is exp of its items' mean: the bootstrap of that mean, as a factor of the perplexity before.

    >>> yes, no = Score(1.0, "ratio", "higher", (1.0,) * 20), Score(0.5, "ratio", "higher", (1.0, 0.0) * 10)
    >>> [round(end, 2) for end in difference_interval(yes, no)]
    [-0.7, -0.21]
    """
    if not after.items or len(before.items) != len(after.items):
        return None
    if {*before.items, *after.items} <= {0.0, 1.0}:
        return of_shares(before.items, after.items)
    if len(after.items) < LEAST_ITEMS:
        return None
    if all(_near(_mean(score.items), score.value) for score in (before, after)):
        return of_means(before.items, after.items)
    if all(_near(math.exp(_mean(score.items)), score.value) for score in (before, after)):
        low, high = of_means(before.items, after.items)
        return before.value * math.expm1(low), before.value * math.expm1(high)
    return None


def of_shares(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The interval of the difference of two shares, by items that are 0 or 1."""
    n = len(after)
    won = sum(new > old for old, new in zip(before, after, strict=True))
    lost = sum(new < old for old, new in zip(before, after, strict=True))
    up, down = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(up - down - half, -1.0), min(up - down + half, 1.0)


def of_means(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The interval of the difference of two means; the seed is fixed, so that a verdict holds."""
    import numpy

    differences = numpy.asarray(after) - numpy.asarray(before)
    random, n = numpy.random.default_rng(20040725), len(differences)  # any number; a fixed one
    means = [float(differences[random.integers(0, n, n)].mean()) for _ in range(_DRAWS)]
    low, high = numpy.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _mean(items: Sequence[float]) -> float:
    return math.fsum(items) / len(items)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _ROUNDING * max(1.0, abs(other))
