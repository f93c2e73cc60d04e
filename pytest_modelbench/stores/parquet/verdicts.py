"""What the gate said, a file a session: one row a Verdict, the rest of the Verdicts as JSON in the file's metadata."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...verdict import Verdict, Verdicts
from .layout import read, texts, write

#: Key of the metadata that holds all of the Verdicts but its rows.
REST_KEY = b"modelbench.verdicts"
_TYPES = {"int": int, "float": float, "bool": bool}


def write_verdicts(path: Path, verdicts: Verdicts) -> None:
    """Write one file, in the place of one that is there: a session has one."""
    import pyarrow as pa

    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    columns = {}
    for found in fields(Verdict):
        kind = _TYPES.get(str(found.type).partition(" ")[0])
        values = [getattr(verdict, found.name) for verdict in verdicts]
        columns[found.name] = texts(values) if kind is None else pa.array(values, types[kind])
    rest = {name: value for name, value in vars(verdicts).items() if name != "verdicts"}
    write(path, pa.table(columns), metadata={REST_KEY: json.dumps(rest).encode()})


def read_verdicts(path: Path) -> Verdicts:
    """The Verdicts of one file. Raises StoreError that names one that cannot be read."""
    table = read(path, None)
    rest: dict[str, Any] = json.loads(table.schema.metadata[REST_KEY])
    rest["changed"] = {fact: (before, after) for fact, (before, after) in rest["changed"].items()}
    rest["notes"] = tuple(rest["notes"])
    return Verdicts(tuple(Verdict(**found) for found in table.to_pylist()), **rest)
