"""A plain ONNX file as a model: what it is for is told by the names of what it gives, and ONNX Runtime runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import cache, providers
from ..declare import check_requirements
from ..errors import Unavailable, Unsupported, UsageError
from ..forward import Inputs
from ..ports import Port
from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from ..settings import Settings
    from ..source import Source

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
#: ONNX Runtime's names of types, and numpy's.
_TYPES = {
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "int64": "int64",
    "int32": "int32",
    "bool": "bool",
}


def known(path: Path, source: Source, settings: Settings, revision: str | None) -> Checkpoint:
    """The checkpoint of a file: its inputs and outputs are its configuration. Raises UsageError for a damaged one."""
    check_requirements(f"model {source.text!r}", ("onnxruntime",))
    session = open_session(path, source, "cpu")
    outputs = {entry.name: True for entry in session.get_outputs()}
    config = {"architectures": ["OnnxGraph"], **outputs, "inputs": [entry.name for entry in session.get_inputs()]}
    config["file_bytes"] = path.stat().st_size
    del session
    return Checkpoint(
        config,
        lambda kind, where, options: _read(path, source, where, options),
        lambda: _tokenizer(source, settings),
        revision=revision,
        details={"digest": cache.content_digest([path]), "runtime": "onnxruntime"},
        output_names=tuple(outputs),
    )


def _tokenizer(source: Source, settings: Settings) -> Any:
    """The tokenizer of another source, which the option names: a graph has none."""
    from ..source import parse
    from .checkpoint import find

    named = source.options.get("tokenizer")
    if named is None:
        raise UsageError(
            f"model {source.text!r} is a graph without a tokenizer: name whose it takes, ?tokenizer=SOURCE"
        )
    return find(parse(named), settings).read_tokenizer()


def _read(path: Path, source: Source, where: str, options: dict[str, Any]) -> Any:
    if options:
        raise Unsupported(f"{source.text!r} is an ONNX file: it cannot be read with {', '.join(sorted(options))}")
    return open_session(path, source, where)


def open_session(path: Path, source: Source, where: str) -> Any:
    """A session on the device's provider.

    Raises Unavailable without it, Fallback where another one ran, UsageError for a damaged file.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    kind, _, index = where.partition(":")
    provider = _PROVIDERS.get(kind)
    if provider is None or provider not in onnxruntime.get_available_providers():
        raise Unavailable(f"model {source.text!r}: this onnxruntime has no provider for {where}; run with --device cpu")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = _threads(), 1
    try:
        return providers.open_session(path, provider, int(index or 0), options)
    except (states.InvalidProtobuf, states.InvalidGraph, states.Fail, states.InvalidArgument) as error:
        raise UsageError(f"model {source.text!r}: ONNX Runtime cannot read {path} ({error})") from error


def _threads() -> int:
    """As many as torch takes, so that the two compare."""
    import torch

    return int(torch.get_num_threads())


class OnnxFileForward:
    """A session's run, arrays of the host in and out. Raises Fallback where its heavy nodes are not on the device."""

    def __init__(self, session: Any, kind: str) -> None:
        self.session = session
        self.names = [entry.name for entry in session.get_outputs()]
        self.types = {entry.name: _TYPES.get(entry.type[7:-1]) for entry in session.get_inputs()}
        self.ran_on = providers.check_assignment(session, _PROVIDERS[kind])

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name; floats as float32."""
        given = {
            name: array.astype(self.types[name], copy=False) if self.types[name] else array
            for name, array in inputs.arrays.items()
            if name in self.types
        }
        made = dict(zip(self.names, self.session.run(None, given), strict=True))
        return {
            name: array.astype("float32", copy=False) if array.dtype.kind == "f" else array
            for name, array in made.items()
        }


def ports(session: Any) -> tuple[Port, ...]:
    """What a graph takes, in its order."""
    return tuple(
        Port(
            entry.name,
            tuple(size if isinstance(size, int) and size > 0 else None for size in entry.shape),
            _TYPES.get(entry.type[7:-1]) or entry.type,
        )
        for entry in session.get_inputs()
    )


def session_facts(session: Any, kind: str) -> dict[str, Any]:
    """What a session on a kind of device tells of its graph, and how much of it runs elsewhere."""
    told = session.get_modelmeta()
    return {
        "architecture": told.graph_name or "OnnxGraph",
        "onnx_producer": told.producer_name or None,
        "nodes_elsewhere": providers.elsewhere(session, _PROVIDERS[kind]),
    }
