"""Ours and the peers as functions: a call and about how many seconds to time it -> its median in seconds.

Each is entered where its fixture enters it, in this process, so that all of them time in one turn on one state of the
machine; what their pytest plugins cost around that is measured by `load.py` and `suite.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from types import SimpleNamespace
from typing import Any

Call = Callable[[], object]
#: What a Measure tells its progress to, between rounds.
Between = Callable[[str, float | None], None]


def ours(call: Call, seconds: float, between: Between = lambda phase, share: None) -> float:
    """`measure(call)` on the CPU, with nothing beside the clock: the sampler's cost is P9.

    `between` is the progress that a Measure tells between its rounds.
    """
    from pytest_modelbench.device import Device
    from pytest_modelbench.rounds import ROUND_SECONDS

    rounds = max(3, math.ceil(seconds / ROUND_SECONDS))
    return measure_on(Device("cpu", "cpu", "cpu"), rounds, between)(call).seconds or 0.0


def measure_on(device: Any, rounds: int, between: Between = lambda phase, share: None) -> Any:
    """A Measure on a device, with nothing beside the clock."""
    from pytest_modelbench.measure import Measure

    return Measure("call", _no_metric, device, watching=nullcontext, progress=between, rounds=rounds)


def _no_metric(name: str) -> Any:
    raise LookupError(name)


def pytest_benchmark(call: Call, seconds: float) -> float:
    """`benchmark(call)` of pytest-benchmark with its defaults, but for the time."""
    from pytest_benchmark.fixture import BenchmarkFixture
    from pytest_benchmark.timers import default_timer
    from pytest_benchmark.utils import NameWrapper

    quiet = SimpleNamespace(debug=lambda *_, **__: None)
    fixture = BenchmarkFixture(
        SimpleNamespace(name="call", nodeid="call"), disable_gc=False, timer=NameWrapper(default_timer), min_rounds=5,
        min_time=0.000005, max_time=seconds, precision=None, confidence=None, warmup=False, warmup_iterations=100_000,
        calibration_precision=10, add_stats=lambda stats: None, logger=quiet, warner=None, disabled=False,
        cprofile=False, cprofile_loops=None, cprofile_dump=None,
    )  # fmt: skip
    fixture(call)
    return float(fixture.stats.stats.median)


def pytest_codspeed(call: Call, seconds: float) -> float:
    """`benchmark(call)` of pytest-codspeed's walltime instrument, a fifth of the time to warm up."""
    from pytest_codspeed.config import BenchmarkMarkerOptions

    instrument = _codspeed()
    instrument.config = SimpleNamespace(
        warmup_time_ns=int(seconds * 0.2e9), max_time_ns=int(seconds * 1e9), max_rounds=None
    )
    instrument.measure(BenchmarkMarkerOptions(), "call", "call", call)
    return float(instrument.benchmarks.pop().stats.median_ns) * 1e-9


@cache
def _codspeed() -> Any:
    from pytest_codspeed.instruments.walltime import WallTimeInstrument

    return WallTimeInstrument(None, None)


def torch_timer(call: Call, seconds: float) -> float:
    """`torch.utils.benchmark.Timer(...).blocked_autorange()`."""
    from torch.utils.benchmark import Timer

    return float(Timer("call()", globals={"call": call}).blocked_autorange(min_run_time=seconds).median)


def singly(call: Call, seconds: float) -> float:
    """A clock read before and after each single call, as is often written by hand."""
    found = []
    until = perf_counter() + seconds
    while (started := perf_counter()) < until:
        call()
        found.append(perf_counter() - started)
    return median(found)


PEERS: dict[str, Callable[[Call, float], float]] = {
    "pytest-benchmark": pytest_benchmark,
    "codspeed": pytest_codspeed,
    "torch Timer": torch_timer,
    "singly": singly,
}
MODULES = {"pytest-benchmark": "pytest_benchmark", "codspeed": "pytest_codspeed", "torch Timer": "torch"}


def absent(name: str) -> str:
    """Why a peer cannot be compared with, or "" where it can."""
    module = MODULES.get(name)
    return "not installed" if module and find_spec(module) is None else ""
