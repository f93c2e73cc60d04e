"""Table: what a source holds before columns are chosen, and the reading of a source's numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..source import Source


@dataclass(frozen=True)
class Table:
    """Columns of one length, and which of them are meant when nobody says."""

    columns: Mapping[str, Sequence[Any]]
    #: Package version, file digest or commit.
    revision: str | None = None
    inputs: str = "inputs"
    references: str = "references"
    #: The first rows that the source itself asks for (`#test:100`).
    limit: int | None = None
    #: The split that was read, where the source does not name it.
    split: str | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise UsageError(f"a dataset's columns differ in length: {lengths}")


@dataclass(frozen=True)
class Part:
    """One thing that can be asked for, what reads it, and the options that takes."""

    read: Callable[[Source], Table]
    takes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """A picture or a sound as the bytes of its file, which are what is pinned: decoders differ between machines."""

    content: bytes | Path
    decode: Callable[[bytes], Any]
    #: What the decoding was asked for, where that changes the value.
    asked: str = ""

    @property
    def file_bytes(self) -> bytes:
        """The file as it is."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content

    @property
    def value(self) -> Any:
        """The decoded picture or sound."""
        return self.decode(self.file_bytes)

    @property
    def digest(self) -> str:
        """Of the file's bytes and what the decoding was asked for."""
        return sha256(self.file_bytes).hexdigest() + self.asked


class Mapped(Sequence[Any]):
    """A column whose values are made of another one's when they are asked for."""

    def __init__(self, f: Callable[[Any], Any], column: Sequence[Any]) -> None:
        self.f, self.column = f, column

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, at: Any) -> Any:
        return [self.f(value) for value in self.column[at]] if isinstance(at, slice) else self.f(self.column[at])

    def __iter__(self) -> Iterator[Any]:
        return map(self.f, self.column)


def whole(value: Any, name: str, least: int, source: Source) -> int:
    """A whole number of at least `least`, from a mark or from the source's text."""
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]+", text) or int(text) < least:
        raise UsageError(f"dataset {source.text!r}: {name}={value!r} is not a whole number of at least {least}")
    return int(text)


def streams(source: Source) -> bool:
    """Whether values are to be read when they are asked for (`stream=true`), and not held."""
    text = str(source.options.get("stream", "false")).lower()
    if text not in ("true", "false", "1", "0"):
        raise UsageError(f"dataset {source.text!r}: stream={source.options['stream']!r} is neither true nor false")
    return text in ("true", "1")
