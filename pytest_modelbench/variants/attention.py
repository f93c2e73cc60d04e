"""Attention: sdpa, eager-attention, flash_attention_2, flex_attention - what transformers computes attention with.

sdpa                    torch's scaled_dot_product_attention; torch chooses a kernel
sdpa:flash              ... with one of its kernels only: flash, efficient, math, cudnn
eager-attention         plain products and a softmax
flash_attention_2       the package flash-attn (CUDA)
flex_attention          torch's, compiled for each mask (CUDA)
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ..declare import check_requirements, variant
from ..errors import Unsupported
from ..model import Model
from ..variants import no_option, words

#: What torch calls the kernels of scaled_dot_product_attention.
BACKENDS = {
    "flash": "FLASH_ATTENTION",
    "efficient": "EFFICIENT_ATTENTION",
    "math": "MATH",
    "cudnn": "CUDNN_ATTENTION",
}


@variant(requires=("torch", "transformers"), decides="attention")
def sdpa(model: Model, option: str | None = None) -> Model:
    """torch's own attention. Raises Unsupported where the asked kernel does not run on the device."""
    backend = words("sdpa", option, {"backend": tuple(BACKENDS)}).get("backend")
    model.load_with(attn_implementation="sdpa")
    if backend:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        kernel = getattr(SDPBackend, BACKENDS[backend])
        stack = ExitStack()
        model.closers.append(stack.close)

        def try_it(module: Any) -> Any:
            with sdpa_kernel(kernel):
                _try(model, module, backend)
            # Every other kernel is off while the model is open: an attention that this one cannot run is an error.
            stack.enter_context(sdpa_kernel(kernel))
            return module

        model.change_with(try_it)
        model.note(attention_kernel=backend)
    return model


def _try(model: Model, module: Any, backend: str) -> None:
    """Attend once as the model does, over zeros. Raises Unsupported when the one kernel that is on cannot."""
    import torch

    config: Any = getattr(module, "config", None)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", None) or 2
    shared = getattr(config, "num_key_value_heads", None) or heads
    size = getattr(config, "head_dim", None) or (getattr(config, "hidden_size", None) or 64 * heads) // heads
    dtype = next((tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()), torch.float32)
    query, key = (torch.zeros(1, n, 16, size, dtype=dtype, device=model.device.torch_name) for n in (heads, shared))
    try:
        torch.nn.functional.scaled_dot_product_attention(query, key, key, is_causal=True, enable_gqa=heads != shared)
    except RuntimeError as error:
        name = str(dtype).removeprefix("torch.")
        raise Unsupported(
            f"variant 'sdpa:{backend}': torch has no such kernel for {name}, {heads} heads "
            f"and {shared} of keys on {model.device.name} ({str(error).splitlines()[0]}); 'sdpa' lets torch choose"
        ) from error


@variant("eager-attention", requires=("torch", "transformers"), decides="attention")
def eager_attention(model: Model, option: str | None = None) -> Model:
    """Attention as plain operations, which shows what a fused kernel brings."""
    no_option("eager-attention", option)
    model.load_with(attn_implementation="eager")
    return model


@variant("flash_attention_2", requires=("torch", "transformers"), decides="attention")
def flash_attention_2(model: Model, option: str | None = None) -> Model:
    """The kernels of flash-attn. Raises Unsupported off CUDA and for float32, Unavailable without the package."""
    no_option("flash_attention_2", option)
    if model.device.kind != "cuda":
        raise Unsupported(
            f"variant 'flash_attention_2' has kernels for CUDA alone, not for {model.device.name}: use 'sdpa'"
        )
    if str(model.load_options.get("dtype", "")).removeprefix("torch.") == "float32":
        raise Unsupported("variant 'flash_attention_2' has no kernels for float32: put bf16 or fp16 before it")
    check_requirements("variant 'flash_attention_2'", ("flash_attn",))
    model.load_with(attn_implementation="flash_attention_2")
    return model


@variant("flex_attention", requires=("torch", "transformers"), decides="attention")
def flex_attention(model: Model, option: str | None = None) -> Model:
    """torch's attention for any mask, compiled at the first call of each. Raises Unsupported off CUDA."""
    no_option("flex_attention", option)
    if model.device.kind != "cuda":
        # on CPUs torch 2.13 writes C++ for the masks of cached generation that g++ refuses (seen 2026-11)
        raise Unsupported(
            f"variant 'flex_attention': torch's code for transformers' masks compiles for CUDA, not for "
            f"{model.device.name}: use 'sdpa'"
        )
    model.load_with(attn_implementation="flex_attention")
    return model
