"""ForwardModel: a model whose verbs are made around one replaceable computation."""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Unsupported, UsageError
from ..forward import Example, Forward, Inputs
from ..model import Model
from ..parity import Witness
from .onnx_file import OnnxFileForward, session_facts
from .torch_forward import TorchForward, module_facts, network


@dataclass(frozen=True)
class Label:
    """A class, by its name and its place, and how sure the model is of it (softmax, 0 to 1)."""

    label: str
    score: float
    index: int


@dataclass(eq=False, kw_only=True)
class ForwardModel(Model):
    """A model whose verbs are made around one replaceable `forward`. Families add `encode`, `example` and verbs."""

    #: The verb that calling the model is.
    verb: str
    config: dict[str, Any]
    #: What `forward` gives, in the order of the network's tuple.
    output_names: tuple[str, ...]
    _forward: Forward | None = None
    #: The last raw inputs and what they became: rounds of one call do not time preparation again.
    _encoded: tuple[tuple[Any, ...], Inputs] | None = None

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The verb of this model's task."""
        return getattr(self, self.verb)(*inputs, **named)

    def check_task(self, task: str) -> None:
        """Raise UsageError for the verb of another task."""
        if self.facts.task != task:
            raise UsageError(
                f"{self.source.text!r} is for {self.facts.task}, not for {task}: call model.{self.verb}(...)"
            )

    def labels(self, logits: Any) -> list[Label]:
        """The likeliest class of each row of logits (rows, classes), by the names in the configuration."""
        import numpy

        odds = numpy.exp(logits - logits.max(-1, keepdims=True))
        odds /= odds.sum(-1, keepdims=True)
        names = self.config.get("id2label") or {}
        return [
            Label(str(names.get(str(at), names.get(at, at))), float(row[at]), at)
            for row, at in zip(odds, odds.argmax(-1).tolist(), strict=True)
        ]

    @property
    def forward(self) -> Forward:
        """How outputs are computed: by torch, eagerly, unless a variant set another way."""
        if self._forward is None:
            self.run_unasked()
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

    def run_unasked(self) -> None:
        """Set the forward that no variant asked for: torch, eagerly; of an ONNX file its session."""
        if self.graph:
            self.forward = OnnxFileForward(self.module, self.device.kind)
        else:
            self.run_network(self.network)

    @property
    def forward_chosen(self) -> bool:
        """Whether a variant already said how outputs are computed."""
        return self._forward is not None

    def run_network(self, network: Any, ran_on: str | None = None) -> None:
        """Compute outputs by torch with this network: `self.network`, or what a compiler or exporter made of it."""
        names = tuple(self.example().arrays)
        self.forward = TorchForward(network, names, self.output_names, self.device.torch_name, self._dtype(), ran_on)

    @property
    def graph(self) -> bool:
        """Whether the model is an ONNX file, which torch knows nothing of."""
        return self.config.get("architectures") == ["OnnxGraph"]

    def check_torch(self) -> None:
        """Raise Unsupported for what is no torch module: nothing of torch's runs it, and nothing exports it."""
        if self.graph:
            raise Unsupported(f"{self.source.text!r} is an ONNX file: it runs as it is, by the variant 'eager'")
        if not hasattr(self.module, "parameters"):
            raise Unsupported(f"{self.source.text!r} is a function: it runs as it is, by the variant 'eager'")

    def change_with(self, change: Callable[[Any], Any]) -> None:
        """As every model's. Raises Unsupported for an ONNX file, which has no layers of torch's."""
        if self.graph:
            self.check_torch()
        super().change_with(change)

    @property
    def network(self) -> Any:
        """A torch module: tensors in the order of `example().arrays`, to a tuple in the order of `output_names`.

        Raises Unsupported for an ONNX file.
        """
        self.check_torch()
        return network(self.module, tuple(self.example().arrays), self.compute)

    def compute(self, module: Any, tensors: dict[str, Any]) -> tuple[Any, ...]:
        """One pass of the module; what transformers names its outputs, unless a family says otherwise."""
        output = module(**tensors, return_dict=True)
        return tuple(output[name] for name in self.output_names)

    @abstractmethod
    def example(self) -> Example:
        """Inputs to trace the network with."""

    def _dtype(self) -> Any:
        """What floating inputs are given as: what the weights are. Raises Unsupported where torch has none."""
        self.check_torch()
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
        if self._encoded is None or not same(self._encoded[0], things):
            self._encoded = things, encode()
        return self._encoded[1]

    def prepare(self) -> None:
        """Read the weights now, so that no bench times it."""
        _ = self.forward

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off the loaded module."""
        if self.graph:
            return {"weight_bytes": self.config["file_bytes"], **session_facts(module, self.device.kind)}
        return module_facts(module)

    def close(self) -> None:
        """Give back weights and sessions."""
        self._forward = self._encoded = None
        super().close()
        # Rounds run with collections frozen: without this, cycles made before them would keep the weights.
        gc.unfreeze()
        gc.collect()


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether these are the same texts or the very same arrays, whose equality would cost as much as preparing them."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, str) and a == b) for a, b in zip(one, other, strict=True)
    )
