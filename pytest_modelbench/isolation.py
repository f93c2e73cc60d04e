"""Isolation: a bench in a fresh process; what it can break is that process, and how that ended becomes a row.

The process is started afresh (never forked) and leases the device itself: this one lets its own lease and model go
first. `child.py` is the process as seen from here, `inside.py` its inside.
"""

from __future__ import annotations

import math
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from .child import Child, ending
from .errors import Lost, UsageError
from .fixtures import Failed
from .inside import names_of
from .recording import ATTRIBUTE, begin, note_suite
from .session import INSIDE, SESSION

# Chosen here: a traceback of a hundred threads; more is noise that the child wrote before it died.
_LAST_CHARACTERS = 20_000
# Lines of such a traceback that are the same for every bench.
_OUR_OWN_FRAMES = re.compile(
    r'^  File "[^"]*([/\\](_pytest|pluggy)[/\\]|inside\.py"|<frozen runpy>"|<string>").*\n?', re.MULTILINE
)


def is_isolated(item: pytest.Item) -> bool:
    """Whether an item runs in a process of its own: by its mark, by --bench-isolate, or because the device is lost."""
    session = item.config.stash[SESSION]
    if INSIDE in item.config.stash:
        return False
    if item.get_closest_marker("isolated"):
        return True
    if session.settings.isolate or session.device_lost_by:
        from .collect import is_bench

        return is_bench(item)
    return False


def check(items: list[pytest.Item]) -> None:
    """Raise UsageError for a mark `isolated` that cannot be meant, before anything runs."""
    for item in items:
        _timeout_seconds(item)


def _timeout_seconds(item: pytest.Item) -> float | None:
    usual: float | None = item.config.stash[SESSION].settings.timeout_seconds
    mark = item.get_closest_marker("isolated")
    if mark is None:
        return usual
    seconds: float | None = mark.kwargs.get("timeout", usual)
    fits = seconds is None or (isinstance(seconds, (int, float)) and 0 < seconds < math.inf)
    if mark.args or set(mark.kwargs) - {"timeout"} or not fits:
        raise UsageError(
            f"mark isolated of {item.nodeid} takes only timeout, in seconds above 0: write isolated(timeout=60)"
        )
    return seconds


def run(item: pytest.Item) -> bool:
    """Run one bench in a process of its own, and report what it reports; True, for pytest has no more to do."""
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item) -> list[pytest.TestReport]:
    """The reports of the child, and one of ours where it did not live to give its own."""
    begin(item)
    began, seconds = monotonic(), _timeout_seconds(item)
    reports: list[pytest.TestReport] = []
    shown = item.config.getoption("capture", "fd") == "no"
    with tempfile.TemporaryFile() as errors, Child(_request(item), None if shown else errors) as child:
        lost = _follow(item, child, seconds, reports) or _how_it_ended(child.process.wait(), reports)
        errors.seek(0)
        said = _OUR_OWN_FRAMES.sub("", errors.read().decode(errors="replace")).strip()[-_LAST_CHARACTERS:]
    if lost:
        reports = [*reports, *reports_of_lost(item, lost, said, reports)]
    for report in reports:
        report.nodeid, report.location = item.nodeid, item.location
        if record := getattr(report, ATTRIBUTE, None):
            record["wall_seconds"] = monotonic() - began  # with the start of the process
            note_suite(report, item.session)  # there it was alone
    return reports


def _follow(item: pytest.Item, child: Child, seconds: float | None, reports: list[pytest.TestReport]) -> str:
    """Take in what the child says until it ends; what was wrong, when it had to be ended or could not begin."""
    session, problem = item.config.stash[SESSION], ""
    try:
        for kind, *rest in child.messages(seconds):
            if kind == "report":
                report = item.config.hook.pytest_report_from_serializable(config=item.config, data=rest[0])
                reports.append(report)
            elif kind == "progress":
                session.progress(*rest)
            elif kind == "waiting":
                session.waits(rest[0])
            elif kind == "problem":
                problem = rest[0]
    except TimeoutError:
        child.stop(getattr(signal, "SIGUSR1", signal.SIGTERM))  # there it writes down where it hangs, and ends
        return f"timed out after {seconds:g} s"
    return problem


def _how_it_ended(status: int, reports: list[pytest.TestReport]) -> str:
    """What to say of the end of a process; nothing when it gave every report and ended as pytest does."""
    complete = any(report.when == "teardown" for report in reports)
    return "" if complete and status in set(pytest.ExitCode) else ending(status)


def reports_of_lost(
    item: pytest.Item, reason: str, said: str, reports: list[pytest.TestReport]
) -> Iterator[pytest.TestReport]:
    """Reports of the phase in which the process was lost, and of those after it."""
    done = {report.when for report in reports}
    decided = "call" in done or any(report.failed or report.skipped for report in reports)
    when = "teardown" if decided else "call" if "setup" in done else "setup"

    def lost() -> None:
        raise Failed(Lost(reason))

    yield report_of(item, lost, when, said)
    if when != "teardown":
        yield report_of(item, lambda: None, "teardown")


def report_of(item: pytest.Item, what: Any, when: Any, said: str = "") -> pytest.TestReport:
    """The report of one phase of a bench that did not run here; `what` raises what it is to report."""
    call = pytest.CallInfo.from_call(what, when=when)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if said:
        report.sections.append(("stderr of its process", said))
    return report


def _request(item: pytest.Item) -> dict[str, Any]:
    folders = getattr(item.config, "_tmp_path_factory", None)
    return request_of(item.config) | {
        "items": [(str(item.path), names_of(item))],
        "workerinput": getattr(item.config, "workerinput", None),
        "basetemp": str(folders.mktemp("isolated")) if folders else None,
    }


def request_of(config: pytest.Config) -> dict[str, Any]:
    """What a child must know to be the same session as this one, in plain values; its items are added."""
    given = config.invocation_params
    arguments = [str(argument) for argument in given.args]
    if config.pluginmanager.has_plugin("_cov"):  # it would erase what was covered here
        arguments.append("--no-cov")
    return {
        "inside": str(Path(__file__).with_name("inside.py")),
        "path": list(sys.path),
        "argv": list(sys.argv),
        "arguments": arguments,
        "plugins": [plugin for plugin in given.plugins or () if isinstance(plugin, str)],
        "folder": str(given.dir),
        "workerinput": None,
        "basetemp": None,
    }
