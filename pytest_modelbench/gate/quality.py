"""Quality: is a score worse than before, by paired tests over the same items; and what was paid for what.

Right and wrong are compared by McNemar's test, in its exact form: of the items that came out differently, were more
lost than won than a fair coin would do (McNemar 1947, Psychometrika 12; the exact form: Agresti, Categorical Data
Analysis, 3rd ed., section 11.1). Other values by a paired bootstrap over items (Koehn 2004, "Statistical Significance
Tests for Machine Translation Evaluation"). The margin is the limit, fixed before anything ran.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..paired import LEAST_ITEMS, of_means, of_shares
from ..record import Score
from ..said import change, point
from ..verdict import Verdict, Word
from .limits import Limit
from .quantities import SCORE, harm

#: The chance that a loss which is none is called one; both sides of the usual 5 %. Greedy outputs of identical code
#: differ in no item, so a suite does not multiply it.
TAIL = 0.025
# Rounding of a mean of items, and of a score that was stored as text.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Paired:
    """What the items say of a difference (after - before)."""

    low: float | None
    high: float | None
    #: Which way the items went, beyond chance: 1 up, -1 down, 0 not beyond it.
    way: int
    differing: int
    #: The smallest difference that would not have been chance.
    detectable: float | None


def judge_score(key: str, nodeid: str, metric: str, before: Score, after: Score, limit: Limit) -> Verdict:
    """One score before and after, on the same items in the same order.

    `slower` (said: worse) is a loss above the limit that is not chance; `same` where no item differs, or the interval
    stays within the limit. Scores without items are compared as they are, and only against a limit above zero.
    """
    tolerated = limit.of(SCORE + metric, after.unit, before.value)
    found = Verdict(
        key, nodeid, SCORE + metric, "unclear", unit=after.unit, direction=after.direction, before=before.value,
        after=after.value, change=after.value - before.value, limit=tolerated,
    )  # fmt: skip
    if (before.unit, before.direction) != (after.unit, after.direction):
        return _incomparable(found, f"the metric was in {before.unit or 'no unit'}, is in {after.unit or 'no unit'}")
    if len(before.items) != len(after.items):
        return _incomparable(found, f"{len(before.items)} items before, {len(after.items)} now")
    if not after.items:
        return _without_items(found, tolerated)
    paired = _binary(before.items, after.items) if _is_binary(before, after) else _bootstrap(before.items, after.items)
    means = all(abs(_mean(score.items) - score.value) <= _ROUNDING for score in (before, after))
    found = replace(
        found, items=len(after.items), differing=paired.differing, low=paired.low if means else None,
        high=paired.high if means else None, detectable=paired.detectable if means else None,
    )  # fmt: skip
    return replace(found, word=_word(found, paired, tolerated))


def _word(found: Verdict, paired: _Paired, tolerated: float) -> Word:
    assert found.change is not None
    loss = harm(found.change, found.direction)
    if paired.differing == 0 and abs(loss) <= _ROUNDING:
        return "same"
    # a score that is no mean of its items (F1, BLEU) can fall while they rise: then they are no proof of the fall
    proven = paired.way * found.change > 0
    if proven and loss > tolerated + _ROUNDING:
        return "slower"
    if proven and loss < -_ROUNDING:
        return "faster"
    if found.low is None or found.high is None:
        return "unclear"
    worst = max(harm(found.low, found.direction), harm(found.high, found.direction))
    return "same" if worst <= tolerated + _ROUNDING else "unclear"


def _incomparable(found: Verdict, reason: str) -> Verdict:
    return replace(found, word="incomparable", change=None, reason=f"{found.quantity}: {reason}")


def _without_items(found: Verdict, tolerated: float) -> Verdict:
    """A score of the whole: on equal data a difference is real, though what it says of other data is not known."""
    assert found.change is not None
    loss = harm(found.change, found.direction)
    if abs(loss) <= _ROUNDING:
        return replace(found, word="same")
    reason = "the metric keeps no values of items"
    if loss > 0 and not tolerated:
        return replace(found, reason=f"{reason}, so only a limit above 0 pt can be exceeded")
    return replace(found, word="slower" if loss > tolerated else "same" if loss > 0 else "faster", reason=reason)


def _is_binary(before: Score, after: Score) -> bool:
    return {*before.items, *after.items} <= {0.0, 1.0}


def _binary(before: Sequence[float], after: Sequence[float]) -> _Paired:
    """McNemar's exact test, and the interval of the difference of paired shares."""
    won = sum(new > old for old, new in zip(before, after, strict=True))
    lost = sum(new < old for old, new in zip(before, after, strict=True))
    alone = math.ceil(-math.log2(TAIL))  # so many items lost and none won are no coin's doing: 6
    low, high = of_shares(before, after)
    way = (won > lost) - (won < lost) if mcnemar(won, lost) <= TAIL else 0
    return _Paired(low, high, way, won + lost, alone / len(after))


def mcnemar(won: int, lost: int) -> float:
    """The chance that a fair coin gives so uneven a split or a more uneven one, on that side.

    >>> mcnemar(0, 6), mcnemar(3, 3)
    (0.015625, 0.65625)
    """
    n = won + lost
    return float(sum(math.comb(n, k) for k in range(min(won, lost) + 1)) / 2**n)


def _bootstrap(before: Sequence[float], after: Sequence[float]) -> _Paired:
    """Means of the items' differences, drawn again with replacement."""
    differing = sum(new != old for old, new in zip(before, after, strict=True))
    if not differing:
        return _Paired(0.0, 0.0, 0, 0, None)
    low, high = of_means(before, after)
    way = (low > 0) - (high < 0) if len(after) >= LEAST_ITEMS else 0
    return _Paired(low, high, way, differing, (high - low) / 2)


def _mean(items: Sequence[float]) -> float:
    return math.fsum(items) / len(items)


# -- what was paid for what


def with_trade(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Say the move on the Pareto front where speed and quality of one bench went different ways.

    "Faster but worse" fails by its score as any loss does; the reason says what it bought.
    """
    speed = next((verdict for verdict in verdicts if verdict.quantity == "seconds"), None)
    return tuple(_traded(verdict, speed) for verdict in verdicts)


def _traded(verdict: Verdict, speed: Verdict | None) -> Verdict:
    ways = {("faster", "slower"): "faster but worse", ("slower", "faster"): "slower but better"}
    if speed is None or not verdict.quantity.startswith(SCORE) or (speed.word, verdict.word) not in ways:
        return verdict
    of_time = change(speed) if "x" in change(speed) else f"{change(speed)} of time"
    points = abs(verdict.change or 0.0) / point(verdict.unit)
    gave = "lost" if verdict.word == "slower" else "won"
    said = f"{ways[speed.word, verdict.word]}: {of_time} for {points:.3g} pt {gave}"
    return replace(verdict, reason="; ".join(part for part in (verdict.reason, said) if part))
