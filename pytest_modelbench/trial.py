"""Trial: one call of a model on made inputs beside the same call by torch, outside any bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import Unsupported
from .forward import Example, Inputs
from .parity import compare, kept

if TYPE_CHECKING:
    from .model import Model
    from .record import Score

# Chosen here: no size of the exporters' examples, and quick on a large model.
TOKENS, NEW_TOKENS = 16, 8


def beside_eager(model: Model, eager: Model, tokens: int = TOKENS) -> dict[str, Score]:
    """The scores of parity of one call, of texts with so many tokens.

    Raises Unsupported for a task without made inputs.
    """
    call(model, tokens)
    if model.witness is None:
        raise Unsupported(f"a model for {model.facts.task} leaves nothing that can be compared")
    return compare(kept(model.witness.arrays()), kept(model.witness.repeat(eager)))


def call(model: Any, tokens: int = TOKENS) -> None:
    """Call a model once with two inputs of a size that no exporter saw."""
    if hasattr(type(model), "example"):
        model.outputs(enlarged(model.example(), tokens))
    elif hasattr(type(model), "stream"):
        ids = model.tokenizer(" ".join(["one two three four five"] * tokens), add_special_tokens=False)["input_ids"]
        text = model.tokenizer.decode(ids[:tokens])
        model.generate([text, text], max_new_tokens=NEW_TOKENS, chat=False)
    else:
        raise Unsupported(f"there are no made inputs for the task {model.facts.task}: try it in a bench")


def enlarged(example: Example, tokens: int) -> Inputs:
    """An example's inputs again, with more of what may change: as many tokens, twice of all else."""
    import numpy

    arrays = {}
    for name, array in example.arrays.items():
        for axis, what in example.dynamic.get(name, {}).items():
            size = tokens if what == "tokens" else 2 * array.shape[axis]
            array = numpy.take(array, numpy.arange(size) % array.shape[axis], axis)
        arrays[name] = numpy.ascontiguousarray(array)
    return Inputs(arrays)
