"""What moved, and how sure is it: a row a verdict, its interval over pairs or sessions, and its own limit.

A place right of zero is harm, whichever way a quantity is better. Changes stand on an axis of log ratios, so that twice
and half as long are as far from zero; scores stand in points, in a table of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ... import said
from ...svg import Scale, share, ticks
from ...verdict import WORDS, Verdict, Verdicts
from .compare import typeset

#: Rows with a picture; the others are counted with the largest harm that they may have.
MOST_ROWS = 40
#: Names listed of those that were not judged, a kind.
MOST_NAMES = 8
# Chosen here: an axis shows four times the largest limit, without one half as much again; what goes beyond ends in an
# arrow, so that one wild bench does not press the others into a line.
_LIMITS_SHOWN = 4
_WIDEST = math.log(1.5)
_HEIGHT = 24


def gate(verdicts: Verdicts | None, ids: Mapping[str, str]) -> dict[str, Any]:
    """What the template shows of the verdicts; `ids` are those of the rows, by key."""
    if verdicts is None:
        return {"gate": None}
    numbers = [verdict for verdict in said.worst_first(verdicts) if verdict.change is not None]
    parts = [
        _table(
            "Change of times, rates, memory and energy", [v for v in numbers if not said.is_score(v)], verdicts, ids
        ),
        _table("Change of scores, in points", [v for v in numbers if said.is_score(v)], verdicts, ids),
    ]
    return {
        "gate": {
            "title": f"{verdicts.head} against {verdicts.against}",
            "pairs": "pairs" if verdicts.how == "paired" else "sessions",
            "tables": [part for part in parts if part],
            "not_judged": list(_not_judged(v for v in verdicts if v.change is None)),
            "notes": [*verdicts.notes, *_alarms(verdicts)],
        }
    }


def verdict_name(verdict: Verdict) -> str:
    """A bench as a row calls it, and the quantity where that is not time."""
    short = verdict.nodeid.rpartition("::")[2].removeprefix("bench_") or verdict.key
    return short if verdict.quantity == "seconds" else f"{short}, {verdict.quantity}"


def alarms(verdicts: Verdicts) -> str:
    """What identical code would raise, where that was measured."""
    if verdicts.alarms_per_suite is None:
        return ""
    return f"identical code would raise {verdicts.alarms_per_suite:.2g} alarms in a suite like this (calibrated here)"


def _alarms(verdicts: Verdicts) -> Iterable[str]:
    if words := alarms(verdicts):
        yield words[0].upper() + words[1:] + "."


def _table(title: str, judged: Sequence[Verdict], of: Verdicts, ids: Mapping[str, str]) -> dict[str, Any] | None:
    from markupsafe import Markup

    if not judged:
        return None
    shown, rest = judged[:MOST_ROWS], judged[MOST_ROWS:]
    scale = _scale(shown)
    harm = said.largest_harm(rest)
    more = f"{len(rest):,} more: {said.counted(said.counts(rest))}{'; ' + harm if harm else ''}." if rest else ""
    return {
        "title": title,
        "axis": Markup(_axis(scale, said.is_score(judged[0]))),
        "rows": [_row(verdict, of, scale, ids) for verdict in shown],
        "more": more,
    }


def _row(verdict: Verdict, of: Verdicts, scale: Scale, ids: Mapping[str, str]) -> dict[str, Any]:
    from markupsafe import Markup

    why = verdict.reason
    if not why and verdict.word == "unclear" and verdict.detectable is not None:
        why = seen(verdict)
    limit = typeset(said.limit(verdict))
    fails = f"limit {limit}{': fails' if verdict.failing else ''}" if limit else "fails" if verdict.failing else ""
    return {
        "id": ids.get(verdict.key, ""),
        "name": verdict_name(verdict),
        "plot": Markup(_forest(verdict, scale)),
        "change": typeset(said.change(verdict)),
        "word": verdict.word,
        "said": verdict.said,
        "interval": typeset(said.interval(verdict, " to ")),
        "both": said.values(verdict, "\N{RIGHTWARDS ARROW}"),
        "n": verdict.items if verdict.items is not None else verdict.pairs if verdict.pairs is not None else "",
        "why": "; ".join(part for part in (fails, why, "advisory" if verdict.advisory else "") if part),
    }


def seen(verdict: Verdict) -> str:
    """The smallest change that would have been seen; a change of more than the value itself is none to speak of."""
    if verdict.detectable is None or said.is_score(verdict) or verdict.detectable <= 1:
        return f"would have seen {said.detectable(verdict)}"
    return "too noisy to tell"


def _not_judged(verdicts: Iterable[Verdict]) -> Iterable[dict[str, str]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: WORDS.index(verdict.word)):
        found.setdefault(verdict.said, []).append(verdict)
    for word, of in found.items():
        names = [verdict_name(v) + (f" ({v.reason})" if v.reason else "") for v in of[:MOST_NAMES]]
        more = f" and {len(of) - MOST_NAMES:,} more" if len(of) > MOST_NAMES else ""
        yield {"word": word, "number": f"{len(of):,}", "names": "; ".join(names) + more}


# -- the picture of a row


def _harm(verdict: Verdict, change: float) -> float:
    """How far right a change is: a log ratio, of a score its difference, turned so that harm is above zero."""
    far = change if said.is_score(verdict) else math.log(max(1 + change, 1e-9))
    return far if verdict.direction == "lower" else -far


def _ends(verdict: Verdict) -> tuple[float, float, float]:
    """Low, middle, high on the axis."""
    assert verdict.change is not None
    middle = _harm(verdict, verdict.change)
    ends = [_harm(verdict, end) for end in (verdict.low, verdict.high) if end is not None]
    return min(middle, *ends, middle), middle, max(middle, *ends, middle)


def _limit(verdict: Verdict) -> float | None:
    if verdict.limit is None:
        return None
    return verdict.limit if said.is_score(verdict) else math.log(1 + verdict.limit)


def _scale(verdicts: Sequence[Verdict]) -> Scale:
    """One axis for all rows, as far to the left as to the right."""
    limits = [limit for verdict in verdicts if (limit := _limit(verdict)) is not None]
    ends = [abs(end) for verdict in verdicts for end in _ends(verdict)]
    if said.is_score(verdicts[0]):
        reach = max(*ends, 0.005) * 1.1
    else:
        widest = _LIMITS_SHOWN * max(limits) if limits else _WIDEST
        reach = min(max(*ends, widest / 2, 0.02) * 1.05, widest)
    return Scale(-reach, reach, 0, 1)


def _axis(scale: Scale, points: bool) -> str:
    if points:
        marks = [(mark, f"{mark * 100:+g}" if mark else "0") for mark in ticks(scale.low, scale.high, 5)]
        unit = " pt"
    else:
        reach = math.expm1(scale.high)
        percents = ticks(-reach, reach, 6)
        marks = [
            (math.log1p(mark), f"{mark * 100:+.4g}" if abs(mark) > 1e-9 else "0") for mark in percents if mark > -1
        ]
        unit = " %"
    seen = [(scale(at), words.replace("-", "\N{MINUS SIGN}")) for at, words in marks if 0.03 < scale(at) < 0.97]
    shown = [
        f'<text class="tm" x="{share(at)}" y="11">{words}{unit if at == seen[-1][0] else ""}</text>'
        for at, words in seen
    ]
    return f'<svg class="plot axis" height="15" aria-hidden="true">{"".join(shown)}</svg>'


def _forest(verdict: Verdict, scale: Scale) -> str:
    low, middle, high = _ends(verdict)
    limit, mid = _limit(verdict), _HEIGHT / 2
    zero = share(scale(0))
    parts = []
    if limit is not None and scale(limit) < 1:
        at = share(scale(limit))
        parts.append(
            f'<rect class="beyond" x="{at}" width="{share(1 - scale(limit))}" height="{_HEIGHT}"/>'
            f'<line class="limit" x1="{at}" x2="{at}" y2="{_HEIGHT}"/>'
        )
    parts.append(f'<line class="zero" x1="{zero}" x2="{zero}" y2="{_HEIGHT}"/>')
    if high > low:
        inside = [share(min(max(scale(end), 0), 1)) for end in (low, high)]
        parts.append(f'<line class="ci" x1="{inside[0]}" x2="{inside[1]}" y1="{mid}" y2="{mid}"/>')
    if scale(high) > 1:
        parts.append(f'<svg x="100%" y="{mid}" overflow="visible"><path class="ci" d="M-6-5 0 0-6 5"/></svg>')
    if scale(low) < 0:
        parts.append(f'<svg y="{mid}" overflow="visible"><path class="ci" d="M6-5 0 0 6 5"/></svg>')
    if 0 <= scale(middle) <= 1:
        parts.append(f'<svg x="{share(scale(middle))}" y="{mid}" overflow="visible">{mark(verdict.word)}</svg>')
    return f'<svg class="plot v-{verdict.word}" height="{_HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def mark(word: str) -> str:
    """The shape of a verdict around a place: shapes tell them apart without colour."""
    if word == "slower":
        return '<rect class="m" x="-4.5" y="-4.5" width="9" height="9"/>'
    if word == "faster":
        return '<circle class="m" r="5"/>'
    if word == "same":
        return '<circle class="m h" r="4"/>'
    return '<path class="m h" d="M0-6 6 0 0 6-6 0Z"/>'
