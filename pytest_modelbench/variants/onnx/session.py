"""A session of ONNX Runtime as a variant's option asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import providers
from ...errors import Unavailable, Unsupported, UsageError
from ...model import Model

#: The provider that a kind of device asks for, and the others that it can have.
PROVIDERS = {"cpu": {"cpu": "CPUExecutionProvider"}, "cuda": {"cuda": "CUDAExecutionProvider"}}
PROVIDERS["cuda"]["tensorrt"] = "TensorrtExecutionProvider"

#: What the option calls ONNX Runtime's levels.
LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}


def chosen(model: Model, told: dict[str, str], name: str) -> str:
    """The provider that the option or the device asks for.

    Raises Unsupported for a device without one, UsageError for one of another device, Unavailable where
    ONNX Runtime was not built with it.
    """
    import onnxruntime

    kind = model.device.kind
    if kind not in PROVIDERS:
        raise Unsupported(
            f"variant {name!r} has no provider for {model.device.name}; it runs on {', '.join(PROVIDERS)}"
        )
    asked = told.get("provider", kind)
    if asked not in PROVIDERS[kind]:
        raise UsageError(
            f"variant '{name}:{asked}' on {model.device.name}: its provider follows the device, run it with --device "
            f"{'cpu' if asked == 'cpu' else 'cuda'}"
        )
    provider = PROVIDERS[kind][asked]
    if provider not in onnxruntime.get_available_providers():
        raise Unavailable(
            f"variant {name!r} on {model.device.name} needs {provider}, which this onnxruntime was not built with: "
            "pip uninstall onnxruntime; pip install onnxruntime-gpu"
        )
    return provider


def open_session(path: Path, provider: str, told: dict[str, str], index: int) -> Any:
    """A session on one provider. Raises Fallback when ONNX Runtime puts another first."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(told.get("threads", torch.get_num_threads()))
    options.inter_op_num_threads = 1
    level = LEVELS[told.get("optimization", "all")]
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    return providers.open_session(path, provider, index, options)
