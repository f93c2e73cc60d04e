"""A graph run by torch itself in another form than Python's: a trace, or a compiled package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..model import Model
from .decoder import READS, StepDecoder
from .graph import Graph


def run_by_torch(model: Model, graph: Graph, run: Callable[..., Any], ran_on: str, name: str) -> None:
    """Have a model run by `run(*tensors)`, which computes its graph."""
    family: Any = model  # its family's verbs; exports know no family by its class
    if graph.is_step:
        family.decoder = decoder = StepDecoder(TorchStep(run, graph, name))
        model.closers.append(decoder.close)
    else:
        family.run_network(run, ran_on)
    model.hand_over(name)  # it holds its own copy of the weights
    model.note(ran_on=ran_on)


class TorchStep:
    """A step by torch; a cache is a list of tensors on the device."""

    def __init__(self, run: Callable[..., Any], graph: Graph, runtime: str) -> None:
        self.run, self.runtime = run, runtime
        past = [tensor for name, tensor in graph.inputs.items() if name not in READS]
        self.layers = len(past)
        _, self.heads, _, self.head_size = past[0].shape
        self.where = {"dtype": past[0].dtype, "device": past[0].device}

    def empty(self, sequences: int, tokens: int) -> list[Any]:
        """A cache without tokens."""
        import torch

        shape = (sequences, self.heads, 0, self.head_size)
        return [torch.empty(shape, **self.where) for _ in range(self.layers)]

    def __call__(self, reads: tuple[Any, ...], past: list[Any]) -> tuple[Any, list[Any]]:
        """Logits (sequences, kept, vocabulary) on the host, and the cache on the device."""
        import torch

        told = [torch.from_numpy(array).to(self.where["device"]) for array in reads]
        with torch.no_grad():
            logits, *present = self.run(*told, *past)
        return logits.cpu().numpy(), present

    def held_bytes(self, past: list[Any]) -> int:
        """Bytes of a cache."""
        return sum(int(tensor.nbytes) for tensor in past)
