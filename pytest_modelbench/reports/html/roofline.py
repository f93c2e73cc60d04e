"""How far from the device's limit: operations a byte against operations a second, under what a canary measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...cost import call_seconds
from ...groups import Row
from ...quantity import digits, percent, quantity_text, unit_for
from ...svg import BOTTOM, LEFT, RIGHT, TOP, Scale, chart, number, ticks, x_text
from .compare import linked, name, row_id

#: Charts in a page, and rows listed under one (chosen here).
MOST_CHARTS = 4
MOST_LISTED = 12


def roofline(rows: Sequence[Row]) -> dict[str, Any]:
    """Rooflines by device and arithmetic: FLOP/byte against FLOP/s under what a canary measured."""
    from markupsafe import Markup

    roofs: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        cost = row.record.cost
        if (
            row.measured
            and cost.flops
            and cost.bytes_moved
            and cost.peak_flops_per_second
            and cost.peak_bytes_per_second
        ):
            key = (
                row.record.axes.get("device", ""),
                cost.dtype,
                cost.peak_flops_per_second,
                cost.peak_bytes_per_second,
            )
            roofs.setdefault(key, []).append(row)
    return {
        "roofline": [
            {
                "title": f"{device or 'device'}, {dtype or 'arithmetic unknown'}",
                "svg": Markup(_roofline(under, flops, through)),
                "said": f"Measured here: {quantity_text('flops_per_second', flops)}, "
                f"{quantity_text('bytes_per_second', through)}.",
                "rows": [_utilisation(row) for row in under[:MOST_LISTED]],
            }
            for (device, dtype, flops, through), under in list(roofs.items())[:MOST_CHARTS]
        ]
    }


def _utilisation(row: Row) -> dict[str, str]:
    columns = row.columns
    return {
        "id": row_id(row),
        "name": name(row.record),
        "mfu": "" if columns["mfu"] is None else percent(columns["mfu"]),
        "mbu": "" if columns["mbu"] is None else percent(columns["mbu"]),
        "bound": columns["bound_by"] or "",
    }


def _intensity(row: Row) -> tuple[float, float]:
    """FLOP a byte, and FLOP/s, of one call."""
    cost, timing = row.record.cost, row.record.timing
    assert cost.flops
    assert cost.bytes_moved
    assert timing
    return cost.flops / cost.bytes_moved, cost.flops / call_seconds(timing)


def _roofline(rows: Sequence[Row], flops: float, through: float) -> str:
    cost = rows[0].record.cost
    places = [_intensity(row) for row in rows]
    ridge = flops / through
    low = 10 ** math.floor(math.log10(min(ridge, *(at for at, _ in places)) / 2))
    high = 10 ** math.ceil(math.log10(max(ridge, *(at for at, _ in places)) * 2))
    peak = max(flops, cost.datasheet_flops_per_second or 0)
    bottom = 10 ** math.floor(math.log10(min(low * through, *(up for _, up in places))))
    x, y = Scale(low, high, LEFT + 8, RIGHT, log=True), Scale(bottom, peak * 2, BOTTOM, TOP, log=True)
    unit = unit_for("flops_per_second", [peak])
    parts = [
        *(
            f'<path class="grid" d="M{LEFT + 8} {y(mark):.1f}H{RIGHT}"/>'
            f'<text class="t1" x="{LEFT + 4}" y="{y(mark) + 4:.0f}">{number(mark / unit.scale)}</text>'
            for mark in ticks(bottom, peak * 2, 4, log=True)
        ),
        f'<text x="{LEFT + 12}" y="{TOP + 4}">{unit.name}</text>',
        x_text([(mark, number(mark)) for mark in ticks(low, high, 4, log=True)], x, "FLOP/B"),
        _roof("mid", x, y, low, high, flops, through),
    ]
    if cost.datasheet_flops_per_second and cost.datasheet_bytes_per_second:
        parts.append(_roof("grid", x, y, low, high, cost.datasheet_flops_per_second, cost.datasheet_bytes_per_second))
    for row, (at, up) in zip(rows, places, strict=True):
        said = (
            f"{name(row.record)}: {digits(at)} FLOP/B, {quantity_text('flops_per_second', up)}, "
            f"{percent(up / min(flops, at * through))} of the roof over it"
        )
        parts.append(linked(row, said, f'<circle class="b" cx="{x(at):.1f}" cy="{y(up):.1f}" r="4"/>'))
    return chart(f"roofline, {len(rows)} rows", "".join(parts), group=True)


def _roof(kind: str, x: Scale, y: Scale, low: float, high: float, flops: float, through: float) -> str:
    """Bandwidth up to the ridge, arithmetic beyond."""
    ridge = min(max(flops / through, low), high)
    start = max(low, 10**y.low / through)
    places = (start, start * through), (ridge, min(flops, ridge * through))
    line = "L".join(f"{x(at):.1f} {y(up):.1f}" for at, up in places)
    return f'<path class="{kind}" d="M{line}H{x(high):.1f}"/>'
