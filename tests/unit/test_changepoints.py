"""Change points: steps are found, spikes and noise are not."""

import math
import random

import pytest

from pytest_modelbench.changepoints import change_points, levels


def series(n, noise, step=0.0, at=0, seed=1):
    draw = random.Random(seed)
    return [math.exp(draw.gauss(0, noise) + (step if place >= at else 0)) for place in range(n)]


@pytest.mark.parametrize(("step", "at"), [(0.3, 4), (-0.2, 30), (0.1, 20)])
def test_a_step_is_found_where_it_is(step, at):
    found = change_points(series(40, 0.01, step, at))
    assert len(found) == 1
    assert abs(found[0] - at) <= 1


def test_two_steps_are_two_changes():
    values = series(20, 0.01) + [1.3 * value for value in series(20, 0.01, seed=2)] + series(20, 0.01, seed=3)
    found = change_points(values)
    assert [round(at, -1) for at in found] == [20, 40]
    middles = [middle for _, _, middle in levels(values, found)]
    assert middles[1] == pytest.approx(1.3 * middles[0], rel=0.03)


def test_noise_changes_nothing():
    seen = sum(bool(change_points(series(30, 0.02, seed=seed))) for seed in range(200))
    assert seen <= 12  # of a thousand such series 2.6 % were: 5 of them here are likely


@pytest.mark.parametrize("at", [0, 12, 29])
def test_a_spike_is_no_change(at):
    values = series(30, 0.01)
    values[at] *= 4
    assert change_points(values) == []


def test_a_small_step_is_not_worth_a_line():
    assert change_points([1.0] * 10 + [1.004] * 10) == []
    assert change_points([1.0] * 10 + [1.02] * 10) == [10]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0], [0.0] * 12, [1.0] * 12])
def test_what_cannot_be_told_is_not(values):
    assert change_points(values) == []
    assert levels(values, []) == ([(0, len(values), values[len(values) // 2])] if values else [])
