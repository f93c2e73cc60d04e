"""The bench's own process, and how busy its host is; read from outside, by the sampling process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..declare import sampler

if TYPE_CHECKING:
    from . import Watched


@sampler("process", requires=("psutil",))
def process(watched: Watched) -> Iterator[dict[tuple[str, str], float]]:
    """Resident bytes and CPU seconds (user and system) of the bench's process; the busy ratio of all the host's cores.

    And, on Linux, the CPU seconds of the processes that it started and theirs, as far as they live or were waited for.

    CPU seconds are a counter: its differences are what was used. The busy ratio is the mean since the reading before,
    so a reading that follows a pause, or comes right after another, has none.
    """
    import psutil

    bench = psutil.Process(watched.pid)
    busy_before, total_before, then = *_core_seconds(), time.monotonic()
    while True:
        with bench.oneshot():
            resident, used = bench.memory_info().rss, bench.cpu_times()
        readings = {
            ("resident_bytes", "bytes"): float(resident),
            ("cpu_seconds", "seconds"): used.user + used.system,
        }
        if sys.platform == "linux":
            readings["children_cpu_seconds", "seconds"] = _children_seconds(watched.pid)
        busy, total, now = *_core_seconds(), time.monotonic()
        usual = 0.5 <= (now - then) / watched.period_seconds <= 3
        if usual and total > total_before:
            readings["host_busy_ratio", "ratio"] = min(max((busy - busy_before) / (total - total_before), 0.0), 1.0)
        busy_before, total_before, then = busy, total, now
        yield readings


def _core_seconds() -> tuple[float, float]:
    """Busy and all seconds of the host's cores since it started, summed over cores."""
    import psutil

    times = psutil.cpu_times()
    # Linux counts guest time in user time as well
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


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
