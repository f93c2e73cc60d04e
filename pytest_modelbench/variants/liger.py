"""liger: layers computed by the Triton kernels of liger-kernel, on a GPU: norms and gated products.

Its rotary embedding and its losses are left out: those are patched for every model of a process, and stay.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from ..declare import variant
from ..errors import Fallback, Unsupported
from ..model import Model
from ..variants import no_option


@variant(requires=("torch", "transformers", "liger_kernel", "triton"), decides="layers")
def liger(model: Model, option: str | None = None) -> Model:
    """The model with layers replaced. Raises Unsupported off the GPU, Fallback when no layer was replaced."""
    no_option("liger", option)
    if model.device.kind not in ("cuda", "xpu"):
        raise Unsupported(f"variant 'liger' has kernels for GPUs, not for {model.device.name}: use 'kernelized:FOLDER'")
    model.change_with(partial(_replace, model))
    model.proofs.append(lambda: None if model.handed_over else _hold_to(model, model.module))
    return model


def _replace(model: Model, module: Any) -> Any:
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN, _apply_liger_kernel_to_instance

    kind = module.config.model_type
    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        known = ", ".join(sorted(MODEL_TYPE_TO_APPLY_LIGER_FN))
        raise Unsupported(f"variant 'liger' knows no layers of {kind}: it knows {known}")
    everywhere = {"rope": False, "cross_entropy": False, "fused_linear_cross_entropy": False}
    _apply_liger_kernel_to_instance(module, **everywhere)
    _hold_to(model, module)
    return module


def _hold_to(model: Model, module: Any) -> None:
    """Note which layers run liger's forward. Raises Fallback when none does."""
    from importlib.metadata import version

    names = Counter(type(layer).__name__ for layer in module.modules() if is_replaced(layer))
    if not names:
        raise Fallback(f"asked for liger, plain torch would run: no layer of {type(module).__name__} was replaced")
    model.note(
        layers_replaced=", ".join(f"{number} {name}" for name, number in sorted(names.items())),
        kernels_from=f"liger-kernel {version('liger-kernel')}",
    )


def is_replaced(layer: Any) -> bool:
    """Whether a layer's forward is one of liger's."""
    own = vars(layer).get("forward")
    return getattr(getattr(own, "__func__", own), "__module__", "").startswith("liger_kernel")
