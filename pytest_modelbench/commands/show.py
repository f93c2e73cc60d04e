"""Show one stored Record: its numbers, its facts, its caveats, and how to repeat it.

RECORD is the beginning of a record_id, as `modelbench list` prints them, a whole key, `bench[axis=value,...]`, or
pytest's id; of a key or id the last session's Record is shown.

  modelbench show 3f9c1de2
  modelbench show 3f9c1de2 --json
"""

from __future__ import annotations

import argparse
import json
import shlex

from ..detail import facts
from ..errors import UsageError
from ..groups import Row
from ..places import records_at, rows_at
from ..provenance import session_facts
from ..quantity import visible
from ..record import CAVEATS, Record, to_dict
from ..summary import row
from . import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RECORD, --store, --json."""
    parser.add_argument("record", metavar="RECORD", help="the beginning of a record_id, a key, or pytest's id")
    parser.add_argument("--store", metavar="STORE", help="a store as KIND:PLACE, or its folder (reports/data)")
    parser.add_argument("--json", action="store_true", help="the whole Record as JSON, raw numbers included")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    record = _record(arguments.store, arguments.record)
    if arguments.json:
        say(json.dumps(to_dict(record), indent=1))
        return 0
    for line in _lines(record):
        say(visible(line))
    return 0


def _record(store: str | None, wanted: str) -> Record:
    """The one Record that is meant. Raises UsageError for none and for several."""
    rows = rows_at(store)
    called = [row for row in rows if wanted in (row["key"], row["nodeid"])]
    of_key = {found["record_id"]: found["session"] for found in called[-1:]}
    ids = of_key or {found["record_id"]: found["session"] for found in rows if found["record_id"].startswith(wanted)}
    if len(ids) != 1:
        said = f"{len(ids)} Records begin with" if ids else "no stored Record is called"
        raise UsageError(f"{said} {wanted!r}; `modelbench list` prints what there is")
    ((record_id, session),) = ids.items()
    return next(record for record in records_at(store, session) if record.record_id == record_id)


def _lines(record: Record) -> list[str]:
    reason = f": {record.reason}" if record.reason else ""
    parts = [(part.title, part.rows) for part in facts(Row(record.key, record, row(record), {}))]
    lines = [record.key, f"{record.outcome}{reason}", *(["SIMULATED"] if record.simulated else [])]
    lines += [f"imported from {record.imported}"] if record.imported else []
    for title, rows in [("Session", session_facts([record])), *parts]:
        width = max((len(name) for name, _ in rows), default=0)
        lines += ["", title, *(f"  {name:<{width}}  {value}" for name, value in rows)]
    said = [f"  {caveat.kind} ({caveat.detail}): {CAVEATS[caveat.kind]}" for caveat in record.caveats]
    lines += ["", "Caveats", *said] if said else []
    lines += ["", "Notes", *(f"  {note}" for note in record.notes)] if record.notes else []
    return lines if record.imported else [*lines, "", f"Repeat it: pytest {shlex.quote(record.nodeid)}"]
