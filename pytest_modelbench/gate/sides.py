"""Sides: what `--bench-against` compares this code with, and where each side's code lies.

A git ref becomes a worktree in the temporary folder, made here and removed when the block ends; a folder is used as it
is; `variant:NAME` is the same code, run another way. The other side's modules come before those of an editable install,
because its root (or its `src`) leads its path.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from ..errors import UsageError

_PREFIX, _LOCK = "modelbench-base-", "in-use.lock"
# A hook's variables would lead git to another repository.
_MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


@dataclass(frozen=True)
class Against:
    """What to compare with, checked: it is there, though whether it runs is seen when it runs."""

    #: As it was asked for, and as reports say it: "main (a1b2c3d)".
    asked: str
    said: str
    kind: Literal["ref", "folder", "variant"]
    #: The whole hash, the folder, or the variant's name.
    place: str


def against(asked: str, root: Path) -> Against:
    """What a text names, in the project at `root`. Raises UsageError for what is not there, saying what to do."""
    kind, separator, name = asked.partition(":")
    if separator and kind == "variant":
        if not name:
            raise UsageError("--bench-against variant: names no variant; write variant:eager")
        return Against(asked, asked, "variant", name)
    if (commit := _commit(asked, root)) is not None:
        short = commit[:7]
        return Against(asked, asked if asked.startswith(short) else f"{asked} ({short})", "ref", commit)
    folder = Path(asked).expanduser()
    if folder.is_dir():
        return Against(asked, asked, "folder", str(folder.resolve()))
    raise UsageError(_not_there(asked, root))


def project_root(folder: Path) -> Path:
    """The git repository that holds a folder. Raises UsageError where none does."""
    if not (root := _git(folder, "rev-parse", "--show-toplevel")):
        raise UsageError(f"{folder} is in no git repository")
    return Path(root)


def itself(root: Path) -> Against:
    """This code on both sides."""
    return Against("itself", "itself", "folder", str(root))


def dirty(root: Path) -> bool:
    """Whether files that git follows differ from the commit: they are compared as they are."""
    return bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


def head_name(root: Path) -> str:
    """The commit that is checked out, short; "this code" outside git."""
    return _git(root, "rev-parse", "--short=7", "HEAD") or "this code"


@contextmanager
def base_root(base: Against, root: Path) -> Iterator[Path]:
    """The folder of the other side's code, for as long as the block lasts."""
    if base.kind == "variant":
        yield root
    elif base.kind == "folder":
        yield Path(base.place)
    else:
        _forget_the_dead(root)
        from filelock import FileLock

        with tempfile.TemporaryDirectory(prefix=_PREFIX) as parent, FileLock(Path(parent) / _LOCK):
            place = Path(parent).resolve() / root.name
            said = _run(root, "worktree", "add", "--detach", "--force", str(place), base.place)
            if said.returncode:
                raise UsageError(f"--bench-against {base.asked}: no worktree could be made: {_last_line(said.stderr)}")
            try:
                yield place
            finally:
                _run(root, "worktree", "remove", "--force", str(place))
                _run(root, "worktree", "prune")


def moved(path: str, root: Path, to: Path) -> str:
    """A path or argument that lies in `root`, as it is in `to`; what the environment holds stays."""
    inside = path == str(root) or path.startswith(str(root) + os.sep)
    if root == to or not inside or path.startswith(sys.prefix + os.sep):
        return path
    return str(to) + path[len(str(root)) :]


def import_path(path: Sequence[str], root: Path, to: Path) -> list[str]:
    """sys.path of a side: its own root, or `src`, before whatever an editable install leads to."""
    first = to / "src" if (to / "src").is_dir() else to
    found = [str(first), *(moved(entry, root, to) for entry in path if entry)]
    return list(dict.fromkeys(found))


# -- git


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {k: v for k, v in os.environ.items() if k not in _MISLEADING}
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True, text=True, errors="replace", check=False,
            env=variables | {"LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed")


def _git(root: Path, *arguments: str) -> str:
    """What git says, or nothing where it fails."""
    said = _run(root, *arguments)
    return said.stdout.strip() if said.returncode == 0 else ""


def _commit(asked: str, root: Path) -> str | None:
    return (
        None if asked.startswith("-") else _git(root, "rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}") or None
    )


def _not_there(asked: str, root: Path) -> str:
    """Why a text names nothing, and what to do about it."""
    where = f"--bench-against {asked}: "
    if not _git(root, "rev-parse", "--git-dir"):
        return f"{where}no such folder, and {root} is in no git repository; give a folder or variant:NAME"
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        name = re.split(r"[~^@]", asked)[0].removeprefix("origin/")
        fetch = (
            "git fetch --unshallow" if name in ("", "HEAD") or name != asked else f"git fetch --depth=1 origin {name}"
        )
        then = f" && git branch {name} FETCH_HEAD" if "--depth" in fetch else ""
        return f"{where}no such commit in this shallow clone; run: {fetch}{then}"
    refs = _git(root, "for-each-ref", "--format=%(refname:short)").splitlines()
    near = [ref for ref in refs if ref.endswith(f"/{asked}")] or get_close_matches(asked, refs, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{where}no such git ref or folder{hint} (give a git ref, a folder, or variant:NAME)"


def _forget_the_dead(root: Path) -> None:
    """Remove worktrees of sessions that were killed and could not do it: their locks are free."""
    from filelock import FileLock, Timeout

    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(Timeout, PermissionError), FileLock(lock, blocking=False):
            shutil.rmtree(lock.parent, ignore_errors=True)
    _run(root, "worktree", "prune")


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "git gave no reason")
