"""Apart: a stored baseline is read and judged by in a process of its own.

What reads it (pyarrow, numpy, the rows) would make the process that is measured 60 MB larger than the one that measured
the baseline was, and lay out its heap another way: a change of memory and time that no code made. Said in pickles over
two pipes, to a child that this process started.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ..errors import ModelbenchError, StoreError, UsageError
from ..record import Record
from ..verdict import Verdict, Verdicts
from .quantities import measured

# Chosen here: nothing is left to do for it when its pipe closes.
_LEAVE_SECONDS = 10.0


class Apart:
    """A baseline in another process. Raises UsageError or StoreError as `place.baseline_at` does."""

    def __init__(self, text: str, root: Path, suite: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        try:
            self._ask("open", text, root, suite)
        except ModelbenchError:
            self.close()
            raise

    def judge(self, record: Record, fail: str | None, strict: bool, required: bool) -> tuple[Verdict, ...]:
        """`stored.judge` of a Record; its raw numbers stay here."""
        found = self._ask("judge", _slim(record), fail, strict, required, measured(record))
        return cast("tuple[Verdict, ...]", found)

    def conclude(self, verdicts: Sequence[Verdict], records: Sequence[Record], whole: bool) -> Verdicts:
        """`stored.concluded` of a session; the process ends with it."""
        try:
            return cast(Verdicts, self._ask("conclude", verdicts, [_slim(record) for record in records], whole))
        finally:
            self.close()

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):  # it is gone already
            self._child.stdin.close()
        try:
            self._child.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()

    def _ask(self, *question: Any) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            pickle.dump(question, self._child.stdin)
            self._child.stdin.flush()
            kind, answer = pickle.load(self._child.stdout)
        except (OSError, EOFError, ValueError) as error:  # ValueError: the pipe was closed before
            raise StoreError("the process that reads the baseline has ended: its last lines are above") from error
        if kind == "answer":
            return answer
        raise (UsageError if kind == "usage" else StoreError)(answer)


def _slim(record: Record) -> Record:
    """Without what only numbers are made of."""
    timing = record.timing and replace(record.timing, rounds_seconds=(), started_ns=(), device_seconds=())
    return replace(record, timing=timing, tokens=None, samples=())


# -- the child


def main() -> None:
    """Answer until the parent has no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to hear; it still wants to conclude
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    baseline: Any = None
    while True:
        try:
            question, *rest = pickle.load(asked)
        except EOFError:
            return
        try:
            if question == "open":
                baseline, answer = _opened(*rest), None
            else:
                answer = _answer(baseline, question, *rest)
            said: tuple[str, Any] = ("answer", answer)
        except ModelbenchError as error:
            said = ("usage" if isinstance(error, UsageError) else "store", str(error))
        pickle.dump(said, answers)
        answers.flush()


def _opened(text: str, root: Path, suite: int) -> Any:
    from .place import baseline_at

    return baseline_at(text, root=root, suite=suite)


def _answer(baseline: Any, question: str, *rest: Any) -> Any:
    from .stored import concluded, judge

    if question == "judge":
        record, fail, strict, required, numbers = rest
        return judge(record, baseline, fail, strict, required, numbers)
    verdicts, records, whole = rest
    return concluded(verdicts, records, baseline, whole=whole)


if __name__ == "__main__":
    main()
