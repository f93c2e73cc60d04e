"""Formats: columns of a csv, json, jsonl, parquet, arrow or text file, given as its bytes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any

from ..errors import UsageError
from .table import Table

if TYPE_CHECKING:
    from ..source import Source

#: How a text is cut into rows.
SAMPLE_BY = ("line", "paragraph", "document")


def read(file: IO[bytes], name: str, revision: str, source: Source) -> Table:
    """The columns of an open file. Raises UsageError for an ending that is none of FILES, or for other content."""
    ending = ending_of(name, source)
    try:
        columns = FILES[ending](file, source)
    except (ValueError, csv.Error) as error:  # pyarrow's errors, JSON's and Unicode's are ValueErrors
        raise UsageError(f"dataset {source.text!r}: {name} is not {ending[1:]} ({error})") from error
    return Table(columns, revision, inputs="text" if ending == ".txt" else "inputs")


def ending_of(name: str, source: Source) -> str:
    """`.csv` of `q.csv`. Raises UsageError for one that nothing reads."""
    ending = re.search(r"\.\w+$", name)
    if ending is None or ending[0].lower() not in FILES:
        shown = ending[0] if ending else "a file without ending"
        raise UsageError(f"dataset {source.text!r}: cannot read {shown}; use {', '.join(FILES)}")
    return ending[0].lower()


def options_of(name: str) -> tuple[str, ...]:
    """The options that the reading of a file takes, by its name."""
    return ("sample_by",) if name.lower().endswith(".txt") else ()


def _csv(file: IO[bytes], source: Source) -> dict[str, list[Any]]:
    """Columns of text; one in which every cell is a plainly written whole number holds numbers (labels do).

    Read without pyarrow, whose guesses turn `007` into 7 and dates into timestamps.
    """
    with TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text, strict=True)
        names = checked_names(next(lines, []))
        rows = [checked_row(row, names, lines.line_num) for row in lines if row]
    return {name: _numbers([row[at] for row in rows]) for at, name in enumerate(names)}


PLAIN_NUMBER = re.compile("0|-?[1-9][0-9]*")


def checked_names(names: list[str]) -> list[str]:
    """The header of a csv file. Raises ValueError for a name that stands twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"two columns have one name in {', '.join(names)}")
    return names


def checked_row(row: list[str], names: list[str], line: int) -> list[str]:
    """A row of a csv file. Raises ValueError for one of another length than the header."""
    if len(row) != len(names):
        raise ValueError(f"line {line} has {len(row)} cells, the header {len(names)}")
    return row


def _numbers(cells: list[str]) -> list[Any]:
    return [int(cell) for cell in cells] if all(map(PLAIN_NUMBER.fullmatch, cells)) else cells


def _json(file: IO[bytes], source: Source) -> dict[str, list[Any]]:
    rows = json.loads(file.read().decode("utf-8-sig"))
    if not isinstance(rows, list):
        raise ValueError("it holds no list of objects")  # noqa: TRY004  a fault of the file, as the others are
    return _columns(rows)


def _json_lines(file: IO[bytes], source: Source) -> dict[str, list[Any]]:
    lines = file.read().decode("utf-8-sig").split("\n")  # not splitlines: a JSON text may hold U+2028
    return _columns([json.loads(line) for line in lines if line.strip()])


def _columns(rows: list[Any]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for at, row in enumerate(rows) for name in checked_object(row, at + 1))
    return {name: [row.get(name) for row in rows] for name in names}


def checked_object(row: Any, number: int) -> dict[str, Any]:
    """A row of a JSON file. Raises ValueError for one that is no object."""
    if not isinstance(row, dict):
        raise ValueError(f"row {number} is no object: {str(row)[:40]}")  # noqa: TRY004
    return row


def _parquet(file: IO[bytes], source: Source) -> dict[str, list[Any]]:
    from pyarrow import parquet

    columns: dict[str, list[Any]] = parquet.read_table(file).to_pydict()
    return columns


def _arrow(file: IO[bytes], source: Source) -> dict[str, list[Any]]:
    import pyarrow

    columns: dict[str, list[Any]] = arrow_table(pyarrow.BufferReader(file.read())).to_pydict()
    return columns


def arrow_table(content: Any) -> Any:
    """A table in Arrow's file format, or in its stream format, which `datasets` writes."""
    import pyarrow

    try:
        return pyarrow.ipc.open_file(content).read_all()
    except pyarrow.ArrowInvalid:
        content.seek(0)
        return pyarrow.ipc.open_stream(content).read_all()


def _text(file: IO[bytes], source: Source) -> dict[str, list[Any]]:
    """Lines, paragraphs (between empty lines) or the whole, as the option `sample_by` says; empty ones are left out."""
    return {"text": samples(file.read().decode("utf-8-sig"), source)}


def samples(text: str, source: Source, usual: str = "line") -> list[str]:
    """A text in pieces, as the option `sample_by` says."""
    by = source.options.get("sample_by", usual)
    if by not in SAMPLE_BY:
        raise UsageError(f"dataset {source.text!r}: sample_by={by!r} is none of {', '.join(SAMPLE_BY)}")
    text = text.replace("\r\n", "\n")
    pieces = {"line": text.split("\n"), "paragraph": re.split(r"\n(?:[ \t]*\n)+", text), "document": [text]}[by]
    return [piece.strip("\n") for piece in pieces if piece.strip()]


FILES: dict[str, Callable[[IO[bytes], Source], dict[str, list[Any]]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".txt": _text,
}
