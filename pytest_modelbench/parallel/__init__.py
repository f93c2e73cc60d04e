"""Parallel: one model computed by several processes, the ranks, of which this process is the first.

    group.py      how ranks find each other, and what carries their collectives
    __init__.py   Ranks: the other processes; how they are told what to do, watched and ended
    decoder.py    RanksDecoder: each call of a text model made by all ranks
    inside.py     the inside of such a process

Ranks make the same calls, not the same forwards: they are told once a call what to generate, and meet only where the
layers meet. A rank that ends or raises is seen at once by a thread of its own, and whoever waits for it is freed.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from ..child import Child, ending
from ..errors import Lost
from ..memory import ran_out
from . import group
from .group import Seat

if TYPE_CHECKING:
    from ..device import Device
    from ..record import Memory
    from ..settings import Settings

# Chosen here: to start Python and import torch and transformers takes 5 to 20 s, on a slow disk minutes.
START_SECONDS = 300.0
# Chosen here: ranks read parts of one size from one disk; one that takes so much longer than ours hangs.
READ_SECONDS = 900.0
# Chosen here: a rank answers between calls, so at once.
ANSWER_SECONDS = 60.0
# Chosen here: a rank that is lost closes its connections some milliseconds before its end is seen.
_BLAME_SECONDS = 5.0
# Chosen here: an end takes a rank a tenth of a second.
_KIND_SECONDS = 10.0
_LAST_LINES = 15
_LOOK_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class Opening:
    """What a rank opens: the same model, run the same way, in parts."""

    source: str
    #: Variants that were applied before, which say what weights are read as and how attention is computed.
    variant: str
    #: What reading is asked for beside that.
    options: dict[str, Any]
    settings: Settings
    #: The rank's own.
    device: Device
    #: Threads of a rank on the CPU; None where its device computes.
    threads: int | None


@dataclass(eq=False)
class _Other:
    """Another rank: its process, and what it said."""

    seat: Seat
    child: Child
    #: What its process wrote to stderr.
    errors: IO[bytes]
    answers: queue.SimpleQueue[tuple[Any, ...]] = field(default_factory=queue.SimpleQueue)

    def last_words(self) -> str:
        """The end of what its process wrote, once it writes no more: its place in the file is ours too."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-_LAST_LINES:])


@dataclass(frozen=True)
class _Loss:
    """Why ranks are no more."""

    said: str
    last_words: str = ""
    out_of_memory: bool = False

    def error(self) -> Lost | MemoryError:
        """It as an error, a new one each time."""
        error = MemoryError(self.said) if self.out_of_memory else Lost(self.said)
        if self.last_words:
            error.add_note(f"its process wrote at last:\n{self.last_words}")
        return error


class Ranks:
    """The other ranks of a model; alive from `start` until one, or this one, fails; then to be started anew."""

    def __init__(self, devices: Sequence[str], backend: str) -> None:
        self.devices, self.backend = tuple(devices), backend
        self.seats: tuple[Seat, ...] = ()
        #: What the other ranks say of what they read.
        self.parts: list[dict[str, Any]] = []
        #: The groups in which they meet, once the module is read.
        self.groups: list[Any] = []
        #: The first thing that went wrong; nothing as long as all is well.
        self._loss: _Loss | None = None
        self._loss_told = False
        self._noticed = threading.Event()
        self._lock, self._giving_up = threading.Lock(), threading.Lock()
        self._given_up = False
        self._ended, self._joined = True, False
        self._others: list[_Other] = []
        self._held = ExitStack()

    @property
    def ended(self) -> bool:
        """Whether nothing can be told to them any more."""
        return self._ended or self._loss is not None

    # -- from start to end

    def start(self) -> None:
        """Start a process for each but the first, which is this one; they import what they need."""
        self._loss, self._loss_told, self._ended, self._joined = None, False, False, False
        self._others, self._noticed, self._given_up = [], threading.Event(), False
        folder = tempfile.TemporaryDirectory(prefix="modelbench-ranks-", ignore_cleanup_errors=True)
        meeting = str(Path(self._held.enter_context(folder)) / "meeting")
        self.seats = tuple(
            Seat(rank, len(self.devices), device, self.backend, meeting) for rank, device in enumerate(self.devices)
        )
        for seat in self.seats[1:]:
            errors = self._held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # closed with the rest
            other = _Other(seat, self._held.enter_context(Child(_request(seat), errors)), errors)
            self._others.append(other)
            threading.Thread(target=self._listen, args=(other,), name=f"modelbench-{seat.rank}", daemon=True).start()

    def join(self, openings: Sequence[Opening]) -> None:
        """Take the first seat when the others are ready for theirs, each with its opening; then they read their parts.

        What can go wrong goes wrong before: who waits at the meeting waits long.
        """
        for other, opening in zip(self._others, openings, strict=True):
            self._answer(other, START_SECONDS, "did not start")  # it hears nothing before it says so
            other.child.tell("open", other.seat, opening)
        for other in self._others:
            self._answer(other, START_SECONDS, "did not open its model")
        self.tell("join")
        with self.together():
            group.join(self.seats[0])
            self._joined = True

    def wait_for_parts(self) -> None:
        """Take in what each other rank says of its part, once it has read it."""
        self.parts = [self._answer(other, READ_SECONDS, "did not read its part") for other in self._others]

    def end(self, why: str = "") -> None:
        """End the processes and leave the group; kindly, unless something went wrong."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if why and self._loss is None:
                self._loss, self._loss_told = _Loss(why), True
        for other in self._others:
            if self._loss is None:
                other.child.tell("end")
            else:
                other.child.stop(getattr(signal, "SIGKILL", signal.SIGTERM))
        if self._joined:
            if self._loss is not None:
                self._give_up()
            group.leave()
        self.groups = []
        for other in self._others:
            try:
                other.child.process.wait(_KIND_SECONDS)
            except subprocess.TimeoutExpired:
                other.child.stop(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._held.close()

    def clear(self) -> None:
        """Put away what is left of lost ranks, so that others can be started.

        Raises what they were lost by where nobody was told: they were lost between two calls.
        """
        self.end()
        if self._loss is not None and not self._loss_told:
            raise self._told(self._loss)

    def _told(self, loss: _Loss) -> Lost | MemoryError:
        self._loss_told = True
        return loss.error()

    # -- a call

    def tell(self, *message: Any) -> None:
        """Tell all others what to do next. Raises what they were lost by."""
        if self._loss is not None:
            raise self._told(self._loss)
        for other in self._others:
            other.child.tell(*message)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What all ranks do at once. An error in it leaves the others waiting, so it is the end of them.

        Raises Lost, or MemoryError where a rank has no more of it, where not this rank is to blame.
        """
        whole = False
        try:
            yield
            whole = True
        except RuntimeError as error:
            if ran_out(error) or not group.in_a_collective(error.__traceback__):
                raise
            self._noticed.wait(_BLAME_SECONDS)
            loss = self._loss or _Loss(f"{self.seats[0]} waited in vain: {_first_line(error)}")
            raise self._told(loss) from error
        finally:
            if not whole:
                self.end(f"{self.seats[0]} raised within a call, and the other ranks were ended with it")
        if self._loss is not None:  # a collective that was given up returns as if it were done
            self.end()
            raise self._told(self._loss)

    def ask(self, *message: Any) -> list[dict[str, Any]]:
        """What each other rank answers, between calls."""
        self.tell(*message)
        return [self._answer(other, ANSWER_SECONDS, f"does not answer {message[0]!r}") for other in self._others]

    def forget(self) -> None:
        """Have the others forget their memory's peaks."""
        if not self.ended:
            self.tell("forget")

    def peaks(self) -> list[tuple[str, Memory]]:
        """The device of each other, and the memory that it took since; none when they were lost."""
        return [] if self.ended else list(zip(self.devices[1:], (s["memory"] for s in self.ask("state")), strict=True))

    # -- what they say

    def _answer(self, other: _Other, seconds: float, wrong: str) -> dict[str, Any]:
        until = monotonic() + seconds
        while self._loss is None:
            with suppress(queue.Empty):
                return dict(other.answers.get(timeout=_LOOK_EVERY_SECONDS)[1])
            if monotonic() > until:
                self._lose(other, f"{wrong} within {seconds:g} s")
        self.end()
        raise self._told(self._loss)

    def _listen(self, other: _Other) -> None:
        """Hear a rank until it ends: what it answers, and what goes wrong with it."""
        while (message := other.child.hear()) is not None:
            if message[0] == "raised":
                _, said, out_of_memory = message
                self._lose(other, f"raised {said}", out_of_memory)
            else:
                other.answers.put(message)
        self._lose(other, f"ended: {ending(other.child.process.wait())}")

    def _lose(self, other: _Other, what: str, out_of_memory: bool = False) -> None:
        """Note what went wrong first, and free whoever waits for that rank."""
        with self._lock:
            if self.ended:
                return
            self._loss = _Loss(f"{other.seat} {what}", other.last_words(), out_of_memory)
        self._give_up()
        self._noticed.set()

    def _give_up(self) -> None:
        """Free whoever waits in a collective: once, and whoever asks for it a second time waits until it is done."""
        with self._giving_up:
            if not self._given_up:
                self._given_up = True
                group.give_up(self.groups)


def _request(seat: Seat) -> dict[str, Any]:
    """What a rank's process must know before it can import this package, in plain values."""
    return {
        "inside": str(Path(__file__).with_name("inside.py")),
        "path": list(sys.path),
        "folder": os.getcwd(),
        # what this process has read of the hub is in its cache, and is to be the same there
        "variables": {"LOCAL_RANK": seat.device.partition(":")[2] or "0", "HF_HUB_OFFLINE": "1"},
    }


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
