"""Ports: what a network whose file says it takes and gives, and arrays that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Unsupported, UsageError
from .forward import Example

# Chosen here, of an axis that may have any size and is no batch: nets of pictures and of sequences both take it.
ANY_SIZE = 64
#: Of an example: no size is one.
BATCH = 2


@dataclass(frozen=True)
class Port:
    """What a network takes or gives: its sizes, None where any will do, and numpy's name of its type.

    A shape of None is any number of sizes.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape or ())
        if self.shape is None:
            sizes = "of any shape"
        return f"{self.name} ({sizes}) {self.dtype}"

    def made(self, batch: int) -> Any:
        """An array that fits, the same each time: normal numbers; all of what 8 bits hold; zeros and ones, which are
        rows of any table. Raises Unsupported for texts, UsageError for a batch that is not its own."""
        import numpy

        if self.shape is None:
            raise Unsupported(f"{self} takes whatever it is given: there are no made inputs for it")
        if self.shape and self.shape[0] not in (None, batch):
            raise UsageError(f"{self} takes {self.shape[0]} at a time, not {batch}")
        sizes = [ANY_SIZE if size is None else size for size in self.shape]
        sizes[:1] = [batch] if sizes else []
        drawn = numpy.random.default_rng(0)
        try:
            dtype = numpy.dtype(self.dtype)
        except TypeError:
            raise Unsupported(f"{self} is of no numbers: there are no made inputs for it") from None
        if dtype.kind in "iub":
            low, high = (numpy.iinfo(dtype).min, numpy.iinfo(dtype).max + 1) if dtype.name in _BYTES else (0, 2)
            return drawn.integers(low, high, sizes).astype(dtype)
        return drawn.standard_normal(sizes).astype(dtype)


_BYTES = ("int8", "uint8")


def example_of(ports: Sequence[Port]) -> Example:
    """Inputs that fit, two of a batch where it may have any size."""
    return Example(made_inputs(ports), {port.name: {0: "batch"} if _batched(port) else {} for port in ports})


def made_inputs(ports: Sequence[Port], batch: int | None = None) -> dict[str, Any]:
    """An array a port, of so many items: their own number where it is fixed, else two."""
    return {port.name: port.made(batch or _own_batch(port)) for port in ports}


def _own_batch(port: Port) -> int:
    return (port.shape[0] if port.shape else None) or BATCH


def _batched(port: Port) -> bool:
    return port.shape is not None and port.shape[:1] == (None,)
