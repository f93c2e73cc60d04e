"""What sampling costs the rounds it runs beside: blocks of calls with and without it, in pairs, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..quantity import percent, quantity_text
from ..stats import paired_change

if TYPE_CHECKING:
    from . import Sampling

# Chosen here: five readings of the usual period, so that a block with sampling holds its usual share of them.
BLOCK_SECONDS = 0.5
# Chosen here: about 30 s for all. Noise of 1 % between neighbouring blocks then gives an interval of +-0.35 %.
PAIRS = 30
# Chosen here: longer calls would take minutes; another bench is waited for.
LONGEST_CALL_SECONDS = 2.0

#: How the sentence begins, by which it is known among a Record's notes.
SAID = "sampling costs"


def measured(
    sampling: Sampling,
    block: Callable[[int], float],
    each_seconds: float,
    progress: Callable[[float], None] = lambda share: None,
) -> str:
    """The cost as a sentence; `block` makes so many calls and gives the seconds of one. Nothing may be sampling yet.

    The one with sampling comes first in every other pair, so that a drift favours neither.
    """
    calls = max(1, math.ceil(BLOCK_SECONDS / each_seconds))
    with_, without = [], []
    for pair in range(PAIRS):
        progress(pair / PAIRS)
        for sampled in (True, False) if pair % 2 else (False, True):
            if not sampled:
                without.append(block(calls))
                continue
            sampling.start()
            try:
                with_.append(block(calls))
            finally:
                sampling.stop()
            if sampling.problems:
                return f"{SAID} were not measured: {sampling.problems[0]}"
    change = paired_change(with_, without)
    block_text = quantity_text("seconds", calls * each_seconds)
    return (
        f"{SAID} {_signed(change.ratio)} of a call (95 % interval {_signed(change.low)} to {_signed(change.high)}; "
        f"{PAIRS} pairs of blocks of {block_text} with and without it)"
    )


def _signed(ratio: float) -> str:
    """One more digit than elsewhere: the cost that is allowed is 0.3 %."""
    return f"{ratio * 100:+.2f} %" if abs(ratio) < 0.1 else f"{'+' if ratio > 0 else ''}{percent(ratio)}"
