"""Forward: the one computation of a model that does not generate - named arrays in, named arrays out.

A family's verbs make Inputs of texts, images or sounds, hand them to `model.forward`, and read answers off what comes
back. A variant puts another runtime there, for any task, with what such a model (`models/forward_model.py`) tells of
itself: `network` (a torch module that takes the tensors in order and gives a tuple), `example()` (inputs to trace it
with) and `output_names`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True, eq=False)
class Inputs:
    """What one pass reads, on the host, by name; a runtime may keep its own copy of the last one by identity."""

    arrays: dict[str, numpy.ndarray]
    #: How much work they are, by unit: texts and tokens, images, seconds of audio.
    amounts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Example:
    """Inputs to trace or export a network with: no size is one, and sizes that may differ do.

    `dynamic` names, by input, the axes that may change and what they are: {"input_ids": {0: "batch", 1: "tokens"}}.
    """

    arrays: dict[str, numpy.ndarray]
    dynamic: dict[str, dict[int, str]]


class Forward(Protocol):
    """A runtime's way to compute outputs of inputs; it waits for them, and they are on the host."""

    #: What runs, as far as it is known before it did.
    ran_on: str

    def __call__(self, inputs: Inputs) -> dict[str, numpy.ndarray]:
        """Every output by name; floats as float32."""
        ...
