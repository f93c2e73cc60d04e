"""Parity: how near the first output of a variant is to that of `eager`, the same model run as torch runs it.

A model's verbs leave a Witness of the first call of a bench: what it read, what came out, and how another way of
running the model is given the same. Only after the rounds are its arrays looked at, or the call done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .record import Score
from .stats import standard_error

if TYPE_CHECKING:
    import numpy

    from .model import Model

# Chosen here: a reference is kept between sessions, and an array of more numbers is compared on evenly spaced ones.
MOST_NUMBERS = 1 << 22
#: Score -> its unit, its direction, and what it is.
SCORES: dict[str, tuple[str, Literal["higher", "lower"], str]] = {
    "parity_tokens": ("ratio", "higher", "share of eager's tokens that came at the same place"),
    "parity_labels": ("ratio", "higher", "share of rows of logits with the same largest one"),
    "parity_cosine": ("ratio", "higher", "cosine of the two outputs, the mean of the rows"),
    "parity_max_difference": ("value", "lower", "largest difference of two numbers"),
    "parity_mean_difference": ("value", "lower", "mean difference of two numbers"),
}
PREFIX = "parity_"
#: Fills rows of whole numbers that ended before others.
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Witness:
    """The first call of a bench, to be compared, as arrays whose first axis is the item: a text, an image.

    `tokens` are whole numbers; of `logits` the last axis are the classes; `next_logits` come after the token that
    `logits` say. NaN is a number that is not compared.
    """

    #: What was read, as plain values and arrays: the same gives the same.
    read: tuple[Any, ...]
    #: What came out.
    arrays: Callable[[], Mapping[str, numpy.ndarray]]
    #: The same call on the same model run another way: its arrays.
    repeat: Callable[[Model], Mapping[str, numpy.ndarray]]


def kept(arrays: Mapping[str, numpy.ndarray]) -> dict[str, numpy.ndarray]:
    """What is compared of some arrays: rows, of large ones evenly spaced numbers, and the classes that logits say."""
    import numpy

    rows = {}
    for name, array in arrays.items():
        if name == "logits":
            unknown = numpy.isnan(array).any(-1)
            labels = numpy.where(unknown, NOTHING, numpy.nan_to_num(array).argmax(-1))
            rows["labels"] = labels.reshape(len(array), -1)
        row = array.reshape(len(array), -1)
        rows[name] = row[:, :: max(-(-row.size // MOST_NUMBERS), 1)]
    return rows


def compare(own: Mapping[str, numpy.ndarray], eager: Mapping[str, numpy.ndarray]) -> dict[str, Score]:
    """The scores of kept arrays against eager's, those that fit what they hold, the most telling first."""
    found: dict[str, list[float]] = {
        f"parity_{name}": _same(own[name], eager[name]) for name in ("tokens", "labels") if name in own.keys() & eager
    }
    for name in eager.keys() & own.keys() - {"tokens", "labels"}:
        one, other = own[name], eager[name]
        if one.shape != other.shape:
            continue  # texts that parted: their tokens say so
        if name == "next_logits":  # after another first token they answer another question
            together = [same == 1 for same in _same(own["labels"], eager["labels"])]
            one, other = one[together], other[together]
        for score, items in _differences(one, other).items():
            found.setdefault(score, []).extend(items)
    return {name: _score(name, found[name]) for name in SCORES if found.get(name)}


def _differences(own: Any, eager: Any) -> dict[str, list[float]]:
    """Of each row that has numbers: cosine, largest and mean difference. Infinite is what a choice was kept from."""
    import numpy

    seen = numpy.isfinite(own) & numpy.isfinite(eager)
    there = seen.any(1)
    seen = seen[there]
    one, other = (numpy.where(seen, rows[there], 0).astype("float64") for rows in (own, eager))
    apart = numpy.abs(one - other)
    return {
        "parity_cosine": _cosines(one, other),
        "parity_max_difference": apart.max(1, initial=0).tolist(),
        "parity_mean_difference": (apart.sum(1) / seen.sum(1)).tolist(),
    }


def _score(name: str, items: list[float]) -> Score:
    unit, direction, _ = SCORES[name]
    value = max(items) if name == "parity_max_difference" else sum(items) / len(items)
    return Score(value, unit, direction, tuple(items), standard_error(items))


def _same(own: Any, eager: Any) -> list[float]:
    """Of each row, the share of eager's whole numbers that are there at their place; all, of a row without any."""
    import numpy

    width = max(own.shape[1], eager.shape[1])
    one, other = (
        numpy.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=NOTHING) for rows in (own, eager)
    )
    there = (one != NOTHING) | (other != NOTHING)
    return [1.0 - float(apart) for apart in ((one != other) & there).sum(1) / there.sum(1).clip(1)]


def _cosines(own: Any, eager: Any) -> list[float]:
    import numpy

    lengths = numpy.linalg.norm(own, axis=1) * numpy.linalg.norm(eager, axis=1)
    dots = (own * eager).sum(1)
    # two rows of zeros are the same, one of them is not
    alike = numpy.where((own == eager).all(1), 1.0, 0.0)
    return [float(value) for value in numpy.where(lengths > 0, dots / numpy.where(lengths > 0, lengths, 1), alike)]


def beyond(scores: Mapping[str, Score], limits: Mapping[str, float]) -> list[str]:
    """Each limit that a score is on the wrong side of, with both numbers; and each that nothing can be held against."""
    said = []
    for name, limit in limits.items():
        score = scores.get(PREFIX + name)
        if score is None:
            said.append(f"{name} is not known, limit {limit:g}")
        elif score.value < limit if score.direction == "higher" else score.value > limit:
            side = "under" if score.direction == "higher" else "over"
            said.append(f"{name} {score.value:.6g} is {side} the limit {limit:g}")
    return said
