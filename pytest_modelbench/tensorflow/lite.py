"""A .tflite file in LiteRT, or in TensorFlow's own older interpreter where that alone is here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..declare import check_requirements
from ..errors import Fallback, UnknownName, UsageError
from ..forward import Inputs
from ..ports import Port
from . import library, plain, tensorflow_version, threads, version
from .saved_model import USUAL

_MARK = b"TFL3"


def check_file(path: Path, where: str) -> None:
    """Raise UsageError for what is no .tflite file, and Unavailable where nothing is here that runs one."""
    with path.open("rb") as file:
        if file.read(8)[4:] != _MARK:
            raise UsageError(f"{where}: {path} is no .tflite file, or damaged: convert it again")
    if not find_spec("tensorflow"):
        check_requirements(where, ("ai_edge_litert",))


def _module() -> tuple[Any, str]:
    """The module with the interpreter, and what it is."""
    if find_spec("ai_edge_litert"):
        from ai_edge_litert import interpreter

        return interpreter, f"ai-edge-litert {version('ai-edge-litert')}"
    tensorflow = library()
    return tensorflow.lite, f"tf.lite of tensorflow {tensorflow_version()}"


class Lite:
    """A .tflite file that is ready to run; `xnnpack` asks for its delegate, or for none (None: as it comes)."""

    def __init__(
        self,
        path: Path,
        where: str,
        name: str | None = None,
        number: int | None = None,
        xnnpack: bool | None = None,
    ) -> None:
        module, self.runtime = _module()
        self.path, self.threads, self.xnnpack = path, number or threads(), xnnpack
        kinds = module.experimental.OpResolverType if hasattr(module, "experimental") else module.OpResolverType
        kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if xnnpack is False else kinds.AUTO
        try:
            self.interpreter = _opened(module, path, self.threads, kind)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise UsageError(
                f"{where}: {path} cannot be run by {self.runtime} ({first[:300]}): it is truncated, or has operators "
                "that are not LiteRT's own"
            ) from error
        self._signature = _runner(self.interpreter, name, where)
        self.takes, self.gives = self._ports()

    def _ports(self) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        if self._signature is not None:
            sides = [self._signature.get_input_details(), self._signature.get_output_details()]
        else:
            details = [self.interpreter.get_input_details(), self.interpreter.get_output_details()]
            sides = [{entry["name"]: entry for entry in side} for side in details]
        takes, gives = (tuple(_port(name, entry) for name, entry in side.items()) for side in sides)
        return takes, gives

    @property
    def ran_on(self) -> str:
        """What runs."""
        return f"{self.runtime} on the CPU, {self.delegated()}, {self.threads} threads"

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name."""
        given = {port.name: inputs.arrays[port.name].astype(port.dtype, copy=False) for port in self.takes}
        if self._signature is not None:
            return {name: plain(array) for name, array in self._signature(**given).items()}
        return self._by_index(given)

    def _by_index(self, given: dict[str, Any]) -> dict[str, Any]:
        """A run of a file without signatures."""
        takes = self.interpreter.get_input_details()
        if any(tuple(entry["shape"]) != given[entry["name"]].shape for entry in takes):
            for entry in takes:
                self.interpreter.resize_tensor_input(entry["index"], given[entry["name"]].shape)
            self.interpreter.allocate_tensors()
        for entry in takes:
            self.interpreter.set_tensor(entry["index"], given[entry["name"]])
        self.interpreter.invoke()
        gives = self.interpreter.get_output_details()
        return {entry["name"]: plain(self.interpreter.get_tensor(entry["index"])) for entry in gives}

    def delegated(self) -> str:
        """Who has the operations, as far as the interpreter tells it: delegates, and LiteRT's own kernels."""
        if not hasattr(self.interpreter, "_get_ops_details"):
            return "operations not told by this version"
        nodes = _executed(self.interpreter)
        parts = sum(node["op_name"] == "DELEGATE" for node in nodes)
        own = len(nodes) - parts
        if not parts:
            return f"no delegate: {own} operations by its own kernels"
        return f"XNNPACK: {parts} {'part' if parts == 1 else 'parts'} of the graph, {own} other operations"

    def prove(self) -> None:
        """Raise Fallback where XNNPACK was asked for and has nothing."""
        if self.xnnpack and self.delegated().startswith("no delegate"):
            raise Fallback(f"asked for XNNPACK, LiteRT's own kernels ran: {self.delegated()}; leave ':xnnpack' out")

    def stored(self, *kinds: str) -> int:
        """How many tensors of the file that are weights have one of these types."""
        details = self.interpreter.get_tensor_details()
        made = {int(index) for node in self._nodes() for index in node["outputs"]}
        made |= {entry["index"] for entry in self.interpreter.get_input_details()}
        return sum(entry["dtype"].__name__ in kinds and entry["index"] not in made for entry in details)

    def _nodes(self) -> list[dict[str, Any]]:
        return list(getattr(self.interpreter, "_get_ops_details", list)())

    def facts(self) -> dict[str, Any]:
        """What the file says."""
        return {
            "architecture": "tflite",
            "weight_bytes": self.path.stat().st_size,
            "inputs": "; ".join(map(str, self.takes)),
            "outputs": "; ".join(map(str, self.gives)),
            "runtime": self.runtime,
        }

    def close(self) -> None:
        """Give the interpreter back, with its weights and arena."""
        self._signature = self.interpreter = None


def _opened(module: Any, path: Path, number: int, kind: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TensorFlow's own: LiteRT is its successor
        return module.Interpreter(model_path=str(path), num_threads=number, experimental_op_resolver_type=kind)


def _runner(interpreter: Any, name: str | None, where: str) -> Any:
    """The signature meant, by its runner: the named one, the usual one, the only one; None of a file without any."""
    known = interpreter.get_signature_list()
    if name is not None and name not in known:
        raise UnknownName("signature", name, known, where)
    if not known:
        return None
    if name is None and USUAL not in known and len(known) > 1:
        raise UsageError(f"{where} has several signatures, {', '.join(sorted(known))}: choose one with ?signature=NAME")
    return interpreter.get_signature_runner(name or (USUAL if USUAL in known else next(iter(known))))


def _port(name: str, entry: dict[str, Any]) -> Port:
    sizes = entry.get("shape_signature", entry["shape"])
    return Port(name, tuple(None if size < 0 else int(size) for size in sizes), entry["dtype"].__name__)


def _executed(interpreter: Any) -> list[dict[str, Any]]:
    """The nodes that run: the file's own are listed beside the delegates that took them, so those that the outputs
    need are looked for, a delegate first."""
    nodes = interpreter._get_ops_details()
    maker = {int(index): at for at, node in enumerate(nodes) for index in node["outputs"]}
    maker |= {
        int(index): at for at, node in enumerate(nodes) if node["op_name"] == "DELEGATE" for index in node["outputs"]
    }
    left = [int(entry["index"]) for entry in interpreter.get_output_details()]
    found: set[int] = set()
    while left:
        at = maker.get(left.pop())
        if at is not None and at not in found:
            found.add(at)
            left += [int(index) for index in nodes[at]["inputs"]]
    return [nodes[at] for at in sorted(found)]
