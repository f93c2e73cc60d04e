"""The gate on trial: alarms on identical code, and what is found of true slowdowns, beside pytest-benchmark's limits.

    python -m benchmarks.gate_trials --minutes 40 --keep trials/     measure, then print the table
    python -m benchmarks.gate_trials --from trials/                  the table again, of what was kept

Two workloads: a chain of 200 small matrix products (about 3 ms), and a small Llama of 40 layers with random weights
(about 10 ms). A slowdown is more of the same work, never sleep: 2.5, 5 and 10 % more products, 1, 2 and 4 more layers.

Measured is in turns, a few pairs of each kind and a session of pytest-benchmark of each, until the time is over: a busy
minute meets all. Of identical code ten benches, five of each workload, are visited by the same pairs of processes, as
they would be in earnest; of the slower ones four.

What is independent: `apart` are sessions of the gate that share no pair, one after the other over the pairs as they
were measured; the binomial intervals are of these. What is resampled: `drawn` are 1,000 sessions over the same pairs in
random order (pairs whole, with all their benches; a suite of 20 draws its benches from the ten, with replacement). They
show a rate more finely, and are not 1,000 independent trials. A session of pytest-benchmark is compared with the one
measured next to it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import mean, median
from time import monotonic

from pytest_modelbench.gate import calibration
from pytest_modelbench.gate.calibration import Calibrated, binomial_interval
from pytest_modelbench.gate.pairs import MOST_PAIRS, PairChange

ROOT = Path(__file__).resolve().parent.parent
#: The tolerated change: what has to be found is larger, what is the same is smaller.
LIMIT = 0.03
SUITE = 20
#: Kind -> products in a chain, layers, benches of each workload.
KINDS = {
    "identical": (200, 40, 5),
    "+2.5 %": (205, 41, 2),
    "+5 %": (210, 42, 2),
    "+10 %": (220, 44, 2),
}
WORKLOADS = {"matmul": "a chain of matrix products, 3 ms", "llama": "a Llama, 10 ms"}
#: How often each kind comes in a turn, three pairs at once.
TURN = ("identical", "+5 %", "identical", "+10 %", "identical", "+2.5 %")
#: For CI: what can be told apart in a minute.
SHORT = ("identical", "+10 %", "identical", "+10 %")
PAIRS_AT_ONCE = 3

BENCHES = """
import pytest, torch
from work import CHAIN, LAYERS, TIMES

@pytest.fixture(scope="session")
def chain():
    x = torch.full((96, 96), 1 / 96)
    def chain():
        y = x
        for _ in range(CHAIN):
            y = y @ x
        return y
    return chain

class Layer(torch.nn.Module):
    # a Llama's: attention with rotated queries and keys, then a gated net, each normed before and added
    def __init__(self, width=32, heads=2):
        super().__init__()
        self.heads = heads
        self.norms = torch.nn.ModuleList(torch.nn.RMSNorm(width) for _ in range(2))
        self.qkv, self.out = torch.nn.Linear(width, 3 * width, False), torch.nn.Linear(width, width, False)
        self.gate, self.up = (torch.nn.Linear(width, 2 * width, False) for _ in range(2))
        self.down = torch.nn.Linear(2 * width, width, False)

    def forward(self, x, angles):
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        turned = (torch.view_as_complex(t.unflatten(-1, (-1, 2))) * angles for t in (q, k))
        q, k = (torch.view_as_real(t).flatten(-2) for t in turned)
        a = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).flatten(-2))
        h = self.norms[1](x)
        return x + self.down(torch.nn.functional.silu(self.gate(h)) * self.up(h))

@pytest.fixture(scope="session")
def llama():
    torch.manual_seed(0)
    layers = [Layer() for _ in range(LAYERS)]
    x = torch.randn(1, 16, 32)
    angles = torch.polar(torch.ones(16, 8), torch.outer(torch.arange(16.0), 10_000 ** (-torch.arange(8) / 8)))
    def llama():
        y = x
        for layer in layers:
            y = layer(y, angles)
        return y
    return llama

@pytest.mark.parametrize("n", range(TIMES))
def NAMEmatmul(n, chain, FIXTURE):
    with torch.inference_mode():
        FIXTURE(chain)

@pytest.mark.parametrize("n", range(TIMES))
def NAMEllama(n, llama, FIXTURE):
    with torch.inference_mode():
        FIXTURE(llama)
"""


def main() -> None:
    """Measure, unless pairs were kept; print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_trials", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--minutes", type=float, default=40.0, help="how long to measure (40)")
    parser.add_argument("--keep", type=Path, help="keep what was measured in this folder")
    parser.add_argument("--from", dest="kept", type=Path, help="measure nothing: read this folder")
    parser.add_argument("--simulate", action="store_true", help="measure nothing: the rule on simulated pairs")
    parser.add_argument("--short", action="store_true", help="a minute of it: one bench of each workload, two kinds")
    asked = parser.parse_args()
    if asked.simulate:
        print("\n".join(simulated()))
        return
    with tempfile.TemporaryDirectory(prefix="gate-trials-") as spare:
        folder = asked.kept or asked.keep or Path(spare)
        if not asked.kept:
            measure(folder, asked.minutes * 60, asked.short)
        print("\n".join(table(folder)))


# -- measuring


def measure(folder: Path, seconds: float, short: bool = False) -> None:
    """Play pairs and sessions in turns until the time is over, one turn if `short`; files of each in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    began, turn = monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="gate-trials-") as name:
        for kind, (chain, layers, of_each) in {"base": KINDS["identical"], **KINDS}.items():
            _project(Path(name) / kind, chain, layers, 1 if short else of_each)
        while True:
            for at, kind in enumerate(SHORT if short else TURN):
                if turn and monotonic() - began > seconds:
                    return
                # against a base of as many benches: what differs is the work alone
                _pairs(Path(name), kind, folder / f"pairs-{turn:03}-{at}.json")
                print(f"{monotonic() - began:6.0f} s  {kind}", file=sys.stderr, flush=True)
            for kind in ("base", "identical") if short else ("base", *KINDS):
                _peer(Path(name) / kind, folder / f"peer-{turn:03}-{kind.strip('+ %')}.json")
            turn += 1
            if short:
                return


def _project(place: Path, chain: int, layers: int, times: int) -> None:
    place.mkdir()
    (place / "pytest.ini").write_text("[pytest]\n")
    (place / "work.py").write_text(f"CHAIN, LAYERS, TIMES = {chain}, {layers}, {times}\n")
    (place / "bench_gate.py").write_text(BENCHES.replace("NAME", "bench_").replace("FIXTURE", "measure"))
    (place / "test_gate.py").write_text(BENCHES.replace("NAME", "test_").replace("FIXTURE", "benchmark"))


def _pairs(place: Path, kind: str, to: Path) -> None:
    began, head = monotonic(), place / kind
    _pytest(head, "bench_gate.py", "--bench-calibrate", "--bench-against=../base", f"--bench-pairs={PAIRS_AT_ONCE}",
            f"--bench-fail={LIMIT:.0%}", "-p", "no:benchmark")  # fmt: skip
    found = json.loads((head / "reports/pairs.json").read_text())
    to.write_text(json.dumps({"kind": kind, "wall_seconds": monotonic() - began, **found}))


def _peer(place: Path, to: Path) -> None:
    began, plain = monotonic(), place / "benchmark.json"  # not `to`: what an interrupt leaves there would be no trial
    _pytest(place, "test_gate.py", f"--benchmark-json={plain}", "-p", "no:modelbench", "-k", " or ".join(
        f"[{n}]" for n in range(KINDS["+5 %"][2])))  # fmt: skip
    told = json.loads(plain.read_text())
    stats = {bench["name"].removeprefix("test_"): bench["stats"] for bench in told["benchmarks"]}
    kept = {name: {key: of[key] for key in ("mean", "median", "total")} for name, of in stats.items()}
    to.write_text(json.dumps({"kind": place.name, "wall_seconds": monotonic() - began, "benches": kept}))


def _pytest(folder: Path, *arguments: str) -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:codspeed", *arguments]
    shutil.rmtree(folder / "reports", ignore_errors=True)
    ran = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                         capture_output=True, text=True, check=False)  # fmt: skip
    if ran.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout[-3000:]}{ran.stderr[-2000:]}"
        )


# -- the rule on pairs of known truth

#: Spread between pairs, share of pairs that are disturbed, and how many times as much those differ.
NOISES = ((0.005, 0.0, 1), (0.01, 0.0, 1), (0.02, 0.0, 1), (0.007, 0.15, 10))
SESSIONS = 2000


def simulated() -> Iterator[str]:
    """Each bench alone in its session, as Markdown."""
    yield "| pairs differ by (SD) | change | called slower | cleared | pairs |"
    yield "|---|--:|--:|--:|--:|"
    for spread, share, times in NOISES:
        for change in (0.0, 0.02, 0.05, 0.10):
            random, outcomes = Random(1), []
            for _ in range(SESSIONS):
                told = [
                    PairChange(
                        math.log1p(change) + random.gauss(0, spread * (times if random.random() < share else 1)),
                        spread * 0.3, 0.0,
                    )
                    for _ in range(2 * MOST_PAIRS)
                ]  # fmt: skip
                outcomes += calibration.session([Calibrated("bench", LIMIT, 0.0, tuple(told))], range(len(told)))
            slower, clear = (sum(o.said in words for o in outcomes) for words in (("slower",), ("clear", "faster")))
            noise = f"{spread:.1%}" + (f", {share:.0%} of them {times} times as much" if share else "")
            pairs = mean(outcome.pairs for outcome in outcomes)
            yield (f"| {noise} | {change:+.0%} | {_rate(slower, SESSIONS)} | {clear / SESSIONS:.1%} | {pairs:.1f} |")


# -- the table


def table(folder: Path) -> Iterator[str]:
    """The rows, as Markdown."""
    benches = {kind: joined(folder, kind) for kind in KINDS}
    walls = [json.loads(path.read_text())["wall_seconds"] for path in sorted(folder.glob("pairs-*.json"))]
    yield f"Limit +{LIMIT:.0%}; 95 % binomial intervals in brackets; {sum(walls) / 60:.0f} min of pairs."
    yield ""
    yield from _alarms(benches["identical"])
    yield ""
    yield "| workload | code | change | called slower, apart | drawn | unclear | pairs | seconds measured a bench |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for workload in WORKLOADS:
        for kind in KINDS:
            of = [bench for bench in benches[kind] if f"_{workload}" in bench.name]
            if of and len(of[0].pairs) >= 2 * calibration.LEAST_PAIRS:  # fewer confirm nothing
                yield _row(workload, kind, of)
    yield ""
    yield from _peers(folder)


def joined(folder: Path, kind: str) -> list[Calibrated]:
    """The pairs of a kind in the order they were measured, by bench."""
    found: dict[str, list[Calibrated]] = {}
    for path in sorted(folder.glob("pairs-*.json")):
        if json.loads(path.read_text())["kind"] == kind and (kept := calibration.read(path)):
            for bench in kept.benches:
                found.setdefault(bench.name, []).append(bench)
    whole = max(map(len, found.values()), default=0)
    return [
        Calibrated(name, LIMIT, mean(part.seconds for part in parts), tuple(p for part in parts for p in part.pairs))
        for name, parts in found.items()
        if len(parts) == whole
    ]


def _alarms(benches: Sequence[Calibrated]) -> Iterator[str]:
    """Identical code, by suites of all benches."""
    if not benches or len(benches[0].pairs) < calibration.LEAST_PAIRS:
        return
    apart = list(calibration.disjoint(benches))
    drawn = list(calibration.drawn(benches, SUITE, Random(1)))
    suites, each = calibration.alarms(apart)
    drawn_suites, drawn_each = calibration.alarms(drawn)
    yield "| identical code | apart | drawn |"
    yield "|---|--:|--:|"
    yield f"| suites of {len(benches)} with an alarm | {_rate(suites, len(apart))} | {drawn_suites} of {len(drawn):,} |"
    yield (f"| benches with an alarm | {_rate(each, len(apart) * len(benches))} | "
           f"{drawn_each} of {len(drawn) * SUITE:,} |")  # fmt: skip
    yield f"| pairs of processes | {len(benches[0].pairs)} | the same |"


def _row(workload: str, kind: str, benches: Sequence[Calibrated]) -> str:
    apart = [outcome for found in calibration.disjoint(benches) for outcome in found]
    # one bench a session: the pairs a bench needs by itself
    alone = [outcome for found in calibration.drawn(benches, 1, Random(2)) for outcome in found]
    slower, unclear = (sum(outcome.said == word for outcome in alone) / len(alone) for word in ("slower", "open"))
    pairs = mean(outcome.pairs for outcome in alone)
    change = math.expm1(median(pair.change for bench in benches for pair in bench.pairs if pair))
    seconds = mean(bench.seconds for bench in benches) * pairs
    hits = sum(outcome.said == "slower" for outcome in apart)
    return (f"| {WORKLOADS[workload]} | {kind} | {change:+.1%} | {_rate(hits, len(apart))} | {slower:.1%} | "
            f"{unclear:.1%} | {pairs:.1f} | {seconds:.1f} |")  # fmt: skip


def _peers(folder: Path) -> Iterator[str]:
    """pytest-benchmark: each session against the base's of the same turn."""
    sessions: dict[str, list[dict[str, dict[str, float]]]] = {}
    for path in sorted(folder.glob("peer-*.json")):
        told = json.loads(path.read_text())
        sessions.setdefault(told["kind"], []).append(told["benches"])
    yield "| pytest-benchmark | code | benches called slower by `mean:5%` | by `median:5%` | seconds measured a bench |"
    yield "|---|---|--:|--:|--:|"
    for workload in WORKLOADS:
        for kind in KINDS:
            couples = list(zip(sessions.get("base", []), sessions.get(kind, []), strict=False))
            names = [name for name in (couples[0][0] if couples else ()) if name.startswith(workload)]
            if not names:
                continue
            cells = []
            for statistic in ("mean", "median"):
                called = [head[n][statistic] > 1.05 * base[n][statistic] for base, head in couples for n in names]
                cells.append(_rate(sum(called), len(called)))
            seconds = mean(head[name]["total"] for _, head in couples for name in names)
            yield f"| {WORKLOADS[workload]} | {kind} | {cells[0]} | {cells[1]} | {seconds:.1f} |"
    suites = _peer_suites(sessions)
    if suites:
        yield ""
        yield "| pytest-benchmark, identical code | `mean:5%` | `median:5%` |"
        yield "|---|--:|--:|"
        yield f"| sessions of {suites[0]} benches with an alarm | {suites[1]} | {suites[2]} |"


def _peer_suites(sessions: dict[str, list[dict[str, dict[str, float]]]]) -> tuple[int, str, str] | None:
    couples = list(zip(sessions.get("base", []), sessions.get("identical", []), strict=False))
    if not couples:
        return None
    said = []
    for statistic in ("mean", "median"):
        alarmed = [any(head[n][statistic] > 1.05 * base[n][statistic] for n in base) for base, head in couples]
        said.append(_rate(sum(alarmed), len(alarmed)))
    return len(couples[0][0]), said[0], said[1]


def _rate(hits: int, trials: int) -> str:
    if not trials:
        return "-"
    low, high = binomial_interval(hits, trials)
    return f"{hits} of {trials:,} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
