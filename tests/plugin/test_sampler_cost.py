"""--bench-sampler-cost, from outside."""

import pytest

BENCH = """
    import time

    def bench_a(measure):
        measure(time.sleep, 0.001)

    def bench_b(measure):
        measure(time.sleep, 0.001)
"""


@pytest.fixture
def quick(pytester):
    """A conftest that makes the blocks short: workers of xdist read it too."""
    pytester.makeconftest(
        """
        from pytest_modelbench.samplers import cost
        cost.BLOCK_SECONDS = 0.002
        """
    )


@pytest.mark.parametrize("more", [(), ("-n1",)], ids=["alone", "xdist"])
def test_the_cost_is_said_once_at_the_end(pytester, quick, more):
    pytester.makepyfile(bench_x=BENCH)
    result = pytester.runpytest_subprocess("--bench-rounds=3", "--bench-sampler-cost", *more)
    said = [line for line in result.outlines if line.startswith("sampling costs")]
    assert len(said) == 1
    assert "95 % interval" in said[0]
    assert "30 pairs" in said[0]


def test_it_is_not_measured_unless_asked(pytester):
    pytester.makepyfile(bench_x=BENCH)
    result = pytester.runpytest_subprocess("--bench-rounds=3")
    result.stdout.no_fnmatch_line("*sampling costs*")


def test_a_session_without_a_fitting_call_says_so(pytester):
    pytester.makepyfile(bench_x="def bench_a(measure):\n    measure.each(abs, [1, 2])\n")
    result = pytester.runpytest_subprocess("--bench-sampler-cost")
    result.stdout.fnmatch_lines(["*sampling costs were not measured: no call of measure(...) took at most 2 s"])
