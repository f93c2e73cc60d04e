"""Write reports of stored Records, without running anything.

The reports are of one session, the last one unless --session names another, with the sessions before it as history.

  modelbench report
  modelbench report results/data --to csv:rows.csv --to json:report.json
  modelbench report --session 20260131T1002 --to pdf:report.pdf
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..catalog import Catalog
from ..files import ignored_folder
from ..places import results_at, split
from . import say

_USUAL = Path("reports/modelbench.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """STORE, --session, --to, --json-schema."""
    parser.add_argument("store", nargs="?", metavar="STORE", help="a store as KIND:PLACE, or its folder (reports/data)")
    parser.add_argument("--session", metavar="ID", help="the session, or the beginning of its name (the last one)")
    parser.add_argument(
        "--to", action="append", metavar="KIND:PLACE", help=f"what to write, repeatable (html:{_USUAL})"
    )
    parser.add_argument("--json-schema", action="store_true", help="print the schema of --to json:PLACE, and no more")


def run(arguments: argparse.Namespace) -> int:
    """Write each report, and say where."""
    if arguments.json_schema:
        import json

        from ..reports.table import json_schema

        say(json.dumps(json_schema(), indent=1))
        return 0
    catalog = Catalog()
    wanted = [split(text, "html") for text in arguments.to or [f"html:{_USUAL}"]]
    for kind, _ in wanted:
        catalog.check("report", kind, where="--to")
    results = results_at(arguments.store, arguments.session)
    if not arguments.to:
        ignored_folder(_USUAL.parent, but=("README.md", "baseline/"))
    for kind, place in wanted:
        say(str(catalog.find("report", kind)(results, Path(place))))
    return 0
