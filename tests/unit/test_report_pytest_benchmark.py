"""pytest-benchmark's JSON, read by pytest-benchmark itself."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace

import pytest
from pytest_benchmark.stats import Stats
from records import FULL, ended, timed

from pytest_modelbench.record import Timing
from pytest_modelbench.reports.pytest_benchmark import pytest_benchmark
from pytest_modelbench.results import Results


def written(results, tmp_path):
    return json.loads(pytest_benchmark(results, tmp_path / "bench.json").read_text())


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 101, 102, 103])
def test_statistics_are_those_of_pytest_benchmark(rounds, tmp_path):
    generator = random.Random(rounds)
    seconds = tuple(generator.lognormvariate(-5, 1) for _ in range(rounds))
    theirs = Stats()
    for value in seconds:
        theirs.update(value)
    (bench,) = written(Results([replace(timed(), timing=Timing("repeat", seconds, loops=7))]), tmp_path)["benchmarks"]
    for name, value in theirs.as_dict().items():
        assert bench["stats"][name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-12)), name
    assert (bench["stats"]["iterations"], bench["stats"]["data"]) == (7, list(seconds))


def test_what_was_not_timed_is_not_in_it(tmp_path):
    assert written(Results([ended("failed", "boom"), ended("passed")]), tmp_path)["benchmarks"] == []


def test_names_commit_and_machine(tmp_path):
    content = written(Results([FULL]), tmp_path)
    (bench,) = content["benchmarks"]
    assert bench["fullname"] == "bench_llama.py::bench_generate[llm-eager-cpu-2-8]"
    assert (bench["name"], bench["param"]) == ("bench_generate[llm-eager-cpu-2-8]", "llm-eager-cpu-2-8")
    assert bench["extra_info"]["tokens_per_second"] == 30.0
    assert bench["extra_info"]["caveats"] == ["recompiled"]
    assert content["commit_info"]["id"].startswith("3f9c1de")
    assert content["machine_info"]["cpu"]["brand_raw"] == "a processor"


def test_pytest_benchmark_compares_two_of_them(tmp_path):
    before, after = tmp_path / "0001_before.json", tmp_path / "0002_after.json"
    strange = "b.py::bench_<img src=x>|`"
    pytest_benchmark(Results([timed(seconds=0.2, variant="eager"), timed(strange)]), before)
    pytest_benchmark(Results([timed(seconds=0.1, variant="eager"), timed(strange)]), after)
    code = "from pytest_benchmark.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "compare", str(before), str(after), "--csv", str(tmp_path / "out.csv")],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"COLUMNS": "300"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "4 tests" in ran.stdout
    assert "bench_x[eager]" in ran.stdout
    assert "bench_<img src=x>|`" in ran.stdout
    assert (tmp_path / "out.csv").read_text().count("\n") == 5
