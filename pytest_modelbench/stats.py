"""Pure functions on seconds: quantiles, spread, throughput of tokens. Each constant cites its source.

The standard library is enough for the few that are needed: scipy.stats costs 0.8 s to import.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

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


def tpot(ttft_seconds: float, e2el_seconds: float, tokens_per_sequence: float) -> float | None:
    """Time per output token: (e2el - ttft) / (n - 1), None when n < 2 (vLLM's and MLPerf's definition).

    >>> tpot(1.0, 3.0, 5)
    0.5
    """
    return (e2el_seconds - ttft_seconds) / (tokens_per_sequence - 1) if tokens_per_sequence >= 2 else None


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
    edges = [round(i * len(values) / BLOCKS) for i in range(BLOCKS + 1)]
    blocks = [median(values[start:end]) for start, end in pairwise(edges)]
    middle = median(blocks)
    return _T_95 * statistics.stdev(blocks) / math.sqrt(BLOCKS) / middle if middle else math.inf
