"""Plain: a torch module or function of your own, or an ONNX file that no task knows - arrays in, arrays out.

    ./nets.py#small          the function `small` of the file, called without arguments, gives
                             a torch module, or a pair of it and example inputs; or any other callable

The file is run: it is named, and it is yours.
"""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UnknownName, Unsupported, UsageError
from ..forward import Example, Inputs
from ..ports import Port, example_of, made_inputs
from .checkpoint import Checkpoint
from .forward_model import ForwardModel
from .onnx_file import ports
from .reading import with_dtype

if TYPE_CHECKING:
    from ..device import Device
    from ..source import Source
    from ..tasks import Task


def known(path: Path, source: Source) -> Checkpoint:
    """The checkpoint of a Python file's function. Raises UsageError where `#part` names none of its."""
    if not source.part:
        raise UsageError(f"model {source.text!r}: say which function of the file makes the model, {path}#NAME")
    return Checkpoint(
        {"architectures": ["PlainCode"]}, lambda kind, where, options: _made(path, source, where, options), lambda: None
    )


def _made(path: Path, source: Source, where: str, options: dict[str, Any]) -> Any:
    """What the function gives, in evaluation mode on the device; its example inputs as `modelbench_example`."""
    import torch

    names = runpy.run_path(str(path))
    maker = names.get(str(source.part))
    if not callable(maker):
        raise UnknownName(
            "function", str(source.part), (n for n, v in names.items() if inspect.isfunction(v)), str(path)
        )
    made = maker()
    made, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(made, torch.nn.Module):
        if not callable(made):
            raise UsageError(f"model {source.text!r} gave a {type(made).__name__}: give a torch module or a callable")
        if options:
            raise UsageError(
                f"model {source.text!r} is a callable: it cannot be read with {', '.join(sorted(options))}"
            )
        return made
    if unknown := set(options) - {"dtype"}:
        raise UsageError(f"model {source.text!r} is no transformers model: it cannot be read with {sorted(unknown)}")
    dtype = with_dtype(options, where)["dtype"] if options else None
    made = made.to(where, dtype).eval()
    made.modelbench_example = example
    return made


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> PlainModel:
    """The PlainModel of a checkpoint, not yet made."""
    return PlainModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        output_names=checkpoint.output_names,
    )


@dataclass(eq=False, kw_only=True)
class PlainModel(ForwardModel):
    """A model of arrays."""

    _example: dict[str, Any] | None = None
    #: What the file says that it takes, in order, once it is read; empty of what is no file of a network.
    takes: tuple[Port, ...] = ()
    #: The names of a module's inputs in their order; None of a function, of which nothing is known.
    _names: tuple[str, ...] | None = None

    @property
    def bare(self) -> bool:
        """Whether it is a function, of which nothing is known."""
        if not self.handed_over:
            _ = self.module
        return self._names is None

    def prepare(self) -> None:
        """Make the model now, so that no bench times it."""
        if self.bare:  # reads it
            self.note(ran_on=f"{getattr(self.module, '__qualname__', type(self.module).__qualname__)} as it is")
        elif self.graph or self._example is not None:
            super().prepare()

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off what was made, and what is needed of it once another runtime has it; a function's name."""
        if self.graph:
            self.takes = ports(module)
            self._names = tuple(port.name for port in self.takes)
            return super().describe(module)
        if not hasattr(module, "parameters"):
            return {"architecture": getattr(module, "__qualname__", type(module).__qualname__)}
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        found = inspect.signature(module.forward).parameters.values()
        self._names = tuple(parameter.name for parameter in found if parameter.kind in kinds)
        given = module.modelbench_example
        if given is not None:
            in_order = tuple(given) if isinstance(given, (tuple, list)) else (given,)
            named = given if isinstance(given, Mapping) else self._in_order(in_order)
            self._example = {name: _array(value) for name, value in named.items()}
        return super().describe(module)

    def run(self, *inputs: Any, **named: Any) -> Any:
        """Call it: with arrays or tensors, in the order of its arguments or by name.

        Gives one array, or all by name; a function gets and gives what it likes.
        """
        if self.bare:
            return self.module(*inputs, **named)
        encoded = self.encode(*inputs, **named)
        if self._example is None:
            self._example = encoded.arrays
        outputs = self.outputs(encoded)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def encode(self, *inputs: Any, **named: Any) -> Inputs:
        """The inputs as arrays by name."""
        given = (*inputs, *named.values())
        return self.kept(given, lambda: self._encode(inputs, named))

    def _encode(self, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> Inputs:
        arrays = {name: _array(value) for name, value in {**self._in_order(inputs), **named}.items()}
        items = next((len(array) for array in arrays.values() if array.ndim), 1)
        return Inputs(arrays, {"items": items})

    def _in_order(self, inputs: tuple[Any, ...]) -> dict[str, Any]:
        names = self._names or ()
        if len(inputs) > len(names):
            raise UsageError(f"{self.source.text!r} takes {len(names)} inputs ({', '.join(names)}), not {len(inputs)}")
        return dict(zip(names, inputs, strict=False))

    def made_inputs(self, batch_size: int | None = None) -> dict[str, Any]:
        """Arrays by name that fit, the same each time: so many items, else two or the number that the file fixes.

        Raises UsageError where the file fixes another number, Unsupported for an input of texts, and for a model of
        which no file says what it takes.
        """
        if not self.handed_over:
            _ = self.module
        if not self.takes:
            raise Unsupported(f"{self.source.text!r} does not say what it takes: give it inputs of your own")
        return made_inputs(self.takes, batch_size)

    def example(self) -> Example:
        """The example inputs, whose first sizes may change. Raises Unsupported where nobody gave any."""
        if not self.handed_over:
            _ = self.module
        if self.takes:
            return example_of(self.takes)
        example = self._example
        if example is None:
            raise Unsupported(
                f"{self.source.text!r} has no example inputs to trace it with: let its function give (module, inputs)"
            )
        batched = all(array.ndim and len(array) > 1 for array in example.values())
        return Example(example, {name: {0: "batch"} if batched else {} for name in example})

    @property
    def network(self) -> Any:
        """As every model's, once it is known what it gives."""
        self.check_torch()
        if not self.output_names:
            self._learn_outputs()
        return super().network

    def _learn_outputs(self) -> None:
        import torch

        tensors = [torch.from_numpy(array).to(self.device.torch_name) for array in self.example().arrays.values()]
        dtype = self._dtype()
        tensors = [tensor.to(dtype) if tensor.is_floating_point() and dtype else tensor for tensor in tensors]
        with torch.no_grad():
            output = self.module(**dict(zip(self.example().arrays, tensors, strict=True)))
        if isinstance(output, Mapping):
            self.output_names = tuple(name for name, value in output.items() if value is not None)
        else:
            number = len(output) if isinstance(output, (tuple, list)) else 1
            self.output_names = ("output",) if number == 1 else tuple(f"output_{at}" for at in range(number))

    def run_network(self, network: Any, ran_on: str | None = None) -> None:
        """As every model's; a pass gives what it gave for the example."""
        if not self.output_names:
            self._learn_outputs()
        super().run_network(network, ran_on)

    def compute(self, module: Any, tensors: dict[str, Any]) -> tuple[Any, ...]:
        """One pass: a tensor, a tuple or a mapping of them."""
        output = module(**tensors)
        if isinstance(output, Mapping):
            return tuple(output[name] for name in self.output_names)
        return tuple(output) if isinstance(output, (tuple, list)) else (output,)


def _array(value: Any) -> Any:
    """A tensor or anything numpy takes, as an array of the host."""
    import numpy

    if hasattr(value, "detach"):
        value = value.detach()
        return (value.float() if value.is_floating_point() and value.element_size() < 4 else value).cpu().numpy()
    array = numpy.asarray(value)
    return array.astype("float32") if array.dtype == "float64" else array
