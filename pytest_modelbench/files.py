"""Files written whole or not at all, in folders that git does not see; an OSError becomes one line with a remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import StoreError

_REMEDIES = {
    errno.ENOSPC: "free some space, or give another place",
    errno.EDQUOT: "free some space, or give another place",
    errno.EEXIST: "a file stands where a folder is needed; give another place",
    errno.ENOTDIR: "a file stands where a folder is needed; give another place",
    errno.EISDIR: "a folder stands where a file is needed; give another place",
}


@contextmanager
def written_to(place: Path, what: str) -> Iterator[None]:
    """Raise StoreError, one line, for any OSError of the block that writes `what` to `place`."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "make it writable, or give another place")
        raise StoreError(f"cannot write {what} to {place}: {error.strerror or error}; {remedy}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well, and leaves no trace when it does not."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def written_whole(place: Path, content: str | bytes, what: str) -> Path:
    """Write a file in one piece, its folder made; text as UTF-8, what no UTF-8 can say escaped. Gives `place` back."""
    place = Path(place)
    encoded = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    with written_to(place, what):
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(place) as file:
            file.write(encoded)
    return place


def ignored_folder(folder: Path, but: tuple[str, ...] = ()) -> None:
    """Make `folder`, and let git ignore what is written in it, except what `but` names."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / ".gitignore"
    if not mark.exists():
        kept = "".join(f"!/{name}\n" + (f"!/{name}**\n" if name.endswith("/") else "") for name in but)
        mark.write_text("*\n" + kept, encoding="utf-8")


def seen_folder(folder: Path) -> None:
    """Make `folder`, whose files git does see: for what a team commits."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / ".gitignore"
    if not mark.exists():
        mark.write_text("# nothing is ignored here: these files are to be committed\n", encoding="utf-8")


def repository(start: Path) -> Path | None:
    """The git repository that holds `start`: by its `.git`, without running git."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)
