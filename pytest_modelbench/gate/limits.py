"""Limits: what change is tolerated, by `--bench-fail` and the mark `tolerance`, and what makes a bench fail."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import UnknownName, UsageError
from ..said import point
from ..verdict import Verdict
from .quantities import QUANTITIES, SCORE

#: The least change of a time that is called one: below it the layout of memory alone moves medians, which no number
#: of process pairs shows (Mytkowicz et al. 2009, "Producing Wrong Data Without Doing Anything Obviously Wrong!").
LEAST_CHANGE_RATIO = 0.015

_WRITTEN = re.compile(r"\+?(\d+(?:\.\d+)?)\s*(%|pt)")
_HOW = 'write a percent ("5%"), or of a score points ("1pt")'


@dataclass(frozen=True)
class Limit:
    """A tolerated change in the harmful direction: percent of the value before, or points of a score."""

    amount: float
    unit: Literal["%", "pt"]

    def of(self, quantity: str, unit: str, before: float) -> float:
        """In the unit of `Verdict.change`: a ratio; of a score the difference itself."""
        if self.unit == "pt":
            return self.amount * point(unit)
        return self.amount / 100 * (abs(before) if quantity.startswith(SCORE) else 1.0)


#: What is judged where nothing else is asked: time within 5 %, and scores by significance alone, for quality is
#: given up on purpose or not at all. Memory, energy and tokens/s are judged where a limit names them: the first
#: depends on what ran before in the process, the last says again what seconds say.
USUAL = {"seconds": Limit(5, "%"), "score": Limit(0, "pt")}


def parse(text: object, quantity: str, where: str) -> Limit:
    """A limit as people write it. Raises UsageError for what is none."""
    found = _WRITTEN.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise UsageError(f"{where}: {quantity} {text!r} is no limit; {_HOW}")
    amount, unit = float(found[1]), "%" if found[2] == "%" else "pt"
    of_score = quantity.startswith("score")
    if unit == "pt" and not of_score:
        raise UsageError(f'{where}: {quantity} {text!r}: points are of scores; write a percent ("5%")')
    if not math.isfinite(amount) or (amount == 0 and not of_score):
        raise UsageError(f"{where}: {quantity} {text!r} would fail on noise alone; give more than 0 %")
    return Limit(amount, "%" if unit == "%" else "pt")


def check_name(quantity: str, metrics: Iterable[str], where: str) -> None:
    """Raise UnknownName for a quantity that no Record has: the four, `score` for all scores, `score_<metric>`."""
    metrics = tuple(metrics)
    known = [*QUANTITIES, "score", *(SCORE + name for name in metrics)]
    options = tuple(f"{SCORE}{name}_" for name in metrics)  # what stood after a metric's colon: score_f1_micro
    if quantity not in known and not quantity.startswith(options):
        raise UnknownName("quantity", quantity, known, where)


def parse_fail(text: str | None) -> dict[str, Limit]:
    """The limits of `--bench-fail`: `5%` (of time), or by name `seconds=5%,score_accuracy=1pt`.

    Raises UsageError for what is no limit, UnknownName for a quantity that there is not. Names of metrics are taken
    on trust here: bench files may declare some that are not read yet.
    """
    limits = {}
    for part in (text or "").split(",") if text is not None else ():
        name, separator, amount = part.strip().rpartition("=")
        quantity = name if separator else "seconds"
        metric = quantity.removeprefix(SCORE) if quantity.startswith(SCORE) else ""
        check_name(quantity, [metric] if metric else [], "--bench-fail")
        if quantity in limits:
            raise UsageError(f"--bench-fail {text!r} gives {quantity} twice")
        limits[quantity] = parse(amount, quantity, "--bench-fail")
    return limits


def limits_of(fail: str | None, tolerance: Mapping[str, str]) -> dict[str, Limit]:
    """What a bench tolerates: its own mark first, then the command line, then what is usual; `score` means each."""
    own = {name: parse(text, name, "tolerance") for name, text in tolerance.items()}
    return USUAL | parse_fail(fail) | own


def limit_for(quantity: str, limits: Mapping[str, Limit]) -> Limit | None:
    """The limit of one quantity; None: it is not judged."""
    return limits.get(quantity) or (limits.get("score") if quantity.startswith(SCORE) else None)


def with_consequence(verdict: Verdict, *, strict: bool = False, required: bool = False) -> Verdict:
    """The Verdict, with whether its bench fails by it.

    `slower` fails, unless it is only advisory; under `strict` it fails then too, and so does `unclear`. Where a
    baseline is `required`, its absence fails. What did not run (`invalid`) has failed already.
    """
    failing = verdict.word == "slower" and (strict or not verdict.advisory)
    failing |= strict and verdict.word == "unclear"
    failing |= required and verdict.word in ("new", "missing", "incomparable")
    return replace(verdict, failing=failing)
