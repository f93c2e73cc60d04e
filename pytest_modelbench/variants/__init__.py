"""Variants: ways to run a model. One labelled function a file; they compose with `+` from left to right.

A variant is written `name`, `name:option` or `first+second`: `compiled:max-autotune`, `nf4+compiled`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ..declare import Declared, check_requirements
from ..errors import UsageError

if TYPE_CHECKING:
    from ..catalog import Catalog
    from ..model import Model


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
        for declared, option in self.parts:
            check_requirements(f"variant {self.name!r}", declared.requires)
            model = cast("Model", declared(model, option) if option else declared(model))
        return model

    def __str__(self) -> str:
        return self.name


def parse(text: str, catalog: Catalog) -> Variant:
    """Read a variant. Raises UnknownName with the near one."""
    return Variant(text, tuple((catalog.find("variant", name), option) for name, option in names(text)))
