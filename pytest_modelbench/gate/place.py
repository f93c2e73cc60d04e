"""Place: where stored Records are read from for a comparison - a store, a folder, a file, or a commit of git.

`git:REF` are Records that were committed, in `reports/baseline` unless a folder is named: `git:main:results/baseline`.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from weakref import finalize

from ..catalog import Catalog
from ..errors import StoreError, UsageError
from ..places import split
from ..record import Record
from ..summary import row
from .stored import COLUMNS, Baseline

GIT = "git"
#: Where a team commits its baseline.
USUAL = Path("reports/baseline")
_SECONDS = 60  # chosen here: an archive of a few megabytes, from a cold disk

Row = Mapping[str, Any]


def baseline_at(text: str, *, root: Path, catalog: Catalog | None = None, suite: int = 1) -> Baseline:
    """The baseline that `text` means; a place where nothing is yet is an empty one.

    Raises UsageError for a ref that git does not know, UnknownName for a kind of store, StoreError for a file that
    cannot be read.
    """
    sessions, slim = opened(text, root, catalog)
    return Baseline(sessions, slim, text, suite)


def opened(
    text: str, root: Path, catalog: Catalog | None = None
) -> tuple[Iterator[Sequence[Row]], Callable[[Row], Record]]:
    """Rows of stored sessions, the newest first, and what finds the Record of a row."""
    kind, place = split(text, "parquet")
    if kind == GIT:
        ref, _, folder = place.partition(":")
        kept = Path(tempfile.mkdtemp(prefix="modelbench-baseline-"))
        store = (catalog or Catalog()).find("store", "parquet")(kept)
        finalize(store, shutil.rmtree, kept, ignore_errors=True)  # when nobody reads it any more
        _of_commit(ref, Path(folder) if folder else USUAL, root, kept)
    else:
        store = (catalog or Catalog()).find("store", kind, where=repr(text))(Path(place))
    if hasattr(store, "newest_first"):
        return store.newest_first(columns=COLUMNS), store.slim
    return _of_records(store)


def _of_records(store: Any) -> tuple[Iterator[Sequence[Row]], Callable[[Row], Record]]:
    """Of a store that only gives whole Records: read once, all of it."""
    place = getattr(store, "place", None)
    records = [] if isinstance(place, Path) and not place.exists() else list(store.records())
    known = {record.record_id: record for record in records}
    rows = sorted((row(record) for record in records), key=lambda found: (found["started_utc"], found["session"]))
    sessions = [list(of_session) for _, of_session in groupby(rows, key=lambda found: found["session"])]
    return reversed(sessions), lambda found: known[found["record_id"]]


# -- git


def _of_commit(ref: str, folder: Path, root: Path, to: Path) -> None:
    """Write the files of Records that a commit has in `folder` to another one; nothing where it has none."""
    if not _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"):
        raise UsageError(_unknown(ref, root))
    inside = f"{folder.as_posix()}/records"
    if not _git(root, "ls-tree", "--full-tree", ref, "--", inside):
        return
    with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", f"{ref}:{folder.as_posix()}"))) as files:
        files.extractall(to, filter="data")
    first = next(to.glob("records/*.parquet"), None)
    if first is not None and first.read_bytes()[:11] == b"version htt":
        raise StoreError(
            f"git:{ref}: its Records are pointers of Git LFS, not files; run git lfs pull, and give a folder"
        )


def _unknown(ref: str, root: Path) -> str:
    if _git(root, "rev-parse", "--is-inside-work-tree") != b"true\n":
        return f"git:{ref}: {root} is no git repository; give a folder or a store"
    if _git(root, "rev-parse", "--is-shallow-repository") == b"true\n":
        return f"git:{ref}: no such commit in this shallow clone; run: git fetch {_fetched(ref)}"
    return f"git:{ref}: git knows no such commit; git branch --all and git tag list the names"


def _fetched(ref: str) -> str:
    """What to fetch so that a clone has `ref`: a branch or tag alone, or all where it is so many commits before one."""
    if ref.startswith("origin/"):
        return f"--depth=1 origin {ref.removeprefix('origin/')}:refs/remotes/{ref}"
    return f"--depth=1 origin {ref}:{ref}" if re.fullmatch(r"[\w./-]+", ref) and ref != "HEAD" else "--unshallow"


def _git(root: Path, *arguments: str) -> bytes:
    """What git says; nothing where it fails. Raises UsageError where git is not there or takes too long."""
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, timeout=_SECONDS, check=False
        ).stdout
    except FileNotFoundError:
        raise UsageError("git: places of git need git, which is not installed; give a folder or a store") from None
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"git took more than {_SECONDS} s for {' '.join(arguments)}; give a folder or a store"
        ) from None
