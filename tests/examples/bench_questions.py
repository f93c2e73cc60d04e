"""Questions made of a file's columns."""

from pathlib import Path

import pytest

Path("questions.csv").write_text("question,answer\nIs water wet?,yes\nIs fire cold?,no\n")


def shout(questions):
    return ["yes" for _ in questions]


@pytest.mark.datasets("questions.csv", template="{question} Answer in one word.", references="answer", limit=2)
def bench_questions(dataset, measure):
    run = measure.each(shout, dataset.batches(1))
    assert run.score("exact_match", run.flat, dataset.references) == 0.5


@pytest.mark.datasets("questions.csv", inputs="question", stream=True)
def bench_lengths(dataset, measure):
    buckets = dataset.buckets(2)
    run = measure.each(lambda texts: [text.upper() for text in texts], buckets)
    assert run.score("exact_match", buckets.in_order(run.flat), dataset.inputs) == 1


@pytest.mark.datasets("questions.csv", inputs="question", references="answer")
def bench_composite(dataset, measure):
    run = measure.each(shout, dataset.batches(1))
    run.score("exact_match", run.flat, dataset.references)
    run.score("distinct_n:1", run.flat)
    assert run.composite({"exact_match": 3, "distinct_n_1": 1}) == (3 * 0.5 + 1 * 0.5) / 4
