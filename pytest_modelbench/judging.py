"""Judging: what the gate says of a bench becomes pytest's: a failed report of one line, properties in JUnit's file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from . import said
from .errors import StoreError, UsageError
from .quantity import visible
from .session import SESSION
from .verdict import Verdict

if TYPE_CHECKING:
    from .record import Record
    from .session import Session

MARK = "tolerance"


class Judging:
    """The gate against a stored baseline: a Record is judged as it arrives, and its report is failed by it."""

    def __init__(self, session: Session, suite: int) -> None:
        """Open the baseline of the settings. Raises UsageError or StoreError for one that cannot be read."""
        from .gate.apart import Apart

        settings = session.settings
        assert settings.baseline is not None
        self.session, self.place = session, settings.baseline
        self.baseline = Apart(settings.baseline, settings.root, suite)
        self.verdicts: dict[str, tuple[Verdict, ...]] = {}

    def add(self, report: pytest.TestReport, record: Record) -> list[tuple[str, str]]:
        """Judge the Record that came with a report, and fail the report by it; what JUnit's file is to have of it."""
        settings = self.session.settings
        try:
            found = self.baseline.judge(record, settings.fail, settings.strict, settings.require_baseline)
        except StoreError as error:
            problem = f"--bench-baseline {self.place}: {error}"
            self.session.problems += [problem] if problem not in self.session.problems else []
            return []
        self.verdicts[report.nodeid] = found
        judge(report, found, self.place, "stored")
        return properties(found, self.place, "stored")

    def conclude(self, whole: bool) -> None:
        """Give the session all Verdicts; `whole`: nothing narrowed it, so a bench that is not there is missing."""
        found = [verdict for of_bench in self.verdicts.values() for verdict in of_bench]
        try:
            self.session.verdicts = self.baseline.conclude(found, self.session.records, whole)
        except StoreError as error:
            self.session.problems.append(f"--bench-baseline {self.place}: {error}")


def narrowed(config: pytest.Config) -> bool:
    """Whether the command line chose among benches: then one that did not run is not missing."""
    option = config.option
    chosen = (option.keyword, option.markexpr, getattr(option, "lf", False), getattr(option, "deselect", None))
    asked = config.stash[SESSION].settings.asked.values()
    return any(chosen) or any(asked) or any("::" in argument for argument in config.args)


def tolerance(item: pytest.Item) -> dict[str, str]:
    """What the marks `tolerance` of a bench say, the nearest first: a function's adds to its module's."""
    found: dict[str, str] = {}
    for mark in item.iter_markers(MARK):
        found = {**mark.kwargs, **found}
    return found


def check_tolerances(items: Sequence[pytest.Item]) -> None:
    """Raise UsageError for a mark `tolerance` that cannot be meant, before anything runs."""
    from .gate.limits import check_name, parse

    for item in items:
        for mark in item.iter_markers(MARK):
            where = f"mark tolerance of {item.nodeid}"
            if mark.args or not mark.kwargs:
                raise UsageError(f'{where} takes limits by name: write tolerance(seconds="5%")')
            for quantity, text in mark.kwargs.items():
                check_name(quantity, item.config.stash[SESSION].catalog.names("metric"), where)
                parse(text, quantity, where)


def judge(report: pytest.TestReport, verdicts: Sequence[Verdict], against: str, how: str) -> None:
    """Fail the report of a bench by the worst of its Verdicts that fails it: the verdict and the percent come first.

    `report` is the one that decides the bench. One that failed or was skipped by itself keeps its own reason. It must
    be called before pytest counts the report, so that `--lf`, `-x`, JUnit and the exit status all know.
    """
    failing = [verdict for verdict in said.worst_first(verdicts) if verdict.failing]
    if report.passed and failing:
        report.outcome = "failed"
        report.longrepr = message(failing, against, how)


def message(failing: Sequence[Verdict], against: str, how: str) -> str:
    """One line: the worst, and what else fails the bench."""
    first, *others = failing
    more = "".join(f"; {said.sentence(other, against, how)}" for other in others)
    return said.sentence(first, against, how) + more


def properties(verdicts: Sequence[Verdict], against: str, how: str) -> list[tuple[str, str]]:
    """Names and values for JUnit's file, beside those of the Record (`properties.py`)."""
    found: list[tuple[str, str]] = []
    for verdict in verdicts:
        name = f"modelbench.verdict.{verdict.quantity}"
        found += [(name, verdict.said), (f"{name}.said", visible(said.sentence(verdict, against, how)))]
        numbers = ("before", "after", "change", "low", "high", "limit", "detectable")
        found += [
            (f"{name}.{number}", f"{value:.6g}")
            for number in numbers
            if (value := getattr(verdict, number)) is not None
        ]
    return found
