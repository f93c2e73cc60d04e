"""An existing pytest-benchmark suite becomes Records, unchanged."""

import pytest
from test_records import rows

pytest.importorskip("pytest_benchmark")

SUITE = """
    def test_sum(benchmark):
        assert benchmark(sum, [1, 2, 3]) == 6

    def test_pedantic(benchmark):
        benchmark.pedantic(sorted, args=([3, 1, 2],), rounds=7, iterations=2)

    def test_unused(benchmark): ...

    def test_plain(): ...
"""


def test_its_rounds_are_kept(pytester):
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest("--benchmark-max-time", "0.01", "--benchmark-min-rounds", "5", "-W", "ignore")
    result.assert_outcomes(passed=4)
    by_name = {row["bench"].partition("::")[2]: row for row in rows(pytester)}
    assert set(by_name) == {"test_sum", "test_pedantic", "test_unused"}
    assert by_name["test_pedantic"]["rounds"] == 7
    assert by_name["test_pedantic"]["loops"] == 2
    assert by_name["test_sum"]["rounds"] >= 5
    assert 0 < by_name["test_sum"]["median_seconds"] < 0.1
    assert by_name["test_unused"]["median_seconds"] is None


def test_both_fixtures_live_in_one_file(pytester):
    pytester.makepyfile(
        bench_a="""
        def bench_ours(measure):
            measure(int)

        def bench_theirs(benchmark):
            benchmark(int)
        """
    )
    pytester.runpytest("--bench-rounds", "3", "--benchmark-max-time", "0.01").assert_outcomes(passed=2)
    assert {row["bench"].partition("::")[2]: row["rounds"] >= 3 for row in rows(pytester)} == {
        "bench_ours": True,
        "bench_theirs": True,
    }


def test_its_numbers_are_its_own(pytester):
    pytester.makepyfile(test_suite=SUITE)
    pytester.runpytest("-k", "pedantic", "--benchmark-json", "theirs.json")
    import json

    theirs = json.loads((pytester.path / "theirs.json").read_text())["benchmarks"][0]["stats"]
    (row,) = rows(pytester)
    assert row["median_seconds"] == pytest.approx(theirs["median"])
    assert row["min_seconds"] == pytest.approx(theirs["min"])
    assert row["mean_seconds"] == pytest.approx(theirs["mean"])


def test_under_xdist_it_says_why_there_is_no_time(pytester):
    pytester.makepyfile(test_suite=SUITE)
    pytester.runpytest_subprocess("-n", "2", "-k", "sum", "-W", "ignore")
    (row,) = rows(pytester)
    assert (row["outcome"], row["median_seconds"]) == ("passed", None)
