"""Likelihood: how well a model foresees texts, and which of several it finds the likeliest.

Predictions are what `model.rolling`, `model.loglikelihood` and `model.choose` give; each text's is a list of natural
logarithms, one a token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import paired
from ..record import Score
from ..scores import Z
from ..stats import standard_error


@metric("perplexity", "lower")
def perplexity(predictions: Sequence[Sequence[float]], references: Sequence[str]) -> Score:
    """exp(-mean log-likelihood of a token), over all tokens of all texts; the references are the texts.

    An item is the negative log-likelihood of a token. Depends on the tokenizer, the window and the stride: compare
    equal ones only. The standard error is the delta method's: that of the mean, times the perplexity.
    """
    items = tuple(-token for tokens, _ in _texts("perplexity", predictions, references) for token in tokens)
    mean, error = math.fsum(items) / len(items), standard_error(items)
    value = math.exp(mean) if mean < math.log(1e300) else math.inf  # refused as not finite, rather than an overflow
    if error is None or not math.isfinite(value):
        return Score(value, "perplexity", "lower", items)
    low, high = (value * math.exp(side * Z * error) for side in (-1, 1))
    return Score(value, "perplexity", "lower", items, error * value, low, high, "of the mean log-likelihood, normal")


@metric("bits/byte", "lower")
def bits_per_byte(predictions: Sequence[Sequence[float]], references: Sequence[str]) -> Score:
    """Bits that the texts take a byte of UTF-8, as the model foresees them: comparable between tokenizers.

    An item is a token's bits over the mean bytes of a token, so that the score is the items' mean.
    """
    texts = _texts("bits_per_byte", predictions, references)
    bits = [-token / math.log(2) for tokens, _ in texts for token in tokens]
    token_bytes = sum(len(text.encode()) for _, text in texts) / len(bits)
    items = tuple(bit / token_bytes for bit in bits)
    return Score(math.fsum(items) / len(items), "bits/byte", "lower", items, standard_error(items))


@metric("ratio", "higher")
def normalised_accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """1 where the choice that is the likeliest for its length is the right one: lm-eval's `acc_norm`.

    Predictions are those of `model.choose`, references places of choices (from 0) or their texts.
    """
    items = []
    for at, (chosen, reference) in enumerate(paired("normalised_accuracy", predictions, references)):
        if not hasattr(chosen, "best_normalised"):
            raise UsageError(
                f"normalised_accuracy: prediction {at} is {type(chosen).__name__}: give what model.choose gave"
            )
        best = chosen.best_normalised
        right = chosen.choices[best].strip() if isinstance(reference, str) else best
        items.append(float(right == (reference.strip() if isinstance(reference, str) else reference)))
    return items


def _texts(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> list[tuple[list[float], str]]:
    """The log-likelihoods of each text with the text."""
    texts = []
    for at, (given, text) in enumerate(paired(name, predictions, references)):
        if not isinstance(text, str):
            raise UsageError(f"{name}: reference {at} is {type(text).__name__}; references are the judged texts")
        tokens = list(given) if hasattr(given, "__iter__") and not isinstance(given, (str, dict)) else []
        if not tokens or not all(isinstance(token, float) for token in tokens):
            raise UsageError(f"{name}: prediction {at} is no list of log-likelihoods: give what model.rolling gave")
        texts.append((tokens, text))
    return texts
