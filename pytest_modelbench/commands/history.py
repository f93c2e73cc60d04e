"""Show what a bench measured over stored sessions: where its level changed, and how far it crept since the last tag.

BENCH is a key, or a part of one (`*` stands for anything), or pytest's id. Only sessions of one machine are joined: of
the last one that ran the bench, unless --fingerprint names another.

  modelbench history generate
  modelbench history '*llama*variant=onnx*' --store results/data --last 60
"""

from __future__ import annotations

import argparse
import math
import subprocess
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Any

from ..changepoints import change_points, levels
from ..errors import UsageError
from ..files import repository
from ..gate.prediction import LEAST_SESSIONS, MOST_SESSIONS, predicted
from ..places import rows_at
from ..quantity import cells, text, unit_for, visible
from . import say

_Row = Mapping[str, Any]
#: Newest sessions whose median is compared with a release (chosen here: one spike does not move it).
_NOW = 3
_SECONDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """BENCH, --store, --last, --fingerprint."""
    parser.add_argument(
        "bench", metavar="BENCH", help="a key, or a part of one (* stands for anything), or pytest's id"
    )
    parser.add_argument("--store", metavar="STORE", help="a store as KIND:PLACE, or its folder (reports/data)")
    parser.add_argument("--last", type=int, default=100, metavar="N", help="at most N sessions, the newest (100)")
    parser.add_argument("--fingerprint", metavar="ID", help="of the machine, or its beginning (the last session's)")


def run(arguments: argparse.Namespace) -> int:
    """Print each bench that matches. Raises UsageError where none does."""
    if arguments.last < 1:
        raise UsageError(f"--last {arguments.last}: give a number of sessions, 1 or more")
    rows = [found for found in rows_at(arguments.store) if found["outcome"] == "passed" and found["median_seconds"]]
    named = {str(found["key"]) for found in rows if found["nodeid"] == arguments.bench}
    keys = [key for key in dict.fromkeys(str(found["key"]) for found in rows)
            if (key in named if named else _matches(key, arguments.bench))]  # fmt: skip
    if not keys:
        raise UsageError(f"no stored bench is called {arguments.bench!r}; `modelbench list` prints what there is")
    for number, key in enumerate(keys):
        of_key = [found for found in rows if found["key"] == key and not found["simulated"]] or [
            found for found in rows if found["key"] == key
        ]
        for line in [*([""] if number else []), *_bench(key, of_key, arguments.fingerprint, arguments.last)]:
            say(visible(line))
    return 0


def _matches(key: str, wanted: str) -> bool:
    return wanted in key or fnmatchcase(key, wanted)


def _bench(key: str, rows: Sequence[_Row], fingerprint: str | None, last: int) -> list[str]:
    """The lines of one bench, of one machine, cold or hot as the last session was."""
    wanted = fingerprint or str(rows[-1]["fingerprint"])
    same = [found for found in rows if str(found["fingerprint"]).startswith(wanted)]
    kept = [found for found in same if bool(found["cold"]) == bool(same[-1]["cold"])][-last:]
    if not kept:
        raise UsageError(f"--fingerprint {fingerprint}: {key} has no session of that machine")
    values = [float(found["median_seconds"]) for found in kept]
    changes = change_points(values) if len(values) >= LEAST_SESSIONS else []
    unit = unit_for("seconds", values)
    shown = [text(value, unit) for value in values]
    width = max(map(cells, shown))
    bars = _bars(values)
    lines = [key, f"  {len(kept):,} sessions" + (f" of {len(rows):,}, one machine" if len(kept) < len(rows) else "")]
    for at, (found, value, bar) in enumerate(zip(kept, shown, bars, strict=True)):
        commit = (found["commit"] or "")[:7] + ("+" if found["dirty"] else "")
        mark = f"  {_step(values, changes, at)}" if at in changes else ""
        started = str(found["started_utc"])[:16].replace("T", " ")
        lines.append(f"  {started}  {commit:<8}  {' ' * (width - cells(value))}{value}  {bar}{mark}".rstrip())
    if len(values) < LEAST_SESSIONS:
        return [*lines, f"  under {LEAST_SESSIONS} sessions: no change can be told"]
    return [*lines, *_found(kept, values, changes, unit), *_creep(kept, values)]


def _bars(values: Sequence[float], most: int = 30) -> list[str]:
    """A bar from zero a session: lengths can be compared."""
    return ["#" * max(1, round(most * value / max(values))) for value in values]


def _step(values: Sequence[float], changes: Sequence[int], at: int) -> str:
    parts = levels(values, changes)
    before = next(value for _, end, value in parts if end == at)
    after = next(value for start, _, value in parts if start == at)
    return f"<- {(after / before - 1) * 100:+.1f} %"


def _found(kept: Sequence[_Row], values: Sequence[float], changes: Sequence[int], unit: Any) -> list[str]:
    if not changes:
        return ["  no change of level"]
    lines = []
    for at in changes:
        before, after = kept[at - 1], kept[at]
        between = "..".join((str(found["commit"] or "?"))[:7] for found in (before, after))
        parts = levels(values, changes)
        then = next(value for _, end, value in parts if end == at)
        now = next(value for start, _, value in parts if start == at)
        lines.append(
            f"  changed by {(now / then - 1) * 100:+.1f} % ({text(then, unit)} -> {text(now, unit)}) at "
            f"{str(after['started_utc'])[:10]}, in {between}"
        )
    return lines


# -- creep


def _creep(kept: Sequence[_Row], values: Sequence[float]) -> list[str]:
    """How far the newest sessions are from those up to the last tag."""
    tag, commits = _last_tag()
    if not tag:
        return ["  no creep: the repository has no tag"]
    then = [value for found, value in zip(kept, values, strict=True) if found["commit"] in commits][-MOST_SESSIONS:]
    now = [value for found, value in zip(kept, values, strict=True) if found["commit"] not in commits][-_NOW:]
    seen = predicted(then, median(now), 1) if now and len(then) > 1 else None
    if seen is None:
        return [f"  no creep since {tag}: {len(then)} sessions up to it, {len(now)} after"]
    ends = [math.expm1(seen.change + side * seen.half) * 100 for side in (-1, 1)]
    clear = "" if ends[0] > 0 or ends[1] < 0 else ", which may be none"
    return [
        f"  since {tag}: {math.expm1(seen.change) * 100:+.1f} % (95 % CI {ends[0]:+.1f}..{ends[1]:+.1f} %, "
        f"{seen.sessions} sessions then, the median of {len(now)} now){clear}"
    ]


def _last_tag() -> tuple[str, set[str]]:
    """The newest tag that HEAD comes after, and the commits up to it; nothing without git, a repository or a tag."""
    root = repository(Path.cwd())
    tag = _git(root, "describe", "--tags", "--abbrev=0").strip() if root else ""
    return tag, set(_git(root, "rev-list", tag).split()) if root and tag else set()


def _git(root: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
