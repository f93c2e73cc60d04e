"""Measure: warm up, then time - one call repeated, each of many, or a stream - and hand back a Run."""

from __future__ import annotations

import gc
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise, repeat
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .generation import Clock, Generation
from .record import Caveat, Score, Timing, TokenTimes
from .stats import median, precision_ratio, quantile, standard_error

if TYPE_CHECKING:
    from .declare import Metric
    from .device import Device

# Chosen here, because reading the clock twice costs about 0.1 us: 1 ms a round keeps that under 0.01 %.
ROUND_SECONDS = 1e-3
# Chosen here: the smallest number with a median that one outlier does not move.
LEAST_ROUNDS = 3
# CUDA-graph modes record on their second and third call; llama-bench varied by 68 % until its fourth.
LEAST_WARMUP_CALLS = 3
# Two successive warm-up windows must agree this well (chosen here: about the drift of a quiet machine) ...
WARMUP_AGREES_RATIO = 0.05
# ... and each is this long, so that it holds more than the timer's noise.
WARMUP_WINDOW_SECONDS = 0.02
# Rounds stop early when the 95 % interval of the median of BLOCKS block medians is this narrow. It describes this
# process only; between processes noise is larger, which is why the gate compares pairs of processes.
PRECISION_RATIO = 0.01
LEAST_PRECISION_SECONDS = 0.3


@dataclass
class Run:
    """What a bench measured: outputs, seconds, and the counts and scores it adds to them."""

    find_metric: Callable[[str], Metric]
    output: Any = None
    outputs: list[Any] = field(default_factory=list)
    timing: Timing | None = None
    tokens: TokenTimes | None = None
    counts: dict[str, float] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    caveats: list[Caveat] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """The median of one call; None under --bench-once, which times nothing."""
        return median(self.timing.rounds_seconds) if self.timing else None

    @property
    def flat(self) -> list[Any]:
        """The outputs of `measure.each`, joined: one entry an item of each batch."""
        return [item for output in self.outputs for item in output]

    def count(self, **units: float | Sequence[float]) -> None:
        """Say how much work one call does: `run.count(tokens=64)`; throughput is derived, in units a second.

        After `measure.each` a sequence may give each call's own: `run.count(images=[8, 8, 3])`; its mean is kept.
        Raises UsageError for anything but finite numbers of at least zero.
        """
        for unit, given in units.items():
            amounts = given if isinstance(given, (list, tuple)) else [given]
            for amount in amounts:
                if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < math.inf:
                    raise UsageError(f"run.count({unit}={given!r}) is no count of {unit}; give finite numbers >= 0")
            if not amounts:
                raise UsageError(f"run.count({unit}={given!r}) is empty; give one number, or one a call")
            self.counts[unit] = sum(amounts) / len(amounts)

    def score(self, metric: str, predictions: Sequence[Any], references: Sequence[Any] | None, **options: Any) -> float:
        """Judge outputs by a metric and keep the score and its items in the Record.

        Returns the value, so that it can be asserted. Raises UnknownName for a metric nothing declares, UsageError
        without references, for one metric twice, for other lengths, or for a value that is not finite.
        """
        declared = self.find_metric(metric)
        if metric in self.scores:
            raise UsageError(f"run.score({metric!r}) was called twice; a Record holds one score of a name")
        if references is None:
            raise UsageError(f"run.score({metric!r}) needs references, and the dataset has none")
        result = declared(predictions, references, **options)
        score = result if isinstance(result, Score) else _mean_score(declared, result)
        if not math.isfinite(score.value):
            raise UsageError(f"run.score({metric!r}) gave {score.value}: not a finite number")
        self.scores[metric] = score
        return score.value


def _mean_score(metric: Metric, items: Iterable[float]) -> Score:
    values = tuple(float(item) for item in items)
    if not values:
        raise UsageError(f"metric {metric.name!r} got no items to judge")
    return Score(sum(values) / len(values), metric.unit, metric.direction, values, standard_error(values))


@dataclass
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
    #: Asked once the call is warm, before anything is timed: raises Fallback when something else ran than was asked.
    prove: Callable[[], None] = lambda: None
    once: bool = False
    rounds: int | None = None
    max_seconds: float = 5.0
    run: Run | None = None

    def __call__(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """Time `f(*args, **kwargs)`, again and again until the stop rule is met.

        Raises UsageError for a coroutine or generator function (nothing would run), or when called twice.
        """
        run, call = self._begin(f), _bare(f, args, kwargs)
        with nullcontext() if self.once else _steady_gc():
            self.progress("first call", None)
            first, output = self._round(call, 1)
            _refuse_lazy(self.bench, f, output)
            if not self.once:
                each_seconds, warmup_calls = self._warm_up(call)
                self.prove()
                loops = max(1, math.ceil(ROUND_SECONDS / each_seconds))
                rounds = _Rounds(self, LEAST_ROUNDS)
                clocks: list[Clock] = []
                with self.watching():
                    while rounds.more():
                        timed, output = self._round(call, loops)
                        rounds.add(timed)
                        if isinstance(output, Generation):
                            clocks.append(output.clock())
                run.timing = rounds.timing("repeat", loops, warmup_calls + 1, first)
                if clocks:
                    run.tokens = _token_times(clocks, output)
        run.output, run.outputs = output, [output]
        self._look(run)
        return run

    def each(self, f: Callable[..., Any], items: Iterable[Any]) -> Run:
        """Time `f(item)` once for every item, after warming up on the first and the last (the odd batch).

        Items are listed before the clock starts, so that making them is not timed.
        Raises UsageError for no items, for a coroutine or generator function, or when called twice.
        """
        run, things = self._begin(f), list(items)
        if not things:
            raise UsageError(f"{self.bench}: measure.each got no items")
        if self.once:
            run.outputs = [f(thing) for thing in things]
        else:
            with _steady_gc():
                first, output = self._round(partial(f, things[0]), 1)
                _refuse_lazy(self.bench, f, output)
                for warm in (things[0], things[-1]):
                    self._round(partial(f, warm), 1)
                self.prove()
                rounds = _Rounds(self, len(things))
                with self.watching():
                    for at, thing in enumerate(things):
                        self.progress("items", at / len(things))
                        timed, output = self._round(partial(f, thing), 1)
                        rounds.add(timed)
                        run.outputs.append(output)
                run.timing = rounds.timing("each", 1, 3, first, stopped_by="items")
        run.output = run.outputs[-1]
        self._look(run)
        return run

    def stream(self, f: Callable[..., Iterable[Any]], /, *args: Any, **kwargs: Any) -> Run:
        """Time the first item of `f(*args, **kwargs)` and the gaps between the rest, over several streams.

        An item counts as there when the device has finished it. `run.output` is the list of items of the last
        stream; an item that is a list or tuple holds one entry a sequence of the batch.
        Raises UsageError when nothing can be iterated or nothing comes, or when called twice.
        """
        run, call = self._begin(f, lazy=True), _bare(f, args, kwargs)
        with nullcontext() if self.once else _steady_gc():
            self.progress("first call", None)
            first_ns, items = self._drain(call)
            first = _span(first_ns)
            if not self.once:
                self._drain(call)
                self.prove()
                rounds = _Rounds(self, LEAST_ROUNDS)
                stamps = []
                with self.watching():
                    while rounds.more():
                        times_ns, items = self._drain(call)
                        stamps.append(times_ns)
                        rounds.add(_span(times_ns))
                run.timing = rounds.timing("stream", 1, 2, first)
                run.tokens = _stream_times(stamps, items)
        run.output, run.outputs = items, [items]
        self._look(run)
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
        self.run = Run(self.find_metric)
        return self.run

    def _round(self, call: Callable[[], Any], loops: int) -> tuple[_Round, Any]:
        """One round of `loops` calls: its times, and the last output."""
        device, output, turns = self.device, None, repeat(None, loops)
        device.synchronise()
        before = device.mark()
        started_ns = perf_counter_ns()
        for _ in turns:
            output = call()
        after = device.mark()
        device.synchronise()
        ended_ns = perf_counter_ns()
        device_seconds = device.between_seconds(before, after)
        each_seconds = None if device_seconds is None else device_seconds / loops
        return _Round(started_ns, seconds_of(ended_ns - started_ns, loops), each_seconds), output

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

    def _drain(self, call: Callable[[], Iterable[Any]]) -> tuple[list[int], list[Any]]:
        """Run a stream to its end: (host clock at the call and at each item, the items)."""
        synchronise = self.device.synchronise
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
        return times_ns, items

    def _look(self, run: Run) -> None:
        """Caveats that the numbers themselves show."""
        if isinstance(run.output, Generation):
            asked = run.output.asked_tokens * len(run.output.token_ids)
            if run.output.new_tokens < asked:
                run.caveats.append(Caveat("truncated", f"{run.output.new_tokens} of {asked} tokens"))
        timing = run.timing
        if timing and timing.verb == "each" and quantile(timing.rounds_seconds, 0.5) < ROUND_SECONDS / 20:
            run.caveats.append(Caveat("timer_limited", "items under 50 us each; give measure.each larger batches"))


@dataclass(frozen=True, slots=True)
class _Round:
    """One round: its start on the host's clock, and seconds of a call by the host's and by the device's clock."""

    started_ns: int
    seconds: float
    device_seconds: float | None = None


class _Rounds:
    """Rounds as they come, and the rule that ends them."""

    def __init__(self, measure: Measure, least: int) -> None:
        self.fixed, self.max_seconds, self.least = measure.rounds, measure.max_seconds, least
        self.progress = measure.progress
        self.rounds: list[_Round] = []
        self.stopped_by: Any = "rounds"
        self._spent_seconds = 0.0
        self._look_at = 40

    def add(self, timed: _Round) -> None:
        self.rounds.append(timed)

    def more(self) -> bool:
        done = len(self.rounds)
        if self.fixed is not None:
            self.progress("rounds", done / self.fixed)
            return done < self.fixed
        self._spent_seconds = (perf_counter_ns() - self.rounds[0].started_ns) * 1e-9 if done else 0.0
        self.progress("rounds", min(max(self._spent_seconds / self.max_seconds, 0.0), done / (done + 1)))
        if done < self.least:
            return True
        if self._spent_seconds >= self.max_seconds:
            self.stopped_by = "seconds"
            return False
        if done >= self._look_at and self._spent_seconds >= LEAST_PRECISION_SECONDS:
            self._look_at = math.ceil(done * 1.5)  # look a few times only: each look is a chance to stop by luck
            if precision_ratio([timed.seconds for timed in self.rounds]) <= PRECISION_RATIO:
                self.stopped_by = "precision"
                return False
        return True

    def timing(self, verb: Any, loops: int, warmup_calls: int, first: _Round, stopped_by: Any = None) -> Timing:
        return Timing(
            verb,
            tuple(timed.seconds for timed in self.rounds),
            tuple(timed.started_ns for timed in self.rounds),
            tuple(timed.device_seconds for timed in self.rounds if timed.device_seconds is not None),
            loops=loops,
            warmup_calls=warmup_calls,
            first_call_seconds=first.seconds,
            stopped_by=stopped_by or self.stopped_by,
        )


def _span(times_ns: Sequence[int]) -> _Round:
    return _Round(times_ns[0], seconds_of(times_ns[-1] - times_ns[0]))


# 2**-33 s is 0.12 ns: from a value rounded to that, the clock's whole nanoseconds are read back.
_PLACES = 33


def seconds_of(elapsed_ns: int, calls: int = 1) -> float:
    """Seconds of one call, of nanoseconds that `calls` took; it ends in binary zeros, so that a file of many is small.

    `elapsed_ns * 1e-9 / calls` has 53 digits of which a clock of nanoseconds gave some twenty: noise that no compressor
    can drop. `round(seconds * calls * 1e9)` is `elapsed_ns` again.
    """
    places = _PLACES + calls.bit_length()
    return math.ldexp(round((elapsed_ns << places) / (calls * 1_000_000_000)), -places)


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
    if inspect.isgenerator(output) or inspect.isasyncgen(output):
        raise UsageError(f"{bench}: {_name(f)} gave a generator that never ran; use measure.stream")


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
    batches = [item if isinstance(item, (list, tuple)) else (item,) for item in items]
    return TokenTimes(
        ttft_seconds=tuple(seconds_of(times[1] - times[0]) for times in stamps),
        itl_seconds=tuple(_gaps_seconds(times[1:]) for times in stamps),
        e2el_seconds=tuple(seconds_of(times[-1] - times[0]) for times in stamps),
        batch_size=max(len(batch) for batch in batches),
        prompt_tokens=None,
        new_tokens=sum(item is not None for batch in batches for item in batch),  # None: that sequence has ended
        taken_by="the host's clock at each item of the stream",
    )


def _gaps_seconds(times_ns: Sequence[int]) -> tuple[float, ...]:
    return tuple(seconds_of(later - earlier) for earlier, later in pairwise(times_ns))
