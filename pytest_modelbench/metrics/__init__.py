"""Metrics: pure functions of predictions and references, one value an item; one file a kind of output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import UsageError


def paired(metric: str, predictions: Sequence[Any], references: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each prediction with its reference, as plain values.

    Raises UsageError for a single text, for no items, and for two lengths, naming both.
    """
    check_pairs(metric, predictions, references)
    return zip(_plain(predictions), _plain(references), strict=True)


def check_pairs(metric: str, predictions: Any, references: Any) -> None:
    """Raise UsageError for a single text, for no items, and for two lengths, naming both."""
    _check(metric, "predictions", predictions)
    _check(metric, "references", references)
    if len(predictions) != len(references):
        raise UsageError(
            f"{metric}: {len(predictions)} predictions and {len(references)} references; each needs the other"
        )
    if not len(predictions):
        raise UsageError(f"{metric}: no items to judge")


def listed(metric: str, role: str, given: Any) -> list[Any]:
    """Predictions or references as a list of plain values. Raises UsageError for a single text, and for no items."""
    _check(metric, role, given)
    if not len(given):
        raise UsageError(f"{metric}: no items to judge")
    return _plain(given)


def _check(metric: str, role: str, given: Any) -> None:
    if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
        raise UsageError(f"{metric}: {role} must be a list with an entry an item, not {type(given).__name__}")


def _plain(given: Any) -> list[Any]:
    """Arrays and tensors as plain values, so that equal means equal."""
    plain = given.tolist() if hasattr(given, "tolist") else given
    return [value.tolist() if hasattr(value, "tolist") else value for value in plain]


def texts(metric: str, role: str, given: Any) -> list[str]:
    """Predictions or references that are texts. Raises UsageError for what is none, with its place."""
    found = listed(metric, role, given)
    for at, value in enumerate(found):
        if not isinstance(value, str):
            raise UsageError(f"{metric}: {role[:-1]} {at} is {type(value).__name__}, not text: {value!r:.40}")
    return found


def answers(metric: str, predictions: Any, references: Any) -> list[tuple[str, list[str]]]:
    """Each text with its right answers: a reference is one text, or a list of texts that are all right.

    Raises UsageError for what is no text, and for an empty list.
    """
    pairs = []
    said = texts(metric, "predictions", predictions)
    for at, (text, reference) in enumerate(paired(metric, said, references)):
        several = list(reference) if isinstance(reference, (list, tuple)) else [reference]
        if not several or not all(isinstance(answer, str) for answer in several):
            raise UsageError(f"{metric}: reference {at} is {reference!r:.40}: give a text, or a list of right texts")
        pairs.append((text, several))
    return pairs


def numbers(metric: str, role: str, given: Any) -> list[float]:
    """Predictions or references that are numbers. Raises UsageError for what is none, with its place."""
    found = listed(metric, role, given)
    for at, value in enumerate(found):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UsageError(f"{metric}: {role[:-1]} {at} is {type(value).__name__}, not a number: {value!r:.40}")
    return [float(value) for value in found]


def one_of(metric: str, option: str, known: Sequence[str]) -> str:
    """The option after the colon. Raises UsageError for one that is not known."""
    if option not in known:
        raise UsageError(f"{metric}:{option} is unknown; write {metric}: and one of {', '.join(known)}")
    return option


def number_of(metric: str, option: str | int) -> int:
    """The whole number after the colon. Raises UsageError for another text."""
    if isinstance(option, int) and option >= 1:
        return option
    if isinstance(option, int) or not option.isdecimal() or int(option) < 1:
        raise UsageError(f"{metric}:{option} is no number: write {metric}: and a whole number of at least 1")
    return int(option)


def array(metric: str, value: Any) -> Any:
    """A list, an array of numpy's or a tensor of torch's as a float64 array. Raises UsageError for other things."""
    import numpy as np

    try:
        return np.asarray(value.detach().cpu().double() if hasattr(value, "detach") else value, dtype="float64")
    except (ValueError, TypeError):
        raise UsageError(f"{metric}: {value!r:.40} is no array of numbers") from None
