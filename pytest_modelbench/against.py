"""Against: the loop of a session that compares two sides. Pairs of processes go on until every bench is decided.

Each round plays one pair for all open benches; with `-n` and several devices, lanes of it play parts of them at once.
What was suspected of being slower is looked at again on fresh pairs. Then each bench is reported as pytest would have,
failed where the gate says so.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from . import judging
from .collect import axis_values, built_for, is_bench
from .errors import Unavailable, UsageError
from .fixtures import spoken
from .gate import pairs
from .gate.duet import SIDES, Died, Duet, Played, Side
from .gate.limits import limits_of
from .gate.sides import Against, base_root, dirty, head_name, moved
from .gate.versus import Compared
from .isolation import report_of, reports_of_lost
from .pairing import Lanes, Roots, as_exit, ended_by_sigterm, side_request
from .progress import PROGRESS
from .recording import ATTRIBUTE, begin, detach
from .session import SESSION, Session
from .verdict import Verdict, Verdicts

if TYPE_CHECKING:
    from .device import Device
    from .record import Record

#: A pair that dies is dropped and played again; a bench in which it dies more often than this is `invalid`.
RETRIES = 2
# Chosen here: a Ctrl-C is heard as soon, and waiting costs nothing.
_LOOK_EVERY_SECONDS = 0.1


@dataclass(eq=False)
class Bench:
    """A bench on its way to its verdict."""

    number: int
    item: pytest.Item
    compared: Compared
    said: pairs.Said = "open"
    #: Whether it was suspected of being slower: its pairs from then on are fresh ones.
    suspected: bool = False
    #: Why nothing more can be learnt of it.
    ended: str = ""
    deaths: int = 0
    #: Whether the sides run one after the other, for want of room for both.
    swapped: bool = False
    #: What pytest said of it at the head, in its first pair.
    reports: list[pytest.TestReport] = field(default_factory=list)
    reported: bool = False
    verdicts: tuple[Verdict, ...] = ()

    @property
    def open(self) -> bool:
        """Whether more pairs are wanted."""
        return self.said == "open" and not self.ended


class Comparison:
    """The plugin that takes the place of pytest's loop."""

    def __init__(self, config: pytest.Config, base: Against, lanes: int, take: Callable[[Record, str], None]) -> None:
        self.config, self.base, self.lanes, self._take = config, base, lanes, take
        self.session: Session = config.stash[SESSION]
        self.settings = self.session.settings
        self.root = self.base_root = self.settings.root.resolve()
        self.benches: list[Bench] = []
        self.pairs_played = 0
        self._random = Random(os.urandom(16))
        self._began = monotonic()
        self._bench_seconds = 0.0
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._duets: dict[int, Duet] = {}
        self._stopping = False
        self._quiet = Lanes(self._wait)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run other tests as ever; then play pairs, and report each bench."""
        options = session.config.option
        if options.collectonly or (session.testsfailed and not options.continue_on_collection_errors):
            return None
        items = [item for item in session.items if is_bench(item)]
        others = [item for item in session.items if not is_bench(item)]
        for item, following in zip(others, [*others[1:], None], strict=False):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        with as_exit(), ended_by_sigterm(), base_root(self.base, self.root) as self.base_root:
            self.benches = [self._bench(number, item) for number, item in enumerate(self._comparable(items))]
            if progress := self.config.stash.get(PROGRESS, None):
                progress.waiting.clear()  # here a bench is not done when the next begins
            self._check_files()
            try:
                self._play(session)
            finally:
                self._stop()
                self._conclude()
        return True

    # -- what is compared

    def _bench(self, number: int, item: pytest.Item) -> Bench:
        return Bench(number, item, Compared(item.nodeid, limits_of(self.settings.fail, judging.tolerance(item))))

    def _comparable(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Against a variant, only what has that axis, and another value on it."""
        if self.base.kind != "variant":
            return items
        kept = [item for item in items if str(axis_values(item).get("variant", self.base.place)) != self.base.place]
        if left := [item for item in items if item not in kept]:
            self.config.hook.pytest_deselected(items=left)
        if items and not kept:
            raise UsageError(
                f"--bench-against {self.base.asked}: no bench runs another variant than {self.base.place}; "
                "choose one with --variant"
            )
        return kept

    def _check_files(self) -> None:
        files = {str(bench.item.path) for bench in self.benches}
        if files and not any(Path(moved(file, self.root, self.base_root)).is_file() for file in files):
            named = ", ".join(sorted(os.path.relpath(file, self.root) for file in files)[:3])
            raise UsageError(
                f"--bench-against {self.base.asked}: no bench in common, none of its files is there ({named})"
            )
        if dirty(self.root):
            self.session.notes.append("The working tree differs from its commit; it was compared as it is.")

    def _request(self, side: Side, part: Sequence[Bench], device: Device) -> dict[str, Any]:
        variant = self.base.place if self.base.kind == "variant" else ""
        items = {bench.number: bench.item for bench in part}
        # later pairs only time: what samplers saw of the first is in its Records
        sampled = self.pairs_played == 1 or any("energy" in bench.compared.limits for bench in part)
        return side_request(self.config, items, side, Roots(self.root, self.base_root, variant), device, sampled)

    # -- rounds of pairs

    def _play(self, session: pytest.Session) -> None:
        if self.settings.calibrate:
            self._calibrate()
        while wanted := [bench for bench in self.benches if bench.open and not bench.suspected]:
            self._round(wanted)
            self._look(session)
        while wanted := [bench for bench in self.benches if bench.open]:
            self._round(wanted)
            self._look_again()
        for bench in self.benches:
            self._report(bench, session)

    def _calibrate(self) -> None:
        """Play all pairs, whatever they say."""
        while self.pairs_played < self.settings.pairs and not (self._late() and self.pairs_played >= pairs.LEAST_PAIRS):
            wanted = [bench for bench in self.benches if bench.open]
            self._round(wanted)
            for bench in wanted:  # a pair that died reached some of them only
                bench.compared.history += [None] * (self.pairs_played - len(bench.compared.history))
        self._keep([bench for bench in self.benches if bench.open])
        for bench in self.benches:
            bench.ended = bench.ended or "calibrated"

    def _keep(self, benches: Sequence[Bench]) -> None:
        """Store what the pairs told, and say it."""
        from .gate.calibration import Calibrated, Kept, alarms, write
        from .reports.calibration import found, lines

        told = [bench.compared for bench in benches]
        of_benches = tuple(Calibrated(of.key, of.limit, of.seconds / len(of.history), tuple(of.history)) for of in told)
        if not of_benches:
            return
        apart, drawn = found(of_benches)
        head, itself = head_name(self.root), self.settings.against is None
        rate = alarms(drawn)[1] / (len(drawn) * len(of_benches)) if itself else None
        self.session.notes += lines(head, self.base.said, of_benches, apart, drawn) if itself else []
        place = self._calibration() if itself else self.settings.reports_folder / "pairs.json"
        self.session.written.append(write(place, Kept(head, self.base.said, of_benches, rate)))

    def _calibration(self) -> Path:
        """Where the calibration of this machine is kept: beside the baselines, which a team commits."""
        records = (bench.compared.records.get("head") for bench in self.benches)
        environment = next((record.environment for record in records if record), {})
        name = f"calibration-{environment.get('fingerprint', 'unknown')}.json"
        return self.settings.reports_folder / "baseline" / name

    def _look(self, session: pytest.Session) -> None:
        """What the pairs so far say; who is suspected waits for fresh ones."""
        for bench in self.benches:
            played, of = len(bench.compared.screened), bench.compared
            if bench.open and not bench.suspected:
                said = pairs.screen(of.screened, of.limit)
                bench.suspected = said == "slower"
                bench.said = said if said != "slower" else "open"
                if bench.open and not bench.suspected and played + len(of.dropped) >= self.settings.pairs:
                    bench.ended = f"open after {played} pairs"
            if not bench.open:
                self._report(bench, session)
        self._end_late()

    def _look_again(self) -> None:
        """What the fresh pairs say, of all that was suspected together."""
        suspected = {bench.item.nodeid: bench for bench in self.benches if bench.suspected}
        said = pairs.confirm(
            {name: bench.compared.fresh for name, bench in suspected.items()},
            {name: bench.compared.limit for name, bench in suspected.items()},
        )
        for name, bench in suspected.items():
            if bench.open:
                bench.said = said[name]
            if bench.open and len(bench.compared.fresh) >= self.settings.pairs:
                bench.ended = f"not confirmed on {len(bench.compared.fresh)} fresh pairs"
        self._end_late()

    def _end_late(self) -> None:
        for bench in self.benches if self._late() else ():
            if bench.open:
                bench.ended = f"the budget of {self.settings.budget_seconds:g} s ended"

    def _late(self) -> bool:
        budget = self.settings.budget_seconds
        return budget is not None and monotonic() - self._began >= budget

    def _round(self, benches: Sequence[Bench]) -> None:
        """Play one pair for each of some benches, in as many pairs at once as there are lanes."""
        self.pairs_played += 1
        self._tell(benches)
        began = monotonic()
        parts: queue.SimpleQueue[list[Bench]] = queue.SimpleQueue()
        for part in self._parts(benches):
            parts.put(part)
        lanes = [threading.Thread(target=self._lane, args=(parts,), daemon=True) for _ in range(self.lanes)]
        for lane in lanes:
            lane.start()
        while any(lane.is_alive() for lane in lanes) or not self._events.empty():
            with suppress(queue.Empty):
                self._events.get(timeout=_LOOK_EVERY_SECONDS)()
        self._bench_seconds = (monotonic() - began) / max(len(benches), 1)

    def _parts(self, benches: Sequence[Bench]) -> Iterator[list[Bench]]:
        """What may be played at once: by device; where any CUDA device will do, lanes share it by model."""
        by_device: dict[str, list[Bench]] = {}
        for bench in benches:
            by_device.setdefault(_device_of(bench), []).append(bench)
        for asked, group in by_device.items():
            lanes = 1 if asked == "cpu" or ":" in asked else self.lanes
            built = [built_for(bench.item) or (bench.item.nodeid,) for bench in group]
            places = {key: at % lanes for at, key in enumerate(dict.fromkeys(built))}
            for lane in range(lanes):
                mine = [bench for bench, key in zip(group, built, strict=True) if places[key] == lane]
                if together := [bench for bench in mine if not bench.swapped]:
                    yield together
                yield from ([bench] for bench in mine if bench.swapped)

    def _lane(self, parts: queue.SimpleQueue[list[Bench]]) -> None:
        """Play pairs until none is left. It is a thread: what it learns, the loop is told."""
        while not self._stopping:
            try:
                part = parts.get_nowait()
            except queue.Empty:
                return
            try:
                self._pair(part)
            except Died as died:
                self._events.put(partial(self._died, part, died))
            except Unavailable as absent:
                self._events.put(partial(self._absent, part, absent))
            except BaseException as error:  # noqa: BLE001  raised again by the loop, where pytest sees it
                self._events.put(partial(_raise, error))

    def _pair(self, part: list[Bench]) -> None:
        from .device import lease

        numbers, fresh = {bench.number: bench for bench in part}, part[0].suspected
        with lease(_device_of(part[0]), waiting=self._wait) as device, self._quiet.lane(device.kind) as begins:
            requests: dict[Side, dict[str, Any]] = {side: self._request(side, part, device) for side in SIDES}
            duet = Duet(
                requests, self.settings.max_seconds, self._random, self.settings.timeout_seconds,
                lambda work, number: begins(work, numbers[number].item.name if number in numbers else "start"),
            )  # fmt: skip
            self._duets[threading.get_ident()] = duet
            try:
                for played in duet.play_swapped() if part[0].swapped else duet.play():
                    self._events.put(partial(self._played, numbers[played.number], played, fresh))
                    if self._stopping or (self._late() and self.pairs_played > 1):
                        return
                self._events.put(partial(self._visited, part, duet))
            finally:
                duet.stop()

    # -- what a lane learnt

    def _played(self, bench: Bench, played: Played, fresh: bool) -> None:
        reports = {side: [self._restored(data) for data in played.reports[side]] for side in SIDES}
        records = {side: self._record(reports[side]) for side in SIDES}
        first = not bench.reports
        if not bench.swapped and _out_of_memory(records) and all(reports.values()):
            bench.swapped = True
            self.session.notes.append(
                f"{bench.item.name}: no room for both sides at once, they ran one after the other."
            )
            return
        bench.compared.known = bool(played.reports["base"]) or (not first and bench.compared.known)
        bench.compared.add(played, records, fresh)
        if first:
            bench.reports = reports["head"]
            if record := records["head"]:
                self._take(record, bench.item.nodeid)
        if bench.compared.barred():
            bench.ended = "barred"

    def _restored(self, data: dict[str, Any]) -> pytest.TestReport:
        report: pytest.TestReport = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
        return report

    def _record(self, reports: Sequence[pytest.TestReport]) -> Record | None:
        """The Record that some reports carry; none where the other side's plugin wrote one that this cannot read."""
        for report in reports:
            with suppress(ValueError, KeyError, TypeError):
                if record := detach(report, self.settings.session):
                    return record
        return None

    def _visited(self, part: Sequence[Bench], duet: Duet) -> None:
        """A pair came to its end: what only then is known."""
        for side in SIDES:
            if modules := duet.foreign[side]:
                raise UsageError(
                    f"--bench-against {self.base.asked}: {_named(side, self.base)} imported {', '.join(modules[:3])} "
                    "from the other side's folder, so both ran the same code; install neither side in editable form, "
                    "or give a folder with an environment of its own"
                )
        for bench in part:
            if bench.number not in duet.numbers["head"]:
                bench.ended = "not found in a fresh process: its id must be the same each time"
                self._lost(bench, bench.ended)

    def _died(self, part: Sequence[Bench], died: Died) -> None:
        """A pair that ended half way is dropped; the bench in which it did has two more chances."""
        if died.number is None:
            self._could_not_start(part, died)
            return
        bench = next(bench for bench in part if bench.number == died.number)
        bench.deaths += 1
        bench.compared.dropped.append(str(died))
        if "SIGKILL" in died.how and not bench.swapped:
            bench.swapped = True
            self.session.notes.append(
                f"{bench.item.name}: a side was killed, so from then on they ran one after the other."
            )
        if bench.deaths > RETRIES:
            bench.ended = str(died)
            self._lost(bench, f"{died.side}: {died.how}", died.said)

    def _lost(self, bench: Bench, how: str, said: str = "") -> None:
        """Report a bench of which no process lived to report it."""
        if not bench.reports:
            begin(bench.item)
            bench.reports = list(reports_of_lost(bench.item, how, said, []))
            bench.compared.records = {"head": self._record(bench.reports), "base": None}
            if record := bench.compared.records["head"]:
                self._take(record, bench.item.nodeid)

    def _could_not_start(self, part: Sequence[Bench], died: Died) -> None:
        for bench in part:
            bench.deaths += 1
        if self.pairs_played == 1 or max(bench.deaths for bench in part) > RETRIES:
            hint = "" if died.side == "head" else "; a build or file that git does not have: give a folder that has it"
            said = (died.said or died.how).replace(f"{self.base_root}{os.sep}", "")
            raise UsageError(f"{_named(died.side, self.base)} cannot be collected: {said}{hint}")

    def _absent(self, part: Sequence[Bench], absent: Unavailable) -> None:
        """The device is not here: the benches skip, as they do without a comparison."""
        for bench in part:
            begin(bench.item)

            def skip() -> None:
                with spoken():
                    raise absent

            bench.reports = [report_of(bench.item, skip, "setup"), report_of(bench.item, lambda: None, "teardown")]
            record = self._record(bench.reports)
            bench.compared.records = {"head": record, "base": None}
            bench.ended = str(absent)
            if record:
                self._take(record, bench.item.nodeid)

    # -- reports

    def _report(self, bench: Bench, session: pytest.Session) -> None:
        """Say what pytest says of a bench, failed where the gate says so; once."""
        if bench.reported:
            return
        bench.reported = True
        if not self.settings.calibrate:
            why_open = bench.ended if bench.ended != "barred" else ""
            bench.verdicts = bench.compared.verdicts(bench.said, why_open, self.settings.strict)
        hook, item = bench.item.ihook, bench.item
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in bench.reports:
            report.nodeid, report.location = item.nodeid, item.location
            if hasattr(report, ATTRIBUTE):
                delattr(report, ATTRIBUTE)  # it was taken in when it came
            if report.when == "call":
                judging.judge(report, bench.verdicts, self.base.said, "paired")
            if report.when == "teardown":
                report.user_properties += judging.properties(bench.verdicts, self.base.said, "paired")
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)

    def _conclude(self) -> None:
        """All verdicts of the session, those of benches that an interrupt left open too."""
        if self.settings.calibrate or not any(bench.reports for bench in self.benches):
            return
        for bench in self.benches:
            if not bench.verdicts and bench.reports:
                bench.verdicts = bench.compared.verdicts(bench.said, "the session was interrupted", False)
        found = tuple(verdict for bench in self.benches for verdict in bench.verdicts)
        if found and all(verdict.word == "new" for verdict in found):
            self.session.problems.append(f"no bench in common with {self.base.said}: nothing was compared")
        from .gate.calibration import read

        kept = read(self._calibration())
        expected = kept.alarms_per_bench if kept else None
        alarms = None if expected is None else expected * len(self.benches)
        records = next((bench.compared.records for bench in self.benches if bench.compared.records.get("base")), {})
        self.session.verdicts = Verdicts(
            found, self.base.said, head_name(self.root), "paired", alarms_per_suite=alarms, changed=changed(records)
        )

    # -- around it

    def _tell(self, benches: Sequence[Bench]) -> None:
        left = ""
        if self._bench_seconds:
            seconds = self._bench_seconds * sum(
                max(pairs.LEAST_PAIRS - len(b.compared.fresh if b.suspected else b.compared.screened), 1)
                for b in benches
            )
            left = f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
        plural = "" if len(benches) == 1 else "es"
        played = self.pairs_played - 1
        pairs_done = f"{played} pair{'' if played == 1 else 's'} done"
        self.session.progress(f"{pairs_done}, {len(benches)} bench{plural} open{left}", "", None)

    def _wait(self, text: str) -> None:
        self._events.put(partial(self.session.waits, text))

    def _stop(self) -> None:
        self._stopping = True
        for duet in list(self._duets.values()):
            duet.stop()
        self._quiet.leave()


def changed(records: dict[Side, Record | None]) -> dict[str, tuple[str, str]]:
    """Versions of packages that differ between the sides."""
    found = [record.environment.get("versions", {}) for side in SIDES if (record := records.get(side))]
    if len(found) < len(SIDES):
        return {}
    head, base = found
    return {
        name: (str(base.get(name, "-")), str(head.get(name, "-")))
        for name in sorted({*head, *base})
        if head.get(name) != base.get(name)
    }


def _device_of(bench: Bench) -> str:
    return str(axis_values(bench.item).get("device", "cpu"))


def _named(side: Side, base: Against) -> str:
    return "this side (head)" if side == "head" else f"the other side ({base.said})"


def _out_of_memory(records: dict[Side, Record | None]) -> bool:
    return any(record is not None and record.outcome == "oom" for record in records.values())


def _raise(error: BaseException) -> NoReturn:
    raise error
