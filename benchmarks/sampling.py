"""P9: what sampling costs the rounds: windows of the same rounds, with the sampling process at work and without;
and what it takes to start and to stop it around them.

A pair is on, off, off, on. A window holds a quarter of a second of rounds of a millisecond: on the CPU of a loop that
counts, on a CUDA device of matrix products. Compared are the windows' medians.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from typing import Any

from .figure import Figure, middle
from .peers import absent

WINDOW_SECONDS = 0.25


def figures(quick: bool) -> Iterator[Figure]:
    """Percent more time a round."""
    from pytest_modelbench.device import lease
    from pytest_modelbench.samplers import Sampling

    cuda = False
    if not absent("torch Timer"):
        import torch

        cuda = torch.cuda.is_available()
    with lease("cuda" if cuda else "cpu") as device:
        call = _matmuls() if cuda else _counting()
        sampling = Sampling(device)
        try:
            _window(call, sampling)  # the process is up, what it reads from is open
            pairs = []
            for _ in range(1 if quick else 80):
                seconds = [_window(call, sampling if on else None) for on in (True, False, False, True)]
                pairs.append(((seconds[0] + seconds[3]) / (seconds[1] + seconds[2]) - 1) * 100)
            around = [_start_and_stop(sampling) for _ in range(2 if quick else 40)]
        finally:
            sampling.close()
    ours, interval = middle(pairs)
    yield Figure(f"P9 sampling the device, more than a round without ({device.kind})", "%", ours, 0.3, interval)
    ours, interval = middle(around)
    yield Figure(f"starting the sampler for a measurement, and stopping it ({device.kind})", "ms", ours, None, interval)


def _window(call: Callable[[], None], sampling: Any) -> float:
    """The median round of a window."""
    if sampling:
        sampling.start()
    found, until = [], perf_counter() + WINDOW_SECONDS
    while (started := perf_counter()) < until:
        call()
        found.append(perf_counter() - started)
    if sampling:
        sampling.stop()
    return median(found)


def _start_and_stop(sampling: Any) -> float:
    """Milliseconds that a measurement waits for the sampling process."""
    started = perf_counter()
    sampling.start()
    began = perf_counter()
    time.sleep(0.05)  # what is measured in between is not waited for
    ended = perf_counter()
    sampling.stop()
    return (began - started + perf_counter() - ended) * 1e3


def _counting() -> Callable[[], None]:
    def call(turns: int = 1000) -> None:
        for _ in range(turns):
            pass

    started = perf_counter()
    call(100_000)
    turns = math.ceil(1e-3 / (perf_counter() - started) * 100_000)
    return lambda: call(turns)


def _matmuls() -> Callable[[], None]:
    import torch

    factor = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)

    def call() -> None:
        for _ in range(5):
            torch.mm(factor, factor)
        torch.cuda.synchronize()

    return call
