"""P11: a known length of time is read back: a spin on the host's clock, and a kernel that spins on the device's.

Both write how long they saw themselves spin: that is the known length, so a spin that the system interrupted is as good
as any. The kernel watches `%globaltimer`, the device's clock in nanoseconds: `torch.cuda._sleep` counts cycles, so its
length follows the clock rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from statistics import median
from time import perf_counter_ns
from typing import Any

from .figure import Figure
from .peers import measure_on

LENGTHS_MS = (1, 10, 100)


def figures(quick: bool) -> Iterator[Figure]:
    """Percent that what is read differs from what was."""
    from pytest_modelbench.device import Device, lease

    rounds = 5 if quick else 20
    for length_ms in LENGTHS_MS:
        call, seen_ns = _host_spin(length_ms * 1_000_000)
        read, _ = _measured(Device("cpu", "cpu", "cpu"), call, rounds)
        yield _figure(f"P11 a spin of {length_ms} ms on the host, read back", read, seen_ns()[-rounds:])
    why = _no_cuda()
    if why:
        yield Figure("P11 a kernel of 1, 10, 100 ms, read back", "%", None, 1.0, note=f"not measured: {why}")
        return
    with lease("cuda") as device:
        for length_ms in LENGTHS_MS:
            call, seen_ns = _kernel(length_ms * 1_000_000)
            host, on_device = _measured(device, call, rounds)
            assert on_device is not None
            yield _figure(f"P11 a kernel of {length_ms} ms, by the device", on_device, seen_ns()[-rounds:])
            yield _figure(f"P11 a kernel of {length_ms} ms, by the host", host, seen_ns()[-rounds:])


def _figure(what: str, read_seconds: float, seen_ns: Sequence[int]) -> Figure:
    return Figure(what, "%", (read_seconds / (median(seen_ns) * 1e-9) - 1) * 100, 1.0)


def _measured(device: Any, call: Callable[[], object], rounds: int) -> tuple[float, float | None]:
    """What a Measure reads: seconds of a call by the host's clock and by the device's."""
    timing = measure_on(device, rounds)(call).timing
    assert timing is not None
    return median(timing.rounds_seconds), median(timing.device_seconds) if timing.device_seconds else None


def _host_spin(ns: int) -> tuple[Callable[[], object], Callable[[], Sequence[int]]]:
    """A call that spins, and how long each did: the last are those of the rounds, one call each."""
    seen: list[int] = []

    def call() -> None:
        started = perf_counter_ns()
        while (passed := perf_counter_ns() - started) < ns:
            pass
        seen.append(passed)

    return call, lambda: seen


def _no_cuda() -> str:
    for name in ("torch", "triton"):
        if find_spec(name) is None:
            return f"{name} is not installed"
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device"


def _kernel(ns: int) -> tuple[Callable[[], object], Callable[[], Sequence[int]]]:
    """A call that launches the kernel, and how long each launch saw itself spin."""
    import torch

    from .globaltimer import spin

    seen: list[Any] = []

    def call() -> None:
        out = torch.empty(1, dtype=torch.int64, device="cuda")
        spin[(1,)](out, ns, num_warps=1)
        seen.append(out)

    return call, lambda: [int(out) for out in seen]
