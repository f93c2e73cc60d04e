"""Charts as SVG text: numbers in, attributes out. No style attribute and no script, so that a strict policy holds.

Coordinates are of a box 360 wide, so that its letters are readable where a telephone shows it as it is. Text that
comes from outside is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from .quantity import Unit, digits, percent, text, unit_for, visible
from .stats import median, quantile

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 52, 352, 10, 128
#: Marks drawn in one chart; more become the least and the most of each stretch, so that no outlier is lost.
MOST_MARKS = 200
#: Beyond this ratio of the slowest to the fastest, bars from zero hide the fast ones: dots on a log axis (chosen here).
LOG_BEYOND = 20.0
_PANEL = 46
_PERCENT = Unit("%", 0.01)


class Scale:
    """From values to a span of coordinates, straight or by logarithm."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False) -> None:
        self.log = log
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        at = (math.log10(value) if self.log else value) - self.low
        return self.start + (self.end - self.start) * at / ((self.high - self.low) or 1)


def ticks(low: float, high: float, most: int = 4, log: bool = False) -> list[float]:
    """Round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    if log:
        exponents = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        return [10.0**exponent for exponent in exponents] or [low]
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * by for by in (1, 2, 5, 10, 20) if (high - low) / (power * by) <= most)
    first = math.ceil(low / step - 1e-9)
    return [step * index for index in range(first, math.floor(high / step + 1e-9) + 1)]


# -- cells of the table


def bar(seconds: float, low: float, high: float, scale: Scale, reference: bool) -> str:
    """A bar from zero with the line of its spread; a dot where the axis is logarithmic."""
    kind = "r" if reference else "b"
    mark = (
        f'<circle class="{kind}" cx="{share(scale(seconds))}" cy="9" r="4"/>'
        if scale.log
        else f'<rect class="{kind}" y="3" height="12" width="{share(scale(seconds))}"/>'
    )
    return (
        f'<svg class="plot" height="18" aria-hidden="true">{mark}'
        f'<line class="s" x1="{share(scale(low))}" x2="{share(min(scale(high), 1.0))}" y1="9" y2="9"/></svg>'
    )


def bar_scale(medians: Sequence[float], highs: Sequence[float]) -> Scale:
    """The axis that the bars of one group share: from zero, or by logarithm where they differ by more than 20 times."""
    low, high = min(medians), max(medians)
    if low > 0 and high / low > LOG_BEYOND:
        return Scale(low / 1.5, high * 1.5, 0, 1, log=True)
    # one wild round must not flatten every bar: the line of a spread ends at the edge
    return Scale(0, min(max(*highs, high), 1.5 * high) * 1.04 or 1, 0, 1)


def bar_axis(scale: Scale, unit: Unit) -> str:
    """The axis over a group's bars; its last number wears the unit."""
    low, high = (10**scale.low, 10**scale.high) if scale.log else (scale.low, scale.high)
    marks = ticks(low, high, 4, scale.log)
    marks = marks[:: max(1, math.ceil(len(marks) / 5))]
    shown = []
    for mark in marks:
        at = scale(mark)
        anchor = "t0" if at < 0.04 else "t1" if at > 0.9 else "tm"
        said = f"{number(mark / unit.scale)}{' ' + unit.name if mark == marks[-1] else ''}"
        shown.append(f'<text class="{anchor}" x="{share(at)}" y="11">{said}</text>')
    return f'<svg class="plot axis" height="15" aria-hidden="true">{"".join(shown)}</svg>'


# -- charts of one Record


def rounds(seconds: Sequence[float]) -> str:
    """Rounds in the order they ran, with their median."""
    unit = unit_for("seconds", seconds)
    low, high = padded(min(seconds), max(seconds))
    x, y = Scale(1, max(len(seconds), 2), LEFT + 4, RIGHT - 4), Scale(low, high, BOTTOM, TOP)
    size = math.ceil(len(seconds) / MOST_MARKS)
    if size == 1:
        marks = "".join(f"M{x(i):.0f} {y(value):.1f}h0" for i, value in enumerate(seconds, 1))
    else:
        stretches = [(start, seconds[start : start + size]) for start in range(0, len(seconds), size)]
        marks = "".join(f"M{x(i + size / 2):.0f} {y(min(s)):.1f}V{y(max(s)):.1f}" for i, s in stretches)
    middle = y(median(seconds))
    return chart(
        f"{len(seconds)} rounds in the order they ran, from {text(min(seconds), unit)} to {text(max(seconds), unit)}",
        y_axis(y, low, high, unit)
        + f'<path class="mid" d="M{LEFT} {middle:.1f}H{RIGHT}"/><path class="dots" d="{marks}"/>'
        + x_text([(1, "1"), (len(seconds), f"round {len(seconds):,}")], x),
        axes=readable(x, y, (Unit("", 1), unit), ("round", "")),
    )


def ecdf(values: Sequence[float]) -> str:
    """The share of values at or under each time; by logarithm where p99 is more than ten times p1."""
    unit, ordered = unit_for("seconds", values), sorted(values)
    log = ordered[0] > 0 and quantile(ordered, 0.99) > 10 * quantile(ordered, 0.01)
    low, high = (ordered[0], ordered[-1]) if log else padded(ordered[0], ordered[-1])
    x, y = Scale(low, high, LEFT + 4, RIGHT - 4, log), Scale(0, 1, BOTTOM, TOP)
    n, size = len(ordered), math.ceil(len(ordered) / MOST_MARKS)
    kept = [*range(0, n, size), n - 1]
    steps = "".join(f"H{x(ordered[i]):.1f}V{y((i + 1) / n):.1f}" for i in kept)
    marks = ticks(low, high, 4, log)
    return chart(
        f"share of {n} values at or under a time, from {text(ordered[0], unit)} to {text(ordered[-1], unit)}",
        "".join(f'<path class="grid" d="M{LEFT} {y(share):.0f}H{RIGHT}"/>' for share in (0, 0.5, 1))
        + "".join(
            f'<text class="t1" x="{LEFT - 5}" y="{y(share) + 4:.0f}">{percent(share).replace(".0", "")}</text>'
            for share in (0, 0.5, 1)
        )
        + f'<path class="line" d="M{x(low):.1f} {BOTTOM}{steps}"/>'
        + x_text([(mark, number(mark / unit.scale)) for mark in marks], x, unit.name),
        axes=readable(x, y, (unit, _PERCENT), ("", "at or under")),
    )


def panel(name: str, unit_name: str, at_ns: Sequence[int], values: Sequence[float], span: tuple[int, int]) -> str:
    """One quantity of the device over the time of the rounds; nothing is drawn where nothing was sampled."""
    unit = unit_for(unit_name, values)
    low, high = min(0.0, *values), max(*values, 0.0) or 1.0
    x, y = Scale(*span, LEFT, RIGHT), Scale(low, high * 1.05, _PANEL - 4, 16)
    stretches = [_thinned(stretch) for stretch in _unbroken(at_ns, values)]
    lines = "".join(
        "M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in stretch) + ("h0" if len(stretch) == 1 else "")
        for stretch in stretches
    )
    shown = f"{text(min(values), unit)} to {text(max(values), unit)}"
    if unit_name == "ratio":
        shown = f"{percent(min(values))} to {percent(max(values))}"
    said = escape(visible(name))
    return chart(
        f"{visible(name)}: {shown}",
        f'<text x="{LEFT}" y="11">{said}</text><text class="t1" x="{RIGHT}" y="11">{escape(shown)}</text>'
        f'<text class="t1" x="{LEFT - 5}" y="{_PANEL - 2}">{number(low)}</text>'
        f'<path class="grid" d="M{LEFT} {_PANEL - 4}H{RIGHT}"/>' + _view(f'<path class="line" d="{lines}"/>', _PANEL),
        _PANEL,
        readable(
            Scale(0, (span[1] - span[0]) / 1e9, LEFT, RIGHT), y,
            (unit_for("seconds", [(span[1] - span[0]) / 1e9]), _PERCENT if unit_name == "ratio" else unit),
            ("", visible(name)),
        ),
    )  # fmt: skip


def time_axis(
    span: tuple[int, int],
    started_ns: Sequence[int],
    seconds: Sequence[float],
    loops: int,
    marked: Sequence[tuple[int, int]] = (),
    hatched: Sequence[tuple[int, int]] = (),
) -> str:
    """The time axis under the panels, and the rounds as bands on it; `marked` parts of them are darker."""
    x = Scale(*span, LEFT, RIGHT)
    ends = [start + int(value * loops * 1e9) for start, value in zip(started_ns, seconds, strict=False)]
    bands: list[list[float]] = []
    for start, end in zip(map(x, started_ns), map(x, ends), strict=False):
        if bands and start - bands[-1][1] < 1:  # closer than a unit of the drawing: one band
            bands[-1][1] = end
        else:
            bands.append([start, end])
    drawn = "".join(f"M{start:.1f} 2H{max(end, start + 0.5):.1f}V8H{start:.1f}Z" for start, end in bands)
    # narrower than half a unit they could not be told from each other
    parts = [(x(start), x(end)) for start, end in marked if x(end) - x(start) >= 0.5]
    darker = "".join(f"M{start:.1f} 2H{end:.1f}V8H{start:.1f}Z" for start, end in parts)
    hatch = "".join(f"M{x(start):.1f} 10.5H{x(end):.1f}" for start, end in hatched)
    whole = (span[1] - span[0]) / 1e9
    unit = unit_for("seconds", [whole])
    marks = [(span[0] + int(mark * 1e9), number(mark / unit.scale)) for mark in ticks(0, whole, 4)]
    return chart(
        f"the rounds over {text(whole, unit)}",
        _view(
            f'<path class="band" d="{drawn}"/>'
            + (f'<path class="part" d="{darker}"/>' if darker else "")
            + (f'<path class="slowed" d="{hatch}"/>' if hatch else ""),
            26,
        )
        + f'<text class="t1" x="{LEFT - 5}" y="9">rounds</text>'
        + f'<g class="times">{x_text(marks, x, unit.name, y=22)}</g>',
        26,
    )


def _view(inner: str, height: int) -> str:
    """What is drawn over time, apart from words, so that the page's script can look at a part of it."""
    place = f'x="{LEFT}" width="{RIGHT - LEFT}" height="{height}"'
    view = f'viewBox="{LEFT} 0 {RIGHT - LEFT} {height}" preserveAspectRatio="none"'
    return f'<svg class="view" {place} {view}>{inner}</svg>'


def _unbroken(at_ns: Sequence[int], values: Sequence[float]) -> list[list[tuple[int, float]]]:
    """Samples in stretches without a gap: a pause of more than three usual steps is one."""
    points = list(zip(at_ns, values, strict=True))
    steps = [after - before for before, after in pairwise(at_ns)]
    usual = median(steps) if steps else 0
    stretches = [points[:1]]
    for step, point in zip(steps, points[1:], strict=True):
        if step > 3 * usual:
            stretches.append([])
        stretches[-1].append(point)
    return stretches


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most some MOST_MARKS points: of each stretch the least and the most, in their order."""
    size = math.ceil(len(points) / (MOST_MARKS // 2))
    if size <= 2:
        return points
    kept = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept


def chart(title: str, inner: str, height: int = HEIGHT, axes: str = "", group: bool = False) -> str:
    """A picture of its own, or a `group` of links; `axes` says to the page's script how to read places as values."""
    size, role = f'viewBox="0 0 {WIDTH} {height}"', "group" if group else "img"
    return f'<svg class="chart" {size} role="{role}" aria-label="{escape(title)}"{axes}>{inner}</svg>'


def readable(x: Scale, y: Scale, units: Sequence[Unit], names: Sequence[str]) -> str:
    """The scales of a chart as attributes, so that what is under the pointer can be read off it."""
    said = [
        f"{scale.low:.9g} {scale.high:.9g} {scale.start:g} {scale.end:g} {int(scale.log)} {unit.scale:g} {unit.name}"
        for scale, unit in zip((x, y), units, strict=True)
    ]
    return f' data-x="{escape(said[0])}" data-y="{escape(said[1])}" data-names="{escape("|".join(names))}"'


def y_axis(y: Scale, low: float, high: float, unit: Unit) -> str:
    """Lines and numbers at round values, and the unit under them."""
    marks = ticks(low, high, 5)
    return "".join(
        f'<path class="grid" d="M{LEFT} {y(mark):.1f}H{RIGHT}"/>'
        f'<text class="t1" x="{LEFT - 5}" y="{y(mark) + 4:.0f}">{number(mark / unit.scale)}</text>'
        for mark in marks
    ) + (f'<text class="t1" x="{LEFT - 5}" y="{BOTTOM + 16}">{unit.name}</text>')


def x_text(marks: Sequence[tuple[float, str]], x: Scale, unit: str = "", y: int = BOTTOM + 16) -> str:
    """Words at places of the axis below; the last wears the unit."""
    shown = []
    for place, (mark, said) in enumerate(marks):
        last = place == len(marks) - 1
        said = f"{said} {unit}".rstrip() if last else said
        anchor = ' class="t1"' if x(mark) > RIGHT - 30 else ' class="t0"' if x(mark) < LEFT + 12 else ' class="tm"'
        shown.append(f'<text{anchor} x="{x(mark):.0f}" y="{y}">{said}</text>')
    return "".join(shown)


def padded(low: float, high: float) -> tuple[float, float]:
    """A span that points do not touch the edges of; never under zero for what is never under zero."""
    margin = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return max(low - margin, 0.0) if low >= 0 else low - margin, high + margin


def share(value: float) -> str:
    """A part of a width, as an attribute has it."""
    return f"{max(value, 0) * 100:.1f}%"


def number(value: float) -> str:
    """A tick: as few digits as tell it from its neighbours."""
    return digits(value) if abs(value) >= 1000 or 0 < abs(value) < 1e-3 else f"{value:.6g}"


def floor(values: Sequence[float]) -> float:
    """Where the axis of `rounds` starts."""
    return padded(min(values), max(values))[0]
