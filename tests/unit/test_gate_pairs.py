"""What pairs allow to say, against simulated pairs of known truth: even noise, heavy tails, drift."""

import math
from random import Random
from statistics import stdev

import pytest

from pytest_modelbench import options
from pytest_modelbench.gate import pairs
from pytest_modelbench.gate.duet import Block
from pytest_modelbench.gate.pairs import Estimate, PairChange, confirm, pair_change, screen, weight
from pytest_modelbench.stats import hodges_lehmann, student_quantile, student_tail

LIMIT = 0.03


def block(head, base, canary=(1e-5, 1e-5)):
    return Block({"head": head, "base": base}, {"head": canary[0], "base": canary[1]})


def even(random, n):
    return random.gauss(0, 0.01)


def heavy(random, n):
    """One pair in ten is disturbed, five times as much."""
    return random.gauss(0, 0.01) * (5 if random.random() < 0.1 else 1)


def drifting(random, n):
    """A machine that warms up: sides of a pair drift alike, and pairs differ by what is left."""
    return random.gauss(0, 0.008) + 0.002 * math.sin(n)


def decided(random, noise, change, limit=LIMIT):
    """(word, pairs) of one bench, alone in its suite."""
    screened, fresh = [], []
    while (said := screen(screened, limit)) == "open" and len(screened) < pairs.MOST_PAIRS:
        screened.append(PairChange(math.log1p(change) + noise(random, len(screened)), 0.003, 0.0))
    if said != "slower":
        return said, len(screened)
    while (said := confirm({"a": fresh}, {"a": limit})["a"]) == "open" and len(fresh) < pairs.MOST_PAIRS:
        fresh.append(PairChange(math.log1p(change) + noise(random, len(fresh)), 0.003, 0.0))
    return said, len(screened) + len(fresh)


def share(word, noise, change, trials=400):
    random = Random(20261124)
    return sum(decided(random, noise, change)[0] == word for _ in range(trials)) / trials


@pytest.mark.parametrize("noise", [even, heavy, drifting])
def test_identical_code_raises_no_alarm_and_is_cleared(noise):
    assert share("slower", noise, 0.0) == 0
    assert share("clear", noise, 0.0) > 0.8


@pytest.mark.parametrize("noise", [even, heavy, drifting])
def test_a_change_beyond_the_limit_is_found(noise):
    assert share("slower", noise, 0.10) > 0.98
    assert share("slower", noise, 0.05) > (0.85 if noise is heavy else 0.98)


def test_a_change_of_the_limit_is_cleared_at_most_as_often_as_budgeted():
    assert share("clear", even, LIMIT) <= pairs.CLEAR_ERROR + 0.02


def test_what_is_faster_is_said_so():
    assert share("faster", even, -0.10, trials=100) > 0.95


def test_the_shares_of_the_looks_add_up():
    assert 0.99 < sum(weight(n) for n in range(pairs.LEAST_PAIRS, 100_000)) < 1
    assert (pairs.LEAST_PAIRS, pairs.MOST_PAIRS) == (options.LEAST_PAIRS, options.MOST_PAIRS)


def test_few_pairs_are_open():
    assert screen([PairChange(0.5, 0.0, 0.0)] * 2, LIMIT) == "open"
    assert confirm({"a": []}, {"a": LIMIT}) == {"a": "open"}


def test_an_outlier_asks_for_a_pair_more_and_is_then_cut_off():
    calm = [PairChange(x, 0.001, 0.0) for x in (0.001, -0.001, 0.0)]
    odd = PairChange(0.6, 0.001, 0.0)
    assert screen(calm, LIMIT) == "clear"
    assert screen([*calm, odd], LIMIT) == "open"
    assert screen([*calm, odd, PairChange(0.002, 0.001, 0.0)], LIMIT) == "clear"


def test_the_trimmed_mean_and_its_error():
    """By hand, ten values: two cut at either end, pulled in to 2 and 7 for the spread."""
    found = Estimate.of([PairChange(x, 0.0, 0.0) for x in (9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 90.0)])
    assert found.change == pytest.approx((2 + 3 + 4 + 5 + 6 + 7) / 6)
    assert found.df == 5
    pulled = [2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0, 7.0]
    assert found.error == pytest.approx(stdev(pulled) / 0.6 / math.sqrt(10))


def test_pairs_that_agree_by_luck_are_held_to_what_their_blocks_claim():
    lucky = [PairChange(x, 0.05, 0.0) for x in (0.0400, 0.0401, 0.0402)]
    assert Estimate.of(lucky).error == pytest.approx(0.05 / math.sqrt(3))
    assert screen(lucky, LIMIT) == "open"


def test_a_pair_compares_blocks_beside_each_other():
    """A machine that becomes three times slower on the way changes nothing."""
    found = pair_change([block(1.05 * (1 + i / 5), 1 + i / 5, (2e-5, 1e-5)) for i in range(10)])
    assert found.change == pytest.approx(math.log(1.05))
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.canary == pytest.approx(math.log(2))


def test_more_suspects_need_more_to_be_confirmed():
    """Holm: the strongest of three at a third of the error, the next at a half."""

    def fresh(change):
        return [PairChange(change + wobble, 0.0, 0.0) for wobble in (-0.008, 0.0, 0.008, 0.004)]

    limits = dict.fromkeys("abc", LIMIT)
    alone = confirm({"a": fresh(0.033)}, {"a": LIMIT})
    assert alone == {"a": "slower"}
    assert confirm({"a": fresh(0.033), "b": fresh(0.0), "c": fresh(0.0)}, limits)["a"] == "open"
    assert confirm({name: fresh(0.5) for name in "abc"}, limits) == dict.fromkeys("abc", "slower")


def test_hodges_and_lehmann_and_student():
    assert hodges_lehmann([3.0]) == 3.0
    assert student_quantile(0.025, 9) == pytest.approx(2.262157, abs=1e-6)  # NIST/SEMATECH, table 1.3.6.7.2
    assert student_tail(student_quantile(0.001, 2), 2) == pytest.approx(0.001)
