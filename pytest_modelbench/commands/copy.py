"""Copy Records from one store to another.

Records that are there already are left alone, so a copy can be repeated.

  modelbench copy reports/data parquet:/srv/benches
  modelbench copy reports/data parquet:main-only --session 20260131T1002
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from ..places import named, records_at, rows_at, sessions_at, store_at, stored_at
from ..record import Record
from . import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FROM, TO, --session."""
    parser.add_argument("source", metavar="FROM", help="a store as KIND:PLACE, or its folder")
    parser.add_argument("target", metavar="TO", help="a store as KIND:PLACE, or its folder")
    parser.add_argument("--session", metavar="ID", help="only this session; the beginning of its name is enough")


def run(arguments: argparse.Namespace) -> int:
    """Copy a session at a time, with what the gate said of it: what a store holds need not fit in memory."""
    source, target = arguments.source, store_at(arguments.target)
    origin = stored_at(source)
    ends = {str(Path(store.place).resolve()) if hasattr(store, "place") else id(store) for store in (origin, target)}
    if type(origin) is type(target) and len(ends) == 1:
        raise UsageError(f"{source} and {arguments.target} are one place")
    verdicts = getattr(origin, "verdicts", lambda session: None)
    number = sessions = 0
    for session, records in _sessions(source, arguments.session):
        target.append(records)
        if hasattr(target, "append_verdicts") and (said := verdicts(session)):
            target.append_verdicts(session, said)
        number, sessions = number + len(records), sessions + 1
    what = f"{number:,} Record{'' if number == 1 else 's'} of {sessions:,} session{'' if sessions == 1 else 's'}"
    say(f"{what} of {source} are in {arguments.target}")
    return 0


def _sessions(source: str, beginning: str | None) -> Iterator[tuple[str, list[Record]]]:
    """The session that is meant, or all of them."""
    if beginning is None:
        yield from sessions_at(source)
    else:
        names = dict.fromkeys(str(row["session"]) for row in rows_at(source, ("session", "started_utc")))
        only = named(beginning, list(names))
        yield only, list(records_at(source, only))
