"""The core of a block: chosen for what computes in one thread, left to the system for all else."""

import os

import pytest

from pytest_modelbench.conduct import _Core

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")


@pytest.fixture
def core():
    made = _Core()
    yield made
    made.leave()


def test_work_of_one_thread_is_put_on_the_core_and_back(core):
    usual = os.sched_getaffinity(0)
    chosen = min(usual)
    core.take(chosen)
    sum(range(300_000))
    core.look()
    core.take(chosen)
    assert os.sched_getaffinity(0) == {chosen}
    core.leave()
    assert os.sched_getaffinity(0) == usual


def test_once_others_work_too_it_is_on_no_core(core):
    usual = os.sched_getaffinity(0)
    core._alone = True
    core.take(min(usual))
    core._alone = False
    core.take(min(usual))
    assert os.sched_getaffinity(0) == usual
