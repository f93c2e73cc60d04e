"""Text: how a generated text compares with what it should say.

Texts are normalised as SQuAD's official evaluation does (Rajpurkar et al. 2016, arXiv 1606.05250, `evaluate-v1.1.py`):
lower case, punctuation removed, the articles a, an, the removed, white space made one. An item may have several right
answers, as there: a list of texts is met by its best.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import paired, texts

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@metric("ratio", "higher")
def exact_match(predictions: Sequence[str], references: Sequence[Any]) -> list[float]:
    """1 where the text is the reference, both normalised; 0 elsewhere. `"The Paris!"` is `"paris"`."""
    return _judge("exact_match", predictions, references, lambda said, right: float(said == right))


@metric("ratio", "higher")
def contains(predictions: Sequence[str], references: Sequence[Any]) -> list[float]:
    """1 where the reference stands in the text as whole words, both normalised; 0 elsewhere.

    Whole words, because "Male" is in "female". Scripts written without spaces need a metric of their own.
    Raises UsageError for a reference of which nothing is left: every text would contain it.
    """
    return _judge(
        "contains", predictions, references, lambda said, right: float(f" {right} " in f" {said} "), empty=False
    )


@metric("ratio", "higher")
def token_f1(predictions: Sequence[str], references: Sequence[Any]) -> list[float]:
    """SQuAD's F1: the harmonic mean of the shares of words that the text and the reference have in common."""
    return _judge("token_f1", predictions, references, _overlap)


def _overlap(said: str, right: str) -> float:
    words, true = said.split(), right.split()
    common = sum((Counter(words) & Counter(true)).values())
    if not words or not true:
        return float(words == true)
    return 2 * common / (len(words) + len(true))  # 2pr / (p + r) with p = common / words, r = common / true


def normalised(text: str) -> str:
    """A text as SQuAD's evaluation compares it.

    >>> normalised("The capital is  Washington, D.C.")
    'capital is washington dc'
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _judge(
    name: str,
    predictions: Sequence[str],
    references: Sequence[Any],
    alike: Callable[[str, str], float],
    empty: bool = True,
) -> list[float]:
    items = []
    said = texts(name, "predictions", predictions)
    for at, (text, reference) in enumerate(paired(name, said, references)):
        several = reference if isinstance(reference, (list, tuple)) else [reference]
        right = [normalised(str(answer)) for answer in several]
        if not right or not (empty or all(right)):
            raise UsageError(f"{name}: reference {at} is {reference!r}: nothing is left of it to look for")
        items.append(max(alike(normalised(text), answer) for answer in right))
    return items
