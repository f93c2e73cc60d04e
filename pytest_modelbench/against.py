"""Against: the loop of a session that compares two sides. Pairs of processes go on until every bench is decided.

Each round plays one pair for all open benches; with `-n` and several devices, lanes of it play parts of them at once.
What was suspected of being slower is looked at again on fresh pairs. Then each bench is reported as pytest would have,
failed where the gate says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import judging
from .collect import axis_values, is_bench
from .errors import StoreError, Unavailable, UsageError
from .fixtures import spoken
from .gate import pairs
from .gate.duet import SIDES, Died, Duet, Played, Side
from .gate.limits import limits_of
from .gate.sides import Against, base_root, dirty, head_name, moved
from .gate.versus import Compared
from .isolation import report_of, reports_of_lost
from .pairing import Roots, as_exit, ended_by_sigterm, only_in_base
from .playing import Bench, Playing
from .progress import PROGRESS
from .recording import ATTRIBUTE, begin, detach
from .session import SESSION, Session
from .variants import parse as parse_variant
from .verdict import Verdict, Verdicts

if TYPE_CHECKING:
    from .record import Record

#: A pair that dies is dropped and played again; a bench in which it dies more often than this is `invalid`.
RETRIES = 2


class Comparison:
    """The plugin that takes the place of pytest's loop."""

    def __init__(self, config: pytest.Config, base: Against, lanes: int, take: Callable[[Record, str], None]) -> None:
        self.config, self.base, self._take = config, base, take
        self.session: Session = config.stash[SESSION]
        self.settings = self.session.settings
        self.root = self.base_root = self.settings.root.resolve()
        self.benches: list[Bench] = []
        self._gone: list[str] = []
        self._playing = Playing(config, base, lanes, self)

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
            _stop_if_asked(session)
        with as_exit(), ended_by_sigterm(), base_root(self.base, self.root) as self.base_root:
            self.benches = [self._bench(number, item) for number, item in enumerate(self._comparable(items))]
            if progress := self.config.stash.get(PROGRESS, None):
                progress.waiting.clear()  # here a bench is not done when the next begins
            self._playing.base_root = self.base_root
            self._check_files()
            if self.base.kind != "variant" and not self.settings.calibrate:
                self._gone = only_in_base(self.config, items, Roots(self.root, self.base_root))
            try:
                self._play(session)
            finally:
                self._playing.stop()
                self._conclude()
        return True

    # -- what is compared

    def _bench(self, number: int, item: pytest.Item) -> Bench:
        return Bench(number, item, Compared(item.nodeid, limits_of(self.settings.fail, judging.tolerance(item))))

    def _comparable(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Against a variant, only what has that axis, and another value on it."""
        if self.base.kind != "variant":
            return items
        parse_variant(self.base.place, self.session.catalog)  # a name that nothing has is told before anything runs
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

    # -- rounds of pairs

    def _play(self, session: pytest.Session) -> None:
        if self.settings.calibrate:
            self._calibrate()
        while wanted := [bench for bench in self.benches if bench.open and not bench.suspected]:
            self._playing.round(wanted)
            self._look(session)
        while wanted := [bench for bench in self.benches if bench.open]:
            self._playing.round(wanted)
            self._look_again()
        for bench in self.benches:
            self._report(bench, session)

    def _calibrate(self) -> None:
        """Play all pairs, whatever they say."""
        while self._playing.pairs_played < self.settings.pairs and not (
            self._playing.late() and self._playing.pairs_played >= pairs.LEAST_PAIRS
        ):
            wanted = [bench for bench in self.benches if bench.open]
            self._playing.round(wanted)
            for bench in wanted:  # a pair that died reached some of them only
                bench.compared.history += [None] * (self._playing.pairs_played - len(bench.compared.history))
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
                if bench.open and not bench.suspected and len(of.history) >= self.settings.pairs:
                    bench.ended = f"open after {played} pairs"
                bench.screened_with = len(of.history)
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
            if bench.open and len(bench.compared.history) - bench.screened_with >= self.settings.pairs:
                bench.ended = f"not confirmed on {len(bench.compared.fresh)} fresh pairs"
        self._end_late()

    def _end_late(self) -> None:
        for bench in self.benches if self._playing.late() else ():
            if bench.open:
                bench.ended = f"the budget of {self.settings.budget_seconds:g} s ended"

    # -- what a lane learnt

    def played(self, bench: Bench, played: Played, fresh: bool) -> None:
        """Take in what one pair says of a bench."""
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

    def visited(self, part: Sequence[Bench], duet: Duet) -> None:
        """Take in what is known only when a pair came to its end."""
        for side in SIDES:
            if modules := duet.foreign[side]:
                raise UsageError(
                    f"--bench-against {self.base.asked}: {_named(side, self.base)} imported {', '.join(modules[:3])} "
                    "from the other side's folder, so both ran the same code; install neither side in editable form, "
                    "or give a folder with an environment of its own"
                )
        self.session.notes += [said for said in duet.problems["base"] if said not in self.session.notes]
        for bench in part:
            if bench.number not in duet.numbers["head"]:
                bench.ended = "not found in a fresh process: its id must be the same each time"
                self._lost(bench, bench.ended)

    def died(self, part: Sequence[Bench], died: Died) -> None:
        """Drop a pair that ended half way; the bench in which it did has two more chances."""
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
        if self._playing.pairs_played == 1 or max(bench.deaths for bench in part) > RETRIES:
            hint = "" if died.side == "head" else "; a build or file that git does not have: give a folder that has it"
            said = (died.said or died.how).replace(f"{self.base_root}{os.sep}", "")
            raise UsageError(f"{_named(died.side, self.base)} cannot be collected: {said}{hint}")

    def absent(self, part: Sequence[Bench], absent: Unavailable) -> None:
        """Skip benches whose device is not here, as without a comparison."""
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
        if not bench.reports:
            self._lost(bench, bench.ended or "no pair ran to its end")
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
        _stop_if_asked(session)

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
        expected = self._alarms_per_bench()
        alarms = None if expected is None else expected * len(self.benches)
        records = next((bench.compared.records for bench in self.benches if bench.compared.records.get("base")), {})
        why = f"{self.base.said} has it, it is not here any more"
        found += tuple(Verdict(nodeid, nodeid, "seconds", "missing", why) for nodeid in self._gone)
        self.session.verdicts = Verdicts(
            found, self.base.said, head_name(self.root), "paired", alarms_per_suite=alarms, changed=changed(records)
        )

    def _alarms_per_bench(self) -> float | None:
        """What identical code raises here, as it was calibrated; None where it was not."""
        from .gate.calibration import read

        try:
            kept = read(self._calibration())
        except StoreError as error:
            self.session.problems.append(str(error))
            return None
        return kept.alarms_per_bench if kept else None


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


def _stop_if_asked(session: pytest.Session) -> None:
    """As pytest's loop does after each item: for `-x`, `--maxfail`, and plugins that end a session."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def _named(side: Side, base: Against) -> str:
    return "this side (head)" if side == "head" else f"the other side ({base.said})"


def _out_of_memory(records: dict[Side, Record | None]) -> bool:
    return any(record is not None and record.outcome == "oom" for record in records.values())
