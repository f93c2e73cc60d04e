"""Questions from a file, and the fixture that stands for any data of your own."""

import pytest

from pytest_modelbench.datasets import Dataset


def shout(texts):
    return [text.upper() for text in texts]


@pytest.fixture
def dataset():
    return Dataset(inputs=("one", "two", "three"), references=("ONE", "TWO", "THREE"))


def bench_shout(dataset, measure):
    run = measure.each(shout, dataset.batches(2))
    run.count(texts=2)
    assert run.score("exact_match", run.flat, dataset.references) == 1
