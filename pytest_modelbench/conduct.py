"""Conduct: a bench's rounds when another process says when, in short blocks, so that two sides take turns.

Neither the bench nor its fixtures know of it: `Measure` asks its conductor for one more round, and waits in that
question while the other side has its turn. The other end is `gate/duet.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import perf_counter, process_time, thread_time
from typing import Any

# Chosen here: together about a third of a millisecond on a CPU, enough to show a clock or a neighbour that changed.
_CANARY_SIDE, _CANARY_BYTES, _CANARY_STEPS = 96, 1 << 18, 4000
# Of a few, the fastest counts: the first comes out of a switch, as a bench's first call does.
_CANARY_TIMES = 3
# Chosen here: threads that read pipes and samplers take less, threads that compute take more.
OTHER_THREADS_RATIO = 0.05


class Conductor:
    """One side's part in a bench of two: it says what it is ready for, and does as it is told.

    It must be made in the thread that runs the rounds.
    """

    def __init__(self, say: Callable[..., None], hear: Callable[[], tuple[Any, ...]], device_name: str) -> None:
        self._say, self._hear = say, hear
        self._canary = _Canary(device_name)
        self._left, self._drop = 0, False
        self._block: list[float] = []
        self._waits = _Waits()
        self._core = _Core()

    def begin(self, each_seconds: float, loops: int, items: int | None) -> int | None:
        """Say how long a call takes; the calls of a round that both sides agreed on, None when nobody conducts.

        `items` is the number of different calls that one after the other make a pass, None where all are alike.
        """
        self._left, self._drop, self._block = 0, False, []
        self._say("ready", each_seconds, loops, items)
        word, *rest = self._hear()
        self._loops = int(rest[0]) if word == "loops" else loops
        return self._loops if word == "loops" else None

    def more(self) -> bool:
        """Whether to time another round; waits for this side's turn."""
        if self._left:
            self._waits.begin()
            return True
        if self._block:
            self._core.look()
            self._say("block", self._block, self._canary.seconds)
            self._block = []
        word, *rest = self._hear()
        if word != "block":
            self._core.leave()
            return False
        self._left, self._drop, core = rest
        self._core.take(core)
        self._canary.sing()
        self._waits.begin()
        return True

    def takes(self, seconds: float) -> bool:
        """Take a round in; False for the first after a switch, which finds the other side's data in the caches."""
        if self._drop:
            self._drop = False
            return False
        self._left -= 1
        self._block.append(seconds - self._waits.within(seconds * self._loops) / self._loops)
        return True


class _Waits:
    """How long the kernel let this thread wait for a core while it could have run: others' time, taken off a round.

    Linux keeps it (`/proc/thread-self/schedstat`, the second number, nanoseconds: see the kernel's
    Documentation/scheduler/sched-stats.rst). On two cores with a load of four, the upper quartile of a 1.4 ms round
    was 4.5 ms with it and 1.44 ms without. Elsewhere nothing is taken off. What other threads of this process wait is
    seen only where this one does not wait for them.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:  # another system, or a kernel without it
            self._file = -1
        self._began = (0.0, 0.0)

    def begin(self) -> None:
        """A round begins. The clock first: a thread is often sent away as its question to the kernel is answered."""
        self._began = perf_counter(), self._seconds()

    def within(self, round_seconds: float) -> float:
        """What was waited for within a round that ended just now; what it costs to ask (2 us) lies outside of it."""
        ended, waited = perf_counter(), self._seconds() - self._began[1]
        outside = ended - self._began[0] - round_seconds
        inside = max(waited - max(outside, 0.0), 0.0)
        return inside if inside < round_seconds else 0.0  # no round is nothing but waiting: a reading gone wrong

    def _seconds(self) -> float:
        return int(os.pread(self._file, 64, 0).split()[1]) * 1e-9 if self._file >= 0 else 0.0


class _Core:
    """The core of a block, the same one for both sides: with cores of their own each has neighbours of its own.

    Only for what computes in this thread alone, as its first block shows: others' threads stay where they are. Cores
    cannot be chosen on every system; there both sides run where they are put.
    """

    def __init__(self) -> None:
        self._usual = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set[int]()
        self._alone = False
        self._began = (0.0, 0.0)

    def take(self, core: int) -> None:
        """Run on this core from now on."""
        if self._usual:
            os.sched_setaffinity(0, {core} if self._alone and core in self._usual else self._usual)
        self._began = process_time(), thread_time()

    def look(self) -> None:
        """See whether other threads of this process worked since."""
        every, mine = process_time() - self._began[0], thread_time() - self._began[1]
        self._alone = bool(self._usual) and every - mine < OTHER_THREADS_RATIO * mine

    def leave(self) -> None:
        """Run on any core again."""
        if self._usual:
            os.sched_setaffinity(0, self._usual)


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
