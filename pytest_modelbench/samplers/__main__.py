"""The inside of the sampling process: `python -m pytest_modelbench.samplers`, spoken to over its pipes.

Its first line says what to watch; then each line is a command (clock, start, stop, quit) and gets a line of JSON.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

from ..declare import Declared, check_requirements
from ..samplers import Watched

# Chosen here: an orphan is gone within a second, and the look costs a microsecond.
_LOOK_FOR_PARENT_SECONDS = 1.0


class Window:
    """One sampler at work, and what it read since the window was opened."""

    def __init__(self, address: dict[str, str], watched: Watched) -> None:
        self.address, self.watched = address, watched
        self.generator: Iterator[dict[tuple[str, str], float]] | None = None
        self.problem = ""
        self.kept: dict[tuple[str, str], tuple[list[int], list[float]]] = {}

    def open(self) -> None:
        """Forget the last window; a sampler that failed in it gets another chance."""
        self.problem, self.kept = "", {}
        try:
            if self.generator is None:
                self.generator = iter(_declared(self.address)(self.watched))
                next(self.generator)  # opens what it reads from, which takes long: this reading has no time
        except Exception as error:  # noqa: BLE001  a sampler fails softly, whatever its author lets through
            self._failed(error)

    def read(self) -> None:
        """Take one reading; its time is the middle of taking it."""
        if self.generator is None:
            return
        try:
            before = time.perf_counter_ns()
            readings = next(self.generator)
            at_ns = (before + time.perf_counter_ns()) // 2
            for (name, unit), value in readings.items():
                times, values = self.kept.setdefault((str(name), str(unit)), ([], []))
                values.append(float(value))
                times.append(at_ns)
        except Exception as error:  # noqa: BLE001  as above
            self._failed(error)

    def series(self) -> list[list[Any]]:
        """The readings by quantity: sampler, quantity, unit, times, values."""
        return [[self.address["name"], *quantity, times, values] for quantity, (times, values) in self.kept.items()]

    def close(self) -> None:
        """Let the sampler run its `finally`."""
        close = getattr(self.generator, "close", None)  # an iterator that is no generator has none
        if close is not None:
            close()

    def _failed(self, error: Exception) -> None:
        why = "it ended by itself" if isinstance(error, StopIteration) else f"{type(error).__name__}: {error}"
        self.problem = f"sampler {self.address['name']!r} stopped: {why}"
        self.generator = None


def main() -> None:
    """Obey until told to quit, or until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the session's to handle; we end with it
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a sampler prints must not be read as an answer
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands,), daemon=True).start()
    config = json.loads(commands.get())
    watched = Watched(**config["watched"])
    windows = [Window(address, watched) for address in config["samplers"]]
    for answer in _answers(commands, windows, watched.period_seconds):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for window in windows:
        window.close()


def _answers(commands: queue.SimpleQueue[str], windows: list[Window], period_seconds: float) -> Iterator[Any]:
    """Read the windows when it is time, and answer each command, until the one to quit."""
    parent, due = os.getppid(), inf  # due: when the next reading is taken; never, between windows
    yield "ready"
    while os.getppid() == parent:  # children that a bench forked hold our pipe open after its death
        command = _next(commands, due)
        if command == "":
            _read(windows)
            # a reading that was missed is not made up for
            due = max(due + period_seconds, time.monotonic() + period_seconds / 2)
        elif command == "clock":
            yield time.perf_counter_ns()
        elif command == "start":
            for window in windows:
                window.open()
            due = time.monotonic() + period_seconds
            _read(windows)
            yield "started"
        elif command == "stop":
            if due < inf:
                _read(windows)
            due = inf
            problems = [window.problem for window in windows if window.problem]
            yield {"series": [series for window in windows for series in window.series()], "problems": problems}
        elif command == "quit":
            return


def _next(commands: queue.SimpleQueue[str], due: float) -> str | None:
    """The next command, or "" when a reading is due first; None now and then, to look for the parent."""
    left = max(due - time.monotonic(), 0)
    try:
        return commands.get(timeout=min(left, _LOOK_FOR_PARENT_SECONDS))
    except queue.Empty:
        return "" if time.monotonic() >= due else None


def _read(windows: list[Window]) -> None:
    for window in windows:
        window.read()


def _listen(commands: queue.SimpleQueue[str]) -> None:
    """Hand on the lines of stdin; its end, which is also the parent's, is `quit`."""
    for line in sys.stdin:
        commands.put(line.strip())
    commands.put("quit")
    time.sleep(1)  # for samplers to close; one that hangs does not keep the process
    os._exit(0)


def _declared(address: dict[str, str]) -> Declared:
    """The sampler of an address. Raises LookupError where its file declares none of that name."""
    for thing in vars(_module(address["module"], address["file"])).values():
        if isinstance(thing, Declared) and thing.kind == "sampler" and thing.name == address["name"]:
            check_requirements(f"sampler {thing.name!r}", thing.requires)
            return thing
    raise LookupError(f"{address['file']} declares no sampler {address['name']!r} at its top level")


def _module(name: str, file: str) -> ModuleType:
    """The module by its name where that leads to its file; else (a conftest, one of many) by the file."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin and Path(spec.origin) == Path(file):
        return import_module(name)
    spec = spec_from_file_location(f"_modelbench_{Path(file).stem}", file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file or name} is no Python file that can be imported")
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
