"""Compaction: the sessions of a month in one file of each table instead of a file each.

A compact file says in its metadata which sessions are in it and which files it took the place of. It is written before
those go, and readers leave out what a compact file replaces: an end half way costs space, and doubles nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...files import written_to
from .layout import read, write

SUFFIX = ".compact"
SESSIONS_KEY, REPLACES_KEY = b"modelbench.sessions", b"modelbench.replaces"
#: Of the tables, the one that decides comes last: where its file is, the other two are.
_TABLES = ("samples", "rounds", "records")


def is_compact(path: Path) -> bool:
    """Whether a file of Records holds several sessions."""
    return path.stem.endswith(SUFFIX)


def contents(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Sessions in a compact file, and the names of files that it replaces. Raises StoreError as `read` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata
        return frozenset(json.loads(metadata[SESSIONS_KEY])), frozenset(json.loads(metadata[REPLACES_KEY]))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"cannot read {path}: {reason}; move it away or restore it") from error


def compact(place: Path, files: Sequence[Path], replaced: Collection[str]) -> int:
    """Merge the files of each month of a store, the oldest first, and remove them; how many files were merged.

    Files that are `replaced`, and that an earlier compaction did not live to remove, go too.

    Raises StoreError where another compaction runs, and where the place cannot be written.
    """
    from filelock import FileLock, Timeout

    merged = 0
    with written_to(place, "compact files"):
        try:
            with FileLock(place / ".compact.lock", timeout=0):
                _remove(place, replaced)
                for _, of_month in groupby(files, key=lambda path: path.name[:6]):
                    month = list(of_month)
                    if len(month) > 1:
                        _merge(place, month)
                        merged += len(month)
        except Timeout as error:
            raise StoreError(f"{place} is being compacted by another process; wait for it") from error
    return merged


def _merge(place: Path, files: Sequence[Path]) -> None:
    names = [path.name for path in files]
    tables = {table: _joined([place / table / name for name in names]) for table in _TABLES}
    # more rows than in any file of these: the name is none of theirs
    target = f"{_begun(names[0])}-{_begun(names[-1])}-{tables['records'].num_rows}{SUFFIX}.parquet"
    sessions = list(dict.fromkeys(tables["records"]["session"].to_pylist()))
    said = {SESSIONS_KEY: json.dumps(sessions).encode(), REPLACES_KEY: json.dumps(names).encode()}
    for table in _TABLES:
        write(place / table / target, tables[table], raw=table == "rounds", metadata=said)
    _remove(place, names)


def _remove(place: Path, names: Collection[str]) -> None:
    for table in reversed(_TABLES):
        for name in names:
            (place / table / name).unlink(missing_ok=True)


def _begun(name: str) -> str:
    """The time that a file's name begins with."""
    return name.partition("-")[0]


def _joined(paths: Sequence[Path]) -> Any:
    """The tables one after the other; a column that one lacks is null there. Raises StoreError that names a file."""
    import pyarrow as pa

    tables = [read(path, None, every=True).replace_schema_metadata(None) for path in paths]
    return pa.concat_tables(tables, promote_options="default").unify_dictionaries()
