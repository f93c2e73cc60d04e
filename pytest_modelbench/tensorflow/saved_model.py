"""A signature of a SavedModel in a session, which is how TensorFlow Serving runs it.

A session, and not `tf.saved_model.load`: that makes the Python objects anew, and cannot where they came from a library
that is no longer here, as the optimizer of what Keras 2 wrote. The graph needs none of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..errors import Fallback, UnknownName, UsageError
from ..forward import Inputs
from ..ports import Port
from . import library, plain, quietly, tensorflow_version, threads, threads_text

FILE = "saved_model.pb"
USUAL = "serving_default"


def files(folder: Path) -> list[Path]:
    """What a SavedModel is made of."""
    return [folder / FILE, *sorted(path for path in (folder / "variables").glob("*") if path.is_file())]


class Signature:
    """A signature that is ready to run."""

    def __init__(self, folder: Path, where: str, name: str | None = None) -> None:
        tensorflow = library()
        one = tensorflow.compat.v1
        self.graph = tensorflow.Graph()
        pool = one.ConfigProto(
            intra_op_parallelism_threads=threads(), inter_op_parallelism_threads=1, device_count={"GPU": 0}
        )
        self.session = one.Session(graph=self.graph, config=pool)
        try:
            with self.graph.as_default(), quietly():
                meta = one.saved_model.load(self.session, ["serve"], str(folder))
        except (OSError, RuntimeError, ValueError, tensorflow.errors.OpError) as error:
            self.session.close()
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise UsageError(f"{where}: TensorFlow cannot read {folder} ({first[:300]})") from error
        self.name, told = _chosen(dict(meta.signature_def), name, where)
        self.takes = tuple(_port(key, entry) for key, entry in sorted(told.inputs.items()))
        self.gives = tuple(_port(key, entry) for key, entry in sorted(told.outputs.items()))
        self._feeds = [told.inputs[port.name].name for port in self.takes]
        self._fetches = [told.outputs[port.name].name for port in self.gives]
        self._run = self.session.make_callable(self._fetches, self._feeds)
        self._last: Inputs | None = None
        self.devices: tuple[str, ...] = ()

    @property
    def ran_on(self) -> str:
        """What runs, and on which devices as soon as that is proved."""
        where = ", ".join(self.devices) or "the CPU"
        return f"tensorflow {tensorflow_version()} signature {self.name} on {where}, {threads_text()}"

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name."""
        self._last = inputs
        made = self._run(*self._given(inputs))
        return {port.name: plain(array) for port, array in zip(self.gives, made, strict=True)}

    def _given(self, inputs: Inputs) -> list[Any]:
        return [inputs.arrays[port.name].astype(port.dtype, copy=False) for port in self.takes]

    def prove(self) -> None:
        """Run once more and ask which device had each node. Raises Fallback when one was not the CPU."""
        if self._last is None:
            return
        one = library().compat.v1
        told = one.RunMetadata()
        feed = dict(zip(self._feeds, self._given(self._last), strict=True))
        self.session.run(self._fetches, feed, one.RunOptions(output_partition_graphs=True), told)
        nodes = {node.device for graph in told.partition_graphs for node in graph.node}
        self.devices = tuple(sorted(name.rpartition("device:")[2] for name in nodes if name))
        if strayed := [name for name in self.devices if not name.startswith("CPU")]:
            raise Fallback(f"asked for the CPU, {', '.join(strayed)} ran too: hide it with CUDA_VISIBLE_DEVICES=''")

    def facts(self) -> dict[str, Any]:
        """What the graph says: the variables that its outputs come from; None of one whose weights are constants."""
        sizes = [
            (math.prod(shape), kind.size)
            for shape, kind in (_variable(op) for op in self._behind() if op.type in ("VarHandleOp", "VariableV2"))
        ]
        return {
            "architecture": "SavedModel",
            "parameters": sum(count for count, _ in sizes) or None,
            "weight_bytes": sum(count * size for count, size in sizes) or None,
            "inputs": "; ".join(map(str, self.takes)),
            "outputs": "; ".join(map(str, self.gives)),
            "runtime": f"tensorflow {tensorflow_version()}",
        }

    def _behind(self) -> list[Any]:
        """The operations that the outputs need."""
        found: dict[str, Any] = {}
        left = [self.graph.get_tensor_by_name(name).op for name in self._fetches]
        while left:
            op = left.pop()
            if op.name not in found:
                found[op.name] = op
                left += [tensor.op for tensor in op.inputs]
        return list(found.values())

    def close(self) -> None:
        """Give the session back, with its variables."""
        self.session.close()
        self._last = None


def _variable(op: Any) -> tuple[tuple[int, ...], Any]:
    shape = tuple(dim.size for dim in op.get_attr("shape").dim)
    return shape, library().dtypes.as_dtype(op.get_attr("dtype"))


def _chosen(signatures: dict[str, Any], name: str | None, where: str) -> tuple[str, Any]:
    """The signature meant: the named one, the usual one, or the only one."""
    known = {key: value for key, value in signatures.items() if not key.startswith("__") and value.outputs}
    if name is not None:
        if name not in known:
            raise UnknownName("signature", name, known, where)
        return name, known[name]
    if not known:
        raise UsageError(
            f"{where} has no signature to serve: write it with model.export(folder), or with "
            "tf.saved_model.save(module, folder, signatures=...)"
        )
    if USUAL not in known and len(known) > 1:
        raise UsageError(f"{where} has several signatures, {', '.join(sorted(known))}: choose one with ?signature=NAME")
    name = USUAL if USUAL in known else next(iter(known))
    return name, known[name]


def _port(name: str, entry: Any) -> Port:
    shape = entry.tensor_shape
    sizes = tuple(None if dim.size < 0 else int(dim.size) for dim in shape.dim)
    return Port(name, None if shape.unknown_rank else sizes, library().dtypes.as_dtype(entry.dtype).name)
