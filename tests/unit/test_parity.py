"""Outputs beside eager's: what the scores say, and which side of a limit they are on."""

import pytest

from pytest_modelbench.parity import MOST_NUMBERS, NOTHING, beyond, compare, kept
from pytest_modelbench.record import Score

numpy = pytest.importorskip("numpy")


def scores(own, eager):
    return compare(kept(own), kept(eager))


def array(*rows):
    return numpy.array(rows, "float32")


def test_the_same_outputs_are_at_parity():
    outputs = {"logits": array([1, 2, 0], [0, 5, 1]), "tokens": numpy.array([[3, 4], [5, NOTHING]])}
    values = {name: score.value for name, score in scores(outputs, outputs).items()}
    assert values == {
        "parity_tokens": 1,
        "parity_labels": 1,
        "parity_cosine": pytest.approx(1),
        "parity_max_difference": 0,
        "parity_mean_difference": 0,
    }


def test_tokens_match_by_their_place_out_of_all_that_either_has():
    eager, own = numpy.array([[1, 2, 3, 4]]), numpy.array([[1, 2, 9, NOTHING]])
    assert scores({"tokens": own}, {"tokens": eager})["parity_tokens"].value == 0.5
    longer = numpy.array([[1, 2, 3, 4, 5, 6, 7, 8]])
    assert scores({"tokens": longer}, {"tokens": eager})["parity_tokens"].value == 0.5


def test_differences_and_cosine_are_of_rows():
    found = scores({"embedding": array([1, 0], [0, 2])}, {"embedding": array([1, 0], [2, 0])})
    assert found["parity_cosine"].items == (1.0, 0.0)
    assert found["parity_max_difference"].value == 2
    assert found["parity_mean_difference"].items == (0.0, 2.0)
    assert "parity_labels" not in found


def test_labels_are_the_largest_logits():
    found = scores({"logits": array([1, 2], [3, 1])}, {"logits": array([1, 3], [1, 2])})
    assert found["parity_labels"].items == (1.0, 0.0)


def test_what_is_masked_is_not_compared():
    eager = {"logits": array([1, 2], [numpy.nan, numpy.nan])}
    own = {"logits": array([1, 2], [numpy.nan, numpy.nan])}
    found = scores(own, eager)
    assert found["parity_cosine"].items == (pytest.approx(1),)
    assert found["parity_labels"].items == (1.0, 1.0)


def test_forbidden_tokens_have_no_difference():
    forbidden = {"logits": array([1, -numpy.inf, 2])}
    assert scores(forbidden, forbidden)["parity_max_difference"].value == 0


def test_not_a_number_is_no_parity():
    found = scores({"logits": array([numpy.nan, numpy.nan])}, {"logits": array([1, 2])})
    assert found["parity_labels"].value == 0
    assert "parity_cosine" not in found
    assert beyond(found, {"cosine": 0.9}) == ["cosine is not known, limit 0.9"]


def test_a_second_step_counts_only_after_the_same_first():
    eager = {"logits": array([0, 1], [0, 1]), "next_logits": array([1, 2], [1, 2])}
    own = {"logits": array([0, 1], [1, 0]), "next_logits": array([1, 2], [50, 60])}
    assert scores(own, eager)["parity_max_difference"].value == 1


def test_rows_of_zeros():
    found = scores({"embedding": array([0, 0], [0, 0])}, {"embedding": array([0, 0], [1, 0])})
    assert found["parity_cosine"].items == (1.0, 0.0)


def test_large_arrays_are_compared_on_some_of_their_numbers():
    large = numpy.zeros((2, MOST_NUMBERS), "float32")
    rows = kept({"logits": large})
    assert rows["logits"].shape == (2, MOST_NUMBERS // 2)
    assert rows["labels"].shape == (2, 1)


def test_limits_have_sides():
    found = {"parity_cosine": Score(0.9, "ratio", "higher"), "parity_max_difference": Score(0.5, "value", "lower")}
    assert beyond(found, {"cosine": 0.9, "max_difference": 0.5}) == []
    assert beyond(found, {"cosine": 0.99, "max_difference": 0.1}) == [
        "cosine 0.9 is under the limit 0.99",
        "max_difference 0.5 is over the limit 0.1",
    ]
