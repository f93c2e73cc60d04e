"""Measure: warm up, then time - one call repeated, each of many, or a stream - and hand back a Run."""

from __future__ import annotations

import gc
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise, repeat
from numbers import Real
from time import get_clock_info, perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

from .caveats import TIMER_RATIO
from .errors import UsageError
from .generation import Clock, Generation, Steps
from .record import Caveat, Score, Timing, TokenTimes
from .scores import composite, judge, key_of
from .stats import median, precision_ratio

if TYPE_CHECKING:
    from .conduct import Conductor
    from .declare import Metric
    from .device import Device

# Chosen here, because reading the clock twice costs about 0.1 us: 1 ms a round keeps that under 0.01 %. Where the timer
# costs more (on CUDA two events and a wait), rounds are longer: see `_loops`.
ROUND_SECONDS = 1e-3
# Chosen here: an odd number with a median, under a millisecond on a CUDA device.
EMPTY_ROUNDS = 11
# A device span that is this much shorter than the host's lacks work of another stream: the events of a round are
# recorded as the host enters and leaves the call, so that the spans differ by what waiting costs, and no more.
# Chosen here: several times the cost of an empty round, and no less than one in twenty.
UNSEEN_TIMERS, UNSEEN_RATIO = 5, 0.05
# What starts on an idle device starts when the host has sent it: 20 to 130 us later, read on an H100, the longer the
# host had slept. Rounds shorter than this (chosen here: of it that is under 0.3 %) are followed by rounds whose queue
# is held while the host sends (as nvbench's blocking kernel does), and the device's seconds are theirs.
HELD_BELOW_SECONDS, HELD_ROUNDS = 0.05, 11
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
    #: What a person may want to know of how it was timed.
    notes: list[str] = field(default_factory=list)
    #: Told what is being judged, and the share that is done or None.
    tell: Callable[[str, float | None], None] = lambda phase, share: None
    #: The least and the most of each score whose metric has them.
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

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
        `flops` and `bytes` (that it must move) also say how near a call comes to the device's peaks: `mfu`, `mbu`.
        Raises UsageError for anything but finite numbers of at least zero.
        """
        for unit, given in units.items():
            plain = given.tolist() if hasattr(given, "tolist") else given  # numpy's and torch's
            amounts = plain if isinstance(plain, (list, tuple)) else [plain]
            for amount in amounts:
                if isinstance(amount, bool) or not isinstance(amount, Real) or not 0 <= float(amount) < math.inf:
                    raise UsageError(f"run.count({unit}={given!r}) is no count of {unit}; give finite numbers >= 0")
            if amounts is plain and len(amounts) != len(self.outputs):
                raise UsageError(
                    f"run.count({unit}={given!r}) has {len(amounts)} numbers for {len(self.outputs)} calls; "
                    "give one number, or one a call"
                )
            if unit in self.counts:
                raise UsageError(f"run.count({unit}=...) was called twice; a Record holds one count of a unit")
            self.counts[unit] = float(sum(amounts)) / len(amounts)

    def score(self, metric: str, predictions: Any, references: Sequence[Any] | None = None, **options: Any) -> float:
        """Judge outputs by a metric and keep the score, its items and its 95 % interval in the Record.

        An option of the metric's stands after a colon: `f1:micro` is kept as `f1_micro`. Returns the value, so that it
        can be asserted; of a metric that gives several, such as `lm_eval:TASK`, the first.
        Raises UnknownName for a metric nothing declares, UsageError for missing references, for one score twice or for
        other lengths, NotFinite for no finite number.
        """
        declared, said = self.find_metric(metric), f"scoring {metric}"
        self._refuse_twice(key_of(metric))
        self.tell(said, None)
        scores = judge(declared, predictions, references, options, lambda share: self.tell(said, share))
        for name, score in scores.items():
            self._refuse_twice(name)
            self.scores[name] = score
            if declared.span is not None:
                self.spans[name] = declared.span
        return next(iter(scores.values())).value

    def _refuse_twice(self, name: str) -> None:
        if name in self.scores:
            raise UsageError(f"run.score of {name!r} was called twice; a Record holds one score of a name")

    def composite(
        self, weights: Mapping[str, float], *, name: str = "composite", spans: Mapping[str, tuple[float, float]] = {}
    ) -> float:
        """Keep one number of the scores so far: their weighted mean, each brought to 0 (worst) to 1 (best).

        `spans` gives the least and the most of a score whose metric has none: `{"perplexity": (1, 50)}`.
        Raises UsageError for weights that sum to zero, a score that is not there, or one without a span.
        """
        if name in self.scores:
            raise UsageError(f"run.composite(name={name!r}): there is a score of this name; give another")
        self.scores[name] = composite(self.scores, weights, {**self.spans, **spans})
        return self.scores[name].value


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
    #: Called when what only a first call does (it compiles, it loads) is done: other processes keep quiet until the
    #: bench ends. Before the warm-up, so that nothing cools down while they finish.
    quiet: Callable[[], None] = lambda: None
    #: Asked once the call is warm, before anything is timed: raises Fallback when something else ran than was asked.
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
                self.quiet()
                each_seconds, warmup_calls = self._warm_up(call)
                self.prove()
                timer_seconds = self._timer_seconds()
                loops = self._agreed(each_seconds, 1 if self.flush else _loops(each_seconds, timer_seconds))
                rounds = _Rounds(self, LEAST_ROUNDS, self.rounds)
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
        run.output, run.outputs = output, [output]
        _look_at_tokens(run)
        return run

    def each(self, f: Callable[..., Any], items: Iterable[Any]) -> Run:
        """Time `f(item)` once for every item, after warming up on the first and the last (the odd batch).

        Items are taken outside the clock, so that making them is not timed: those of a sequence one at a time, so that
        it may be larger than memory, and others before the first.
        Raises UsageError for no items, for a coroutine or generator function, or when called twice.
        """
        run, things = self._begin(f), items if isinstance(items, Sequence) else list(items)
        if not things:
            raise UsageError(f"{self.bench}: measure.each got no items")
        if self.once:
            for thing in things:
                run.outputs.append(f(thing))
                _refuse_lazy(self.bench, f, run.outputs[-1])
        else:
            with _steady_gc():
                first, output = self._round(partial(f, things[0]), 1)
                _refuse_lazy(self.bench, f, output)
                self.quiet()
                warm = [self._round(partial(f, thing), 1)[0].seconds for thing in (things[0], things[-1])]
                self.prove()
                timer_seconds = self._timer_seconds()
                self._agreed(sum(warm) / 2, 1, items=len(things))
                rounds = _Rounds(self, len(things), len(things), word="items")
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
        _look_at_tokens(run)
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
            first_ns, items, asked = self._drain(call)
            first = _span(first_ns)
            if not self.once:
                self.quiet()
                warm_ns, _, _ = self._drain(call)
                self.prove()
                timer_seconds = self._timer_seconds()
                self._agreed(_span(warm_ns).seconds, 1)
                rounds = _Rounds(self, LEAST_ROUNDS, self.rounds)
                stamps = []
                with self.watching():
                    while rounds.more():
                        times_ns, items, asked = self._drain(call, self.flush)
                        if rounds.add(_span(times_ns)):
                            stamps.append(times_ns)
                run.timing = rounds.timing("stream", 1, 2, first, timer_seconds, run.notes)
                run.tokens = _stream_times(stamps, items)
        run.output, run.outputs = items, [items]
        if asked is not None:
            _say_truncated(run, sum(map(_entries, items)), asked * _sequences(items))
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
    ) -> tuple[_Round, Any]:
        """One round of `loops` calls, or of none: its times, and the last output. `held`: see HELD_BELOW_SECONDS."""
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
        return _Round(started_ns, seconds_of(ended_ns - started_ns, calls), each_seconds), output

    def _held(self, call: Callable[[], Any], loops: int, rounds: _Rounds) -> tuple[float, ...]:
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


@dataclass(frozen=True, slots=True)
class _Round:
    """One round: its start on the host's clock, and seconds of a call by the host's and by the device's clock."""

    started_ns: int
    seconds: float
    device_seconds: float | None = None


class _Rounds:
    """Rounds as they come, and the rule that ends them."""

    def __init__(self, measure: Measure, least: int, fixed: int | None, word: str = "rounds") -> None:
        self.fixed, self.max_seconds, self.least, self.word = fixed, measure.max_seconds, least, word
        self.least_seconds = max(LEAST_PRECISION_SECONDS, measure.least_seconds)
        self.progress, self.cold = measure.progress, measure.flush is not None
        self.conductor = measure.conductor
        self.rounds: list[_Round] = []
        self.stopped_by: Any = "rounds"
        self._spent_seconds = 0.0
        self._look_at = 40

    def add(self, timed: _Round) -> bool:
        """Keep a round; False for one that does not count."""
        if self.conductor is not None and not self.conductor.takes(timed.seconds):
            return False
        self.rounds.append(timed)
        return True

    def more(self) -> bool:
        if self.conductor is not None:
            self.stopped_by = "paired"
            return self.conductor.more()
        done = len(self.rounds)
        if self.fixed is not None:
            self.progress(self.word, done / self.fixed)
            return done < self.fixed
        self._spent_seconds = (perf_counter_ns() - self.rounds[0].started_ns) * 1e-9 if done else 0.0
        self.progress("rounds", min(max(self._spent_seconds / self.max_seconds, 0.0), done / (done + 1)))
        if done < self.least:
            return True
        if self._spent_seconds >= self.max_seconds:
            self.stopped_by = "seconds"
            return False
        if done >= self._look_at and self._spent_seconds >= self.least_seconds:
            self._look_at = math.ceil(done * 1.5)  # look a few times only: each look is a chance to stop by luck
            if precision_ratio([timed.seconds for timed in self.rounds]) <= PRECISION_RATIO:
                self.stopped_by = "precision"
                return False
        return True

    def timing(
        self,
        verb: Any,
        loops: int,
        warmup_calls: int,
        first: _Round,
        timer_seconds: float,
        notes: list[str],
        stopped_by: Any = None,
        held: tuple[float, ...] = (),
    ) -> Timing:
        device_seconds = tuple(timed.device_seconds for timed in self.rounds if timed.device_seconds is not None)
        if device_seconds and self._unseen(device_seconds, loops, timer_seconds):
            device_seconds = held = ()
            notes.append("no device times: work ran on a stream that the current one does not wait for")
        return Timing(
            verb,
            tuple(timed.seconds for timed in self.rounds),
            tuple(timed.started_ns for timed in self.rounds),
            held or device_seconds,
            loops=loops,
            warmup_calls=warmup_calls,
            first_call_seconds=first.seconds,
            stopped_by=stopped_by or self.stopped_by,
            cold=self.cold,
            timer_seconds=timer_seconds,
            device_held=bool(held),
        )

    def round_seconds(self, loops: int) -> float:
        """The length of a round."""
        return median([timed.seconds for timed in self.rounds]) * loops

    def _unseen(self, device_seconds: Sequence[float], loops: int, timer_seconds: float) -> bool:
        """Whether the device's events missed work that the host waited for."""
        host_seconds = median([timed.seconds for timed in self.rounds])
        lacking = host_seconds - median(device_seconds)
        return lacking * loops > UNSEEN_TIMERS * timer_seconds and lacking > UNSEEN_RATIO * host_seconds


def _loops(each_seconds: float, timer_seconds: float) -> int:
    """Calls in a round, so that the timer is half of what it may be of it: warm calls can still become faster."""
    return max(1, math.ceil(max(ROUND_SECONDS, 2 * timer_seconds / TIMER_RATIO) / each_seconds))


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


def _look_at_tokens(run: Run) -> None:
    made = [output for output in run.outputs if isinstance(output, Generation)]
    asked = sum(output.asked_tokens * len(output.token_ids) for output in made)
    _say_truncated(run, sum(output.new_tokens for output in made), asked)


def _say_truncated(run: Run, came: int, asked: int) -> None:
    if came < asked:
        run.caveats.append(Caveat("truncated", f"{came:,} of {asked:,} tokens"))
