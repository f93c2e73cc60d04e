"""Versus: what pairs and Records of both sides become."""

import math
from dataclasses import replace
from random import Random

import pytest
from records import ended, timed

from pytest_modelbench.gate.duet import Block, Played
from pytest_modelbench.gate.limits import limits_of
from pytest_modelbench.gate.versus import Compared, one_sided
from pytest_modelbench.record import Caveat, Memory, Score


def played(change, random, canary=1.0, blocks=10):
    return Played(0, [
        Block({"head": 0.01 * (1 + change) * random.uniform(0.999, 1.001), "base": 0.01 * random.uniform(0.999, 1.001)},
              {"head": 1e-5 * canary * random.uniform(0.99, 1.01), "base": 1e-5})
        for _ in range(blocks)
    ], seconds=0.5)  # fmt: skip


def compared(change=0.0, head=None, base=None, pairs=4, fresh=0, fail=None, canary=1.0):
    random, found = Random(1), Compared("bench_x.py::bench_x", limits_of(fail, {}))
    sides = {"head": head or timed(), "base": base or timed()}
    for number in range(pairs + fresh):
        found.add(played(change, random, canary), sides, number >= pairs)
    return found


def test_a_confirmed_change_is_that_of_the_fresh_pairs():
    (verdict,) = compared(0.1, pairs=3, fresh=4).verdicts("slower", "", strict=False)
    assert (verdict.word, verdict.failing, verdict.pairs, verdict.limit) == ("slower", True, 4, 0.05)
    assert verdict.change == pytest.approx(0.1, abs=0.001)
    assert verdict.low < verdict.change < verdict.high
    assert (verdict.before, verdict.after) == (pytest.approx(0.01, rel=0.01), pytest.approx(0.011, rel=0.01))
    assert verdict.reason == "suspected on 3 pairs, confirmed on 4 fresh ones"


def test_what_is_open_says_why_and_what_it_would_have_shown():
    (verdict,) = compared(0.02).verdicts("open", "the budget of 5 s ended", strict=True)
    assert (verdict.word, verdict.reason, verdict.failing) == ("unclear", "the budget of 5 s ended", True)
    assert 0 < verdict.detectable < 0.02
    assert not compared(0.02).verdicts("open", "", strict=False)[0].failing


@pytest.mark.parametrize(
    ("head", "base", "known", "word", "reason"),
    [
        (ended("skipped", "not today"), timed(), True, "missing", "skipped here: not today"),
        (ended("failed", "assert 1"), timed(), True, "invalid", "failed here: assert 1"),
        (ended("invalid", "fell back"), timed(), True, "invalid", "invalid here: fell back"),
        (timed(), None, False, "new", ""),
        (timed(), ended("oom", "too large"), True, "incomparable", "oom on the other side: too large"),
    ],
)
def test_what_cannot_be_compared(head, base, known, word, reason):
    found = Compared("n", limits_of(None, {}), known=known)
    found.add(Played(0), {"head": head, "base": base}, fresh=False)
    (verdict,) = found.verdicts("open", "", strict=True)
    assert (verdict.word, verdict.reason, verdict.failing) == (word, reason, False)
    assert verdict.change is None


def test_a_pair_with_a_caveat_on_one_side_does_not_count():
    slowed = replace(timed(), caveats=(Caveat("throttled", "30 % of 9 samples: power"),))
    said = "explained by throttled (30 % of 9 samples: power) on one side (head)"
    assert one_sided({"head": slowed, "base": timed()}) == said
    assert one_sided({"head": slowed, "base": slowed}) == ""
    drifting = replace(timed(), caveats=(Caveat("unstable"),))
    assert one_sided({"head": drifting, "base": timed()}) == ""
    found = compared(0.3, head=slowed)
    assert found.screened == []
    assert found.history == [None] * 4
    (verdict,) = found.verdicts("open", "", strict=False)
    assert (verdict.word, verdict.reason) == ("invalid", said)


def test_a_change_that_the_canary_shares_is_the_machines():
    (verdict,) = compared(0.1, pairs=3, fresh=4, canary=1.1).verdicts("slower", "", strict=False)
    assert verdict.word == "unclear"
    assert verdict.reason == "machine unstable: a fixed product and a copy changed with it"


def test_memory_is_judged_where_a_limit_names_it():
    more = replace(timed(), memory=Memory(process_peak_bytes=1100))
    less = replace(timed(), memory=Memory(process_peak_bytes=1000))
    assert len(compared(head=more, base=less).verdicts("clear", "", strict=False)) == 1
    _, verdict = compared(head=more, base=less, fail="peak_memory=2%").verdicts("clear", "", strict=False)
    assert (verdict.quantity, verdict.word, verdict.failing) == ("peak_memory", "slower", True)
    assert (verdict.before, verdict.after) == (1000, 1100)
    _, verdict = compared(head=less, base=more, fail="peak_memory=2%").verdicts("clear", "", strict=False)
    assert verdict.word == "faster"
    _, verdict = compared(head=more, base=more, fail="peak_memory=2%").verdicts("clear", "", strict=False)
    assert verdict.word == "same"


def test_a_rate_falls_by_its_tolerance_when_it_is_that_share_less():
    def rate(tokens):
        return replace(timed(), counts={"tokens": tokens})

    for tokens, word in ((951, "same"), (949, "slower")):
        found = compared(head=rate(tokens), base=rate(1000), fail="tokens_per_second=5%")
        _, verdict = found.verdicts("clear", "", strict=False)
        assert (verdict.quantity, verdict.word) == ("tokens_per_second", word)
        assert verdict.change == pytest.approx(tokens / 1000 - 1)


def test_pairs_without_times_are_counted_and_say_why():
    found = compared(pairs=1)
    for _ in range(3):
        found.add(Played(0), {"head": ended("failed", "FileExistsError: it"), "base": timed()}, fresh=False)
    assert len(found.history) == 4
    (verdict,) = found.verdicts("open", "open after 1 pairs", strict=False)
    why = "3 pairs left out: failed in a later pair (head): FileExistsError: it"
    assert (verdict.word, verdict.reason) == ("unclear", f"open after 1 pairs; {why}")


def test_scores_are_judged_on_their_items_and_the_trade_is_said():
    right = Score(1.0, "ratio", "higher", (1.0,) * 40)
    wrong = Score(0.75, "ratio", "higher", (1.0,) * 30 + (0.0,) * 10)
    head, base = replace(timed(), scores={"accuracy": wrong}), replace(timed(), scores={"accuracy": right})
    faster, worse = compared(-0.2, head=head, base=base).verdicts("faster", "", strict=False)
    assert (faster.word, worse.word, worse.failing) == ("faster", "slower", True)
    assert "faster but worse" in worse.reason


def test_a_bench_that_timed_itself_is_one_block():
    found = Compared("n", limits_of(None, {}))
    found.add(Played(0), {"head": timed(seconds=0.2), "base": timed(seconds=0.1)}, fresh=False)
    assert found.screened[0].change == pytest.approx(math.log(2))
