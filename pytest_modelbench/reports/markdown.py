"""Markdown for a pull request's comment: the verdict first, what changed, the rest folded; never half a table.

It begins with a marker, by which a workflow finds the comment to update. CI's job summary is the same text with more
rows (`ci.py`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from .. import said
from ..declare import report
from ..files import written_whole
from ..groups import outcomes
from ..markup import markdown as escaped
from ..provenance import session_facts
from ..quantity import quantity_text
from ..record import Record
from ..results import Results
from ..summary import row
from ..verdict import Verdict, Verdicts

#: GitHub takes comments of 65,536 characters; what is left over is for what a workflow adds.
MOST_CHARACTERS = 60_000
#: Rows of a table; chosen here: nobody reads further in a comment.
MOST_ROWS = 50
#: Failing benches in the command that repeats them.
_REPEATED = 5
#: What `--bench-against` adds to the name of a ref.
_COMMIT = re.compile(r" \([0-9a-f]{7,}\)$")


@report("markdown")
def markdown(results: Results, place: Path) -> Path:
    """Write the comment."""
    return written_whole(place, text(results), "the comment")


def text(results: Results, most_rows: int = MOST_ROWS, most_characters: int = MOST_CHARACTERS) -> str:
    """The comment: folds are left out whole, the last first, then rows, where it would be too long."""
    rows = most_rows
    while True:
        head, folds = _parts(results, rows)
        left = len(folds)
        while left and len(_joined(head, folds[:left], len(folds) - left)) > most_characters:
            left -= 1
        whole = _joined(head, folds[:left], len(folds) - left)
        if len(whole) <= most_characters or not rows:
            return whole
        rows //= 2


def _joined(head: str, folds: Sequence[str], lacking: int) -> str:
    more = ["More is in the report: it is too long for here."] if lacking else []
    return "\n\n".join([head, *folds, *more]) + "\n"


def _parts(results: Results, rows: int) -> tuple[str, list[str]]:
    verdicts = results.verdicts
    if verdicts is None:
        return _unjudged(results), [_fold("What was measured", _medians(results.records, rows))]
    marker = f"<!-- modelbench:{''.join(c for c in verdicts.against.split()[0] if c.isalnum() or c in '._/:')} -->"
    failing = [verdict for verdict in said.worst_first(verdicts) if verdict.failing]
    others = [verdict for verdict in said.worst_first(verdicts) if not verdict.failing]
    head = f"{marker}\n### modelbench: {escaped(said.headline(verdicts))}"
    harm = said.largest_harm(others)
    if not failing:
        head += f" ({harm})" if harm else ""
        if all(verdict.word in ("same", "faster") for verdict in others):
            return head, []
    else:
        head += "\n\n" + _table(failing, verdicts, rows) + _repeat(failing, verdicts)
    summary = escaped(said.counted(said.counts(others)) or "nothing else") + (f" ({harm})" if harm and failing else "")
    folds = [_fold(summary, _table(others, verdicts, rows))] if others else []
    return head, [*folds, _fold(_about_summary(verdicts), _about(results, verdicts))]


# -- what was compared


def _table(verdicts: Sequence[Verdict], of: Verdicts, most: int) -> str:
    before, after = escaped(of.against), escaped(of.head)
    lines = [f"| | bench | {before} | {after} | change | 95 % CI | limit |", "|---|---|--:|--:|--:|--:|--:|"]
    for verdict in verdicts[:most]:
        word = f"**{verdict.said}**" if verdict.failing else verdict.said
        name = escaped(verdict.nodeid.rpartition("::")[2].removeprefix("bench_") or verdict.key)
        if verdict.quantity != "seconds":
            name += f", {escaped(verdict.quantity)}"
        if verdict.reason:
            name += f"<br>{escaped(verdict.reason)}"
        numbers = ["", "", "", "", ""]
        if verdict.change is not None:
            then, now = said.each_value(verdict)
            numbers = [then, now, said.change(verdict), said.interval(verdict, " to "), said.limit(verdict)]
        lines.append(f"| {word} | {name} | {' | '.join(numbers)} |")
    hidden = len(verdicts) - len(verdicts[:most])
    return "\n".join(lines) + (f"\n\nand {hidden:,} more in the report" if hidden else "")


def _repeat(failing: Sequence[Verdict], of: Verdicts) -> str:
    """The command that runs the failing benches again; nothing where a name would break out of it."""
    ids = list(dict.fromkeys(verdict.nodeid for verdict in failing))[:_REPEATED]
    option = "--bench-baseline" if of.how == "stored" else "--bench-against"
    against = of.against if of.how == "stored" else _COMMIT.sub("", of.against)
    command = f"pytest {' '.join(map(shlex.quote, ids))} {option}={shlex.quote(against)}"
    if "`" in command or not command.isprintable():
        return ""
    return f"\n\nRepeat {'it' if len(ids) == 1 else 'them'}:\n\n```console\n{command}\n```"


def _about_summary(verdicts: Verdicts) -> str:
    number = len(verdicts.changed)
    changed = f"{number} change{'' if number == 1 else 's'} in the environment" if number else "an equal environment"
    return f"Machine, {changed}, how this was decided"


def _about(results: Results, verdicts: Verdicts) -> str:
    lines = [f"- {escaped(name)}: {escaped(value)}" for name, value in session_facts(results.records)]
    lines += [f"- {escaped(fact)}: {escaped(old)} before, {escaped(new)} now" for fact, (old, new) in
              verdicts.changed.items()]  # fmt: skip
    decided = {
        "paired": "Both sides ran here, in turn, in fresh process pairs.",
        "stored": "The medians of stored sessions say what one more would measure if nothing had changed.",
    }
    lines += [f"- {decided[verdicts.how]}", *(f"- {escaped(note)}" for note in verdicts.notes)]
    if verdicts.alarms_per_suite is not None:
        lines.append(
            f"- Identical code would raise {verdicts.alarms_per_suite:.2g} alarms in such a suite, as measured."
        )
    return "\n".join(lines)


def _fold(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"


# -- nothing was compared


def _unjudged(results: Results) -> str:
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes(results.records).items())
    said_of = f"{len(results.records):,} bench{'' if len(results.records) == 1 else 'es'} ran"
    return f"<!-- modelbench -->\n### modelbench: {said_of}: {counts or 'none'}; nothing was compared"


def _medians(records: Sequence[Record], most: int) -> str:
    lines = ["| bench | | median |", "|---|---|--:|"]
    for record in records[:most]:
        median = row(record)["median_seconds"]
        shown = quantity_text("seconds", median) if median is not None else ""
        name = escaped(record.nodeid.rpartition("::")[2].removeprefix("bench_"))
        reason = f"<br>{escaped(record.reason)}" if record.reason else ""
        lines.append(f"| {name}{reason} | {record.outcome} | {shown} |")
    hidden = len(records) - len(records[:most])
    return "\n".join(lines) + (f"\n\nand {hidden:,} more in the report" if hidden else "")
