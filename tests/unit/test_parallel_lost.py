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


@pytest.fixture(scope="module")
def whole():
    model = opened("eager")
    yield model
    model.close()


def test_ranks_share_the_threads_and_give_them_back(ranks_here):
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        model = opened("bf16+tensor-parallel")
        assert "2 threads each" in model.facts.ran_on
        assert model.facts.dtype == "bfloat16"
        model.ran()
        model.close()
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_a_rank_that_dies_in_a_call_is_named_and_the_next_call_has_new_ones(ranks_here, whole):
    model = opened("tensor-parallel")
    [process] = other_ranks(model)
    killer = threading.Timer(0.5, process.kill)
    killer.start()
    began = time.monotonic()
    with pytest.raises(Lost, match="rank 1 on cpu ended: crashed: signal SIGKILL"):
        model.generate(TEXTS, max_new_tokens=1500)
    assert time.monotonic() - began < 20
    killer.join()
    assert not torch.distributed.is_initialized()

    # the next call starts others
    assert model.generate(TEXTS, max_new_tokens=6).token_ids == whole.generate(TEXTS, max_new_tokens=6).token_ids
    model.ran()

    # one that raises says what
    [process] = other_ranks(model)
    model.elsewhere.tell("dance", None)
    with pytest.raises(Lost, match="rank 1 on cpu raised AssertionError: dance") as caught:
        model.generate(TEXTS, max_new_tokens=1500)
    assert "in obey" in "\n".join(caught.value.__notes__)
    model.close()
    assert not alive(process.pid)


def test_what_is_raised_here_ends_the_others(ranks_here, whole):
    from pytest_modelbench.choice import Choice

    model = opened("tensor-parallel")
    [process] = other_ranks(model)
    prompts, limits = model.encode(TEXTS), model._limits(8, 0)

    def full(logits):
        raise MemoryError("no more")

    steps = model.decoder.steps(prompts, limits, Choice(tap=full))
    with pytest.raises(MemoryError, match="no more"):
        next(steps)
    assert not alive(process.pid)

    # ranks that do not compute the same are found out
    model.generate(TEXTS, max_new_tokens=4)
    model.decoder._made = [((1, 2),)]
    with pytest.raises(Lost, match="rank 1 on cpu made 1 calls to 1 here, or other tokens in the last"):
        model.ran()
    model.close()


_LEFT_ALONE = """
import sys
from ranks import other_ranks, opened, TEXTS
model = opened("tensor-parallel")
print(other_ranks(model)[0].pid, flush=True)
try:
    while True:
        model.generate(TEXTS, max_new_tokens=200)
except KeyboardInterrupt:
    model.close()
    print("closed", flush=True)
"""


def test_no_rank_outlives_its_bench(ranks_here):
    """Killed, or interrupted, within a call: both at once, because starting takes the time."""
    paths = [str(Path(__file__).parent), *sys.path]
    started = {
        what: subprocess.Popen(
            [sys.executable, "-c", _LEFT_ALONE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        for what in (signal.SIGKILL, signal.SIGINT)
    }
    others = {what: int(process.stdout.readline()) for what, process in started.items()}
    for what, process in started.items():
        assert alive(others[what])
        process.send_signal(what)
    said = {what: process.communicate(timeout=60)[0] for what, process in started.items()}
    assert said[signal.SIGINT] == "closed\n"
    until = time.monotonic() + 10
    while any(map(alive, others.values())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, others.values()))
