"""Quiet: on one host, timed rounds and another process's set-up keep out of each other's way.

A process does one kind of work at a time: it sets up (loads, exports, compiles: every core), it times on the CPU, or it
times on a device. Any number of processes may do one kind at once, and two kinds never: a model that loads beside them
makes timed rounds up to 2.5 times as long. Timing on the CPU also keeps away from timing on a device, whose host side
runs on the same cores. Several set-ups, and timings on several devices, go on side by side.

Each process has a file that says what it is at, and beside it a lock that the system frees when it dies. Who begins
while others are here takes the turn first, a lock of all, and keeps it until no other kind is at work. So nobody
overtakes, and nobody waits for ever: those at work end without needing the turn. A process that is alone says what it
is at, sees that nobody is here, and begins; who comes then is here before it looks at what others are at, so one of the
two sees the other. Nothing is asked or done within rounds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from .device import private_folder, shared_folder, work_of

if TYPE_CHECKING:
    from filelock import BaseFileLock

Work = Literal["set-up", "timing-cpu", "timing-device"]

# Chosen here, as for a lease: ten looks a second cost nothing, and a wait is explained before anyone wonders.
_LOOK_EVERY_SECONDS = 0.1
_FIRST_WORD_SECONDS, _WORD_EVERY_SECONDS = 1.0, 10.0
# Chosen here: longer than a large model takes to load or compile; a set-up that hangs must not stop others for ever.
PATIENCE_SECONDS = 600.0
# Chosen here: the name of any bench.
_WORK_BYTES = 250


class Quiet:
    """What this process is at, against what the others of this host are at."""

    def __init__(
        self,
        waiting: Callable[[str], None] = lambda text: None,
        folder: Path | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._waiting, self._patience_seconds = waiting, patience_seconds
        self._folder = folder or shared_folder()
        self._work: Work | None = None
        self._lock: BaseFileLock | None = None
        self._file: IO[bytes] | None = None

    def begin(self, work: Work, bench: str) -> str:
        """Begin one kind of work, ending the one before; wait until nobody on the host does another kind.

        Returns what to note: nothing, or who still worked when patience ended, for then it begins all the same.
        `waiting` is told for whom we wait, and an empty text when we wait no more.
        """
        if work == self._work:
            return ""
        said = ""
        self._say(work, bench)
        if self._file is None or self._others():
            self._say()
            said = self._begin_in_turn(work, bench)
        self._work = work
        return said

    def end(self) -> None:
        """End the work that was begun, if any."""
        self._work = None
        self._say()

    def leave(self) -> None:
        """End the work, and be here no more."""
        self.end()
        if self._file is not None and self._lock is not None:
            self._file.close()
            _remove(self._lock)
        self._file = self._lock = None

    def _begin_in_turn(self, work: Work, bench: str) -> str:
        from filelock import FileLock

        turn = FileLock(private_folder(self._folder) / "turn.lock", thread_local=False)
        words = _Words(self._waiting, self._patience_seconds)
        try:
            while not _taken(turn) and words.patient(self._at_odds(work, sure=False)):
                pass
            self._be_here()
            while (others := self._at_odds(work, sure=turn.is_locked)) and words.patient(others):
                pass
            self._say(work, bench)
        finally:
            turn.release()
            words.end()
        return words.last if words.patience_ended else ""

    def _be_here(self) -> None:
        from filelock import FileLock

        if self._file is None:
            self._lock = FileLock(self._folder / f"at-{os.getpid()}.lock", thread_local=False)
            self._lock.acquire()
            self._file = Path(self._lock.lock_file).with_suffix(".work").open("wb", buffering=0)

    def _say(self, work: str = "", bench: str = "") -> None:
        if self._file is not None:
            self._file.seek(0)
            self._file.write(f"{work} {bench}".encode()[:_WORK_BYTES].ljust(_WORK_BYTES))  # one write: never read half

    def _others(self) -> list[Path]:
        """The lock of each other process that is or was here."""
        ours = f"at-{os.getpid()}.lock"
        names = (name for name in os.listdir(self._folder) if name.startswith("at-") and name.endswith(".lock"))
        return [self._folder / name for name in names if name != ours]

    def _at_odds(self, work: Work, sure: bool) -> list[str]:
        """Who is at another kind of work, in words. Who holds the turn is sure, for it removes what the dead left."""
        from filelock import FileLock

        found = []
        for path in self._others():
            lock = FileLock(path, thread_local=False)
            if sure and _taken(lock):
                _remove(lock)
                continue
            pid = path.stem.removeprefix("at-")
            theirs, bench = work_of(pid, self._folder)
            if theirs not in ("", work):
                found.append(f"{theirs} of pid {pid} ({bench})")
        return found


class _Words:
    """How long we wait, and what is said of it."""

    def __init__(self, waiting: Callable[[str], None], patience_seconds: float) -> None:
        self.last, self.patience_ended = "", False
        self._waiting, self._patience_seconds = waiting, patience_seconds
        self._began = time.monotonic()
        self._word_at = self._began + _FIRST_WORD_SECONDS

    def patient(self, others: list[str]) -> bool:
        """Wait for a moment; False when there was enough waiting."""
        now = time.monotonic()
        self.last = "waiting for " + (" and ".join(others) or "a turn")
        self.patience_ended = now - self._began >= self._patience_seconds
        if now >= self._word_at:
            self._word_at = now + _WORD_EVERY_SECONDS
            self._waiting(self.last)
        if not self.patience_ended:
            time.sleep(_LOOK_EVERY_SECONDS)
        return not self.patience_ended

    def end(self) -> None:
        if self.last:
            self._waiting("")


def _taken(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _remove(lock: BaseFileLock) -> None:
    """Remove the files of a process that is here no more; we hold its lock."""
    path = Path(lock.lock_file)
    path.with_suffix(".work").unlink(missing_ok=True)
    with suppress(OSError):  # where a locked file cannot be removed it stays, free
        path.unlink()
    lock.release()
