"""Scores before and after, by the items."""

import random

import pytest

from pytest_modelbench.gate.limits import Limit
from pytest_modelbench.gate.quality import TAIL, judge_score, mcnemar, with_trade
from pytest_modelbench.record import Score
from pytest_modelbench.verdict import Verdict

NOTHING = Limit(0, "pt")


def score(*items, unit="ratio", direction="higher", value=None):
    return Score(sum(items) / len(items) if value is None else value, unit, direction, tuple(items))


def right(n, of):
    return score(*[1.0] * n, *[0.0] * (of - n))


def say(before, after, limit=NOTHING):
    return judge_score("k", "n", "accuracy", before, after, limit)


def test_equal_items_are_the_same():
    verdict = say(right(37, 40), right(37, 40))
    assert (verdict.word, verdict.differing, verdict.items, verdict.change) == ("same", 0, 40, 0.0)


def test_six_items_lost_and_none_won_are_no_chance_and_five_are():
    assert say(right(40, 40), right(34, 40)).word == "slower"
    assert say(right(40, 40), right(35, 40)).word == "unclear"
    assert say(right(34, 40), right(40, 40)).word == "faster"
    assert say(right(40, 40), right(35, 40)).detectable == 6 / 40


def test_as_many_won_as_lost_are_unclear():
    verdict = say(score(*[1.0, 0.0] * 20), score(*[0.0, 1.0] * 20))
    assert (verdict.word, verdict.change, verdict.differing) == ("unclear", 0.0, 40)


def test_a_loss_within_the_margin_does_not_fail():
    before, after = right(950, 1000), right(942, 1000)
    assert say(before, after).word == "slower"
    assert say(before, after, Limit(2, "pt")).word == "same"
    assert say(before, after, Limit(0.5, "pt")).word == "slower"


def test_mcnemar_is_a_fair_coin():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 9) == pytest.approx(11 / 1024)
    draw = random.Random(5)
    flips = [sum(draw.random() < 0.5 for _ in range(30)) for _ in range(4000)]
    alarms = sum(mcnemar(won, 30 - won) <= TAIL and won < 15 for won in flips) / len(flips)
    assert alarms <= TAIL


def test_scores_of_items_by_a_bootstrap():
    draw = random.Random(1)
    before = [0.9 + draw.gauss(0, 0.05) for _ in range(60)]
    after = [value - 0.0004 + draw.gauss(0, 0.0003) for value in before]
    verdict = say(score(*before), score(*after))
    assert verdict.word == "slower"
    assert -0.0006 < verdict.low < verdict.change < verdict.high < 0
    assert say(score(*before), score(*after), Limit(1, "pt")).word == "same"
    assert say(score(*after), score(*before)).word == "faster"
    assert say(score(*before), score(*after)) == verdict


def test_the_bootstrap_calls_no_difference_where_there_is_none():
    draw, alarms = random.Random(2), 0
    for _ in range(150):
        before = [draw.gauss(0, 1) for _ in range(40)]
        after = [value + draw.gauss(0, 0.3) for value in before]
        alarms += say(score(*before), score(*after)).word == "slower"
    assert alarms <= 10  # 2.5 % of 150 is 4; ten or more happen once in 160 times (binomial)


def test_few_items_that_are_not_just_right_or_wrong_tell_nothing():
    assert say(score(0.9, 0.8, 0.7), score(0.5, 0.4, 0.3)).word == "unclear"


def test_lower_is_better_for_some():
    before, after = score(*[0.1] * 40, direction="lower"), score(*[0.1] * 30, *[0.4] * 10, direction="lower")
    assert say(before, after).word == "slower"
    assert say(after, before).word == "faster"


def test_a_score_of_the_whole_needs_a_limit():
    def perplexity(value):
        return Score(value, "perplexity", "lower")

    assert say(perplexity(17.5), perplexity(17.5)).word == "same"
    verdict = say(perplexity(17.5), perplexity(17.6))
    assert (verdict.word, verdict.reason) == (
        "unclear", "the metric keeps no values of items, so only a limit above 0 pt can be exceeded",
    )  # fmt: skip
    assert say(perplexity(17.5), perplexity(17.6), Limit(1, "pt")).word == "same"
    assert say(perplexity(17.5), perplexity(19.0), Limit(1, "pt")).word == "slower"
    assert say(perplexity(17.5), perplexity(19.0), Limit(10, "%")).word == "same"
    assert say(perplexity(17.5), perplexity(16.0)).word == "faster"


def test_items_that_rise_do_not_prove_a_score_that_falls():
    """As macro F1 may: 22 more of the frequent class are right, and of the rare one fewer."""
    before, after = score(*right(74, 100).items, value=0.54), score(*right(96, 100).items, value=0.49)
    assert say(before, after).word == "unclear"
    values = [random.Random(1).random() / 2 for _ in range(40)]
    before, after = score(*values, value=0.5), score(*(value + 0.3 for value in values), value=0.4)
    assert say(before, after).word == "unclear"
    assert say(before, score(*(value + 0.3 for value in values), value=0.6)).word == "faster"


def test_items_that_do_not_average_to_the_score_give_no_interval():
    before = score(*[1.0] * 40, value=0.8)
    after = score(*[1.0] * 20, *[0.0] * 20, value=0.6)
    verdict = say(before, after)
    assert (verdict.word, verdict.low, verdict.change) == ("slower", None, pytest.approx(-0.2))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (right(3, 5), "score_accuracy: 4 items before, 5 now"),
        (score(1.0, 1.0, 1.0, 0.0, unit="points"), "score_accuracy: the metric was in ratio, is in points"),
    ],
)
def test_other_items_or_another_metric_are_incomparable(after, reason):
    verdict = say(right(3, 4), after)
    assert (verdict.word, verdict.reason) == ("incomparable", reason)


def test_the_trade_is_said_both_ways():
    def pair(speed, change, quality, points):
        return with_trade(
            [
                Verdict("k", "n", "seconds", speed, change=change),
                Verdict("k", "n", "score_x", quality, unit="ratio", direction="higher", change=points),
            ]
        )[1].reason

    assert pair("faster", -0.2, "slower", -0.03) == "faster but worse: -20.0 % of time for 3 pt lost"
    assert pair("slower", 1.5, "faster", 0.03) == "slower but better: 2.50x slower for 3 pt won"
    assert pair("faster", -0.2, "same", 0.0) == ""
