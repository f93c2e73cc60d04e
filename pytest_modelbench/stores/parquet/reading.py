"""Records and rows out of tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ...record import Record, Series, from_dict
from .layout import TIMES, read


def rows_of(path: Path, keys: set[str] | None, columns: Sequence[str] | None) -> list[dict[str, Any]]:
    """Rows of one file. Of pyarrow's ways to dicts, whole columns at once is the quickest: 1 ms a thousand rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read(path, None if columns is None else [*dict.fromkeys(["key", *columns])])
    if keys is not None and not keys >= set(table["key"].to_pylist()):
        table = table.filter(pc.is_in(table["key"], pa.array(sorted(keys), pa.string())))
    names = table.column_names
    values = zip(*(column.to_pylist() for column in table.columns), strict=True)
    found = [dict(zip(names, of_row, strict=True)) for of_row in values]
    lacking = dict.fromkeys(column for column in columns or () if column not in names)
    return [of_row | lacking for of_row in found] if lacking else found


class Raw:
    """The raw numbers of one file, handed out in the order they were written."""

    def __init__(self, path: Path, at: str, value: str) -> None:
        import pyarrow.compute as pc

        table = read(path, ["record_id", at, value]).combine_chunks()
        self.owners, self.taken = table["record_id"], 0
        self.at, self.values = pc.fill_null(table[at], 0).to_numpy(), table[value].to_numpy()

    def take(self, owner: str, size: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """The next `size` times and values, which must be those of `owner`."""
        start, end = self.taken, self.taken + size
        if size and (end > len(self.values) or {self.owners[i].as_py() for i in (start, end - 1)} != {owner}):
            raise ValueError(f"the raw numbers of {owner} are not where its row says")
        self.taken = end
        return tuple(self.at[start:end].tolist()), tuple(self.values[start:end].tolist())


def whole(found: dict[str, Any], times: Raw, samples: Raw) -> Record:
    """The Record of a row, with its raw numbers, which come in the order they were written."""
    owner, detail = found["record_id"], json.loads(found["detail"])
    record, lengths = from_dict(detail["record"]), detail["lengths"]
    raw = {kind: times.take(owner, size) for kind, size in lengths["rounds"].items()}
    fields: dict[str, dict[str, Any]] = {"timing": {}, "tokens": {}}
    for kind, (part, name) in TIMES.items():
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
