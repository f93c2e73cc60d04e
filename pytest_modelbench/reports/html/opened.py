"""Benches opened: charts, facts, caveats and the command of each, for as many of the worst as a page has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...detail import charts, facts
from ...groups import Row
from ...record import CAVEATS
from .compare import command, name, row_id

#: Characters of charts in a page, and how many benches are drawn whatever they take (chosen here: with 1,000 rows
#: beside them a page stays under half a megabyte).
MOST_CHARACTERS = 150_000
LEAST_DRAWN = 4


def opened(rows: Sequence[Row], order: Mapping[int, int]) -> list[dict[str, Any]]:
    """What is drawn of the first of `rows` that were timed, in the `order` their benches ran (by identity)."""
    drawn: list[tuple[int, dict[str, Any]]] = []
    room = MOST_CHARACTERS
    for row in rows:
        if not (row.record.timing and row.record.timing.rounds_seconds):
            continue
        if room < 0 and len(drawn) >= LEAST_DRAWN:
            break
        item = _detail(row)
        room -= sum(len(chart["svg"]) for chart in item["charts"]) + 2_000  # its facts take about so much
        drawn.append((order[id(row.record)], item))
    return [item for _, item in sorted(drawn, key=lambda pair: pair[0])]


def _detail(row: Row) -> dict[str, Any]:
    from markupsafe import Markup

    record = row.record
    outcome = "" if record.outcome == "passed" else record.outcome
    said = [row.texts["median"], row.texts["throughput"], outcome, *row.kinds]
    meanings = [
        f"{words}: {CAVEATS[caveat.kind]}"
        for words, caveat in zip(row.caveats[len(row.origin) :], record.caveats, strict=True)
    ]
    return {
        "id": row_id(row),
        "name": name(record),
        "said": " · ".join(part for part in said if part),
        "charts": [{"title": chart.title, "svg": Markup(chart.svg), "said": chart.said} for chart in charts(record)],
        "tables": facts(row),
        "notes": [
            *meanings,
            *record.notes,
            *([] if record.samples else ["No sampler ran: there is no device timeline."]),
        ],
        "command": command(record),
        "imported": bool(record.imported),
    }


def caveats(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A row a kind, what most benches have first: meaning with remedy, and which benches."""
    found = []
    for kind, number in Counter(kind for row in rows for kind in {c.kind for c in row.record.caveats}).most_common():
        names = [name(row.record) for row in rows if kind in row.kinds]
        more = f" and {number - 5:,} more" if number > 5 else ""
        found.append({"kind": kind, "meaning": CAVEATS[kind], "benches": ", ".join(names[:5]) + more})
    return found
