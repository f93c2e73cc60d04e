"""CI: what GitHub Actions shows beside a log - a summary of the job, and an annotation at each bench that fails.

Both are written where their variables are set, and nowhere else: `GITHUB_STEP_SUMMARY` names a file, `GITHUB_ACTIONS`
says that lines beginning with `::` are commands (docs.github.com, "Workflow commands for GitHub Actions").
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from . import said
from .files import written_to
from .results import Results

#: A summary over 1 MiB vanishes whole; ours leaves room for what other steps of the job say.
MOST_BYTES = 256 * 1024
MOST_ROWS = 500
#: GitHub shows ten errors of a step.
MOST_ANNOTATIONS = 10


def summarise(results: Results, variables: Mapping[str, str] = os.environ) -> None:
    """Append the comment of `reports/markdown.py` to the job's summary, where there is one.

    Raises StoreError where its file cannot be written.
    """
    place = variables.get("GITHUB_STEP_SUMMARY")
    if not place or not results.records:
        return
    from .reports.markdown import text

    # a character is one to four bytes
    characters = MOST_BYTES
    while len((shown := text(results, MOST_ROWS, characters)).encode()) > MOST_BYTES:
        characters //= 2
    with written_to(Path(place), "the job's summary"), Path(place).open("a", encoding="utf-8") as file:
        file.write(shown + "\n")


def annotated(results: Results, variables: Mapping[str, str] = os.environ) -> list[str]:
    """A line `::error` for each bench that the gate fails, the worst first, at most ten; none outside of GitHub."""
    if variables.get("GITHUB_ACTIONS") != "true" or results.verdicts is None:
        return []
    verdicts = results.verdicts
    failing = [verdict for verdict in said.worst_first(said.by_bench(verdicts).values()) if verdict.failing]
    lines = []
    for verdict in failing[:MOST_ANNOTATIONS]:
        file, _, name = verdict.key.partition("::")
        sentence = said.sentence(verdict, verdicts.against, verdicts.how)
        lines.append(f"::error file={_property(file)},title={_property(name)}::{_message(sentence)}")
    if len(failing) > MOST_ANNOTATIONS:
        more = len(failing) - MOST_ANNOTATIONS + 1
        lines[-1] = f"::error title=modelbench::{more:,} more benches fail: see the summary of the job"
    return lines


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
