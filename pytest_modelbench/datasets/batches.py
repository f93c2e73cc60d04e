"""Batches: inputs a few at a time, in their order or by length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import UsageError


class Batches(Sequence[list[Any]]):
    """Lists of inputs, each made when it is asked for."""

    def __init__(self, inputs: Sequence[Any], size: int) -> None:
        if size < 1:
            raise UsageError(f"batches({size}): give a size of at least 1")
        self.inputs, self.size = inputs, size

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        start = range(len(self))[at] * self.size
        return list(self.inputs[start : start + self.size])


class Buckets(Batches):
    """Batches of inputs of about one length: little is padded. Their order is not that of the references.

    `in_order(run.flat)` puts outputs back in the inputs' order.
    """

    def __init__(self, inputs: Sequence[Any], size: int, length: Callable[[Any], int]) -> None:
        lengths = [length(value) for value in inputs]
        #: Place of each input of the buckets among the inputs; the longest first, so that a lack of memory shows early.
        self.order = sorted(range(len(inputs)), key=lambda at: (-lengths[at], at))
        super().__init__([inputs[at] for at in self.order], size)

    def in_order(self, outputs: Iterable[Any]) -> list[Any]:
        """One output an input, as the buckets gave them, in the order of the inputs and references."""
        given = list(outputs)
        if len(given) != len(self.order):
            raise UsageError(f"in_order got {len(given)} outputs for {len(self.order)} inputs; give run.flat")
        return [output for _, output in sorted(zip(self.order, given, strict=True), key=lambda pair: pair[0])]
