"""Datasets: pinned inputs and references, from the hub, a file or folder here or elsewhere, a package, or made.

open_dataset(source)
    read      hub.py, local.py, remote.py, packages.py, debian.py, made.py -> a Table of columns
    choose    rows.py: which columns or which template, in which order, how many of them
    pin       the facts that go into the Record: source, revision, split, n, digest of the content
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UnknownName, UsageError
from ..record import DatasetFacts
from . import debian, hub, local, remote, rows
from .batches import Batches, Buckets
from .made import MADE
from .packages import PARTS
from .table import Table, streams, whole

if TYPE_CHECKING:
    from ..source import Source


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pinned inputs and references, in one order; what the fixture `dataset` holds.

    Raises UsageError for no inputs, or for references of another length.
    """

    #: A tuple, because benches share one Dataset: what one of them changed, the next would measure. With `stream`, a
    #: sequence that reads each value when it is asked for.
    inputs: Sequence[Any]
    #: One for each input; None for data without them.
    references: Sequence[Any] | None
    facts: DatasetFacts = field(default_factory=lambda: DatasetFacts("given"))

    def __post_init__(self) -> None:
        if not len(self.inputs):
            raise UsageError(f"dataset {self.facts.source!r} is empty: no row is left to measure")
        if self.references is not None and len(self.references) != len(self.inputs):
            raise UsageError(
                f"dataset {self.facts.source!r} has {len(self.inputs)} inputs and {len(self.references)} references; "
                "each input needs one"
            )
        if self.facts.n is None:  # made by a bench: pinned here
            given = {"inputs": self.inputs} | ({"references": self.references} if self.references is not None else {})
            pinned = replace(self.facts, n=len(self.inputs), digest=rows.digest_of_given(given))
            object.__setattr__(self, "facts", pinned)

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(self, size: int) -> Batches:
        """The inputs in lists of `size`, in order; the last may be shorter."""
        return Batches(self.inputs, size)

    def buckets(self, size: int, length: Callable[[Any], int] = len) -> Buckets:
        """The inputs in lists of `size`, those of one length together, the longest first.

        `length` measures an input: `len` of a text, or `lambda text: len(tokenizer.encode(text))`. Outputs come in
        the buckets' order: `buckets.in_order(run.flat)` has that of the references.
        """
        return Buckets(self.inputs, size, length)

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

    def truncated(self, tokenizer: Any, tokens: int) -> list[str]:
        """The inputs, those longer than `tokens` tokens cut to that many; the others as they are."""
        if tokens < 1:
            raise UsageError(f"truncated(tokens={tokens}): give at least 1")
        ids = [tokenizer.encode(text, add_special_tokens=False) for text in self.inputs]
        return [
            tokenizer.decode(found[:tokens]) if len(found) > tokens else text
            for text, found in zip(self.inputs, ids, strict=True)
        ]

    def encoded(self, tokenizer: Any, tokens: int) -> Any:
        """Token ids and mask of the inputs, each truncated or padded to `tokens`: arrays (inputs, tokens), as numpy.

        For a model that is called with tensors, whose shape then is the same in every call.
        """
        if tokenizer.pad_token_id is None:
            raise UsageError("this tokenizer has no token to pad with: set tokenizer.pad_token, or use truncated(...)")
        return tokenizer(
            list(self.inputs), truncation=True, max_length=tokens, padding="max_length", return_tensors="np"
        )

    def chats(self, tokenizer: Any, system: str | None = None) -> list[str]:
        """The inputs as a user's turn in the tokenizer's chat template, after a system's where one is given.

        `generate(..., chat=False)` then takes them as they are. Raises UsageError for a tokenizer without a template.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError("this tokenizer has no chat template: use the inputs as they are, or template=...")
        first = [{"role": "system", "content": system}] if system else []
        return [
            str(
                tokenizer.apply_chat_template(
                    [*first, {"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
                )
            )
            for text in self.inputs
        ]


#: What every source takes, in its mark or after its `?`.
OPTIONS = ("inputs", "references", "template", "limit", "shuffle_seed", "stream")


def open_dataset(source: Source, **options: Any) -> Dataset:
    """Read, choose and pin: the columns `inputs` and `references`, shuffled with a seed, the first `limit` rows.

    `template` makes each input of a row's columns; `stream` reads values when they are asked for instead of holding
    them. Options in the source itself (`./q.csv?inputs=question&limit=8`) come before those of a mark.
    Raises UsageError for what cannot be data, UnknownName for a name or option that is none, Unavailable with the
    remedy for a package, library or server that is not here.
    """
    check(source, options)
    given = {name: value for name, value in options.items() if value is not None}
    source = replace(source, options={**given, **source.options})
    chosen = source.options
    table = _reader(source)[0](source)
    columns = _columns(table, chosen, source)
    order: Sequence[int] = range(len(columns["inputs"].values))
    if "shuffle_seed" in chosen:
        order = rows.shuffled(len(order), whole(chosen["shuffle_seed"], "shuffle_seed", 0, source))
    if "limit" in chosen:
        order = order[: whole(chosen["limit"], "limit", 1, source)]
    order = order[: table.limit]
    return _pinned(columns, order, table, source)


class _Column(NamedTuple):
    name: str
    values: Sequence[Any]


def _columns(table: Table, chosen: dict[str, Any], source: Source) -> dict[str, _Column]:
    """What is asked and, where there are any, the right answers."""
    template, inputs = chosen.get("template"), chosen.get("inputs")
    if template and inputs:
        raise UsageError(f"dataset {source.text!r}: template and inputs={inputs!r} both say what is asked; keep one")
    if template:
        found = {"inputs": _Column("template", rows.templated(table, template, source))}
    else:
        name = inputs or table.inputs
        found = {"inputs": _Column(name, rows.column(table, name, "inputs", source))}
    name = chosen.get("references") or table.references
    if chosen.get("references") or name in table.columns:
        found["references"] = _Column(name, rows.column(table, name, "references", source))
    return found


def _pinned(columns: dict[str, _Column], order: Sequence[int], table: Table, source: Source) -> Dataset:
    """The chosen values with their digest; where they are not to be held, they are read once for it and again later."""
    chosen = {role: rows.Chosen(column.values, order) for role, column in columns.items()}
    held = {} if streams(source) else {role: list(values.raw()) for role, values in chosen.items()}
    raw = {role: iter(held[role]) if role in held else values.raw() for role, values in chosen.items()}
    digest = rows.digest({role: rows.checked_values(raw[role], order, columns[role].name, source) for role in columns})
    kept: dict[str, Sequence[Any]] = {
        role: tuple(map(rows.decoded, held[role])) if role in held else values for role, values in chosen.items()
    }
    split = table.split or (source.part or "").partition(":")[0] or None
    facts = DatasetFacts(source.text, table.revision, split, len(order), digest)
    return Dataset(kept["inputs"], kept.get("references"), facts)


def check(source: Source, options: dict[str, Any] | None = None) -> None:
    """Raise UnknownName or UsageError for a source that gives no data, or for options it has not; nothing is read."""
    _, takes = _reader(source)
    for name in (*(options or ()), *source.options):
        if name not in (*OPTIONS, *takes):
            raise UnknownName("dataset option", name, (*OPTIONS, *takes), where=repr(source.text))


def _reader(source: Source) -> tuple[Callable[[Source], Table], tuple[str, ...]]:
    """What reads a source, and the options that it takes beside ours."""
    if source.kind == "local":
        return local.read, local.options_of(source)
    if source.kind in remote.NEEDS:
        return remote.read, remote.options_of(source)
    if source.kind == "hub":
        return hub.read, hub.OPTIONS
    if source.kind == "package":
        name = f"{source.place}#{(source.part or '').partition(':')[0]}"
        known = {**PARTS, **debian.PARTS}
        if name not in known:
            raise UnknownName("dataset", f"package:{name}".rstrip("#"), (f"package:{part}" for part in known))
        return known[name].read, known[name].takes
    if source.kind == "synthetic":
        if source.place not in MADE:
            raise UnknownName("dataset", f"synthetic:{source.place}", (f"synthetic:{known}" for known in MADE))
        return MADE[source.place].read, MADE[source.place].takes
    raise UsageError(
        f"{source.text!r} is not a dataset: {source.kind}: gives models; "
        "use hub:, package:, synthetic:, a path or a URL"
    )
