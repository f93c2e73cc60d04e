"""Ranks that die, raise, or are left alone: a clear error in bounded time, and no process that stays."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ranks import TEXTS, alive, opened, other_ranks

from pytest_modelbench.errors import Lost

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_a_rank_that_hangs_is_given_up_and_the_threads_are_given_back(ranks_here, monkeypatch):
    from pytest_modelbench.parallel import group

    monkeypatch.setattr(group, "PATIENCE_SECONDS", 5.0)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        model = opened("bf16+tensor-parallel")
        assert "2 threads each" in model.facts.ran_on
        assert model.facts.dtype == "bfloat16"
        [process] = other_ranks(model)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(Lost, match="rank 0 on cpu waited in vain: "):
            model.generate(TEXTS, max_new_tokens=4)
        model.close()
        assert not alive(process.pid)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_lost_ranks_are_told_and_the_next_call_has_new_ones(ranks_here, whole):
    model = opened("tensor-parallel")
    expected = whole.generate(TEXTS, max_new_tokens=6).token_ids

    # one that dies in a call is named
    killer = threading.Timer(0.5, other_ranks(model)[0].kill)
    killer.start()
    began = time.monotonic()
    with pytest.raises(Lost, match="rank 1 on cpu ended: crashed: signal SIGKILL"):
        model.generate(TEXTS, max_new_tokens=1500)
    assert time.monotonic() - began < 20
    assert not torch.distributed.is_initialized()
    killer.join()
    assert model.generate(TEXTS, max_new_tokens=6).token_ids == expected
    model.ran()

    # what is raised here, as Ctrl-C does, ends the others: they wait in a collective
    [process] = other_ranks(model)
    interrupter = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        model.generate(TEXTS, max_new_tokens=1500)
    interrupter.join()
    assert not alive(process.pid)
    assert model.generate(TEXTS, max_new_tokens=6).token_ids == expected

    # one that raises says what, and where; here between two calls
    [process] = other_ranks(model)
    model.elsewhere.tell("dance", None)
    process.wait(20)
    with pytest.raises(Lost, match="rank 1 on cpu raised ValueError: a rank does not know 'dance'") as caught:
        model.generate(TEXTS, max_new_tokens=1500)
    assert "in obey" in "\n".join(caught.value.__notes__)
    model.close()
    assert not alive(process.pid)


_LEFT_ALONE = """
from ranks import other_ranks, opened, TEXTS
model = opened("tensor-parallel")
print(other_ranks(model)[0].pid, flush=True)
while True:
    model.generate(TEXTS, max_new_tokens=200)
"""


def test_no_rank_outlives_a_bench_that_is_killed_within_a_call(ranks_here):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", _LEFT_ALONE],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as first:
        other = int(first.stdout.readline())
        assert alive(other)
        time.sleep(0.2)
        first.kill()
    until = time.monotonic() + 10
    while alive(other) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(other)
