"""Progress: which bench runs, how far it is, and the time left, on the terminal while the session works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

import pytest

from .session import LONG_WAIT_SECONDS, SESSION

PROGRESS = pytest.StashKey["Progress"]()
# In pytest's cache: how long each bench took last time.
_PAST_SECONDS = "modelbench/seconds"

# Chosen here: fast enough to feel alive; rare enough to cost nothing and, in a log, to be read.
_TERMINAL_EVERY_SECONDS = 0.5
_LOG_EVERY_SECONDS = 10.0


def progress_of(config: pytest.Config, benches: list[str]) -> Progress:
    """The progress of a session: on its terminal, with what its cache knows of earlier ones."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    cache = getattr(config, "cache", None)  # none under -p no:cacheprovider
    past = cache.get(_PAST_SECONDS, {}) if cache else {}
    return Progress(
        writer=config.get_terminal_writer() if reporter else None,
        live=bool(reporter and reporter.isatty),
        uncaptured=capture.global_and_fixture_disabled if capture else nullcontext,
        past_seconds=past,
        remember_in=(lambda seconds: cache.set(_PAST_SECONDS, seconds)) if cache else (lambda seconds: None),
        waiting=list(benches),
        in_turn=config.stash[SESSION].settings.against is None,
    )


def waits_of_worker(config: pytest.Config) -> Callable[[str], None]:
    """What a worker of xdist, which has no terminal, does with a wait: each minute of it is a line of its stderr."""
    word_at: float | None = None

    def tell(text: str) -> None:
        nonlocal word_at
        now = monotonic()
        word_at = (word_at or now + LONG_WAIT_SECONDS) if text else None
        if word_at is not None and now >= word_at:
            word_at = now + LONG_WAIT_SECONDS
            capture = config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                print(f"[{config.stash[SESSION].settings.worker}] {text}", file=sys.stderr, flush=True)

    return tell


class Progress:
    """One line that is rewritten on a terminal; in a log a plain line, at most one each ten seconds."""

    def __init__(
        self,
        writer: Any,
        live: bool,
        uncaptured: Callable[[], AbstractContextManager[None]],
        past_seconds: Mapping[str, float],
        remember_in: Callable[[dict[str, float]], None],
        waiting: list[str],
        in_turn: bool = True,
    ) -> None:
        self.writer, self.live, self.uncaptured, self.past_seconds = writer, live, uncaptured, past_seconds
        self.remember_in, self.waiting = remember_in, waiting
        #: Whether benches run one after the other; pairs visit all of them again and again, and tell the time left.
        self.in_turn = in_turn
        self.done_seconds: dict[str, float] = {}
        self._written_at = self._started_at = monotonic()
        self._line_open = False

    def begin(self) -> None:
        """A bench starts."""
        self._started_at = monotonic()

    def remember(self) -> None:
        """Keep how long each bench took, for the next session's estimate."""
        self.remember_in({**self.past_seconds, **self.done_seconds})

    def end(self, nodeid: str, seconds: float) -> None:
        """A bench is done."""
        self.clear()
        self.done_seconds[nodeid] = seconds
        if nodeid in self.waiting:
            self.waiting.remove(nodeid)

    def tell(self, what: str, phase: str, share: float | None) -> None:
        """Say where the running bench is, if it is time to say something."""
        now = monotonic()
        if self.writer is None:
            return
        every = _TERMINAL_EVERY_SECONDS if self.live else _LOG_EVERY_SECONDS
        if now - self._written_at < every:
            return
        self._written_at = now
        total = len(self.waiting) + len(self.done_seconds)
        at = f"[{len(self.done_seconds) + 1}/{total}] " if total else ""
        percent = f" {share:.0%}" if share is not None else ""
        self._write(f"{at}{what} {phase}{percent}{self._left()}".strip())

    def left_seconds(self) -> float | None:
        """Expected seconds to the end: as last time, or this session's mean; None unless known."""
        done = self.done_seconds.values()
        usual = sum(done) / len(done) if done else None
        expected = [self.past_seconds.get(nodeid, usual) for nodeid in self.waiting]
        if not expected or None in expected:
            return None
        running, *others = [seconds for seconds in expected if seconds is not None]
        return max(running - (monotonic() - self._started_at), 0.0) + sum(others)

    def _left(self) -> str:
        seconds = self.left_seconds() if self.in_turn else None
        if not seconds:  # unknown, or the last bench takes longer than it did
            return ""
        return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"

    def _write(self, text: str) -> None:
        with self.uncaptured():
            if not self.live:
                self.writer.line(text)
                return
            text = text[: max(self.writer.fullwidth - 1, 1)]
            self.writer.write(("\r" if self._line_open else "\n") + "\x1b[K" + text, flush=True)
            self._line_open = True

    def clear(self) -> None:
        """Take the line off the terminal, so that others can write."""
        if self._line_open:
            with self.uncaptured():
                self.writer.write("\r\x1b[K", flush=True)
            self._line_open = False
