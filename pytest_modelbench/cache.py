"""Cache: what is made once and kept between sessions (converted weights, exports), keyed by content.

It lives in `$PYTEST_MODELBENCH_CACHE`, else `$XDG_CACHE_HOME/pytest-modelbench`, else `~/.cache/pytest-modelbench`;
deleting it costs time, never correctness.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any


def folder() -> Path:
    """Where made things are kept."""
    if own := os.environ.get("PYTEST_MODELBENCH_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pytest-modelbench"


def key(*parts: Any) -> str:
    """A short digest of plain values (and of bytes digested before, see `file_digest`), the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:20]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# Chosen here: what is read in a few seconds. A larger model is told from another by its ends and sizes.
_WHOLE_BYTES, _END_BYTES = 4 << 30, 1 << 20


def content_digest(paths: Iterable[Path]) -> str:
    """What files hold, as `sha256:...`; over 4 GiB only each one's size, first and last MiB: `ends-sha256:...`."""
    sizes = {path: path.stat().st_size for path in paths}
    if sum(sizes.values()) <= _WHOLE_BYTES:
        return "sha256:" + key(*(file_digest(path) for path in sizes))
    return "ends-sha256:" + key(*((size, _ends(path, size)) for path, size in sizes.items()))


def _ends(path: Path, size: int) -> str:
    with path.open("rb") as file:
        first = file.read(_END_BYTES)
        file.seek(max(size - _END_BYTES, 0))
        return bytes_digest([first, file.read(_END_BYTES)])


def bytes_digest(chunks: Iterable[Any]) -> str:
    """The SHA-256 of buffers, in their order."""
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def made_once(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder `kind/key`, made by `make(folder)` unless it is there.

    It appears whole or not at all: made beside its place and renamed. Other processes wait for the one that makes it.
    """
    from filelock import FileLock

    place = folder() / kind / key
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        if place.is_dir():  # made while we waited
            return place
        unfinished = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=place.parent))
        try:
            make(unfinished)
            unfinished.chmod(0o755)  # mkdtemp's is for its owner alone; a cache may be shared
            unfinished.rename(place)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return place
