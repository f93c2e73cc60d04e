"""Put the stored sessions of each month into one file of each table.

A store grows by three files a session, and whoever reads them all opens them all. Nothing is lost: Records, raw
numbers and samples are read back as before, and DuckDB, pandas and Spark read the files as before. Do it while no
bench runs; it can be repeated.

  modelbench compact
  modelbench compact /srv/benches/data
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UsageError
from ..places import stored_at, usual_store
from ..quantity import quantity_text
from . import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """STORE."""
    parser.add_argument("store", nargs="?", metavar="STORE", help="a store as KIND:PLACE, or its folder (reports/data)")


def run(arguments: argparse.Namespace) -> int:
    """Compact it, and say what that saved."""
    store = stored_at(arguments.store)
    where = arguments.store or usual_store()
    if not hasattr(store, "compact"):
        raise UsageError(f"{where}: a store of this kind needs no compacting")
    before = _size(store.place)
    merged = store.compact()
    after = _size(store.place)
    if merged:
        sizes = f"{quantity_text('bytes', before[1])} are {quantity_text('bytes', after[1])}"
        say(f"{where}: {before[0]:,} files are {after[0]:,}, {sizes}")
    else:
        say(f"{where}: nothing to merge, each month is one file already")
    return 0


def _size(folder: Path) -> tuple[int, int]:
    """Files of a store, and their bytes."""
    files = [path for path in folder.glob("*/*.parquet") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)
