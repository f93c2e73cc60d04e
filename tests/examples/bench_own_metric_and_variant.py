"""A metric and a variant of one's own, declared in the file that uses them."""

from difflib import SequenceMatcher

import pytest

from pytest_modelbench import Judged, metric, variant


@metric("ratio", "higher")
def likeness(predictions, references):
    """How much of two texts is the same, in order (difflib's ratio)."""
    return [SequenceMatcher(None, said, right).ratio() for said, right in zip(predictions, references, strict=True)]


@metric("ratio", "higher")
def coverage(predictions, references):
    """The share of the classes that were named at least once where they are."""
    hits = [label if label == right else None for label, right in zip(predictions, references, strict=True)]

    def of_sample(at):
        return len({hits[i] for i in at} - {None}) / len({references[i] for i in at})

    n = len(hits)
    return Judged(of_sample(range(n)), [float(hit is not None) for hit in hits], again=of_sample, n=n)


def bench_parity(measure):
    run = measure.each(lambda number: number % 2, [1, 2, 3])
    assert run.score("coverage", run.outputs, [1, 1, 0]) == 0.5


@variant(requires=("torch",), decides="dtype")
def bfloat16(model):
    """Weights of 16 bits."""
    model.load_with(dtype="bfloat16")
    return model


@pytest.mark.models("random:llama-tiny")
@pytest.mark.variants("eager", "bfloat16")
def bench_generate(model, measure):
    run = measure(model.generate, ["a b c"], max_new_tokens=8)
    run.count(tokens=run.output.new_tokens)
    run.score("likeness", run.output.texts, ["a b c d e f g h"])
