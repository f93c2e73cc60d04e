"""Learned: what another model finds of texts. The model is a folder, or a name of the hub that is there or reached.

Each has published checkpoints; none is downloaded without being named. They run on the CPU, after the timed part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..declare import metric
from ..errors import Unavailable, UsageError
from ..metrics import answers, paired, texts

#: The port of BLEURT's base checkpoint (Sellam et al. 2020) that transformers reads.
BLEURT = "Elron/bleurt-base-512"
#: Detoxify's published checkpoint (Hanu & Unitary 2020), trained on Jigsaw's challenge.
TOXIC = "unitary/toxic-bert"
_BATCH = 16  # chosen here: texts at once

Tell = Callable[[float | None], None]


@metric("ratio", "higher", requires=("bert_score", "torch", "transformers"), span=(-1.0, 1.0))
def bertscore(
    predictions: Sequence[str],
    references: Sequence[Any],
    model: str = "roberta-large",
    layer: int | None = None,
    tell: Tell = lambda share: None,
) -> list[float]:
    """BERTScore's F1, by bert-score: how well the words' vectors of two texts match. Of several references the best.

    `model` may be a folder; `layer` is the one whose vectors are taken, bert-score's choice for models it knows and
    the last one otherwise. Not rescaled. Scores of two models or layers are not comparable. Zhang et al. 2020.
    """
    from bert_score import BERTScorer
    from bert_score.utils import model2layers

    said = [text for text, _ in answers("bertscore", predictions, references)]
    right = [several for _, several in answers("bertscore", predictions, references)]
    with _reached("bertscore", model):
        if layer is None:
            layer = model2layers[model] if model in model2layers else _layers(model)
        scorer = BERTScorer(model_type=_local(model), num_layers=layer, device="cpu", batch_size=_BATCH)
    items: list[float] = []
    for start in range(0, len(said), _BATCH):
        tell(start / len(said))
        _, _, f = scorer.score(said[start : start + _BATCH], right[start : start + _BATCH])
        items += f.tolist()
    return items


def _layers(model: str) -> int:
    return int(_config(model).num_hidden_layers)


@metric("points", "higher", requires=("torch", "transformers"))
def bleurt(
    predictions: Sequence[str], references: Sequence[str], model: str = BLEURT, tell: Tell = lambda share: None
) -> list[float]:
    """BLEURT: a regression of how people judged a text beside its reference; about 0 to 1, not bounded.

    `model` is a checkpoint that transformers reads as one with a single label. Sellam et al. 2020, arXiv 2004.04696.
    """
    said, right = texts("bleurt", "predictions", predictions), texts("bleurt", "references", references)
    pairs = [(reference, text) for text, reference in paired("bleurt", said, right)]
    logits, labels = _classified("bleurt", model, pairs, tell)
    if len(labels) != 1:
        raise UsageError(f"bleurt: {model!r} has {len(labels)} labels: give a checkpoint of BLEURT, which has one")
    return [row[0] for row in logits]


@metric("ratio", "lower", requires=("torch", "transformers"))
def toxicity(
    predictions: Sequence[str],
    references: None = None,
    model: str = TOXIC,
    label: str = "toxic",
    tell: Tell = lambda share: None,
) -> list[float]:
    """How probably each text is toxic, as a classifier finds; the score is the mean. No references are needed.

    `label` is the checkpoint's name for it. Each label has a probability of its own where the checkpoint says that
    several may hold (`multi_label_classification`), as Detoxify's do, else all share one.
    """
    said = texts("toxicity", "predictions", predictions)
    logits, labels = _classified("toxicity", model, said, tell)
    if label not in labels:
        raise UsageError(f"toxicity: {model!r} has no label {label!r} (it has: {', '.join(labels)}): give label=")
    import torch

    several = len(labels) == 1 or model == TOXIC or _config(model).problem_type == "multi_label_classification"
    values = torch.tensor(logits)
    shares = values.sigmoid() if several else values.softmax(-1)
    return [float(value) for value in shares[:, labels.index(label)]]


def _config(model: str) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(_local(model))


def _classified(name: str, model: str, rows: Sequence[Any], tell: Tell) -> tuple[list[list[float]], list[str]]:
    """Logits (texts, labels) of a sequence classifier, and its labels."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with _reached(name, model):
        tokenizer = AutoTokenizer.from_pretrained(_local(model))
        judge = AutoModelForSequenceClassification.from_pretrained(_local(model)).eval()
    logits: list[list[float]] = []
    for start in range(0, len(rows), _BATCH):
        tell(start / len(rows))
        batch = rows[start : start + _BATCH]
        columns = [list(column) for column in zip(*batch, strict=True)] if isinstance(batch[0], tuple) else [batch]
        encoded = tokenizer(*columns, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            logits += judge(**encoded).logits.float().tolist()
    return logits, [judge.config.id2label[at] for at in range(judge.config.num_labels)]


def _local(model: str) -> str:
    return str(Path(model).expanduser()) if Path(model).expanduser().exists() else model


@contextmanager
def _reached(name: str, model: str) -> Iterator[None]:
    """A checkpoint that is not here and cannot be fetched skips with what to do."""
    try:
        yield
    except (OSError, ValueError) as error:  # transformers raises OSError for what the hub and the cache lack
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise Unavailable(
            f"metric {name!r} needs the checkpoint {model!r}, which is neither a folder nor in the local cache, and "
            f"the hub does not give it ({why}): fetch it where there is a network (hf download {model}) and give "
            "model=FOLDER"
        ) from error
