"""Exports: a loaded model as a file that another runtime reads; made once and cached by content.

graph.py    what leaves torch: a module that takes tensors in order and gives a tuple, with examples of its inputs
decoder.py  the step of a text model as such a graph, and tokens from whoever runs it
onnx.py     a graph to an ONNX file
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import cache, weights

if TYPE_CHECKING:
    from ..model import Model


def made(
    model: Model, kind: str, key: list[Any], make: Callable[[Path], None], content: list[Any] | None = None
) -> Path:
    """The folder of an export of this model, made unless it is cached; `key` is what it depends on beside the model.

    `content` tells the model from others; of a torch module it is found out.

    Its seconds become a fact of the model where it was made: finding it in the cache is no fact about an export.
    """
    seconds: list[float] = []

    def timed(place: Path) -> None:
        started = perf_counter()
        make(place)
        seconds.append(perf_counter() - started)

    folder = cache.made_once(kind, cache.key(kind, key, content or identity(model.module)), timed)
    model.exported_to = folder
    model.note(export_seconds=seconds[0] if seconds else None)
    return folder


def identity(module: Any) -> list[Any]:
    """What an export of a module depends on: weights by content, structure, configuration, versions."""
    import torch

    state = {name: tensor for name, tensor in module.state_dict().items() if hasattr(tensor, "data_ptr")}
    shapes = [(name, str(tensor.dtype), list(tensor.shape)) for name, tensor in state.items()]
    config: dict[str, Any] = {}
    versions = [torch.__version__]
    if hasattr(module, "config") and hasattr(module.config, "to_dict"):
        import transformers

        config = {name: value for name, value in module.config.to_dict().items() if not name.startswith("_")}
        config["attention"] = module.config._attn_implementation
        versions.append(transformers.__version__)
    return ["3", versions, config, repr(module), shapes, cache.bytes_digest(_buffers(module))]


def _buffers(module: Any) -> Iterator[Any]:
    import torch

    for tensor in weights.tensors(module):
        yield tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy()
