"""How rounds are cut into blocks, and how a conductor takes them."""

import os
import subprocess
import sys
from collections import Counter
from random import Random
from time import perf_counter, thread_time

import pytest

from pytest_modelbench.conduct import Conductor, _Waits
from pytest_modelbench.gate.duet import BLOCKS, DROP_UNDER_SECONDS, LEAST_BLOCKS, plan


@pytest.mark.parametrize("seconds", [1e-9, 1e-3, 0.01, 0.2, 1.0, 60.0])
def test_a_plan_is_balanced_and_keeps_to_its_seconds(seconds):
    cut = plan(seconds, None, 5.0, Random(1))
    assert LEAST_BLOCKS <= len(cut.order) <= BLOCKS
    assert Counter(cut.order) == {("head", "base"): len(cut.order) / 2, ("base", "head"): len(cut.order) / 2}
    assert cut.drop == (seconds < DROP_UNDER_SECONDS)
    assert len(cut.order) == LEAST_BLOCKS or len(cut.order) * cut.rounds * seconds <= 5.0


def test_each_item_is_seen_by_both_sides():
    cut = plan(0.5, 33, 5.0, Random(1))
    assert cut.mixed
    assert len(cut.order) * cut.rounds >= 33


def conducted(*told):
    said, words = [], iter(told)
    conductor = Conductor(lambda *message: said.append(message), lambda: next(words), "cpu")
    return conductor, said


def test_rounds_come_in_blocks_and_the_first_after_a_switch_is_dropped():
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else -1
    conductor, said = conducted(("loops", 7), ("block", 2, True, core), ("block", 1, False, core), ("done",))
    assert conductor.begin(0.001, 5, None) == 7
    taken = []
    while conductor.more():
        taken.append(conductor.takes(0.001))
    assert taken == [False, True, True, True]
    assert [message[0] for message in said] == ["ready", "block", "block"]
    assert said[0] == ("ready", 0.001, 5, None)
    assert [len(message[1]) for message in said[1:]] == [2, 1]
    assert all(message[2] > 0 for message in said[1:])


def test_nobody_conducts_where_the_other_side_has_no_such_bench():
    conductor, _ = conducted(("free",))
    assert conductor.begin(0.001, 5, None) is None


def test_time_that_others_took_is_taken_off():
    waits = _Waits()
    if not waits._seconds():
        pytest.skip("the kernel does not say how long a thread waited")
    code = "while True: pass"
    core = min(os.sched_getaffinity(0))
    usual, others = os.sched_getaffinity(0), subprocess.Popen([sys.executable, "-c", code])
    os.sched_setaffinity(others.pid, {core})
    os.sched_setaffinity(0, {core})
    try:
        waited, spent = 0.0, 0.0
        for _ in range(20):
            waits.begin()
            started, own = perf_counter(), thread_time()
            sum(range(600_000))
            spent += thread_time() - own
            seconds = perf_counter() - started
            waited += seconds - waits.within(seconds)
        assert waited == pytest.approx(spent, rel=0.1)
    finally:
        os.sched_setaffinity(0, usual)
        others.kill()
        others.wait()


def test_the_core_is_given_back():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("cores cannot be chosen here")
    usual = os.sched_getaffinity(0)
    conductor, _ = conducted(("loops", 1), *[("block", 1, False, min(usual))] * 3, ("done",))
    conductor.begin(0.001, 1, None)
    seen = []
    while conductor.more():
        sum(range(200_000))  # computes in this thread alone
        conductor.takes(0.001)
        seen.append(os.sched_getaffinity(0))
    assert seen[0] == usual
    assert seen[1] == seen[2] == {min(usual)}
    assert os.sched_getaffinity(0) == usual
