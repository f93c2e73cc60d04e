"""Generation, timed: drawn with a seed, by beams, with a length that is forced, and as a stream."""

import pytest

pytestmark = [
    pytest.mark.models("random:llama-tiny"),
    pytest.mark.datasets("synthetic:prompts?tokens=32&n=4"),
]


@pytest.mark.parametrize("batch_size", [1, 4])
def bench_generate(model, dataset, batch_size, measure):
    run = measure(model.generate, dataset.inputs[:batch_size], max_new_tokens=16, min_new_tokens=16)
    run.count(tokens=run.output.new_tokens)


def bench_drawn(model, dataset, measure):
    run = measure(model.generate, dataset.inputs, max_new_tokens=16, temperature=0.8, top_p=0.95, seed=1)
    run.count(tokens=run.output.new_tokens)


def bench_beams(model, dataset, measure):
    run = measure(model.generate, dataset.inputs, max_new_tokens=16, num_beams=4)
    run.count(tokens=run.output.new_tokens)


def bench_first_token(model, dataset, measure):
    measure.stream(model.stream, dataset.inputs[:1], max_new_tokens=16)
