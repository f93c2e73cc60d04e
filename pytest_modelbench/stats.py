"""Pure functions on seconds: quantiles, spread, throughput of tokens. Each constant cites its source.

The standard library is enough for the few that are needed: scipy.stats costs 0.8 s to import.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .record import TokenTimes

#: Under this many values a 99th percentile is an order statistic of the top one or two: it is not given.
#: At n = 100 the interval of a p99 first excludes the maximum being the only value above it (chosen here, for that).
P99_NEEDS = 100

median = statistics.median


def quantile(values: Sequence[float], q: float) -> float:
    """The `q` quantile (0 to 1) with linear interpolation: Hyndman & Fan 1996, type 7, numpy's default.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.5
    """
    if not values:
        raise ValueError("no values: a quantile needs at least one")
    return quantile_of_sorted(sorted(values), q)


def quantile_of_sorted(ordered: Sequence[float], q: float) -> float:
    """`quantile` of values that are in order already, for who wants several."""
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def spread_ratio(values: Sequence[float]) -> float | None:
    """Half the 5 to 95 % range over the median: a description of one process, never grounds for "faster".

    None under two values, or where the median is zero.
    """
    if len(values) < 2:
        return None
    ordered = sorted(values)
    middle = median(ordered)
    return (quantile_of_sorted(ordered, 0.95) - quantile_of_sorted(ordered, 0.05)) / 2 / middle if middle else None


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean, with the sample standard deviation (n - 1); None under two values."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def tpot(times: TokenTimes) -> float | None:
    """Time per output token: (e2el - ttft) / (n - 1), None when n < 2 (vLLM's and MLPerf's definition).

    The median of it over the rounds; n is of the longest sequence, whose last token e2el is. Where gaps are between
    chunks it is what was counted, and rounds whose tokens nobody counted are left out.
    """
    found = [seconds / steps for seconds, steps in _decoded(times)]
    return median(found) if found else None


def decode_rate(times: TokenTimes) -> float | None:
    """Tokens a second after the first: batch · (n - 1) / (t_last - t_first), the median of it over the rounds."""
    if times.counted_tokens:
        rates = [times.batch_size * steps / seconds for seconds, steps in _decoded(times) if seconds > 0]
    else:
        # a step gives a token to each sequence of the batch, but to those that ended before the others
        missing = times.batch_size * (max(map(len, times.itl_seconds)) + 1) - times.new_tokens
        rates = [(times.batch_size * len(gaps) - missing) / sum(gaps) for gaps in times.itl_seconds if sum(gaps) > 0]
    return median(rates) if rates else None


def _decoded(times: TokenTimes) -> list[tuple[float, int]]:
    """Of each round that has them, seconds after the first token and the steps in them."""
    counted = [(n or 1) - 1 for n in times.counted_tokens] or [len(gaps) for gaps in times.itl_seconds]
    each = zip(times.ttft_seconds, times.e2el_seconds, counted, strict=True)
    return [(e2el - ttft, steps) for ttft, e2el, steps in each if steps]


BLOCKS = 10
#: Student's t, 97.5 % quantile, BLOCKS - 1 = 9 degrees of freedom (NIST/SEMATECH e-Handbook, table 1.3.6.7.2).
_T_95 = 2.262


def precision_ratio(values: Sequence[float]) -> float:
    """Half the 95 % interval of the median of ten block medians, over the median.

    Consecutive rounds are correlated, so blocks of them, not rounds, are taken as independent (batch means:
    Law, Simulation Modeling and Analysis, 5th ed., section 9.5). Infinite under ten values.
    """
    if len(values) < BLOCKS:
        return math.inf
    blocks = _block_medians(values, BLOCKS)
    middle = median(blocks)
    return _T_95 * statistics.stdev(blocks) / math.sqrt(BLOCKS) / middle if middle else math.inf


@dataclass(frozen=True)
class Change:
    """How much longer one of two takes, as a ratio of the other, with its 95 % interval."""

    ratio: float
    low: float
    high: float


def paired_change(after: Sequence[float], before: Sequence[float]) -> Change:
    """How much longer `after[i]` takes than `before[i]`, measured next to each other: 0.01 is 1 % longer.

    Hodges & Lehmann's estimate on the ratios' logarithms, with the interval of Wilcoxon's signed ranks by its normal
    approximation (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3): one
    disturbed pair moves neither much. Raises ValueError under ten pairs, where that approximation is not good.

    >>> paired_change([1.01] * 10, [1.0] * 10).ratio
    0.01
    """
    n = len(before)
    if n < 10 or len(after) != n:
        raise ValueError(f"{len(after)} and {n} values: at least ten pairs are needed")
    logs = [math.log(new / old) for new, old in zip(after, before, strict=True)]
    means = _walsh_averages(logs)
    # 1.96: the normal distribution's 97.5 % quantile
    outside = math.floor(n * (n + 1) / 4 - 1.96 * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    found = (median(means), means[outside], means[-1 - outside])
    return Change(*(round(math.expm1(value), 12) for value in found))


def _walsh_averages(values: Sequence[float]) -> list[float]:
    """Means of every two values, each with itself too, in order."""
    return sorted((one + other) / 2 for one, other in combinations_with_replacement(values, 2))


def hodges_lehmann(values: Sequence[float]) -> float:
    """The middle of the means of every two values: nearly as steady as a mean, nearly as deaf to outliers as a median.

    Hodges & Lehmann 1963, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34.

    >>> hodges_lehmann([1.0, 2.0, 30.0])
    2.0
    """
    return median(_walsh_averages(values))


def robust_error(values: Sequence[float]) -> float:
    """The error of a middle, by the median of absolute deviations: an outlier does not make it large. 0 for one value.

    1.4826 makes it a standard deviation where values are normal (Rousseeuw & Croux 1993, Journal of the American
    Statistical Association 88).

    >>> round(robust_error([1.0, 2.0, 3.0, 90.0]), 4)
    0.7413
    """
    middle = median(values)
    return 1.4826 * median([abs(value - middle) for value in values]) / math.sqrt(len(values))


def student_tail(t: float, df: int) -> float:
    """The chance that Student's t with whole degrees of freedom exceeds `t` (Abramowitz & Stegun, 26.7.3 and 26.7.4).

    >>> round(student_tail(2.262, 9), 4), round(student_tail(-2.262, 9), 4)
    (0.025, 0.975)
    """
    angle = math.atan(abs(t) / math.sqrt(df))
    cosine, odd = math.cos(angle), df % 2
    term = total = cosine if odd else 1.0
    for power in range(2 + odd, df - 1, 2):
        term *= cosine**2 * (power - 1) / power
        total += term
    if df == 1:
        total = 0.0
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    tail = (1 - within) / 2
    return tail if t >= 0 else 1 - tail


@cache
def student_quantile(tail: float, df: int) -> float:
    """The t that is exceeded with a chance of `tail`, under one half.

    >>> round(student_quantile(0.025, 9), 3)
    2.262
    """
    low, high = 0.0, 2.0
    while student_tail(high, df) > tail:
        high *= 2
    for _ in range(60):  # halved so often, the bracket is as narrow as the numbers are
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, df) > tail else (low, middle)
    return (low + high) / 2


#: A first and a last third of four blocks each.
DRIFT_BLOCKS = 12


def drift_ratio(values: Sequence[float]) -> float | None:
    """How much longer the last third of some rounds took than the first, where that is not chance; else None.

    Rounds are taken in twelve blocks, since consecutive ones are correlated. It is not chance where every block median
    of the last four is above, or below, every one of the first four: without a drift that happens to 2 of 70 series
    (the rank-sum test of Mann & Whitney 1947 with U = 0, n = m = 4: p = 0.029). None under twelve values.

    >>> drift_ratio([1.0] * 6 + [1.1] * 6), drift_ratio([1.0, 1.1] * 6)
    (0.10000000000000009, None)
    """
    if len(values) < DRIFT_BLOCKS:
        return None
    blocks, third = _block_medians(values, DRIFT_BLOCKS), DRIFT_BLOCKS // 3
    first, last = blocks[:third], blocks[-third:]
    apart = min(last) > max(first) or max(last) < min(first)
    return median(last) / median(first) - 1 if apart and median(first) else None


def _block_medians(values: Sequence[float], number: int) -> list[float]:
    """Medians of so many successive blocks of nearly equal length."""
    edges = [round(i * len(values) / number) for i in range(number + 1)]
    return [median(values[start:end]) for start, end in pairwise(edges)]
