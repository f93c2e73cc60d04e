"""Conduct: a bench's rounds when another process says when, in short blocks, so that two sides take turns.

Neither the bench nor its fixtures know of it: `Measure` asks its conductor for one more round, and waits in that
question while the other side has its turn. The other end is `gate/duet.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from .stats import median

# Chosen here: together about a third of a millisecond on a CPU, enough to show a clock or a neighbour that changed.
_CANARY_SIDE, _CANARY_BYTES, _CANARY_STEPS = 96, 1 << 18, 4000
# Of a few, the fastest counts: the first comes out of a switch, as a bench's first call does.
_CANARY_TIMES = 3


class Conductor:
    """One side's part in a bench of two: it says what it is ready for, and does as it is told."""

    def __init__(self, say: Callable[..., None], hear: Callable[[], tuple[Any, ...]], device_name: str) -> None:
        self._say, self._hear = say, hear
        self._canary = _Canary(device_name)
        self._left, self._drop = 0, False
        self._block: list[float] = []
        self._mixed = False

    def begin(self, each_seconds: float, loops: int, items: int | None) -> int | None:
        """Say how long a call takes; the calls of a round that both sides agreed on, None when nobody conducts.

        `items` is the number of different calls that one after the other make a pass, None where all are alike.
        """
        self._left, self._drop, self._block, self._mixed = 0, False, [], items is not None
        self._say("ready", each_seconds, loops, items)
        word, *rest = self._hear()
        return int(rest[0]) if word == "loops" else None

    def more(self) -> bool:
        """Whether to time another round; waits for this side's turn."""
        if self._left:
            return True
        if self._block:
            # the middle of rounds that are alike; of unlike ones all count
            value = sum(self._block) / len(self._block) if self._mixed else median(self._block)
            self._say("block", value, self._canary.seconds)
            self._block = []
        word, *rest = self._hear()
        if word != "block":
            return False
        self._left, self._drop = rest
        self._canary.sing()
        return True

    def takes(self, seconds: float) -> bool:
        """Take a round in; False for the first after a switch, which finds the other side's data in the caches."""
        if self._drop:
            self._drop = False
            return False
        self._left -= 1
        self._block.append(seconds)
        return True


class _Canary:
    """A fixed small product and a copy, by torch where the bench has loaded it: what the machine does, bench aside."""

    def __init__(self, device_name: str) -> None:
        self._device_name = device_name
        self._work: Callable[[], None] | None = None
        self.seconds = 0.0

    def sing(self) -> None:
        """Take its time anew."""
        if self._work is None:
            self._work = self._of_torch(sys.modules["torch"]) if "torch" in sys.modules else self._plain()
        took = []
        for _ in range(_CANARY_TIMES):
            started = perf_counter()
            self._work()
            took.append(perf_counter() - started)
        self.seconds = min(took)

    def _of_torch(self, torch: Any) -> Callable[[], None]:
        side = (_CANARY_SIDE, _CANARY_SIDE)
        left = torch.full(side, 0.5, device=self._device_name)
        product, here = torch.empty_like(left), torch.ones(_CANARY_BYTES, dtype=torch.uint8, device=self._device_name)
        there = torch.empty_like(here)
        kind = self._device_name.partition(":")[0]
        wait = torch.accelerator.synchronize if kind != "cpu" else lambda: None

        def work() -> None:
            with torch.no_grad():
                torch.mm(left, left, out=product)
                there.copy_(here)
            wait()

        return work

    def _plain(self) -> Callable[[], None]:
        here, there = bytes(_CANARY_BYTES), bytearray(_CANARY_BYTES)
        steps = range(_CANARY_STEPS)

        def work() -> None:
            sum(steps)
            there[:] = here

        return work
