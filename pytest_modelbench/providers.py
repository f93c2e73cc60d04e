"""Providers of ONNX Runtime: a session on the one that was asked for, and what ran where by its own record.

Where a provider is built in and does not load (a library of CUDA's is missing), or lacks a kernel for a node, ONNX
Runtime goes on with the CPU's: nothing here lets that pass for what was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import Fallback

#: Operators that hold nearly all of a network's work; shapes and indices may stay on the host.
HEAVY = frozenset(
    {"MatMul", "Gemm", "FusedMatMul", "Attention", "MultiHeadAttention", "GroupQueryAttention", "Softmax"}
    | {"Conv", "FusedConv", "ConvTranspose", "LSTM", "GRU", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul"}
)


def open_session(path: Path, provider: str, index: int, options: Any) -> Any:
    """A session on one provider's device. Raises Fallback when ONNX Runtime puts another provider first."""
    import onnxruntime

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
