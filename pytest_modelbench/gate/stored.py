"""Stored: a Record against the sessions of a baseline, where the code of then cannot be run again."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from statistics import median
from typing import Any

from ..record import Record
from ..verdict import Verdict, Verdicts, Word
from . import comparable
from .changes import changes
from .limits import LEAST_CHANGE_RATIO, Limit, limit_for, limits_of, with_consequence
from .prediction import LEAST_SESSIONS, MOST_SESSIONS, Predicted, predicted
from .quality import judge_score, with_trade
from .quantities import QUANTITIES, SCORE, Quantity, harm, measured, most_harm, value

#: Columns of a stored row that are asked for.
COLUMNS = (
    "record_id", "session", *comparable.COLUMNS, "decode_tokens_per_second",
    *(quantity.column for quantity in QUANTITIES.values()),
)  # fmt: skip
#: Files that are opened for a bench that few sessions have (chosen here: five times what it takes, 0.1 s).
MOST_FILES = 50

Row = Mapping[str, Any]


class Baseline:
    """Rows of stored sessions, the newest first, and what they say of a Record.

    `sessions` gives the rows of one session (or file) at a time; it is read no further than benches need. `slim` gives
    the Record of a row, of which items, details of caveats and the environment are read. `suite` is how many benches
    are judged together.
    """

    def __init__(
        self, sessions: Iterable[Sequence[Row]], slim: Callable[[Row], Record], place: str, suite: int = 1
    ) -> None:
        self.slim, self.place, self.suite = slim, place, suite
        self._unread: Iterator[Sequence[Row]] = islice(sessions, MOST_FILES)
        self._rows: dict[str, list[Row]] = {}
        self._asked: set[str] = set()
        #: What is known of other machines, by fingerprint.
        self._machines: dict[str, str] = {}
        #: Why stored Records were not compared, and how many.
        self.refused: Counter[str] = Counter()
        self._read_one()
        #: The newest session's rows, by key.
        self.newest = {key: rows[0] for key, rows in self._rows.items()}

    def __bool__(self) -> bool:
        """Whether anything is stored there."""
        return bool(self._rows)

    def _read_one(self) -> bool:
        """Take in the next older file; False where there is none."""
        rows = next(self._unread, None)
        if rows is None:
            return False
        for found in rows:
            self._rows.setdefault(found["key"], []).append(found)
        return True

    def of(self, record: Record) -> tuple[list[Row], str]:
        """Rows of the newest sessions that may be compared with a Record, newest first; and why others may not."""
        while True:
            of_key = self._rows.get(record.key, [])
            reasons = [self._why_not(record, found) for found in of_key]
            good = [found for found, reason in zip(of_key, reasons, strict=True) if not reason]
            sessions = list(dict.fromkeys(found["session"] for found in good))[:MOST_SESSIONS]
            if len(sessions) == MOST_SESSIONS or not self._read_one():
                break
        bad = [reason for reason in reasons if reason]
        if record.key not in self._asked:
            self._asked.add(record.key)
            self.refused.update(bad)
        return [found for found in good if found["session"] in sessions], bad[0] if bad else ""

    def knows(self, key: str) -> bool:
        """Whether a bench passed in some session, on whatever machine."""
        while not any(found["outcome"] == "passed" for found in self._rows.get(key, [])):
            if not self._read_one():
                return False
        return True

    def _why_not(self, record: Record, found: Row) -> str:
        reason = comparable.why_not(record, found)
        if reason != comparable.OF_ANOTHER_MACHINE:
            return reason
        which = found["fingerprint"]
        if which not in self._machines:
            self._machines[which] = comparable.machine(self.slim(found).environment)
        return f"{reason} ({self._machines[which]})"


def judge(
    record: Record,
    baseline: Baseline,
    fail: str | None,
    strict: bool,
    required: bool,
    numbers: Mapping[str, float] | None = None,
) -> tuple[Verdict, ...]:
    """The Verdicts of a Record: one a quantity that is judged, or one that says why none is.

    `numbers` are those of the Record by quantity, where its raw ones are not at hand.

    A bench that did not pass is `invalid` where something else ran than was asked, and `missing` where the baseline
    has it and it was skipped here; what failed, ran out of memory or was in error has no verdict: the test says it.
    """
    if record.outcome != "passed":
        return tuple(_unmeasured(record, baseline))  # pytest has said what became of it
    known = measured(record) if numbers is None else numbers
    found = _judged(record, known, baseline, limits_of(fail, record.tolerance))
    return tuple(with_consequence(verdict, strict=strict, required=required) for verdict in found)


def _unmeasured(record: Record, baseline: Baseline) -> list[Verdict]:
    if record.outcome == "invalid":
        return [_without_numbers(record, "invalid", record.reason)]
    # what was skipped knows neither its device nor its data: nothing of it can be compared
    if record.outcome == "skipped" and baseline.knows(record.key):
        return [_without_numbers(record, "missing", f"the baseline has it, skipped here: {record.reason}")]
    return []


def _judged(
    record: Record, numbers: Mapping[str, float], baseline: Baseline, limits: Mapping[str, Limit]
) -> Sequence[Verdict]:
    if not baseline:
        return [_without_numbers(record, "missing", f"there are no Records at {baseline.place}")]
    rows, why = baseline.of(record)
    if not rows:
        return [_without_numbers(record, "incomparable" if why else "new", why)]
    quantities = {name: found for name, found in QUANTITIES.items() if name in limits and name in numbers}
    tests = baseline.suite * max(len(quantities), 1)
    rewritten = rows[0]["source_digest"] not in (None, record.source_digest)
    usual = comparable.usual_caveats(rows)
    verdicts = [
        _number(record, name, quantity, numbers[name], rows, limits[name], tests)
        for name, quantity in quantities.items()
    ]
    known = [*filter(None, verdicts), *_scores(record, baseline, rows[0], limits)]
    if not known:
        return [_without_numbers(record, "unclear", "no number that both have: nothing was timed or scored")]
    fair = [_explained(found, record, usual, baseline, rows[0]) for found in known]
    return with_trade([_rewritten(found) if rewritten else found for found in fair])


def _without_numbers(record: Record, word: Word, reason: str) -> Verdict:
    return Verdict(record.key, record.nodeid, "seconds", word, reason)


def concluded(verdicts: Sequence[Verdict], records: Sequence[Record], baseline: Baseline, *, whole: bool) -> Verdicts:
    """All that is said of a session, with what was left out and what else differs.

    Where the `whole` suite ran, benches of the newest stored session that are in the same files and did not run are
    `missing`.
    """
    missing = list(_gone(records, baseline)) if whole else []
    judged = next((record for record in records if baseline.of(record)[0]), None)
    before = baseline.slim(baseline.of(judged)[0][0]).environment if judged else {}
    git = records[0].environment.get("git") or {} if records else {}
    commit = str(git["commit"])[:7] if git.get("commit") else "this run"
    return Verdicts(
        (*verdicts, *missing),
        baseline.place,
        commit + (" with changes" if git.get("dirty") else ""),
        "stored",
        changed=changes(before, judged.environment) if judged else {},
        notes=tuple(_notes(verdicts, baseline)),
    )


def _gone(records: Sequence[Record], baseline: Baseline) -> Iterator[Verdict]:
    ran, files = {record.key for record in records}, {record.bench.partition("::")[0] for record in records}
    fingerprints = {record.environment.get("fingerprint") for record in records}
    for key, found in baseline.newest.items():
        if key not in ran and key.partition("::")[0] in files and found["fingerprint"] in fingerprints:
            yield Verdict(
                key, baseline.slim(found).nodeid, "seconds", "missing", "the baseline has it, it is not here any more"
            )


def _notes(verdicts: Sequence[Verdict], baseline: Baseline) -> Iterator[str]:
    if baseline.refused:
        reason, _ = baseline.refused.most_common(1)[0]
        plural = "s" if (number := baseline.refused.total()) > 1 else ""
        yield f"{number:,} stored Record{plural} not compared: {reason}" + (
            ", ..." if len(baseline.refused) > 1 else ""
        )
    if not baseline and verdicts and not any(verdict.failing for verdict in verdicts):
        yield f"No Records at {baseline.place}: where that is a mistake, --bench-require-baseline fails on it."
    if baseline and verdicts and all(verdict.word == "new" for verdict in verdicts):
        yield "No bench in common: were files or functions renamed, or axes added? Both are part of a bench's identity."
    if any(verdict.advisory and (verdict.pairs or LEAST_SESSIONS) < LEAST_SESSIONS for verdict in verdicts):
        yield f"advisory: it takes {LEAST_SESSIONS} stored sessions for a bench to fail, better {MOST_SESSIONS}"
    elif any(verdict.change is not None for verdict in verdicts):
        yield "At most 5 % of suites of identical code raise an alarm by this rule."


# -- a number


def _number(
    record: Record, name: str, quantity: Quantity, new: float, rows: Sequence[Row], limit: Limit, tests: int
) -> Verdict | None:
    """One quantity but a score; None where the baseline has no number of it."""
    stored = _of_sessions(rows, quantity)
    if not stored:
        return None
    before = math.exp(statistics.fmean(map(math.log, stored)))  # the middle that `predicted` takes the change from
    tolerated = limit.of(name, quantity.unit, before)
    found = Verdict(
        record.key, record.nodeid, name, "unclear", unit=quantity.unit, direction=quantity.direction, before=before,
        after=new, change=new / before - 1, pairs=len(stored), limit=tolerated, advisory=len(stored) < LEAST_SESSIONS,
    )  # fmt: skip
    seen = predicted(stored, new, tests)
    if seen is None:
        return replace(found, reason="one stored session says nothing of how sessions differ")
    ends = [math.expm1(seen.change + side * seen.half) for side in (-1, 1)]
    word = _word(seen, tolerated, quantity)
    chance = word == "unclear" and harm(seen.change, quantity.direction) - seen.half > most_harm(tolerated, quantity)
    reasons = (_few(len(stored)), f"among {tests} benches that may be chance" if chance and tests > 1 else "")
    return replace(
        found,
        word=word,
        change=math.expm1(seen.change),
        low=ends[0],
        high=ends[1],
        detectable=max(tolerated, math.expm1(seen.half_of_suite)),
        reason="; ".join(filter(None, reasons)),
    )


def _of_sessions(rows: Sequence[Row], quantity: Quantity) -> list[float]:
    """A number a session, the newest sessions first; of one that ran a bench several times the median."""
    sessions: dict[str, list[float]] = {}
    for found in rows:
        number = value(found, quantity)
        if number is not None and number > 0:
            sessions.setdefault(found["session"], []).append(number)
    return [median(numbers) for numbers in sessions.values()][:MOST_SESSIONS]


def _word(seen: Predicted, tolerated: float, quantity: Quantity) -> Word:
    """Tolerance and significance together: beyond the limit, and beyond what sessions of equal code differ by."""
    worse, most = harm(seen.change, quantity.direction), most_harm(tolerated, quantity)
    least = math.log1p(LEAST_CHANGE_RATIO)
    if worse > max(most, least) and worse > seen.half_of_suite:
        return "slower"
    if -worse > max(least, seen.half_of_suite):
        return "faster"
    return "same" if worse + seen.half <= most else "unclear"


def _few(sessions: int) -> str:
    return f"of at least {LEAST_SESSIONS} sessions" if sessions < LEAST_SESSIONS else ""


# -- scores


def _scores(record: Record, baseline: Baseline, newest: Row, limits: Mapping[str, Limit]) -> Iterator[Verdict]:
    """Each score that both have, against the newest session's, whose items are kept."""
    before = baseline.slim(newest).scores if record.scores else {}
    for metric, after in record.scores.items():
        limit = limit_for(SCORE + metric, limits)
        if limit is not None and metric in before:
            yield judge_score(record.key, record.nodeid, metric, before[metric], after, limit)


# -- what a verdict must not be given on


def _explained(found: Verdict, record: Record, usual: set[str], baseline: Baseline, newest: Row) -> Verdict:
    """Never slower or faster on a Record whose caveat explains it.

    A caveat that the baseline usually has explains nothing, of a fallback only where it is the same one.
    """
    if found.word not in ("slower", "faster"):
        return found
    kinds = set(usual)
    if "fallback" in kinds and _fallbacks(record) and _fallbacks(record) != _fallbacks(baseline.slim(newest)):
        kinds.discard("fallback")
    reason = comparable.explanation(found.quantity, record.caveats, kinds)
    if not reason:
        return found
    both = "; ".join(part for part in (found.reason, f"not called {found.said}: {reason}") if part)
    return replace(found, word="unclear", reason=both)


def _fallbacks(record: Record) -> set[str]:
    return {caveat.detail for caveat in record.caveats if caveat.kind == "fallback"}


def _rewritten(found: Verdict) -> Verdict:
    reason = "; ".join(part for part in (found.reason, "the bench's own text changed since") if part)
    return replace(found, advisory=True, reason=reason)
