"""What is claimed of false alarms is simulated: session medians with light and heavy tails, suites of 20 benches."""

import math

import numpy as np
import pytest

from pytest_modelbench.gate.prediction import MOST_DEGREES, SUITE_TAIL, predicted
from pytest_modelbench.stats import student_quantile, student_tail

BENCHES = 20
SUITES = 40_000


def alarms(draw, sessions, degrees=None, tail=SUITE_TAIL):
    """The share of suites of identical code in which some bench is beyond its suite's half interval."""
    random = np.random.default_rng(11)
    logs = draw(random, (SUITES * BENCHES, sessions + 1))
    stored, new = logs[:, :-1], logs[:, -1]
    factor = student_quantile(tail / BENCHES, degrees or min(sessions - 1, MOST_DEGREES)) * math.sqrt(1 + 1 / sessions)
    beyond = new - stored.mean(axis=1) > factor * stored.std(axis=1, ddof=1)
    return beyond.reshape(SUITES, BENCHES).any(axis=1).mean()


def normal(random, shape):
    return random.standard_normal(shape)


def heavy(random, shape):
    return random.standard_t(3, shape)


@pytest.mark.parametrize("sessions", [5, 7, 10])
@pytest.mark.parametrize("draw", [normal, heavy])
def test_at_most_one_suite_in_twenty_raises_an_alarm(draw, sessions):
    # the binomial's error of 40,000 suites is 0.1 %
    assert alarms(draw, sessions) <= 0.055


def test_students_t_with_all_its_degrees_would_not_hold_what_it_claims():
    assert alarms(heavy, 10, degrees=9, tail=0.05) > 0.15


def test_the_simulated_rule_is_the_one_that_runs():
    stored, new = [1.0, 1.1, 0.9, 1.05, 1.02], 1.3
    logs = np.log(stored)
    seen = predicted(stored, new, BENCHES)
    assert seen.change == pytest.approx(math.log(new) - logs.mean())
    factor = student_quantile(SUITE_TAIL / BENCHES, 3) * math.sqrt(1 + 1 / 5)
    assert seen.half_of_suite == pytest.approx(factor * logs.std(ddof=1))
    assert seen.half == pytest.approx(student_quantile(0.025, 3) * math.sqrt(1.2) * logs.std(ddof=1))


def test_one_session_says_nothing_of_how_sessions_differ():
    assert predicted([1.0], 2.0, 1) is None


def test_equal_values_have_no_spread_and_no_change():
    seen = predicted([0.1 + 0.2] * 7, 0.1 + 0.2, 1)
    assert (seen.change, seen.half, seen.half_of_suite) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("df", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042)])
def test_students_quantiles_are_those_of_the_tables(df, t):
    """NIST/SEMATECH e-Handbook, table 1.3.6.7.2."""
    assert student_quantile(0.025, df) == pytest.approx(t, abs=5e-4)
    assert student_tail(t, df) == pytest.approx(0.025, abs=3e-5)
