"""Metrics: pure functions of predictions and references, one value an item; one file a kind of output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import UsageError


def paired(metric: str, predictions: Sequence[Any], references: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each prediction with its reference.

    Raises UsageError for a single text, for no items, and for two lengths, naming both.
    """
    for role, given in (("predictions", predictions), ("references", references)):
        if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
            raise UsageError(f"{metric}: {role} must be a list with an entry an item, not {type(given).__name__}")
    if len(predictions) != len(references):
        raise UsageError(
            f"{metric}: {len(predictions)} predictions and {len(references)} references; each needs the other"
        )
    if not len(predictions):
        raise UsageError(f"{metric}: no items to judge")
    return zip(_values(predictions), _values(references), strict=True)


def _values(given: Sequence[Any]) -> Sequence[Any]:
    """Arrays and tensors as plain values, so that equal means equal."""
    plain: Sequence[Any] = given.tolist() if hasattr(given, "tolist") else given
    return [value.tolist() if hasattr(value, "tolist") else value for value in plain]
