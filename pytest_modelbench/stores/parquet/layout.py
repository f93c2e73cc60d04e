"""How the files are laid out: which raw number is which, and one file written and read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...files import whole_file
from ...record import SCHEMA

#: Key of the files' metadata that holds the Record's schema version.
SCHEMA_KEY = b"modelbench.schema"
#: Kind of a raw number -> the part of a Record and its field, one number a round.
TIMES = {
    "round": ("timing", "rounds_seconds"),
    "device_round": ("timing", "device_seconds"),
    "ttft": ("tokens", "ttft_seconds"),
    "ttft_device": ("tokens", "ttft_device_seconds"),
    "e2el": ("tokens", "e2el_seconds"),
}
KINDS = [*TIMES, "itl"]
#: Columns of `records` that are no part of `summary.row`.
_NOT_FLAT = {"environment", "detail"}


def file_word(text: str) -> str:
    """`text` as part of a file name: a UTC time without its colons still sorts by time."""
    return "".join(c for c in text if c.isascii() and (c.isalnum() or c in "._")) or "unknown"


def texts(values: Collection[str | None]) -> Any:
    """A column of text. Parquet holds valid UTF-8 only: what a file name smuggled in is escaped (`detail` keeps it)."""
    import pyarrow as pa

    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value and value.encode("utf-8", "backslashreplace") for value in values]).cast(pa.string())


def write(path: Path, table: Any, raw: bool = False, metadata: dict[bytes, bytes] | None = None) -> None:
    """Write one file whole or not at all; `raw` is one of numbers of full entropy."""
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata({SCHEMA_KEY: str(SCHEMA).encode(), **(metadata or {})})
    # numbers of full entropy do not repeat: their bytes by place, and steps between times, are what compresses
    plain = {"round", "index", "seconds", "started_ns"} & set(table.column_names) if raw else set()
    encodings = {name: "BYTE_STREAM_SPLIT" if name == "seconds" else "DELTA_BINARY_PACKED" for name in plain}
    with whole_file(path) as file:
        pq.write_table(
            table, file, compression="zstd", column_encoding=encodings or None,
            use_dictionary=[name for name in table.column_names if name not in plain],
        )  # fmt: skip


def read(path: Path, names: list[str] | None, every: bool = False) -> Any:
    """Columns of one file, or all that are flat, or `every` one; those it lacks are left out.

    Raises StoreError that names a corrupt, newer or missing file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # a file of a session is small: threads and buffering ahead cost twice what they save
        with pq.ParquetFile(path, pre_buffer=False) as file:
            schema = int((file.schema_arrow.metadata or {}).get(SCHEMA_KEY, b"0"))
            if schema > SCHEMA:
                raise StoreError(
                    f"cannot read {path}: schema {schema} is newer than {SCHEMA}; upgrade pytest-modelbench to read it"
                )
            there = file.schema_arrow.names
            names = [name for name in there if every or name not in _NOT_FLAT] if names is None else names
            return file.read(columns=[name for name in names if name in there], use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"cannot read {path}: {reason}; move it away or restore it") from error
