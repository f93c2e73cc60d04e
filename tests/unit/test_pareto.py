"""Which rows nothing beats in cost and score."""

from dataclasses import replace

import pytest
from records import ended, timed

from pytest_modelbench.groups import side_by_side
from pytest_modelbench.pareto import dominating, front, fronts
from pytest_modelbench.record import Memory, Score

GIB = 2**30


def scored(variant, seconds, score, peak=GIB, direction="higher", name="accuracy"):
    record = timed(seconds=seconds, variant=variant, device="cpu")
    return replace(
        record, scores={name: Score(score, "ratio", direction)}, memory=Memory(process_peak_bytes=peak), counts={}
    )


def group_of(*records):
    (group,) = side_by_side(list(records))
    return group


def labels(points):
    return [point.row.label for point in points]


@pytest.mark.parametrize(
    ("points", "higher", "expected"),
    [
        ([(1, 0.9), (2, 0.95), (3, 0.99)], True, [None, None, None]),
        ([(1, 0.9), (2, 0.9)], True, [None, 0]),  # as good and cheaper
        ([(1, 0.9), (1, 0.8)], True, [None, 0]),  # as cheap and better
        ([(1, 0.9), (1, 0.9)], True, [None, None]),  # equal ones do not beat each other
        ([(1, 20.0), (2, 15.0), (3, 16.0)], False, [None, None, 1]),  # perplexity: lower is better
        ([(3, 0.5), (1, 0.6), (2, 0.8)], True, [2, None, None]),  # of two that beat it, the one of the better score
    ],
)
def test_what_dominates(points, higher, expected):
    assert dominating(points, higher=higher) == expected


def test_fronts_of_a_group():
    group = group_of(scored("eager", 1.0, 0.95, GIB), scored("onnx", 0.5, 0.95, 2 * GIB), scored("int8", 0.7, 0.90))
    by_time, by_memory = fronts(group)
    assert (by_time.cost, by_time.score) == ("median_seconds", "accuracy")
    assert labels(by_time.points) == ["onnx", "int8", "eager"]
    assert labels(by_time.best) == ["onnx"]
    assert {point.row.label: point.dominated_by.label for point in by_time.dominated} == {
        "int8": "onnx",
        "eager": "onnx",
    }
    assert by_memory.cost == "peak_memory_bytes"
    assert labels(by_memory.best) == ["eager"]
    assert front(group) == by_time


def test_a_lower_score_may_be_the_better():
    group = group_of(scored("eager", 1.0, 17.5, direction="lower"), scored("int8", 0.5, 21.9, direction="lower"))
    assert labels(fronts(group)[0].dominated) == []


def test_what_was_not_measured_is_in_no_front():
    group = group_of(scored("eager", 1.0, 0.9), scored("int8", 2.0, 0.8), ended("oom", variant="onnx", device="cpu"))
    assert labels(front(group).points) == ["eager", "int8"]


@pytest.mark.parametrize("records", [[scored("eager", 1.0, 0.9)], [timed(variant="a"), timed(variant="b")]])
def test_one_row_or_no_score_is_no_front(records):
    assert fronts(group_of(*records)) == []
    assert front(group_of(*records)) is None
