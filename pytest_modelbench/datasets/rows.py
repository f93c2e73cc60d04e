"""Rows: which columns of a table are inputs and references, in which order, how many; and the digest of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from string import Formatter
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .table import Encoded, Mapped, Table

if TYPE_CHECKING:
    from ..source import Source

#: Types whose values cannot stand in one column, and how a reader calls them.
_WORDS = {
    str: "text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    dict: "an object",
    bytes: "bytes",
}


def column(table: Table, name: str, role: str, source: Source) -> Sequence[Any]:
    """A column by name. Raises UsageError for one that is not there, naming those that are."""
    if name in table.columns:
        return table.columns[name]
    there = ", ".join(table.columns) or "none"
    raise UsageError(
        f"dataset {source.text!r} has no column {name!r} (it has: {there}); say which holds the {role}: ?{role}=NAME"
    )


def templated(table: Table, template: str, source: Source) -> Sequence[str]:
    """A text a row, of a format string over its columns: `"Q: {question} (a) {choices[0]}"`.

    Raises UsageError for a field that is no column, naming those there are, and for braces that do not close.
    """
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise UsageError(
            f"dataset {source.text!r}: template {template!r}: {error}; write a brace as {{{{ or }}}}"
        ) from None
    names = dict.fromkeys(field.partition("[")[0].partition(".")[0] for field in fields)
    if missing := [name for name in names if name not in table.columns]:
        raise UsageError(
            f"dataset {source.text!r}: template {template!r} names {', '.join(map(repr, missing))}, "
            f"and the columns are {', '.join(table.columns) or 'none'}"
        )
    if not names:
        raise UsageError(f"dataset {source.text!r}: template {template!r} names no column: every input would be alike")
    columns = {name: table.columns[name] for name in names}

    def text(at: int) -> str:
        try:
            return template.format(**{name: values[at] for name, values in columns.items()})
        except (IndexError, KeyError, AttributeError, ValueError, TypeError) as error:
            raise UsageError(f"dataset {source.text!r}: template {template!r} fails in row {at + 1}: {error}") from None

    return Mapped(text, range(len(next(iter(columns.values())))))


def shuffled(n: int, seed: int) -> list[int]:
    """Places in an order by hash, which is the same on every machine and Python; random.shuffle promises less."""
    return sorted(range(n), key=lambda at: sha256(f"{seed}:{at}".encode()).digest())


class Chosen(Sequence[Any]):
    """Values of a column in an order, read when they are asked for."""

    def __init__(self, values: Sequence[Any], order: Sequence[int]) -> None:
        self.values, self.order = values, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Chosen(self.values, self.order[at])
        return decoded(self.values[self.order[at]])

    def raw(self) -> Iterator[Any]:
        """The values as they are kept, pictures and sounds not decoded."""
        if self.order == range(len(self.values)):
            return iter(self.values)  # what reads from a disk reads many at once
        return (self.values[at] for at in self.order)


def decoded(value: Any) -> Any:
    """A picture or sound itself; any other value as it is."""
    return value.value if isinstance(value, Encoded) else value


def checked_values(values: Iterator[Any], order: Sequence[int], name: str, source: Source) -> Iterator[Any]:
    """The values as they come. Raises UsageError for a row without one, and for types that cannot be meant together."""
    seen: dict[str, tuple[int, Any]] = {}
    for place, value in zip(order, values, strict=True):
        row = place + 1
        if value is None:
            raise UsageError(f"dataset {source.text!r}: row {row} has no value in column {name!r}; fill it or drop it")
        word = _WORDS.get(type(value))
        if word:
            seen.setdefault(word, (row, value))
        if len(seen) > 1:
            (one, (first, was)), (other, (second, now)) = list(seen.items())[:2]
            raise UsageError(
                f"dataset {source.text!r}: column {name!r} mixes types: {one} in row {first} ({was!r:.30}), {other} in "
                f"row {second} ({now!r:.30}); write all one way"
            )
        yield value


def digest(content: Mapping[str, Iterator[Any]], written: Callable[[Any], Any] | None = None) -> str:
    """SHA-256 of the canonical JSON of inputs and references: the same data has the same digest on any machine.

    A column is read once and not kept: this is also how data larger than memory are pinned.
    """
    found = sha256(b"{")
    for at, role in enumerate(sorted(content)):
        found.update(f"{',' if at else ''}{json.dumps(role)}:[".encode())
        for row, value in enumerate(content[role]):
            text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=written or _written)
            found.update(f"{',' if row else ''}{text}".encode())
        found.update(b"]")
    found.update(b"}")
    return found.hexdigest()


def digest_of_given(content: Mapping[str, Sequence[Any]]) -> str | None:
    """The digest of data that a bench made itself; None for objects whose content cannot be told."""
    try:
        return digest({role: iter(values) for role, values in content.items()}, written=_written_surely)
    except TypeError:
        return None


def _written(value: Any) -> Any:
    try:
        return _written_surely(value)
    except TypeError:
        return f"{type(value).__name__}:{value}"


def _written_surely(value: Any) -> Any:
    """What JSON has no form for. Raises TypeError for an object whose text may be its address in memory."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Encoded):
        return f"file:{value.digest}"
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):  # numpy's arrays and scalars
        return f"{value.dtype}{list(value.shape)}:{sha256(value.tobytes()).hexdigest()}"
    if hasattr(value, "tolist"):  # torch's tensors
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no canonical form")
