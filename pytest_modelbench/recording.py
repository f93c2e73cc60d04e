"""From pytest's report of one bench to its Record, which rides on the report as a plain dict."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from .collect import MARKS, PREFIX, axis_values, is_bench
from .errors import Fallback, UsageError
from .fixtures import MEASURE, WATCH, Failed
from .measure import Run
from .record import DatasetFacts, Memory, ModelFacts, Outcome, Record, Timing, from_dict, to_dict
from .session import SESSION

STARTED = pytest.StashKey[tuple[str, float]]()
#: The attribute of a report that carries the dict; xdist sends it along.
ATTRIBUTE = "modelbench_record"
#: Type names, because the libraries they come from may not be here.
_OOM_TYPES = {"OutOfMemoryError", "MemoryError"}


def begin(item: pytest.Item) -> None:
    """Note when a bench starts its set-up."""
    item.stash[STARTED] = (datetime.now(UTC).isoformat(timespec="milliseconds"), perf_counter())


def attach(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> None:
    """Put the Record on the report that decides the bench: its call, or a set-up that did not pass."""
    decides = report.when == "call" or (report.when == "setup" and not report.passed)
    if decides and is_bench(item):
        assert isinstance(item, pytest.Function)
        setattr(report, ATTRIBUTE, to_dict(_record(item, call, report)))


def _record(item: pytest.Function, call: pytest.CallInfo[Any], report: pytest.TestReport) -> Record:
    session = item.config.stash[SESSION]
    started_utc, started = item.stash.get(STARTED, ("", perf_counter()))
    measure, watch = item.stash.get(MEASURE, None), item.stash.get(WATCH, None)
    run = measure.run if measure else None
    outcome, reason = _outcome(call, report)
    timing = _timing(item, run)
    device: Any = item.funcargs.get("device")
    notes = tuple(watch.problems) if watch else ()
    if timing is None and outcome == "passed":
        notes += (_why_untimed(item, session.settings.once),)
    return Record(
        bench=f"{_relative(item.path, session.settings.root)}::{item.originalname}",
        axes={name: _text(value, name, item) for name, value in axis_values(item).items()},
        nodeid=item.nodeid,
        outcome=outcome,
        reason=reason,
        simulated=item.get_closest_marker("simulated") is not None,
        timing=None if outcome == "invalid" else timing,
        tokens=run.tokens if run and outcome != "invalid" else None,
        counts=dict(run.counts) if run else {},
        scores=dict(run.scores) if run else {},
        memory=(watch and watch.memory) or Memory(),
        samples=watch.samples if watch else (),
        caveats=tuple(run.caveats) if run else (),
        notes=notes,
        model=_facts(item, "model", ModelFacts),
        dataset=_facts(item, "dataset", DatasetFacts),
        environment=session.environment(device),
        source_digest=_source_digest(item.function),
        session=session.settings.session,
        worker=session.settings.worker,
        started_utc=started_utc,
        wall_seconds=perf_counter() - started,
    )


def check_measured(item: pytest.Function) -> None:
    """Raise UsageError for a bench that took `measure` and ended without calling it."""
    measure = item.stash.get(MEASURE, None)
    if measure is not None and measure.run is None:
        raise UsageError(f"{item.name} never called measure(...): there is nothing to record")


def attach_crash(nodeid: str, report: pytest.TestReport) -> None:
    """A bench whose worker died with it is a row too, though all that is known is its name."""
    path, _, name = nodeid.partition("::")
    if not name.startswith(PREFIX):
        return
    record = Record(
        bench=f"{path}::{name.partition('[')[0]}",
        axes={"id": name.partition("[")[2].removesuffix("]")} if "[" in name else {},
        nodeid=nodeid,
        outcome="error",
        reason=next(iter(str(report.longrepr).splitlines()), "its worker crashed"),
        started_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    setattr(report, ATTRIBUTE, to_dict(record))


def detach(report: pytest.TestReport, session: str) -> Record | None:
    """The Record that rides on a report, if one does."""
    carried = getattr(report, ATTRIBUTE, None)
    if not carried:
        return None
    global _environment
    if carried["environment"] != _environment:
        _environment = carried["environment"]
    return from_dict({**carried, "session": session, "environment": _environment})


#: The environment of the last Record: most are equal, and one that is the same is quicker compared.
_environment: dict[str, Any] = {}


def _outcome(call: pytest.CallInfo[Any], report: pytest.TestReport) -> tuple[Outcome, str]:
    if report.passed:
        return "passed", ""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
        return "skipped", str(reason).removeprefix("Skipped: ")
    if call.excinfo is None:
        return "failed", str(report.longrepr)
    error = call.excinfo.value
    cause = error.error if isinstance(error, Failed) else error
    reason = _one_line(error)
    if isinstance(cause, Fallback):
        return "invalid", reason
    if type(cause).__name__ in _OOM_TYPES or "out of memory" in str(cause).lower():
        return "oom", reason
    return ("error" if report.when == "setup" else "failed"), reason


def _one_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), "")
    named = isinstance(error, pytest.fail.Exception)
    return text if named else f"{type(error).__name__}: {text}"[:300]


def _timing(item: pytest.Function, run: Run | None) -> Timing | None:
    if run is None:
        return _foreign_timing(item.funcargs.get("benchmark"))
    facts = _facts(item, "model", ModelFacts)
    compile_seconds = facts.details.get("compile_seconds") if facts else None
    if run.timing and isinstance(compile_seconds, (int, float)):
        return replace(run.timing, compile_seconds=compile_seconds - item.stash[WATCH].compiled_seconds)
    return run.timing


def _foreign_timing(benchmark: Any) -> Timing | None:
    """What pytest-benchmark's fixture measured: every round, in seconds a call."""
    stats = getattr(benchmark, "stats", None)
    if not type(benchmark).__module__.startswith("pytest_benchmark") or not stats:
        return None
    return Timing("benchmark", tuple(stats.stats.data), loops=stats.iterations, stopped_by="benchmark")


def _why_untimed(item: pytest.Function, once: bool) -> str:
    if once:
        return "ran once, untimed (--bench-once)"
    if "benchmark" in item.funcargs:
        return "not timed: pytest-benchmark was not used or is off (it turns itself off under -n)"
    return "not timed"


def _facts(item: pytest.Function, name: str, kind: type[Any]) -> Any:
    facts = getattr(item.funcargs.get(name), "facts", None)
    return facts if isinstance(facts, kind) else None


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _text(value: Any, name: str, item: pytest.Function) -> str:
    if name in MARKS or isinstance(value, (str, int, float, bool)) or value is None:
        return str(value)
    return str(getattr(value, "__name__", f"{name}{item.callspec.indices[name]}"))


@lru_cache(maxsize=1024)  # one look for all the parameters of a function: it reads and tokenizes the file
def _source_digest(function: Callable[..., Any]) -> str | None:
    """Of the bench function's own text: a bench that was rewritten is not the one of the baseline."""
    try:
        return sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    except (OSError, TypeError):  # made by exec, or its file is gone
        return None
