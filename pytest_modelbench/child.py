"""Child: a process that runs benches, or computes for one; what it says until it ends, and how it is ended.

It is told what to run, and what to do next, over its stdin, which stays open: when this process dies, the child reads
the end of it and ends too. It answers over its stdout, in pickled tuples that begin with a word.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import IO, Any

# Where modules come from is in the request, and the inside is run as a file: pytest itself imports this package there.
_START = (
    "import pickle, runpy, sys; request = pickle.load(sys.stdin.buffer); sys.path[:] = request['path']; "
    "runpy.run_path(request['inside'], {'request': request}, '__main__')"
)
# Chosen here: long enough to write down a stack or to close a file, short enough not to be noticed.
_GRACE_SECONDS = 3.0


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
    hint = " (the system does this when memory runs out)" if name == "SIGKILL" else ""
    return f"crashed: signal {name}{hint}"


class Child:
    """A process in a group of its own: what it started ends with it."""

    def __init__(self, request: dict[str, Any], errors: IO[bytes] | int | None) -> None:
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing
        self.process = subprocess.Popen(
            [sys.executable, *flags, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=request["folder"],
            env=os.environ | request.get("variables", {}),
            start_new_session=True,
        )
        self._messages: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="modelbench-isolation", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="modelbench-isolation-end", daemon=True)
        self._reader.start()
        self._watcher.start()
        assert self.process.stdin is not None
        # left open: when this process dies, even by kill -9, the child reads the end of it and ends too
        self._write(request)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # Ctrl-C here: as Ctrl-C there
            self.stop(signal.SIGINT)
        self._watcher.join(2 * _GRACE_SECONDS)  # no signal ends what hangs in a driver
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

    def tell(self, *message: Any) -> None:
        """Say what to do next."""
        self._write(message)

    def hear(self, seconds: float | None = None) -> tuple[Any, ...] | None:
        """The next thing it says; None when it has ended. Raises TimeoutError after `seconds` of silence."""
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if message is None:
            self._messages.put(None)  # for whoever asks again
        return message

    def _write(self, value: Any) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it is gone already, which is told by its exit status
            pickle.dump(value, self.process.stdin)
            self.process.stdin.flush()

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
