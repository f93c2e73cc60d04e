"""List stored Records, the newest last; or sessions.

A filter is COLUMN=VALUE with a column of `records`, or of an axis; `*` stands for anything. A line is
shown where all filters hold.

  modelbench list
  modelbench list --where bench=*llama* --where variant=onnx --last 10
  modelbench list --where outcome=failed --since 2026-01-31
  modelbench list --sessions
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..errors import UnknownName, UsageError
from ..places import rows_at
from ..quantity import ABSENT, cells, digits, quantity_text, shortened, visible
from ..record import OUTCOMES
from ..source import short
from . import say

#: Columns of the list that stand at the right of their column.
_NUMBERS = {"median", "tokens/s", "benches"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """STORE, --where, --since, --last, --sessions."""
    parser.add_argument("store", nargs="?", metavar="STORE", help="a store as KIND:PLACE, or its folder (reports/data)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE", help="a filter, repeatable")
    parser.add_argument("--since", default="", metavar="TIME", help="only what started then or later, as 2026-01-31T10")
    parser.add_argument("--last", type=int, default=40, metavar="N", help="at most N lines, the newest (40); 0 is all")
    parser.add_argument("--sessions", action="store_true", help="a line a session")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; nothing that matches is an empty one, and said."""
    if arguments.last < 0:
        raise UsageError(f"--last {arguments.last}: give a number of lines, or 0 for all")
    rows = [found for found in rows_at(arguments.store) if str(found["started_utc"]) >= arguments.since]
    for text in arguments.where:
        rows = _matching(rows, text)
    lines = _sessions(rows) if arguments.sessions else [_line(found) for found in rows]
    shown = lines[-arguments.last :] if arguments.last else lines
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _table(shown, width):
        say(line)
    hidden = len(lines) - len(shown)
    if hidden:
        say(f"{hidden:,} older ones are not shown; all: --last 0")
    return 0


def _matching(rows: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    name, separator, wanted = text.partition("=")
    if not separator:
        raise UsageError(f"--where {text!r} is not COLUMN=VALUE")
    columns = {column for found in rows for column in found}
    axis = f"axis_{name}"
    if rows and not {name, axis} & columns:
        raise UnknownName("column", name, columns, "--where")
    column = name if name in columns else axis
    return [found for found in rows if _is(found.get(column), wanted)]


def _is(value: Any, wanted: str) -> bool:
    """Whether a value is what a person wrote: as it is shown, by its short name, or by a pattern."""
    if value is None:
        return wanted == ""
    said = str(value).lower() if isinstance(value, bool) else str(value)
    return fnmatchcase(said, wanted) or fnmatchcase(short(said), wanted)


def _line(found: Mapping[str, Any]) -> dict[str, str]:
    rate = found.get("tokens_per_second")
    median = found.get("median_seconds")
    return {
        "record": found["record_id"][:8],
        "started, UTC": found["started_utc"][:16].replace("T", " "),
        "bench": found["key"],
        "outcome": found["outcome"],
        "median": quantity_text("seconds", median) if median is not None else ABSENT,
        "tokens/s": digits(rate) if rate is not None else "",
        "caveats": ", ".join(filter(None, [*_origin(found), found["caveats"].replace(",", ", ")])),
    }


def _origin(found: Mapping[str, Any]) -> list[str]:
    """Whether it is simulated or imported; files of earlier versions do not say the latter."""
    imported = found.get("imported")
    return (["simulated"] if found["simulated"] else []) + ([f"imported from {imported}"] if imported else [])


def _sessions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    sessions: dict[str, list[Mapping[str, Any]]] = {}
    for found in rows:
        sessions.setdefault(found["session"], []).append(found)
    lines = []
    for name, of_session in sessions.items():
        first = of_session[0]
        outcomes = [found["outcome"] for found in of_session]
        counts = [f"{outcomes.count(outcome):,} {outcome}" for outcome in OUTCOMES if outcome in outcomes]
        lines.append(
            {
                "session": name,
                "started, UTC": first["started_utc"][:16].replace("T", " "),
                "commit": (first["commit"] or "")[:7] + ("+" if first["dirty"] else ""),
                "branch": first["branch"] or "",
                "benches": f"{len(of_session):,}",
                "outcomes": ", ".join(counts),
            }
        )
    return lines


def _table(lines: Sequence[Mapping[str, str]], width: int | None) -> list[str]:
    """Lines under their heads; empty columns are left out, and the widest is cut where a terminal is too narrow."""
    if not lines:
        return ["no Records match"]
    names = [name for name in lines[0] if any(line[name] for line in lines)]
    shown = [{name: name for name in names}, *({name: visible(line[name]) for name in names} for line in lines)]
    widths = {name: max(cells(line[name]) for line in shown) for name in names}
    if width:
        widest = max(names, key=lambda name: widths[name])
        over = sum(widths.values()) + 2 * (len(names) - 1) - width
        widths[widest] -= min(max(over, 0), widths[widest] - len(widest))
    return ["  ".join(_cell(line[name], widths[name], name in _NUMBERS) for name in names).rstrip() for line in shown]


def _cell(text: str, width: int, right: bool) -> str:
    text = shortened(text, width)
    room = " " * (width - cells(text))
    return room + text if right else text + room
