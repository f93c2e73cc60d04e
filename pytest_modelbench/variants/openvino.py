"""openvino: OpenVINO on the CPU, from the same ONNX file as `onnx`.

openvino            computed in float32, so that it can be held against torch
openvino:bf16       computed in bfloat16 where the CPU has it, which is OpenVINO's own choice there
openvino:threads=4  as many threads; else torch's number
"""

from __future__ import annotations

from typing import Any

from ..declare import variant
from ..errors import Fallback, Unsupported
from ..exports.decoder import READS, StepDecoder
from ..exports.graph import Graph, graph_of
from ..exports.onnx import exported
from ..forward import Inputs
from ..model import Model
from ..variants import words

_HINTS = {"f32": "float32", "bf16": "bfloat16"}


@variant(requires=("torch", "transformers", "onnx", "onnxscript", "openvino"), decides="runtime")
def openvino(model: Model, option: str | None = None) -> Model:
    """The model in OpenVINO. Raises Unsupported off the CPU, Fallback when it computes in another precision."""
    told = words("openvino", option, {"precision": tuple(_HINTS), "threads": int})
    if model.device.kind != "cpu":
        raise Unsupported(f"variant 'openvino' runs on the CPU here, not on {model.device.name}: use 'onnx'")
    model.load_with(dtype="float32")
    graph = graph_of(model, "variant 'openvino'")
    compiled = _compiled(str(exported(model, graph)), told)
    ran_on = _held_to(compiled, told.get("precision", "f32"))
    family: Any = model  # its family's verbs; variants know no family by its class
    graph = graph.shell
    model.hand_over("OpenVINO")
    if graph.is_step:
        family.decoder = decoder = StepDecoder(OpenvinoStep(compiled, graph))
        model.closers.append(decoder.close)
    else:
        family.forward = forward = OpenvinoForward(compiled, graph, ran_on)
        model.closers.append(forward.close)
    model.note(ran_on=ran_on)
    return model


def _compiled(path: str, told: dict[str, str]) -> Any:
    import torch
    from openvino import Core

    asked = {
        "INFERENCE_PRECISION_HINT": told.get("precision", "f32"),
        "INFERENCE_NUM_THREADS": int(told.get("threads", torch.get_num_threads())),
        "PERFORMANCE_HINT": "LATENCY",
    }
    return Core().compile_model(path, "CPU", asked)


def _held_to(compiled: Any, asked: str) -> str:
    """What will run, as OpenVINO says. Raises Fallback when the precision is another one."""
    import openvino as library

    real = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if real != asked:
        raise Fallback(f"asked OpenVINO for {asked}, {real} would run: this CPU does not compute in {_HINTS[asked]}")
    devices = ", ".join(compiled.get_property("EXECUTION_DEVICES"))
    threads = compiled.get_property("INFERENCE_NUM_THREADS")
    return f"openvino {library.__version__.partition('-')[0]} {devices} {real}: {threads} threads"


class OpenvinoForward:
    """A pass in OpenVINO."""

    def __init__(self, compiled: Any, graph: Graph, ran_on: str) -> None:
        self.request = compiled.create_infer_request()
        self.names, self.outputs, self.ran_on = list(graph.inputs), graph.outputs, ran_on

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name; floats as float32."""
        found = self.request.infer({name: inputs.arrays[name] for name in self.names})
        return {name: found[name].copy() for name in self.outputs}

    def close(self) -> None:
        """Give the request back, with the weights that its model holds."""
        self.request = None


class OpenvinoStep:
    """A step in OpenVINO; a cache is a list of its arrays."""

    runtime = "OpenVINO"

    def __init__(self, compiled: Any, graph: Graph) -> None:
        self.request = compiled.create_infer_request()
        own = {name for entry in compiled.inputs for name in entry.get_names()}
        self.reads = [name for name in READS if name in own]
        self.past = [name for name in graph.inputs if name not in READS]
        self.outputs = graph.outputs
        _, self.heads, _, self.head_size = graph.inputs[self.past[0]].shape

    def empty(self, sequences: int, tokens: int) -> list[Any]:
        """A cache without tokens."""
        import numpy

        return [numpy.zeros((sequences, self.heads, 0, self.head_size), "float32") for _ in self.past]

    def __call__(self, reads: tuple[Any, ...], past: list[Any]) -> tuple[Any, list[Any]]:
        """Logits (sequences, kept, vocabulary), and the cache with these tokens in it."""
        told = dict(zip(READS, reads, strict=True))
        feed = {name: told[name] for name in self.reads} | dict(zip(self.past, past, strict=True))
        found = self.request.infer(feed)
        logits, *present = (found[name].copy() for name in self.outputs)
        return logits, present

    def held_bytes(self, past: list[Any]) -> int:
        """Bytes of a cache."""
        return sum(value.nbytes for value in past)
