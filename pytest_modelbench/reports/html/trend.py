"""When did it change: the medians of earlier sessions on the same machine, with the levels between changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any

from ...changepoints import change_points, levels
from ...gate.prediction import LEAST_SESSIONS, MOST_SESSIONS, predicted
from ...groups import Row
from ...quantity import quantity_text, unit_for, visible
from ...results import Results
from ...stats import quantile_of_sorted
from ...svg import BOTTOM, LEFT, RIGHT, TOP, Scale, chart, padded, readable, x_text, y_axis
from .compare import name, row_id

#: Charts in a page (chosen here): the benches that changed last come first.
MOST_CHARTS = 12
_WHISKERS = 80


@dataclass(frozen=True)
class _Session:
    """What one session says of one bench."""

    seconds: float
    low: float
    high: float
    label: str


def trend(results: Results, rows: Sequence[Row]) -> dict[str, Any]:
    """Charts of benches with a past, and what is said beside them."""
    past: dict[str, list[Mapping[str, Any]]] = {}
    for found in results.history:
        past.setdefault(found["key"], []).append(found)
    series, elsewhere = [], 0
    for row in rows if past else ():
        earlier = past.get(row.columns["key"], [])
        here = [found for found in earlier if found.get("fingerprint") == row.columns["fingerprint"]]
        elsewhere += len(earlier) - len(here)
        sessions = [_session(found) for found in [*here, row.columns] if found.get("median_seconds")]
        if len(sessions) > 1 and row.measured:
            series.append((row, sessions, change_points([session.seconds for session in sessions])))
    series.sort(key=lambda one: _recency(one[1], one[2]))
    more = f"{len(series) - MOST_CHARTS:,} more benches have a past; those that changed last are shown. "
    others = f"{elsewhere:,} results of other machines are left out." if elsewhere else ""
    return {
        "trend": [_drawn(*one) for one in series[:MOST_CHARTS]],
        "trend_said": (more if len(series) > MOST_CHARTS else "") + others,
    }


def _recency(sessions: Sequence[_Session], changes: Sequence[int]) -> int:
    """Sessions since the last change; a bench that never changed comes after those that did."""
    return len(sessions) - changes[-1] if changes else 1_000_000


def _session(found: Mapping[str, Any]) -> _Session:
    seconds = found["median_seconds"]
    label = " ".join(part for part in ((found.get("commit") or "")[:7], (found.get("started_utc") or "")[:10]) if part)
    return _Session(seconds, found.get("p5_seconds") or seconds, found.get("p95_seconds") or seconds, label)


def _drawn(row: Row, sessions: Sequence[_Session], changes: Sequence[int]) -> dict[str, Any]:
    from markupsafe import Markup

    steps = levels([session.seconds for session in sessions], changes)
    said = [_step(sessions, steps, at) for at in range(1, len(steps))]
    # a level of fewer is no level, as for the gate
    few = f"{len(sessions)} sessions: points only." if len(sessions) < LEAST_SESSIONS else ""
    expected = _expected(sessions)
    low, high = _reach(sessions)
    beyond = sum(not low <= session.seconds <= high for session in sessions)
    wild = [f"{beyond:,} lie{'s' if beyond == 1 else ''} beyond the chart."] if beyond else []
    return {
        "id": row_id(row),
        "name": name(row.record),
        "svg": Markup(_chart(sessions, steps if not few else [], expected)),
        "said": few or " ".join([f"{len(sessions):,} sessions.", *(said or ["No change."]), *expected.said, *wild]),
    }


@dataclass(frozen=True)
class _Expected:
    """Where the newest session was to lie, by those before it; `sessions` of them, none where they are too few."""

    low: float = 0.0
    high: float = 0.0
    sessions: int = 0
    said: tuple[str, ...] = ()


def _expected(sessions: Sequence[_Session]) -> _Expected:
    """The 95 % interval of one further session, as the gate of stored sessions has it of one bench."""
    *earlier, newest = (session.seconds for session in sessions)
    earlier = earlier[-MOST_SESSIONS:]
    seen = predicted(earlier, newest, 1) if len(earlier) >= LEAST_SESSIONS else None
    if seen is None:
        return _Expected()
    low, high = (newest * math.exp(-seen.change + side * seen.half) for side in (-1, 1))
    where = "within" if low <= newest <= high else "outside"
    return _Expected(low, high, len(earlier), (f"The newest lies {where} what the {len(earlier)} before it predict.",))


def _step(sessions: Sequence[_Session], steps: Sequence[tuple[int, int, float]], at: int) -> str:
    before, (start, _, after) = steps[at - 1][2], steps[at]
    ratio = after / before - 1
    word = "slower" if ratio > 0 else "faster"
    sign = "+" if ratio > 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(ratio) * 100:.1f} % {word} from session {start + 1} on ({visible(sessions[start].label)})."


def _chart(sessions: Sequence[_Session], steps: Sequence[tuple[int, int, float]], expected: _Expected) -> str:
    values = [session.seconds for session in sessions]
    unit = unit_for("seconds", values)
    low, high = _reach(sessions)
    x, y = Scale(1, len(sessions), LEFT + 6, RIGHT - 6), Scale(low, high, BOTTOM, TOP)
    parts = [y_axis(y, low, high, unit)]
    if expected.sessions:
        ends = (min(max(end, low), high) for end in (expected.low, expected.high))
        bottom, top = (f"{y(end):.1f}" for end in ends)
        first, last = (f"{x(at):.1f}" for at in (len(sessions) - expected.sessions - 0.4, len(sessions) + 0.4))
        parts.append(f'<path class="band" fill-opacity=".25" d="M{first} {bottom}V{top}H{last}V{bottom}Z"/>')
    if len(sessions) <= _WHISKERS:
        parts.append(f'<path class="whisker" d="{"".join(_whiskers(sessions, x, y, low, high))}"/>')
    for place, (start, end, middle) in enumerate(steps):
        parts.append(f'<path class="mid" d="M{x(start + 0.6):.1f} {y(middle):.1f}H{x(end + 0.4):.1f}"/>')
        if place:
            worse = "slower" if middle > steps[place - 1][2] else "faster"
            parts.append(f'<path class="change v-{worse}" d="M{x(start + 0.5):.1f} {TOP}V{BOTTOM}"/>')
    dots = "".join(f"M{x(at):.1f} {y(value):.1f}h0" for at, value in enumerate(values, 1) if low <= value <= high)
    parts.append(f'<path class="dots" d="{dots}"/>')
    parts.append(x_text([(1, "1"), (len(sessions), f"session {len(sessions):,}")], x))
    labels = escape("|".join(visible(session.label).replace("|", "/") for session in sessions))
    said = f"{len(sessions)} sessions, from {quantity_text('seconds', min(values))} to "
    return chart(
        said + quantity_text("seconds", max(values)),
        "".join(parts),
        axes=readable(x, y, (unit_for("", []), unit), ("session", "")) + f' data-labels="{labels}"',
    )


def _reach(sessions: Sequence[_Session]) -> tuple[float, float]:
    """The axis: the medians of all but the wildest sessions, which would flatten every change; spreads are cut."""
    ordered = sorted(session.seconds for session in sessions)
    ends = quantile_of_sorted(ordered, 0.03), quantile_of_sorted(ordered, 0.97)
    room = max(ends[1] - ends[0], 0.05 * median(ordered))
    low, high = max(ordered[0], ends[0] - room), min(ordered[-1], ends[1] + room)
    middle = median(ordered)
    return padded(min(low, max(middle - room / 2, 0.0)), max(high, middle + room / 2))


def _whiskers(sessions: Sequence[_Session], x: Scale, y: Scale, low: float, high: float) -> Iterable[str]:
    """The spread of each session's rounds, cut at the edges: one wild round must not flatten the years."""
    for at, session in enumerate(sessions, 1):
        ends = (max(session.low, low), min(session.high, high))
        if ends[0] < ends[1]:
            yield f"M{x(at):.1f} {y(ends[0]):.1f}V{y(ends[1]):.1f}"
