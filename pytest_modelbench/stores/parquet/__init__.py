"""Parquet: three files a session, `records/`, `rounds/` and `samples/`, that DuckDB, pandas or Spark read as they are.

`records` holds one flat row a bench (`summary.row`), and two columns of JSON, `environment` and `detail`, from which,
with the raw numbers of the other two files, whole Records are read back. A fourth, `verdicts/`, is there where the gate
was asked.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from ...declare import store
from ...errors import StoreError
from ...files import ignored_folder, written_to
from ...record import Record, from_dict
from ...verdict import Verdicts
from .compaction import SUFFIX, compact, contents, is_compact
from .layout import file_word, read, write
from .reading import Raw, rows_of, whole
from .tables import records_table, rounds_table, samples_table
from .verdicts import read_verdicts, write_verdicts


class Parquet:
    """Records in a folder, as Parquet files."""

    def __init__(self, place: Path | str) -> None:
        self.place = Path(place)
        #: What `slim` read of a file, by record_id.
        self._details: dict[Path, dict[str, dict[str, Any]]] = {}
        self._compact: dict[Path, tuple[frozenset[str], frozenset[str]]] = {}

    def check(self) -> None:
        """Raise StoreError where the place cannot be written."""
        with written_to(self.place, "Records"):
            ignored_folder(self.place)

    def append(self, records: Sequence[Record]) -> None:
        """Write the Records, one file of each table a session; those that are there already are left alone.

        Raises StoreError where the place is a file, read-only or full; nothing half-written stays.
        """
        sessions: dict[str, list[Record]] = {}
        for record in records:
            sessions.setdefault(record.session, []).append(record)
        with written_to(self.place, "Records"):
            ignored_folder(self.place)
            for table in ("records", "rounds", "samples"):
                (self.place / table).mkdir(exist_ok=True)
            for session, of_session in sessions.items():
                self._append(session, of_session)

    def _append(self, session: str, records: list[Record]) -> None:
        earlier = [*self._of_session(session)]
        if earlier:  # a crash came between storing and forgetting the journal, or the session is stored in parts
            names = ["record_id", "started_utc"]
            stored = {(found[names[0]], found[names[1]]) for path in earlier for found in read(path, names).to_pylist()}
            records = [record for record in records if (record.record_id, record.started_utc) not in stored]
        if not records:
            return
        started = min((record.started_utc for record in records if record.started_utc), default="")
        stem = f"{file_word(started)}-{file_word(session)}"
        parts = (f"{stem}{part}.parquet" for part in chain([""], (f"-{number}" for number in count(2))))
        replaced = self._replaced(self._names())
        name = next(name for name in parts if name not in replaced and not (self.place / "records" / name).exists())
        # the records file comes last: where it is, the other two are
        write(self.place / "samples" / name, samples_table(records))
        write(self.place / "rounds" / name, rounds_table(records), raw=True)
        write(self.place / "records" / name, records_table(records))

    def append_verdicts(self, session: str, verdicts: Verdicts) -> None:
        """Keep what the gate said of a session, whose Records are stored. Raises StoreError as `append` does."""
        path = next(self._of_session(session))
        name = f"{path.stem.partition('-')[0]}-{file_word(session)}.parquet" if is_compact(path) else path.name
        with written_to(self.place, "verdicts"):
            (self.place / "verdicts").mkdir(exist_ok=True)
            write_verdicts(self.place / "verdicts" / name, verdicts)

    def verdicts(self, session: str) -> Verdicts | None:
        """What the gate said of a session; None where it was not asked."""
        folder = (self.place.parent.parent if self.place.is_file() else self.place) / "verdicts"
        named = _named(session)
        return next((read_verdicts(path) for path in sorted(folder.glob("*.parquet")) if named(path.stem)), None)

    def records(self, session: str | None = None) -> Iterator[Record]:
        """Every Record, or those of one session, whole, the oldest session first.

        Raises StoreError that names a file it cannot read.
        """
        for path in self._files() if session is None else self._of_session(session):
            try:
                times = Raw(self.place / "rounds" / path.name, "started_ns", "seconds")
                samples = Raw(self.place / "samples" / path.name, "at_ns", "value")
                for found in read(path, ["record_id", "environment", "detail"]).to_pylist():
                    record = whole(found, times, samples)
                    if session in (None, record.session):
                        yield record
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{path} is no file of Records: {error}; move it away or restore it") from error

    def rows(
        self,
        *,
        keys: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
        enough: int | None = None,
        most: int | None = None,
    ) -> list[dict[str, Any]]:
        """Flat rows as `summary.row` gives them, the oldest session first; raw numbers are not read.

        `keys` picks benches, by `Record.key`. `columns` picks columns; one that a file lacks is None in its rows. With
        `enough` the newest sessions are read, and no more than it takes to see each of `keys` in so many; `most` bounds
        the files that are opened. Raises StoreError that names a file it cannot read.
        """
        found: list[list[dict[str, Any]]] = []
        seen: Counter[str] = Counter()
        for of_file in islice(self.newest_first(keys=keys, columns=columns), most):
            found.append(of_file)
            if enough is not None:
                seen.update({of_bench["key"] for of_bench in of_file})
                if len(found) >= enough and all(seen[key] >= enough for key in keys or ()):
                    break
        return list(chain.from_iterable(reversed(found)))

    def newest_first(
        self, *, keys: Collection[str] | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """The rows of each session, as `rows` gives them; the newest first, its file opened when it is asked for."""
        wanted = None if keys is None else set(keys)
        for path in reversed(self._files()):
            if is_compact(path):
                of_file = rows_of(path, wanted, None if columns is None else [*columns, "session"])
                sessions = [list(of_session) for _, of_session in groupby(of_file, key=itemgetter("session"))]
                yield from reversed(sessions)
            else:
                yield rows_of(path, wanted, columns)

    def slim(self, found: Mapping[str, Any]) -> Record:
        """The Record of a row, without its raw numbers and samples: its scores with their items, caveats, environment.

        The row needs `record_id` and `session`. Raises StoreError where its file is no more.
        """
        for path in self._of_session(found["session"]):
            if path not in self._details:
                kept = read(path, ["record_id", "environment", "detail"]).to_pylist()
                self._details[path] = {of_file["record_id"]: of_file for of_file in kept}
            if known := self._details[path].get(found["record_id"]):
                record = from_dict(json.loads(known["detail"])["record"])
                return replace(record, environment=json.loads(known["environment"]))
        raise StoreError(f"{self.place} has no Record {found['record_id']} of session {found['session']} any more")

    def _files(self) -> list[Path]:
        """Files of Records, the oldest session first; where the place is one of them, that."""
        if self.place.is_file():
            return [self.place]
        names = self._names()
        replaced = self._replaced(names)
        return [self.place / "records" / name for name in names if name not in replaced]

    def _names(self) -> list[str]:
        """Names in `records/`, by time: a thousand of them in 1 ms, where a glob takes 10."""
        folder = self.place / "records"
        names = os.listdir(folder) if folder.is_dir() else []
        ours = (name for name in names if name.endswith(".parquet") and not name.startswith("."))
        return sorted(ours, key=lambda name: name.removesuffix(".parquet"))

    def _replaced(self, names: Sequence[str]) -> set[str]:
        """Names of files that compact ones took the place of, whether they are gone or not."""
        compacted = (self.place / "records" / name for name in names if name.endswith(f"{SUFFIX}.parquet"))
        return {name for path in compacted for name in self._contents(path)[1]}

    def _of_session(self, session: str) -> Iterator[Path]:
        named = _named(session)
        for path in self._files():
            if path == self.place or named(path.stem) or (is_compact(path) and session in self._contents(path)[0]):
                yield path

    def _contents(self, path: Path) -> tuple[frozenset[str], frozenset[str]]:
        """Sessions in a compact file and the files it replaces, read once."""
        if path not in self._compact:
            self._compact[path] = contents(path)
        return self._compact[path]

    def compact(self) -> int:
        """Put the sessions of each month into one file of each table; how many files of Records were merged.

        Raises StoreError where a file cannot be read or written; nothing is lost then.
        """
        return compact(self.place, self._files(), self._replaced(self._names()))


def _named(session: str) -> Callable[[str], object]:
    """Whether the stem of a file's name is of a session, in one part or several."""
    return re.compile(rf"-{re.escape(file_word(session))}(-\d+)?$").search


#: The class under its name for users: `--bench-store parquet:PLACE`.
parquet = store("parquet")(Parquet)
