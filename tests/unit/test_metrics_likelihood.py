"""Perplexity, bits per byte and normalised accuracy, against values computed by hand."""

import math

import pytest

from pytest_modelbench.errors import UsageError
from pytest_modelbench.likelihood import Chosen, Likelihood
from pytest_modelbench.metrics.likelihood import bits_per_byte, normalised_accuracy, perplexity

LN2 = math.log(2)
#: Tokens of probability 1/2, 1/4 and 1/8: 1, 2 and 3 bits.
JUDGED = [Likelihood((-LN2, -2 * LN2), False), Likelihood((-3 * LN2,), True)]
TEXTS = ["four", "éé"]  # four bytes each


def test_perplexity_is_over_all_tokens():
    score = perplexity(JUDGED, TEXTS)
    assert score.value == pytest.approx(2**2)  # two bits a token in the mean
    assert (score.unit, score.direction) == ("perplexity", "lower")
    assert score.items == pytest.approx((LN2, 2 * LN2, 3 * LN2))
    assert math.exp(sum(score.items) / 3) == pytest.approx(score.value)
    # standard error of 1, 2, 3 (times ln 2) is 1/sqrt(3); the delta method multiplies by the perplexity
    assert score.standard_error == pytest.approx(4 * LN2 / math.sqrt(3))


def test_plain_lists_are_taken_too():
    assert perplexity([[-LN2, -2 * LN2], [-3 * LN2]], TEXTS) == perplexity(JUDGED, TEXTS)


def test_bits_per_byte_counts_bytes_not_letters():
    score = bits_per_byte(JUDGED, TEXTS)
    assert score.value == pytest.approx(6 / 8)
    assert sum(score.items) / len(score.items) == pytest.approx(score.value)
    assert (score.unit, score.direction) == ("bits/byte", "lower")


def test_bits_per_byte_is_the_same_for_another_tokenizer():
    joined = [Likelihood((-3 * LN2,), False), Likelihood((-LN2, -LN2, -LN2), False)]
    assert bits_per_byte(joined, TEXTS).value == pytest.approx(bits_per_byte(JUDGED, TEXTS).value)
    assert perplexity(joined, TEXTS).value != pytest.approx(perplexity(JUDGED, TEXTS).value)


def test_one_token_has_no_standard_error():
    assert perplexity([[-1.0]], ["a"]).standard_error is None


def test_what_cannot_be_foreseen_is_not_finite():
    assert perplexity([[-math.inf]], ["a"]).value == math.inf
    assert perplexity([[-1000.0]], ["a"]).value == math.inf


def test_normalised_accuracy_takes_length_out():
    long = Chosen((" yes", " certainly"), (Likelihood((-2.0,), False), Likelihood((-3.0,), False)))
    assert normalised_accuracy([long, long, long, long], [1, 0, "certainly", "yes"]) == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("metric", "predictions", "references", "says"),
    [
        (perplexity, [[-1.0]], [], "1 predictions and 0 references"),
        (perplexity, ["text"], ["text"], "give what model.rolling gave"),
        (perplexity, [[]], ["text"], "give what model.rolling gave"),
        (perplexity, [-1.0], ["text"], "give what model.rolling gave"),
        (bits_per_byte, [[-1.0]], [3], "references are the judged texts"),
        (normalised_accuracy, [1], [1], "give what model.choose gave"),
    ],
)
def test_what_cannot_be_judged(metric, predictions, references, says):
    with pytest.raises(UsageError, match=says):
        metric(predictions, references)
