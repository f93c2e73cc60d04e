"""Quantiles, spread and the times of tokens."""

import math
from dataclasses import replace

import pytest

from pytest_modelbench.record import TokenTimes
from pytest_modelbench.stats import paired_change, precision_ratio, quantile, spread_ratio, standard_error, tpot


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("q", [0.0, 0.05, 0.5, 0.95, 0.99, 1.0])
def test_quantile_is_numpys(n, q):
    numpy = pytest.importorskip("numpy")
    values = [math.sin(i * 7.3) for i in range(n)]
    assert quantile(values, q) == pytest.approx(float(numpy.quantile(values, q)))


def test_quantile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        quantile([], 0.5)


def test_spread_is_half_the_range_over_the_median():
    values = [float(i) for i in range(101)]
    assert spread_ratio(values) == pytest.approx((95 - 5) / 2 / 50)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0]])
def test_no_spread_without_two_values_or_a_median(values):
    assert spread_ratio(values) is None


def test_standard_error_has_n_minus_one():
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1 / math.sqrt(3))
    assert standard_error([1.0]) is None


def test_tpot_leaves_the_first_token_out():
    times = TokenTimes((1.0,), ((0.5,) * 4,), (3.0,), batch_size=1, prompt_tokens=8, new_tokens=5, taken_by="a test")
    assert tpot(times) == 0.5
    assert tpot(replace(times, itl_seconds=((),), e2el_seconds=(1.0,), new_tokens=1)) is None


def test_tpot_of_rounds_of_different_lengths_is_no_mixture():
    gaps = ((0.5,) * 2, (0.5,) * 2, (0.5,) * 16)
    times = TokenTimes(
        (1.0,) * 3, gaps, (2.0, 2.0, 9.0), batch_size=1, prompt_tokens=8, new_tokens=17, taken_by="a test"
    )
    assert tpot(times) == 0.5


def test_precision_is_unknown_under_ten_rounds_and_perfect_where_all_are_equal():
    assert precision_ratio([1.0] * 9) == math.inf
    assert precision_ratio([1.0] * 40) == 0.0
    assert precision_ratio([1.0 + 0.01 * (i % 10) for i in range(400)]) < 0.01


def test_a_paired_change_is_read_back_through_a_drift_and_an_accident():
    drift = [1 + 0.02 * i for i in range(30)]
    noise = [0.999, 1.001, 1.0] * 10
    before = [a * b for a, b in zip(drift, noise, strict=True)]
    after = [a * 1.004 for a in drift]
    after[7] *= 3  # another program ran
    change = paired_change(after, before)
    assert change.ratio == pytest.approx(0.004, abs=5e-4)
    assert change.low < change.ratio < change.high
    assert change.high - change.low < 0.002
    assert change.low > 0


def test_no_change_is_within_its_interval():
    values = [1.0, 1.01, 0.99, 1.02, 0.98] * 6
    shuffled = values[1:] + values[:1]
    change = paired_change(values, shuffled)
    assert change.low < 0 < change.high


def test_the_interval_is_that_of_the_signed_rank_tables():
    """n = 30, 5 % in two tails: the table's critical value is 137, so the 138th mean from either end."""
    logs = [math.sin(i) / 100 for i in range(30)]
    change = paired_change([math.exp(value) for value in logs], [1.0] * 30)
    means = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
    assert change.low == pytest.approx(math.expm1(means[137]))
    assert change.high == pytest.approx(math.expm1(means[-138]))


@pytest.mark.parametrize(("after", "before"), [([1.0] * 9, [1.0] * 9), ([1.0] * 10, [1.0] * 11)])
def test_a_paired_change_needs_pairs(after, before):
    with pytest.raises(ValueError, match="at least ten pairs"):
        paired_change(after, before)
