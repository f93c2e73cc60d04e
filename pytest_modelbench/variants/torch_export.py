"""torch-export: the model exported by `torch.export`, compiled ahead of time by AOTInductor into a package, and cached.

What runs is machine code without Python between operators; it needs a C++ compiler once.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

from ..declare import variant
from ..device import chip
from ..errors import Unsupported
from ..exports import made
from ..exports.graph import Graph, graph_of
from ..exports.onnx import architecture, reason
from ..exports.torch_step import run_by_torch
from ..model import Model
from ..variants import no_option


@variant("torch-export", requires=("torch", "transformers"), decides="steps")
def torch_export(model: Model, option: str | None = None) -> Model:
    """The model as a compiled package. Raises Unsupported where torch.export or Inductor cannot."""
    no_option("torch-export", option)
    import torch

    graph = graph_of(model, "variant 'torch-export'")
    folder = made(model, "torch-export", [model.device.name, chip(model.device)], partial(_make, graph))
    graph = graph.shell
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch\.")
        from torch._inductor import aoti_load_package

        package = aoti_load_package(str(folder / "model.pt2"))
    size = (folder / "model.pt2").stat().st_size
    ran_on = f"torch {torch.__version__} AOTInductor package on {model.device.name}"
    run_by_torch(model, graph, package, ran_on, "AOTInductor")
    model.note(package_bytes=size)
    return model


def _make(graph: Graph, place: Path) -> None:
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecated parts
        from torch._inductor import aoti_compile_and_package
        from torch._inductor.exc import InductorError

        try:
            program = torch.export.export(graph.module, tuple(graph.inputs.values()), dynamic_shapes=graph.shapes)
            aoti_compile_and_package(program, package_path=str(place / "model.pt2"))
        except (RuntimeError, ValueError, TypeError, torch._dynamo.exc.TorchDynamoException, InductorError) as error:
            raise Unsupported(
                f"{architecture(graph.module)} cannot be exported by torch.export and compiled ({reason(error)}); "
                "'compiled' may"
            ) from error
