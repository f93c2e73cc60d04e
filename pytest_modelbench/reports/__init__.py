"""Reports: what is written of Results, a file each. Here is how a place says which Records a report is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UnknownName, UsageError
from ..record import Record
from ..source import short
from ..summary import row


def aimed(place: Path | str) -> tuple[Path, dict[str, str]]:
    """`FILE?column=value&...` as a file and what is asked of Records; values stand as they are written.

    >>> aimed("badges/ttft.svg?variant=onnx")[1]
    {'variant': 'onnx'}
    """
    file, _, query = str(place).partition("?")
    asked: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise UsageError(f"{pair!r} in {str(place)!r} is not column=value")
        asked[name] = value
    return Path(file), asked


def chosen(records: Sequence[Record], asked: Mapping[str, str]) -> list[Record]:
    """The Records whose columns or axes are as asked; models and datasets may be given by their short name.

    A bench may be given by its function, with or without `bench_`. Raises UnknownName for a column that no Record has.
    """
    return [record for record in records if all(_is(record, name, value) for name, value in asked.items())]


def _is(record: Record, name: str, wanted: str) -> bool:
    columns = row(record)
    column = name if name in columns else f"axis_{name}"
    if column not in columns and name not in record.axes:
        raise UnknownName("column", name, columns, "the place of a report")
    value = columns.get(column, record.axes.get(name))
    if value is None:
        return wanted == ""
    known = {str(value), short(str(value))}
    return wanted in (known | {title(record), f"bench_{title(record)}"} if name == "bench" else known)


def title(record: Record) -> str:
    """A bench's function without its `bench_`."""
    return record.bench.rpartition("::")[2].removeprefix("bench_")
