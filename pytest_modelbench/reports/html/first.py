"""The first screen: must I act, and on what?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any

from ... import said
from ...groups import Row, outcomes
from ...provenance import commit, session_facts
from ...record import CAVEATS, Record
from ...results import Results
from ...verdict import WORDS, Verdict, Verdicts
from .compare import name, row_id, typeset
from .gate import alarms, seen, verdict_name

#: Entries of "What to look at", and changes of the environment on the first screen.
MOST_LOOKS = 3
MOST_CHANGES = 4
_SAID = {"failed": "failed", "error": "ended in an error", "oom": "ran out of memory", "invalid": "is invalid"}


def first_screen(results: Results, rows: Sequence[Row], ids: Mapping[str, str]) -> dict[str, Any]:
    """Headline, what to do, counts, what to look at, and the session; `rows` are the worst first, `ids` by key."""
    records, verdicts = results.records, results.verdicts
    simulated = sum(record.simulated for record in records)
    headline, wrong = _headline(records) if verdicts is None else _judged_headline(records, verdicts)
    return {
        "records": records,
        "total": f"{len(records):,}",
        "counts": [(outcome, f"{number:,}") for outcome, number in outcomes(records).items()],
        "verdicts": _verdict_counts(verdicts) if verdicts is not None else [],
        "headline": headline,
        "wrong": wrong,
        "next": _next(records, verdicts),
        "commit": commit(records[0])[:7] if records else "",
        "simulated": f"SIMULATED: {simulated:,} of {len(records):,} benches ran no model" if simulated else "",
        "look": _looks(rows, verdicts, ids),
        "session": [*session_facts(records), *(_against(verdicts) if verdicts is not None else [])],
        "changed": list(verdicts.changed.items())[:MOST_CHANGES] if verdicts is not None else [],
        "changed_more": max(0, len(verdicts.changed) - MOST_CHANGES) if verdicts is not None else 0,
    }


def _judged_headline(records: Sequence[Record], verdicts: Verdicts) -> tuple[str, str]:
    """The sentence of the gate, and what else did not pass; the part that is wrong stands at its beginning."""
    sentence = said.headline(verdicts)
    unjudged = sum(record.outcome in _SAID for record in records)
    more = f"; {unjudged:,} could not be measured" if unjudged else ""
    failing = re.match(r"[\d,]+ of [\d,]+", sentence) if any(verdict.failing for verdict in verdicts) else None
    return sentence[0].upper() + sentence[1:] + more, failing[0] if failing else ""


def _next(records: Sequence[Record], verdicts: Verdicts | None) -> str:
    if verdicts is None:
        return (
            "Nothing to compare with: --bench-save-baseline keeps a session, --bench-baseline PLACE compares with it."
            if records
            else "A session without a bench says nothing: look at what was collected."
        )
    worst = next(iter(said.worst_first(verdicts)), None)
    if worst is None:
        return "Nothing was judged."
    unclear = sum(verdict.word == "unclear" for verdict in said.by_bench(verdicts).values())
    more = f" {unclear:,} could not be settled: more pairs, or more work in a call, would tell." if unclear else ""
    if not worst.failing:
        return f"No action needed.{more}"
    sentence = typeset(said.sentence(worst, verdicts.against, verdicts.how))
    return f"Look at {verdict_name(worst)}: {sentence[0].lower()}{sentence[1:]}.{more}"


def _verdict_counts(verdicts: Verdicts) -> list[tuple[str, str, str]]:
    """Word, how it is said, and how many benches have it as their worst."""
    found = Counter((verdict.word, verdict.said) for verdict in said.by_bench(verdicts).values())
    return [
        (word, words, f"{found[word, words]:,}") for word, words in sorted(found, key=lambda pair: WORDS.index(pair[0]))
    ]


def _against(verdicts: Verdicts) -> list[tuple[str, str]]:
    how = "in the same session" if verdicts.how == "paired" else "from stored sessions"
    return [("Against", f"{verdicts.against}, {how}"), *([("Trust", alarms(verdicts))] if alarms(verdicts) else [])]


def _looks(rows: Sequence[Row], verdicts: Verdicts | None, ids: Mapping[str, str]) -> list[dict[str, str]]:
    """Failing verdicts, outcomes that are not passes, what stayed unclear, caveats."""
    judged = list(said.by_bench(said.worst_first(verdicts or ())).values())
    failing = (_judged(verdict, verdicts, ids) for verdict in judged if verdict.failing and verdicts)
    ended = (_look(row) for row in rows if row.record.outcome in _SAID)
    unclear = (
        _judged(verdict, verdicts, ids)
        for verdict in judged
        if verdict.word == "unclear" and not verdict.failing and verdicts
    )
    limited = (_look(row) for row in rows if row.record.outcome == "passed" and row.record.caveats)
    return list(islice(chain(failing, ended, unclear, limited), MOST_LOOKS))


def _judged(verdict: Verdict, verdicts: Verdicts, ids: Mapping[str, str]) -> dict[str, str]:
    numbers = "" if verdict.change is None else f": {said.values(verdict)}, {said.change(verdict)}"
    grounds = said.grounds(verdict, verdicts.how)
    return {
        "id": ids.get(verdict.key, ""),
        "name": verdict_name(verdict),
        "word": verdict.word,
        "said": verdict.said,
        "what": typeset(f"{numbers}{f' ({grounds})' if grounds else ''}"),
        "why": verdict.reason or _why(verdict, verdicts),
    }


def _why(verdict: Verdict, verdicts: Verdicts) -> str:
    """What would have been seen of what is unclear; what became of the scores of what is slower."""
    if verdict.word == "unclear":
        words = seen(verdict) if said.detectable(verdict) else ""
        return f"{words[0].upper()}{words[1:]}." if words else ""
    scores = [other for other in verdicts.of(verdict.key) if said.is_score(other) and other is not verdict]
    return typeset("; ".join(f"{one.quantity.removeprefix('score_')} {said.values(one)}" for one in scores))


def _headline(records: Sequence[Record]) -> tuple[str, str]:
    """The sentence, and the part of it that is wrong."""
    counts = outcomes(records)
    skipped = counts.get("skipped", 0)
    bad = len(records) - counts.get("passed", 0) - skipped
    ran = len(records) - skipped
    more = f", {skipped:,} skipped" if ran and skipped else ""
    if not records:
        return "No bench ran", ""
    if bad:
        wrong = f"{bad:,} of {len(records):,}"
        return f"{wrong} bench{'es' if len(records) != 1 else ''} did not pass{more}", wrong
    if not ran:
        return f"All {skipped:,} benches were skipped: nothing was measured", ""
    return f"{ran:,} bench{'es' if ran != 1 else ''} ran, all passed{more}", ""


def _look(row: Row) -> dict[str, str]:
    record = row.record
    if record.outcome != "passed":
        what, why = _SAID[record.outcome], " ".join(record.reason.split())[:300] or "no reason was given"
    else:
        what = f"passed with a caveat: {', '.join(row.caveats)}"
        why = CAVEATS[record.caveats[0].kind]
    return {"id": row_id(row), "name": name(record), "word": "", "said": "", "what": what, "why": why}
