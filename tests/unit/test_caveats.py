"""Caveats that a Record shows: each provoked by the readings that mean it, and silent beside those that do not."""

from dataclasses import replace

import pytest

from pytest_modelbench.caveats import found
from pytest_modelbench.record import COMPILER, Caveat, ModelFacts, Record, Series, Timing
from pytest_modelbench.stats import drift_ratio

SECOND = 10**9
HOST = {"cores_usable": 4, "cores_logical": 4}


def record(rounds=(1.0,) * 20, samples=(), model=None, verb="repeat", **environment):
    """A Record of rounds back to back from the first second on; on the CPU unless `gpu` is given."""
    starts, at = [], SECOND
    for seconds in rounds:
        starts.append(at)
        at += round(seconds * SECOND)
    return Record(
        "bench_x.py::bench_x", {}, "bench_x", "passed",
        timing=Timing(verb, tuple(rounds), tuple(starts), timer_seconds=1e-7),
        samples=tuple(samples), model=model, environment={"gpu": None, "host": HOST, **environment},
    )  # fmt: skip


def details(of, kind):
    return [caveat.detail for caveat in found(of) if caveat.kind == kind]


def test_quiet_rounds_have_no_caveat():
    assert found(record()) == ()


def test_a_record_without_times_keeps_what_it_has_and_gets_no_more():
    own = (Caveat("truncated", "1 of 2 tokens"),)
    assert found(replace(record(rounds=(1.0,)), timing=None, caveats=own)) == own


def test_those_of_the_bench_stand_with_those_that_are_seen_in_one_order():
    of = replace(record(rounds=(1.0,)), caveats=(Caveat("truncated"), Caveat("shared_device", "said by the bench")))
    assert [caveat.kind for caveat in found(of)] == ["shared_device", "few_samples", "truncated"]


class TestRecompiled:
    def compiled(self, at, seconds, name="compile_seconds"):
        return [Series(COMPILER, name, "seconds", (round(at * SECOND),), (seconds,))]

    def test_a_compilation_inside_a_round(self):
        of = record(rounds=(1.0, 1.0, 27.6) + (1.0,) * 77, samples=self.compiled(3.2, 27.1))
        assert details(of, "recompiled") == ["1 of 80 rounds, 27.1 s"]

    def test_cuda_graphs_recorded_inside_a_round(self):
        of = record(samples=self.compiled(3.2, 0.5, "cudagraph_recording_seconds"))
        assert details(of, "recompiled") == ["1 of 20 rounds, 500 ms"]

    def test_one_over_two_rounds(self):
        assert details(record(samples=self.compiled(1.5, 1.0)), "recompiled") == ["2 of 20 rounds, 1.00 s"]

    def test_one_between_rounds_or_after_them_is_none(self):
        of = record(samples=self.compiled(0.2, 0.7) + self.compiled(21.5, 3.0))
        assert details(of, "recompiled") == []


class TestFallback:
    def facts(self, dtype="bfloat16", attention="sdpa", **details):
        return ModelFacts("random:x", dtype=dtype, attention=attention, details=details)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"asked_dtype": "float16"}, "asked for dtype float16, bfloat16 ran"),
            ({"asked_attention": "flash_attention_2"}, "asked for attention flash_attention_2, sdpa ran"),
            ({"graph_breaks": 3}, "3 graph breaks: what lies between graphs ran eagerly"),
            ({"nodes_elsewhere": "2 of 9 nodes on CPUExecutionProvider: Shape"},
             "2 of 9 nodes on CPUExecutionProvider: Shape"),
        ],
    )  # fmt: skip
    def test_what_ran_is_not_what_was_asked(self, asked, said):
        assert details(record(model=self.facts(**asked)), "fallback") == [said]

    def test_what_was_asked_ran(self):
        facts = self.facts(asked_dtype="bfloat16", asked_attention="sdpa", graph_breaks=0, nodes_elsewhere=None)
        assert details(record(model=facts), "fallback") == []

    def test_a_dtype_that_nobody_can_tell_is_no_fallback(self):
        assert details(record(model=self.facts(dtype=None, asked_dtype="float16")), "fallback") == []


class TestThrottled:
    def reasons(self, *values):
        times = tuple(SECOND + at * SECOND // 10 for at in range(len(values)))
        return [Series("nvml", "clock_event_reasons", "bitmask", times, tuple(map(float, values)))]

    def test_the_share_of_samples_and_the_reason(self):
        of = record(samples=self.reasons(*[0x4] * 30 + [0x4 | 0x20] * 10 + [0x0] * 10), gpu={})
        said = "80.0 % of 50 samples: software power cap; 20.0 % of 50 samples: software thermal slowdown"
        assert details(of, "throttled") == [said]

    def test_idle_and_clocks_that_a_person_set_are_none(self):
        assert details(record(samples=self.reasons(*[0x1, 0x0, 0x2, 0x100] * 10), gpu={}), "throttled") == []

    def test_one_sample_of_many_is_none(self):
        assert details(record(samples=self.reasons(0x4, *[0x0] * 40), gpu={}), "throttled") == []

    def test_samples_outside_the_rounds_are_none(self):
        of = record(rounds=(0.1,) * 10, samples=self.reasons(*[0x0] * 11 + [0x40] * 30), gpu={})
        assert details(of, "throttled") == []


class TestSharedDevice:
    def host(self, busy, own_seconds=1.0, n=10):
        """Ten readings in a second, in which the bench used so many seconds of CPU."""
        times = tuple(SECOND + at * SECOND // (n - 1) for at in range(n))
        return [
            Series("process", "host_busy_ratio", "ratio", times, (busy,) * n),
            Series("process", "cpu_seconds", "seconds", times, tuple(at * own_seconds / (n - 1) for at in range(n))),
        ]

    def test_others_kept_the_hosts_cores_busy(self):
        assert details(record(samples=self.host(0.75)), "shared_device") == [
            "others kept 50.0 % of the host's cores busy"
        ]

    def test_what_the_bench_used_itself_is_its_own(self):
        assert details(record(samples=self.host(1.0, own_seconds=3.8)), "shared_device") == []

    def test_what_its_children_used_is_its_own_too(self):
        times = (SECOND, 2 * SECOND)
        children = Series("process", "children_cpu_seconds", "seconds", times, (0.0, 2.0))
        assert details(record(samples=[*self.host(0.75), children]), "shared_device") == []

    def test_an_idle_hosts_own_business_is_none(self):
        assert details(record(samples=self.host(0.28)), "shared_device") == []

    def test_too_few_readings_tell_nothing(self):
        assert details(record(samples=self.host(0.9, n=4)), "shared_device") == []

    def test_the_hosts_load_says_nothing_of_a_gpu(self):
        assert details(record(samples=self.host(0.9), gpu={"busy_before_ratio": 0.0}), "shared_device") == []

    def test_a_gpu_that_was_busy_before(self):
        assert details(record(gpu={"busy_before_ratio": 0.97}), "shared_device") == [
            "97.0 % busy before the first bench"
        ]

    def test_other_processes_on_a_gpu_meanwhile(self):
        beside = [Series("nvml", "others_busy_ratio", "ratio", (2 * SECOND,), (0.4,))]
        said = ["other processes took 40.0 % of it meanwhile"]
        assert details(record(samples=beside, gpu={"busy_before_ratio": None}), "shared_device") == said
        alone = [Series("nvml", "others_busy_ratio", "ratio", (2 * SECOND,), (0.0,))]
        assert details(record(samples=alone, gpu={}), "shared_device") == []


class TestUnstable:
    @pytest.mark.parametrize(
        ("rounds", "said"),
        [
            ([1.0 + 0.01 * at for at in range(60)], ["the last third was 36.5 % slower than the first"]),
            ([2.0 - 0.01 * at for at in range(60)], ["the last third was 21.0 % faster than the first"]),
            ([1.0] * 30 + [1.2] * 30, ["the last third was 20.0 % slower than the first"]),
        ],
        ids=["slower", "faster", "step"],
    )
    def test_rounds_that_drift(self, rounds, said):
        assert details(record(rounds=rounds), "unstable") == said

    @pytest.mark.parametrize(
        "rounds",
        [
            [1.0, 1.3, 0.9, 1.1] * 20,
            [1.0 + 0.0005 * at for at in range(60)],
            [1.0] * 10 + [9.0] + [1.0] * 49,
            [1.0, 5.0, 9.0],
        ],
        ids=["noise", "under the limit", "one outlier", "too few to tell"],
    )
    def test_rounds_that_do_not(self, rounds):
        assert details(record(rounds=rounds), "unstable") == []

    def test_items_of_other_lengths_are_no_drift(self):
        assert details(record(rounds=[1.0 + 0.1 * at for at in range(60)], verb="each"), "unstable") == []

    def test_the_chance_of_a_false_one_is_what_the_docstring_says(self):
        import random

        draw = random.Random(7)
        flagged = sum(drift_ratio([draw.random() for _ in range(12)]) is not None for _ in range(20_000))
        assert flagged / 20_000 == pytest.approx(2 / 70, abs=0.005)


class TestFewSamples:
    @pytest.mark.parametrize(("n", "said"), [(1, "1 round, of at least 6"), (5, "5 rounds, of at least 6")])
    def test_fewer_than_bound_a_median(self, n, said):
        assert details(record(rounds=(1.0,) * n), "few_samples") == [said]

    def test_enough(self):
        assert details(record(rounds=(1.0,) * 6), "few_samples") == []

    def test_items_are_all_there_are(self):
        assert details(record(rounds=(1.0,) * 2, verb="each"), "few_samples") == []


class TestTimerLimited:
    def test_a_round_that_the_timer_is_a_part_of(self):
        said = ["a round takes 10.0 µs, reading the clock 100 ns"]
        assert details(record(rounds=(10e-6,) * 20), "timer_limited") == said

    def test_calls_looped_to_a_long_round(self):
        of = record(rounds=(1e-6,) * 20)
        assert details(replace(of, timing=replace(of.timing, loops=1000)), "timer_limited") == []

    def test_rounds_of_pytest_benchmark_which_calibrates_itself(self):
        of = record(rounds=(1e-6,) * 20)
        assert details(replace(of, timing=replace(of.timing, timer_seconds=None)), "timer_limited") == []


class TestOversubscribed:
    @pytest.mark.parametrize(
        ("threads", "said"),
        [
            ({"torch_threads": 8}, ["8 threads, 4 usable cores"]),
            ({"torch_threads": None, "OMP_NUM_THREADS": "6,2"}, ["6 threads, 4 usable cores"]),
            ({"torch_threads": 4, "OMP_NUM_THREADS": "64"}, []),
            ({"torch_threads": None}, []),
            ({"torch_threads": None, "OMP_NUM_THREADS": "many"}, []),
        ],
    )
    def test_threads_against_cores(self, threads, said):
        assert details(record(threads=threads), "oversubscribed") == said

    @pytest.mark.parametrize(("ranks", "said"), [(2, []), (3, ["6 threads, 4 usable cores"])])
    def test_each_rank_has_as_many(self, ranks, said):
        model = ModelFacts("m", details={"ranks": ranks})
        assert details(record(model=model, threads={"torch_threads": 2}), "oversubscribed") == said

    def test_threads_of_the_host_beside_a_gpu_are_not_what_is_timed(self):
        assert details(record(threads={"torch_threads": 8}, gpu={}), "oversubscribed") == []
