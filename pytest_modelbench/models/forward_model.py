"""ForwardModel: a model whose verbs are made around one replaceable computation."""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..forward import Example, Forward, Inputs
from ..model import Model
from ..parity import Witness
from .torch_forward import TorchForward, module_facts, network


@dataclass(eq=False, kw_only=True)
class ForwardModel(Model):
    """A model whose verbs are made around one replaceable `forward`. Families add `encode`, `example` and verbs."""

    #: What `forward` gives, in the order of the network's tuple.
    output_names: tuple[str, ...]
    _forward: Forward | None = None
    #: The last raw inputs and what they became: rounds of one call do not time preparation again.
    _encoded: tuple[tuple[Any, ...], Inputs] | None = None

    @property
    def forward(self) -> Forward:
        """How outputs are computed: by torch, eagerly, unless a variant set another way."""
        if self._forward is None:
            self.run_network(self.network)
        assert self._forward is not None
        return self._forward

    @forward.setter
    def forward(self, forward: Forward) -> None:
        if self._forward is not None:
            raise UsageError(
                f"two variants say how {self.source.text!r} runs: {type(self._forward).__name__} and "
                f"{type(forward).__name__}; keep one of them"
            )
        self._forward = forward
        self.note(ran_on=forward.ran_on)

    @property
    def forward_chosen(self) -> bool:
        """Whether a variant already said how outputs are computed."""
        return self._forward is not None

    def run_network(self, network: Any, ran_on: str | None = None) -> None:
        """Compute outputs by torch with this network: `self.network`, or what a compiler or exporter made of it."""
        names = tuple(self.example().arrays)
        self.forward = TorchForward(network, names, self.output_names, self.device.torch_name, self._dtype(), ran_on)

    @property
    def network(self) -> Any:
        """A torch module: tensors in the order of `example().arrays`, to a tuple in the order of `output_names`."""
        return network(self.module, tuple(self.example().arrays), self.compute)

    def compute(self, module: Any, tensors: dict[str, Any]) -> tuple[Any, ...]:
        """One pass of the module; what transformers names its outputs, unless a family says otherwise."""
        output = module(**tensors, return_dict=True)
        return tuple(output[name] for name in self.output_names)

    @abstractmethod
    def example(self) -> Example:
        """Inputs to trace the network with."""

    def _dtype(self) -> Any:
        """What floating inputs are given as: what the weights are."""
        floating = (tensor.dtype for tensor in self.module.parameters() if tensor.is_floating_point())
        return next(floating, None)

    def outputs(self, inputs: Inputs) -> dict[str, Any]:
        """What `forward` gives; of the first call of a bench a Witness is left."""
        found = self.forward(inputs)
        if self.witness is None:
            self.witness = Witness(
                tuple(inputs.arrays.values()),
                lambda: self.compared(inputs, found),
                lambda other: other.compared(inputs, other.forward(inputs)),  # type: ignore[attr-defined]
            )
        return found

    def compared(self, inputs: Inputs, outputs: dict[str, Any]) -> dict[str, Any]:
        """What parity compares of some outputs: all of them, unless a family knows better."""
        return outputs

    def kept(self, raw: Sequence[Any], encode: Callable[[], Inputs]) -> Inputs:
        """What these very things became the last time, else what `encode` makes of them now."""
        things = tuple(raw)
        if self._encoded is None or not _same(self._encoded[0], things):
            self._encoded = things, encode()
        return self._encoded[1]

    def prepare(self) -> None:
        """Read the weights now, so that no bench times it."""
        _ = self.forward

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off the loaded module."""
        return module_facts(module)

    def close(self) -> None:
        """Give back weights and sessions."""
        self._forward = self._encoded = None
        super().close()
        # Rounds run with collections frozen: without this, cycles made before them would keep the weights.
        gc.unfreeze()
        gc.collect()


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether these are the same texts or the very same arrays, whose equality would cost as much as preparing them."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, str) and a == b) for a, b in zip(one, other, strict=True)
    )
