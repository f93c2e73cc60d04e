"""A session of ONNX Runtime on one provider, and what ran where by its own record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import Fallback, Unavailable, Unsupported, UsageError
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

#: Operators that hold nearly all of a network's work; shapes and indices may stay on the host.
HEAVY = frozenset(
    {"MatMul", "Gemm", "FusedMatMul", "Attention", "MultiHeadAttention", "GroupQueryAttention", "Softmax"}
    | {"Conv", "FusedConv", "ConvTranspose", "LSTM", "GRU", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul"}
)


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
    options.log_severity_level = 3  # errors: its warnings about shape nodes on the CPU are checked below instead
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if provider != "CPUExecutionProvider":
        onnxruntime.preload_dlls()  # torch's CUDA libraries, where the system has none
    on_device = (provider, {"device_id": index}) if provider != "CPUExecutionProvider" else provider
    session = onnxruntime.InferenceSession(path, options, providers=[on_device])
    if session.get_providers()[0] != provider:
        raise Fallback(f"asked for {provider}, {session.get_providers()[0]} ran: look at ONNX Runtime's own log")
    return session


def check_assignment(session: Any, provider: str) -> str:
    """What ran where, by ONNX Runtime's own record. Raises Fallback when a heavy node is on another provider."""
    import onnxruntime

    version = f"onnxruntime {onnxruntime.__version__} {provider}"
    if not hasattr(session, "get_provider_graph_assignment_info"):  # before 1.24
        return f"{version}; nodes not recorded by this version"
    assigned = nodes(session)
    strayed = sorted({f"{kind} on {name}" for name, kind in assigned if name != provider and kind in HEAVY})
    if strayed:
        raise Fallback(f"asked for {provider}, but {', '.join(strayed)} ran: its kernels lack this dtype or shape")
    own = sum(name == provider for name, _ in assigned)
    return f"{version}: {own} of {len(assigned)} nodes, {session.get_session_options().intra_op_num_threads} threads"


def elsewhere(session: Any, provider: str) -> str | None:
    """How many nodes ran on which other providers, and of what kinds; None where all ran on the one asked for."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    assigned = nodes(session)
    strayed = [(name, kind) for name, kind in assigned if name != provider]
    places = ", ".join(sorted({name for name, _ in strayed}))
    kinds = ", ".join(sorted({kind for _, kind in strayed}))
    return f"{len(strayed)} of {len(assigned)} nodes on {places}: {kinds}" if strayed else None


def nodes(session: Any) -> list[tuple[str, str]]:
    """Provider and operator of each node of the graph that runs, by ONNX Runtime's own record."""
    return [
        (part.ep_name, node.op_type)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
