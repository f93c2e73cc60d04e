"""The inside of an isolated bench's process: the same pytest session with one item, telling its reports to its parent.

It is run as a file, and imports this package only when pytest has: pytest warns of a plugin that was there before it.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

# What the parent does once for all: it selected and ordered, it spreads, it reports, it keeps pytest's cache.
_OFF: dict[str, Any] = {
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "cacheclear": False,
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "distload": False,
    "looponfail": False,
    "tx": [],
    "usepdb": False,
    "trace": False,
    "xmlpath": None,
    "benchmark_json": None,
    "benchmark_autosave": False,
    "benchmark_save": None,
}
_PARENTS = ("terminalreporter", "lfplugin", "nfplugin", "stepwiseplugin")
# Chosen here: the parent's terminal line changes as often.
_PROGRESS_EVERY_SECONDS = 0.5


def main(request: dict[str, Any]) -> int:
    """Run the bench of a request; the exit status is pytest's."""
    channel, lifeline = os.dup(1), os.dup(0)
    os.dup2(2, 1)  # what a bench prints is no message
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="modelbench-lifeline", daemon=True).start()
    if hasattr(faulthandler, "register"):
        # the parent asks so where a bench hangs; chained to what the signal does by itself, which is to end us
        errors = os.fdopen(os.dup(2), "w")
        faulthandler.register(signal.SIGUSR1, file=errors, all_threads=True, chain=True)
    sys.argv[:] = request["argv"]
    return pytest.main(request["arguments"], plugins=[*request["plugins"], _Inside(request, channel)])


def _end_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 1024):
        pass
    if hasattr(os, "killpg"):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


class _Inside:
    """A plugin that makes this session the parent's with one item."""

    def __init__(self, request: dict[str, Any], channel: int) -> None:
        self._request, self._channel = request, os.fdopen(channel, "wb")
        self._spoken_at = monotonic()

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        from pytest_modelbench.session import INSIDE

        config.stash[INSIDE] = True
        options = vars(config.option)
        options.update({name: value for name, value in _OFF.items() if name in options})
        options["basetemp"] = self._request["basetemp"]
        config.args = [self._request["file"]]
        if self._request["workerinput"] is not None:
            config.workerinput = self._request["workerinput"]  # type: ignore[attr-defined]
            config.workeroutput = {}  # type: ignore[attr-defined]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        from pytest_modelbench.session import SESSION

        self._config, session = config, config.stash[SESSION]
        session.progress = self._progress
        session.tell_wait = lambda text: self._say("waiting", text)
        for name in _PARENTS:
            if config.pluginmanager.has_plugin(name):
                config.pluginmanager.unregister(name=name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # the file was collected whole, because an id may hold what pytest takes for a path or a class
        items[:] = [item for item in items if self._is_it(item)][:1]
        if not items:
            name = "::".join(self._request["names"])
            self._say("problem", f"{name} is not found in a fresh process: its id must be the same each time")

    def _is_it(self, item: pytest.Item) -> bool:
        names = [node.name for node in item.listchain() if isinstance(node, (pytest.Class, pytest.Item))]
        return bool(names == self._request["names"])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._say("problem", f"cannot be collected in a fresh process: {report.longreprtext.splitlines()[-1]}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        config = self._config
        self._say("report", config.hook.pytest_report_to_serializable(config=config, report=report))

    def pytest_unconfigure(self) -> None:
        self._channel.close()

    def _progress(self, bench: str, phase: str, share: float | None) -> None:
        if monotonic() - self._spoken_at >= _PROGRESS_EVERY_SECONDS:
            self._spoken_at = monotonic()
            self._say("progress", bench, phase, share)

    def _say(self, *message: Any) -> None:
        with suppress(BrokenPipeError):  # the parent is gone, and so are we in a moment
            pickle.dump(message, self._channel)
            self._channel.flush()


if __name__ == "__main__":
    sys.exit(main(globals()["request"]))
