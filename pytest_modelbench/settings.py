"""Settings: one frozen value made from pytest's options at the door; after that nobody asks `config`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What the user asked for, checked."""

    #: The folder that identity is relative to and that reports are written under.
    root: Path
    #: Where Records go: (kind, place) pairs; the first is the one recovered into.
    stores: tuple[tuple[str, str], ...]
    #: What is written at the end: (kind, place) pairs.
    reports: tuple[tuple[str, str], ...]
    #: What the command line asks of an axis; None leaves the marks' values.
    asked: dict[str, tuple[str, ...] | None]
    #: Where reports are written unless a place is given.
    reports_folder: Path = Path("reports")
    #: What is compared with, in pairs of processes: a git ref, a folder, or variant:NAME.
    against: str | None = None
    #: The most pairs of a bench, and seconds for all of them.
    pairs: int = 15
    budget_seconds: float | None = None
    #: Play so many pairs and decide nothing, to see what this machine can tell.
    calibrate: bool = False
    #: Columns of the terminal's table; none leaves the usual ones.
    columns: tuple[str, ...] = ()
    once: bool = False
    rounds: int | None = None
    max_seconds: float = 5.0
    mock: bool = False
    #: Compare the first output of each variant with eager's.
    parity: bool = True
    #: Measure once what sampling costs.
    sampler_cost: bool = False
    #: Flush the device's caches before each timed call of every bench.
    cold: bool = False
    #: Each bench in a process of its own, and how long one may take.
    isolate: bool = False
    timeout_seconds: float | None = None
    #: Models whose own code may run, and whose pickled weights may be opened, each by name.
    trust_remote_code: frozenset[str] = frozenset()
    allow_pickle: frozenset[str] = frozenset()
    #: What the gate tolerates where a bench's mark says nothing (see `gate/limits.py`); None: what is usual.
    fail: str | None = None
    #: The place of stored Records to compare with, whether there must be some, and where to add this session's.
    baseline: str | None = None
    require_baseline: bool = False
    save_baseline: Path | None = None
    #: Whether `unclear` and advisory verdicts fail too.
    strict: bool = False
    session: str = ""
    worker: str = ""
