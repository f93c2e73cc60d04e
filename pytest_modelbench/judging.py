"""Judging: what the gate says of a bench becomes pytest's: a failed report of one line, properties in JUnit's file."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from . import said
from .errors import UsageError
from .session import SESSION
from .verdict import Verdict

MARK = "tolerance"


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
    """Names and values for `report.user_properties`; JUnit takes those of the report of the teardown."""
    found: list[tuple[str, str]] = []
    for verdict in verdicts:
        name = f"modelbench.{verdict.quantity}"
        found += [(f"{name}.verdict", verdict.said), (name, said.sentence(verdict, against, how))]
        numbers = ("before", "after", "change", "low", "high", "limit", "detectable")
        found += [
            (f"{name}.{number}", f"{value:.6g}")
            for number in numbers
            if (value := getattr(verdict, number)) is not None
        ]
    return found
