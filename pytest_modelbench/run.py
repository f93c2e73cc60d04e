"""Run: what one bench measured, and what it adds to that: counts of work, scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .generation import Generation
from .record import Caveat, Score, Timing, TokenTimes
from .scores import composite, judge, key_of
from .stats import median

if TYPE_CHECKING:
    from .declare import Metric


@dataclass
class Run:
    """What a bench measured: outputs, seconds, and the counts and scores it adds to them."""

    find_metric: Callable[[str], Metric]
    output: Any = None
    outputs: list[Any] = field(default_factory=list)
    timing: Timing | None = None
    tokens: TokenTimes | None = None
    counts: dict[str, float] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    caveats: list[Caveat] = field(default_factory=list)
    #: What a person may want to know of how it was timed.
    notes: list[str] = field(default_factory=list)
    #: Told what is being judged, and the share that is done or None.
    tell: Callable[[str, float | None], None] = lambda phase, share: None
    #: The least and the most of each score whose metric has them.
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """The median of one call; None under --bench-once, which times nothing."""
        return median(self.timing.rounds_seconds) if self.timing else None

    @property
    def flat(self) -> list[Any]:
        """The outputs of `measure.each`, joined: one entry an item of each batch."""
        return [item for output in self.outputs for item in output]

    def count(self, **units: float | Sequence[float]) -> None:
        """Say how much work one call does: `run.count(tokens=64)`; throughput is derived, in units a second.

        After `measure.each` a sequence may give each call's own: `run.count(images=[8, 8, 3])`; its mean is kept.
        `flops` and `bytes` (that it must move) also say how near a call comes to the device's peaks: `mfu`, `mbu`.
        Raises UsageError for anything but finite numbers of at least zero.
        """
        for unit, given in units.items():
            plain = given.tolist() if hasattr(given, "tolist") else given  # numpy's and torch's
            amounts = plain if isinstance(plain, (list, tuple)) else [plain]
            for amount in amounts:
                if isinstance(amount, bool) or not isinstance(amount, Real) or not 0 <= float(amount) < math.inf:
                    raise UsageError(f"run.count({unit}={given!r}) is no count of {unit}; give finite numbers >= 0")
            if amounts is plain and len(amounts) != len(self.outputs):
                raise UsageError(
                    f"run.count({unit}={given!r}) has {len(amounts)} numbers for {len(self.outputs)} calls; "
                    "give one number, or one a call"
                )
            if unit in self.counts:
                raise UsageError(f"run.count({unit}=...) was called twice; a Record holds one count of a unit")
            self.counts[unit] = float(sum(amounts)) / len(amounts)

    def score(self, metric: str, predictions: Any, references: Sequence[Any] | None = None, **options: Any) -> float:
        """Judge outputs by a metric and keep the score, its items and its 95 % interval in the Record.

        An option of the metric's stands after a colon: `f1:micro` is kept as `f1_micro`. Returns the value, so that it
        can be asserted; of a metric that gives several, such as `lm_eval:TASK`, the first.
        Raises UnknownName for a metric nothing declares, UsageError for missing references, for one score twice or for
        other lengths, NotFinite for no finite number.
        """
        declared, said = self.find_metric(metric), f"scoring {metric}"
        self._refuse_twice(key_of(metric))
        self.tell(said, None)
        scores = judge(declared, predictions, references, options, lambda share: self.tell(said, share))
        for name, score in scores.items():
            self._refuse_twice(name)
            self.scores[name] = score
            if declared.span is not None:
                self.spans[name] = declared.span
        return next(iter(scores.values())).value

    def _refuse_twice(self, name: str) -> None:
        if name in self.scores:
            raise UsageError(f"run.score of {name!r} was called twice; a Record holds one score of a name")

    def composite(
        self, weights: Mapping[str, float], *, name: str = "composite", spans: Mapping[str, tuple[float, float]] = {}
    ) -> float:
        """Keep one number of the scores so far: their weighted mean, each brought to 0 (worst) to 1 (best).

        `spans` gives the least and the most of a score whose metric has none: `{"perplexity": (1, 50)}`.
        Raises UsageError for weights that sum to zero, a score that is not there, or one without a span.
        """
        if name in self.scores:
            raise UsageError(f"run.composite(name={name!r}): there is a score of this name; give another")
        self.scores[name] = composite(self.scores, weights, {**self.spans, **spans})
        return self.scores[name].value


def look_at_tokens(run: Run) -> None:
    """Say it where the generations of a run are shorter than was asked for."""
    made = [output for output in run.outputs if isinstance(output, Generation)]
    asked = sum(output.asked_tokens * len(output.token_ids) for output in made)
    say_truncated(run, sum(output.new_tokens for output in made), asked)


def say_truncated(run: Run, came: int, asked: int) -> None:
    """The caveat of texts that ended early."""
    if came < asked:
        run.caveats.append(Caveat("truncated", f"{came:,} of {asked:,} tokens"))
