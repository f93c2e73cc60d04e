"""Samplers: what a device does while rounds run, read by one long-lived process beside the session.

A sampler is a generator function of what to watch, shaped like a yield-fixture::

    @sampler("fan")
    def fan(watched):
        sensor = open_sensor(watched.uuid)              # opened by the first next
        try:
            while True:
                yield {("fan_speed", "hertz"): sensor.read()}
        finally:
            sensor.close()                              # closed at the end of the session

It runs in the sampling process, not in the bench's: that one is started afresh (never forked), is asked over pipes,
keeps its readings until the window ends, and dies with its parent. `__main__.py` is its inside.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import or_
from typing import IO, TYPE_CHECKING, Any

from ..record import Series

if TYPE_CHECKING:
    from ..declare import Declared
    from ..device import Device

# NVML's own fields change every 65 to 220 ms on an H100: looking more often only repeats them.
USUAL_HERTZ = 10.0
# Chosen here: far above the start of an interpreter and of NVML on a busy host; after that it hangs.
_PATIENCE_SECONDS = 30.0
# Chosen here: one accident is forgiven, a sampler that kills its process each time is not paid for in every bench.
_LAUNCHES = 3


@dataclass(frozen=True)
class Watched:
    """What a sampler is to read: a device, and the process that runs the bench on it."""

    name: str
    kind: str
    index: int | None
    uuid: str | None
    pid: int
    #: Between two readings.
    period_seconds: float
    #: The uuids of the devices that are ours with it: `cuda:0+1` is cuda:0 with cuda:1.
    peers: Sequence[str | None] = ()


def watched_of(device: Device, hertz: float) -> Watched:
    """What is to be read where this process runs a bench on a device."""
    return Watched(device.name, device.kind, device.index, device.uuid, os.getpid(), 1 / hertz, device.uuids[1:])


Readings = dict[tuple[str, str], float]
#: What several devices are as one; of any other quantity the largest, which is the busiest or the hottest device's.
_TOGETHER: dict[str, Callable[[list[float]], float]] = {
    "energy_joules": sum,
    "power_watts": sum,
    "memory_used_bytes": sum,
    "sm_clock_hertz": min,
    "memory_clock_hertz": min,
    "clock_event_reasons": lambda reasons: reduce(or_, map(int, reasons)),
}


def together(of_each: Sequence[Readings]) -> Readings:
    """Readings of several devices as one's; what one of them does not tell is not told of all."""
    known = [quantity for quantity in of_each[0] if all(quantity in readings for readings in of_each)]
    return {
        quantity: _TOGETHER.get(quantity[0], max)([readings[quantity] for readings in of_each]) for quantity in known
    }


class Sampling:
    """Readings of one device between `start` and `stop`, as often as wanted. It fails softly: see `problems`."""

    def __init__(self, device: Device, hertz: float = USUAL_HERTZ, declared: Iterable[Declared] = ()) -> None:
        self._watched = watched_of(device, hertz)
        self._samplers = [*_built_in(device), *declared]
        #: What went wrong in the window that was stopped last; its Series are what came.
        self.problems: tuple[str, ...] = ()
        self._launches = 0
        self._helper: _Helper | None = None
        self._launch()

    def start(self) -> None:
        """Open a window; returns when its first readings are taken."""
        self.problems = ()
        if self._launch():
            self._ask("start")

    def stop(self) -> tuple[Series, ...]:
        """Close the window with last readings, and give all of it; times are this process's `perf_counter_ns`."""
        helper, answer = self._helper, self._ask("stop")
        if helper is None or answer is None:
            return ()
        self.problems += tuple(answer["problems"])
        return tuple(
            Series(sampler, name, unit, tuple(at + helper.offset_ns for at in at_ns), tuple(values))
            for sampler, name, unit, at_ns, values in answer["series"]
        )

    def close(self) -> None:
        """End the process; samplers run their `finally`."""
        if self._helper is not None:
            self._helper.close()
            self._helper = None

    def _launch(self) -> bool:
        """Have a sampling process, unless too many were lost."""
        if self._helper is not None:
            return True
        if self._launches == _LAUNCHES:
            self.problems = (f"not sampled: the sampling process was lost {_LAUNCHES} times",)
            return False
        self._launches += 1
        try:
            self._helper = _Helper(self._watched, self._samplers)
        except OSError as error:
            self.problems = (f"not sampled: the sampling process could not start: {error}",)
        return self._helper is not None

    def _ask(self, command: str) -> Any:
        if self._helper is None:
            return None
        try:
            return self._helper.ask(command)
        except OSError as error:
            self.problems += (f"not sampled: {error}",)
            self.close()
            return None
        except BaseException:  # interrupted before the answer: it would be taken for that of the next command
            self.close()
            raise


def _built_in(device: Device) -> list[Declared]:
    """Those that fit the device and are there to be asked."""
    from .amd import amd
    from .apple import apple
    from .nvml import nvml
    from .process import process
    from .rapl import packages, rapl, why_unreadable

    of_host = [process, rapl] if packages() and not why_unreadable() else [process]
    if device.kind == "cuda" and _is_rocm():
        return [*of_host, amd]
    if device.kind == "cuda" and device.uuid:
        return [*of_host, nvml]
    return [*of_host, apple] if device.kind == "mps" else of_host


def _is_rocm() -> bool:
    """Whether torch's "cuda" is AMD's; torch is loaded where it found such a device."""
    version = getattr(sys.modules.get("torch"), "version", None)
    return getattr(version, "hip", None) is not None


def lacking(device: Device) -> str:
    """What could be sampled here if this account were allowed to, and how to allow it; "" where nothing is lacking.

    Only the CPU's: beside an accelerator, the host's joules are not what a bench is about.
    """
    from .rapl import why_unreadable

    return why_unreadable() if device.kind == "cpu" else ""


class _Helper:
    """The other end of the pipes: one line of JSON for each command. Every failure is an OSError."""

    def __init__(self, watched: Watched, samplers: Iterable[Declared]) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        try:
            # -P and our own path: the same modules as here, and nothing from the folder it happens to start in
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        except OSError:
            self._errors.close()
            raise
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="modelbench-sampling", daemon=True)
        self._reader.start()
        self._offset_ns: int | None = None
        self._config = {"watched": asdict(watched), "samplers": [_address(sampler) for sampler in samplers]}

    @property
    def offset_ns(self) -> int:
        """What its clock lacks to ours: 0 where the system has one monotonic clock for all (Linux, macOS, Windows).

        Found by asking for its time: an offset within the duration of the question cannot be told from none.
        """
        return self._offset_ns or 0

    def ask(self, command: str) -> Any:
        """The answer to a command; the first one also tells the process what to do and compares clocks."""
        if self._offset_ns is None:
            self._exchange(json.dumps(self._config))
            asked = time.perf_counter_ns()
            theirs = int(self._exchange("clock"))
            answered = time.perf_counter_ns()
            self._offset_ns = 0 if asked <= theirs <= answered else (asked + answered) // 2 - theirs
        return self._exchange(command)

    def close(self) -> None:
        """Ask it to end, and end it when it does not."""
        try:
            self._stdin.write(b"quit\n")
            self._stdin.close()
        except OSError:
            pass  # it is gone already
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._errors.close()

    def _exchange(self, line: str) -> Any:
        try:
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()
            answer = self._answers.get(timeout=_PATIENCE_SECONDS)
        except queue.Empty:
            raise TimeoutError(f"the sampling process did not answer within {_PATIENCE_SECONDS:.0f} s") from None
        except OSError:
            answer = b""
        if not answer:
            raise ConnectionError(f"the sampling process ended{self._last_words()}")
        return json.loads(answer)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.put(line)
        self._answers.put(b"")

    def _last_words(self) -> str:
        status = self._process.wait(timeout=2)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f" with status {status}" + (f": {lines[-1]}" if lines else "")


def _address(sampler: Declared) -> dict[str, str]:
    """Where the sampling process finds a sampler again."""
    function = sampler.function
    code = getattr(function, "__code__", None)
    return {"name": sampler.name, "module": function.__module__, "file": code.co_filename if code else ""}
