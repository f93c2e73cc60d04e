"""A graph to an ONNX file, by torch's exporter, weights in a file beside the graph."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from ..exports import made
from .graph import Graph

if TYPE_CHECKING:
    from ..model import Model

# What torch's exporter writes without converting; asked for less, it writes another one than asked, in silence.
OPSET = 20


def exported(model: Model, graph: Graph, opset: int = OPSET) -> Path:
    """The ONNX file of a model's graph, made once."""
    import onnxscript

    def write(place: Path) -> None:
        (place / "opset").write_text(str(export(graph, place / "model.onnx", opset)))

    folder = made(model, "onnx", [opset, onnxscript.__version__, graph.is_step], write)
    model.note(onnx_opset=int((folder / "opset").read_text()))
    return folder / "model.onnx"


def export(graph: Graph, path: Path, opset: int = OPSET) -> int:
    """Write `graph` to `path`; the opset that the file has, which may be another than the asked one.

    Raises Unsupported where torch's exporter cannot.
    """
    import torch

    log = logging.getLogger("onnxscript")
    level = log.level
    log.setLevel(logging.CRITICAL)  # a conversion that fails is a traceback there; which opset came is said by us
    with torch.no_grad(), warnings.catch_warnings():
        # torch's exporter and onnxscript deprecate parts of each other at every release; none of it is our call.
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                graph.module,
                tuple(graph.inputs.values()),
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=graph.shapes,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                # ONNX Runtime optimizes at load and does as well; torch's own passes take twice the export's time.
                optimize=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise Unsupported(
                f"{architecture(graph.module)} cannot be exported to ONNX: {reason(error)}; BERT, ViT, GPT-2 and Llama "
                "can be, and their like"
            ) from error
        finally:
            log.setLevel(level)
    program.save(path, external_data=True)
    return opset_of(program.model_proto)


def opset_of(proto: Any) -> int:
    """The version of ONNX's own operators that a file uses."""
    return int(next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")))


def architecture(module: Any) -> str:
    """The class of the model inside what was wrapped for an exporter."""
    return type(getattr(module, "module", module)).__name__


def reason(error: BaseException) -> str:
    """The innermost cause in one line: what an exporter wraps it in is advice on how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
