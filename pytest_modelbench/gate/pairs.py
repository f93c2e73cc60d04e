"""Pairs: from blocks of process pairs to what they allow to say. Pure functions; logarithms of ratios inside.

A pair gives one number, for rounds of one process are not independent: two processes of the same code differ by more
than their own rounds claim. How well all of this decides is measured by `benchmarks/gate_trials.py`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..stats import hodges_lehmann, robust_error, student_quantile, student_tail
from .duet import Block

#: Chosen here: under three pairs there is no spread to speak of; over fifteen, a bench costs more than its answer.
LEAST_PAIRS, MOST_PAIRS = 3, 15
#: The chance, over all looks, that a bench which is no slower at all is looked at again on fresh pairs; a bench that
#: is slower by its limit is cleared with at most the second. Chosen here: the first only costs time.
SCREEN_ERROR, CLEAR_ERROR = 0.02, 0.05
#: The chance, over all benches and looks, that fresh pairs confirm what is not there (Holm 1979, "A simple
#: sequentially rejective multiple test procedure"): what the project promises of a suite.
FAMILY_ERROR = 0.01
#: The chance, for one bench, that memory, energy or tokens a second are called worse where they are not. Chosen here: a
#: twentieth of the family's, as if each of twenty benches were judged by it.
MEMORY_ERROR = FAMILY_ERROR / 20
#: The share of pairs that is cut off at either end (Wilcox recommends a fifth).
TRIM = 0.2
#: The canary's own change explains the bench's where it is at least so much of it. Chosen here.
CANARY_SHARE = 0.5

Said = Literal["open", "slower", "faster", "clear"]


@dataclass(frozen=True)
class PairChange:
    """What one pair says of a bench: how much longer a call takes at the head, and what the canary says of that."""

    #: log(head / base), Hodges and Lehmann's estimate over its blocks.
    change: float
    #: The error that its blocks claim. They are not independent: it is a floor, never the error itself.
    error: float
    canary: float


def pair_change(blocks: Sequence[Block]) -> PairChange:
    """One number of the blocks of a pair: those beside each other in time are compared."""
    logs = [block.change for block in blocks]
    canaries = [block.canary_seconds["head"] / block.canary_seconds["base"] for block in blocks]
    return PairChange(hodges_lehmann(logs), robust_error(logs), math.log(statistics.median(canaries)))


@dataclass(frozen=True)
class Estimate:
    """What some pairs say together, as logarithms of ratios."""

    change: float
    #: Of the change: between pairs, and no less than what blocks within them claim.
    error: float
    pairs: int
    #: Pairs that are left out at either end.
    cut: int = 0

    @classmethod
    def of(cls, changes: Sequence[PairChange]) -> Estimate:
        """The estimate of at least two pairs: their trimmed mean, with Tukey and McLaughlin's error of it.

        A fifth is cut off at either end (nothing under five pairs), because a process is now and then placed badly
        and then slower by several percent throughout. What is cut costs degrees of freedom (Tukey & McLaughlin 1963,
        Sankhya A 25; Wilcox, Introduction to Robust Estimation and Hypothesis Testing, section 4.3).
        """
        values, n = sorted(pair.change for pair in changes), len(changes)
        cut = int(TRIM * n)
        inner = values[cut : n - cut]
        pulled = [inner[0]] * cut + inner + [inner[-1]] * cut
        within = statistics.median(pair.error for pair in changes)
        spread = max(statistics.stdev(pulled), within)
        return cls(statistics.fmean(inner), spread / (1 - 2 * cut / n) / math.sqrt(n), n, cut)

    def turned(self) -> Estimate:
        """The same, seen from the other side."""
        return replace(self, change=-self.change)

    @property
    def df(self) -> int:
        """Degrees of freedom."""
        return self.pairs - 2 * self.cut - 1

    def upper(self, tail: float) -> float:
        """What the change exceeds with a chance of at most `tail`."""
        return self.change + student_quantile(tail, self.df) * self.error

    def lower(self, tail: float) -> float:
        """What the change falls below with a chance of at most `tail`."""
        return self.change - student_quantile(tail, self.df) * self.error

    def slower_by_chance(self) -> float:
        """The chance of such a change, or a larger one, where there is none."""
        return student_tail(self.change / self.error, self.df) if self.error else float(self.change <= 0)

    def detectable(self) -> float:
        """The least change that so many pairs show with a chance of four in five."""
        certain = student_quantile(SCREEN_ERROR * weight(self.pairs), self.df)
        return (certain + student_quantile(0.2, self.df)) * self.error


def weight(pairs: int) -> float:
    """The share of an error budget that the look after so many pairs may spend; all looks together spend it once.

    Shares fall as 1 / k**1.5 (over its sum to infinity, Riemann's zeta of 1.5): 38 % at the first look, where most
    benches of a quiet machine are decided, and enough later for those of a busy one. Of the shapes that were
    simulated (halves, 1 / k, this) it needs the fewest pairs over both. That the shares add up needs nothing known of
    how looks depend on each other (Boole's inequality).
    """
    return float((pairs - LEAST_PAIRS + 1) ** -1.5 / 2.612375)


def screen(changes: Sequence[PairChange], limit: float) -> Said:
    """What the pairs so far allow to say: slower than the limit (to be confirmed), faster, clear of it, or open."""
    if len(changes) < LEAST_PAIRS:
        return "open"
    found, share, log_limit = Estimate.of(changes), weight(len(changes)), math.log1p(limit)
    if found.change >= log_limit and found.slower_by_chance() <= SCREEN_ERROR * share:
        return "slower"
    if found.upper(CLEAR_ERROR * share) < log_limit:
        certain = found.change <= -log_limit and 1 - found.slower_by_chance() <= SCREEN_ERROR * share
        return "faster" if certain else "clear"
    return "open"


def confirm(fresh: Mapping[str, Sequence[PairChange]], limits: Mapping[str, float]) -> dict[str, Said]:
    """What pairs that were not screened with say of all that was suspected, by Holm's rule over all of it."""
    found = {name: Estimate.of(changes) for name, changes in fresh.items() if len(changes) >= LEAST_PAIRS}
    chances = {
        name: found[name].slower_by_chance()
        if name in found and found[name].change >= math.log1p(limits[name])
        else 1.0
        for name in fresh
    }
    said: dict[str, Said] = dict.fromkeys(fresh, "open")
    for done, name in enumerate(sorted(fresh, key=lambda name: chances[name])):
        if name not in found or chances[name] > FAMILY_ERROR * weight(found[name].pairs) / (len(fresh) - done):
            break
        said[name] = "slower"
    for name, estimate in found.items():
        if said[name] == "open" and estimate.upper(CLEAR_ERROR * weight(estimate.pairs)) < math.log1p(limits[name]):
            said[name] = "clear"
    return said
