"""A .keras file: read by Keras, on the backend that KERAS_BACKEND names, and run by it."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import Fallback, Refused, UsageError
from ..forward import Inputs
from ..ports import Port
from . import library, plain, quietly, tensorflow_version, threads_text, version


def configuration(path: Path, where: str) -> dict[str, Any]:
    """What a .keras file says of itself, read without Keras. Raises UsageError for a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UsageError(f"{where}: {path} is no .keras file, or truncated ({error}); save it again") from error
    return dict(found)


def read(path: Path, where: str, own_code: bool) -> Any:
    """The keras.Model of a file, without its optimizer.

    Raises UsageError for a damaged file and for classes that nobody registered, Refused for Python code in the file.
    """
    keras = _keras()
    try:
        with quietly(), keras.device("cpu"):
            return keras.saving.load_model(path, compile=False, safe_mode=not own_code)
    except TypeError as error:
        unknown = re.search(r"Could not locate (\w+ '[^']+')", str(error))
        if unknown is None:
            raise UsageError(f"{where}: Keras cannot read {path} ({_line(error)})") from error
        raise UsageError(
            f"{where} has the {unknown[1]} of somebody's own: put @keras.saving.register_keras_serializable() on it, "
            "and import it in your conftest.py"
        ) from error
    except ValueError as error:
        if "safe_mode" in str(error):
            raise Refused(
                f"{where} brings its own Python code (a lambda), which would run on this machine: if you trust the "
                "file, allow it with --bench-trust-remote-code and the model's source"
            ) from error
        raise UsageError(f"{where}: Keras cannot read {path} ({_line(error)}); save it again") from error
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{where}: {path} is truncated or damaged ({_line(error)}); save it again") from error


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


@cache
def _keras() -> Any:
    """Keras, imported; TensorFlow before it, if that is its backend, so that its threads are set."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        library()
    with quietly():
        import keras
    return keras


def backend() -> str:
    """What computes for Keras, with its version."""
    name = _keras().backend.backend()
    return f"{name} {tensorflow_version() if name == 'tensorflow' else version(name)}"


def ports(model: Any, where: str) -> tuple[Port, ...]:
    """What a keras.Model takes, in the order that it does. Raises UsageError for one that does not say it."""
    if getattr(model, "inputs", None):
        return tuple(Port(entry.name, tuple(entry.shape), str(entry.dtype)) for entry in model.inputs)
    return (_only_port(model, where),)


def _only_port(model: Any, where: str) -> Port:
    """What a class's own `call` takes, by the shape that it was built with, whose first size was the batch's.

    It is named as its exports name it, and called once: Keras exports no other. Raises UsageError for one that takes
    several things.
    """
    shape = (model.get_build_config() or {}).get("input_shape")
    if isinstance(shape, (list, tuple)) and shape and all(size is None or isinstance(size, int) for size in shape):
        port = Port("args_0", (None, *shape[1:]), str(model.input_dtype or "float32"))
        try:
            model(_keras().ops.convert_to_tensor(port.made(1)), training=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{where}: a {type(model).__name__} that is not run by {port} ({_line(error)})") from error
        return port
    raise UsageError(
        f"{where}: a {type(model).__name__} that does not say what it takes: save a functional model, or one that was "
        "built with the shape of its one input"
    )


def facts(model: Any, takes: tuple[Port, ...]) -> dict[str, Any]:
    """What can be counted on a keras.Model."""
    floating = next((str(weight.dtype) for weight in model.weights if "float" in str(weight.dtype)), None)
    return {
        "architecture": type(model).__name__,
        "parameters": int(model.count_params()),
        "weight_bytes": sum(_bytes(weight) for weight in model.weights),
        "dtype": floating,
        "inputs": "; ".join(map(str, takes)),
        "outputs": "; ".join(map(str, _gives(model))) or None,
        "keras_backend": _keras().backend.backend(),
        "runtime": f"keras {_keras().__version__} on {backend()}",
    }


def _gives(model: Any) -> list[Port]:
    """What a keras.Model gives, by the names of KerasForward; empty of one that does not say it."""
    if not getattr(model, "inputs", None):
        return []
    structure = getattr(model, "output", None)  # a Sequential that was only loaded has the flat list alone
    named = structure if isinstance(structure, dict) else _in_order(model.outputs)
    return [Port(name, tuple(entry.shape), str(entry.dtype)) for name, entry in named.items()]


def _bytes(weight: Any) -> int:
    import ml_dtypes  # noqa: F401  # gives numpy the types that it has not: bfloat16, float8
    import numpy

    return int(math.prod(weight.shape) * numpy.dtype(str(weight.dtype)).itemsize)


class KerasForward:
    """A keras.Model: called, or by the function that its `predict` runs, which is a graph unless Keras was told not to.

    Outputs are named by their keys, else output_0, output_1, ... in their order, as an exported signature names them.
    """

    def __init__(self, model: Any, takes: tuple[Port, ...], graph: bool = False) -> None:
        self.model, self.takes, self.graph = model, takes, graph
        self.device = ""
        self._torchs = _keras().backend.backend() == "torch"
        self._placed: tuple[Inputs, Any] | None = None
        if graph:
            model.make_predict_function()

    @property
    def ran_on(self) -> str:
        """What runs, and on which device as soon as it did."""
        name = backend()
        how = f"predict, {self._compiled()}" if self.graph else "eager"
        number = threads_text() if name.startswith("tensorflow") else "the backend's threads"
        return f"keras {_keras().__version__} on {name}, {how} on {self.device or 'the CPU'}, {number}"

    def _compiled(self) -> str:
        if _keras().backend.backend() != "tensorflow":
            return "compiled" if self.model.jit_compile else "not compiled"
        return "a graph compiled by XLA" if self.model.jit_compile else "a graph"

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name, on the host."""
        given = self._tensors(inputs)
        made = self.model.predict_function([(given,)]) if self.graph else self._called(given)
        named = made if isinstance(made, dict) else _in_order(made)
        if not self.device:
            self.device = str(getattr(next(iter(named.values())), "device", "")).rpartition("device:")[2]
        return {name: _on_host(value) for name, value in named.items()}

    def _called(self, given: Any) -> Any:
        if not self._torchs:
            return self.model(given, training=False)
        import torch

        with torch.no_grad():
            return self.model(given, training=False)

    def _tensors(self, inputs: Inputs) -> Any:
        """The inputs as the backend's tensors in the structure of the model, kept for the next pass over the same."""
        if self._placed is None or self._placed[0] is not inputs:
            keras = _keras()
            with keras.device("cpu"):
                tensors = [keras.ops.convert_to_tensor(inputs.arrays[port.name], port.dtype) for port in self.takes]
            structure = getattr(self.model, "input", None) if getattr(self.model, "inputs", None) else None
            given = tensors[0] if structure is None else keras.tree.pack_sequence_as(structure, tensors)
            self._placed = inputs, given
        return self._placed[1]

    def prove(self) -> None:
        """Raise Fallback where TensorFlow was told to run functions operation by operation, or off the CPU."""
        if self.device and "cpu" not in self.device.lower():
            raise Fallback(f"asked for the CPU, {self.device} ran: hide it from Keras's backend")
        if not self.graph or _keras().backend.backend() != "tensorflow":
            return
        if self.model.run_eagerly or library().config.functions_run_eagerly():
            raise Fallback(
                "asked for Keras's predict as a graph, operations ran one after the other: leave out "
                "tf.config.run_functions_eagerly and run_eagerly, or use 'eager'"
            )

    def close(self) -> None:
        """Let go of the last inputs and of what was compiled."""
        self._placed = None
        if self.graph:
            self.model.predict_function = None


def _in_order(made: Any) -> dict[str, Any]:
    return {f"output_{at}": value for at, value in enumerate(_keras().tree.flatten(made))}


def _on_host(value: Any) -> Any:
    """A tensor of whichever backend as an array."""
    import numpy

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    return plain(value.numpy() if hasattr(value, "numpy") else numpy.asarray(value))


def export(model: Any, folder: Path) -> None:
    """Write a keras.Model as a SavedModel with the signature serving_default."""
    with quietly():
        model.export(folder, format="tf_saved_model", verbose=False)


def own_classes() -> list[Any]:
    """The code of registered classes: an export depends on it, and the model's file does not hold it."""
    found = []
    for name, thing in sorted(_keras().saving.get_custom_objects().items()):
        try:
            found.append([name, inspect.getsource(thing)])
        except (OSError, TypeError):
            found.append([name, repr(thing)])
    return found
