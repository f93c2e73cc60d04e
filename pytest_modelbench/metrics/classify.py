"""Classify: how chosen labels compare with the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import paired


@metric("ratio", "higher")
def accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """1 where the label is the reference, 0 elsewhere; labels are compared as they are, without any normalising.

    Raises UsageError where one is text and the other is not: they would never be equal.
    """
    items = []
    for at, (label, reference) in enumerate(paired("accuracy", predictions, references)):
        if isinstance(label, str) != isinstance(reference, str):
            raise UsageError(
                f"accuracy: item {at} compares {label!r} with {reference!r}: map one to the other's names first"
            )
        items.append(float(label == reference))
    return items
