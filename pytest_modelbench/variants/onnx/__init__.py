"""onnx: ONNX Runtime on the device's own provider, with the KV cache kept there; exported once and cached by content.

export.py    module → model.onnx with its cache as inputs and outputs
decoder.py   a session → tokens
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...declare import variant
from ...errors import Fallback, Unavailable, UsageError
from ...model import Model

#: The provider that a kind of device asks for.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@variant(requires=("torch", "transformers", "onnx", "onnxruntime", "onnxscript"), decides="runtime")
def onnx(model: Model, option: str | None = None) -> Model:
    """The model as ONNX. Raises Unavailable without the device's provider, Fallback when another one ran."""
    from .decoder import OnnxDecoder

    if option:
        raise UsageError(f"variant 'onnx:{option}': onnx has no options; its provider follows --device")
    if model.facts.task != "text-generation":
        raise UsageError(f"variant 'onnx' does not know how to run the task {model.facts.task}")
    text: Any = model  # that task's verbs; variants know no family by its class
    if text.decoder_chosen:
        raise UsageError(
            "variant 'onnx' after 'compiled' or 'static': torch's steps do not run in ONNX Runtime; keep one of them"
        )
    provider = _provider(model)
    if model.device.kind == "cuda" and not model.loaded and "dtype" not in model.load_options:
        # ONNX Runtime's CUDA kernels know float16 throughout and bfloat16 only here and there.
        model.load_with(dtype="float16")
    if str(model.load_options.get("dtype", "")).endswith("bfloat16"):
        raise UsageError("variant 'onnx' cannot run bfloat16: ONNX Runtime lacks its kernels; use float32 or float16")
    path = _exported(model)
    session = open_session(path, provider, model.device.index or 0)
    decoder = OnnxDecoder.of(
        session, model.module, "cuda" if model.device.kind == "cuda" else "cpu", model.device.index or 0
    )
    # The facts are the module's; its weights would only take memory that the session's need.
    model.hand_over("ONNX Runtime")
    text.decoder = decoder
    model.closers.append(decoder.close)
    model.note(ran_on=check_assignment(session, provider), nodes_elsewhere=elsewhere(session, provider))
    return model


def _provider(model: Model) -> str:
    import onnxruntime

    provider = PROVIDERS.get(model.device.kind)
    if provider is None:
        raise UsageError(f"variant 'onnx' has no provider for {model.device.name}; it runs on {', '.join(PROVIDERS)}")
    if provider not in onnxruntime.get_available_providers():
        raise Unavailable(
            f"variant 'onnx' on {model.device.name} needs {provider}, which this onnxruntime was not built with: "
            "pip uninstall onnxruntime; pip install onnxruntime-gpu"
        )
    return provider


def _exported(model: Model) -> Path:
    from time import perf_counter

    from ... import cache
    from .export import OPSET, export, identity

    started, made = perf_counter(), False

    def make(place: Path) -> None:
        nonlocal made
        made = True
        export(model.module, place / "model.onnx")

    folder = cache.made_once("onnx", cache.key(identity(model.module)), make)
    # Seconds of finding it in the cache are no fact about the export.
    model.note(onnx_opset=OPSET, export_seconds=perf_counter() - started if made else None)
    return folder / "model.onnx"


def open_session(path: Path, provider: str, index: int) -> Any:
    """A session on one provider with torch's number of threads. Raises Fallback when ORT puts another first."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: its warnings about shape nodes on the CPU are checked below instead
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if provider == "CUDAExecutionProvider":
        onnxruntime.preload_dlls()  # torch's CUDA libraries, where the system has none
    chosen = (provider, {"device_id": index}) if provider == "CUDAExecutionProvider" else provider
    session = onnxruntime.InferenceSession(path, options, providers=[chosen])
    if session.get_providers()[0] != provider:
        raise Fallback(f"asked for {provider}, {session.get_providers()[0]} ran: look at ONNX Runtime's own log")
    return session


#: Operators that hold nearly all of a language model's work; shapes and indices may stay on the host.
HEAVY = frozenset(
    {"MatMul", "Gemm", "FusedMatMul", "Attention", "MultiHeadAttention", "GroupQueryAttention", "Softmax"}
)


def check_assignment(session: Any, provider: str) -> str:
    """What ran where, by ONNX Runtime's own record. Raises Fallback when a heavy node is on another provider."""
    import onnxruntime

    version = f"onnxruntime {onnxruntime.__version__} {provider}"
    if not hasattr(session, "get_provider_graph_assignment_info"):  # before 1.24
        return f"{version}; nodes not recorded by this version"
    nodes = _nodes(session)
    strayed = sorted({f"{kind} on {name}" for name, kind in nodes if name != provider and kind in HEAVY})
    if strayed:
        raise Fallback(f"asked for {provider}, but {', '.join(strayed)} ran: its kernels lack this dtype or shape")
    own = sum(name == provider for name, _ in nodes)
    return f"{version}: {own} of {len(nodes)} nodes, {session.get_session_options().intra_op_num_threads} threads"


def elsewhere(session: Any, provider: str) -> str | None:
    """How many nodes ran on which other providers, and of what kinds; None where all ran on the one asked for."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    nodes = _nodes(session)
    strayed = [(name, kind) for name, kind in nodes if name != provider]
    places = ", ".join(sorted({name for name, _ in strayed}))
    kinds = ", ".join(sorted({kind for _, kind in strayed}))
    return f"{len(strayed)} of {len(nodes)} nodes on {places}: {kinds}" if strayed else None


def _nodes(session: Any) -> list[tuple[str, str]]:
    """Provider and operator of each node of the graph that runs, by ONNX Runtime's own record."""
    return [
        (part.ep_name, node.op_type)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
