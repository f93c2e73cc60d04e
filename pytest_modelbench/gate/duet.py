"""Duet: one pair of fresh processes. Both visit the same benches in the same order, and take turns in short blocks.

At any moment one side works and the other waits in a pipe, so neither disturbs the other; who goes first is drawn for
each bench and block, half of the blocks each way. What a side is told, and says, is in `inside.py` and `conduct.py`.
"""

from __future__ import annotations

import math
import os
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any, Literal

from ..child import Child, ending
from ..stats import robust_error

Side = Literal["head", "base"]
SIDES: tuple[Side, Side] = ("head", "base")

# Chosen here: blocks long enough that a switch (0.1 ms of pipes) costs nothing, short enough that a disturbance of a
# second falls on both sides alike.
BLOCK_SECONDS = 0.04
# Chosen here: with ten blocks a median of their pairwise means ignores two that something disturbed. More would only
# repeat what the process is like: between processes medians differ by more than within one.
BLOCKS, LEAST_BLOCKS = 10, 4
# ... but on a machine so busy that blocks beside each other differ, a pair goes on, at most to three times as many,
# until its own error is a third of the least change that is called one (limits.LEAST_CHANGE_RATIO). What is looked at
# is the spread, never the change.
STEADY_RATIO, MOST_BLOCKS = 0.005, 30
# A switch was measured to cost the next call 4 to 11 % of some milliseconds: from this length on it is under 0.2 %,
# the same on both sides, and a dropped call would cost as much as a measured one.
DROP_UNDER_SECONDS = 0.25
# Chosen here: as much of an error as a person reads.
_LAST_CHARACTERS = 4000
# Chosen here: libraries take a moment to unload.
_LEAVE_SECONDS = 10.0


class Died(Exception):
    """A side ended in the middle of a pair."""

    def __init__(self, side: Side, how: str, said: str, number: int | None) -> None:
        super().__init__(f"{side}: {how}" + (f": {said.splitlines()[-1]}" if said else ""))
        self.side, self.how, self.said, self.number = side, how, said, number


@dataclass(frozen=True)
class Block:
    """One block of each side, next to each other in time: seconds of a call, and of the canary before it."""

    seconds: dict[Side, float]
    canary_seconds: dict[Side, float]

    @property
    def change(self) -> float:
        """log(head / base)."""
        return math.log(self.seconds["head"] / self.seconds["base"])


@dataclass
class Played:
    """What one pair says of one bench."""

    number: int
    blocks: list[Block] = field(default_factory=list)
    #: What each side's pytest reported, in plain data; empty for a side that does not have the bench.
    reports: dict[Side, list[dict[str, Any]]] = field(default_factory=lambda: {"head": [], "base": []})
    #: Seconds in blocks, the dropped calls and canaries with them.
    seconds: float = 0.0
    #: Whether the sides ran one after the other, because there was no room for both.
    swapped: bool = False


@dataclass(frozen=True)
class Plan:
    """How the rounds of a bench are cut: in each block so many, the first one dropped or not; who goes first.

    `mixed` says that rounds are of different calls; `most` is how many blocks there may be on a busy machine.
    """

    rounds: int
    drop: bool
    mixed: bool
    most: int
    order: tuple[tuple[Side, Side], ...]


def plan(round_seconds: float, items: int | None, most_seconds: float, random: Random) -> Plan:
    """Blocks for rounds of a length, within `most_seconds` of a side, but never fewer than four blocks.

    `items` rounds make a pass over different calls; both sides then see each of them at least once.
    """
    drop = round_seconds < DROP_UNDER_SECONDS
    rounds = max(1, math.ceil(BLOCK_SECONDS / max(round_seconds, 1e-9)))
    fit = int(most_seconds / ((rounds + drop) * max(round_seconds, 1e-9))) // 2 * 2
    blocks = min(max(fit, LEAST_BLOCKS), BLOCKS)
    if items is not None:
        rounds = max(rounds, math.ceil(items / blocks))
    order: list[tuple[Side, Side]] = [("head", "base"), ("base", "head")] * (blocks // 2)
    random.shuffle(order)
    return Plan(rounds, drop, items is not None, min(fit, MOST_BLOCKS), tuple(order))


def _cores() -> list[int]:
    """Cores that a block may run on; -1 where the system does not let one choose."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [-1]


class Duet:
    """A pair of processes, from their start to their end. Raises Died for a side that ends before it should."""

    def __init__(
        self,
        requests: dict[Side, dict[str, Any]],
        most_seconds: float,
        random: Random,
        patience_seconds: float | None = None,
        begins: Callable[[str, int], None] = lambda work, number: None,
    ) -> None:
        self._requests, self._most_seconds, self._random = requests, most_seconds, random
        self._patience_seconds, self._begins = patience_seconds, begins
        self._players: list[_Player] = []
        #: What a side could not collect, in its words.
        self.problems: dict[Side, list[str]] = {"head": [], "base": []}
        #: Modules that a side took from the other's folder.
        self.foreign: dict[Side, list[str]] = {"head": [], "base": []}
        #: Benches that a side has.
        self.numbers: dict[Side, set[int]] = {"head": set(), "base": set()}

    def play(self) -> Iterator[Played]:
        """Visit each bench, side by side."""
        try:
            players = self._start(self._shuffled(SIDES))
            for number in sorted(set().union(*self.numbers.values())):
                yield self._both(number, players)
            self._end(players)
        finally:
            self.stop()

    def play_swapped(self) -> Iterator[Played]:
        """Visit each bench, one side after the other: there is no room for both at once."""
        played: dict[int, Played] = {}
        plans: dict[int, Plan] = {}
        values: dict[int, dict[Side, list[tuple[float, float]]]] = {}
        try:
            for side in self._shuffled(SIDES):
                (player,) = self._start([side])
                for number in sorted(player.numbers):
                    found = played.setdefault(number, Played(number, swapped=True))
                    values.setdefault(number, {})[side] = self._alone(player, number, plans, found)
                self._end([player])
                player.close()
        finally:
            self.stop()
        for number, found in played.items():
            of = values[number]
            if len(of) == len(SIDES):
                for head, base in zip(of["head"], of["base"], strict=False):
                    found.blocks.append(Block({"head": head[0], "base": base[0]}, {"head": head[1], "base": base[1]}))
            yield found

    def stop(self) -> None:
        """End what still runs."""
        for player in self._players:
            player.close()

    # -- the steps of it

    def _start(self, sides: Sequence[Side]) -> list[_Player]:
        self._begins("set-up", -1)
        players = [_Player(side, self._requests[side], self._patience_seconds) for side in sides]
        self._players += players
        for player in players:
            _, numbers = player.until("items")
            player.numbers = set(numbers)
            self.numbers[player.side], self.problems[player.side] = player.numbers, player.problems
        return players

    def _end(self, players: Sequence[_Player]) -> None:
        for player in players:
            _, self.foreign[player.side] = player.until("foreign")
            player.complete = True

    def _both(self, number: int, players: Sequence[_Player]) -> Played:
        played = Played(number)
        here = [player for player in self._shuffled(players) if number in player.numbers]
        ready = {player.side: said for player in here if (said := self._set_up(player, number))}
        if len(ready) == len(SIDES):
            self._begins("timing", number)
            self._conduct(here, ready, played)
        for player in here:
            if player.side in ready:
                player.tell("done" if len(ready) == len(SIDES) else "free")
            self._finish(player, played)
        return played

    def _set_up(self, player: _Player, number: int) -> tuple[float, int, int | None] | None:
        """What a side is ready for; None where its bench ended without asking for rounds."""
        self._begins("set-up", number)
        player.number = number
        player.until("item")
        player.tell("go")
        said = player.until("ready", "item", "foreign")
        if said[0] == "ready":
            return said[1], said[2], said[3]
        player.take_back(said)
        return None

    def _conduct(
        self, players: Sequence[_Player], ready: dict[Side, tuple[float, int, int | None]], to: Played
    ) -> None:
        loops = max(loops for _, loops, _ in ready.values())
        seconds = max(seconds for seconds, _, _ in ready.values()) * loops
        of = {player.side: player for player in players}
        for player in players:
            player.tell("loops", loops)
        cut = plan(seconds, ready["head"][2], self._most_seconds, self._random)
        began, cores = perf_counter(), _cores()
        for order in self._orders(cut, to.blocks):
            core = self._random.choice(cores)
            said = {side: of[side].block(cut, core) for side in order}
            if None in said.values():
                break
            values = {side: value for side, value in said.items() if value is not None}
            to.blocks.append(Block({s: v[0] for s, v in values.items()}, {s: v[1] for s, v in values.items()}))
        to.seconds = perf_counter() - began

    def _orders(self, cut: Plan, blocks: Sequence[Block]) -> Iterator[tuple[Side, Side]]:
        """Who goes first in each block; the plan again and again while the blocks so far are far from steady."""
        yield from cut.order
        while len(blocks) < cut.most and robust_error([block.change for block in blocks]) > STEADY_RATIO:
            yield from self._shuffled(cut.order)

    def _alone(self, player: _Player, number: int, plans: dict[int, Plan], to: Played) -> list[tuple[float, float]]:
        """All blocks of one side; the first side's lengths make the plan of both."""
        found: list[tuple[float, float]] = []
        if ready := self._set_up(player, number):
            self._begins("timing", number)
            seconds, loops, items = ready
            player.tell("loops", loops)
            cut = plans.setdefault(number, plan(seconds * loops, items, self._most_seconds, self._random))
            began, cores = perf_counter(), _cores()
            for _ in cut.order:
                value = player.block(cut, self._random.choice(cores))
                if value is None:
                    break
                found.append(value)
            to.seconds += perf_counter() - began
            player.tell("done")
        self._finish(player, to)
        return found

    def _finish(self, player: _Player, to: Played) -> None:
        """Let a side end its bench; what it reports is of this bench."""
        player.take_back(player.until("item", "foreign"))
        to.reports[player.side], player.reports = player.reports, []
        player.number = None

    def _shuffled(self, values: Sequence[Any]) -> list[Any]:
        return self._random.sample(list(values), len(values))


class _Player:
    """One side's process, and what it said that is not yet asked for."""

    def __init__(self, side: Side, request: dict[str, Any], patience_seconds: float | None) -> None:
        self.side, self._patience_seconds = side, patience_seconds
        self.numbers: set[int] = set()
        self.number: int | None = None
        self.reports: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.complete = False
        self._back: list[tuple[Any, ...]] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self._child = Child(request, self._errors)
        self.tell = self._child.tell

    def until(self, *words: str) -> tuple[Any, ...]:
        """The next message that begins with one of the words. Raises Died when it ends instead."""
        while True:
            message = self._back.pop() if self._back else self._hear()
            if message[0] in words:
                return message
            if message[0] == "report":
                self.reports.append(message[1])
            elif message[0] == "problem":
                self.problems.append(f"{message[2]}: {message[1]}")

    def take_back(self, message: tuple[Any, ...]) -> None:
        """Keep a message for the next `until`."""
        self._back.append(message)

    def block(self, cut: Plan, core: int) -> tuple[float, float] | None:
        """Seconds of a call in one block on a core, and of the canary; None where the bench ended in it."""
        self.tell("block", cut.rounds, cut.drop, core)
        said = self.until("block", "item", "foreign")
        if said[0] == "block":
            # the middle of rounds that are alike; of unlike ones all count
            value = statistics.fmean(said[1]) if cut.mixed else statistics.median(said[1])
            return value, said[2]
        self.take_back(said)
        return None

    def _hear(self) -> tuple[Any, ...]:
        try:
            message = self._child.hear(self._patience_seconds)
        except TimeoutError:
            self._child.stop(getattr(signal, "SIGUSR1", signal.SIGTERM))
            raise Died(self.side, f"timed out after {self._patience_seconds:g} s", "", self.number) from None
        if message is None:
            status = self._child.process.wait()
            said = self.problems[0] if self.problems else self._said()
            raise Died(self.side, ending(status), said, self.number)
        return message

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-_LAST_CHARACTERS:]

    def close(self) -> None:
        """End the process, if it did not, and all that it started."""
        if self._errors.closed:
            return
        if self.complete:
            with suppress(subprocess.TimeoutExpired):
                self._child.process.wait(_LEAVE_SECONDS)
        self._child.__exit__(KeyboardInterrupt if self._child.process.poll() is None else None)
        self._errors.close()
