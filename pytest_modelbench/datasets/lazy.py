"""Lazy: columns of a local file that are read a piece at a time (`stream=true`), exactly as `formats.py` reads them.

What is kept in memory is where each row begins: eight bytes a row.
"""

from __future__ import annotations

import csv
import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import UsageError
from .formats import PLAIN_NUMBER, arrow_table, checked_names, checked_object, checked_row, ending_of
from .table import Mapped, Table

if TYPE_CHECKING:
    from ..source import Source


def read(path: Path, revision: str, source: Source) -> Table:
    """The columns of a file. Raises UsageError for a format that can only be read whole, or for other content."""
    ending = ending_of(path.name, source)
    if ending not in FILES:
        raise UsageError(
            f"dataset {source.text!r}: {ending} can only be read whole; leave stream out, or write {', '.join(FILES)}"
        )
    try:
        columns = FILES[ending](path)
    except (ValueError, csv.Error) as error:
        raise UsageError(f"dataset {source.text!r}: {path.name} is not {ending[1:]} ({error})") from error
    return Table(columns, revision, inputs="text" if ending == ".txt" else "inputs")


class Rows(Sequence[Any]):
    """Rows of a file by where they begin, each parsed when it is asked for."""

    def __init__(self, path: Path, starts: Sequence[int], parse: Callable[[BinaryIO], Any]) -> None:
        self.path, self.starts, self.parse = path, starts, parse

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        with self.path.open("rb") as file:
            file.seek(self.starts[at])
            return self.parse(file)

    def __iter__(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            for start in self.starts:
                file.seek(start)
                yield self.parse(file)


class Groups(Sequence[Any]):
    """A column of a parquet file, of which one row group is in memory: the one that was last asked for."""

    def __init__(self, path: Path, name: str) -> None:
        from pyarrow.parquet import ParquetFile

        self.path, self.name = path, name
        with ParquetFile(path) as file:
            sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
        #: Where each row group begins, and where the last ends.
        self.starts: list[int] = list(accumulate(sizes, initial=0))
        self._held: tuple[int, list[Any]] = (-1, [])

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        group = bisect_right(self.starts, at) - 1
        if self._held[0] != group:
            from pyarrow.parquet import ParquetFile

            with ParquetFile(self.path) as file:
                self._held = group, file.read_row_group(group, columns=[self.name])[self.name].to_pylist()
        return self._held[1][at - self.starts[group]]


def _csv(path: Path) -> dict[str, Sequence[Any]]:
    starts, end = array("Q"), 0

    def lines(file: BinaryIO) -> Iterator[str]:
        nonlocal end
        for line in file:
            encoding = "utf-8" if end else "utf-8-sig"
            end += len(line)
            yield line.decode(encoding)

    with path.open("rb") as file:
        reader = csv.reader(lines(file), strict=True)
        names, numbers = checked_names(next(reader, [])), None
        start = end
        for row in reader:
            if row:
                checked_row(row, names, reader.line_num)
                plain = [bool(PLAIN_NUMBER.fullmatch(cell)) for cell in row]
                numbers = (
                    plain if numbers is None else [one and other for one, other in zip(numbers, plain, strict=True)]
                )
                starts.append(start)
            start = end
    rows = Rows(path, starts, _csv_row)
    return {
        name: Mapped(partial(_cell, at=at, number=bool(numbers and numbers[at])), rows) for at, name in enumerate(names)
    }


def _csv_row(file: BinaryIO) -> list[str]:
    return next(csv.reader((line.decode("utf-8") for line in file), strict=True))


def _cell(row: list[str], at: int, number: bool) -> Any:
    return int(row[at]) if number else row[at]


def _json_lines(path: Path) -> dict[str, Sequence[Any]]:
    starts, names = array("Q"), dict[str, None]()
    for start, line in _lines(path):
        names |= dict.fromkeys(checked_object(json.loads(line), len(starts) + 1))
        starts.append(start)
    rows = Rows(path, starts, lambda file: json.loads(file.readline().decode("utf-8-sig")))
    return {name: Mapped(partial(_member, name=name), rows) for name in names}


def _member(row: dict[str, Any], name: str) -> Any:
    return row.get(name)


def _text(path: Path) -> dict[str, Sequence[Any]]:
    starts = array("Q", (start for start, _ in _lines(path)))
    return {"text": Rows(path, starts, lambda file: file.readline().decode("utf-8-sig").rstrip("\r\n"))}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Where each line that is not empty begins, and the line."""
    with path.open("rb") as file:
        start = 0
        for line in file:
            text = line.decode("utf-8" if start else "utf-8-sig")
            if text.strip():
                yield start, text
            start += len(line)


def _parquet(path: Path) -> dict[str, Sequence[Any]]:
    from pyarrow import parquet

    return {name: Groups(path, name) for name in parquet.read_schema(path).names}


def _arrow(path: Path) -> dict[str, Sequence[Any]]:
    import pyarrow

    table = arrow_table(pyarrow.memory_map(str(path)))
    return {name: Mapped(lambda value: value.as_py(), table[name]) for name in table.column_names}


FILES: dict[str, Callable[[Path], dict[str, Sequence[Any]]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".txt": _text,
}
