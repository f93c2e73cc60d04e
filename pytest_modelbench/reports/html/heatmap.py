"""How it scales over two axes: a table of times a bench and variant, and of ratios to the reference.

The colour repeats the number that stands in each cell: one hue for times, orange and blue around 1 for ratios.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ...groups import REFERENCE, Row
from ...quantity import digits, text, unit_for
from .compare import row_id

#: Tables in a page, and cells along a side (chosen here: a page is 1,200 pixels wide).
MOST_TABLES = 8
MOST_ALONG = 16
#: Axes that say what is run, not how large it is.
_WHAT = {"model", "variant", "device", "dataset"}
#: Steps of the colours; a ratio of four is the strongest.
_STEPS = 8
_STRONGEST = math.log(4)


def heatmaps(rows: Sequence[Row]) -> dict[str, Any]:
    """Tables of the benches that are parametrized over two axes of at least two values each."""
    found = []
    for key, of_bench in _benches(rows).items():
        axes = _two_axes(of_bench)
        if axes:
            found += list(_tables(key, of_bench, *axes))
    left = len(found) - MOST_TABLES
    return {
        "heatmaps": found[:MOST_TABLES],
        "heatmaps_left_out": f"{left:,} more tables are not shown." if left > 0 else "",
    }


def _benches(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        axes = row.record.axes
        what = [axes[axis] for axis in axes if axis in _WHAT and axis != "variant"]
        found.setdefault((row.record.bench, *what), []).append(row)
    return found


def _two_axes(rows: Sequence[Row]) -> tuple[str, str] | None:
    """The two axes that vary; None where there are not exactly two, or one is too long."""
    names = dict.fromkeys(axis for row in rows for axis in row.record.axes if axis not in _WHAT)
    varying = [axis for axis in names if len(_values(rows, axis)) > 1]
    if len(varying) != 2 or any(len(_values(rows, axis)) > MOST_ALONG for axis in varying):
        return None
    return varying[0], varying[1]


def _values(rows: Sequence[Row], axis: str) -> list[str]:
    """Its values, numbers in the order of numbers."""
    found = list(dict.fromkeys(row.record.axes[axis] for row in rows if axis in row.record.axes))
    try:
        return sorted(found, key=float)
    except ValueError:
        return found


def _tables(key: tuple[str, ...], rows: Sequence[Row], down: str, across: str) -> Iterable[dict[str, Any]]:
    variants = list(dict.fromkeys(row.record.axes.get("variant", "") for row in rows))
    variants.sort(key=lambda variant: variant != REFERENCE)
    reference = {_at(row, down, across): row for row in rows if row.record.axes.get("variant") == REFERENCE}
    title = key[0].rpartition("::")[2].removeprefix("bench_")
    heads = {"down": down, "across": across, "columns": _values(rows, across)}
    for variant in variants:
        cells = {_at(row, down, across): row for row in rows if row.record.axes.get("variant", "") == variant}
        ratio = bool(reference) and variant != REFERENCE
        said = " · ".join(part for part in (variant, *key[1:], f"time against {REFERENCE}" if ratio else "") if part)
        drawn = [
            [_cell(cells.get((one, other)), cells, reference.get((one, other)) if ratio else None, ratio)
             for other in heads["columns"]]
            for one in _values(rows, down)
        ]  # fmt: skip
        yield {"title": title, "said": said, **heads, "rows": list(zip(_values(rows, down), drawn, strict=True))}


def _at(row: Row, down: str, across: str) -> tuple[str, str]:
    return row.record.axes.get(down, ""), row.record.axes.get(across, "")


def _cell(row: Row | None, cells: dict[tuple[str, str], Row], base: Row | None, ratio: bool) -> dict[str, str]:
    if row is None:
        return {"kind": "", "text": "", "id": ""}
    if not row.measured:
        return {"kind": "hatched", "text": row.record.outcome, "id": row_id(row)}
    if ratio:
        kind, said = _against(row, base)
        return {"kind": kind, "text": said, "id": row_id(row)}
    times = [other.columns["median_seconds"] for other in cells.values() if other.measured]
    low, high, mine = min(times), max(times), row.columns["median_seconds"]
    part = math.log(mine / low) / math.log(high / low) if 0 < low < high else 0.0
    return {
        "kind": f"h n{round(part * _STEPS)}",
        "text": text(mine, unit_for("seconds", times)),
        "id": row_id(row),
    }


def _against(row: Row, base: Row | None) -> tuple[str, str]:
    if base is None or not base.measured or not row.columns["median_seconds"]:
        return "", "no ratio"
    ratio = base.columns["median_seconds"] / row.columns["median_seconds"]
    strength = round(min(abs(math.log(ratio)) / _STRONGEST, 1) * _STEPS)
    shown = digits(max(ratio, 1 / ratio))
    word = "as fast" if shown == "1.00" else "faster" if ratio > 1 else "slower"
    return f"{'f' if ratio > 1 else 'sl'} n{strength}", f"{shown}\N{MULTIPLICATION SIGN} {word}"
