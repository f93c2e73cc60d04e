"""A Llama of a few thousand random weights: what it writes means nothing, how fast it writes does."""

import pytest

pytestmark = [pytest.mark.models("random:llama-tiny"), pytest.mark.datasets("synthetic:prompts?tokens=32&n=4")]


@pytest.mark.parametrize("batch_size", [1, 4])
def bench_generate(model, dataset, batch_size, measure):
    prompts = dataset.cut(model.tokenizer, tokens=32)
    run = measure(model.generate, prompts[:batch_size], max_new_tokens=8)
    run.count(tokens=run.output.new_tokens)
