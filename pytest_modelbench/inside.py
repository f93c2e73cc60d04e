"""The inside of a process that runs benches for another pytest session: the same session with only those items.

An isolated bench is alone in one; of a pair, each side has one for all its benches. It is run as a file, and imports
this package only when pytest has: pytest warns of a plugin that was there before it.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
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
    "pastebin": None,
    # files that are the parent's, which a second writer would cut short: of pytest, of plugins by their own names
    "xmlpath": None,
    "log_file": os.devnull,  # None would be the ini file's
    "report_log": None,
    "htmlpath": None,
    "json_report": False,
    "csv_path": None,
    "allure_report_dir": None,
    "clean_alluredir": False,
    "benchmark_json": None,
    "benchmark_autosave": False,
    "benchmark_save": None,
}
_PARENTS = ("terminalreporter", "lfplugin", "nfplugin", "stepwiseplugin")
# Chosen here: the parent's terminal line changes as often.
_PROGRESS_EVERY_SECONDS = 0.5


def main(request: dict[str, Any]) -> int:
    """Run the benches of a request; the exit status is pytest's."""
    channel, lifeline = os.dup(1), os.dup(0)
    os.dup2(2, 1)  # what a bench prints is no message
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lifeline, told), name="modelbench-lifeline", daemon=True).start()
    if hasattr(faulthandler, "register"):
        # the parent asks so where a bench hangs; chained to what the signal does by itself, which is to end us
        errors = os.fdopen(os.dup(2), "w")
        faulthandler.register(signal.SIGUSR1, file=errors, all_threads=True, chain=True)
    sys.argv[:] = request["argv"]
    if "listing" in request:
        return pytest.main(request["arguments"], plugins=[*request["plugins"], _Listing(request["listing"], channel)])
    inside = _Inside(request, channel)
    sides = [_Side(request["pair"], inside, told)] if "pair" in request else []
    return pytest.main(request["arguments"], plugins=[*request["plugins"], inside, *sides])


def _listen(lifeline: int, told: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    """Take in what the parent says; when it is gone, end."""
    with os.fdopen(lifeline, "rb") as words, suppress(EOFError, pickle.UnpicklingError):
        while True:
            told.put(pickle.load(words))
    if hasattr(os, "killpg"):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


def names_of(item: pytest.Item) -> list[str]:
    """What an item is called in its file; not its nodeid, to which xdist adds a group."""
    return [node.name for node in item.listchain() if isinstance(node, (pytest.Class, pytest.Item))]


class _Inside:
    """A plugin that makes this session the parent's with only the items of the request."""

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
        config.args = list(dict.fromkeys(file for file, _ in self._request["items"]))
        if self._request["workerinput"] is not None:
            config.workerinput = self._request["workerinput"]  # type: ignore[attr-defined]
            config.workeroutput = {}  # type: ignore[attr-defined]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        from pytest_modelbench.session import SESSION

        self._config, session = config, config.stash[SESSION]
        session.progress = self._progress
        session.tell_wait = lambda text: self.say("waiting", text)
        for name in _PARENTS:
            if config.pluginmanager.has_plugin(name):
                config.pluginmanager.unregister(name=name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # files were collected whole, because an id may hold what pytest takes for a path or a class
        found = {(str(item.path), *names_of(item)): item for item in reversed(items)}
        wanted = [(file, *names) for file, names in self._request["items"]]
        lost = [] if "pair" in self._request else [key for key in wanted if key not in found]
        for file, *names in lost:
            name = "::".join(names)
            self.say("problem", f"{name} is not found in a fresh process: its id must be the same each time", file)
        items[:] = [found[key] for key in wanted if key in found]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            said = f"cannot be collected in a fresh process: {report.longreprtext.splitlines()[-1]}"
            self.say("problem", said, report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        config = self._config
        self.say("report", config.hook.pytest_report_to_serializable(config=config, report=report))

    def pytest_unconfigure(self) -> None:
        self._channel.close()

    def _progress(self, bench: str, phase: str, share: float | None) -> None:
        if monotonic() - self._spoken_at >= _PROGRESS_EVERY_SECONDS:
            self._spoken_at = monotonic()
            self.say("progress", bench, phase, share)

    def say(self, *message: Any) -> None:
        """Tell the parent something."""
        with suppress(BrokenPipeError):  # the parent is gone, and so are we in a moment
            pickle.dump(message, self._channel)
            self._channel.flush()


class _Side:
    """A plugin that makes this session one side of a pair: it waits for its turn before each bench and block."""

    def __init__(self, pair: dict[str, Any], inside: _Inside, told: queue.SimpleQueue[tuple[Any, ...]]) -> None:
        self._pair, self._inside, self._told = pair, inside, told
        self._numbers: dict[tuple[str, ...], int] = {}
        self._able = True

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        try:
            from pytest_modelbench.conduct import Conductor
        except ImportError:  # a commit of this very project, from before it compared
            self._able = False
            self._inside.say("problem", "its pytest-modelbench is too old to take turns", "the other side")
            return
        from pytest_modelbench.device import Device
        from pytest_modelbench.session import SESSION

        session, device = config.stash[SESSION], Device.of(self._pair["device"])
        session.conductor = Conductor(self._inside.say, self._told.get, device.torch_name)
        session.lent, session.sampled = device, self._pair["sampled"]
        if not session.sampled:
            session.settings = replace(session.settings, parity=False)  # it may load a model on one side only

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Order items as both sides have them, whatever the plugins and conftests here did to them."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return
        if not self._able:
            session.items.clear()
        order = {tuple(key): number for number, key in self._pair["numbers"]}
        self._numbers = {self._key(item): order[self._key(item)] for item in session.items}
        session.items.sort(key=lambda item: self._numbers[self._key(item)])
        if self._pair["variant"]:
            self._swap_variant(session.items)
        self._inside.say("items", [self._numbers[self._key(item)] for item in session.items])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self._inside.say("item", self._numbers[self._key(item)])
        self._told.get()

    def pytest_sessionfinish(self) -> None:
        self._inside.say("foreign", _foreign(self._pair["root"], self._pair["others"]) if self._pair["others"] else [])

    def _key(self, item: pytest.Item) -> tuple[str, ...]:
        return (str(item.path), *names_of(item))

    def _swap_variant(self, items: list[pytest.Item]) -> None:
        """Run the same benches another way: the variant's axis is all that differs between the sides."""
        from pytest_modelbench.collect import Wanted

        for item in items:
            item.callspec.params["variant"] = Wanted(self._pair["variant"])  # type: ignore[attr-defined]


class _Listing:
    """A plugin that makes this session name the benches that its command line selects, and run none."""

    def __init__(self, root: str, channel: int) -> None:
        self._root, self._channel = root, channel

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        from pytest_modelbench.session import INSIDE

        config.stash[INSIDE] = True
        options = vars(config.option)
        off = _OFF.keys() - {"keyword", "markexpr", "deselect"}
        options.update({name: _OFF[name] for name in off & options.keys()}, collectonly=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        from pytest_modelbench.collect import is_bench

        found = [(os.path.relpath(item.path, self._root), *names_of(item)) for item in session.items if is_bench(item)]
        with os.fdopen(self._channel, "wb") as channel, suppress(BrokenPipeError):
            pickle.dump(("items", found), channel)


def _foreign(own: str, others: str) -> list[str]:
    """Modules that were read from the other side's folder, packages of the environment left out."""
    found = []
    for name, module in sorted(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "")
        roots = [str(parent) for parent in path.parents if str(parent) in (own, others)]
        # one side's folder may lie in the other's: the nearest counts
        if roots[:1] == [others] and name != "__main__" and "site-packages" not in path.parts:
            found.append(name)
    return found


if __name__ == "__main__":
    sys.exit(main(globals()["request"]))
