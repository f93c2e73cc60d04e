"""Tables out of Records: one flat row a bench, one row a raw number, one row a reading."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from ...phases import phases, spans
from ...record import Record, TokenTimes
from ...summary import column_type, row
from .layout import KINDS, TIMES, texts

#: Part of a Record -> its fields that stand in other columns and files.
_WITHOUT: dict[str, dict[str, Any]] = {
    "record": {"environment": {}, "samples": ()},
    "timing": {"rounds_seconds": (), "started_ns": (), "device_seconds": ()},
    "tokens": {"ttft_seconds": (), "itl_seconds": (), "e2el_seconds": (), "ttft_device_seconds": ()},
}


def records_table(records: Sequence[Record]) -> Any:
    """One flat row a Record, and what else it is read back from as JSON."""
    import pyarrow as pa

    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    rows = [row(record) for record in records]
    columns = {}
    for name in dict.fromkeys(chain.from_iterable(rows)):
        values, kind = [found.get(name) for found in rows], column_type(name)
        columns[name] = texts(values) if kind is str else pa.array(values, types[kind])
    columns["environment"] = _environments(records)
    columns["detail"] = texts([_detail(record) for record in records])
    return pa.table(columns)


def _environments(records: Sequence[Record]) -> Any:
    """The environments as JSON, each written once: they are large, and mostly one a session."""
    import pyarrow as pa

    seen: list[dict[str, Any]] = []
    indices = []
    for record in records:
        if record.environment not in seen[-1:]:
            seen.append(record.environment)
        indices.append(len(seen) - 1)
    return texts([json.dumps(environment) for environment in seen]).take(pa.array(indices, pa.int32()))


def _detail(record: Record) -> str:
    """The Record as JSON, without what the other columns and files hold."""
    timing, tokens = record.timing, record.tokens
    # the fields of a dataclass are its variables; json walks them ten times as fast as `to_dict` does
    slim = vars(record) | _WITHOUT["record"]
    slim["timing"] = timing and vars(timing) | _WITHOUT["timing"]
    slim["tokens"] = tokens and vars(tokens) | _WITHOUT["tokens"]
    lengths = {
        "rounds": {kind: len(values) for kind in KINDS if (values := _numbers(record, kind))},
        "itl": [len(gaps) for gaps in tokens.itl_seconds] if tokens else [],
        "started": len(timing.started_ns) if timing else 0,
        "samples": [[series.sampler, series.name, series.unit, len(series.values)] for series in record.samples],
    }
    return json.dumps({"record": slim, "lengths": lengths}, default=vars)


def _numbers(record: Record, kind: str) -> Sequence[float]:
    if kind == "itl":
        return list(chain.from_iterable(record.tokens.itl_seconds)) if record.tokens else ()
    part, name = TIMES[kind]
    found: Sequence[float] = getattr(getattr(record, part), name, ())
    return found


def rounds_table(records: Sequence[Record]) -> Any:
    """A row a timed number."""
    import numpy as np
    import pyarrow as pa

    runs = [(record, kind, values) for record in records for kind in KINDS if (values := _numbers(record, kind))]
    counts = [len(values) for _, _, values in runs]
    starts = [record.timing.started_ns if kind == "round" and record.timing else () for record, kind, _ in runs]
    started = [(begun + (None,) * size)[:size] for begun, size in zip(starts, counts, strict=True)]
    rounds = [_places(record.tokens, kind, size) for (record, kind, _), size in zip(runs, counts, strict=True)]
    empty = [(np.zeros(0, np.int32), np.zeros(0, np.int32))]
    return pa.table(
        {
            **_who(records, [record for record, _, _ in runs], counts),
            "kind": _repeated(KINDS, [KINDS.index(kind) for _, kind, _ in runs], counts),
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


def samples_table(records: Sequence[Record]) -> Any:
    """A row a reading of a sampler."""
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
    return pa.DictionaryArray.from_arrays(np.repeat(indices, counts), texts(distinct))
