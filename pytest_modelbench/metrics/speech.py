"""Speech: how far a transcript is from what was said, by edit distance; computed by jiwer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import one_of, paired, texts
from ..scores import Judged

_FORMS = ("as_is", "normalised")


@metric("ratio", "lower", requires=("jiwer",))
def wer(predictions: Sequence[str], references: Sequence[str], option: str = "as_is") -> Judged:
    """Words put in, left out or put in the place of others, over the words of all references; may be above 1.

    `wer:normalised` compares lower case without punctuation. An item is what it adds: its errors over the mean number
    of words of a reference, so that the mean is the score.
    """
    from jiwer import process_words

    return _rate("wer", predictions, references, option, process_words)


@metric("ratio", "lower", requires=("jiwer",))
def cer(predictions: Sequence[str], references: Sequence[str], option: str = "as_is") -> Judged:
    """The same of characters, spaces among them."""
    from jiwer import process_characters

    return _rate("cer", predictions, references, option, process_characters)


def _rate(
    name: str, predictions: Sequence[str], references: Sequence[str], form: str, process: Callable[[str, str], Any]
) -> Judged:
    one_of(name, form, _FORMS)
    errors: list[int] = []
    lengths: list[int] = []
    said, right = texts(name, "predictions", predictions), texts(name, "references", references)
    for at, (text, reference) in enumerate(paired(name, said, right)):
        if form == "normalised":
            text, reference = spoken(text), spoken(reference)
        if not reference.strip():
            raise UsageError(f"{name}: reference {at} says nothing: there is no rate of it")
        found = process(reference, text)
        errors.append(found.substitutions + found.deletions + found.insertions)
        lengths.append(found.hits + found.substitutions + found.deletions)
    mean = sum(lengths) / len(lengths)

    def judge(at: Sequence[int]) -> float:
        return sum(errors[i] for i in at) / sum(lengths[i] for i in at)

    n = len(errors)
    return Judged(judge(range(n)), tuple(wrong / mean for wrong in errors), judge, n)


def spoken(text: str) -> str:
    """A text as it sounds: lower case, no punctuation but apostrophes within words, one space between words.

    >>> spoken("Mr. O'Hara's  well-known 'dog' -- barks.")
    "mr o'hara's well known dog barks"
    """
    bare = re.sub(r"[^\w\s']|_", " ", text.lower())
    return " ".join(re.sub(r"(?<!\w)'|'(?!\w)", " ", bare).split())
