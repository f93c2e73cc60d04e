"""Table: what a source holds before columns are chosen, and the reading of a source's numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..source import Source


@dataclass(frozen=True)
class Table:
    """Columns of one length, and which of them are meant when nobody says."""

    columns: Mapping[str, Sequence[Any]]
    #: Package version or file digest.
    revision: str | None = None
    inputs: str = "inputs"
    references: str = "references"

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise UsageError(f"a dataset's columns differ in length: {lengths}")


def whole(value: Any, name: str, least: int, source: Source) -> int:
    """A whole number of at least `least`, from a mark or from the source's text."""
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]+", text) or int(text) < least:
        raise UsageError(f"dataset {source.text!r}: {name}={value!r} is not a whole number of at least {least}")
    return int(text)
