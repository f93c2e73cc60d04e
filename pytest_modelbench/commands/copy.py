"""Copy Records from one store to another.

Records that are there already are left alone, so a copy can be repeated.

  modelbench copy reports/data parquet:/srv/benches
  modelbench copy reports/data parquet:main-only --session 20260131T1002
"""

from __future__ import annotations

import argparse

from ..errors import UsageError
from ..places import named, rows_at, sessions_at, store_at
from . import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FROM, TO, --session."""
    parser.add_argument("source", metavar="FROM", help="a store as KIND:PLACE, or its folder")
    parser.add_argument("target", metavar="TO", help="a store as KIND:PLACE, or its folder")
    parser.add_argument("--session", metavar="ID", help="only this session; the beginning of its name is enough")


def run(arguments: argparse.Namespace) -> int:
    """Copy a session at a time, with what the gate said of it: what a store holds need not fit in memory."""
    source, target = arguments.source, store_at(arguments.target)
    verdicts = getattr(store_at(source), "verdicts", lambda session: None)
    if vars(store_at(source)) == vars(target) and type(store_at(source)) is type(target):
        raise UsageError(f"{source} and {arguments.target} are one place")
    only = named(arguments.session, [str(row["session"]) for row in rows_at(source)]) if arguments.session else None
    number = sessions = 0
    for session, records in sessions_at(source):
        if only in (None, session):
            target.append(records)
            if hasattr(target, "append_verdicts") and (said := verdicts(session)):
                target.append_verdicts(session, said)
            number, sessions = number + len(records), sessions + 1
    what = f"{number:,} Record{'' if number == 1 else 's'} of {sessions:,} session{'' if sessions == 1 else 's'}"
    say(f"{what} of {source} are in {arguments.target}")
    return 0
