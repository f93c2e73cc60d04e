"""Measure: warm up, then time - one call repeated, each of many, or a stream - and hand back a Run."""

from __future__ import annotations

import gc
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, repeat
from time import get_clock_info, perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .generation import Clock, Generation, Steps
from .record import TokenTimes
from .rounds import LEAST_ROUNDS, Round, Rounds, loops_of, seconds_of, span
from .run import Run, look_at_tokens, say_truncated
from .stats import median

if TYPE_CHECKING:
    from .conduct import Conductor
    from .declare import Metric
    from .device import Device

# Chosen here: an odd number with a median, under a millisecond on a CUDA device.
EMPTY_ROUNDS = 11
# What starts on an idle device starts when the host has sent it: 20 to 130 us later, read on an H100, the longer the
# host had slept. Rounds shorter than this (chosen here: of it that is under 0.3 %) are followed by rounds whose queue
# is held while the host sends (as nvbench's blocking kernel does), and the device's seconds are theirs.
HELD_BELOW_SECONDS, HELD_ROUNDS = 0.05, 11
# CUDA-graph modes record on their second and third call; llama-bench varied by 68 % until its fourth.
LEAST_WARMUP_CALLS = 3
# Two successive warm-up windows must agree this well (chosen here: about the drift of a quiet machine) ...
WARMUP_AGREES_RATIO = 0.05
# ... and each is this long, so that it holds more than the timer's noise.
WARMUP_WINDOW_SECONDS = 0.02


@dataclass(repr=False)
class Measure:
    """Time something once in a bench. One bench, one measurement: a second one belongs in a second bench.

    `measure(f, *args)` repeats one call, `measure.each(f, items)` passes once over many, and
    `measure.stream(f, *args)` times the first item and the gaps between the rest. Each hands back a Run.
    """

    bench: str
    find_metric: Callable[[str], Metric]
    #: Where it runs: waits for its queue inside every timed round, after the last call, and has a clock of its own.
    device: Device
    #: Open while rounds run: samplers, memory peaks.
    watching: Callable[[], AbstractContextManager[None]]
    #: Told where the bench is: a word, and the share that is done (0 to 1) or None.
    progress: Callable[[str, float | None], None]
    #: Called when what only a first call does (it compiles, it loads) is done: other processes keep quiet until the
    #: bench ends. Before the warm-up, so that nothing cools down while they finish.
    quiet: Callable[[], None] = lambda: None
    #: Asked once the call is warm, before anything is timed, or once it has run where nothing is: raises Fallback when
    #: something else ran than was asked.
    prove: Callable[[], None] = lambda: None
    #: Given the call after its rounds: a timed block of so many calls, and the seconds of one.
    afterwards: Callable[[Callable[[int], float], float], None] = lambda block, each_seconds: None
    once: bool = False
    rounds: int | None = None
    max_seconds: float = 5.0
    #: Rounds do not stop by precision before: an energy counter needs so long a window.
    least_seconds: float = 0.0
    #: Empties the device's caches: called before each timed call, outside the clock; None leaves them as they are.
    flush: Callable[[], None] | None = None
    #: Says when to time how many rounds, where two processes take turns; None: rounds end by their own rule.
    conductor: Conductor | None = None
    run: Run | None = None

    def __repr__(self) -> str:
        return f"<measure of {self.bench} on {self.device.name}>"

    def __call__(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """Time `f(*args, **kwargs)`, again and again until the stop rule is met.

        Raises UsageError for a coroutine or generator function (nothing would run), or when called twice.
        """
        __tracebackhide__ = True  # what the measured function raised is the user's, and its frames are the last
        run, call = self._begin(f), _bare(f, args, kwargs)
        with nullcontext() if self.once else _steady_gc():
            self.progress("first call", None)
            first, output = self._round(call, 1)
            _refuse_lazy(self.bench, f, output)
            if not self.once:
                self.quiet()
                each_seconds, warmup_calls = self._warm_up(call)
                self.prove()
                timer_seconds = self._timer_seconds()
                loops = self._agreed(each_seconds, 1 if self.flush else loops_of(each_seconds, timer_seconds))
                rounds = Rounds(self, LEAST_ROUNDS, self.rounds)
                clocks: list[Clock] = []
                with self.watching():
                    while rounds.more():
                        timed, output = self._round(call, loops, self.flush)
                        if rounds.add(timed) and isinstance(output, Generation):
                            clocks.append(output.clock())
                held = self._held(call, loops, rounds)
                self.afterwards(lambda calls: self._round(call, calls)[0].seconds, each_seconds)
                run.timing = rounds.timing(
                    "repeat", loops, warmup_calls + 1, first, timer_seconds, run.notes, held=held
                )
                if clocks:
                    run.tokens = _token_times(clocks, output)
            else:
                self.prove()
        run.output, run.outputs = output, [output]
        look_at_tokens(run)
        return run

    def each(self, f: Callable[..., Any], items: Iterable[Any]) -> Run:
        """Time `f(item)` once for every item, after warming up on the first and the last (the odd batch).

        Items are taken outside the clock, so that making them is not timed: those of a sequence one at a time, so that
        it may be larger than memory, and others before the first.
        Raises UsageError for no items, for a coroutine or generator function, or when called twice.
        """
        __tracebackhide__ = True
        run, things = self._begin(f), items if isinstance(items, Sequence) else list(items)
        if not things:
            raise UsageError(f"{self.bench}: measure.each got no items")
        if self.once:
            for thing in things:
                run.outputs.append(f(thing))
                _refuse_lazy(self.bench, f, run.outputs[-1])
            self.prove()
        else:
            with _steady_gc():
                first, output = self._round(partial(f, things[0]), 1)
                _refuse_lazy(self.bench, f, output)
                self.quiet()
                warm = [self._round(partial(f, thing), 1)[0].seconds for thing in (things[0], things[-1])]
                self.prove()
                timer_seconds = self._timer_seconds()
                self._agreed(sum(warm) / 2, 1, items=len(things))
                rounds = Rounds(self, len(things), len(things), word="items")
                with self.watching():
                    while rounds.more():
                        thing = things[len(rounds.rounds) % len(things)]  # two sides pass over them more than once
                        timed, output = self._round(partial(f, thing), 1, self.flush)
                        if rounds.add(timed) and len(run.outputs) < len(things):
                            run.outputs.append(output)
                del rounds.rounds[len(things) :]
                for output in run.outputs:
                    _refuse_lazy(self.bench, f, output)
                run.timing = rounds.timing("each", 1, 3, first, timer_seconds, run.notes, stopped_by="items")
        run.output = run.outputs[-1]
        look_at_tokens(run)
        return run

    def stream(self, f: Callable[..., Iterable[Any]], /, *args: Any, **kwargs: Any) -> Run:
        """Time the first item of `f(*args, **kwargs)` and the gaps between the rest, over several streams.

        An item counts as there when the device has finished it. `run.output` is the list of items of the last
        stream; an item that is a list or tuple holds one entry a sequence of the batch.
        Raises UsageError when nothing can be iterated or nothing comes, or when called twice.
        """
        __tracebackhide__ = True
        run, call = self._begin(f, lazy=True), _bare(f, args, kwargs)
        with nullcontext() if self.once else _steady_gc():
            self.progress("first call", None)
            first_ns, items, asked = self._drain(call)
            first = span(first_ns)
            if not self.once:
                self.quiet()
                warm_ns, _, _ = self._drain(call)
                self.prove()
                timer_seconds = self._timer_seconds()
                self._agreed(span(warm_ns).seconds, 1)
                rounds = Rounds(self, LEAST_ROUNDS, self.rounds)
                stamps = []
                with self.watching():
                    while rounds.more():
                        times_ns, items, asked = self._drain(call, self.flush)
                        if rounds.add(span(times_ns)):
                            stamps.append(times_ns)
                run.timing = rounds.timing("stream", 1, 2, first, timer_seconds, run.notes)
                run.tokens = _stream_times(stamps, items)
            else:
                self.prove()
        run.output, run.outputs = items, [items]
        if asked is not None:
            say_truncated(run, sum(map(_entries, items)), asked * _sequences(items))
        return run

    def _begin(self, f: Callable[..., Any], lazy: bool = False) -> Run:
        if self.run is not None:
            raise UsageError(f"{self.bench} measures twice; one bench is one Record: write a second bench")
        if not callable(f):
            raise UsageError(f"{self.bench}: measure takes a function and its arguments, not {f!r}: leave the call out")
        inner = f.func if isinstance(f, partial) else f
        if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
            raise UsageError(
                f"{self.bench}: {_name(f)} is async, calling it runs nothing: measure a function that awaits it"
            )
        if inspect.isgeneratorfunction(inner) and not lazy:
            raise UsageError(f"{self.bench}: {_name(f)} is a generator: calling it runs nothing; use measure.stream")
        self.run = Run(self.find_metric, tell=self.progress)
        return self.run

    def _agreed(self, each_seconds: float, loops: int, items: int | None = None) -> int:
        """Calls of a round; where two sides take turns, as many on both."""
        if self.conductor is None:
            return loops
        agreed = self.conductor.begin(each_seconds, loops, items)
        if agreed is None:
            self.conductor = None
        return agreed or loops

    def _round(
        self, call: Callable[[], Any], loops: int, flush: Callable[[], None] | None = None, held: bool = False
    ) -> tuple[Round, Any]:
        """One round of `loops` calls, or of none: its times, and the last output. `held`: see HELD_BELOW_SECONDS."""
        __tracebackhide__ = True
        device, output, turns = self.device, None, repeat(None, loops)
        if flush:
            flush()
        device.synchronise()
        if held:
            device.hold()
        before = device.mark()
        started_ns = perf_counter_ns()
        for _ in turns:
            output = call()
        after = device.mark()
        device.synchronise()
        ended_ns = perf_counter_ns()
        device_seconds, calls = device.between_seconds(before, after), max(loops, 1)
        each_seconds = None if device_seconds is None else device_seconds / calls
        return Round(started_ns, seconds_of(ended_ns - started_ns, calls), each_seconds), output

    def _held(self, call: Callable[[], Any], loops: int, rounds: Rounds) -> tuple[float, ...]:
        """Seconds of a call on the device, in rounds whose queue was held; empty for long rounds and other devices."""
        if rounds.round_seconds(loops) >= HELD_BELOW_SECONDS or not self.device.hold():
            return ()
        again = [
            self._round(call, loops, self.flush, held=True)[0] for _ in range(min(len(rounds.rounds), HELD_ROUNDS))
        ]
        return tuple(timed.device_seconds for timed in again if timed.device_seconds is not None)

    def _timer_seconds(self) -> float:
        """What a round without a call reads, and no less than one tick of the clock."""
        empty = [self._round(lambda: None, 0)[0].seconds for _ in range(EMPTY_ROUNDS)]
        return max(median(empty), get_clock_info("perf_counter").resolution)

    def _warm_up(self, call: Callable[[], Any]) -> tuple[float, int]:
        """Call until two windows agree, within half of the measuring time: (seconds of a warm call, calls made)."""
        self.progress("warm-up", None)
        budget_seconds = self.max_seconds / 2
        calls, spent_seconds, loops = 0, 0.0, 1
        before = math.inf
        while True:
            timed, _ = self._round(call, loops)
            each_seconds, seconds = timed.seconds, timed.seconds * loops
            calls, spent_seconds = calls + loops, spent_seconds + seconds
            agree = abs(each_seconds - before) <= WARMUP_AGREES_RATIO * each_seconds
            if spent_seconds >= budget_seconds or (agree and calls + 1 >= LEAST_WARMUP_CALLS):
                return max(each_seconds, 1e-9), calls
            if seconds >= WARMUP_WINDOW_SECONDS:
                before = each_seconds
            else:
                loops = min(loops * 10, math.ceil(WARMUP_WINDOW_SECONDS / max(each_seconds, 1e-9)))

    def _drain(
        self, call: Callable[[], Iterable[Any]], flush: Callable[[], None] | None = None
    ) -> tuple[list[int], list[Any], int | None]:
        """Run a stream to its end: (host clock at the call and at each item, the items, steps that were asked for)."""
        __tracebackhide__ = True
        synchronise = self.device.synchronise
        if flush:
            flush()
        synchronise()
        times_ns, items = [perf_counter_ns()], []
        stream = call()
        if not isinstance(stream, Iterable):
            raise UsageError(f"{self.bench}: measure.stream needs something to iterate, got {type(stream).__name__}")
        for item in stream:
            synchronise()
            times_ns.append(perf_counter_ns())
            items.append(item)
        if not items:
            raise UsageError(f"{self.bench}: the stream ended before its first item")
        return times_ns, items, stream.asked_tokens if isinstance(stream, Steps) else None


def _bare(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    """`f` with its arguments, callable without a frame of ours: partial is C, and no arguments need none."""
    return partial(f, *args, **kwargs) if args or kwargs else f


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__qualname__", None) or repr(f)


def _refuse_lazy(bench: str, f: Callable[..., Any], output: Any) -> None:
    """An output that is itself unfinished work would be timed as nanoseconds."""
    if inspect.iscoroutine(output):
        output.close()
        raise UsageError(f"{bench}: {_name(f)} gave a coroutine that never ran; measure a function that awaits it")
    if isinstance(output, Iterator) or inspect.isasyncgen(output):
        kind = type(output).__name__
        raise UsageError(f"{bench}: {_name(f)} gave a {kind} that has not run; use measure.stream, or list() it inside")
    if inspect.isawaitable(output) or (callable(getattr(output, "result", None)) and hasattr(output, "done")):
        raise UsageError(f"{bench}: {_name(f)} gave a {type(output).__name__} that may not be done; wait for it inside")


# Chosen here: at most a tenth of the time goes to full collections. Little garbage waits meanwhile: what fills memory
# takes longer to make than ten collections do.
_FULL_COLLECTION_SHARE = 0.1
_full_collection_from = -math.inf


@contextmanager
def _steady_gc() -> Iterator[None]:
    """No collection inside rounds, and what set-up made is not looked at again (150 ms a time with a model loaded)."""
    collecting = gc.isenabled()
    _collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()


def _collect() -> None:
    """Drop what nobody holds: all of it where that is due, else what is young."""
    global _full_collection_from
    started = perf_counter()
    if started < _full_collection_from:
        gc.collect(1)
        return
    gc.collect()
    ended = perf_counter()
    _full_collection_from = ended + (ended - started) / _FULL_COLLECTION_SHARE


def _token_times(clocks: list[Clock], output: Generation) -> TokenTimes:
    return TokenTimes(
        ttft_seconds=tuple(seconds_of(clock.token_ns[0] - clock.started_ns) for clock in clocks),
        itl_seconds=tuple(_gaps_seconds(clock.token_ns) for clock in clocks),
        e2el_seconds=tuple(seconds_of(clock.token_ns[-1] - clock.started_ns) for clock in clocks),
        batch_size=len(output.token_ids),
        prompt_tokens=output.prompt_tokens,
        new_tokens=output.new_tokens,
        taken_by=clocks[-1].taken_by,
        ttft_device_seconds=tuple(
            clock.ttft_device_seconds for clock in clocks if clock.ttft_device_seconds is not None
        ),
    )


def _stream_times(stamps: list[list[int]], items: list[Any]) -> TokenTimes:
    return TokenTimes(
        ttft_seconds=tuple(seconds_of(times[1] - times[0]) for times in stamps),
        itl_seconds=tuple(_gaps_seconds(times[1:]) for times in stamps),
        e2el_seconds=tuple(seconds_of(times[-1] - times[0]) for times in stamps),
        batch_size=_sequences(items),
        prompt_tokens=None,
        new_tokens=sum(map(_entries, items)),
        taken_by="the host's clock at each item of the stream",
    )


def _gaps_seconds(times_ns: Sequence[int]) -> tuple[float, ...]:
    return tuple(seconds_of(later - earlier) for earlier, later in pairwise(times_ns))


def _entries(item: Any) -> int:
    """What one item of a stream holds: one thing, or one for each sequence that has not ended."""
    return sum(entry is not None for entry in item) if isinstance(item, (list, tuple)) else 1


def _sequences(items: Sequence[Any]) -> int:
    return max(len(item) if isinstance(item, (list, tuple)) else 1 for item in items)
