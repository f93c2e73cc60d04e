"""onnx: ONNX Runtime on the device's own provider, whatever the task; exported once and cached by content.

    onnx                              CPUExecutionProvider on cpu, CUDAExecutionProvider on cuda
    onnx:tensorrt                     TensorrtExecutionProvider on cuda
    onnx:threads=4                    as many threads an operator; else torch's number
    onnx:optimization=basic           how far the graph is rewritten at load: all, extended, basic, disabled
    onnx:opset=18                     asked of torch's exporter; the one that it wrote is in the Record
    onnx:no-binding                   arrays of the host in and out at each call, a KV cache too

session.py   a file → a session as the option asks for it; ../../providers.py says what ran where
run.py       a session → a model's pass, or its steps with the KV cache kept on the device
int8.py      ort-int8: the same file with integer weights
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...declare import variant
from ...errors import Unsupported, UsageError
from ...model import Model
from ...variants import words

NEEDS = ("torch", "transformers", "onnx", "onnxruntime", "onnxscript")
#: The words of an option.
WORDS: dict[str, Sequence[str] | type[int]] = {
    "provider": ("cpu", "cuda", "tensorrt"),
    "threads": int,
    "optimization": ("all", "extended", "basic", "disabled"),
    "io": ("binding", "no-binding"),
    "opset": int,
}


@variant(requires=NEEDS, decides="runtime")
def onnx(model: Model, option: str | None = None) -> Model:
    """The model as ONNX. Raises Unavailable without the device's provider, Fallback when another one ran."""
    run_in_onnxruntime(model, words("onnx", option, WORDS), "onnx")
    return model


def run_in_onnxruntime(
    model: Model, told: dict[str, str], name: str, convert: Callable[[Path], Path] = lambda path: path
) -> Any:
    """Export a model and put a session in torch's place, which is given back. `convert` makes another file of its."""
    from ...exports.graph import graph_of
    from ...exports.onnx import OPSET, exported
    from .run import put
    from .session import chosen, open_session

    provider = chosen(model, told, name)
    _choose_dtype(model, name)
    graph = graph_of(model, f"variant {name!r}")
    session = open_session(
        convert(exported(model, graph, int(told.get("opset", OPSET)))), provider, told, model.device.index or 0
    )
    graph = graph.shell
    # The facts are the module's; its weights would only take memory that the session's need.
    model.hand_over("ONNX Runtime")
    put(model, session, graph, provider, told.get("io") != "no-binding")
    return session


def _choose_dtype(model: Model, name: str) -> None:
    if model.device.kind == "cuda" and not model.loaded and "dtype" not in model.load_options:
        # ONNX Runtime's CUDA kernels know float16 throughout and bfloat16 only here and there.
        model.load_with(dtype="float16")
    if str(model.load_options.get("dtype", "")).endswith("bfloat16"):
        raise Unsupported(f"variant {name!r} cannot run bfloat16: ONNX Runtime lacks its kernels; use fp32 or fp16")
    if getattr(model, "decoder_chosen", False) or getattr(model, "forward_chosen", False):
        raise UsageError(
            f"variant {name!r} after one of torch's steps: they do not run in ONNX Runtime; keep one of them"
        )
