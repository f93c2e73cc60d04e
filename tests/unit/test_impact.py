"""What fewer bits a weight do, as a table; and the interval of a difference of scores on the same items."""

import math
from dataclasses import replace
from statistics import mean

import pytest
from records import ended, timed

from pytest_modelbench.groups import side_by_side
from pytest_modelbench.impact import bits, impact
from pytest_modelbench.paired import difference_interval
from pytest_modelbench.record import Memory, ModelFacts, Score
from pytest_modelbench.reports.terminal import lines

RIGHT = (1.0,) * 16 + (0.0,) * 4


def binary(items):
    return Score(mean(items), "ratio", "higher", tuple(items))


def run(variant, seconds, bits_a_weight, items=RIGHT, agreement=None):
    scores = {"accuracy": binary(items)}
    if agreement is not None:
        scores["parity_tokens"] = Score(agreement, "ratio", "higher")
    return replace(
        timed(seconds=seconds, variant=variant, device="cpu"),
        scores=scores,
        memory=Memory(process_peak_bytes=2**30),
        model=ModelFacts("m", parameters=1000, weight_bytes=round(125 * bits_a_weight)),
    )


def group_of(*records):
    (group,) = side_by_side(list(records))
    return group


def test_the_most_bits_first_each_against_them():
    group = group_of(
        run("bnb-nf4", 2.0, 5.1, (0.0,) * 6 + RIGHT[6:], 0.5), run("eager", 1.0, 32), run("bf16", 0.5, 16, RIGHT, 0.984)
    )
    table = impact(group)
    assert table.heads == (
        "variant", "bits/weight", "time", "weights", "peak memory", "accuracy", "change, 95 % CI", "as eager",
    )  # fmt: skip
    eager, bf16, nf4 = table.texts
    assert eager == ("eager", "32.0", "reference", "reference", "reference", "0.800", "", "")
    assert bf16[:4] == ("bf16", "16.0", "2.00x faster", "2.00x less")
    assert bf16[-1] == "98.4 % of tokens"
    assert bf16[-2].startswith("0.0 pt (")
    assert nf4[2:4] == ("2.00x slower", f"{(32 * 125) / round(5.1 * 125):.2f}x less")
    assert nf4[-2].startswith("-30.0 pt (-")


def test_what_runs_otherwise_at_as_many_bits_is_not_in_it():
    group = group_of(run("eager", 1.0, 32), run("compiled", 0.5, 32), run("bnb-int8", 0.7, 9))
    assert [row.label for row in impact(group).rows] == ["eager", "bnb-int8"]


def test_no_fewer_bits_no_table():
    assert impact(group_of(run("eager", 1.0, 32), run("compiled", 0.5, 32))) is None
    assert impact(group_of(timed(variant="eager"), timed(variant="bf16"))) is None
    assert impact(group_of(run("eager", 1.0, 32), ended("oom", variant="bf16", device="cpu"))) is None


def test_columns_that_say_nothing_are_left_out():
    bare = [replace(run(*one), scores={}, memory=Memory()) for one in (("eager", 1.0, 32), ("bf16", 0.5, 16))]
    assert impact(group_of(*bare)).heads == ("variant", "bits/weight", "time", "weights")


def test_bits_are_unknown_without_weights():
    (row,) = group_of(timed(variant="eager")).rows
    assert bits(row) is None


def test_the_terminal_shows_it_and_drops_columns_that_do_not_fit():
    records = [run("eager", 1.0, 32), run("bnb-int8", 0.5, 9, RIGHT, 0.9)]
    wide, middling, narrow = (lines(records, width=width, seconds=1.0) for width in (120, 98, 60))
    (head,) = (line for line in wide if "bits/weight" in line)
    assert head.split()[:4] == ["variant", "bits/weight", "time", "weights"]
    assert any("90.0 % of tokens" in line for line in wide)
    assert any("90.0 % of tokens" in line for line in middling), "the tokens are said by nothing else"
    assert not any("bits/weight" in line for line in middling)
    assert not any("of tokens" in line for line in narrow)
    assert max(len(line) for line in narrow if "bits/weight" in line or "bnb-int8" in line) <= 60


# -- the interval


def test_shares_by_hand():
    # 20 items, 6 lost and none won: (1/22 - 7/22) -+ 1.96 sqrt((8/22 - (6/22)^2) / 22)
    low, high = difference_interval(binary(RIGHT), binary((0.0,) * 6 + RIGHT[6:]))
    half = 1.96 * math.sqrt((8 / 22 - (6 / 22) ** 2) / 22)
    assert (low, high) == pytest.approx((-6 / 22 - half, -6 / 22 + half))


def test_means_by_bootstrap_hold_the_difference():
    before = [0.5 + 0.01 * (at % 7) for at in range(40)]
    after = [value - 0.1 + 0.02 * (at % 3) for at, value in enumerate(before)]
    scores = [Score(mean(items), "ratio", "higher", tuple(items)) for items in (before, after)]
    low, high = difference_interval(*scores)
    assert low < scores[1].value - scores[0].value < high < 0
    assert (low, high) == difference_interval(*scores)


def test_a_perplexity_is_the_exp_of_its_items():
    items = [2.0 + 0.1 * (at % 5) for at in range(50)]
    worse = [value + 0.05 + 0.01 * (at % 2) for at, value in enumerate(items)]
    before, after = (Score(math.exp(mean(part)), "perplexity", "lower", tuple(part)) for part in (items, worse))
    low, high = difference_interval(before, after)
    assert 0 < low < after.value - before.value < high


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (binary(RIGHT), binary(RIGHT[1:])),
        (Score(0.5, "ratio", "higher"), Score(0.4, "ratio", "higher")),
        (Score(0.5, "", "higher", (0.1,) * 20), Score(0.4, "", "higher", (0.2,) * 20)),
        (Score(0.25, "", "higher", (0.25, 0.25)), Score(0.5, "", "higher", (0.5, 0.5))),
    ],
)
def test_items_that_do_not_tell(before, after):
    assert difference_interval(before, after) is None
