"""Session: what one pytest session keeps between its benches, and what becomes of its Records at the end."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from .catalog import Catalog
from .errors import ModelbenchError, StoreError
from .files import ignored_folder
from .settings import Settings

if TYPE_CHECKING:
    from .device import Device
    from .journal import Journal
    from .record import Record
    from .samplers import Sampling

SESSION = pytest.StashKey["Session"]()


@dataclass
class Session:
    """Settings, names, the sampling process, and the Records that came; a worker of xdist has one of its own."""

    settings: Settings
    catalog: Catalog = field(default_factory=Catalog)
    #: Told where the running bench is: its id, a word, and the share that is done or None.
    progress: Callable[[str, str, float | None], None] = lambda bench, phase, share: None
    records: list[Record] = field(default_factory=list)
    #: What went wrong at the edges (a store, a report); the session fails, the Records are kept.
    problems: list[str] = field(default_factory=list)
    #: Things worth saying once, at the end.
    notes: list[str] = field(default_factory=list)
    #: Files that were written.
    written: list[Path] = field(default_factory=list)
    started: float = field(default_factory=monotonic)
    _journal: Journal | None = None
    _samplings: dict[str, Sampling] = field(default_factory=dict)

    def check_names(self) -> None:
        """Raise UnknownName for a store or report that nothing declares, before anything runs."""
        for kind, _ in self.settings.stores:
            self.catalog.check("store", kind, where="--bench-store")
        for kind, _ in self.settings.reports:
            self.catalog.check("report", kind, where="--bench-report")

    def sampling(self, device: Device) -> Sampling:
        """The long-lived sampler of a device; the one before it is closed."""
        from .samplers import Sampling

        if device.name not in self._samplings:
            self.close()
            self._samplings[device.name] = Sampling(device, declared=self.catalog.declared("sampler"))
        return self._samplings[device.name]

    def environment(self, device: Device | None) -> dict[str, Any]:
        """Commit, hardware, versions and threads, as they are with the libraries loaded by now."""
        from .environment import environment

        return environment(device, self.settings.root)

    def close(self) -> None:
        """End the sampling process."""
        while self._samplings:
            self._samplings.popitem()[1].close()

    # -- Records: journal at once, stores and reports at the end

    @property
    def journals(self) -> Path:
        """Where Records wait until they are stored."""
        return self.settings.reports_folder / "data" / "journal"

    def recover(self) -> None:
        """Store the Records of sessions that were killed; say how many."""
        if not self.journals.is_dir():
            return
        from .journal import discard, recover

        for session, records in recover(self.journals, self.problems.append):
            try:
                self._append(records)
            except StoreError as error:
                self.problems.append(f"{len(records)} Records of session {session} stay in its journal: {error}")
                continue
            discard(self.journals, session)
            plural = "" if len(records) == 1 else "s"
            self.notes.append(f"recovered {len(records)} Record{plural} of interrupted session {session}")

    def open(self) -> None:
        """Open the journal and try the stores. Raises StoreError for a place that cannot be written."""
        from .journal import Journal

        if self._journal is None:
            for kind, place in self.settings.stores:
                store = self.catalog.find("store", kind)(Path(place))
                getattr(store, "check", lambda: None)()
            self._journal = Journal(self.journals, self.settings.session)

    def add(self, record: Record) -> None:
        """Keep a Record: on disk before the next bench starts."""
        try:
            self.open()
        except StoreError as error:
            self._open_elsewhere(error)
        assert self._journal is not None
        self._journal.append(record)
        self.records.append(record)

    def _open_elsewhere(self, error: StoreError) -> None:
        from .journal import Journal

        folder = Path(tempfile.mkdtemp(prefix="modelbench-journal-"))
        self.problems.append(f"{error}; Records are kept in {folder}")
        self._journal = Journal(folder, self.settings.session)

    def finish(self) -> None:
        """Write the stores and the reports; the journal goes when every store has its Records."""
        self.close()
        stored = True
        try:
            self._append(self.records)
        except Exception as error:  # noqa: BLE001  a store may be the user's: whatever it raises, Records are kept
            stored = False
            self.problems.append(f"{_said(error)}; Records are kept in {self.journals}, and stored at the next start")
        if self._journal is not None:
            self._journal.close(keep=not stored)
        for kind, place in self.settings.reports if self.records else ():
            try:
                if Path(place).parent == self.settings.reports_folder:
                    ignored_folder(self.settings.reports_folder, but=("README.md", "baseline/"))
                self.written.append(self.catalog.find("report", kind)(self.records, Path(place)))
            except Exception as error:  # noqa: BLE001  a report may be the user's: the Records are stored all the same
                self.problems.append(f"report {kind}:{place}: {_said(error)}; the Records are stored")

    def summary(self, width: int, verbose: bool, color: bool) -> list[str]:
        """What the terminal says at the end: the table, notes, problems, and where the files are."""
        lines = []
        if self.records:
            from .reports.terminal import lines as table

            seconds = monotonic() - self.started
            lines = table(
                self.records,
                width=width,
                verbose=verbose,
                color=color,
                utf8=_utf8(),
                report_places=[_from_here(path) for path in self.written],
                seconds=seconds,
            )
        return [*lines, *self.notes, *(f"modelbench: {problem}" for problem in self.problems)]

    def _append(self, records: list[Record]) -> None:
        for kind, place in self.settings.stores if records else ():
            self.catalog.find("store", kind)(Path(place)).append(records)


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ModelbenchError) else f"{type(error).__name__}: {error}"


def _utf8() -> bool:
    return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
