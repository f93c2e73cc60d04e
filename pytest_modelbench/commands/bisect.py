"""Find the commit that made a bench slower: git bisect, each step judged by pairs against the good commit.

First BAD is compared with GOOD; the bench that became slowest is followed. A commit is bad where that bench is slower
than at GOOD by more than half of that change. Where the gate cannot tell, more pairs are played; a commit that cannot
be judged is skipped. Everything happens in a worktree: your checkout is left alone.

  modelbench bisect v1.2 main -- benches/ -k llama
  modelbench bisect HEAD~20 HEAD --limit 3% -- benches/bench_llama.py
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..gate.limits import parse_fail
from ..gate.pairs import MOST_PAIRS
from ..gate.sides import against, base_root, moved, project_root
from . import say

# Chosen here: what thirty pairs leave open, sixty will too.
_PAIRS = (MOST_PAIRS, 2 * MOST_PAIRS)
#: git's word for what the gate says of a commit.
_WORDS = {"slower": "bad", "same": "good", "faster": "good"}


@dataclass(frozen=True)
class _Judged:
    """What a comparison said of one bench."""

    word: str
    change: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """GOOD, BAD, --limit, and after -- what pytest is given."""
    parser.add_argument("good", metavar="GOOD", help="a commit that is fast enough")
    parser.add_argument("bad", metavar="BAD", help="a later one that is slower")
    parser.add_argument("--limit", default="5%", metavar="LIMIT", help="what counts as slower at BAD (5%%)")
    parser.usage = "modelbench bisect [-h] [--limit LIMIT] GOOD BAD [-- PATH_OR_OPTION_OF_PYTEST ...]"
    parser.set_defaults(rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Compare the ends, then bisect between them."""
    parse_fail(arguments.limit)
    here = Path.cwd()
    root = project_root(here)
    good, bad = (against(name, root) for name in (arguments.good, arguments.bad))
    if {good.kind, bad.kind} != {"ref"}:
        raise UsageError("bisect takes commits: a git ref for GOOD, and one for BAD")
    with base_root(bad, root) as tree:
        folder = Path(moved(str(here), root, tree))
        ends = _compare(folder, good.place, arguments.limit, arguments.rest, MOST_PAIRS)
        slower = {name: found for name, found in ends.items() if found.word == "slower"}
        if not slower:
            said = ", ".join(f"{name}: {found.word}" for name, found in ends.items()) or "no bench ran"
            raise UsageError(
                f"{bad.said} is not slower than {good.said} by more than {arguments.limit} ({said}): nothing to find"
            )
        name = max(slower, key=lambda name: slower[name].change)
        say(f"{name}: {slower[name].change:+.1%} from {good.said} to {bad.said}; a commit is bad above half of that")
        limit = f"{max(slower[name].change / 2, 0.001):.1%}".replace(" ", "")
        return _bisect(tree, folder, (good.place, bad.place), limit, name, arguments.rest)


def _bisect(tree: Path, folder: Path, ends: tuple[str, str], limit: str, name: str, asked: Sequence[str]) -> int:
    good, bad = ends
    answer = _git(tree, "bisect", "start", bad, good)
    try:
        while "is the first bad commit" not in answer and "only 'skip'ped commits" not in answer:
            commit = _git(tree, "log", "-1", "--format=%h %s")
            word = _judge(folder, good, limit, name, asked)
            say(f"{word:4}  {commit}")
            answer = _git(tree, "bisect", word)
    finally:
        _git(tree, "bisect", "reset")
    if "is the first bad commit" not in answer:
        raise UsageError(f"the commits that are left cannot be judged:\n{answer.strip()}")
    first = re.search(r"([0-9a-f]{40}) is the first bad commit", answer)
    say(
        "first bad commit: "
        + _git(tree, "log", "-1", "--format=%h %an, %as: %s", first[1] if first else "HEAD").strip()
    )
    return 0


def _judge(folder: Path, good: str, limit: str, name: str, asked: Sequence[str]) -> str:
    """git's word for the commit that is checked out."""
    for pairs in _PAIRS:
        found = _compare(folder, good, limit, asked, pairs).get(name)
        word = found.word if found else "missing"
        if word != "unclear":
            return _WORDS.get(word, "skip")
    return "skip"


def _compare(folder: Path, good: str, limit: str, asked: Sequence[str], pairs: int) -> dict[str, _Judged]:
    """What a session says of the time of each bench; nothing where it could not run."""
    if not folder.is_dir():
        return {}
    with tempfile.TemporaryDirectory(prefix="modelbench-bisect-") as place:
        said = Path(place) / "junit.xml"
        command = [
            sys.executable, "-m", "pytest", *asked, f"--bench-against={good}", f"--bench-fail={limit}",
            f"--bench-pairs={pairs}", f"--junit-xml={said}", "-p", "no:cacheprovider", "-q",
            f"--bench-store=parquet:{place}/data", f"--bench-report=html:{place}/report.html",
        ]  # fmt: skip
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        if ran.returncode not in (0, 1) or not said.exists():
            say("      " + next(reversed((ran.stderr + ran.stdout).strip().splitlines()), "pytest said nothing"))
            return {}
        return dict(_of_case(case) for case in ET.parse(said).iter("testcase"))


def _of_case(case: ET.Element) -> tuple[str, _Judged]:
    told = {element.get("name", ""): element.get("value", "") for element in case.iter("property")}
    word = told.get("modelbench.verdict.seconds", "invalid")
    change = float(told.get("modelbench.verdict.seconds.change", 0))
    return f"{case.get('classname')}::{case.get('name')}", _Judged(word, change)


def _git(tree: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=False)
    # git says that only skipped commits are left with status 2
    if ran.returncode and "only 'skip'ped commits" not in ran.stdout:
        raise UsageError(f"git {' '.join(arguments)}: {ran.stderr.strip() or ran.stdout.strip()}")
    return ran.stdout
