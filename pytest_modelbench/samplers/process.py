"""The bench's own process, and how busy its host is; read from outside, by the sampling process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..declare import sampler

if TYPE_CHECKING:
    from . import Watched


@sampler("process", requires=("psutil",))
def process(watched: Watched) -> Iterator[dict[tuple[str, str], float]]:
    """Resident bytes and CPU seconds (user and system) of the bench's process; the busy ratio of all the host's cores.

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
