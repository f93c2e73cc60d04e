"""What is paid for speed: a score against time, memory or energy, with the rows that no other row beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ...groups import Group, score_text
from ...pareto import COSTS, Front, Point, fronts
from ...quantity import quantity_text, unit_for, visible
from ...record import Score
from ...svg import BOTTOM, LEFT, RIGHT, TOP, Scale, chart, number, padded, ticks, x_text
from .compare import linked, name

#: Charts in a page, and groups that are looked at for them (chosen here: 2,500 groups would take half a second).
MOST_CHARTS = 8
MOST_GROUPS = 200
_QUANTITIES = {"median_seconds": "seconds", "peak_memory_bytes": "bytes", "joules_per_token": "joules"}
#: Beyond this ratio of the dearest to the cheapest an axis is logarithmic (chosen here).
_LOG_BEYOND = 10.0


def pareto(groups: Sequence[Group]) -> dict[str, Any]:
    """Fronts of each group: what no other row beats in both, and what is beaten."""
    from markupsafe import Markup

    found = [(group, front) for group in groups[:MOST_GROUPS] for front in fronts(group)]
    # what has a choice to make comes first; then time of every group before memory of any
    found.sort(key=lambda one: (len(one[1].best) < 2, list(COSTS).index(one[1].cost)))
    drawn = [
        {
            "title": f"{', '.join(filter(None, (group.title, group.subtitle)))}: {front.score}, {COSTS[front.cost]}",
            "svg": Markup(_front(front)),
            "said": _beaten(front),
        }
        for group, front in found[:MOST_CHARTS]
    ]
    left = len(found) - len(drawn)
    unseen = f" of the first {MOST_GROUPS} groups" if len(groups) > MOST_GROUPS else ""
    return {"pareto": drawn, "pareto_left_out": f"{left:,} more fronts{unseen} are not drawn." if left else ""}


def _beaten(front: Front) -> str:
    words = [
        f"{point.row.label} is beaten by {point.dominated_by.label}" for point in front.dominated if point.dominated_by
    ]
    return "; ".join(words[:4]) + "." if words else "Nothing is beaten in both."


def _front(front: Front) -> str:
    quantity = _QUANTITIES[front.cost]
    costs, scores = [point.cost for point in front.points], [point.score.value for point in front.points]
    unit = unit_for(quantity, costs)
    log = min(costs) > 0 and max(costs) > _LOG_BEYOND * min(costs)
    low, high = (min(costs) / 1.3, max(costs) * 1.3) if log else padded(min(costs), max(costs))
    bottom, top = _score_span(front.points[0].score, scores)
    x, y = Scale(low, high, LEFT + 6, RIGHT - 6, log), Scale(bottom, top, BOTTOM, TOP + 12)
    marks = ticks(low, high, 4, log)
    higher = front.points[0].score.direction == "higher"
    corner = "better: up and left" if higher else "better: down and left"
    parts = [
        *(
            f'<path class="grid" d="M{LEFT} {y(mark):.1f}H{RIGHT}"/>'
            f'<text class="t1" x="{LEFT - 5}" y="{y(mark) + 4:.0f}">{number(mark)}</text>'
            for mark in ticks(bottom, top, 4)
        ),
        x_text([(mark, number(mark / unit.scale)) for mark in marks], x, unit.name),
        f'<text class="t1" x="{RIGHT}" y="10">{corner}</text>',
        f'<path class="line" d="{_steps(front.best, x, y)}"/>',
        *(_point(point, x, y, quantity) for point in front.points),
    ]
    return chart(f"{front.score} against {COSTS[front.cost]}, {len(front.points)} rows", "".join(parts), group=True)


def _score_span(score: Score, values: Sequence[float]) -> tuple[float, float]:
    """A share never leaves 0 to 1; where all are the same there is still an axis."""
    low, high = padded(min(values), max(values))
    return (max(low, 0.0), min(max(high, low + 1e-3), 1.005)) if score.unit in ("ratio", "share") else (low, high)


def _steps(best: Sequence[Point], x: Scale, y: Scale) -> str:
    """The front as steps: between two rows nothing was run."""
    if not best:
        return ""
    path = f"M{x(best[0].cost):.1f} {y(best[0].score.value):.1f}"
    return path + "".join(f"H{x(point.cost):.1f}V{y(point.score.value):.1f}" for point in best[1:])


def _point(point: Point, x: Scale, y: Scale, quantity: str) -> str:
    at, up = x(point.cost), y(point.score.value)
    said = f"{name(point.row.record)}: {quantity_text(quantity, point.cost)}, {score_text(point.score)}"
    best = point.dominated_by is None
    label = ""
    if best:
        anchor = "t1" if at > (LEFT + RIGHT) / 2 else "t0"
        shift = -7 if anchor == "t1" else 7
        label = (
            f'<text class="{anchor}" x="{at + shift:.1f}" y="{up - 6:.1f}">{escape(visible(point.row.label))}</text>'
        )
    return linked(
        point.row, said, f'<circle class="{"b" if best else "r"}" cx="{at:.1f}" cy="{up:.1f}" r="4.5"/>{label}'
    )
