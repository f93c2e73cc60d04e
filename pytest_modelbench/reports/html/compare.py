"""Variants side by side, as tables that need no script; and what did not pass."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from typing import Any

from ...groups import REFERENCE, Group, Row
from ...quantity import unit_for, visible
from ...record import Record
from ...svg import Scale, bar, bar_axis, bar_scale

#: Columns that are there where a row has them: text of the row, head, class, the word beside it on a telephone.
_OPTIONAL = (
    ("spread", "Spread", "spread_ratio", "spread"), ("against", f"Against {REFERENCE}", "against", ""),
    ("throughput", "Throughput", "rate", ""), ("ttft", "ttft", "", "ttft"), ("peak", "Peak memory", "", "peak"),
    ("score", "Score", "", "score"),
)  # fmt: skip


def row_id(row: Row) -> str:
    """What a link says of a row: the same in every session, so that a link to it outlives the page."""
    return sha256(row.columns["key"].encode("utf-8", "surrogatepass")).hexdigest()[:10]


def name(record: Record) -> str:
    """A bench as a reader calls it: its function, and the values of its axes."""
    function = record.bench.rpartition("::")[2]
    return f"{function}[{', '.join(record.axes.values())}]" if record.axes else function


def command(record: Record) -> str:
    """What repeats it, or, of what another tool measured, shows it."""
    return f"modelbench show {record.record_id}" if record.imported else "pytest " + shlex.quote(record.nodeid)


def typeset(text: str) -> str:
    """What the words of the terminal, which are ASCII, look like on a page: a minus, a times, an arrow, `to`."""
    text = re.sub(r"(?<![\w-])-(?=\d)", "\N{MINUS SIGN}", text).replace(" -> ", " \N{RIGHTWARDS ARROW} ")
    return re.sub(r"(?<=\d)x(?=[ ,;)]|$)", "\N{MULTIPLICATION SIGN}", re.sub(r"(?<=\d)\.\.(?=\W?\d)", " to ", text))


def linked(row: Row, said: str, inner: str) -> str:
    """A mark of a picture that leads to its row and says what it is."""
    words = escape(visible(said))
    return f'<a href="#results" data-row="{row_id(row)}" aria-label="{words}"><title>{words}</title>{inner}</a>'


def left_out(total: int, most: int, what: str) -> str:
    """How many more there are than are shown; empty where none."""
    return f"{total - most:,} more {what}." if total > most else ""


def failures(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Why a bench did not pass, and how to repeat it."""
    return [
        {
            "outcome": row.record.outcome,
            "name": name(row.record),
            "reason": (row.record.reason or "no reason was given")[:2000],
            "command": command(row.record),
        }
        for row in rows
    ]


def compared(groups: Sequence[Group], opened: set[str], shown: Sequence[Row]) -> dict[str, Any]:
    """The tables, a group a bench; `opened` rows link to what is drawn of them further below."""
    there = {id(row) for row in shown}
    cut = [(group, [row for row in group.rows if id(row) in there]) for group in groups]
    columns = [column for column in _OPTIONAL if any(row.texts[column[0]] for row in shown)]
    return {"columns": columns, "groups": [_table(group, rows, opened) for group, rows in cut if rows]}


def noted(row: Row, all_simulated: bool) -> str:
    """Its caveats, in one word each; what the page says of all benches is not said again of each."""
    return ", ".join(kind for kind in row.kinds if not (all_simulated and kind == "simulated"))


def said_of(group: Group) -> list[str]:
    """What a group says beside its name."""
    said = [group.subtitle, f"score: {group.score}" if group.score else "", group.unreferenced]
    return [part for part in said if part]


def _table(group: Group, rows: Sequence[Row], opened: set[str]) -> dict[str, Any]:
    from markupsafe import Markup

    timed = [row.columns for row in rows if row.measured]
    scale = bar_scale([of["median_seconds"] for of in timed], [of["p95_seconds"] for of in timed]) if timed else None
    unit = unit_for("seconds", [of["median_seconds"] for of in timed])
    said = [*said_of(group), *(["dots on a logarithmic axis"] if scale and scale.log else [])]
    return {
        "title": group.title,
        "said": " · ".join(said),
        "axis": Markup(bar_axis(scale, unit)) if scale else "",
        "rows": [_row(row, scale, opened) for row in rows],
    }


def _row(row: Row, scale: Scale | None, opened: set[str]) -> dict[str, Any]:
    from markupsafe import Markup

    record, columns = row.record, row.columns
    reference = row.texts["against"] == "reference"
    known = dict(row.texts)
    known["against"] = typeset(known["against"])
    plot = ""
    if not row.measured:
        known = dict.fromkeys(known, "") | {"median": record.outcome if record.outcome != "passed" else "not timed"}
    elif scale:
        plot = bar(columns["median_seconds"], columns["p5_seconds"], columns["p95_seconds"], scale, reference)
    place = row_id(row)
    return {
        **known,
        "class": Markup(' class="off"' if not row.measured else ' class="ref"' if reference else ""),
        "id": place if place in opened else "",
        "label": row.label,
        "measured": row.measured,
        "plot": Markup(plot),
        "note": "; ".join([*row.caveats, *([" ".join(record.reason.split())[:300]] if record.reason else [])]),
    }
