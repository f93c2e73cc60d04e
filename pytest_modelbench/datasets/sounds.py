"""Sounds: a folder of audio files, laid out as `datasets`' audiofolder, which itself needs torchcodec.

Either `metadata.csv` or `metadata.jsonl` says of each `file_name` what else is known (`transcription`), or the folder
that a file stands in is its label. `#part` is a folder in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import content_digest
from ..errors import UsageError
from . import formats, media
from .table import Encoded, Table, whole

if TYPE_CHECKING:
    from ..source import Source

ENDINGS = {".wav", ".flac", ".ogg", ".mp3"}


def found_in(folder: Path) -> list[Path]:
    """The sounds of a folder and of those in it, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)


def read(folder: Path, source: Source) -> Table:
    """A column `audio`, and what metadata or folders say. Raises UsageError for metadata that name no file."""
    folder = folder / (source.part or "").partition(":")[0]
    n = (source.part or "").partition(":")[2]
    files, as_sound = found_in(folder), reader(source)
    if not files:
        raise UsageError(f"dataset {source.text!r}: there is no sound ({', '.join(sorted(ENDINGS))}) in {folder}")
    columns: dict[str, Any] = {}
    metadata = next((path for name in ("metadata.csv", "metadata.jsonl") if (path := folder / name).is_file()), None)
    if metadata is None:
        columns = {"label": [file.parent.name for file in files]} if any(f.parent != folder for f in files) else {}
    else:
        with metadata.open("rb") as file:
            columns = dict(formats.read(file, metadata.name, "", source).columns)
        if "file_name" not in columns:
            raise UsageError(
                f"dataset {source.text!r}: {metadata.name} has no column 'file_name' (it has: {', '.join(columns)})"
            )
        files = [folder / name for name in columns.pop("file_name")]
        if missing := [path.name for path in files if not path.is_file()]:
            raise UsageError(f"dataset {source.text!r}: {metadata.name} names {missing[0]}, which is not there")
    answers = next((name for name in ("transcription", "text", "label") if name in columns), "references")
    limit = whole(n, "n", 1, source) if n else None
    columns = {"audio": [as_sound(file) for file in files], **columns}
    return Table(columns, content_digest(files), "audio", answers, limit)


def reader(source: Source) -> Callable[[bytes | Path], Encoded]:
    """What makes a sound of a file, at the `sampling_rate` that the source asks for."""
    asked = source.options.get("sampling_rate")
    rate = None if asked is None else whole(asked, "sampling_rate", 1, source)
    return partial(Encoded, decode=partial(media.sound, sampling_rate=rate), asked=f"@{rate}" if rate else "")
