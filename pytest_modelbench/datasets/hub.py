"""Hub: a data set of the hub at a revision, or a folder laid out like one, read by the `datasets` library.

It keeps its own cache, login and offline switch, and maps tables from the disk: no column is in memory at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import content_digest
from ..declare import check_requirements
from ..errors import Unavailable, UsageError
from . import media, sounds
from .table import Encoded, Mapped, Table, whole

if TYPE_CHECKING:
    from ..source import Source

#: A name of `datasets`' own, and samples a second to which sounds are brought.
OPTIONS = ("config", "sampling_rate")
_COMMIT = re.compile(r"@([0-9a-f]{40})/")


def read(source: Source) -> Table:
    """A split of `hub:name[/config]@revision#split[:n]`; its revision is the commit, where the library says it.

    Raises UsageError for a repository, config or split that is not there, Unavailable where the hub is not reached.
    """
    check_requirements(f"dataset {source.text!r}", ("datasets",))
    import datasets

    place, config = _place_and_config(source)
    with _said(source):
        found = datasets.load_dataset(place, config, revision=source.revision, split=_asked(source)[0])
    split = _split(found, source)
    checksums = split.info.download_checksums or {}
    commits = {match[1] for match in map(_COMMIT.search, checksums) if match}
    revision = commits.pop() if len(commits) == 1 else source.revision
    return _table(split, revision, source)


def read_folder(folder: Path, source: Source) -> Table:
    """A folder of pictures (one folder a label, or `metadata.csv`), of data files, or of `save_to_disk`."""
    check_requirements(f"dataset {source.text!r}", ("datasets",))
    import datasets

    with _said(source):
        if (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(str(folder.resolve()), source.options.get("config"), split=_asked(source)[0])
    split = _split(found, source)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _table(split, content_digest(files), source)


@contextmanager
def _said(source: Source) -> Iterator[None]:
    """The library's errors in one line, with what to do; its progress bars off."""
    import datasets
    from datasets import exceptions
    from huggingface_hub import errors

    showed = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    except (exceptions.DatasetNotFoundError, errors.RevisionNotFoundError) as error:
        raise UsageError(
            f"dataset {source.text!r}: {_line(error)}; check name and revision, or log in with `hf auth login`"
        ) from error
    except (ConnectionError, errors.OfflineModeIsEnabled, errors.HTTPError) as error:
        raise Unavailable(
            f"dataset {source.text!r} is not in the local cache and the hub cannot be reached ({_line(error)}): fetch "
            f"it where there is a network (hf download --repo-type dataset {source.place}), unset HF_HUB_OFFLINE, or "
            "use a folder, a file or package:"
        ) from error
    except (ValueError, FileNotFoundError, RuntimeError, exceptions.DatasetsError) as error:
        raise UsageError(f"dataset {source.text!r}: {_line(error)}") from error
    finally:
        if not showed:
            datasets.enable_progress_bars()


def _line(error: Exception) -> str:
    """Its text, or that of what was behind it, in one line: the library writes the configs there are one a line."""
    while type(error).__name__ == "DatasetGenerationError" and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return " ".join(str(error).split())[:400] or type(error).__name__


def _place_and_config(source: Source) -> tuple[str, str | None]:
    """`org/name/config`, or the option `config` where the name has no org."""
    pieces = source.place.split("/")
    named = pieces[2] if len(pieces) == 3 else None
    asked = source.options.get("config")
    if len(pieces) > 3 or (named and asked):
        raise UsageError(
            f"{source.text!r} is not hub:name[/config]@revision#split[:n]; a config of a name without an organisation "
            "is written ?config=NAME"
        )
    return "/".join(pieces[:2]), named or asked


def _asked(source: Source) -> tuple[str | None, int | None]:
    """The split and the n of `#split[:n]`; a slice in brackets (`train[:10%]`) is the library's."""
    part = source.part or ""
    name, _, n = part.rpartition(":") if part[-1:].isdigit() and ":" in part else (part, "", "")
    return name or None, whole(n, "n", 1, source) if n else None


def _split(found: Any, source: Source) -> Any:
    """The split that was asked for, or the only one there is."""
    name, _ = _asked(source)
    if isinstance(found, dict):
        if name not in found and (name or len(found) != 1):
            say = f"has no split {name!r}" if name else "does not say which split"
            raise UsageError(f"dataset {source.text!r} {say} (it has: {', '.join(found)}); write #{next(iter(found))}")
        return found[name] if name else next(iter(found.values()))
    if name and found.split is not None and name.partition("[")[0] != str(found.split).partition("[")[0]:
        raise UsageError(f"dataset {source.text!r} holds one split, {found.split}; leave #{name} out")
    return found


def _table(split: Any, revision: str | None, source: Source) -> Table:
    import datasets

    columns: dict[str, Sequence[Any]] = {}
    inputs, references = "inputs", "references"
    for name, feature in split.features.items():
        if isinstance(feature, (datasets.Image, datasets.Audio)):
            split = split.cast_column(name, type(feature)(decode=False))
            read = (
                sounds.reader(source) if isinstance(feature, datasets.Audio) else partial(Encoded, decode=media.picture)
            )
            columns[name] = Mapped(partial(_encoded, read=read), split[name])
            inputs, references = name, next((n for n in _ANSWERS if n in split.features), references)
        else:
            columns[name] = split[name]
            if isinstance(feature, datasets.ClassLabel):
                columns[f"{name}_name"] = Mapped(feature.int2str, columns[name])
    named = None if split.split is None else str(split.split)
    return Table(columns, revision, inputs, references, limit=_asked(source)[1], split=named)


#: The column that says what a picture or sound is, in the words of `datasets`' own folders.
_ANSWERS = ("references", "transcription", "text", "label")


def _encoded(value: dict[str, Any], read: Callable[[bytes | Path], Encoded]) -> Encoded:
    return read(value["bytes"] if value["bytes"] is not None else Path(value["path"]))
