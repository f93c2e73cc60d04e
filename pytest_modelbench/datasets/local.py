"""Local: a file of columns, or a folder as `datasets` reads one (images, sounds, splits)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..cache import file_digest
from ..errors import UsageError
from . import formats, hub, lazy, sounds
from .table import Table, streams

if TYPE_CHECKING:
    from ..source import Source


def read(source: Source) -> Table:
    """The columns of a file, with its digest as revision, or of a folder's split.

    Raises UsageError for what is not there or cannot be read.
    """
    path = Path(source.place).expanduser()
    if path.is_dir():
        return sounds.read(path, source) if sounds.found_in(path) else hub.read_folder(path, source)
    if not path.is_file():
        raise UsageError(
            f"dataset {source.text!r} is not there: {path.absolute()}; paths start where pytest was started"
        )
    if source.part:
        raise UsageError(f"dataset {source.text!r}: a file has no parts; leave #{source.part} out")
    formats.ending_of(path.name, source)  # before a large file is digested
    revision = f"sha256:{file_digest(path)}"
    if streams(source):
        return lazy.read(path, revision, source)
    with path.open("rb") as file:
        return formats.read(file, path.name, revision, source)


def options_of(source: Source) -> tuple[str, ...]:
    """What a local source takes beside what all take."""
    path = Path(source.place).expanduser()
    return hub.OPTIONS if path.is_dir() else formats.options_of(path.name)
