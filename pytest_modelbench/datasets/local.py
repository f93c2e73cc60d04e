"""Local: columns of a csv, json, jsonl or parquet file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import file_digest
from ..errors import UsageError
from .table import Table

if TYPE_CHECKING:
    from ..source import Source


def read(source: Source) -> Table:
    """The columns of a file, and its digest as revision. Raises UsageError for what is not there or cannot be read."""
    path = Path(source.place).expanduser()
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "not there"
        raise UsageError(f"dataset {source.text!r} is {what}: {path.absolute()}; paths start where pytest was started")
    if source.part:
        raise UsageError(f"dataset {source.text!r}: a file has no parts; leave #{source.part} out")
    if path.suffix not in FILES:
        raise UsageError(
            f"dataset {source.text!r}: cannot read {path.suffix or 'a file without ending'}; use {', '.join(FILES)}"
        )
    try:
        columns = FILES[path.suffix](path)
    except (ValueError, csv.Error) as error:  # pyarrow's errors, JSON's and Unicode's are ValueErrors
        raise UsageError(f"dataset {source.text!r}: {path.name} is not {path.suffix[1:]} ({error})") from error
    return Table(columns, revision=f"sha256:{file_digest(path)}")


def _csv(path: Path) -> dict[str, list[Any]]:
    """Columns of text; one in which every cell is a plainly written whole number holds numbers (labels do).

    Read without pyarrow, whose guesses turn `007` into 7 and dates into timestamps.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        names = next(lines, [])
        if len(set(names)) < len(names):
            raise ValueError(f"two columns have one name in {', '.join(names)}")
        rows = []
        for row in lines:
            if row and len(row) != len(names):
                raise ValueError(f"line {lines.line_num} has {len(row)} cells, the header {len(names)}")
            rows += [row] if row else []
    return {name: _numbers([row[at] for row in rows]) for at, name in enumerate(names)}


def _numbers(cells: list[str]) -> list[Any]:
    return [int(cell) for cell in cells] if all(re.fullmatch("0|-?[1-9][0-9]*", cell) for cell in cells) else cells


def _json(path: Path) -> dict[str, list[Any]]:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list):
        raise ValueError("it holds no list of objects")  # noqa: TRY004  a fault of the file, as the others are
    return _columns(rows)


def _json_lines(path: Path) -> dict[str, list[Any]]:
    lines = path.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: a JSON text may hold U+2028
    return _columns([json.loads(line) for line in lines if line.strip()])


def _columns(rows: list[Any]) -> dict[str, list[Any]]:
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"row {at + 1} is no object: {str(row)[:40]}")  # noqa: TRY004
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _parquet(path: Path) -> dict[str, list[Any]]:
    from pyarrow import parquet

    columns: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
    return columns


FILES: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
