"""TensorFlow's models: a .keras file, a SavedModel's folder, a .tflite file - arrays in, arrays out.

./net.keras                    read by Keras, on the backend of KERAS_BACKEND
./saved                        a folder with saved_model.pb: its signature serving_default, ?signature=NAME another
./net.tflite                   run by LiteRT
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import cache
from ..declare import check_requirements
from ..errors import UnknownName, Unsupported, UsageError
from ..forward import Inputs
from ..tensorflow import keras_net, lite, saved_model, tensorflow_version, version
from .checkpoint import Checkpoint
from .plain import PlainModel

if TYPE_CHECKING:
    from ..device import Device
    from ..settings import Settings
    from ..source import Source
    from ..tasks import Task

#: Form of a model, what people call it, and the variants that run it beside `eager`.
FORMS = {
    "KerasFile": ("a Keras model", "'keras', 'savedmodel' and 'tflite'"),
    "SavedModelFolder": ("a SavedModel", "'tflite'"),
    "TfliteFile": ("a .tflite file", "nothing else"),
}


def form_of(path: Path) -> str | None:
    """Which of them a path is; None for another model."""
    if path.is_dir():
        return "SavedModelFolder" if (path / saved_model.FILE).is_file() else None
    return {".keras": "KerasFile", ".tflite": "TfliteFile"}.get(path.suffix)


def known(path: Path, form: str, source: Source, settings: Settings, revision: str | None) -> Checkpoint:
    """The checkpoint of a file or folder. Raises UsageError for a damaged file, Unavailable without its library."""
    where = f"model {source.text!r}"
    if unknown := set(source.options) - ({"signature"} if form != "KerasFile" else set()):
        takes = "?signature=NAME" if form != "KerasFile" else "no ?options"
        raise UsageError(f"{where} has ?{', ?'.join(sorted(unknown))}, and {FORMS[form][0]} takes {takes}")
    if form == "TfliteFile":
        lite.check_file(path, where)
    else:
        check_requirements(where, ("tensorflow", "keras"))
    config = {"architectures": [form], "path": str(path)}
    if form == "KerasFile":
        config["class"] = keras_net.configuration(path, where)["class_name"]
    signature = source.options.get("signature")
    own_code = source.text in settings.trust_remote_code

    def read(kind: Any, device: str, options: dict[str, Any]) -> Any:
        if form == "KerasFile":
            return keras_net.read(path, where, own_code)
        return (saved_model.Signature if form == "SavedModelFolder" else lite.Lite)(path, where, signature)

    files = saved_model.files(path) if form == "SavedModelFolder" else [path]
    details = {"digest": cache.content_digest(files), "runtime": _runtime(form)}
    return Checkpoint(config, read, lambda: None, revision=revision, details=details)


def _runtime(form: str) -> str:
    """Until the model is read and says more."""
    return f"keras {version('keras')}" if form == "KerasFile" else f"tensorflow {tensorflow_version()}"


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> TensorflowModel:
    """The TensorflowModel of a checkpoint, not yet read. Raises Unsupported off the CPU."""
    if device.kind != "cpu":
        raise Unsupported(f"model {source.text!r}: TensorFlow's models run on the CPU here, not on {device.name}")
    return TensorflowModel(
        source,
        device,
        lambda options: checkpoint.read_module(None, device.torch_name, options),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        output_names=(),
    )


@dataclass(eq=False, kw_only=True)
class TensorflowModel(PlainModel):
    """A model of arrays whose file says which."""

    @property
    def form(self) -> str:
        """Which of TensorFlow's forms the source has, a key of FORMS."""
        return str(self.config["architectures"][0])

    @property
    def path(self) -> Path:
        """Its file or folder."""
        return Path(self.config["path"])

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off what was read."""
        where = f"model {self.source.text!r}"
        self.takes = keras_net.ports(module, where) if self.form == "KerasFile" else module.takes
        self._names = tuple(port.name for port in self.takes)
        return keras_net.facts(module, self.takes) if self.form == "KerasFile" else module.facts()

    def run_unasked(self) -> None:
        """By Keras operation by operation, or by what serves the file."""
        if self.form == "KerasFile":
            self.run_by(keras_net.KerasForward(self.module, self.takes))
        else:
            self.run_by(self.module)

    def run_by(self, runtime: Any) -> None:
        """Have one of TensorFlow's runtimes compute: a Forward with `prove` and `close`."""
        self.forward = runtime
        self.closers.append(runtime.close)

        def prove() -> None:
            runtime.prove()
            self.note(ran_on=runtime.ran_on)

        self.proofs.append(prove)

    def prepare(self) -> None:
        """Read it now, so that no bench times it."""
        _ = self.forward

    def _encode(self, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> Inputs:
        """Raise UnknownName for an input that the file has not, UsageError where one is missing."""
        encoded = super()._encode(inputs, named)
        names = [port.name for port in self.takes]
        for name in encoded.arrays:
            if name not in names:
                raise UnknownName("input", name, names, f"model {self.source.text!r}")
        if missing := [str(port) for port in self.takes if port.name not in encoded.arrays]:
            raise UsageError(f"{self.source.text!r} was not given {', '.join(missing)}")
        return encoded

    def check_torch(self) -> None:
        """Raise Unsupported: torch knows nothing of it."""
        raise Unsupported(self._instead("is not torch's"))

    def load_with(self, **options: Any) -> None:
        """Raise Unsupported: what it is read as stands in its file."""
        raise Unsupported(self._instead(f"cannot be read with {', '.join(sorted(options))}"))

    def change_with(self, change: Callable[[Any], Any]) -> None:
        """Raise Unsupported: its layers are not torch's."""
        raise Unsupported(self._instead("has no layers of torch's"))

    def _instead(self, why: str) -> str:
        name, others = FORMS[self.form]
        return f"{self.source.text!r} is {name} and {why}: 'eager' runs it, and {others}"
