"""A session's reports know the sessions before it."""

import re

BENCH = """
    def bench_sum(measure):
        measure(sum, [1, 2, 3])

    def bench_max(measure):
        measure(max, [1, 2, 3])
"""
QUICK = ("--bench-rounds", "3", "-q")


def page(pytester):
    return (pytester.path / "reports/modelbench.html").read_text()


def test_the_page_shows_earlier_sessions_of_its_benches(pytester):
    pytester.makepyfile(bench_a=BENCH)
    pytester.runpytest(*QUICK).assert_outcomes(passed=2)
    assert "No earlier session of these benches" in page(pytester)
    pytester.runpytest(*QUICK, "-k", "sum").assert_outcomes(passed=1, deselected=1)
    assert page(pytester).count("2 sessions: points only.") == 1
    pytester.runpytest(*QUICK).assert_outcomes(passed=2)
    assert sorted(re.findall(r"(\d) sessions: points only\.", page(pytester))) == ["2", "3"]


def test_a_store_that_cannot_be_read_costs_the_page_its_past_only(pytester):
    pytester.makepyfile(bench_a=BENCH)
    (pytester.path / "reports/data/records").mkdir(parents=True)
    (pytester.path / "reports/data/records/20200101-x.parquet").write_text("no parquet")
    result = pytester.runpytest(*QUICK)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*the reports show no earlier session*"])
    assert "No earlier session of these benches" in page(pytester)
