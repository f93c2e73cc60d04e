"""The project's own measurements run and print a row each; what the rows say is for people on a quiet machine."""

import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).parent.parent
IDEAS = {
    "calls": ["P1 cost of a timed call", *(f"calls of {us} us" for us in ("0.1", "1", "5", "50", "500"))],
    "wall": ["P2 wall time of a bench"],
    "load": ["P3 loading the plugin"],
    "suite": ["collecting", "times nothing", "end of a session", "store", "the page of"],
    "storage": ["storing", "rounds, stored"],
    "page": ["the page of 1,000 benches", "benches, usable", "benches, sorted", "benches, filtered"],
    "lookup": ["look-up of 20 benches", "look-up of one bench"],
    "streams": ["P8 timing each token"],
    "sampling": ["P9 sampling the device"],
    "spins": [*(f"a spin of {ms} ms" for ms in ("1", "10", "100")), "P11 a kernel of"],
}


@pytest.mark.slow
@pytest.mark.parametrize("idea", IDEAS)
def test_an_idea_prints_its_rows(idea, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--markdown", idea],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    rows = re.findall(r"^\| (.*?) \| (.*?) \|", ran.stdout, re.MULTILINE)[2:]
    for said in IDEAS[idea]:
        numbers = [ours for what, ours in rows if said in what]
        assert numbers, f"no row says {said!r}:\n{ran.stdout}"
        assert all(re.search(r"\d|not measured", ours) for ours in numbers)


@pytest.mark.slow
def test_the_gate_on_trial_for_a_minute(tmp_path, monkeypatch):
    """Loose bounds on both errors; six pairs of a bench are too few to bound what is found on a busy machine."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import gate_trials
    from pytest_modelbench.gate import calibration

    gate_trials.measure(tmp_path / "kept", 0, short=True)
    said = {
        kind: [
            outcome.said
            for found in calibration.drawn(gate_trials.joined(tmp_path / "kept", kind), 2, Random(1), 200)
            for outcome in found
        ]
        for kind in ("identical", "+10 %")
    }
    assert said["identical"].count("slower") <= 0.05 * len(said["identical"])
    assert said["+10 %"].count("clear") <= 0.1 * len(said["+10 %"])
    table = "\n".join(gate_trials.table(tmp_path / "kept"))
    assert "| a Llama, 10 ms | +10 % | " in table
    assert "pytest-benchmark, identical code" in table


def test_the_manual_tells_of_each_idea():
    page = (ROOT / "docs/explanation/what-the-plugin-costs.md").read_text()
    assert set(IDEAS) <= set(re.findall(r"`benchmarks/(\w+)\.py`", page))
