"""Datasets: pinned inputs and references, from a package, a local file, or made.

open_dataset(source)
    read      packages.py, local.py, made.py → a Table of columns
    choose    which columns are inputs and references, in which order, how many of them
    pin       the facts that go into the Record: source, revision, part, n, digest of the content
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..errors import UnknownName, UsageError
from ..record import DatasetFacts
from . import local
from .made import MADE
from .packages import PARTS
from .table import Table, whole

if TYPE_CHECKING:
    from ..source import Source


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pinned inputs and references, in one order; what the fixture `dataset` holds.

    Raises UsageError for no inputs, or for references of another length.
    """

    #: A tuple, because benches share one Dataset: what one of them changed, the next would measure.
    inputs: tuple[Any, ...]
    #: One for each input; None for data without them.
    references: tuple[Any, ...] | None
    facts: DatasetFacts = field(default_factory=lambda: DatasetFacts("given"))

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError(f"dataset {self.facts.source!r} is empty")
        if self.references is not None and len(self.references) != len(self.inputs):
            raise UsageError(
                f"dataset {self.facts.source!r} has {len(self.inputs)} inputs and {len(self.references)} references; "
                "each input needs one"
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, size: int) -> list[list[Any]]:
        """The inputs in lists of `size`, in order; the last may be shorter."""
        if size < 1:
            raise UsageError(f"batches({size}): give a size of at least 1")
        return [list(self.inputs[start : start + size]) for start in range(0, len(self), size)]

    def cut(self, tokenizer: Any, tokens: int) -> list[str]:
        """The inputs, each cut to exactly `tokens` tokens of a model's tokenizer, special tokens not counted.

        Raises UsageError for a text that is shorter, or whose beginning does not read back as that many.
        """
        if tokens < 1:
            raise UsageError(f"cut(tokens={tokens}): give at least 1")
        cut = []
        for at, text in enumerate(self.inputs):
            ids = tokenizer.encode(text, add_special_tokens=False)
            shorter = tokenizer.decode(ids[:tokens])
            n = len(tokenizer.encode(shorter, add_special_tokens=False))
            if n != tokens:
                raise UsageError(
                    f"input {at} of {self.facts.source!r} has {len(ids)} tokens and {n} when cut to {tokens}; "
                    "ask for fewer, or take longer inputs"
                )
            cut.append(shorter)
        return cut


def open_dataset(
    source: Source,
    *,
    limit: int | None = None,
    shuffle_seed: int | None = None,
    inputs: str | None = None,
    references: str | None = None,
    **unknown: Any,
) -> Dataset:
    """Read, choose and pin: the columns `inputs` and `references`, shuffled with a seed, the first `limit` rows.

    Options in the source itself (`./q.csv?inputs=question&limit=8`) come before these, which a mark gives.
    Raises UsageError for what cannot be data, UnknownName for a name or option that is none, Unavailable with the
    pip line for a package that is not installed.
    """
    chosen: dict[str, Any] = {"limit": limit, "shuffle_seed": shuffle_seed, "inputs": inputs, "references": references}
    read, takes = _reader(source)
    for name in (*unknown, *(name for name in source.options if name not in takes)):
        if name not in chosen or name in unknown:
            raise UnknownName("dataset option", name, (*chosen, *takes), where=repr(source.text))
    table = read(source)
    chosen |= {name: text for name, text in source.options.items() if name in chosen}
    pairs = {"inputs": _column(table, chosen["inputs"] or table.inputs, "inputs", source)}
    if chosen["references"] or table.references in table.columns:
        pairs["references"] = _column(table, chosen["references"] or table.references, "references", source)
    order = list(range(len(pairs["inputs"])))
    if chosen["shuffle_seed"] is not None:
        order = _shuffled(order, whole(chosen["shuffle_seed"], "shuffle_seed", 0, source))
    if chosen["limit"] is not None:
        order = order[: whole(chosen["limit"], "limit", 1, source)]
    kept = {role: tuple(column[at] for at in order) for role, column in pairs.items()}
    facts = DatasetFacts(source.text, table.revision, source.part, len(order), _digest(kept))
    return Dataset(kept["inputs"], kept.get("references"), facts)


def check(source: Source) -> None:
    """Raise UnknownName or UsageError for a source that no dataset comes from; nothing is read."""
    _reader(source)


def _reader(source: Source) -> tuple[Callable[[Source], Table], tuple[str, ...]]:
    """What reads a source, and the options that it takes beside ours."""
    if source.kind == "local":
        return local.read, ()
    if source.kind == "package":
        name = f"{source.place}#{source.part or ''}"
        if name not in PARTS:
            raise UnknownName("dataset", f"package:{name}".rstrip("#"), (f"package:{known}" for known in PARTS))
        return PARTS[name], ()
    if source.kind == "synthetic":
        if source.place not in MADE:
            raise UnknownName("dataset", f"synthetic:{source.place}", (f"synthetic:{known}" for known in MADE))
        return MADE[source.place].make, MADE[source.place].takes
    raise UsageError(
        f"{source.text!r} is not a dataset: {source.kind}: gives models; use package:, synthetic: or a path"
    )


def _column(table: Table, name: str, role: str, source: Source) -> Sequence[Any]:
    if name not in table.columns:
        there = ", ".join(table.columns) or "none"
        raise UsageError(
            f"dataset {source.text!r} has no column {name!r} (it has: {there}); "
            f"say which holds the {role}: ?{role}=NAME"
        )
    column = table.columns[name]
    holes = [at for at, value in enumerate(column) if value is None]
    if holes:
        raise UsageError(
            f"dataset {source.text!r}: row {holes[0] + 1} has no value in column {name!r}; fill it or drop it"
        )
    return column


def _shuffled(places: Sequence[int], seed: int) -> list[int]:
    """By hash, which is the same on every machine and Python; random.shuffle promises less."""
    return sorted(places, key=lambda at: sha256(f"{seed}:{at}".encode()).digest())


def _digest(content: Mapping[str, Sequence[Any]]) -> str:
    """SHA-256 of the canonical JSON of inputs and references: the same data has the same digest on any machine."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_written)
    return sha256(text.encode()).hexdigest()


def _written(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else f"{type(value).__name__}:{value}"
