"""Variants: ways to run a model. One idea a file; they compose with `+` from left to right.

A variant is written `name`, `name:option` or `first+second`: `compiled:max-autotune`, `nf4+compiled`. An option is made
of words with `:` between them: `compiled:max-autotune:fullgraph`, `onnx:threads=2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, cast

from ..declare import Declared, check_requirements
from ..errors import UnknownName, UsageError

if TYPE_CHECKING:
    from ..catalog import Catalog
    from ..model import Model

#: What of a run a variant may decide, and when: what weights are read as (0), how they are read (1), which layers they
#: are in (2), what runs them (3). A composition decides each part once, and in this order.
PARTS = {"dtype": 0, "attention": 1, "weights": 1, "layers": 2, "steps": 3, "runtime": 3}
#: Parts that are torch's own, and mean nothing to another runtime.
_TORCHS = ("weights", "layers", "steps")
_WHEN = ("says what weights are read as", "says how weights are read", "changes layers", "runs them")


def names(text: str) -> list[tuple[str, str | None]]:
    """The (name, option) pairs of a composition: `nf4+compiled:default` -> [("nf4", None), ("compiled", "default")].

    Raises UsageError for an empty part.
    """
    pairs = []
    for part in text.split("+"):
        name, separator, option = part.partition(":")
        if not name or (separator and not option):
            raise UsageError(f"variant {text!r} has an empty part; write name, name:option or first+second")
        pairs.append((name, option or None))
    return pairs


@dataclass(frozen=True)
class Variant:
    """One way to run a model, perhaps composed of several; what the fixture `variant` holds."""

    name: str
    parts: tuple[tuple[Declared, str | None], ...]

    def apply(self, model: Model) -> Model:
        """The model, run this way. Raises Unavailable with the pip line when a library is missing."""
        for declared, _ in self.parts:  # all of them first: exporting takes minutes
            check_requirements(f"variant {self.name!r}", declared.requires)
        for declared, option in self.parts:
            model = cast("Model", declared(model, option) if option else declared(model))
            if hasattr(model, "applied"):  # what somebody's own fixture gives may be anything
                model.applied.append(f"{declared.name}:{option}" if option else declared.name)
        return model

    def __str__(self) -> str:
        return self.name


def parse(text: str, catalog: Catalog, where: str = "") -> Variant:
    """Read a variant; nothing is loaded. Raises UnknownName with the near one, UsageError for a contradiction."""
    parts = tuple((catalog.find("variant", name, where), option) for name, option in names(text))
    for (first, _), (second, _) in combinations(parts, 2):
        _check(text, first, second)
    return Variant(text, parts)


def _check(text: str, first: Declared, second: Declared) -> None:
    """Raise UsageError where two parts of a composition cannot both be meant, or stand in the wrong order."""
    one, other = first.decides, second.decides
    if not one or not other:
        return
    if one == other:
        raise UsageError(f"variant {text!r}: {first.name} and {second.name} both decide the {one}; keep one of them")
    if "runtime" in (one, other):
        runtime, torchs = (first, second) if one == "runtime" else (second, first)
        if torchs.decides in _TORCHS:
            raise UsageError(
                f"variant {text!r} contradicts itself: {torchs.name} is a way of torch's, and {runtime.name} does not "
                "run torch; keep one of them"
            )
    if PARTS[one] > PARTS[other]:
        raise UsageError(
            f"variant {text!r}: {second.name} {_WHEN[PARTS[other]]}, and {first.name} {_WHEN[PARTS[one]]}: "
            f"put {second.name} first"
        )


def words(variant: str, option: str | None, keys: Mapping[str, Sequence[str] | type[int]]) -> dict[str, str]:
    """The words of an option, `a:key=b`, by key: `keys` gives each key's values, or `int` for a whole number above 0.

    A word without `=` is a value that one key has. Raises UnknownName with the near one, UsageError for a wrong number.
    """
    where = f"variant '{variant}:{option}'"
    told: dict[str, str] = {}
    for word in (option or "").split(":") if option else ():
        key, separator, value = word.partition("=")
        if not separator:
            value, key = key, next((key for key, known in keys.items() if word in _values(known)), "")
        if key not in keys:
            raise UnknownName("option" if separator else "word", key or word, _known(keys), where=where)
        known = keys[key]
        if isinstance(known, type):
            if not value.isdigit() or int(value) < 1:
                raise UsageError(f"{where}: {key}={value} is no whole number above 0")
        elif value not in known:
            raise UnknownName(key, value, known, where=where)
        if key in told:
            raise UsageError(f"{where} says {key} twice: {told[key]} and {value}; keep one of them")
        told[key] = value
    return told


def _values(known: Sequence[str] | type[int]) -> Sequence[str]:
    return () if isinstance(known, type) else known


def _known(keys: Mapping[str, Sequence[str] | type[int]]) -> Iterable[str]:
    for key, known in keys.items():
        yield from _values(known) or (f"{key}=N",)


def no_option(variant: str, option: str | None) -> None:
    """Raise UsageError for an option of a variant that has none."""
    if option:
        raise UsageError(f"variant '{variant}:{option}': {variant} has no options; write '{variant}'")
