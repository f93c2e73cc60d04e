"""Text: how a generated text compares with what it should say.

Texts are normalised as SQuAD's official evaluation does (Rajpurkar et al. 2016, arXiv 1606.05250, `evaluate-v1.1.py`):
lower case, punctuation removed, the articles a, an, the removed, white space made one. An item may have several right
answers, as there: a list of texts is met by its best.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import paired

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@metric("ratio", "higher")
def exact_match(predictions: Sequence[str], references: Sequence[Any]) -> list[float]:
    """1 where the text is the reference, both normalised; 0 elsewhere. `"The Paris!"` is `"paris"`."""
    return _judge("exact_match", predictions, references, lambda said, right: said == right)


@metric("ratio", "higher")
def contains(predictions: Sequence[str], references: Sequence[Any]) -> list[float]:
    """1 where the reference stands in the text as whole words, both normalised; 0 elsewhere.

    Whole words, because "Male" is in "female". Scripts written without spaces need a metric of their own.
    Raises UsageError for a reference of which nothing is left: every text would contain it.
    """
    return _judge("contains", predictions, references, lambda said, right: f" {right} " in f" {said} ", empty=False)


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
    holds: Callable[[str, str], bool],
    empty: bool = True,
) -> list[float]:
    items = []
    for at, (said, reference) in enumerate(paired(name, predictions, references)):
        if not isinstance(said, str):
            raise UsageError(f"{name}: prediction {at} is {type(said).__name__}, not text: {said!r:.40}")
        answers = reference if isinstance(reference, (list, tuple)) else [reference]
        right = [normalised(str(answer)) for answer in answers]
        if not right or not (empty or all(right)):
            raise UsageError(f"{name}: reference {at} is {reference!r}: nothing is left of it to look for")
        items.append(float(any(holds(normalised(said), answer) for answer in right)))
    return items
