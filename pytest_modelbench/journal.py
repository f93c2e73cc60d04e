"""The journal: each Record on the disk as it arrives, so that `kill -9` costs the running bench and no other.

A session has one file of JSON lines. While its process lives it holds the lock beside it; a journal whose lock is
free was left by a process that died, and the next session recovers it. A line is a Record, or an environment that the
Records after it refer to by number: environments are large, and mostly one a session.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from .errors import StoreError
from .files import ignored_folder, written_to
from .record import SCHEMA, Record, from_dict

if TYPE_CHECKING:
    from filelock import BaseFileLock


# Chosen here: a disk takes 0.5 to 10 ms to confirm, and only a power cut, never a killed process, needs it to.
_CONFIRM_EVERY_SECONDS = 1.0


class Journal:
    """The Records of one session on their way to the stores. Raises StoreError where it cannot be written."""

    def __init__(self, folder: Path, session: str) -> None:
        self.path = folder / f"{session}.jsonl"
        self._environments: list[dict[str, Any]] = []
        with written_to(self.path, "the journal"):
            ignored_folder(folder)
            lock = _locked(self.path)
            if lock is None:
                raise StoreError(f"the journal {self.path} belongs to a running session; give this one another name")
            self._lock = lock
            self._file = self.path.open("ab")
            self._confirm_at = -inf
            self._file.write(_line({"schema": SCHEMA}))

    def append(self, record: Record) -> None:
        """Hand one Record to the system: a killed process does not lose it, a power cut loses at most a second's.

        Raises StoreError where it cannot be written.
        """
        with written_to(self.path, "the journal"):
            if record.environment not in self._environments:
                self._environments.append(record.environment)
                self._file.write(_line({"environment": record.environment}))
            number = self._environments.index(record.environment)
            # the fields of a dataclass are its variables; json walks them ten times as fast as `to_dict` does
            self._file.write(_line({"record": vars(record) | {"environment": number}}))
            self._file.flush()
            if monotonic() >= self._confirm_at:
                os.fsync(self._file.fileno())
                self._confirm_at = monotonic() + _CONFIRM_EVERY_SECONDS

    def close(self, keep: bool = False) -> None:
        """Forget the session, for its Records are in the stores; or `keep` it for the next session to recover."""
        with written_to(self.path, "the journal"):
            self._file.close()
            if keep:
                self._lock.release()
            else:
                _remove(self.path, self._lock)


def recover(
    folder: Path, say: Callable[[str], None] = lambda line: print(line, file=sys.stderr)
) -> list[tuple[str, list[Record]]]:
    """The Records of sessions that died, oldest first: store them, then `discard` each session.

    Journals of running sessions are left alone, and so is one of a newer version; what is dropped is said. Until it is
    discarded a recovered journal is locked, so that two sessions that start at once do not both store it.
    """
    recovered = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            lock = _locked(path)
            if lock is None:
                continue
            records = _read(path, say)
        except (OSError, StoreError) as error:
            say(f"journal left alone: {error}")
            continue
        _recovered[path] = lock
        if records:
            recovered.append((path.stem, records))
        else:
            discard(folder, path.stem)
    return recovered


def discard(folder: Path, session: str) -> None:
    """Forget a recovered session: its Records are in the stores."""
    path = folder / f"{session}.jsonl"
    lock = _recovered.pop(path, None)
    if lock is not None:
        with written_to(path, "the journal"):
            _remove(path, lock)


#: Locks of recovered journals that are not yet discarded, by the journal's path.
_recovered: dict[Path, BaseFileLock] = {}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=vars).encode() + b"\n"


def _locked(path: Path) -> BaseFileLock | None:
    """The lock of a journal, held; None where another process holds it. The system frees it when the process dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _remove(path: Path, lock: BaseFileLock) -> None:
    # the journal goes first: a lock without a journal is nothing, a journal without its lock would be recovered
    path.unlink(missing_ok=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)


def _read(path: Path, say: Callable[[str], None]) -> list[Record]:
    records: list[Record] = []
    environments: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            entry = json.loads(line)
            if entry.get("schema", SCHEMA) > SCHEMA:
                raise StoreError(f"{path} has schema {entry['schema']}, newer than {SCHEMA}; upgrade pytest-modelbench")
            if "environment" in entry:
                environments.append(entry["environment"])
            elif "record" in entry:
                entry["record"]["environment"] = environments[entry["record"]["environment"]]
                records.append(from_dict(entry["record"]))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            say(f"{path}, line {number}: dropped, for it cannot be read ({error})")
    return records
