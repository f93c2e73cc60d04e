"""RAPL: the energy counters of the host's processors, as Linux shows them under /sys/class/powercap.

The driver's manual: https://docs.kernel.org/power/powercap/powercap.html. Since Linux 5.10 only root may read them,
unless the administrator allows it (CVE-2020-8694).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..declare import sampler

if TYPE_CHECKING:
    from . import Watched

POWERCAP = Path("/sys/class/powercap")


@sampler("rapl")
def rapl(watched: Watched) -> Iterator[dict[tuple[str, str], float]]:
    """Joules of all processor packages of the host since it was opened: a counter, whose differences were used.

    Whole packages with their cores and caches, everyone's work on them; memory modules are not in it.
    """
    counters = [Counter(zone) for zone in packages()]
    if not counters:
        raise LookupError(f"no processor package under {POWERCAP}")
    while True:
        yield {("energy_joules", "joules"): sum(counter.joules() for counter in counters)}


def packages(folder: Path | None = None) -> list[Path]:
    """The zones of whole processor packages.

    Not their subzones (`intel-rapl:0:0`, the cores), which they contain; not `psys`, which contains them; not
    `intel-rapl-mmio`, which is the same package a second time.
    """
    zones = sorted((folder or POWERCAP).glob("intel-rapl:*"))
    return [zone for zone in zones if zone.name.count(":") == 1 and _name(zone).startswith("package")]


def why_unreadable(folder: Path | None = None) -> str:
    """What to do, where the host has counters that this account may not read; "" where it may, or there are none."""
    closed = [zone for zone in packages(folder) if not os.access(zone / "energy_uj", os.R_OK)]
    if not closed:
        return ""
    file = closed[0].parent / "intel-rapl:*/energy_uj"
    return f"host energy is not read: only root may read its counters; allow it with: sudo chmod a+r {file}"


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text().strip()
    except OSError:  # a zone that went away
        return ""


class Counter:
    """One zone's joules since it was opened; the counter itself starts over at its range."""

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range_uj = int((zone / "max_energy_range_uj").read_text())
        self._before_uj, self._used_uj = self._now(), 0

    def joules(self) -> float:
        """Ask it at least once in the time in which it goes round: 20 minutes at 200 W with the usual 262 kJ."""
        now_uj = self._now()
        used_uj = now_uj - self._before_uj
        # Linux: "the range of the counter"; it goes from there to 0
        self._used_uj += used_uj if used_uj >= 0 else used_uj + self._range_uj
        self._before_uj = now_uj
        return self._used_uj / 1e6

    def _now(self) -> int:
        return int(self._file.read_text())
