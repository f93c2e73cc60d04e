"""Graph: the computation of a model that can leave torch, with what an exporter must know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from .decoder import step_of

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True, eq=False)
class Graph:
    """A torch module that takes tensors in order and gives a tuple of tensors."""

    module: Any
    #: Examples by name, in order; no size is one, and sizes that may differ do.
    inputs: dict[str, Any]
    #: By input, the axes that may change.
    dynamic: dict[str, dict[int, str]]
    outputs: tuple[str, ...]
    #: Whether it is one step of generation (`decoder.py`), else a whole pass.
    is_step: bool

    @property
    def shell(self) -> Graph:
        """The same without the module, for who runs an export and shall not keep its weights."""
        return replace(self, module=None)

    @property
    def shapes(self) -> tuple[tuple[dict[int, Any], ...]]:
        """The changing axes as torch.export wants them told, of a module whose `forward` takes `*tensors`."""
        import torch

        any_ = torch.export.Dim.DYNAMIC
        return (tuple(dict.fromkeys(self.dynamic.get(name, ()), any_) for name in self.inputs),)


def graph_of(model: Model, runtime: str) -> Graph:
    """What of a model leaves torch; reads its weights.

    Raises Unsupported for a model that is no torch module, or whose steps are of another kind.
    """
    pass_: Any = model  # its family's verbs; exports know no family by its class
    if hasattr(type(model), "network"):
        network, example = pass_.network, pass_.example()
        tensors = {name: _placed(array, model.module) for name, array in example.arrays.items()}
        return Graph(network, tensors, example.dynamic, pass_.output_names, is_step=False)
    if hasattr(pass_, "decoder_chosen"):
        module, inputs, dynamic, outputs = step_of(model.module, runtime)
        return Graph(module, inputs, dynamic, outputs, is_step=True)
    raise Unsupported(f"{runtime} does not know how to run the task {model.facts.task}: use 'eager'")


def _placed(array: Any, module: Any) -> Any:
    import torch

    tensor = torch.from_numpy(array)
    first = next(module.parameters(), None)
    if first is None:
        return tensor
    floating = next((one.dtype for one in module.parameters() if one.is_floating_point()), tensor.dtype)
    return tensor.to(first.device, floating if tensor.is_floating_point() else tensor.dtype)
