"""Pictures and text: which text fits, and texts about pictures; by random weights, so the work and no sense."""

import pytest

pytestmark = pytest.mark.multimodal

TEXTS = ["a photograph of a cat", "a photograph of a dog", "a drawing", "nothing at all"]


@pytest.mark.models("random:clip-base")
@pytest.mark.variants("eager", "compiled", "onnx")
@pytest.mark.datasets("synthetic:images?size=224&n=2")
@pytest.mark.full("compiled", "onnx")  # exporting 151 M parameters takes longer than the bench
@pytest.mark.parity(cosine=0.999)
def bench_match(model, dataset, measure):
    run = measure(model.match, dataset.inputs, TEXTS)
    run.count(images=len(dataset.inputs))


@pytest.mark.models("random:blip-tiny")
@pytest.mark.datasets("synthetic:images?size=64&n=2")
def bench_caption(model, dataset, measure):
    run = measure(model.caption, dataset.inputs, max_new_tokens=16, min_new_tokens=16)
    run.count(tokens=run.output.new_tokens)


@pytest.mark.models("random:blip-tiny?task=visual-question-answering")
@pytest.mark.datasets("synthetic:images?size=64&n=2")
def bench_answer(model, dataset, measure):
    run = measure(model.answer, dataset.inputs, ["what is it", "what colour has it"], max_new_tokens=8)
    run.count(images=len(dataset.inputs))
