"""Playing: pairs of processes for some benches, in lanes, each on a device of its own; what they tell is handed on."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pytest

from .collect import axis_values, built_for
from .errors import Unavailable
from .gate import pairs
from .gate.duet import SIDES, Died, Duet, Played, Side
from .gate.sides import Against
from .gate.versus import Compared
from .pairing import Lanes, Roots, side_request
from .session import SESSION
from .verdict import Verdict

if TYPE_CHECKING:
    from .device import Device

# Chosen here: a Ctrl-C is heard as soon, and waiting costs nothing.
_LOOK_EVERY_SECONDS = 0.1


@dataclass(eq=False)
class Bench:
    """A bench on its way to its verdict."""

    number: int
    item: pytest.Item
    compared: Compared
    said: pairs.Said = "open"
    #: Whether it was suspected of being slower: its pairs from then on are fresh ones.
    suspected: bool = False
    #: Pairs that were played when that was last asked.
    screened_with: int = 0
    #: Why nothing more can be learnt of it.
    ended: str = ""
    deaths: int = 0
    #: Whether the sides run one after the other, for want of room for both.
    swapped: bool = False
    #: What pytest said of it at the head, in its first pair.
    reports: list[pytest.TestReport] = field(default_factory=list)
    reported: bool = False
    verdicts: tuple[Verdict, ...] = ()

    @property
    def open(self) -> bool:
        """Whether more pairs are wanted."""
        return self.said == "open" and not self.ended


class Listener(Protocol):
    """Who is told, in the thread that asked for a round, what its pairs came to."""

    def played(self, bench: Bench, played: Played, fresh: bool) -> None:
        """A pair visited a bench."""

    def visited(self, part: Sequence[Bench], duet: Duet) -> None:
        """A pair came to its end."""

    def died(self, part: Sequence[Bench], died: Died) -> None:
        """A pair ended before its end."""

    def absent(self, part: Sequence[Bench], absent: Unavailable) -> None:
        """The device is not here."""


class Playing:
    """Plays rounds: in each, one pair for every bench that is given."""

    def __init__(self, config: pytest.Config, base: Against, lanes: int, listener: Listener) -> None:
        self.config, self.base, self.lanes, self._listener = config, base, lanes, listener
        self.session = config.stash[SESSION]
        self.settings = self.session.settings
        self.root = self.base_root = self.settings.root.resolve()
        self.pairs_played = 0
        self._random = Random(os.urandom(16))
        self._began = monotonic()
        self._bench_seconds = 0.0
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._duets: dict[int, Duet] = {}
        self._stopping = False
        self._quiet = Lanes(self._wait)

    def late(self) -> bool:
        """Whether the budget is spent."""
        budget = self.settings.budget_seconds
        return budget is not None and monotonic() - self._began >= budget

    def round(self, benches: Sequence[Bench]) -> None:
        """Play one pair for each of some benches, in as many pairs at once as there are lanes."""
        self.pairs_played += 1
        self._tell(benches)
        began = monotonic()
        parts: queue.SimpleQueue[list[Bench]] = queue.SimpleQueue()
        for part in self._parts(benches):
            parts.put(part)
        lanes = [threading.Thread(target=self._lane, args=(parts,), daemon=True) for _ in range(self.lanes)]
        for lane in lanes:
            lane.start()
        while any(lane.is_alive() for lane in lanes) or not self._events.empty():
            with suppress(queue.Empty):
                self._events.get(timeout=_LOOK_EVERY_SECONDS)()
        self._bench_seconds = (monotonic() - began) / max(len(benches), 1)

    def _parts(self, benches: Sequence[Bench]) -> Iterator[list[Bench]]:
        """What may be played at once: by device; where any CUDA device will do, lanes share it by model."""
        by_device: dict[str, list[Bench]] = {}
        for bench in benches:
            by_device.setdefault(_device_of(bench), []).append(bench)
        for asked, group in by_device.items():
            lanes = 1 if asked == "cpu" or ":" in asked else self.lanes
            built = [built_for(bench.item) or (bench.item.nodeid,) for bench in group]
            places = {key: at % lanes for at, key in enumerate(dict.fromkeys(built))}
            for lane in range(lanes):
                mine = [bench for bench, key in zip(group, built, strict=True) if places[key] == lane]
                if together := [bench for bench in mine if not bench.swapped]:
                    yield together
                yield from ([bench] for bench in mine if bench.swapped)

    def _lane(self, parts: queue.SimpleQueue[list[Bench]]) -> None:
        """Play pairs until none is left. It is a thread: what it learns, the loop is told."""
        while not self._stopping:
            try:
                part = parts.get_nowait()
            except queue.Empty:
                return
            try:
                self._pair(part)
            except Died as died:
                self._events.put(partial(self._listener.died, part, died))
            except Unavailable as absent:
                self._events.put(partial(self._listener.absent, part, absent))
            except BaseException as error:  # noqa: BLE001  raised again by the loop, where pytest sees it
                self._events.put(partial(_raise, error))

    def _pair(self, part: list[Bench]) -> None:
        from .device import lease

        numbers, fresh = {bench.number: bench for bench in part}, part[0].suspected
        with lease(_device_of(part[0]), waiting=self._wait) as device, self._quiet.lane(device.kind) as begins:
            requests: dict[Side, dict[str, Any]] = {side: self._request(side, part, device) for side in SIDES}
            duet = Duet(
                requests, self.settings.max_seconds, self._random, self.settings.timeout_seconds,
                lambda work, number: begins(work, numbers[number].item.name if number in numbers else "start"),
            )  # fmt: skip
            self._duets[threading.get_ident()] = duet
            try:
                for played in duet.play_swapped() if part[0].swapped else duet.play():
                    self._events.put(partial(self._listener.played, numbers[played.number], played, fresh))
                    if self._stopping or (self.late() and self.pairs_played > 1):
                        return
                self._events.put(partial(self._listener.visited, part, duet))
            finally:
                duet.stop()

    def _request(self, side: Side, part: Sequence[Bench], device: Device) -> dict[str, Any]:
        variant = self.base.place if self.base.kind == "variant" else ""
        items = {bench.number: bench.item for bench in part}
        # later pairs only time: what samplers saw of the first is in its Records
        sampled = self.pairs_played == 1 or any("energy" in bench.compared.limits for bench in part)
        return side_request(self.config, items, side, Roots(self.root, self.base_root, variant), device, sampled)

    def _tell(self, benches: Sequence[Bench]) -> None:
        left = ""
        if self._bench_seconds:
            seconds = self._bench_seconds * sum(
                max(pairs.LEAST_PAIRS - len(b.compared.fresh if b.suspected else b.compared.screened), 1)
                for b in benches
            )
            left = f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
        plural = "" if len(benches) == 1 else "es"
        played = self.pairs_played - 1
        pairs_done = f"{played} pair{'' if played == 1 else 's'} done"
        self.session.progress(f"{pairs_done}, {len(benches)} bench{plural} open{left}", "", None)

    def _wait(self, text: str) -> None:
        self._events.put(partial(self.session.waits, text))

    def stop(self) -> None:
        """End what still runs."""
        self._stopping = True
        for duet in list(self._duets.values()):
            duet.stop()
        self._quiet.leave()


def _device_of(bench: Bench) -> str:
    return str(axis_values(bench.item).get("device", "cpu"))


def _raise(error: BaseException) -> NoReturn:
    raise error
