"""Classify: how chosen labels, or the scores that classes were given, compare with the right ones. Computed by sklearn.

An item of the metrics that are of the whole (precision, recall, F1, MCC) is 1 where its label is right: what a paired
test may look at. Labels are compared as they are, without any normalising.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..declare import metric
from ..errors import UsageError
from ..metrics import number_of, one_of, paired
from ..scores import Judged

_AVERAGES = ("macro", "micro", "weighted")


@metric("ratio", "higher")
def accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> list[float]:
    """1 where the label is the reference, or one of them where it is a list of right ones; 0 elsewhere.

    Raises UsageError where one is text and the other is not: they would never be equal.
    """
    items = []
    for at, (label, reference) in enumerate(paired("accuracy", predictions, references)):
        several = isinstance(reference, (list, tuple)) and not isinstance(label, (list, tuple))
        right = reference if several else [reference]
        _refuse_mixed("accuracy", at, label, right)
        items.append(float(label in right))
    return items


@metric("ratio", "higher")
def balanced_accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """The mean of the classes' recalls, over the classes of the references: each class counts as much, however rare.

    An item is what it adds: right by items over (classes · items of its class), so that the mean is the score.
    """
    labels, right = _labels("balanced_accuracy", predictions, references)
    sizes = Counter(right)
    n = len(right)

    def judge(at: Sequence[int]) -> float:
        counts, hits = Counter(right[i] for i in at), Counter(right[i] for i in at if labels[i] == right[i])
        return sum(hits[name] / count for name, count in counts.items()) / len(counts)

    items = tuple(
        float(label == name) * n / (len(sizes) * sizes[name]) for label, name in zip(labels, right, strict=True)
    )
    return Judged(sum(items) / n, items, judge, n)


@metric("ratio", "higher", requires=("sklearn",))
def precision(predictions: Sequence[Any], references: Sequence[Any], option: str = "macro") -> Judged:
    """Of what was called a class, the share that is of it; `macro`, `micro` or `weighted` over classes."""
    return _averaged("precision", predictions, references, option)


@metric("ratio", "higher", requires=("sklearn",))
def recall(predictions: Sequence[Any], references: Sequence[Any], option: str = "macro") -> Judged:
    """Of what is of a class, the share that was called so; `macro`, `micro` or `weighted` over classes."""
    return _averaged("recall", predictions, references, option)


@metric("ratio", "higher", requires=("sklearn",))
def f1(predictions: Sequence[Any], references: Sequence[Any], option: str = "macro") -> Judged:
    """The harmonic mean of precision and recall; `macro`, `micro` or `weighted` over classes, by size."""
    return _averaged("f1", predictions, references, option)


@metric("correlation", "higher", requires=("sklearn",), span=(-1.0, 1.0))
def mcc(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """Matthews' correlation of labels and right ones: 0 is chance, also where one class is rare."""
    from sklearn.metrics import matthews_corrcoef

    labels, right = _labels("mcc", predictions, references)
    return _of_labels(labels, right, float(matthews_corrcoef(right, labels)), _correlation)


@metric("ratio", "higher")
def top_k(predictions: Sequence[Any], references: Sequence[int], option: str | int = 5) -> list[float]:
    """1 where the right class is among the `k` (5, or what stands after the colon) of the highest scores.

    A prediction is a row with a score for each class; the reference is the class's place in it, or a list of right
    ones. Of equal scores the earlier class comes first.
    """
    k = number_of("top_k", option)
    items = []
    for at, (row, reference) in enumerate(paired("top_k", predictions, references)):
        right = reference if isinstance(reference, (list, tuple)) else [reference]
        if not isinstance(row, (list, tuple)) or not row:
            raise UsageError(f"top_k: prediction {at} is {type(row).__name__}: give a row of scores, one a class")
        if bad := [
            name for name in right if isinstance(name, bool) or not isinstance(name, int) or not 0 <= name < len(row)
        ]:
            raise UsageError(f"top_k: reference {at} is {bad[0]!r}: give a class's place, 0 to {len(row) - 1}")
        best = sorted(range(len(row)), key=lambda place: (-row[place], place))[:k]
        items.append(float(any(name in best for name in right)))
    return items


@metric("ratio", "higher", requires=("sklearn",))
def auroc(predictions: Sequence[Any], references: Sequence[Any]) -> Judged:
    """The area under the ROC curve: how likely a score is higher for what is of the class than for what is not.

    Predictions are scores for the class that references call 1 (or true), or rows of a probability for each class, of
    which each is then judged against the rest and all count alike (Hand & Till's one-vs-rest form, macro).
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    pairs = list(paired("auroc", predictions, references))
    rows, right = np.array([row for row, _ in pairs]), np.array([reference for _, reference in pairs])
    classes = list(range(rows.shape[1])) if rows.ndim == 2 else [0, 1]
    there = set(right.tolist())
    if missing := sorted(set(classes) - there):
        raise UsageError(f"auroc: the references have no {missing[0]}: no curve is there")
    if len(classes) == 2 and rows.ndim == 2 and not np.allclose(rows.sum(axis=1), 1):
        raise UsageError("auroc: a row's two probabilities do not sum to 1")
    # of two classes each one's curve is the other's turned round, and sklearn takes the one of class 1
    scores = rows[:, 1] if rows.ndim == 2 and len(classes) == 2 else rows

    def judge(at: Sequence[int]) -> float:
        some = np.asarray(at)
        if len(np.unique(right[some])) < len(classes):
            return float("nan")  # a sample without a class has no curve for it
        if scores.ndim == 2:
            return float(roc_auc_score(right[some], scores[some], multi_class="ovr", labels=classes))
        return float(roc_auc_score(right[some], scores[some]))

    try:
        value = judge(range(len(right)))
    except ValueError as error:  # rows that do not sum to one, labels of three classes for one score
        raise UsageError(f"auroc: {error}") from error
    return Judged(value, again=judge, n=len(right))


def _averaged(name: str, predictions: Sequence[Any], references: Sequence[Any], average: str) -> Judged:
    from sklearn import metrics

    one_of(name, average, _AVERAGES)
    function = getattr(metrics, f"{name}_score")
    labels, right = _labels(name, predictions, references)
    value = float(function(right, labels, average=average, zero_division=0.0))
    return _of_labels(labels, right, value, partial(_average, name, average))


def _average(name: str, average: str, hits: Any, said: Any, true: Any) -> float:
    """What sklearn finds of a sample, by each class's counts: right, called so, of it. It would take 2 ms a time."""
    import numpy as np

    if average == "micro":
        return float(hits.sum() / true.sum())
    there = (said > 0) | (true > 0)  # sklearn's classes are those of the sample
    below = {"precision": said, "recall": true, "f1": (said + true) / 2}[name][there]
    of_class = np.divide(hits[there], below, out=np.zeros(len(below)), where=below > 0)
    return float(np.average(of_class, weights=true[there] if average == "weighted" else None))


def _correlation(hits: Any, said: Any, true: Any) -> float:
    """MCC by the classes' counts: Gorodkin 2004, Computational Biology and Chemistry 28, as sklearn has it."""
    n = true.sum()
    spread = float((n * n - (said * said).sum()) * (n * n - (true * true).sum()))
    return float(hits.sum() * n - (said * true).sum()) / spread**0.5 if spread else 0.0


def _labels(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    pairs = list(paired(name, predictions, references))
    for at, (label, reference) in enumerate(pairs):
        _refuse_mixed(name, at, label, [reference])
    return [label for label, _ in pairs], [reference for _, reference in pairs]


def _of_labels(
    labels: list[Any], right: list[Any], value: float, of_counts: Callable[[Any, Any, Any], float]
) -> Judged:
    """A metric of all labels together, whose items are right and wrong."""
    import numpy as np

    places = {name: place for place, name in enumerate(dict.fromkeys([*labels, *right]))}
    said, true = (np.array([places[name] for name in names]) for names in (labels, right))
    is_right = said == true

    def judge(at: Sequence[int]) -> float:
        some = np.asarray(at)
        picked = (said[some][is_right[some]], said[some], true[some])
        return of_counts(*(np.bincount(names, minlength=len(places)).astype(float) for names in picked))

    return Judged(value, tuple(is_right.astype(float).tolist()), judge, len(right))


def _refuse_mixed(name: str, at: int, label: Any, right: Sequence[Any]) -> None:
    for reference in right:
        if isinstance(label, str) != isinstance(reference, str):
            raise UsageError(
                f"{name}: item {at} compares {label!r} with {reference!r}: map one to the other's names first"
            )
