"""The first screen: must I act, and on what?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...groups import Row, outcomes
from ...provenance import commit, session_facts
from ...record import CAVEATS, Record
from ...results import Results
from .compare import name, row_id

#: Entries of "What to look at".
MOST_LOOKS = 3
_SAID = {"failed": "failed", "error": "ended in an error", "oom": "ran out of memory", "invalid": "is invalid"}


def first_screen(results: Results, rows: Sequence[Row]) -> dict[str, Any]:
    """Headline, what to do, counts, what to look at, and the session; `rows` are the worst first."""
    records = results.records
    counts = outcomes(records)
    simulated = sum(record.simulated for record in records)
    headline, wrong = _headline(records)
    looks = [row for row in rows if row.record.outcome not in ("passed", "skipped") or row.record.caveats]
    return {
        "records": records,
        "total": f"{len(records):,}",
        "counts": [(outcome, f"{number:,}") for outcome, number in counts.items()],
        "headline": headline,
        "wrong": wrong,
        "next": "Nothing was compared over time: this page shows one session.",
        "commit": commit(records[0])[:7] if records else "",
        "simulated": f"SIMULATED: {simulated:,} of {len(records):,} benches ran no model" if simulated else "",
        "look": [_look(row) for row in looks[:MOST_LOOKS]],
        "session": session_facts(records),
    }


def _headline(records: Sequence[Record]) -> tuple[str, str]:
    """The sentence, and the part of it that is wrong."""
    counts = outcomes(records)
    skipped = counts.get("skipped", 0)
    bad = len(records) - counts.get("passed", 0) - skipped
    ran = len(records) - skipped
    more = f", {skipped:,} skipped" if ran and skipped else ""
    if not records:
        return "No bench ran", ""
    if bad:
        wrong = f"{bad:,} of {len(records):,}"
        return f"{wrong} bench{'es' if len(records) != 1 else ''} did not pass{more}", wrong
    if not ran:
        return f"All {skipped:,} benches were skipped: nothing was measured", ""
    return f"{ran:,} bench{'es' if ran != 1 else ''} ran, all passed{more}", ""


def _look(row: Row) -> dict[str, str]:
    record = row.record
    if record.outcome != "passed":
        what, why = _SAID[record.outcome], " ".join(record.reason.split())[:300] or "no reason was given"
    else:
        what = f"passed with a caveat: {', '.join(row.caveats)}"
        why = CAVEATS[record.caveats[0].kind]
    return {"id": row_id(record), "name": name(record), "what": what, "why": why}
