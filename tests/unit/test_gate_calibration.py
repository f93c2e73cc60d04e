"""Calibration: the rule on kept pairs, what is independent, and what is stored."""

import math
from random import Random

import pytest

from pytest_modelbench.errors import StoreError
from pytest_modelbench.gate import calibration, pairs
from pytest_modelbench.gate.calibration import Calibrated, Kept, alarms, binomial_interval, detectable
from pytest_modelbench.gate.pairs import PairChange
from pytest_modelbench.reports.calibration import found, lines


def bench(name, change, noise=0.005, pairs=30, seed=1):
    random = Random(seed)
    told = (PairChange(math.log1p(change) + random.gauss(0, noise), noise / 3, 0.0) for _ in range(pairs))
    return Calibrated(name, 0.05, 0.5, tuple(told))


def test_a_session_screens_and_confirms_on_pairs_of_its_own():
    same, slower = bench("same", 0.0), bench("slower", 0.2, seed=2)
    first, second = calibration.session([same, slower], range(30))
    assert (first.said, first.pairs) == ("clear", 3)
    assert (second.said, second.pairs) == ("slower", 6)
    # it has no fresh pair to be confirmed on
    assert calibration.session([slower], range(3))[0].said == "open"


def test_pairs_in_which_a_bench_did_not_count_are_passed_over():
    gap = bench("same", 0.0)
    gap = Calibrated("same", 0.05, 0.5, (None, None, *gap.pairs))
    assert calibration.session([gap], range(32)) == [calibration.Outcome("clear", pairs=5, ended=5)]


def test_fresh_pairs_begin_where_the_last_bench_was_screened():
    slower, late = bench("slower", 0.2), bench("late", 0.0, seed=2)
    late = Calibrated("late", 0.05, 0.5, (*([None] * 7), *late.pairs[:23]))
    first, second = calibration.session([slower, late], range(30))
    assert (first.said, first.pairs, first.ended) == ("slower", 6, 13)
    assert (second.said, second.pairs, second.ended) == ("clear", 10, 10)
    ends = [max(outcome.ended for outcome in found) for found in calibration.disjoint([slower, late])]
    assert sum(ends) <= 30


def test_sessions_apart_share_no_pair():
    told = list(calibration.disjoint([bench("a", 0.0), bench("b", 0.0, seed=2)]))
    assert len(told) == 10
    assert alarms(told) == (0, 0)
    assert len(list(calibration.disjoint([bench("a", 0.3, pairs=13)]))) == 2


def test_drawn_sessions_find_what_is_there():
    told = list(calibration.drawn([bench("a", 0.2), bench("b", 0.2, seed=2)], 5, Random(1), 50))
    assert alarms(told) == (50, 250)


def test_the_interval_of_a_rate():
    # Clopper & Pearson: 0 of n is below 1 - 0.05**(1/n); 5 of 10 is symmetric
    assert binomial_interval(0, 20) == (0.0, pytest.approx(1 - 0.05 ** (1 / 20)))
    assert binomial_interval(20, 20) == (pytest.approx(0.05 ** (1 / 20)), 1.0)
    low, high = binomial_interval(5, 10)
    assert (low, high) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))
    assert binomial_interval(0, 1200)[1] == pytest.approx(0.0025, abs=1e-4)


def test_what_a_bench_would_show():
    least, pairs = detectable(bench("a", 0.0, noise=0.005))
    assert 0.002 < least < 0.02
    assert pairs <= 4
    assert detectable(bench("a", 0.0, noise=0.1))[1] is None
    assert detectable(Calibrated("a", 0.05, 0.5, (None, None))) == (math.inf, None)


def test_it_is_stored_and_read_back(tmp_path):
    kept = Kept("3f9c1de", "itself", (bench("a", 0.0), Calibrated("b", 0.03, 1.0, (None,))), 0.001)
    path = calibration.write(tmp_path / "baseline" / "calibration-7d2e41.json", kept)
    again = calibration.read(path)
    assert (again.head, again.alarms_per_bench, again.benches[1]) == ("3f9c1de", 0.001, kept.benches[1])
    assert again.benches[0].pairs[0].change == pytest.approx(kept.benches[0].pairs[0].change, abs=1e-7)
    assert calibration.read(tmp_path / "none.json") is None
    path.write_text('{"schema": 99}')
    assert calibration.read(path) is None


def test_it_is_said_in_words():
    benches = [bench("benches/bench_a.py::bench_quiet", 0.0), bench("bench_b.py::bench_loud", 0.0, 0.1)]
    said = "\n".join(lines("3f9c1de", "itself", benches, *found(benches)))
    assert "modelbench  calibrate: 3f9c1de against itself, 30 pairs" in said
    assert "alarms: 0 of " in said
    assert "of 1,000 suites drawn from the same pairs" in said
    assert "The limit cannot be held for loud on this machine: raise it, or time more work in a call." in said


def test_more_pairs_show_what_the_gate_shows_with_them():
    """A fifth is cut off at either end, which costs degrees of freedom."""
    of = bench("a", 0.0, noise=0.01, pairs=200)
    spread = pairs.Estimate.of(of.pairs).error * math.sqrt(200)
    least, _ = detectable(of)
    with_n = (pairs.Estimate(0.0, spread / math.sqrt(n), n, int(pairs.TRIM * n)) for n in range(3, 16))
    told = [math.expm1(found.detectable()) for found in with_n]
    assert least == pytest.approx(min(told))


@pytest.mark.parametrize("text", ["<<<<<<< HEAD", "[]", '{"schema": 1}', '{"schema": 1, "benches": {"a": 3}}'])
def test_a_damaged_file_is_said(tmp_path, text):
    (tmp_path / "kept.json").write_text(text)
    with pytest.raises(StoreError, match=r"kept\.json is no calibration"):
        calibration.read(tmp_path / "kept.json")
    assert calibration.read(tmp_path / "none.json") is None
