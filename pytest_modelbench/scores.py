"""Scores: from what a metric gives to a Score with its items, standard error and 95 % interval; and their composite.

Runs after the timed part, never in it: a metric may take longer than what it judges.
"""

from __future__ import annotations

import inspect
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from time import perf_counter
from typing import Any, Literal

from .declare import Metric, check_requirements
from .errors import NotFinite, UsageError
from .record import Score
from .stats import quantile_of_sorted, standard_error

#: 1,000 or more for an interval's ends (Efron & Tibshirani, An Introduction to the Bootstrap, section 13.3) ...
RESAMPLES = 1000
#: ... fewer where they take longer than this (chosen here: less than most metrics take), but not under a hundred, with
#: which an end would be the second or third of the sorted values.
RESAMPLING_SECONDS, LEAST_RESAMPLES = 5.0, 100
#: The normal distribution's 97.5 % quantile.
Z = 1.959964
#: Units of what is right or wrong, where each item is 1 or 0.
_SHARES = {"ratio", "share"}


@dataclass(frozen=True)
class Judged:
    """What a metric gives whose value is no mean of items; unit and direction are the metric's."""

    value: float
    #: What can be said of each item alone; for a paired test.
    items: Sequence[float] = ()
    #: The value of a sample of the `n` items, by their places (some more than once); the interval is made of many.
    again: Callable[[Sequence[int]], float] | None = None
    n: int = 0
    #: Where a metric knows them only when it runs.
    unit: str | None = None
    direction: Literal["higher", "lower"] | None = None


def key_of(name: str) -> str:
    """What a metric is called in a Record: `f1_micro` of `f1:micro`."""
    return re.sub(r"\W+", "_", name).strip("_")


def judge(
    metric: Metric,
    predictions: Any,
    references: Any = None,
    options: Mapping[str, Any] | None = None,
    tell: Callable[[float | None], None] = lambda share: None,
) -> dict[str, Score]:
    """Judge outputs: a Score by the metric's name, or each of several by its own, as a Record calls them.

    `tell` hears the share that is done, of a metric that takes a while.
    Raises UsageError for missing references or an option that the metric has not, NotFinite for a value that is no
    finite number, Unavailable with the pip line for a library that is not installed.
    """
    check_requirements(f"metric {metric.name!r}", metric.requires)
    taken = inspect.signature(metric.function).parameters
    if references is None and "references" in taken and taken["references"].default is inspect.Parameter.empty:
        raise UsageError(
            f"metric {metric.name!r} needs references, and there are none: give them as the third argument"
        )
    given = dict(options or {})
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    if not open_ended and (unknown := given.keys() - taken.keys()):
        takes = ", ".join(name for name in taken if name not in ("predictions", "references", "tell")) or "none"
        raise UsageError(f"metric {metric.name!r} takes no option {', '.join(sorted(unknown))} (it takes: {takes})")
    if "tell" in taken:
        given["tell"] = tell
    result = metric(predictions, references, **given)
    several = result if isinstance(result, Mapping) else {metric.name: result}
    scores = {key_of(name): _scored(metric, one, tell) for name, one in several.items()}
    for name, score in scores.items():
        _refuse_infinite(name if isinstance(result, Mapping) else metric.name, score)
    return scores


def _scored(metric: Metric, result: Any, tell: Callable[[float | None], None]) -> Score:
    """A Score of what the metric gave: a number an item, a Judged, or a Score."""
    if isinstance(result, Score):
        found = replace(result, value=float(result.value), items=tuple(map(float, result.items)))
        return _with_interval(found) if _is_mean(found) and found.low is None else found
    if not isinstance(result, Judged):
        items = tuple(float(item) for item in result)
        if not items:
            raise UsageError(f"metric {metric.name!r} got no items to judge")
        value = math.fsum(items) / len(items) if all(map(math.isfinite, items)) else math.nan
        return _with_interval(Score(value, metric.unit, metric.direction, items))
    unit = metric.unit if result.unit is None else result.unit
    found = Score(float(result.value), unit, result.direction or metric.direction, tuple(map(float, result.items)))
    if result.again is None or result.n < 2 or not math.isfinite(found.value):
        return found
    drawn = resampled(result.again, result.n, tell)
    if len(drawn) < LEAST_RESAMPLES:
        return found
    return replace(
        found,
        standard_error=statistics.stdev(drawn),
        low=quantile_of_sorted(drawn, 0.025),
        high=quantile_of_sorted(drawn, 0.975),
        interval=f"percentiles of {len(drawn):,} bootstrap samples",
    )


def _is_mean(score: Score) -> bool:
    return bool(score.items) and math.isclose(score.value, math.fsum(score.items) / len(score.items))


def _with_interval(score: Score) -> Score:
    """A mean of items with its standard error and 95 % interval.

    Of right and wrong by Wilson's score interval, which also holds near 0 and 1 (Wilson 1927; Brown, Cai & DasGupta
    2001, Statistical Science 16, recommend it); of other values by the normal distribution of a mean.
    """
    if not math.isfinite(score.value):
        return score  # refused by who judges
    n = len(score.items)
    error = standard_error(score.items) if score.standard_error is None else score.standard_error
    score = replace(score, standard_error=error)
    if score.unit in _SHARES and {*score.items} <= {0.0, 1.0}:
        low, high = wilson(sum(score.items), n)
        return replace(score, low=low, high=high, interval="Wilson's, of a share")
    if error is None:
        return score
    return replace(
        score, low=score.value - Z * error, high=score.value + Z * error, interval="normal, 1.96 standard errors"
    )


def wilson(right: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `right` of `n` were seen.

    >>> [round(end, 3) for end in wilson(0, 10)]
    [0.0, 0.278]
    """
    share, spread = right / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return (middle - half if right > 0 else 0.0), (middle + half if right < n else 1.0)


def resampled(again: Callable[[Sequence[int]], float], n: int, tell: Callable[[float | None], None]) -> list[float]:
    """Values of samples of the items with replacement, sorted; the same ones for the same data.

    A sample that a metric cannot judge (it lacks a class) gives no value. Efron & Tibshirani, section 13.
    """
    from numpy.random import RandomState

    draw, started = RandomState(0), perf_counter()  # whose numbers are promised never to change (NumPy's NEP 19)
    values = []
    for done in range(RESAMPLES):
        if perf_counter() - started > RESAMPLING_SECONDS:
            break
        tell(done / RESAMPLES)
        value = float(again(draw.randint(n, size=n).tolist()))
        if math.isfinite(value):
            values.append(value)
    return sorted(values)


def _refuse_infinite(name: str, score: Score) -> None:
    at = next((at for at, item in enumerate(score.items) if not math.isfinite(item)), None)
    if at is not None or not math.isfinite(score.value):
        shown = f"{score.value}" if at is None else f"{score.items[at]} for item {at}"
        raise NotFinite(
            f"metric {name!r} gave {shown}: no finite number, so nothing here is compared; look at the outputs"
        )


def composite(
    scores: Mapping[str, Score],
    weights: Mapping[str, float],
    spans: Mapping[str, tuple[float, float] | None],
) -> Score:
    """One number of several scores: their weighted mean, each brought to 0 (its worst) to 1 (its best).

    `spans` has the least and the most of each score's metric; what is outside is taken as its end. Where each score
    is the mean of the same items, so is the composite.
    Raises UsageError for weights that are negative or sum to zero, a score that is not there, or one without a span.
    """
    for name, weight in weights.items():
        if name not in scores:
            near = get_close_matches(name, scores, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"composite: there is no score {name!r}{hint} (there are: {', '.join(scores) or 'none'})")
        if not (math.isfinite(weight) and weight >= 0):
            raise UsageError(f"composite: the weight of {name!r} is {weight}: give numbers of at least 0")
    total = math.fsum(weights.values())
    if not total:
        raise UsageError(f"composite: the weights sum to zero ({dict(weights)}): at least one must be above 0")
    parts = [(weight / total, *_brought(name, scores[name], spans.get(name))) for name, weight in weights.items()]
    value = math.fsum(share * part for share, part, _ in parts)
    items = [values for _, _, values in parts]
    if not all(items) or len({len(values) for values in items}) > 1:
        return Score(value, "ratio", "higher")
    shares = [share for share, _, _ in parts]
    joined = tuple(
        math.fsum(share * item for share, item in zip(shares, row, strict=True)) for row in zip(*items, strict=True)
    )
    found = Score(value, "ratio", "higher", joined)
    return _with_interval(found) if _is_mean(found) else replace(found, items=())


def _brought(name: str, score: Score, span: tuple[float, float] | None) -> tuple[float, tuple[float, ...]]:
    """A score and its items as 0 (worst) to 1 (best); no items where their mean is not the score."""
    if span is None or not span[0] < span[1]:
        raise UsageError(
            f"composite: {name!r} ({score.unit or 'no unit'}) has no least and most: give them, "
            f"spans={{{name!r}: (0, 10)}}"
        )
    low, high = span

    def place(value: float) -> float:
        ratio = min(max((value - low) / (high - low), 0.0), 1.0)
        return ratio if score.direction == "higher" else 1 - ratio

    value, items = place(score.value), tuple(map(place, score.items))
    is_mean = bool(items) and math.isclose(value, math.fsum(items) / len(items), abs_tol=1e-12)
    return value, items if is_mean else ()
