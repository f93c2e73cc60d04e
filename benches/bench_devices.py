"""One model on two devices: the table says how much faster the GPU is. Where there is none, its rows are skipped."""

import pytest

pytestmark = [pytest.mark.vision, pytest.mark.devices("cpu", "cuda")]


# The shape of ViT-Ti/16 (Touvron et al. 2021, arXiv 2012.12877): 5.7 M parameters.
@pytest.mark.models("random:vit?hidden_size=192&intermediate_size=768&num_attention_heads=3&num_labels=1000")
@pytest.mark.datasets("synthetic:images?size=224&n=8")
def bench_vit_on(model, dataset, measure):
    run = measure(model.classify, dataset.inputs)
    run.count(images=len(dataset.inputs))
