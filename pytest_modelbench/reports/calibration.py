"""What a calibration found, for the terminal: alarms that identical code raised, and what each bench would show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from ..gate import calibration
from ..gate.calibration import Calibrated, Outcome
from ..gate.pairs import MOST_PAIRS
from ..quantity import shortened, visible

#: Any number; a fixed one, so that the same pairs say the same.
_SEED = 20261124
_NAME = 44


def found(benches: Sequence[Calibrated]) -> tuple[list[list[Outcome]], list[list[Outcome]]]:
    """Sessions that share no pair, and sessions drawn from all pairs."""
    return list(calibration.disjoint(benches)), list(calibration.drawn(benches, len(benches), Random(_SEED)))


def lines(
    head: str, against: str, benches: Sequence[Calibrated], apart: Sequence[Sequence[Outcome]],
    drawn: Sequence[Sequence[Outcome]],
) -> list[str]:  # fmt: skip
    """The lines to print."""
    size = len(benches)
    suites, each = calibration.alarms(apart)
    drawn_suites, _ = calibration.alarms(drawn)
    said = [
        f"modelbench  calibrate: {visible(head)} against {visible(against)}, {len(benches[0].pairs)} pairs",
        f"alarms: {suites} of {_count(len(apart), 'suite', 's')} of {size} that share no pair (95 % CI "
        f"{_interval(suites, len(apart))}), {each} of {_count(size * len(apart), 'bench', 'es')} "
        f"({_interval(each, size * len(apart))})",
        f"        {drawn_suites} of {len(drawn):,} suites drawn from the same pairs",
        f"{'':{_NAME}}  smallest effect seen  pairs for its limit",
    ]
    unable = []
    for bench in benches:
        least, pairs = calibration.detectable(bench)
        enough = f"{pairs}" if pairs else f"over {MOST_PAIRS}"
        shown = f"{least * 100:.1f} %" if math.isfinite(least) else "-"
        name = shortened(visible(bench.name.rpartition("::")[2].removeprefix("bench_")), _NAME)
        said.append(f"{name:{_NAME}}  {shown:>20}  {enough:>10}, +{bench.limit * 100:g} %")
        if pairs is None:
            unable.append(name)
    if unable:
        said.append(
            f"The limit cannot be held for {', '.join(unable[:3])}{' and others' if len(unable) > 3 else ''} on this "
            "machine: raise it, or time more work in a call."
        )
    return said


def _count(number: int, what: str, ending: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else ending}"


def _interval(hits: int, trials: int) -> str:
    if not trials:
        return "-"
    low, high = calibration.binomial_interval(hits, trials)
    return f"{low * 100:.2g}..{high * 100:.2g} %"
