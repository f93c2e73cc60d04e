"""Rounds: how long one is, what it reads, and the rule that ends them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from .caveats import TIMER_RATIO
from .record import Timing
from .stats import median, precision_ratio

if TYPE_CHECKING:
    from .measure import Measure

# Chosen here, because reading the clock twice costs about 0.1 us: 1 ms a round keeps that under 0.01 %. Where the timer
# costs more (on CUDA two events and a wait), rounds are longer: see `loops_of`.
ROUND_SECONDS = 1e-3
# A device span that is this much shorter than the host's lacks work of another stream: the events of a round are
# recorded as the host enters and leaves the call, so that the spans differ by what waiting costs, and no more.
# Chosen here: several times the cost of an empty round, and no less than one in twenty.
UNSEEN_TIMERS, UNSEEN_RATIO = 5, 0.05
# Chosen here: the smallest number with a median that one outlier does not move.
LEAST_ROUNDS = 3
# Rounds stop early when the 95 % interval of the median of BLOCKS block medians is this narrow. It describes this
# process only; between processes noise is larger, which is why the gate compares pairs of processes.
PRECISION_RATIO = 0.01
LEAST_PRECISION_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Round:
    """One round: its start on the host's clock, and seconds of a call by the host's and by the device's clock."""

    started_ns: int
    seconds: float
    device_seconds: float | None = None


class Rounds:
    """Rounds as they come, and the rule that ends them."""

    def __init__(self, measure: Measure, least: int, fixed: int | None, word: str = "rounds") -> None:
        self.fixed, self.max_seconds, self.least, self.word = fixed, measure.max_seconds, least, word
        self.least_seconds = max(LEAST_PRECISION_SECONDS, measure.least_seconds)
        self.progress, self.cold = measure.progress, measure.flush is not None
        self.conductor = measure.conductor
        self.rounds: list[Round] = []
        self.stopped_by: Any = "rounds"
        self._spent_seconds = 0.0
        self._look_at = 40

    def add(self, timed: Round) -> bool:
        """Keep a round; False for one that does not count."""
        if self.conductor is not None and not self.conductor.takes(timed.seconds):
            return False
        self.rounds.append(timed)
        return True

    def more(self) -> bool:
        if self.conductor is not None:
            self.stopped_by = "paired"
            return self.conductor.more()
        done = len(self.rounds)
        if self.fixed is not None:
            self.progress(self.word, done / self.fixed)
            return done < self.fixed
        self._spent_seconds = (perf_counter_ns() - self.rounds[0].started_ns) * 1e-9 if done else 0.0
        self.progress("rounds", min(max(self._spent_seconds / self.max_seconds, 0.0), done / (done + 1)))
        if done < self.least:
            return True
        if self._spent_seconds >= self.max_seconds:
            self.stopped_by = "seconds"
            return False
        if done >= self._look_at and self._spent_seconds >= self.least_seconds:
            self._look_at = math.ceil(done * 1.5)  # look a few times only: each look is a chance to stop by luck
            if precision_ratio([timed.seconds for timed in self.rounds]) <= PRECISION_RATIO:
                self.stopped_by = "precision"
                return False
        return True

    def timing(
        self,
        verb: Any,
        loops: int,
        warmup_calls: int,
        first: Round,
        timer_seconds: float,
        notes: list[str],
        stopped_by: Any = None,
        held: tuple[float, ...] = (),
    ) -> Timing:
        device_seconds = tuple(timed.device_seconds for timed in self.rounds if timed.device_seconds is not None)
        if device_seconds and self._unseen(device_seconds, loops, timer_seconds):
            device_seconds = held = ()
            notes.append("no device times: work ran on a stream that the current one does not wait for")
        return Timing(
            verb,
            tuple(timed.seconds for timed in self.rounds),
            tuple(timed.started_ns for timed in self.rounds),
            held or device_seconds,
            loops=loops,
            warmup_calls=warmup_calls,
            first_call_seconds=first.seconds,
            stopped_by=stopped_by or self.stopped_by,
            cold=self.cold,
            timer_seconds=timer_seconds,
            device_held=bool(held),
        )

    def round_seconds(self, loops: int) -> float:
        """The length of a round."""
        return median([timed.seconds for timed in self.rounds]) * loops

    def _unseen(self, device_seconds: Sequence[float], loops: int, timer_seconds: float) -> bool:
        """Whether the device's events missed work that the host waited for."""
        host_seconds = median([timed.seconds for timed in self.rounds])
        lacking = host_seconds - median(device_seconds)
        return lacking * loops > UNSEEN_TIMERS * timer_seconds and lacking > UNSEEN_RATIO * host_seconds


def loops_of(each_seconds: float, timer_seconds: float) -> int:
    """Calls in a round, so that the timer is half of what it may be of it: warm calls can still become faster."""
    return max(1, math.ceil(max(ROUND_SECONDS, 2 * timer_seconds / TIMER_RATIO) / each_seconds))


def span(times_ns: Sequence[int]) -> Round:
    """A round from its first stamp to its last."""
    return Round(times_ns[0], seconds_of(times_ns[-1] - times_ns[0]))


# 2**-33 s is 0.12 ns: from a value rounded to that, the clock's whole nanoseconds are read back.
_PLACES = 33


def seconds_of(elapsed_ns: int, calls: int = 1) -> float:
    """Seconds of one call, of nanoseconds that `calls` took; it ends in binary zeros, so that a file of many is small.

    `elapsed_ns * 1e-9 / calls` has 53 digits of which a clock of nanoseconds gave some twenty: noise that no compressor
    can drop. `round(seconds * calls * 1e9)` is `elapsed_ns` again.
    """
    places = _PLACES + calls.bit_length()
    return math.ldexp(round((elapsed_ns << places) / (calls * 1_000_000_000)), -places)
