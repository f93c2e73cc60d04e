"""The timed loop, with a clock of our own where a number is asserted: nothing here depends on the machine's speed."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pytest_modelbench import measure as module
from pytest_modelbench import rounds as rule
from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import UnknownName, UsageError
from pytest_modelbench.generation import Clock, Generation, Steps
from pytest_modelbench.measure import Measure
from pytest_modelbench.rounds import seconds_of


@pytest.fixture
def events():
    return []


class FakeDevice:
    """A device without a queue, or with one that a test fills."""

    def __init__(self):
        self.marked = None
        self.hold = lambda: False

    def synchronise(self):
        pass

    def mark(self):
        return self.marked and self.marked()

    @staticmethod
    def between_seconds(before, after):
        return None if before is None else after - before


@pytest.fixture
def measure(events):
    @contextmanager
    def watching():
        events.append("watch")
        yield
        events.append("unwatch")

    return Measure(
        bench="bench_x",
        find_metric=lambda name: Catalog().metric(name, where="bench_x"),
        device=FakeDevice(),
        watching=watching,
        progress=lambda phase, share: None,
        prove=lambda: events.append("prove"),
        max_seconds=0.05,
    )


class FakeClock:
    """Time that passes only when work says so."""

    def __init__(self, monkeypatch):
        self.now_ns = 10**12
        for room in (module, rule):
            monkeypatch.setattr(room, "perf_counter_ns", lambda: self.now_ns)

    def work(self, seconds):
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch):
    return FakeClock(monkeypatch)


def test_it_reads_back_a_call_of_known_length(measure, clock):
    run = measure(clock.work, 0.004)
    assert run.timing.rounds_seconds == (pytest.approx(0.004),) * len(run.timing.rounds_seconds)
    assert run.seconds == pytest.approx(0.004)
    assert run.timing.loops == 1
    assert run.timing.started_ns == tuple(sorted(run.timing.started_ns))


def test_short_calls_are_looped_until_a_round_is_long_against_the_timer(measure, clock):
    run = measure(clock.work, 2e-6)
    assert run.timing.loops in (500, 501)
    assert run.seconds == pytest.approx(2e-6)


def test_a_slow_first_call_is_a_number_of_its_own_and_leaves_the_rounds_alone(measure, clock):
    calls = []

    def work():
        clock.work(0.5 if not calls else 0.001)
        calls.append(1)

    measure.max_seconds = 0.2
    run = measure(work)
    assert run.timing.first_call_seconds == pytest.approx(0.5)
    assert run.seconds == pytest.approx(0.001)
    assert len(run.timing.rounds_seconds) >= 40
    assert run.timing.warmup_calls >= module.LEAST_WARMUP_CALLS


def test_warm_up_goes_on_until_two_windows_agree(measure, clock):
    lengths = iter([0.3, 0.2, 0.1, 0.05, 0.03, 0.03])
    measure.max_seconds = 10

    run = measure(lambda: clock.work(next(lengths, 0.03)))
    assert run.timing.warmup_calls == 6
    assert run.timing.rounds_seconds == (pytest.approx(0.03),) * len(run.timing.rounds_seconds)


def test_warm_up_is_bounded_when_windows_never_agree(measure, clock):
    calls = []

    def work():
        calls.append(1)
        clock.work(0.1 * 1.5 ** (len(calls) % 2))

    measure.max_seconds = 1
    assert measure(work).timing.warmup_calls <= 7


def test_fixed_rounds_are_kept(measure, clock):
    measure.rounds = 7
    run = measure(clock.work, 0.001)
    assert len(run.timing.rounds_seconds) == 7
    assert run.timing.stopped_by == "rounds"


def test_long_calls_stop_by_time_after_the_least_rounds(measure, clock):
    run = measure(clock.work, 1.0)
    assert len(run.timing.rounds_seconds) == rule.LEAST_ROUNDS
    assert run.timing.stopped_by == "seconds"


def test_quiet_rounds_stop_by_precision_of_their_blocks(measure, clock):
    measure.max_seconds = 100
    run = measure(clock.work, 0.01)
    assert run.timing.stopped_by == "precision"
    assert sum(run.timing.rounds_seconds) >= rule.LEAST_PRECISION_SECONDS


def test_quiet_rounds_go_on_for_a_window_that_an_energy_counter_needs(measure, clock):
    measure.max_seconds, measure.least_seconds = 5.0, 1.0
    run = measure(clock.work, 2e-3)
    assert run.timing.stopped_by == "precision"
    assert 1.0 - 1e-6 <= sum(run.timing.rounds_seconds) < 2.0


def test_the_device_is_waited_for_inside_every_round(measure, clock, events):
    """Work that is queued and not waited for would cost nothing on the clock."""
    queued = []

    def synchronise():
        clock.work(0.005 * len(queued))
        queued.clear()

    measure.device.synchronise, measure.rounds = synchronise, 4
    run = measure(lambda: queued.append(1))
    assert run.seconds == pytest.approx(0.005)


def test_proof_is_asked_for_when_warm_and_before_rounds(measure, clock, events):
    measure(clock.work, 1.0)
    assert events == ["prove", "watch", "unwatch"]


def test_the_devices_own_clock_stands_beside_the_hosts(measure, clock):
    ticks = iter(range(1000))
    measure.device.marked, measure.rounds = lambda: 0.5 * next(ticks), 3
    run = measure(clock.work, 0.51)
    assert run.timing.device_seconds == (0.5,) * 3
    assert run.seconds == pytest.approx(0.51)
    assert run.notes == []


def test_short_rounds_are_followed_by_rounds_whose_queue_is_held(measure, clock):
    """The launch on an idle device is in the host's seconds, and not in the device's."""
    held = []

    def hold():
        held.append(clock.now_ns)
        return True

    def call():
        clock.work(0.004 if held else 0.0041)

    measure.device.marked, measure.device.hold, measure.rounds = lambda: clock.now_ns * 1e-9, hold, 20
    run = measure(call)
    assert run.seconds == pytest.approx(0.0041)
    assert run.timing.device_seconds == (pytest.approx(0.004),) * module.HELD_ROUNDS
    assert run.timing.device_held
    assert len(held) == module.HELD_ROUNDS + 1, "once more, to ask whether it can"


def test_long_rounds_are_not_held(measure, clock):
    measure.device.marked, measure.device.hold, measure.rounds = lambda: clock.now_ns * 1e-9, pytest.fail, 3
    run = measure(clock.work, 1.1 * module.HELD_BELOW_SECONDS)
    assert len(run.timing.device_seconds) == 3
    assert not run.timing.device_held


def test_device_times_that_miss_work_of_another_stream_are_left_out_and_said(measure, clock):
    ticks = iter(range(1000))
    measure.device.marked, measure.rounds = lambda: 0.1 * next(ticks), 3
    run = measure(clock.work, 0.5)
    assert run.timing.device_seconds == ()
    assert run.seconds == pytest.approx(0.5)
    assert run.notes == ["no device times: work ran on a stream that the current one does not wait for"]


def test_once_runs_one_time_and_times_nothing(measure, events):
    measure.once = True
    calls = []
    run = measure(calls.append, 1)
    assert calls == [1]
    assert run.timing is None
    assert run.seconds is None
    assert "watch" not in events


@pytest.mark.parametrize("way", ["call", "each", "stream"])
@pytest.mark.parametrize("once", [True, False])
def test_what_ran_is_proven_once_after_it_ran(measure, events, way, once):
    measure.once, measure.rounds = once, 2
    measure.prove = lambda: events.append("prove")
    {
        "call": lambda: measure(events.append, "work"),
        "each": lambda: measure.each(events.append, ["work"]),
        "stream": lambda: measure.stream(lambda: iter([events.append("work")])),
    }[way]()
    assert events.count("prove") == 1
    assert "work" in events[: events.index("prove")]
    assert ("watch" in events[: events.index("prove")]) is False


def test_gc_is_off_inside_rounds_and_on_again_after(measure):
    seen = set()
    measure.rounds = 3
    measure(lambda: seen.add(gc.isenabled()))
    assert seen == {False}
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_gc_is_on_again_after_a_call_that_raises(measure, events):
    calls = []

    def breaks():
        calls.append(1)
        if len(calls) > 5:
            raise OSError("five was enough")

    measure.rounds = 50
    with pytest.raises(OSError, match="five"):
        measure(breaks)
    assert gc.isenabled()


def test_arguments_and_the_last_output_are_passed(measure):
    measure.rounds = 2
    run = measure(lambda a, *, b: (a, b), 1, b=2)
    assert run.output == (1, 2)
    assert run.outputs == [(1, 2)]


def test_each_passes_once_over_all_and_keeps_every_output(measure, clock):
    seen = []

    def work(batch):
        seen.append(tuple(batch))
        clock.work(0.01 * len(batch))
        return [item * 2 for item in batch]

    run = measure.each(work, iter([[1, 2], [3, 4], [5]]))
    assert run.timing.rounds_seconds == (pytest.approx(0.02), pytest.approx(0.02), pytest.approx(0.01))
    assert run.flat == [2, 4, 6, 8, 10]
    assert run.timing.stopped_by == "items"
    assert seen == [(1, 2), (1, 2), (5,), (1, 2), (3, 4), (5,)]


def test_the_timer_is_measured_and_short_calls_are_looped_against_it(measure, clock):
    measure.device.synchronise = lambda: clock.work(20e-6)
    run = measure(clock.work, 1e-3)
    assert run.timing.timer_seconds == pytest.approx(20e-6, abs=1e-9)
    assert run.timing.loops == 8  # 8 ms, of which 20 us are a quarter of a percent


def test_items_are_not_looped_and_carry_the_cost_of_the_timer(measure, clock):
    measure.device.synchronise = lambda: clock.work(20e-6)
    run = measure.each(lambda item: clock.work(1e-6), [1, 2, 3])
    assert run.timing.loops == 1
    assert run.timing.timer_seconds == pytest.approx(20e-6, abs=1e-9)


@pytest.mark.parametrize("verb", ["repeat", "each", "stream"])
def test_cold_rounds_are_flushed_one_by_one_outside_the_clock(measure, clock, events, verb):
    def flush():
        events.append("flush")
        clock.work(0.1)

    def work(item=None):
        events.append("call")
        clock.work(0.002)
        return [1]

    measure.flush, measure.rounds = flush, 3
    run = {
        "repeat": lambda: measure(work),
        "each": lambda: measure.each(work, [1, 2, 3]),
        "stream": lambda: measure.stream(work),
    }[verb]()
    assert run.timing.cold
    assert run.timing.loops == 1
    assert run.timing.rounds_seconds == (pytest.approx(0.002),) * 3
    assert events[events.index("watch") :] == ["watch", *["flush", "call"] * 3, "unwatch"]
    assert "flush" not in events[: events.index("watch")]


def test_stream_times_the_first_item_and_the_gaps(measure, clock):
    def stream(n):
        clock.work(0.1)
        yield "first"
        for at in range(n):
            clock.work(0.01)
            yield at

    run = measure.stream(stream, 3)
    assert run.output == ["first", 0, 1, 2]
    assert run.tokens.ttft_seconds[0] == pytest.approx(0.1)
    assert run.tokens.itl_seconds[0] == (pytest.approx(0.01),) * 3
    assert run.tokens.e2el_seconds[0] == pytest.approx(0.13)
    assert run.seconds == pytest.approx(0.13)


def test_a_generation_gives_token_times_from_the_same_rounds(measure, clock):
    def generate():
        started = clock.now_ns
        clock.work(0.02)
        first = clock.now_ns
        clock.work(0.01)
        stamps = Clock(started, (first, clock.now_ns), "the test's clock", ttft_device_seconds=0.019)
        return Generation(("a b",), ((1, 2),), prompt_tokens=5, asked_tokens=3, clock=lambda: stamps)

    measure.rounds = 3
    run = measure(generate)
    assert run.tokens.ttft_seconds == (pytest.approx(0.02),) * 3
    assert run.tokens.ttft_device_seconds == (0.019,) * 3
    assert run.tokens.itl_seconds[0] == (pytest.approx(0.01),)
    assert run.tokens.prompt_tokens == 5
    assert [(caveat.kind, caveat.detail) for caveat in run.caveats] == [("truncated", "2 of 3 tokens")]


def generation(*lengths, asked):
    rows = tuple(tuple(range(length)) for length in lengths)
    return Generation(("",) * len(rows), rows, 5, asked, lambda: Clock(0, (1,), "the test's clock"))


def truncated(run):
    return [caveat.detail for caveat in run.caveats if caveat.kind == "truncated"]


def test_a_batch_in_which_one_text_ends_early_is_truncated(measure):
    measure.once = True
    assert truncated(measure(lambda: generation(4, 2, asked=4))) == ["6 of 8 tokens"]


def test_each_takes_a_sequence_piece_by_piece(measure):
    """Data larger than memory are batches that are read when they are asked for: not one is kept for later."""

    held = weakref.WeakSet()

    class Read(Sequence):
        def __len__(self):
            return 5

        def __getitem__(self, at):
            if at >= 5:
                raise IndexError
            batch = Batch([at])
            held.add(batch)
            return batch

    class Batch(list):
        __hash__ = object.__hash__

    most = 0

    def look(batch):
        nonlocal most
        most = max(most, len(held))
        return sum(batch)

    assert measure.each(look, Read()).outputs == [0, 1, 2, 3, 4]
    assert most <= 3, "the one at hand, and those of the warm-up"


def test_texts_of_each_batch_are_counted_not_of_the_last_alone(measure):
    measure.once = True
    run = measure.each(lambda lengths: generation(*lengths, asked=4), [(4, 1), (4, 4)])
    assert truncated(run) == ["13 of 16 tokens"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([(1, 2), (3, None)], ["3 of 4 tokens"]),
        ([(1, 2)], ["2 of 4 tokens"]),
        ([(1, 2), (3, 4)], []),
    ],
    ids=["one ended", "all ended", "none"],
)
def test_a_stream_that_knows_what_was_asked_says_what_is_missing(measure, steps, said):
    measure.rounds = 1
    run = measure.stream(lambda: Steps(iter(steps), asked_tokens=2))
    assert truncated(run) == said
    assert run.tokens.new_tokens == sum(entry is not None for step in steps for entry in step)
    assert run.tokens.batch_size == 2


def test_a_text_as_long_as_asked_is_not_truncated(measure):
    measure.once = True
    assert truncated(measure(lambda: generation(4, 4, asked=4))) == []


async def awaited():
    """Never runs when it is merely called."""


def generated():
    yield 1


@pytest.mark.parametrize("lazy", [awaited, lambda: awaited()], ids=["function", "result"])
def test_a_coroutine_is_refused(measure, lazy):
    with pytest.raises(UsageError, match="measure a function that awaits it"):
        measure(lazy)


def test_a_function_that_awaits_is_measured(measure, clock):
    async def work():
        clock.work(0.001)
        return 3

    measure.rounds = 2
    assert measure(lambda: asyncio.run(work())).output == 3


@pytest.mark.parametrize("lazy", [generated, lambda: generated()], ids=["function", "result"])
def test_a_generator_is_refused_and_stream_is_named(measure, lazy):
    with pytest.raises(UsageError, match=r"measure\.stream"):
        measure(lazy)


def test_each_refuses_a_generator_function(measure):
    with pytest.raises(UsageError, match=r"measure\.stream"):
        measure.each(lambda item: generated(), [1])


def test_something_that_is_no_function_is_refused(measure):
    with pytest.raises(UsageError, match="leave the call out"):
        measure(sum([1]))


def test_a_second_measurement_is_refused(measure):
    measure.rounds = 1
    measure(int)
    with pytest.raises(UsageError, match="bench_x measures twice"):
        measure.each(int, [1])


def test_no_items_and_no_stream_are_refused(measure):
    with pytest.raises(UsageError, match="got no items"):
        measure.each(int, [])


def test_an_empty_stream_is_refused(measure):
    with pytest.raises(UsageError, match="ended before its first item"):
        measure.stream(list)


def test_sequences_of_a_stream_that_ended_are_not_counted(measure, clock):
    def stream():
        for step in [(1, 2, 3), (4, None, 6), (7, None, None)]:
            clock.work(0.1)
            yield step

    tokens = measure.stream(stream).tokens
    assert (tokens.batch_size, tokens.new_tokens) == (3, 6)
    assert len(tokens.itl_seconds[0]) == 2


def test_a_stream_that_is_none_is_refused(measure):
    with pytest.raises(UsageError, match="needs something to iterate, got int"):
        measure.stream(int)


class TestRun:
    @pytest.fixture
    def run(self, measure):
        measure.once = True
        return measure(int)

    def test_counts_are_kept(self, run):
        run.count(tokens=64, images=[6])
        assert run.counts == {"tokens": 64, "images": 6}

    @pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), True, "12", None, [1, "2"], []])
    def test_what_is_no_count_is_refused(self, run, amount):
        with pytest.raises(UsageError, match="tokens"):
            run.count(tokens=amount)

    def test_a_score_keeps_its_items(self, run):
        assert run.score("exact_match", ["a", "b", "c"], ["a", "b", "x"]) == pytest.approx(2 / 3)
        score = run.scores["exact_match"]
        assert score.items == (1.0, 1.0, 0.0)
        assert score.direction == "higher"
        assert score.standard_error == pytest.approx(1 / 3)

    def test_an_unknown_metric_names_the_near_one(self, run):
        with pytest.raises(UnknownName, match=r"unknown metric 'exact_mach' in bench_x; did you mean 'exact_match'\?"):
            run.score("exact_mach", [], [])

    def test_a_score_twice_or_without_references_is_refused(self, run):
        run.score("accuracy", [1], [1])
        with pytest.raises(UsageError, match="called twice"):
            run.score("accuracy", [1], [1])
        with pytest.raises(UsageError, match="needs references"):
            run.score("contains", ["a"], None)


@pytest.mark.parametrize(
    "lazy",
    [lambda: map(str, [1]), lambda: iter([1]), lambda: ThreadPoolExecutor(1).submit(int)],
    ids=["map", "iterator", "future"],
)
def test_work_that_may_not_be_done_is_refused(measure, lazy):
    with pytest.raises(UsageError, match=r"bench_x: .* gave a"):
        measure(lazy)


@pytest.mark.parametrize("once", [True, False])
def test_each_refuses_a_lazy_output_of_any_item(measure, once):
    measure.once = once
    with pytest.raises(UsageError, match="gave a generator that has not run"):
        measure.each(lambda item: generated() if item else 0, [0, 1])


def test_counts_of_another_length_or_given_twice_are_refused(measure):
    run = measure.each(abs, [1, 2])
    with pytest.raises(UsageError, match="has 3 numbers for 2 calls"):
        run.count(images=[1, 2, 3])
    run.count(images=[1, 2])
    with pytest.raises(UsageError, match="called twice"):
        run.count(images=1)


@pytest.mark.parametrize("calls", [1, 2, 3, 7, 1000, 20_000])
def test_the_clocks_nanoseconds_are_read_back_from_seconds(calls):
    for elapsed_ns in (1, 41, 999_983, 1_000_003, 27 * 10**9 + 1, 3600 * 10**9 + 7):
        seconds = seconds_of(elapsed_ns, calls)
        assert round(seconds * calls * 1e9) == elapsed_ns
        assert seconds == pytest.approx(elapsed_ns * 1e-9 / calls, abs=1e-10 / calls)
