"""What the command line and the mark say of limits is checked before anything runs."""

import pytest

BENCH = """
    import pytest

    {mark}
    def bench_a(measure):
        measure(int)
"""


def run(pytester, mark="", *arguments):
    pytester.makepyfile(bench_a=BENCH.format(mark=mark))
    return pytester.runpytest("--bench-rounds=3", *arguments)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("@pytest.mark.tolerance('5%')", "*mark tolerance of bench_a.py::bench_a takes limits by name*"),
        ("@pytest.mark.tolerance", "*takes limits by name*"),
        ("@pytest.mark.tolerance(second='5%')", "*unknown quantity 'second'*did you mean 'seconds'*"),
        ("@pytest.mark.tolerance(score_acuracy='1pt')", "*did you mean 'score_accuracy'*"),
        ("@pytest.mark.tolerance(seconds=0.05)", "*seconds 0.05 is no limit*"),
        ("@pytest.mark.tolerance(seconds='1pt')", "*points are of scores*"),
    ],
)
def test_a_tolerance_that_is_none_stops_the_session(pytester, mark, said):
    result = run(pytester, mark)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


@pytest.mark.parametrize("text", ["5", "fast", "second=5%", "score=1pt,score=2pt", "seconds=1pt"])
def test_a_limit_that_is_none_is_a_usage_error(pytester, text):
    result = run(pytester, "", "--bench-fail", text)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *--bench-fail*"])


def test_a_tolerance_is_in_the_record(pytester):
    from pytest_modelbench.stores.parquet import Parquet

    mark = "pytestmark = pytest.mark.tolerance(seconds='9%', energy='7%')\n    @pytest.mark.tolerance(seconds='3%')"
    run(pytester, mark).assert_outcomes(passed=1)
    (record,) = Parquet(pytester.path / "reports/data").records()
    assert record.tolerance == {"seconds": "3%", "energy": "7%"}
