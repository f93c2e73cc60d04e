"""Regress: how far predicted numbers are from the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import numbers, paired
from ..scores import Judged


@metric("squared", "lower")
def mse(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """The mean squared error; in the square of the numbers' own unit."""
    return [(value - right) ** 2 for value, right in _pairs("mse", predictions, references)]


@metric("", "lower")
def mae(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """The mean absolute error, in the numbers' own unit."""
    return [abs(value - right) for value, right in _pairs("mae", predictions, references)]


@metric("", "higher", requires=("sklearn",))
def r2(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """The share of the references' variance that is predicted: 1 at best, 0 for their mean, negative for worse.

    Raises UsageError for references that do not vary. It has no items: none says anything of its own.
    """
    import numpy as np
    from sklearn.metrics import r2_score

    pairs = _pairs("r2", predictions, references)
    values, right = np.array(pairs).T
    if len(set(right.tolist())) < 2:
        raise UsageError("r2: the references do not vary: there is nothing to predict")

    def judge(at: Sequence[int]) -> float:
        true = right[list(at)]
        return float(r2_score(true, values[list(at)])) if len(set(true.tolist())) > 1 else float("nan")

    return Judged(judge(range(len(pairs))), again=judge, n=len(pairs))


def _pairs(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> list[tuple[float, float]]:
    return list(paired(name, numbers(name, "predictions", predictions), numbers(name, "references", references)))
