"""`make report-demo`: a store of many sessions of real runs of the mock bench, its report, and screenshots of it.

Each session is a pytest of its own. All is written into one folder, `reports/demo` unless another is named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from pytest_modelbench.files import ignored_folder

from .screenshots import screenshots

ROOT = Path(__file__).parents[2]
BENCH = Path(__file__).with_name("bench_primes.py")


def main() -> None:
    """Run the sessions that are missing, write the report, look at it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--sessions", type=int, default=200, help="how many the store is to hold (200)")
    parser.add_argument("--place", type=Path, default=Path("reports/demo"), help="the folder (reports/demo)")
    asked = parser.parse_args()
    os.chdir(ROOT)
    ignored_folder(asked.place)
    store = asked.place / "data"
    held = len(list((store / "records").glob("*.parquet")))
    for session in range(held, asked.sessions):
        _session(store, session, last=session == asked.sessions - 1)
        print(f"\r{session + 1} of {asked.sessions} sessions", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    page = asked.place / "report.html"
    subprocess.run(
        [sys.executable, "-m", "pytest_modelbench", "report", str(store), "--to", f"html:{page}"], check=True
    )
    for picture in screenshots(page, asked.place / "screenshots"):
        print(picture)


def _session(store: Path, session: int, last: bool) -> None:
    """One run of the 50 benches, each timed for a fiftieth of a second; the last one is judged by those before it."""
    options = ["--bench-mock", "--bench-max-seconds", "0.02", "--bench-store", f"parquet:{store}"]
    options += ["--bench-report", f"html:{store.parent / 'last.html'}"]
    options += ["--bench-baseline", f"parquet:{store}", "--bench-fail", "10%"] if last else []
    divisor = "300" if last else "30" if 120 <= session < 170 else "20"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", str(BENCH), "--rootdir", str(ROOT), "-q", *options],
        cwd=ROOT, env=os.environ | {"DEMO_LAST_DIVISOR": divisor}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode not in ((0, 1) if last else (0,)):  # what the gate finds fails
        raise SystemExit(f"session {session} ended with {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")


if __name__ == "__main__":
    main()
