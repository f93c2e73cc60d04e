"""Said: how verdicts are worded, the same in the terminal, on the page, in Markdown and in a test's failure.

A change is a signed percent of the value before it, and the word judges: `+7.6 % slower`. From twice the value up, or
half of it down, it is a factor: `3.20x slower`. A score changes by points, never by percent of percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .quantity import ABSENT, digits, text, unit_for
from .verdict import WORDS, Verdict, Verdicts

#: Units of scores that lie about zero to one: a point is a hundredth of it. Of any other score it is one of its unit.
SHARES = {"ratio", "share", "cosine", "correlation"}
#: Verdicts without numbers that compare anything.
NOT_JUDGED = ("new", "missing", "incomparable", "invalid")


def point(unit: str) -> float:
    """One point of a score of this unit.

    >>> point("ratio"), point("perplexity")
    (0.01, 1.0)
    """
    return 0.01 if unit in SHARES else 1.0


def is_score(verdict: Verdict) -> bool:
    """Whether its change is a difference, in points."""
    return verdict.quantity.startswith("score_")


def change(verdict: Verdict) -> str:
    """The change with its sign, or as a factor with its word.

    >>> slower = Verdict("k", "n", "seconds", "slower", change=0.0756)
    >>> change(slower), change(Verdict("k", "n", "seconds", "slower", change=2.2))
    ('+7.6 %', '3.20x slower')
    """
    if verdict.change is None or not math.isfinite(verdict.change):
        return ABSENT
    if is_score(verdict):
        return f"{_points(verdict.change, verdict)} pt"
    if _is_factor(verdict.change):
        return f"{_factor(verdict.change)}x {_direction(verdict)}"
    return f"{_percent(verdict.change)} %"


def interval(verdict: Verdict, to: str = "..") -> str:
    """The 95 % interval of the change: `+6.1..+9.2 %`; empty where there is none.

    >>> interval(Verdict("k", "n", "seconds", "slower", change=0.0756, low=0.061, high=0.092))
    '+6.1..+9.2 %'
    """
    if verdict.low is None or verdict.high is None:
        return ""
    if is_score(verdict):
        return f"{_points(verdict.low, verdict)}{to}{_points(verdict.high, verdict)} pt"
    if _is_factor(verdict.change) and min(verdict.low, verdict.high) > -1 and verdict.low * verdict.high > 0:
        ends = verdict.low, verdict.high
        return f"{_factor(min(ends, key=abs))}{to}{_factor(max(ends, key=abs))}x"
    return f"{_percent(verdict.low)}{to}{_percent(verdict.high)} %"


def limit(verdict: Verdict) -> str:
    """The tolerated change with the sign of harm: `+5 %`, of a score `-1 pt`; empty where there is none."""
    if verdict.limit is None:
        return ""
    sign = "+" if verdict.direction == "lower" else "-"
    if is_score(verdict):
        return f"{sign if verdict.limit else ''}{round(verdict.limit / point(verdict.unit), 6):g} pt"
    return f"{sign}{round(verdict.limit * 100, 6):g} %"


def detectable(verdict: Verdict) -> str:
    """The smallest change that would have been seen: `8.0 %`; empty where it is not known."""
    if verdict.detectable is None or not math.isfinite(verdict.detectable):
        return ""
    if is_score(verdict):
        return f"{digits(verdict.detectable / point(verdict.unit))} pt"
    return f"{verdict.detectable * 100:.1f} %"


def values(verdict: Verdict, arrow: str = "->") -> str:
    """Both numbers in one unit: `341 ms -> 367 ms`; a dash for one that is not there.

    >>> values(Verdict("k", "n", "seconds", "slower", before=0.341, after=0.367))
    '341 ms -> 367 ms'
    """
    before, after = each_value(verdict)
    return f"{before} {arrow} {after}"


def each_value(verdict: Verdict) -> tuple[str, str]:
    """Before and after, as people read them, in one unit."""
    if is_score(verdict) and verdict.unit in {"", *SHARES}:
        return _score(verdict.before), _score(verdict.after)
    unit = unit_for(verdict.unit, [verdict.before, verdict.after])
    return text(verdict.before, unit), text(verdict.after, unit)


def grounds(verdict: Verdict, how: str) -> str:
    """What it rests on: `95 % CI +6.1..+9.2 %, 6 pairs; limit +5 %`; `how` is that of its Verdicts."""
    said = [f"95 % CI {interval(verdict)}"] if interval(verdict) else []
    if verdict.items is not None:
        said.append(_plural(verdict.items, "item"))
    elif verdict.pairs is not None:
        said.append(_plural(verdict.pairs, "pair" if how == "paired" else "session"))
    if verdict.advisory:
        said.append("advisory")
    shown = ", ".join(said)
    return "; ".join(part for part in (shown, f"limit {limit(verdict)}" if limit(verdict) else "") if part)


def sentence(verdict: Verdict, against: str, how: str) -> str:
    """A Verdict in one line, the word and the percent first: a short summary of pytest cuts its end.

    >>> found = Verdict("k", "n", "seconds", "slower", before=0.341, after=0.367, change=0.0762, low=0.061, high=0.092,
    ...                 pairs=6, limit=0.05)
    >>> sentence(found, "main", "paired")
    'Slower: +7.6 % against main, median 341 ms -> 367 ms (95 % CI +6.1..+9.2 %, 6 pairs; limit +5 %)'
    """
    word = verdict.said[0].upper() + verdict.said[1:]
    named = "" if verdict.quantity == "seconds" else f"{verdict.quantity} "
    reason = f"; {verdict.reason}" if verdict.reason else ""
    if verdict.change is None:
        return f"{word}: {verdict.reason or 'against ' + against}"
    seen = f"; would have seen {detectable(verdict)}" if verdict.word == "unclear" and detectable(verdict) else ""
    middle = "median " if verdict.quantity == "seconds" else ""
    based = grounds(verdict, how) + seen
    return (
        f"{word}: {named}{change(verdict)} against {against}, {middle}{values(verdict)}"
        f"{f' ({based})' if based else ''}{reason}"
    )


# -- a bench, a suite


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Failing ones, then by word, then by the possible harm."""
    return sorted(verdicts, key=_severity)


def by_bench(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    """The worst Verdict of each bench, by its key, in the order of the benches."""
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        known = found.get(verdict.key)
        if known is None or _severity(verdict) < _severity(known):
            found[verdict.key] = verdict
    return found


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many benches have each word as their worst: `{"slower": 1, "same": 8}`, the worst first."""
    found: dict[str, int] = {}
    for verdict in worst_first(by_bench(verdicts).values()):
        found[verdict.said] = found.get(verdict.said, 0) + 1
    return found


def counted(numbers: dict[str, int]) -> str:
    """`1 slower, 8 same, 2 unclear`."""
    return ", ".join(f"{number:,} {word}" for word, number in numbers.items())


def headline(verdicts: Verdicts) -> str:
    """Must I act? One sentence, from what makes the exit status; the rows below cannot deny it."""
    benches = by_bench(verdicts)
    against = f" against {verdicts.against}"
    if not benches:
        return f"nothing was compared{against}: no bench in common"
    failing = [verdict for verdict in benches.values() if verdict.failing]
    of = f"of {_plural(len(benches), 'bench')}"
    if failing:
        words = counts(failing)
        verb, its = ("is", "its limit") if len(failing) == 1 else ("are", "their limits")
        if words.keys() <= {"slower", "worse"}:
            return f"{len(failing):,} {of} {verb} {' or '.join(words)} than {verdicts.against}, beyond {its}"
        return f"{len(failing):,} {of} fail{'s' if len(failing) == 1 else ''}{against}: {counted(words)}"
    if all(verdict.word in NOT_JUDGED for verdict in benches.values()):
        return f"no bench could be judged{against}: {counted(counts(benches.values()))}"
    return f"none {of} fails{against}: {counted(counts(benches.values()))}"


def largest_harm(verdicts: Sequence[Verdict]) -> str:
    """For those that are the same: `none slower by more than 2.4 %`; empty where no interval says it."""
    ends = [_worst_end(verdict) for verdict in verdicts if verdict.quantity == "seconds" and verdict.word == "same"]
    known = [end for end in ends if end is not None]
    return f"none slower by more than {max(max(known), 0.0) * 100:.1f} %" if known else ""


def _worst_end(verdict: Verdict) -> float | None:
    """The harmful end of the interval, as harm above zero."""
    end = verdict.high if verdict.direction == "lower" else verdict.low
    if end is None:
        end = verdict.change
    return end if end is None or verdict.direction == "lower" else -end


def _severity(verdict: Verdict) -> tuple[bool, int, float]:
    return (not verdict.failing, WORDS.index(verdict.word), -(_worst_end(verdict) or 0.0))


# -- numbers


def _direction(verdict: Verdict) -> str:
    """The word of a factor, which never stands without one: of a time faster or slower, of an amount more or less."""
    assert verdict.change is not None
    if verdict.quantity in ("seconds", "tokens_per_second"):
        harmful = (verdict.change > 0) == (verdict.direction == "lower")
        return "slower" if harmful else "faster"
    return "more" if verdict.change > 0 else "less"


def _is_factor(ratio: float | None) -> bool:
    """From twice the value up, or half of it down."""
    return ratio is not None and (ratio >= 1 or -1 < ratio <= -0.5)


def _factor(ratio: float) -> str:
    return digits(max(1 + ratio, 1 / (1 + ratio)))


def _percent(ratio: float) -> str:
    return _signed(ratio * 100, 1)


def _points(difference: float, verdict: Verdict) -> str:
    """One decimal; as many as it takes where the change of the score would vanish."""
    size = max(abs(verdict.change or 0.0), abs(difference)) / point(verdict.unit)
    places = 1 if size >= 1 or size == 0 else min(6, 1 - math.floor(math.log10(size)))
    return _signed(difference / point(verdict.unit), places)


def _signed(value: float, places: int) -> str:
    """With its sign; zero has none."""
    shown = f"{value:+.{places}f}"
    return shown if float(shown) else shown[1:]


def _score(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:.4f}".rstrip("0").rstrip(".") if 0 < abs(value) <= 1 else digits(value)


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "es" if what == "bench" else "s")
