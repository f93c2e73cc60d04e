"""From what a metric gives to a Score: items, intervals, what is refused; and composites."""

import math
import random
import statistics

import pytest

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.declare import metric
from pytest_modelbench.errors import NotFinite, Unavailable, UnknownName, UsageError
from pytest_modelbench.record import Score
from pytest_modelbench.scores import Judged, composite, key_of, resampled, wilson
from pytest_modelbench.scores import judge as judged


def judge(metric, *given, **more):
    """The one score that a metric gives."""
    (score,) = judged(metric, *given, **more).values()
    return score


@metric("ratio", "higher")
def right(predictions, references):
    return [float(one == other) for one, other in zip(predictions, references, strict=True)]


@metric("points", "higher")
def gap(predictions, references):
    return [abs(one - other) for one, other in zip(predictions, references, strict=True)]


@metric("points", "higher")
def middle(predictions, references=None, scale=1):
    values = sorted(predictions)

    def median(at):
        return scale * statistics.median(values[i] for i in at)

    return Judged(median(range(len(values))), again=median, n=len(values))


def test_numbers_an_item_become_their_mean_with_its_error():
    score = judge(gap, [1, 2, 3, 9], [0, 0, 0, 0])
    assert (score.value, score.unit, score.direction, score.items) == (3.75, "points", "higher", (1, 2, 3, 9))
    assert score.standard_error == pytest.approx(statistics.stdev([1, 2, 3, 9]) / 2)
    assert score.low == pytest.approx(3.75 - 1.959964 * score.standard_error)
    assert score.high == pytest.approx(3.75 + 1.959964 * score.standard_error)
    assert "normal" in score.interval
    assert "normal" in judge(gap, [1, 0, 1], [0, 0, 0]).interval, "points that happen to be 0 and 1 are no shares"
    alone = judge(gap, [2], [0])
    assert (alone.value, alone.low, alone.standard_error) == (2.0, None, None)


def test_right_and_wrong_have_wilsons_interval():
    """7 of 10: 0.397 to 0.892 (Newcombe 1998, Statistics in Medicine 17, method 3)."""
    score = judge(right, [0] * 7 + [1] * 3, [0] * 10)
    assert (round(score.low, 3), round(score.high, 3)) == (0.397, 0.892)
    assert wilson(10, 10)[1] == 1.0
    scipy = pytest.importorskip("scipy.stats")
    expected = scipy.binomtest(3, 40).proportion_ci(method="wilson")
    assert wilson(3, 40) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_a_metric_of_the_whole_is_resampled_the_same_each_time():
    draw = random.Random(3)
    values = [draw.random() for _ in range(60)]
    score = judge(middle, values)
    assert score.value == statistics.median(values)
    assert score.low < score.value < score.high
    assert score.interval == "percentiles of 1,000 bootstrap samples"
    assert judge(middle, values) == score
    scipy = pytest.importorskip("scipy.stats")
    expected = scipy.bootstrap((values,), statistics.median, method="percentile", vectorized=False, rng=0)
    assert score.low == pytest.approx(expected.confidence_interval.low, abs=0.03)
    assert score.high == pytest.approx(expected.confidence_interval.high, abs=0.03)


def test_the_interval_holds_about_as_often_as_it_says():
    """Of 200 sets of 40 tosses of a 0.8 coin, about 95 % have 0.8 within the interval."""
    draw, held = random.Random(7), 0
    for _ in range(200):
        tosses = [float(draw.random() < 0.8) for _ in range(40)]
        score = judge(right, tosses, [1.0] * 40)
        held += score.low <= 0.8 <= score.high
    assert 180 <= held <= 199


def test_samples_that_cannot_be_judged_give_no_value():
    drawn = resampled(lambda at: math.nan if at[0] == 0 else 1.0, 2, lambda share: None)
    assert 300 < len(drawn) < 700
    few = Judged(1.0, again=lambda at: math.nan, n=2)
    score = judge(metric("", "higher", name="few")(lambda predictions, references=None: few), [1, 2])
    assert (score.value, score.low, score.standard_error) == (1.0, None, None)


def test_resampling_takes_no_longer_than_it_may(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("pytest_modelbench.scores.perf_counter", lambda: next(clock) * 0.1)
    assert len(resampled(lambda at: 1.0, 3, lambda share: None)) == 50
    assert judge(middle, [1, 2, 3]).low is None, "under a hundred samples there is no interval"


def test_progress_is_told():
    told = []
    judge(middle, [1, 2, 3], tell=told.append)
    assert told[0] == 0
    assert told == sorted(told)
    assert len(told) == 1000

    @metric("", "higher")
    def slow(predictions, references=None, tell=None):
        tell(0.5)
        return [1.0]

    told.clear()
    judge(slow, [1], tell=told.append)
    assert told == [0.5]


@pytest.mark.parametrize(
    ("items", "said"),
    [([1.0, math.nan], "nan for item 1"), ([math.inf], "inf for item 0"), (Score(math.nan, "", "higher"), "gave nan")],
)
def test_no_finite_number_is_refused(items, said):
    broken = metric("", "higher", name="broken")(lambda predictions, references=None: items)
    with pytest.raises(NotFinite, match=rf"metric 'broken' gave .*{said.rpartition('gave ')[2]}: no finite number"):
        judge(broken, [1])


def test_a_metric_may_give_several_by_name():
    two = metric("ratio", "higher", name="two")(
        lambda predictions, references=None: {"two:a": [1.0, 0.0], "two:b": [1.0]}
    )
    assert two.span == (0.0, 1.0)
    assert {name: score.value for name, score in judged(two, [1]).items()} == {"two_a": 0.5, "two_b": 1.0}


def test_what_is_asked_of_a_metric_that_it_has_not():
    with pytest.raises(UsageError, match="metric 'gap' needs references, and there are none"):
        judge(gap, [1])
    with pytest.raises(UsageError, match=r"metric 'middle' takes no option scal \(it takes: scale\)"):
        judge(middle, [1], options={"scal": 2})
    with pytest.raises(UsageError, match=r"takes no option a, b \(it takes: none\)"):
        judge(gap, [1], [1], options={"b": 2, "a": 1})
    assert judge(middle, [1, 2, 3], options={"scale": 2}).value == 4
    needy = metric("", "higher", name="needy", requires=("no_such_library",))(lambda predictions, references: [1.0])
    with pytest.raises(Unavailable, match="metric 'needy' needs no_such_library: pip install"):
        judge(needy, [1], [1])
    with pytest.raises(UsageError, match="got no items"):
        judge(metric("", "higher", name="none")(lambda predictions, references: []), [1], [1])


def test_an_option_stands_after_a_colon():
    catalog = Catalog()
    assert catalog.metric("f1:micro").name == "f1:micro"
    assert key_of("f1:micro") == "f1_micro"
    assert key_of("evaluate:./my metrics/mine") == "evaluate_my_metrics_mine"
    with pytest.raises(UsageError, match="metric 'accuracy' takes nothing after a colon: leave 'x' out"):
        catalog.metric("accuracy:x")
    with pytest.raises(UnknownName, match=r"unknown metric 'f11' in bench_a; did you mean 'f1'\?"):
        catalog.metric("f11:micro", where="bench_a")


# -- composites


SCORES = {
    "accuracy": Score(0.75, "ratio", "higher", (1.0, 1.0, 0.0, 1.0)),
    "wer": Score(0.2, "ratio", "lower", (0.0, 0.4, 0.4, 0.0)),
    "bleu": Score(30.0, "points", "higher", (10.0, 20.0, 30.0, 40.0)),
    "perplexity": Score(11.0, "perplexity", "lower"),
}
SPANS = {"accuracy": (0, 1), "wer": (0, 1), "bleu": (0, 100)}


def test_a_composite_by_hand():
    found = composite(SCORES, {"accuracy": 1, "wer": 3}, SPANS)
    assert found.value == pytest.approx((0.75 + 3 * 0.8) / 4)
    assert found.items == pytest.approx((1.0, 0.7, 0.45, 1.0))
    assert (found.unit, found.direction) == ("ratio", "higher")
    assert found.low < found.value < found.high
    whole = composite(SCORES, {"accuracy": 2, "perplexity": 2}, SPANS | {"perplexity": (1, 21)})
    assert whole.value == pytest.approx((0.75 + 0.5) / 2)
    assert whole.items == ()
    assert composite(SCORES, {"bleu": 1, "accuracy": 0}, SPANS).items == (), "whose items' mean is another number"
    assert composite(SCORES, {"perplexity": 1}, {"perplexity": (1, 5)}).value == 0, "beyond its worst"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"accuracy": 0, "wer": 0.0}, "the weights sum to zero"),
        ({}, "the weights sum to zero"),
        ({"accuracy": -1, "wer": 2}, "the weight of 'accuracy' is -1"),
        ({"accuracy": math.nan}, "the weight of 'accuracy' is nan"),
        ({"acuracy": 1}, r"there is no score 'acuracy'; did you mean 'accuracy'\? \(there are: accuracy, wer"),
        ({"perplexity": 1}, r"'perplexity' \(perplexity\) has no least and most: give them, spans="),
    ],
)
def test_a_composite_that_cannot_be_meant(weights, said):
    with pytest.raises(UsageError, match=said):
        composite(SCORES, weights, SPANS)
