"""Session: what one pytest session keeps between its benches, and what becomes of its Records at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from .catalog import Catalog
from .errors import ModelbenchError, StoreError
from .files import ignored_folder
from .settings import Settings

if TYPE_CHECKING:
    from .canary import Peaks
    from .conduct import Conductor
    from .device import Device
    from .journal import Journal
    from .quiet import Quiet, Work
    from .record import Record, Series
    from .results import Results
    from .samplers import Sampling
    from .verdict import Verdicts

SESSION = pytest.StashKey["Session"]()
#: Set in the process that runs an isolated bench: there it is a bench like any other, and the parent does the rest.
INSIDE = pytest.StashKey[bool]()
# What the Record and a worker's terminal say; a line of progress says it at once.
LONG_WAIT_SECONDS = 60.0


@dataclass(eq=False, repr=False)  # the methods not made cost every pytest run nothing
class Session:
    """Settings, names, the sampling process, and the Records that came; a worker of xdist has one of its own."""

    settings: Settings
    catalog: Catalog = field(default_factory=Catalog)
    #: Told where the running bench is: its id, a word, and the share that is done or None.
    progress: Callable[[str, str, float | None], None] = lambda bench, phase, share: None
    records: list[Record] = field(default_factory=list)
    #: What the gate said, where it was asked.
    verdicts: Verdicts | None = None
    #: What went wrong at the edges (a store, a report); the session fails, the Records are kept.
    problems: list[str] = field(default_factory=list)
    #: Things worth saying once, at the end.
    notes: list[str] = field(default_factory=list)
    #: Lines that a CI service takes for annotations.
    annotations: list[str] = field(default_factory=list)
    #: Files that were written.
    written: list[Path] = field(default_factory=list)
    #: Whether the cost of sampling was measured.
    weighed: bool = False
    started: float = field(default_factory=monotonic)
    #: Told for whom this process waits, and an empty text when it waits no more.
    tell_wait: Callable[[str], None] | None = None
    #: What the Record of the running bench should say of waits.
    bench_notes: list[str] = field(default_factory=list)
    #: Ends the lease of this process, and what is built on it: the next bench takes the device in its own process.
    release: Callable[[], None] = lambda: None
    #: In a process that is one side of a pair: who says when rounds run, the device that the parent holds for both
    #: sides, and whether this pair is watched by samplers.
    conductor: Conductor | None = None
    lent: Device | None = None
    sampled: bool = True
    #: The bench after which the device answers this process no more; those that follow get processes of their own.
    device_lost_by: str = ""
    _journal: Journal | None = None
    _recovered: list[tuple[str, list[Record]]] = field(default_factory=list)
    #: The folder for the journal when its own place fails.
    _spare: Path | None = None
    _waits_since: float | None = None
    _waited_for: str = ""
    _quiet: Quiet | None = None
    _samplings: dict[str, Sampling] = field(default_factory=dict)
    _at_rest: dict[str, tuple[Series, ...]] = field(default_factory=dict)
    _peaks: dict[tuple[str, str], Peaks] = field(default_factory=dict)

    def check_names(self) -> None:
        """Raise UnknownName for a store or report that nothing declares, before anything runs."""
        for kind, _ in self.settings.stores:
            self.catalog.check("store", kind, where="--bench-store")
        for kind, _ in self.settings.reports:
            self.catalog.check("report", kind, where="--bench-report")

    def sampling(self, device: Device) -> Sampling:
        """The long-lived sampler of a device; the one before it is closed."""
        from .samplers import Sampling, lacking

        if device.name not in self._samplings:
            self.close()
            if (note := lacking(device)) and note not in self.notes:
                self.notes.append(note)
            self._samplings[device.name] = Sampling(device, declared=self.catalog.declared("sampler"))
        return self._samplings[device.name]

    def at_rest(self, device: Device) -> tuple[Series, ...]:
        """Samples of a device before our first bench on it; a longer look where its power or energy can be read."""
        from .energy import idle_seconds

        if device.name not in self._at_rest:
            sampling = self.sampling(device)
            sampling.start()
            seen = sampling.stop()
            if any(series.name in ("energy_joules", "power_watts") for series in seen):
                sampling.start()
                sleep(idle_seconds(device.kind))
                seen = sampling.stop()
            self._at_rest[device.name] = seen
        return self._at_rest[device.name]

    def peaks(self, device: Device, dtype: str) -> Peaks:
        """What a device can do at most in a dtype, measured once a session and machine."""
        from .canary import peaks

        known = self._peaks.get((device.name, dtype))
        if known is None or not known.whole:
            fingerprint = str(self.environment(device)["fingerprint"])
            known = self._peaks[device.name, dtype] = peaks(device, dtype, fingerprint)
        return known

    def environment(self, device: Device | None) -> dict[str, Any]:
        """Commit, hardware, versions and threads, as they are with the libraries loaded by now."""
        from .environment import environment

        return environment(device, self.settings.root)

    def waits(self, text: str) -> None:
        """Say for whom this process waits; an empty text: it waits no more. The Record notes more than a minute."""
        now = monotonic()
        if text:
            self._waits_since, self._waited_for = self._waits_since or now, text
        elif self._waits_since is not None:
            if now - self._waits_since >= LONG_WAIT_SECONDS:
                self.bench_notes.append(f"was {self._waited_for} for {now - self._waits_since:.0f} s")
            self._waits_since = None
        if self.tell_wait:
            self.tell_wait(text)
        elif text:
            self.progress(text, "", None)

    def begin_work(self, work: Work, bench: str) -> None:
        """Set up, or time, when nobody on this host is at what would disturb it or be disturbed."""
        if self.lent is not None:
            return  # the parent of a pair keeps quiet for both sides
        if self._quiet is None:
            from .quiet import Quiet

            self._quiet = Quiet(self.waits)
        if said := self._quiet.begin(work, bench):
            self.bench_notes.append(f"not alone on the host: began {work} after {said}, which took too long")

    def end_work(self) -> None:
        """Let others set up or time."""
        if self._quiet is not None:
            self._quiet.end()

    def leave(self) -> None:
        """End the sampling process, and be on this host no more."""
        self.close()
        if self._quiet is not None:
            self._quiet.leave()

    def close(self) -> None:
        """End the sampling process."""
        while self._samplings:
            self._samplings.popitem()[1].close()

    # -- Records: journal at once, stores and reports at the end

    @property
    def journals(self) -> Path:
        """Where Records wait until they are stored: in the first store's folder, or beside a store that has none."""
        kind, place = self.settings.stores[0]
        return (Path(place) if kind == "parquet" else self.settings.reports_folder / "data") / "journal"

    def recover(self) -> None:
        """Read the Records of sessions that were killed; they are stored when this one ends, not before it measures."""
        if self.journals.is_dir():
            from .journal import recover

            self._recovered = recover(self.journals, self.problems.append)

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
        self.records.append(record)
        try:
            self.open()
            assert self._journal is not None
            self._journal.append(record)
        except (StoreError, OSError) as error:
            self._journal_elsewhere(error)

    def _journal_elsewhere(self, error: Exception) -> None:
        """Go on in the system's folder for temporary files, with all Records so far; failing that, in memory."""
        from .journal import Journal

        if self._spare is None:
            self._spare = Path(tempfile.mkdtemp(prefix="modelbench-journal-"))
            self.problems.append(f"{_said(error)}; Records are kept in {self._spare} until they are stored")
        try:
            self._journal = Journal(self._spare, self.settings.session)
            for record in self.records:
                self._journal.append(record)
        except (StoreError, OSError) as worse:
            self.problems.append(f"{_said(worse)}; Records are in memory only until the session ends")

    def finish(self) -> None:
        """Write the stores and the reports; a journal goes when every store has its Records."""
        self.close()
        self._store_recovered()
        stored = True
        try:
            self._append(self.records)
            self._keep_verdicts()
        except Exception as error:  # noqa: BLE001  a store may be the user's: whatever it raises, Records are kept
            stored = False
            kept = self._spare or f"{self.journals}, and stored at the next start"
            self.problems.append(f"{_said(error)}; Records are kept in {kept}")
        try:
            if self._journal is not None:
                self._journal.close(keep=not stored)
            if stored and self._spare is not None:
                shutil.rmtree(self._spare)
        except (StoreError, OSError) as error:
            self.problems.append(_said(error))
        try:
            self._save_baseline()
        except (StoreError, OSError) as error:
            self.problems.append(_said(error))
        reports = self.settings.reports if self.records else ()
        results = self.results() if self.records else None
        for kind, place in reports:
            try:
                if Path(place).parent == self.settings.reports_folder:
                    ignored_folder(self.settings.reports_folder, but=("README.md", "baseline/"))
                self.written.append(self.catalog.find("report", kind)(results, Path(place)))
            except Exception as error:  # noqa: BLE001  a report may be the user's: it does not touch the Records
                kept = "; the Records are stored" if stored else ""
                self.problems.append(f"report {kind}:{place}: {_said(error)}{kept}")
        if results is not None:
            self._tell_ci(results)

    def _tell_ci(self, results: Results) -> None:
        """The job's summary, and lines that annotate the benches that fail; nothing where no service asks for them."""
        from .ci import annotated, summarise

        try:
            summarise(results)
        except StoreError as error:
            self.problems.append(_said(error))
        self.annotations = annotated(results)

    def results(self) -> Results:
        """What the reports of this session are made of."""
        from .results import Results

        return Results(tuple(self.records), self.verdicts, self._history())

    def _history(self) -> list[dict[str, Any]]:
        """What the first store knows of these benches from earlier sessions, the oldest first; it may keep no rows."""
        kind, place = self.settings.stores[0]
        store = self.catalog.find("store", kind)(Path(place))
        if self.settings.once or not hasattr(store, "rows"):
            return []
        from .results import HISTORY_COLUMNS, MOST_SESSIONS

        try:
            rows = store.rows(keys={record.key for record in self.records}, columns=HISTORY_COLUMNS, most=MOST_SESSIONS)
        except (StoreError, OSError) as error:
            self.problems.append(f"{_said(error)}; the reports show no earlier session")
            return []
        return [row for row in rows if row["session"] != self.settings.session and row["outcome"] == "passed"]

    def _store_recovered(self) -> None:
        if not self._recovered:
            return  # every pytest run comes by here, and the journal brings the Records' classes with it
        from .journal import discard

        for session, records in self._recovered:
            plural = "" if len(records) == 1 else "s"
            try:
                self._append(records)
            except Exception as error:  # noqa: BLE001  as in finish
                self.problems.append(
                    f"{len(records)} Record{plural} of session {session} stay in its journal: {_said(error)}"
                )
                continue
            discard(self.journals, session)
            self.notes.append(f"recovered {len(records)} Record{plural} of interrupted session {session}")

    def summary(self, width: int, verbose: bool, color: bool) -> list[str]:
        """What the terminal says at the end: the table, notes, problems, and where the files are."""
        lines, said = [], self._verdicts_said(width, verbose, color)
        if self.records:
            from .reports.terminal import MOST_LINES
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
                columns=self.settings.columns,
                note="" if said else "Nothing to compare with.",
                most_lines=MOST_LINES - len(said),
                beyond=self._beyond(),
            )
        return [
            *lines,
            *said,
            *self.notes,
            *self._cost_of_sampling(),
            *(f"modelbench: {problem}" for problem in self.problems),
            *self.annotations,
        ]

    def _beyond(self) -> int:
        """How many benches passed and are failed by the gate."""
        passed = {record.key for record in self.records if record.outcome == "passed"}
        return len(passed & {verdict.key for verdict in self.verdicts or () if verdict.failing})

    def _verdicts_said(self, width: int, verbose: bool, color: bool) -> list[str]:
        if self.verdicts is None:
            return []
        from .reports.verdicts import lines

        return lines(self.verdicts, width=width, verbose=verbose, color=color, utf8=_utf8())

    def _cost_of_sampling(self) -> list[str]:
        """What workers or this process said of it, where it was asked for."""
        if not self.settings.sampler_cost or not self.records:
            return []
        from .samplers.cost import LONGEST_CALL_SECONDS, SAID

        said = [note for record in self.records for note in record.notes if note.startswith(SAID)]
        return said or [f"{SAID} were not measured: no call of measure(...) took at most {LONGEST_CALL_SECONDS:g} s"]

    def _append(self, records: list[Record]) -> None:
        for kind, place in self.settings.stores if records else ():
            self.catalog.find("store", kind)(Path(place)).append(records)

    def _keep_verdicts(self) -> None:
        """Beside the Records, in the stores that can: a report made of them later shows the gate too."""
        for kind, place in self.settings.stores if self.verdicts is not None and self.records else ():
            store = self.catalog.find("store", kind)(Path(place))
            if hasattr(store, "append_verdicts"):
                store.append_verdicts(self.settings.session, self.verdicts)

    def _save_baseline(self) -> None:
        """Add what was measured to the baseline, in files that git does see; samples would make them large."""
        place, timed = self.settings.save_baseline, [record for record in self.records if record.outcome == "passed"]
        if place is None or self.settings.once or not timed:
            return
        from .files import seen_folder

        ignored_folder(self.settings.reports_folder, but=("README.md", "baseline/"))
        seen_folder(place)
        self.catalog.find("store", "parquet")(place).append([replace(record, samples=()) for record in timed])
        self.notes.append(f"saved {len(timed):,} Record{'s' if len(timed) > 1 else ''} in {_from_here(place)}")


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, ModelbenchError) else f"{type(error).__name__}: {error}"


def _utf8() -> bool:
    return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
