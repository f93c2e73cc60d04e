"""Apple's GPUs: what their driver tells without root, by way of the system's `ioreg`.

Power, clocks and temperature are told to root only (powermetrics) or by private interfaces: they are not read.
"""

from __future__ import annotations

import plistlib
import subprocess
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..declare import sampler

if TYPE_CHECKING:
    from . import Watched

COMMAND = ["/usr/sbin/ioreg", "-r", "-d", "1", "-c", "IOAccelerator", "-a"]
# Chosen here: a process is started for each reading, and once a second that is lost in the host's noise.
_SECONDS_BETWEEN = 1.0
#: What a driver calls it -> the quantity, its unit, and how many SI units it is.
_KEYS = {
    "Device Utilization %": ("gpu_busy_ratio", "ratio", 0.01),
    "In use system memory": ("memory_used_bytes", "bytes", 1.0),
}


@sampler("apple")
def apple(watched: Watched) -> Iterator[dict[tuple[str, str], float]]:
    """Busy ratio of the GPU and the memory it uses, everyone's, once a second.

    The busy ratio is the driver's own "Device Utilization %": coarse, and not documented by Apple.
    """
    read_at = -_SECONDS_BETWEEN
    while True:
        now = time.monotonic()
        if now - read_at >= _SECONDS_BETWEEN:
            read_at = now
            yield readings(subprocess.run(COMMAND, capture_output=True, check=True, timeout=10).stdout)
        else:
            yield {}


def readings(plist: bytes) -> dict[tuple[str, str], float]:
    """The quantities in what `ioreg -a` printed, of the first accelerator that has them; {} where none has."""
    accelerators: list[dict[str, Any]] = plistlib.loads(plist) if plist.strip() else []
    for accelerator in accelerators:
        told = accelerator.get("PerformanceStatistics", {})
        found = {(name, unit): told[key] * scale for key, (name, unit, scale) in _KEYS.items() if key in told}
        if found:
            return found
    return {}
