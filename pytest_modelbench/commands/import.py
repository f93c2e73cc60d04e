"""Import what other tools measured, as Records.

Known are pytest-benchmark (--benchmark-json, --benchmark-save), llama-bench (-o json, -o jsonl), vLLM (bench serve,
latency, throughput), AIPerf (profile_export.jsonl, profile_export_aiperf.json), lm-eval (results_*.json) and
optimum-benchmark (benchmark.json, benchmark_report.json); a file is known by what is in it. A file that cannot be
mapped is refused by name, and then nothing of any file is stored. Importing a file again changes nothing.

  modelbench import llama-7b.json --store reports/data
  modelbench import runs/*/benchmark.json --from optimum-benchmark
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..importers import TOOLS, records_of
from ..places import rows_at, store_at, usual_store
from . import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --store, --from."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what the other tool wrote")
    parser.add_argument("--store", metavar="STORE", help="where Records go, as KIND:PLACE or a folder (reports/data)")
    parser.add_argument("--from", dest="tool", metavar="TOOL", help=f"the tool that wrote it: {', '.join(TOOLS)}")


def run(arguments: argparse.Namespace) -> int:
    """Read every file, then store those that are not there yet."""
    read = [(path, records_of(path, arguments.tool)) for path in arguments.files]
    store, where, known = store_at(arguments.store), arguments.store or usual_store(), _sessions(arguments.store)
    for path, records in read:
        if records[0].session in known:
            say(f"{path} is in {where} already, as session {records[0].session}")
            continue
        store.append(records)
        known.add(records[0].session)
        number = f"{len(records):,} Record{'' if len(records) == 1 else 's'}"
        say(f"{number} of {records[0].imported} from {path} into {where}")
    return 0


def _sessions(store: str | None) -> set[str]:
    """What a store has; one that is not there yet has none."""
    place = getattr(store_at(store), "place", None)
    if isinstance(place, Path) and not place.exists():
        return set()
    return {str(row["session"]) for row in rows_at(store, ("session", "started_utc"))}
