"""Compare a stored session with the sessions of a baseline: the verdicts of the gate, without running anything.

A is the baseline, B what is compared with it: a store, a folder, a file of Records, or git:REF for Records that were
committed in reports/baseline (git:REF:FOLDER for others). Of B it is the last session, unless --session names another.
The exit status is 1 where a bench is beyond its limit.

  modelbench compare reports/baseline reports/data
  modelbench compare git:v1.4 git:HEAD
  modelbench compare reports/data reports/data --session 20260131T1002 --fail 3%
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..files import repository
from ..gate.limits import parse_fail
from ..gate.place import opened
from ..gate.quantities import QUANTITIES, value
from ..gate.stored import Baseline, concluded, judge
from ..places import named
from ..record import Record
from ..reports.verdicts import lines
from ..verdict import Verdict
from . import say

_Row = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A, B, --session, --fail, --strict, --require-baseline, --verbose."""
    parser.add_argument("a", metavar="A", help="the baseline: a store, folder, file, or git:REF")
    parser.add_argument("b", metavar="B", help="what is compared with it, written the same way")
    parser.add_argument("--session", metavar="ID", help="the session of B, or the beginning of its name (the last one)")
    parser.add_argument("--fail", metavar="LIMIT", help="what is tolerated, as for --bench-fail (5%% of time)")
    parser.add_argument("--strict", action="store_true", help="unclear and advisory verdicts fail too")
    parser.add_argument("--require-baseline", action="store_true", help="new, missing and incomparable fail too")
    parser.add_argument("-v", "--verbose", action="store_true", help="a row for every bench that is not the same")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdicts; 1 where one fails."""
    parse_fail(arguments.fail)
    root = repository(Path.cwd()) or Path.cwd()
    sessions, slim = opened(arguments.b, root)
    new = _session(sessions, arguments.b, arguments.session)
    of_a, slim_a = opened(arguments.a, root)
    baseline = Baseline(_without(of_a, str(new[0]["session"])), slim_a, arguments.a, len(new))
    if not baseline:
        raise StoreError(f"{arguments.a} holds no Records but the session that is compared: name another place")
    verdicts: list[Verdict] = []
    records: list[Record] = []
    for found in new:
        record = slim(found)
        records.append(record)
        verdicts += judge(
            record, baseline, arguments.fail, arguments.strict, arguments.require_baseline, _numbers(found)
        )
    if verdicts and all(verdict.word == "new" for verdict in verdicts):
        theirs = next(iter(baseline.newest), "")
        raise StoreError(
            f"{arguments.a} and {arguments.b} have no bench in common: {theirs} and {new[0]['key']}, for example"
        )
    said = concluded(verdicts, records, baseline, whole=True)
    width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120
    for line in lines(said, width=width, verbose=arguments.verbose):
        say(line)
    return int(any(verdict.failing for verdict in said))


def _session(sessions: Iterator[Sequence[_Row]], place: str, wanted: str | None) -> list[_Row]:
    """Rows of one session: the newest, or the one whose name begins so. Raises StoreError where there is none."""
    newest = next(sessions, [])
    if not newest:
        raise StoreError(f"{place} holds no Records: name another place, or run some benches")
    if wanted is None:
        return [found for found in newest if found["session"] == newest[-1]["session"]]
    rows = [*newest, *chain.from_iterable(sessions)]
    session = named(wanted, list(dict.fromkeys(str(found["session"]) for found in reversed(rows))))
    return [found for found in rows if found["session"] == session]


def _without(sessions: Iterator[Sequence[_Row]], session: str) -> Iterator[list[_Row]]:
    """The same place may be both: a session is not its own baseline."""
    for rows in sessions:
        if others := [found for found in rows if found["session"] != session]:
            yield others


def _numbers(found: _Row) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, quantity in QUANTITIES.items():
        if (number := value(found, quantity)) is not None:
            numbers[name] = number
    return numbers
