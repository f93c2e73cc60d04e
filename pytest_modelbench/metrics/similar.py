"""Similar: vectors, rankings and next-token distributions against those of another model or variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import array, check_pairs, numbers, paired
from ..scores import Judged


@metric("cosine", "higher", span=(-1.0, 1.0))
def cosine(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """The cosine of the angle between each vector and its reference: embeddings of two variants of one model, say.

    Raises UsageError for vectors of two lengths, and for one of zeros, which has no direction.
    """
    import numpy as np

    items = []
    for at, (vector, other) in enumerate(_arrays("cosine", predictions, references)):
        if vector.ndim != 1 or vector.shape != other.shape:
            raise UsageError(
                f"cosine: item {at} has shapes {vector.shape} and {other.shape}: give vectors of one length"
            )
        lengths = float(np.linalg.norm(vector) * np.linalg.norm(other))
        if lengths == 0:
            raise UsageError(f"cosine: item {at} is a vector of zeros, which has no direction")
        items.append(float(vector @ other) / lengths)
    return items


@metric("correlation", "higher", requires=("scipy",), span=(-1.0, 1.0))
def spearman(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """Spearman's correlation of ranks: similarities of pairs with people's judgements of them, say. No items."""
    import numpy as np
    from scipy.stats import rankdata

    said, right = numbers("spearman", "predictions", predictions), numbers("spearman", "references", references)
    values = np.array(list(paired("spearman", said, right))).T  # (2, items)
    for role, row in zip(("predictions", "references"), values, strict=True):
        if np.ptp(row) == 0:
            raise UsageError(f"spearman: the {role} are all alike: they have no ranks")

    def judge(at: Sequence[int]) -> float:
        some = values[:, np.asarray(at)]
        return float("nan") if (np.ptp(some, axis=1) == 0).any() else float(np.corrcoef(rankdata(some, axis=1))[0, 1])

    return Judged(judge(range(len(said))), again=judge, n=len(said))


@metric("nats", "lower", requires=("scipy",))
def logit_kl(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """How far a variant's next-token distributions are from the reference's: KL(reference, variant), nats a token.

    Each item is an array of logits (tokens, vocabulary), or (vocabulary,) for one token. An item's value is what it
    adds: its sum over tokens, over the mean number of tokens, so that the mean is the score.
    """
    import numpy as np
    from scipy.special import log_softmax

    sums, sizes = [], []
    for at, (logits, right) in enumerate(_arrays("logit_kl", predictions, references)):
        if logits.shape != right.shape or logits.ndim not in (1, 2):
            raise UsageError(
                f"logit_kl: item {at} has shapes {logits.shape} and {right.shape}: give (tokens, vocabulary) twice"
            )
        ours, theirs = (log_softmax(values.reshape(-1, values.shape[-1]), axis=-1) for values in (logits, right))
        share = np.exp(theirs)
        # a token that the reference rules out adds nothing, however unlikely the variant finds it
        sums.append(float(np.where(share > 0, share * (theirs - ours), 0.0).sum()))
        sizes.append(len(ours))
    return _weighted(sums, sizes)


@metric("ratio", "higher")
def token_agreement(predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> Judged:
    """The share of places at which a variant chose the token of the reference variant.

    Of texts of two lengths the places that one lacks do not agree. An item's value is what it adds, so that the mean
    is the score. After a first other token greedy texts go their own ways: a low share is not a bad text.
    """
    hits, sizes = [], []
    for at, (ids, right) in enumerate(paired("token_agreement", predictions, references)):
        if not (isinstance(ids, (list, tuple)) and isinstance(right, (list, tuple))):
            raise UsageError(f"token_agreement: item {at} is {type(ids).__name__}: give lists of token ids")
        hits.append(float(sum(one == other for one, other in zip(ids, right, strict=False))))
        sizes.append(max(len(ids), len(right)))
    if not any(sizes):
        raise UsageError("token_agreement: there are no tokens to compare")
    return _weighted(hits, sizes)


def _weighted(sums: list[float], sizes: list[int]) -> Judged:
    """A mean over tokens of items that have several."""
    mean, n = sum(sizes) / len(sizes), len(sizes)

    def judge(at: Sequence[int]) -> float:
        size = sum(sizes[i] for i in at)
        return sum(sums[i] for i in at) / size if size else float("nan")

    return Judged(judge(range(n)), tuple(value / mean for value in sums), judge, n)


def _arrays(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> list[tuple[Any, Any]]:
    check_pairs(name, predictions, references)
    return [(array(name, one), array(name, other)) for one, other in zip(predictions, references, strict=True)]
