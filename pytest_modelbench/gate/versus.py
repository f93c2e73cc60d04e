"""Versus: all that pairs told of one bench, and the Verdicts that come of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..record import Record
from ..verdict import Verdict, Word
from .duet import SIDES, Block, Played, Side
from .limits import Limit, limit_for, with_consequence
from .pairs import (
    CANARY_SHARE,
    LEAST_PAIRS,
    MEMORY_ERROR,
    Estimate,
    PairChange,
    Said,
    pair_change,
)
from .quality import judge_score, with_trade
from .quantities import QUANTITIES, SCORE, measured, most_harm

#: Caveats that change a time by themselves, seen on one side only. What changes with the minute (others on the machine,
#: rounds that drift) is not here: both sides take turns within it.
ONE_SIDED = ("recompiled", "fallback", "throttled", "truncated")


@dataclass(eq=False)
class Compared:
    """One bench on both sides: its pairs, and what the first of them recorded."""

    nodeid: str
    limits: Mapping[str, Limit]
    #: Pairs that screen it, and fresh ones that look again.
    screened: list[PairChange] = field(default_factory=list)
    fresh: list[PairChange] = field(default_factory=list)
    records: dict[Side, Record | None] = field(default_factory=dict)
    #: Each pair that was played, None for one that did not count.
    history: list[PairChange | None] = field(default_factory=list)
    #: Whether the other side has this bench at all.
    known: bool = True
    #: Why a pair did not count, once for each that did not.
    dropped: list[str] = field(default_factory=list)
    #: Seconds spent in blocks.
    seconds: float = 0.0
    _medians: dict[Side, list[float]] = field(default_factory=lambda: {"head": [], "base": []})
    _others: dict[str, list[PairChange]] = field(default_factory=dict)

    @property
    def limit(self) -> float:
        """The tolerated change in time, as a ratio."""
        return self.limits["seconds"].of("seconds", "seconds", 1.0)

    @property
    def key(self) -> str:
        """The identity of its Records, where one came."""
        record = self.records.get("head")
        return record.key if record else self.nodeid

    def add(self, played: Played, records: dict[Side, Record | None], fresh: bool) -> None:
        """Take in what one pair says; the first pair's Records are kept."""
        self.records = self.records or records
        self.seconds += played.seconds
        self.history.append(None)
        blocks = played.blocks or _whole(records)
        if not blocks:
            self.dropped += [why] if (why := unpaired(records)) else []
            return
        if explained := one_sided(records):
            self.dropped.append(explained)
            return
        self.history[-1] = change = pair_change(blocks)
        (self.fresh if fresh else self.screened).append(change)
        for side in SIDES:
            self._medians[side].append(statistics.median(block.seconds[side] for block in blocks))
        both = [measured(record) for side in SIDES if (record := records[side])]
        if len(both) == len(SIDES):
            for name in QUANTITIES.keys() - {"seconds"} & both[0].keys() & both[1].keys():
                ratio = PairChange(math.log(both[0][name] / both[1][name]), 0.0, 0.0)
                self._others.setdefault(name, []).append(ratio)

    # -- Verdicts

    def verdicts(self, said: Said, why_open: str, strict: bool) -> tuple[Verdict, ...]:
        """One for each quantity that is judged; the first is of time, and tells why where nothing is."""
        if barred := self.barred():
            found: tuple[Verdict, ...] = (self._verdict("seconds", barred[0], reason=barred[1]),)
        else:
            found = with_trade([self._of_time(said, why_open), *self._of_others(), *self._of_scores()])
        return tuple(with_consequence(verdict, strict=strict) for verdict in found)

    def barred(self) -> tuple[Word, str] | None:
        """The word and the reason where times cannot be compared at all."""
        head, base = self.records.get("head"), self.records.get("base")
        if head is None:
            return "invalid", "it never ran to its end here"
        if head.outcome == "skipped":
            return "missing", f"skipped here: {head.reason}"
        if head.outcome != "passed":
            return "invalid", f"{head.outcome} here: {head.reason}"
        if not self.known:
            return "new", ""
        if base is not None and base.outcome != "passed":
            return "incomparable", f"{base.outcome} on the other side: {base.reason}"
        if len(self.dropped) >= LEAST_PAIRS and not self.screened:
            return "invalid", self.dropped[0]
        if not self.screened and not self.dropped and head.timing is None:
            return "incomparable", "it has no times"
        return None

    def _of_time(self, said: Said, why_open: str) -> Verdict:
        changes = self.fresh if len(self.fresh) > 1 else self.screened
        words: dict[Said, Word] = {"slower": "slower", "faster": "faster", "clear": "same", "open": "unclear"}
        left_out = [f"{len(self.dropped)} pairs left out: {self.dropped[0]}"] if self.dropped else []
        if len(changes) < 2:
            return self._verdict("seconds", "unclear", reason="; ".join([why_open or "too few pairs", *left_out]))
        found = Estimate.of(changes)
        reasons = [why_open] if said == "open" and why_open else []
        if said == "slower":
            reasons.append(f"suspected on {len(self.screened)} pairs, confirmed on {len(self.fresh)} fresh ones")
        if said in ("slower", "faster") and _canary_explains(found, changes):
            said, reasons = "open", ["machine unstable: a fixed product and a copy changed with it"]
        return replace(
            self._verdict("seconds", words[said], found, "; ".join([*reasons, *left_out])),
            before=statistics.median(self._medians["base"]), after=statistics.median(self._medians["head"]),
        )  # fmt: skip

    def _of_others(self) -> list[Verdict]:
        """Memory, energy and tokens a second, where a limit names them: by all pairs, at one small error."""
        found = []
        for name, changes in sorted(self._others.items()):
            limit = limit_for(name, self.limits)
            if limit is None or len(changes) < LEAST_PAIRS:
                continue
            estimate, harmful = Estimate.of(changes), QUANTITIES[name].direction
            worse = estimate if harmful == "lower" else estimate.turned()
            tolerated = most_harm(limit.of(name, QUANTITIES[name].unit, 1.0), QUANTITIES[name])
            word: Word = "unclear"
            if worse.change >= tolerated and worse.slower_by_chance() <= MEMORY_ERROR:
                word = "slower"
            elif worse.upper(0.025) < tolerated:
                word = "faster" if worse.turned().slower_by_chance() <= MEMORY_ERROR else "same"
            head, base = (measured(record)[name] for side in SIDES if (record := self.records[side]))
            found.append(replace(self._verdict(name, word, estimate), before=base, after=head))
        return found

    def _of_scores(self) -> list[Verdict]:
        head, base = self.records.get("head"), self.records.get("base")
        if head is None or base is None:
            return []
        found = []
        for metric in head.scores.keys() & base.scores.keys():
            if (limit := limit_for(SCORE + metric, self.limits)) is not None:
                scores = base.scores[metric], head.scores[metric]
                found.append(judge_score(self.key, self.nodeid, metric, *scores, limit))
        return found

    def _verdict(self, quantity: str, word: Word, found: Estimate | None = None, reason: str = "") -> Verdict:
        limit = limit_for(quantity, self.limits)
        of = QUANTITIES[quantity]
        tolerated = limit.of(quantity, of.unit, 1.0) if limit else None
        bare = Verdict(self.key, self.nodeid, quantity, word, reason, of.unit, of.direction, limit=tolerated)
        if found is None:
            return bare
        return replace(
            bare, change=math.expm1(found.change), low=math.expm1(found.lower(0.025)),
            high=math.expm1(found.upper(0.025)), pairs=found.pairs, detectable=math.expm1(found.detectable()),
        )  # fmt: skip


def _whole(records: Mapping[Side, Record | None]) -> list[Block]:
    """A bench that timed itself, by pytest-benchmark, as one block of each side."""
    timings = {side: record.timing for side, record in records.items() if record and record.timing}
    if len(timings) < len(SIDES) or any(not timing.rounds_seconds for timing in timings.values()):
        return []
    medians = {side: statistics.median(timing.rounds_seconds) for side, timing in timings.items()}
    return [Block(medians, dict.fromkeys(SIDES, 1.0))]


def unpaired(records: Mapping[Side, Record | None]) -> str:
    """Why a pair has no times to compare, where a side of it did not pass; else empty."""
    for side in SIDES:
        record = records.get(side)
        if record is not None and record.outcome != "passed":
            return f"{record.outcome} in a later pair ({side}): {record.reason}"
    return ""


def one_sided(records: Mapping[Side, Record | None]) -> str:
    """A caveat that one side of a pair has and the other does not, and that changes times by itself; else empty."""
    kinds = {side: {c.kind: c.detail for c in record.caveats} for side, record in records.items() if record}
    for here, there in (("head", "base"), ("base", "head")):
        for kind in ONE_SIDED:
            if here in kinds and there in kinds and kind in kinds[here] and kind not in kinds[there]:
                detail = f" ({kinds[here][kind]})" if kinds[here][kind] else ""
                return f"explained by {kind}{detail} on one side ({here})"
    return ""


def _canary_explains(found: Estimate, changes: list[PairChange]) -> bool:
    """Whether a fixed piece of work changed too, the same way and by a good part of it."""
    canary = Estimate.of([PairChange(pair.canary, 0.0, 0.0) for pair in changes])
    if found.change < 0:
        canary, found = canary.turned(), found.turned()
    return canary.change >= CANARY_SHARE * found.change and canary.slower_by_chance() <= 0.05
