"""Metrics: each against values computed by hand."""

import pytest

from pytest_modelbench.declare import Metric
from pytest_modelbench.errors import UsageError
from pytest_modelbench.metrics.classify import accuracy
from pytest_modelbench.metrics.text import contains, exact_match, normalised


@pytest.mark.parametrize("metric", [exact_match, contains, accuracy])
def test_each_has_a_unit_and_a_direction(metric):
    assert isinstance(metric, Metric)
    assert (metric.unit, metric.direction) == ("ratio", "higher")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("The Paris!", "paris"),
        ("  A  cat\tand an\ndog ", "cat and dog"),
        ("Washington, D.C.", "washington dc"),
        ("theatre", "theatre"),
        ("Brasília", "brasília"),
        ("the", ""),
    ],
)
def test_normalised_as_squad_does(text, same):
    assert normalised(text) == same


def test_exact_match_by_hand():
    said = ["Paris.", "It is Paris", "the Rome", "Kyiv", "Kiev", "1912"]
    right = ["paris", "Paris", "Rome", ["Kiev", "Kyiv"], ["Kiev", "Kyiv"], 1912]
    assert exact_match(said, right) == [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_contains_by_hand():
    said = ["The capital is Paris.", "The female", "New Delhi, India", "Delhi New", "the city of Kyiv!", ""]
    right = ["paris", "Male", "New Delhi", "New Delhi", ["Kiev", "Kyiv"], "x"]
    assert contains(said, right) == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def test_accuracy_by_hand():
    assert accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == [1.0, 1.0, 0.0, 1.0]
    assert accuracy(["cat", "Cat"], ("cat", "cat")) == [1.0, 0.0]


def test_arrays_are_judged_as_their_values():
    numpy = pytest.importorskip("numpy")
    assert accuracy(numpy.array([1, 2]), [1, 3]) == [1.0, 0.0]
    assert accuracy([numpy.int64(1), numpy.int64(2)], numpy.array([1, 3])) == [1.0, 0.0]
    assert accuracy(numpy.array(["a", "b"]), ["a", "c"]) == [1.0, 0.0]


@pytest.mark.parametrize("metric", [exact_match, contains, accuracy])
@pytest.mark.parametrize(
    ("predictions", "references", "said"),
    [
        (["a", "b"], ["a"], "2 predictions and 1 references"),
        ([], [], "no items to judge"),
        ("abc", ["a", "b", "c"], "predictions must be a list with an entry an item, not str"),
        (["a"], "a", "references must be a list"),
        (["a"], None, "references must be a list with an entry an item, not NoneType"),
    ],
)
def test_what_cannot_be_judged_is_refused(metric, predictions, references, said):
    with pytest.raises(UsageError) as caught:
        metric(predictions, references)
    assert said in str(caught.value)
    assert str(caught.value).startswith(metric.name)


def test_a_reference_that_says_nothing_is_refused():
    with pytest.raises(UsageError, match=r"contains: reference 0 is 'The!': nothing is left"):
        contains(["anything"], ["The!"])
    with pytest.raises(UsageError, match="reference 0 is"):
        exact_match(["anything"], [[]])
    assert exact_match(["the"], ["a"]) == [1.0]


def test_labels_of_two_types_are_refused():
    with pytest.raises(UsageError, match=r"item 1 compares 2 with '2'"):
        accuracy([1, 2], [1, "2"])
    with pytest.raises(UsageError, match="prediction 0 is int, not text"):
        exact_match([3], ["3"])
