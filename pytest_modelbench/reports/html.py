"""One HTML file that needs nothing else: no network, no script, and a policy that forbids both.

Names are data: everything that is not markup of ours is escaped by the template, and what the eye cannot see in a name
is shown as an escape.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..declare import report
from ..detail import charts, facts
from ..files import whole_file, written_to
from ..groups import REFERENCE, WORST_FIRST, Group, Row, outcomes, side_by_side
from ..provenance import commit, environments, session_facts
from ..quantity import unit_for, visible
from ..record import CAVEATS, Record
from ..results import Results
from ..svg import bar, bar_axis, bar_scale

#: What is drawn of large suites (chosen here, so that 1,000 benches stay under half a megabyte).
MOST_BARS = 200
MOST_DETAILS = 16
MOST_ROWS = 5_000
MOST_FAILURES = 200
#: More facts than these under one heading are folded.
FOLDED_BEYOND = 14
_TEMPLATES = Path(__file__).parent / "templates"
#: Columns of the table that are hidden where no row has them: text of the row -> place.
_OPTIONAL = {"spread": 4, "against": 5, "throughput": 6, "ttft": 7, "peak": 8, "score": 9}


@report("html")
def html(results: Results, place: Path) -> Path:
    """Write the page to `place`, whole or not at all. Raises StoreError where it cannot be written."""
    place = Path(place)
    page = _page(results.records).encode()
    with written_to(place, "the HTML report"):
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(place) as file:
            file.write(page)
    return place


def _page(records: Sequence[Record]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: visible(value) if type(value) is str else value,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(_context(records))


def _context(records: Sequence[Record]) -> dict[str, Any]:
    from markupsafe import Markup

    groups = side_by_side(records)
    rows = sorted((row for group in groups for row in group.rows), key=_interest)
    drawn = [row for row in rows if row.record.timing and row.record.timing.rounds_seconds][:MOST_DETAILS]
    opened = {row.record.record_id for row in drawn}
    order = {id(record): place for place, record in enumerate(records)}
    bad = [row for row in rows if row.record.outcome != "passed"]
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return {
        "style": Markup(style),
        "style_hash": "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        **_top(records, rows),
        "reference": REFERENCE,
        "hidden": " ".join(f"no{at}" for name, at in _OPTIONAL.items() if not any(row.texts[name] for row in rows)),
        "groups": _tables(groups, opened, {id(row) for row in rows[:MOST_BARS]}, {id(row) for row in rows[:MOST_ROWS]}),
        "left_out": _left_out(len(rows), MOST_ROWS, "rows are in the stored Records"),
        "failures": [_failure(row) for row in bad[:MOST_FAILURES]],
        "failures_left_out": _left_out(len(bad), MOST_FAILURES, "are in the table above and in the stored Records"),
        "details": [_detail(row) for row in sorted(drawn, key=lambda row: order[id(row.record)])],
        "details_left_out": _left_out(
            sum(1 for row in rows if row.columns["rounds"]), MOST_DETAILS, "benches are not drawn here; the worst are"
        ),
        "caveats": _caveats(rows),
        **_environment(records),
        "sections": [
            (id, name)
            for id, name, there in (
                ("results", "Results", rows), ("unmeasured", "Not passed", bad), ("details", "Distributions", drawn),
                ("caveats", "Caveats", True), ("environment", "Environment", True),
            )
            if there
        ],
    }  # fmt: skip


def _interest(row: Row) -> tuple[int, bool]:
    """Which rows are shown where not all can be: the worst outcome first, then those with caveats."""
    return WORST_FIRST.index(row.record.outcome), not row.kinds


def _left_out(total: int, most: int, what: str) -> str:
    return f"{total - most:,} more {what}." if total > most else ""


# -- the first screen


def _top(records: Sequence[Record], rows: Sequence[Row]) -> dict[str, Any]:
    counts = outcomes(records)
    skipped = counts.get("skipped", 0)
    bad = len(records) - counts.get("passed", 0) - skipped
    simulated = sum(record.simulated for record in records)
    wrong = f"{bad:,} of {len(records):,}" if bad else ""
    plural = "es" if len(records) != 1 else ""
    ran = len(records) - skipped
    if not records:
        headline = "No bench ran"
    elif bad:
        headline = f"{wrong} bench{plural} did not pass"
    elif not ran:
        headline = f"All {skipped:,} benches were skipped: nothing was measured"
    else:
        headline = f"{ran:,} bench{'es' if ran != 1 else ''} ran, all passed"
    if ran and skipped:
        headline += f", {skipped:,} skipped"
    return {
        "records": records,
        "total": f"{len(records):,}",
        "counts": [(outcome, f"{number:,}") for outcome, number in counts.items()],
        "headline": headline,
        "wrong": wrong,
        "next": "Nothing was compared over time: this page shows one session.",
        "commit": commit(records[0])[:7] if records else "",
        "simulated": f"SIMULATED: {simulated:,} of {len(records):,} benches ran no model" if simulated else "",
        "look": [_look(row) for row in rows if row.record.outcome not in ("passed", "skipped") or row.record.caveats][
            :3
        ],
        "session": session_facts(records),
    }


_SAID = {"failed": "failed", "error": "ended in an error", "oom": "ran out of memory", "invalid": "is invalid"}


def _look(row: Row) -> dict[str, str]:
    record = row.record
    if record.outcome != "passed":
        why = " ".join(record.reason.split())[:300] or "no reason was given"
        return {"name": _name(row), "what": _SAID[record.outcome], "why": why}
    what = f"passed with a caveat: {', '.join(row.caveats)}"
    return {"name": _name(row), "what": what, "why": CAVEATS[record.caveats[0].kind]}


# -- the table


def _tables(groups: Sequence[Group], opened: set[str], with_bar: set[int], shown: set[int]) -> list[dict[str, Any]]:
    from markupsafe import Markup

    tables = []
    for group in groups:
        rows = [row for row in group.rows if id(row) in shown]
        barred = [row for row in rows if row.measured and id(row) in with_bar]
        scale = (
            bar_scale(
                *zip(*((row.columns["median_seconds"], row.columns["p95_seconds"]) for row in barred), strict=True)
            )
            if barred
            else None
        )
        unit = unit_for("seconds", [row.columns["median_seconds"] for row in barred])
        said = [group.subtitle, f"score: {group.score}" if group.score else "", group.unreferenced]
        said += ["dots on a logarithmic axis"] if scale and scale.log else []
        if rows:
            tables.append(
                {
                    "title": group.title,
                    "said": " · ".join(part for part in said if part),
                    "axis": Markup(bar_axis(scale, unit)) if scale else "",
                    "rows": [_row(row, scale if row in barred else None, opened) for row in rows],
                }
            )
    return tables


def _row(row: Row, scale: Any, opened: set[str]) -> dict[str, Any]:
    from markupsafe import Markup

    record, columns = row.record, row.columns
    reference = row.texts["against"] == "reference"
    known = dict(row.texts)
    known["against"] = known["against"].replace("x ", "\N{MULTIPLICATION SIGN} ", 1)
    if not row.measured:
        known = dict.fromkeys(known, "") | {"median": record.outcome if record.outcome != "passed" else "not timed"}
    plot = (
        bar(columns["median_seconds"], columns["p5_seconds"], columns["p95_seconds"], scale, reference) if scale else ""
    )
    return {
        **known,
        "class": Markup(' class="off"' if not row.measured else ' class="ref"' if reference else ""),
        "id": record.record_id if record.record_id in opened else "",
        "label": row.label,
        "measured": row.measured,
        "plot": Markup(plot),
        "note": "; ".join([*row.caveats, *([" ".join(record.reason.split())[:300]] if record.reason else [])]),
    }


# -- below the table


def _name(row: Row) -> str:
    record = row.record
    function = record.bench.rpartition("::")[2]
    return f"{function}[{', '.join(record.axes.values())}]" if record.axes else function


def _command(record: Record) -> str:
    return "pytest " + shlex.quote(record.nodeid)


def _failure(row: Row) -> dict[str, str]:
    reason = row.record.reason or "no reason was given"
    return {"outcome": row.record.outcome, "name": _name(row), "reason": reason[:2000], "command": _command(row.record)}


def _detail(row: Row) -> dict[str, Any]:
    from markupsafe import Markup

    record = row.record
    said = [
        row.texts["median"],
        row.texts["throughput"],
        "" if record.outcome == "passed" else record.outcome,
        *row.kinds,
    ]
    caveats = [
        f"{said}: {CAVEATS[caveat.kind]}"
        for said, caveat in zip(row.caveats[record.simulated :], record.caveats, strict=True)
    ]
    return {
        "id": record.record_id,
        "name": _name(row),
        "said": " · ".join(part for part in said if part),
        "charts": [{"title": chart.title, "svg": Markup(chart.svg), "said": chart.said} for chart in charts(record)],
        "tables": facts(row),
        "notes": [
            *caveats,
            *record.notes,
            *([] if record.samples else ["No sampler ran: there is no device timeline."]),
        ],
        "command": _command(record),
    }


def _caveats(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A row a kind, what most benches have first: meaning with remedy, and which benches."""
    found = []
    for kind, number in Counter(kind for row in rows for kind in {c.kind for c in row.record.caveats}).most_common():
        names = [_name(row) for row in rows if kind in row.kinds]
        more = f" and {number - 5:,} more" if number > 5 else ""
        found.append({"kind": kind, "meaning": CAVEATS[kind], "benches": ", ".join(names[:5]) + more})
    return found


def _environment(records: Sequence[Record]) -> dict[str, Any]:
    parts, number, differing = environments(records)
    plural = "" if number == 1 else "s"
    differ = f", which differ in {differing} fact{'s' if differing != 1 else ''}." if differing else "."
    return {
        "environment": [
            {"title": title, "rows": rows, "folded": len(rows) > FOLDED_BEYOND} for title, rows in parts.items()
        ],
        "environment_said": f"What the numbers depend on. {number} environment{plural} in this session{differ}",
    }
