"""Export: a decoder-only module to ONNX, its cache as inputs and outputs, weights in a file beside the graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...cache import bytes_digest
from ...errors import UsageError

# What torch's exporter writes without converting; asked for less, it writes another one than asked, in silence.
OPSET = 20


def identity(module: Any) -> list[Any]:
    """What an export depends on: weights by content, configuration, versions."""
    import onnxscript
    import torch
    import transformers

    state = {name: tensor for name, tensor in module.state_dict().items() if hasattr(tensor, "data_ptr")}
    shapes = [(name, str(tensor.dtype), list(tensor.shape)) for name, tensor in state.items()]
    config = {name: value for name, value in module.config.to_dict().items() if not name.startswith("_")}
    versions = [torch.__version__, transformers.__version__, onnxscript.__version__]
    return ["onnx-2", OPSET, versions, config, shapes, bytes_digest(_buffers(state))]


def _buffers(state: dict[str, Any]) -> Iterator[Any]:
    import torch

    seen = set()
    for tensor in state.values():
        if tensor.data_ptr() not in seen:  # tied weights once
            seen.add(tensor.data_ptr())
            yield tensor.detach().contiguous().flatten().view(torch.uint8).cpu().numpy()


def cache_shape(config: Any) -> tuple[int, int, int]:
    """Layers, key-value heads and head size. Raises UsageError for a cache that is no list of keys and values."""
    config = config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise UsageError(f"variant 'onnx' cannot export the cache of {config.model_type} ({', '.join(sorted(kinds))})")
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, size


def names(layers: int, what: str) -> list[str]:
    """Names of a cache's tensors: `past.0.key`, `past.0.value`, `past.1.key`, ..."""
    return [f"{what}.{layer}.{part}" for layer in range(layers) for part in ("key", "value")]


def export(module: Any, path: Path) -> None:
    """Write the module's step to `path`: any batch, any number of new tokens, any past, an empty one too.

    `logits_to_keep` says of which new tokens logits are made: of the last one for generation, of more for a likelihood.
    """
    import torch

    layers, heads, size = cache_shape(module.config)
    # Sizes above one and all different: torch.export takes 0 and 1 for constants, and equal sizes for one size.
    batch, past, new, keep = 2, 5, 4, 3
    options = {"device": module.device}
    example = (
        torch.ones(batch, new, dtype=torch.int64, **options),
        torch.ones(batch, past + new, dtype=torch.int64, **options),
        torch.arange(past, past + new, **options).repeat(batch, 1),
        torch.arange(keep, **options),
        [torch.zeros(batch, heads, past, size, dtype=module.dtype, **options) for _ in range(2 * layers)],
    )
    any_ = torch.export.Dim.DYNAMIC
    pair = {0: any_, 1: any_}
    shapes = (pair, pair, pair, {0: any_}, [{0: any_, 2: any_} for _ in range(2 * layers)])
    with torch.no_grad(), warnings.catch_warnings():
        # torch's exporter and onnxscript deprecate parts of each other at every release; none of it is our call.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _step(module),
            example,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=shapes,
            input_names=["input_ids", "attention_mask", "position_ids", "logits_to_keep", *names(layers, "past")],
            output_names=["logits", *names(layers, "present")],
            # ONNX Runtime optimizes at load and does as well; torch's own passes take twice the time of the export.
            optimize=False,
            verbose=False,
        )
    program.save(path, external_data=True)


def _step(module: Any) -> Any:
    """The module with its cache as plain tensors, which is what ONNX has."""
    import torch
    from transformers import DynamicCache

    class Step(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(
            self, input_ids: Any, attention_mask: Any, position_ids: Any, logits_to_keep: Any, past: list[Any]
        ) -> tuple[Any, list[Any]]:
            cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
            output = self.module(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=logits_to_keep,
            )
            present = [tensor for layer in output.past_key_values.layers for tensor in (layer.keys, layer.values)]
            return output.logits.float(), present

    return Step().eval()
