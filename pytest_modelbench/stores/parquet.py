"""Parquet: three files a session, `records/`, `rounds/` and `samples/`, that DuckDB, pandas or Spark read as they are.

`records` holds one flat row a bench (`summary.row`), and two columns of JSON, `environment` and `detail`, from which,
with the raw numbers of the other two files, whole Records are read back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from ..declare import store
from ..errors import StoreError
from ..files import ignored_folder, whole_file, written_to
from ..phases import phases, spans
from ..record import SCHEMA, Record, Series, TokenTimes, from_dict
from ..summary import column_type, row

#: Key of the files' metadata that holds the Record's schema version.
SCHEMA_KEY = b"modelbench.schema"
#: Kind of a raw number -> the part of a Record and its field, one number a round.
_TIMES = {
    "round": ("timing", "rounds_seconds"),
    "device_round": ("timing", "device_seconds"),
    "ttft": ("tokens", "ttft_seconds"),
    "ttft_device": ("tokens", "ttft_device_seconds"),
    "e2el": ("tokens", "e2el_seconds"),
}
_KINDS = [*_TIMES, "itl"]
#: Columns of `records` that are no part of `summary.row`.
_NOT_FLAT = {"environment", "detail"}
#: Part of a Record -> its fields that stand in other columns and files.
_WITHOUT: dict[str, dict[str, Any]] = {
    "record": {"environment": {}, "samples": ()},
    "timing": {"rounds_seconds": (), "started_ns": (), "device_seconds": ()},
    "tokens": {"ttft_seconds": (), "itl_seconds": (), "e2el_seconds": (), "ttft_device_seconds": ()},
}


class Parquet:
    """Records in a folder, as Parquet files."""

    def __init__(self, place: Path | str) -> None:
        self.place = Path(place)

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
        earlier = sorted((self.place / "records").glob(f"*-{_file_word(session)}*.parquet"))
        if earlier:  # a crash came between storing and forgetting the journal, or the session is stored in parts
            names = ["record_id", "started_utc"]
            stored = {
                (found[names[0]], found[names[1]]) for path in earlier for found in _read(path, names).to_pylist()
            }
            records = [record for record in records if (record.record_id, record.started_utc) not in stored]
        if not records:
            return
        stem = f"{_file_word(min(record.started_utc for record in records))}-{_file_word(session)}"
        parts = (f"{stem}{part}.parquet" for part in chain([""], (f"-{number}" for number in count(2))))
        name = next(name for name in parts if not (self.place / "records" / name).exists())
        # the records file comes last: where it is, the other two are
        _write(self.place / "samples" / name, _samples_table(records))
        _write(self.place / "rounds" / name, _rounds_table(records), raw=True)
        _write(self.place / "records" / name, _records_table(records))

    def records(self) -> Iterator[Record]:
        """Every Record, whole, oldest session first. Raises StoreError that names a file it cannot read."""
        for path in sorted((self.place / "records").glob("*.parquet"), key=lambda path: path.stem):
            try:
                times = _Raw(self.place / "rounds" / path.name, "started_ns", "seconds")
                samples = _Raw(self.place / "samples" / path.name, "at_ns", "value")
                for found in _read(path, ["record_id", "environment", "detail"]).to_pylist():
                    yield _whole(found, times, samples)
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
        lacking = Counter(dict.fromkeys(keys or (), enough or 0))
        names = sorted((self.place / "records").glob("*.parquet"), key=lambda path: path.stem, reverse=True)
        for path in names[:most]:
            found.append(_rows_of(path, None if keys is None else set(keys), columns))
            if enough is not None:
                lacking -= Counter({of_file["key"] for of_file in found[-1]})
                if not lacking:
                    break
        return list(chain.from_iterable(reversed(found)))


#: The class under its name for users: `--bench-store parquet:PLACE`.
parquet = store("parquet")(Parquet)


def _file_word(text: str) -> str:
    """`text` as part of a file name: a UTC time without its colons still sorts by time."""
    return "".join(c for c in text if c.isascii() and (c.isalnum() or c in "._")) or "unknown"


# -- tables out of Records


def _records_table(records: Sequence[Record]) -> Any:
    import pyarrow as pa

    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    rows = [row(record) for record in records]
    columns = {}
    for name in dict.fromkeys(chain.from_iterable(rows)):
        values, kind = [found.get(name) for found in rows], column_type(name)
        columns[name] = _texts(values) if kind is str else pa.array(values, types[kind])
    columns["environment"] = _environments(records)
    columns["detail"] = _texts([_detail(record) for record in records])
    return pa.table(columns)


def _texts(values: Sequence[str | None]) -> Any:
    """A column of text. Parquet holds valid UTF-8 only: what a file name smuggled in is escaped (`detail` keeps it)."""
    import pyarrow as pa

    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value and value.encode("utf-8", "backslashreplace") for value in values]).cast(pa.string())


def _environments(records: Sequence[Record]) -> Any:
    """The environments as JSON, each written once: they are large, and mostly one a session."""
    import pyarrow as pa

    seen: list[dict[str, Any]] = []
    indices = []
    for record in records:
        if record.environment not in seen[-1:]:
            seen.append(record.environment)
        indices.append(len(seen) - 1)
    return _texts([json.dumps(environment) for environment in seen]).take(pa.array(indices, pa.int32()))


def _detail(record: Record) -> str:
    """The Record as JSON, without what the other columns and files hold."""
    timing, tokens = record.timing, record.tokens
    # the fields of a dataclass are its variables; json walks them ten times as fast as `to_dict` does
    slim = vars(record) | _WITHOUT["record"]
    slim["timing"] = timing and vars(timing) | _WITHOUT["timing"]
    slim["tokens"] = tokens and vars(tokens) | _WITHOUT["tokens"]
    lengths = {
        "rounds": {kind: len(values) for kind in _KINDS if (values := _numbers(record, kind))},
        "itl": [len(gaps) for gaps in tokens.itl_seconds] if tokens else [],
        "started": len(timing.started_ns) if timing else 0,
        "samples": [[series.sampler, series.name, series.unit, len(series.values)] for series in record.samples],
    }
    return json.dumps({"record": slim, "lengths": lengths}, default=vars)


def _numbers(record: Record, kind: str) -> Sequence[float]:
    if kind == "itl":
        return list(chain.from_iterable(record.tokens.itl_seconds)) if record.tokens else ()
    part, name = _TIMES[kind]
    found: Sequence[float] = getattr(getattr(record, part), name, ())
    return found


def _rounds_table(records: Sequence[Record]) -> Any:
    import numpy as np
    import pyarrow as pa

    runs = [(record, kind, values) for record in records for kind in _KINDS if (values := _numbers(record, kind))]
    counts = [len(values) for _, _, values in runs]
    starts = [record.timing.started_ns if kind == "round" and record.timing else () for record, kind, _ in runs]
    started = [(begun + (None,) * size)[:size] for begun, size in zip(starts, counts, strict=True)]
    rounds = [_places(record.tokens, kind, size) for (record, kind, _), size in zip(runs, counts, strict=True)]
    empty = [(np.zeros(0, np.int32), np.zeros(0, np.int32))]
    return pa.table(
        {
            **_who(records, [record for record, _, _ in runs], counts),
            "kind": _repeated(_KINDS, [_KINDS.index(kind) for _, kind, _ in runs], counts),
            "round": np.concatenate([places[0] for places in rounds or empty]),
            "index": np.concatenate([places[1] for places in rounds or empty]),
            "seconds": pa.array(list(chain.from_iterable(values for _, _, values in runs)), pa.float64()),
            "started_ns": pa.array(list(chain.from_iterable(started)), pa.int64()),
        }
    )


def _places(tokens: TokenTimes | None, kind: str, size: int) -> tuple[Any, Any]:
    """The round of each number, and its index within the round: gaps between tokens have several a round."""
    import numpy as np

    if kind != "itl" or tokens is None:
        return np.arange(size, dtype=np.int32), np.zeros(size, np.int32)
    lengths = [len(gaps) for gaps in tokens.itl_seconds]
    rounds = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return rounds, np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])


def _samples_table(records: Sequence[Record]) -> Any:
    import pyarrow as pa

    runs = [(record, series) for record in records for series in record.samples]
    counts = [len(series.values) for _, series in runs]
    every = [series for _, series in runs]
    return pa.table(
        {
            **_who(records, [record for record, _ in runs], counts),
            **{
                column: _repeated([getattr(series, column) for series in every], range(len(every)), counts)
                for column in ("sampler", "name", "unit")
            },
            "at_ns": pa.array(list(chain.from_iterable(series.at_ns for series in every)), pa.int64()),
            "value": pa.array(list(chain.from_iterable(series.values for series in every)), pa.float64()),
            "phase": pa.array(_phases(records), pa.dictionary(pa.int32(), pa.string())),
        }
    )


def _phases(records: Sequence[Record]) -> list[str | None]:
    """The part of a generation that each sample was taken in, worked out here so that SQL can group by it."""
    found: list[str | None] = []
    for record in records:
        of_record = spans(record) if record.samples else []
        found += chain.from_iterable(phases(of_record, series.at_ns) for series in record.samples)
    return found


def _who(records: Sequence[Record], owners: Sequence[Record], counts: Sequence[int]) -> dict[str, Any]:
    """The columns that say whose the raw numbers are: `owners[i]` has `counts[i]` of them."""
    at = {id(record): position for position, record in enumerate(records)}
    positions = [at[id(owner)] for owner in owners]
    return {
        column: _repeated([getattr(record, column) for record in records], positions, counts)
        for column in ("record_id", "session", "bench")
    }


def _repeated(words: Sequence[str], positions: Iterable[int], counts: Sequence[int]) -> Any:
    """A column of `words[position]`, each `count` times, without making a string for each row."""
    import numpy as np
    import pyarrow as pa

    distinct = list(dict.fromkeys(words))
    place = {word: index for index, word in enumerate(distinct)}
    indices = np.array([place[words[position]] for position in positions], np.int32)
    return pa.DictionaryArray.from_arrays(np.repeat(indices, counts), _texts(distinct))


def _write(path: Path, table: Any, raw: bool = False) -> None:
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata({SCHEMA_KEY: str(SCHEMA).encode()})
    # numbers of full entropy do not repeat: their bytes by place, and steps between times, are what compresses
    plain = {"round", "index", "seconds", "started_ns"} & set(table.column_names) if raw else set()
    encodings = {name: "BYTE_STREAM_SPLIT" if name == "seconds" else "DELTA_BINARY_PACKED" for name in plain}
    with whole_file(path) as file:
        pq.write_table(
            table, file, compression="zstd", column_encoding=encodings or None,
            use_dictionary=[name for name in table.column_names if name not in plain],
        )  # fmt: skip


# -- Records out of tables


def _read(path: Path, names: list[str] | None) -> Any:
    """Columns of one file, or all that are flat; those it lacks are left out.

    Raises StoreError that names a corrupt, newer or missing file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = int((file.schema_arrow.metadata or {}).get(SCHEMA_KEY, b"0"))
            if schema > SCHEMA:
                raise StoreError(
                    f"cannot read {path}: schema {schema} is newer than {SCHEMA}; upgrade pytest-modelbench to read it"
                )
            there = file.schema_arrow.names
            names = [name for name in there if name not in _NOT_FLAT] if names is None else names
            return file.read(columns=[name for name in names if name in there])
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"cannot read {path}: {reason}; move it away or restore it") from error


def _rows_of(path: Path, keys: set[str] | None, columns: Sequence[str] | None) -> list[dict[str, Any]]:
    """Rows of one file. Of pyarrow's ways to dicts, whole columns at once is the quickest: 1 ms a thousand rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _read(path, None if columns is None else [*dict.fromkeys(["key", *columns])])
    if keys is not None and not keys >= set(table["key"].to_pylist()):
        table = table.filter(pc.is_in(table["key"], pa.array(sorted(keys), pa.string())))
    names = table.column_names
    values = zip(*(column.to_pylist() for column in table.columns), strict=True)
    lacking = dict.fromkeys(columns or ())
    return [lacking | dict(zip(names, of_row, strict=True)) for of_row in values]


class _Raw:
    """The raw numbers of one file, handed out in the order they were written."""

    def __init__(self, path: Path, at: str, value: str) -> None:
        import pyarrow.compute as pc

        table = _read(path, ["record_id", at, value]).combine_chunks()
        self.owners, self.taken = table["record_id"], 0
        self.at, self.values = pc.fill_null(table[at], 0).to_numpy(), table[value].to_numpy()

    def take(self, owner: str, size: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """The next `size` times and values, which must be those of `owner`."""
        start, end = self.taken, self.taken + size
        if size and (end > len(self.values) or {self.owners[i].as_py() for i in (start, end - 1)} != {owner}):
            raise ValueError(f"the raw numbers of {owner} are not where its row says")
        self.taken = end
        return tuple(self.at[start:end].tolist()), tuple(self.values[start:end].tolist())


def _whole(found: dict[str, Any], times: _Raw, samples: _Raw) -> Record:
    """The Record of a row, with its raw numbers, which come in the order they were written."""
    owner, detail = found["record_id"], json.loads(found["detail"])
    record, lengths = from_dict(detail["record"]), detail["lengths"]
    raw = {kind: times.take(owner, size) for kind, size in lengths["rounds"].items()}
    fields: dict[str, dict[str, Any]] = {"timing": {}, "tokens": {}}
    for kind, (part, name) in _TIMES.items():
        fields[part][name] = raw[kind][1] if kind in raw else ()
    fields["timing"]["started_ns"] = raw["round"][0][: lengths["started"]] if "round" in raw else ()
    gaps = iter(raw["itl"][1] if "itl" in raw else ())
    fields["tokens"]["itl_seconds"] = tuple(tuple(islice(gaps, size)) for size in lengths["itl"])
    return replace(
        record,
        environment=json.loads(found["environment"]),
        timing=record.timing and replace(record.timing, **fields["timing"]),
        tokens=record.tokens and replace(record.tokens, **fields["tokens"]),
        samples=tuple(
            Series(sampler, name, unit, *samples.take(owner, size)) for sampler, name, unit, size in lengths["samples"]
        ),
    )
