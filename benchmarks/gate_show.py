"""The gate on a repository of two commits: the second makes one of five benches 5 % slower, or changes nothing.

    python -m benchmarks.gate_show --slower 5 --same 20

Each run is `pytest benches/ --bench-against HEAD~1 --bench-fail 3%` as anyone would type it. Printed is how often
exactly the slower bench failed, and how often none did where nothing changed. The slowdown is more work, never sleep.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from .sessions import ROOT

BENCH = """
import pytest
from work import work

@pytest.mark.parametrize("n", range(5))
def bench_work(n, measure):
    measure(work, n)
"""
WORK = """
def work(n):
    return sum(i * i for i in range({turns} if n == 3 else 40_000))
"""
AUTHOR = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
          for what, value in (("NAME", "a developer"), ("EMAIL", "developer@example.org"))}  # fmt: skip


def main() -> None:
    """Run both, and print a line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_show", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--slower", type=int, default=5, help="runs with a slower bench (5)")
    parser.add_argument("--same", type=int, default=20, help="runs without a change (20)")
    asked = parser.parse_args()
    for what, turns, runs, wanted in (("5 % slower", 42_000, asked.slower, ["bench_work[3]"]),
                                      ("no change", 40_000, asked.same, [])):  # fmt: skip
        right, seconds = 0, []
        for _ in range(runs):
            began = monotonic()
            failed, said = _run(turns)
            seconds.append(monotonic() - began)
            right += failed == wanted
            print(f"{what}: failed {failed or 'none'}, {seconds[-1]:.0f} s; {said}", file=sys.stderr, flush=True)
        print(f"{what}: exactly {' and '.join(wanted) or 'nothing'} failed, {right} of {runs} times", flush=True)


def _run(turns: int) -> tuple[list[str], str]:
    """The benches that failed, and the gate's own line, of one run in a repository of its own."""
    with tempfile.TemporaryDirectory(prefix="gate-show-") as name:
        folder, environment = Path(name), os.environ | AUTHOR | {"PYTHONPATH": str(ROOT)}
        (folder / "benches").mkdir()
        (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
        (folder / ".gitignore").write_text("reports/\n__pycache__/\n")
        (folder / "benches/bench_work.py").write_text(BENCH)
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
        for at in (40_000, turns):
            (folder / "work.py").write_text(WORK.format(turns=at))
            for git in (["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "work"]):
                subprocess.run(["git", *git], cwd=folder, env=environment, check=True)
        command = ["pytest", "benches/", "--bench-against", "HEAD~1", "--bench-fail", "3%", "-p", "no:cacheprovider"]
        ran = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment,
                             capture_output=True, text=True, check=False)  # fmt: skip
        if ran.returncode not in (0, 1):
            raise RuntimeError(ran.stdout[-3000:] + ran.stderr[-2000:])
        said = re.search(r"^modelbench .* against .*$", ran.stdout, re.MULTILINE)
        return re.findall(r"^FAILED \S+::(\S+)", ran.stdout, re.MULTILINE), said[0] if said else ""


if __name__ == "__main__":
    main()
