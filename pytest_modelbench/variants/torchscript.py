"""torchscript: the model traced by `torch.jit.trace` and frozen, run by torch's script interpreter."""

from __future__ import annotations

import warnings
from typing import Any

from ..declare import variant
from ..errors import Unsupported
from ..exports.graph import Graph, graph_of
from ..exports.onnx import architecture, reason
from ..exports.torch_step import run_by_torch
from ..model import Model
from ..variants import no_option


@variant(requires=("torch", "transformers"), decides="steps")
def torchscript(model: Model, option: str | None = None) -> Model:
    """The model as a trace. Raises Unsupported where it cannot be traced, or its trace knows one size only."""
    no_option("torchscript", option)
    import torch

    graph = graph_of(model, "variant 'torchscript'")
    traced, graph = _traced(graph), graph.shell
    ran_on = f"torch {torch.__version__} TorchScript trace on {model.device.name}: {_operations(traced)} operations"
    run_by_torch(model, graph, _unheard(traced), ran_on, "TorchScript")
    return model


def _traced(graph: Graph) -> Any:
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        # a trace warns of every size that Python looks at; whether it holds for others is tried by the caller
        warnings.simplefilter("ignore")
        try:
            # the check runs the trace on the same sizes; ours is against eager, with others
            traced = torch.jit.trace(graph.module, tuple(graph.inputs.values()), check_trace=False)
            return torch.jit.freeze(traced)
        except (RuntimeError, torch.jit.TracingCheckError, TypeError) as error:
            raise Unsupported(
                f"{architecture(graph.module)} cannot be traced ({reason(error)}); 'torch-export' or 'compiled' may"
            ) from error


def _operations(traced: Any) -> int:
    return sum(1 for _ in traced.graph.nodes())


def _unheard(traced: Any) -> Any:
    """Without torch's note, at each call, that TorchScript is deprecated."""

    def run(*tensors: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return traced(*tensors)

    return run
