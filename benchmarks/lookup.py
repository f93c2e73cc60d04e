"""What it takes to find the baseline of a run in a store of 1,000 sessions of 1,000 benches: the ten last of each.

The files are named by time, so the newest are opened by name. Compared with reading the same sessions through
pyarrow.dataset with a filter on their names, which is how a store without such names is asked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from .figure import Figure, middle
from .storage import _records

#: What the gate reads of a session (`gate/stored.py`).
SESSIONS = 10


def figures(quick: bool) -> Iterator[Figure]:
    """Milliseconds of a look-up, of a whole run and of one bench."""
    from pytest_modelbench.gate.stored import COLUMNS, MOST_FILES
    from pytest_modelbench.stores.parquet import Parquet

    sessions, benches = (30, 20) if quick else (1000, 1000)
    with tempfile.TemporaryDirectory() as name:
        keys = _filled(Path(name), sessions, benches)
        store = Parquet(name)

        def took(wanted: list[str]) -> float:
            started = perf_counter()
            rows = store.rows(keys=wanted, columns=COLUMNS, enough=SESSIONS, most=MOST_FILES)
            seconds = perf_counter() - started
            assert len(rows) == SESSIONS * len(wanted)
            return seconds * 1e3

        took(keys)  # pyarrow is loaded
        for what, wanted in ((f"{benches:,} benches", keys), ("one bench", keys[:1])):
            ours, interval = middle([took(wanted) for _ in range(3 if quick else 15)])
            peer = _by_dataset(Path(name), wanted)
            yield Figure(f"look-up of {what} in {sessions:,} sessions", "ms", ours, 50.0, interval, {"dataset": peer})


def _filled(place: Path, sessions: int, benches: int) -> list[str]:
    """Session files of one and the same benches; the raw rounds are left out, for the look-up does not open them."""
    import pyarrow as pa

    from pytest_modelbench.stores.parquet.layout import write
    from pytest_modelbench.stores.parquet.tables import records_table

    records: list[Any] = [replace(found, environment={"fingerprint": "f"}) for found in _records(benches)]
    table, folder = records_table(records), place / "records"
    folder.mkdir()
    at = table.column_names.index("session")
    for number in range(sessions):
        session = f"s{number:04d}"
        stem = f"2026{number:06d}T100000Z-{session}"
        write(folder / f"{stem}.parquet", table.set_column(at, "session", pa.array([session] * benches)))
    return [record.key for record in records]


def _by_dataset(place: Path, keys: list[str]) -> float:
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    from pytest_modelbench.gate.stored import COLUMNS

    started = perf_counter()
    found = ds.dataset(place / "records", format="parquet")
    newest = sorted(found.files)[-SESSIONS:]
    names = [column for column in ("key", *COLUMNS) if column in found.schema.names]
    wanted = pc.is_in(pc.field("key"), _array(keys)) & pc.field("session").isin(
        [file.rpartition("-")[2].removesuffix(".parquet") for file in newest]
    )
    found.to_table(columns=names, filter=wanted).to_pylist()
    return (perf_counter() - started) * 1e3


def _array(keys: list[str]) -> Any:
    import pyarrow as pa

    return pa.array(keys)
