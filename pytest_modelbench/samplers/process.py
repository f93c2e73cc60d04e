"""The bench's own process, and how busy, fast and hot its host is; read from outside, by the sampling process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..declare import sampler

if TYPE_CHECKING:
    from . import Watched

# Chosen here: some hosts ask each core or a slow bus; a reading that takes longer than this, a hundredth of the usual
# period, would disturb what it watches.
_CHEAP_SECONDS = 1e-3
#: Linux's drivers of processor temperatures: Intel, AMD, and the boards of ARM.
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


@sampler("process", requires=("psutil",))
def process(watched: Watched) -> Iterator[dict[tuple[str, str], float]]:
    """Resident bytes and CPU seconds (user and system) of the bench's process; the busy ratio of all the host's cores.

    And the cores' mean clock and hottest temperature, where the host tells them and does so in no time; and, on Linux,
    the CPU seconds of the processes that it started and theirs, as far as they live or were waited for.

    CPU seconds are a counter: its differences are what was used. The busy ratio is the mean since the reading before,
    so a reading that follows a pause, or comes right after another, has none.
    """
    import psutil

    bench = psutil.Process(watched.pid)
    children = 0.0
    host = _cheap({("cpu_clock_hertz", "hertz"): _clock, ("cpu_temperature_celsius", "celsius"): _temperature})
    busy_before, total_before, then = *_core_seconds(), time.monotonic()
    while True:
        with bench.oneshot():
            resident, used = bench.memory_info().rss, bench.cpu_times()
        readings = {
            ("resident_bytes", "bytes"): float(resident),
            ("cpu_seconds", "seconds"): used.user + used.system,
        }
        if sys.platform == "linux":
            # one that is waited for while we read is in neither count; the next reading has it
            children = max(children, _children_seconds(watched.pid))
            readings["children_cpu_seconds", "seconds"] = children
        busy, total, now = *_core_seconds(), time.monotonic()
        usual = 0.5 <= (now - then) / watched.period_seconds <= 3
        if usual and total > total_before:
            readings["host_busy_ratio", "ratio"] = min(max((busy - busy_before) / (total - total_before), 0.0), 1.0)
        busy_before, total_before, then = busy, total, now
        told = {quantity: read() for quantity, read in host.items()}
        yield readings | {quantity: value for quantity, value in told.items() if value is not None}


def _core_seconds() -> tuple[float, float]:
    """Busy and all seconds of the host's cores since it started, summed over cores."""
    import psutil

    times = psutil.cpu_times()
    # Linux counts guest time in user time as well
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _cheap(
    readings: dict[tuple[str, str], Callable[[], float | None]],
) -> dict[tuple[str, str], Callable[[], float | None]]:
    """Those that this host answers, and quickly, at the second time of asking."""
    kept = {}
    for quantity, read in readings.items():
        if read() is None:
            continue
        before = time.perf_counter()
        read()
        if time.perf_counter() - before <= _CHEAP_SECONDS:
            kept[quantity] = read
    return kept


def _clock() -> float | None:
    """Mean of the cores' clocks, as the system says; in a virtual machine that is often the nominal one."""
    import psutil

    try:
        frequency = psutil.cpu_freq()
    except (AttributeError, NotImplementedError, OSError):  # not on this system, or not in this container
        return None
    return frequency.current * 1e6 if frequency and frequency.current else None


def _temperature() -> float | None:
    """Of the hottest place on a processor."""
    import psutil

    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):  # as above
        return None
    return max((place.current for name in _CPU_SENSORS for place in sensors.get(name, ())), default=None)


def _children_seconds(pid: int) -> float:
    """CPU seconds of all that descends from a process, without it: its dead by its own count, its living by theirs."""
    return (_ticks(pid)[1] + _living_ticks(pid)) / os.sysconf("SC_CLK_TCK")


def _living_ticks(pid: int) -> int:
    """Found by the kernel's lists of children, which cost a hundredth of a look at every process of the host."""
    ticks = 0
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listed.read_text(encoding="ascii").split()
        except OSError:  # that thread has just ended
            continue
        ticks += sum(sum(_ticks(int(child))) + _living_ticks(int(child)) for child in children)
    return ticks


def _ticks(pid: int) -> tuple[int, int]:
    """Of a process, and of its children that it waited for: proc_pid_stat(5), fields 14 to 17; none once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0, 0
    user, system, dead_user, dead_system = map(int, fields[11:15])
    return user + system, dead_user + dead_system
