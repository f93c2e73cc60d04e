"""List the models that can be run without a download: here, in the hub's cache, in installed packages; and presets.

What is printed is what the mark `models` and `--model` take.

  modelbench models
  modelbench models ./checkpoints
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from ..errors import UsageError
from ..quantity import quantity_text, visible
from ..tasks import task_of
from . import say

_WEIGHTS = (".safetensors", ".gguf")
# Chosen here: a checkpoint lies near; a whole disk is not searched.
_DEPTH = 3


@dataclass(frozen=True)
class Found:
    """A model that is here: how a source of it is written, what it is for, and the bytes of its weights."""

    source: str
    task: str
    size: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FOLDER."""
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="where to look for checkpoints (.)")


def run(arguments: argparse.Namespace) -> int:
    """Print a line a model, under a line a place."""
    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    places = {
        f"in {folder}": _local(folder),
        "in the hub's cache": _cached(),
        "in installed packages": _packaged(distributions()),
        "with random weights": _presets(),
    }
    for place, found in places.items():
        models = sorted(found, key=lambda model: model.source)
        say(f"{place}:{'' if models else ' none'}")
        width = max((len(model.source) for model in models), default=0)
        for model in models:
            size = f"  {quantity_text('bytes', model.size)}" if model.size is not None else ""
            say(visible(f"  {model.source:{width}}  {model.task}{size}"))
    return 0


def _local(folder: Path) -> Iterator[Found]:
    for place in [folder, *_folders(folder, _DEPTH)]:
        # a path is told from a name by its beginning
        source = str(place) if place.is_absolute() or str(place).startswith(".") else f"./{place}"
        yield from _in_files(source, {path.name: path for path in place.iterdir() if path.is_file()})


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if depth:
        for place in sorted(folder.iterdir()):
            if place.is_dir() and not place.name.startswith((".", "_")) and not place.is_symlink():
                yield place
                yield from _folders(place, depth - 1)


def _in_files(source: str, files: Mapping[str, Path]) -> Iterator[Found]:
    """The models that files of one folder are: a configuration with its weights, or each GGUF."""
    weights = [path for name, path in files.items() if name.endswith(_WEIGHTS[0])]
    if "config.json" in files and weights:
        yield Found(source, _task(files["config.json"]), sum(path.stat().st_size for path in weights))
    for name, path in files.items():
        if name.endswith(_WEIGHTS[1]):
            yield Found(f"{source}/{name}" if source.startswith((".", "/")) else source, "(GGUF)", path.stat().st_size)


def _task(config: Path) -> str:
    try:
        return task_of(json.loads(config.read_text(encoding="utf-8")), where=str(config))[0].name
    except (UsageError, ValueError):
        return "(no task here runs it)"


def _cached() -> Iterator[Found]:
    try:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound
    except ImportError:
        return
    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return
    for repository in repositories:
        for revision in repository.revisions if repository.repo_type == "model" else ():
            files = {file.file_name: file.file_path for file in revision.files}
            yield from _in_files(f"hub:{repository.repo_id}@{revision.commit_hash[:12]}", files)


def _packaged(installed: Iterable[Distribution]) -> Iterator[Found]:
    """Weights among the files of installed packages, found in their lists; nothing is imported."""
    for package in installed:
        folders: dict[Path, dict[str, Path]] = {}
        for file in package.files or ():
            if file.name == "config.json" or file.suffix in _WEIGHTS:
                folders.setdefault(Path(*file.parts[:-1]), {})[file.name] = Path(str(package.locate_file(file)))
        for folder, files in folders.items():
            if folder.parts and all(path.exists() for path in files.values()):
                yield from _in_files(f"package:{folder.parts[0]}", files)


def _presets() -> Iterator[Found]:
    from ..models.random_weights import PRESETS

    for name in PRESETS:
        yield Found(f"random:{name}", f"a {PRESETS[name]['model_type']}", None)
