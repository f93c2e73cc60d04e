"""Isolation: a bench in a fresh process; what it can break is that process, and how that ended becomes a row.

The process is started afresh (never forked), is told what to run over its stdin, answers over its stdout, and leases
the device itself: this one lets its own lease and model go first. `isolated.py` is its inside.
"""

from __future__ import annotations

import math
import os
import pickle
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any

import pytest

from .errors import Lost, UsageError
from .fixtures import Failed
from .recording import ATTRIBUTE, begin
from .session import INSIDE, SESSION

# Where modules come from is in the request, and the inside is run as a file: pytest itself imports this package there.
_START = (
    "import pickle, runpy, sys; request = pickle.load(sys.stdin.buffer); sys.path[:] = request['path']; "
    "runpy.run_path(request['inside'], {'request': request}, '__main__')"
)
# Chosen here: long enough to write down a stack or to close a file, short enough not to be noticed.
_GRACE_SECONDS = 3.0
# Chosen here: a traceback of a hundred threads; more is noise that the child wrote before it died.
_LAST_CHARACTERS = 20_000
# Lines of such a traceback that are the same for every bench.
_OUR_OWN_FRAMES = re.compile(
    r'^  File "[^"]*([/\\](_pytest|pluggy)[/\\]|isolated\.py"|<frozen runpy>"|<string>").*\n?', re.MULTILINE
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
    with tempfile.TemporaryFile() as errors, _Child(_request(item), None if shown else errors) as child:
        lost = _follow(item, child, seconds, reports) or _how_it_ended(child.process.wait(), reports)
        errors.seek(0)
        said = _OUR_OWN_FRAMES.sub("", errors.read().decode(errors="replace")).strip()[-_LAST_CHARACTERS:]
    if lost:
        reports = [*reports, *_of_lost(item, lost, said, reports)]
    for report in reports:
        report.nodeid, report.location = item.nodeid, item.location
        if record := getattr(report, ATTRIBUTE, None):
            record["wall_seconds"] = monotonic() - began  # with the start of the process
    return reports


def _follow(item: pytest.Item, child: _Child, seconds: float | None, reports: list[pytest.TestReport]) -> str:
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
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        hint = " (the system does this when memory runs out)" if name == "SIGKILL" else ""
        return f"crashed: signal {name}{hint}"
    complete = any(report.when == "teardown" for report in reports)
    return "" if complete and status in set(pytest.ExitCode) else f"exit status {status}"


def _of_lost(
    item: pytest.Item, reason: str, said: str, reports: list[pytest.TestReport]
) -> Iterator[pytest.TestReport]:
    """Reports of the phase in which the process was lost, and of those after it."""
    done = {report.when for report in reports}
    decided = "call" in done or any(report.failed or report.skipped for report in reports)
    when = "teardown" if decided else "call" if "setup" in done else "setup"

    def lost() -> None:
        raise Failed(Lost(reason))

    yield _report(item, lost, when, said)
    if when != "teardown":
        yield _report(item, lambda: None, "teardown")


def _report(item: pytest.Item, what: Any, when: Any, said: str = "") -> pytest.TestReport:
    call = pytest.CallInfo.from_call(what, when=when)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if said:
        report.sections.append(("stderr of its process", said))
    return report


def _request(item: pytest.Item) -> dict[str, Any]:
    """What the child must know to be the same session with one item, in plain values."""
    config = item.config
    given = config.invocation_params
    arguments = [str(argument) for argument in given.args]
    if config.pluginmanager.has_plugin("_cov"):  # it would erase what was covered here
        arguments.append("--no-cov")
    folders = getattr(config, "_tmp_path_factory", None)
    return {
        "inside": str(Path(__file__).with_name("isolated.py")),
        "path": list(sys.path),
        "argv": list(sys.argv),
        "arguments": arguments,
        "plugins": [plugin for plugin in given.plugins or () if isinstance(plugin, str)],
        "folder": str(given.dir),
        "file": str(item.path),
        "name": item.nodeid.partition("::")[2],
        "workerinput": getattr(config, "workerinput", None),
        "basetemp": str(folders.mktemp("isolated")) if folders else None,
    }


class _Child:
    """The process of one bench, in a group of its own: what it started ends with it."""

    def __init__(self, request: dict[str, Any], errors: IO[bytes] | None) -> None:
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing
        self.process = subprocess.Popen(
            [sys.executable, *flags, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=request["folder"],
            start_new_session=True,
        )
        self._messages: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="modelbench-isolation", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="modelbench-isolation-end", daemon=True)
        self._reader.start()
        self._watcher.start()
        assert self.process.stdin is not None
        with suppress(OSError):  # it is gone already, which is told by its exit status
            # left open: when this process dies, even by kill -9, the child reads the end of it and ends too
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # Ctrl-C here: as Ctrl-C there
            self.stop(signal.SIGINT)
        self._watcher.join()
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def messages(self, seconds: float | None) -> Iterator[tuple[Any, ...]]:
        """What it says until it ends. Raises TimeoutError after `seconds` in which it did not wait for others."""
        left, waiting = seconds, False
        while True:
            began = monotonic()
            try:
                message = self._messages.get(timeout=None if waiting or left is None else max(left, 0))
            except queue.Empty:
                raise TimeoutError from None
            if left is not None and not waiting:
                left -= monotonic() - began
            if message is None:
                return
            if message[0] == "waiting":
                waiting = bool(message[1])
            yield message

    def stop(self, gently: int) -> None:
        """End it and what it started: by a signal that lets it speak, then by one that does not ask."""
        with suppress(OSError):
            self.process.send_signal(gently)
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        with suppress(OSError):  # nobody is left
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def _read(self) -> None:
        assert self.process.stdout is not None
        # a process that dies while it speaks leaves half a message
        with self.process.stdout as answers, suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                self._messages.put(pickle.load(answers))

    def _watch(self) -> None:
        self.process.wait()
        self._kill()  # what it left behind would compute beside the next bench
        self._reader.join(_GRACE_SECONDS)
        self._messages.put(None)
