"""A session in torch's place: a model's whole pass, or its steps with the KV cache kept on the session's device."""

from __future__ import annotations

from typing import Any

from ...exports.decoder import READS, StepDecoder
from ...exports.graph import Graph
from ...forward import Inputs
from ...model import Model
from ...providers import check_assignment, elsewhere

#: What ONNX Runtime calls the types that weights and inputs have here.
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(bool)": "bool"}


def put(model: Model, session: Any, graph: Graph, provider: str, bound: bool) -> None:
    """Have a model run in a session; what ran where becomes its facts. Raises Fallback."""
    ran_on = check_assignment(session, provider)
    place = ("cuda" if model.device.kind == "cuda" else "cpu", model.device.index or 0)
    family: Any = model  # its family's verbs; variants know no family by its class
    if graph.is_step:
        decoder = StepDecoder(OnnxStep(session, graph, place, bound))
        family.decoder = decoder
        model.closers.append(decoder.close)
    else:
        forward = OnnxForward(session, place, ran_on, bound)
        family.forward = forward
        model.closers.append(forward.close)
    model.note(ran_on=ran_on, nodes_elsewhere=elsewhere(session, provider))


class OnnxForward:
    """A pass: inputs go to the device once, outputs come to the host."""

    def __init__(self, session: Any, place: tuple[str, int], ran_on: str, bound: bool) -> None:
        self.session, self.place, self.ran_on, self.bound = session, place, ran_on, bound
        self.types = {entry.name: _DTYPES[entry.type] for entry in session.get_inputs()}
        self.outputs = [entry.name for entry in session.get_outputs()]
        self._placed: tuple[Inputs, dict[str, Any]] | None = None

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name; floats as float32."""
        if not self.bound:
            arrays = {name: inputs.arrays[name].astype(dtype, copy=False) for name, dtype in self.types.items()}
            return dict(zip(self.outputs, map(_plain, self.session.run(self.outputs, arrays)), strict=True))
        binding = self.session.io_binding()
        for name, value in self._on_device(inputs).items():
            binding.bind_ortvalue_input(name, value)
        for name in self.outputs:
            binding.bind_output(name, "cpu")
        self.session.run_with_iobinding(binding)
        return dict(zip(self.outputs, map(_plain, binding.copy_outputs_to_cpu()), strict=True))

    def _on_device(self, inputs: Inputs) -> dict[str, Any]:
        """The inputs in the session's types, kept for the next pass over the same."""
        import numpy
        import onnxruntime

        if self._placed is None or self._placed[0] is not inputs:
            values = {
                name: onnxruntime.OrtValue.ortvalue_from_numpy(
                    numpy.ascontiguousarray(inputs.arrays[name], dtype=dtype), *self.place
                )
                for name, dtype in self.types.items()
            }
            self._placed = inputs, values
        return self._placed[1]

    def close(self) -> None:
        """Give the session back, with its weights and arena."""
        self.session = self._placed = None


def _plain(array: Any) -> Any:
    return array.astype("float32", copy=False) if array.dtype.kind == "f" else array


class OnnxStep:
    """A step in a session; with binding, a cache is a list of values on the device, else one of arrays."""

    runtime = "ONNX Runtime"

    def __init__(self, session: Any, graph: Graph, place: tuple[str, int], bound: bool) -> None:
        self.session, self.place, self.bound = session, place, bound
        self.past = [name for name in graph.inputs if name not in READS]
        self.outputs = list(graph.outputs)
        _, self.heads, _, self.head_size = graph.inputs[self.past[0]].shape
        types = {entry.name: entry.type for entry in session.get_inputs()}
        self.dtype = _DTYPES[types[self.past[0]]]
        # an architecture may do without one of them, and torch's exporter then leaves it out
        self.reads = [name for name in READS if name in types]

    def empty(self, sequences: int, tokens: int) -> list[Any]:
        """A cache without tokens."""
        import numpy
        import onnxruntime

        shape = [sequences, self.heads, 0, self.head_size]
        if not self.bound:
            return [numpy.zeros(shape, self.dtype) for _ in self.past]
        make = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        return [make(shape, numpy.dtype(self.dtype).type, *self.place) for _ in self.past]

    def __call__(self, reads: tuple[Any, ...], past: list[Any]) -> tuple[Any, list[Any]]:
        """Logits (sequences, kept, vocabulary) on the host, and the cache where it was."""
        told = dict(zip(READS, reads, strict=True))
        if not self.bound:
            kept = dict(zip(self.past, past, strict=True))
            logits, *present = self.session.run(self.outputs, {name: told[name] for name in self.reads} | kept)
            return logits, present
        binding = self.session.io_binding()
        for name in self.reads:
            binding.bind_cpu_input(name, told[name])
        for name, value in zip(self.past, past, strict=True):
            binding.bind_ortvalue_input(name, value)
        binding.bind_output(self.outputs[0], "cpu")
        for name in self.outputs[1:]:
            binding.bind_output(name, *self.place)
        self.session.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        return logits.numpy(), present

    def held_bytes(self, past: list[Any]) -> int:
        """Bytes of a cache."""
        return sum(value.tensor_size_in_bytes() if self.bound else value.nbytes for value in past)
