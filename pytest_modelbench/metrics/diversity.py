"""Diversity: how rich texts are in words, and how often they say the same again. No references are needed.

A prediction is a text, whose words stand between white space as they are, or a list of token ids. What is counted over
all texts has no interval: a bootstrap sample has some texts twice, which is a repetition of its own making.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import listed, number_of
from ..scores import Judged

Words = Sequence[Hashable]


@metric("ratio", "higher")
def distinct_n(predictions: Sequence[Any], references: None = None, option: str | int = 2) -> Judged:
    """Different n-grams over all n-grams of all texts; n is 2, or what stands after the colon.

    An item is the same of one text. It falls with length: compare texts of one length. Li et al. 2016 (1510.03055).
    """
    n = number_of("distinct_n", option)
    rows = [_ngrams(words, n) for words in _words("distinct_n", predictions)]
    if not any(rows):
        raise UsageError(f"distinct_n: no text has {n} words: nothing can be counted")

    items = tuple(len(set(row)) / len(row) if row else 0.0 for row in rows)
    return Judged(len(set().union(*rows)) / sum(map(len, rows)), items)


@metric("bits", "higher")
def entropy(predictions: Sequence[Any], references: None = None) -> Judged:
    """Shannon's entropy of the words of all texts, by how often each was used: bits a word.

    An item is that of one text.
    """
    rows = [Counter(words) for words in _words("entropy", predictions)]
    if not any(rows):
        raise UsageError("entropy: the texts have no words")
    together: Counter[Hashable] = Counter()
    for row in rows:
        together.update(row)
    return Judged(_bits(together), tuple(map(_bits, rows)))


@metric("ratio", "lower")
def repetition(predictions: Sequence[Any], references: None = None, option: str | int = 4) -> list[float]:
    """The share of a text's n-grams that it had before; n is 4, or what stands after the colon.

    Welleck et al. 2020, arXiv 1908.04319: seq-rep-n = 1 - different / all. A text of fewer words repeats nothing.
    """
    n = number_of("repetition", option)
    rows = [_ngrams(words, n) for words in _words("repetition", predictions)]
    return [1 - len(set(row)) / len(row) if row else 0.0 for row in rows]


def _words(metric: str, predictions: Sequence[Any]) -> list[Words]:
    rows: list[Words] = []
    for at, given in enumerate(listed(metric, "predictions", predictions)):
        if not isinstance(given, (str, list, tuple)):
            raise UsageError(f"{metric}: prediction {at} is {type(given).__name__}: give a text or a list of token ids")
        rows.append(given.split() if isinstance(given, str) else list(given))
    return rows


def _ngrams(words: Words, n: int) -> list[tuple[Hashable, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def _bits(counts: Counter[Hashable]) -> float:
    total = counts.total()
    return -sum(count / total * math.log2(count / total) for count in counts.values()) + 0.0 if total else 0.0
