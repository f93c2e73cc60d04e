"""From pytest's report of one bench to its Record, which rides on the report as a plain dict."""

from __future__ import annotations

import gc
import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from traceback import walk_tb
from typing import Any

import pytest

from . import accounts, caveats
from .collect import MARKS, PREFIX, axis_values, is_bench, measures_nothing
from .energy import idle, short_window
from .errors import Fallback, Lost, NotFinite, UsageError
from .fixtures import MEASURE, WATCH, Failed
from .judging import tolerance
from .memory import asked_bytes, ran_out
from .quantity import quantity_text
from .record import Cost, DatasetFacts, Memory, ModelFacts, Outcome, Record, Timing, from_dict, to_dict
from .run import Run
from .session import SESSION

STARTED = pytest.StashKey[tuple[str, float]]()
#: The attribute of a report that carries the dict; xdist sends it along.
ATTRIBUTE = "modelbench_record"
#: The attribute with the number of benches among the items of its session.
_SUITE = "modelbench_suite"
_BENCHES = pytest.StashKey[int]()
#: Texts that a number, a truth value or None has too.
_LITERALS = {"True", "False", "None", "nan", "inf", "-inf"}
_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?")
#: How torch words an error after which every call on the device fails in this process; running out of memory is none.
_DEVICE_ERROR = re.compile(r"\b(CUDA|HIP|XPU|NPU) error: (?!out of memory)")


def begin(item: pytest.Item) -> None:
    """Note when a bench starts its set-up."""
    item.config.stash[SESSION].bench_notes.clear()
    item.stash[STARTED] = (_now(), perf_counter())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def attach(item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> None:
    """Put the Record on the report that decides the bench: its call, or a set-up that did not pass."""
    decides = report.when == "call" or (report.when == "setup" and not report.passed)
    if decides and is_bench(item):
        assert isinstance(item, pytest.Function)
        record = _record(item, call, report)
        setattr(report, ATTRIBUTE, to_dict(replace(record, caveats=caveats.found(record))))
        note_suite(report, item.session)
        _let_go(item, call, record)


def _let_go(item: pytest.Function, call: pytest.CallInfo[Any], record: Record) -> None:
    """Drop what a bench made: items live as long as the session, and its outputs may be on the device.

    When memory ran out, what the frames of its traceback hold goes too, and the device gets its cache back.
    """
    if MEASURE in item.stash:
        del item.stash[MEASURE], item.stash[WATCH]
    device: Any = item.funcargs.get("device")
    if record.outcome != "oom" or call.excinfo is None or item.config.getoption("usepdb", False):
        return
    error: BaseException | None = call.excinfo.value
    while error is not None:
        for frame, _ in walk_tb(error.__traceback__):
            with suppress(RuntimeError):  # ours are still running
                frame.clear()
                _ = frame.f_locals  # before Python 3.13 a copy is kept, and emptied when it is asked for again
        error = error.__cause__ or error.__context__
    gc.collect()
    if device is not None:
        device.empty_cache()


def _record(item: pytest.Function, call: pytest.CallInfo[Any], report: pytest.TestReport) -> Record:
    session = item.config.stash[SESSION]
    started_utc, started = item.stash.get(STARTED, (_now(), perf_counter()))  # a mark may skip before `begin`
    measure, watch = item.stash.get(MEASURE, None), item.stash.get(WATCH, None)
    run = measure.run if measure else None
    outcome, reason = _outcome(call, report)
    memory = accounts.memory(watch) if watch else Memory()
    if outcome == "oom" and call.excinfo is not None:
        asked = asked_bytes(str(call.excinfo.value))
        memory = replace(memory, oom_asked_bytes=asked)
        reason = f"{quantity_text('bytes', asked)} asked: {reason}" if asked is not None else reason
    if outcome in ("failed", "error") and _DEVICE_ERROR.search(reason):
        session.device_lost_by = session.device_lost_by or item.name
        reason += "; this process has lost the device: mark the bench @pytest.mark.isolated"
    timing = _timing(item, run)
    device: Any = item.funcargs.get("device")
    notes = (*session.bench_notes, *(run.notes if run else ()), *((*watch.problems, *watch.notes) if watch else ()))
    if timing is None and outcome == "passed":
        notes += (_why_untimed(item, session.settings.once),)
    return Record(
        bench=f"{_relative(item.path, session.settings.root)}::{_qualified(item)}",
        axes={name: _text(value, name, item) for name, value in axis_values(item).items()},
        nodeid=item.nodeid,
        outcome=outcome,
        reason=reason,
        simulated=item.get_closest_marker("simulated") is not None,
        timing=None if outcome == "invalid" else timing,
        tokens=run.tokens if run and outcome != "invalid" else None,
        counts=dict(run.counts) if run else {},
        scores=dict(run.scores) if run else {},
        memory=memory,
        cost=accounts.cost(run, watch) if run and watch and outcome != "invalid" else Cost(),
        idle=idle(session.at_rest(device), device.kind) if run and run.timing and session.sampled else None,
        samples=watch.samples if watch else (),
        caveats=(*run.caveats, *short_window(watch.samples, device.kind, run.timing)) if run and watch else (),
        notes=notes,
        tolerance=tolerance(item),
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
    if measures_nothing(item):
        raise UsageError(f"{item.name} measures nothing: take the fixture `measure` and call it once")
    measure = item.stash.get(MEASURE, None)
    if measure is not None and measure.run is None:
        raise UsageError(f"{item.name} never called measure(...): there is nothing to record")


def attach_crash(nodeid: str, report: pytest.TestReport, config: pytest.Config) -> None:
    """A bench whose worker died with it is a row too, though all that is known is its name."""
    path, _, name = nodeid.partition("::")
    if not name.rpartition("::")[2].startswith(PREFIX):
        return
    record = Record(
        bench=f"{_relative(config.rootpath / path, config.stash[SESSION].settings.root)}::{name.partition('[')[0]}",
        axes={"id": name.partition("[")[2].removesuffix("]")} if "[" in name else {},
        nodeid=nodeid,
        outcome="error",
        reason=next(iter(str(report.longrepr).splitlines()), "its worker crashed"),
        started_utc=_now(),
    )
    setattr(report, ATTRIBUTE, to_dict(record))


def note_suite(report: pytest.TestReport, session: pytest.Session) -> None:
    """Say on a report how many benches there are: what collects ids of workers cannot tell which of them are."""
    if _BENCHES not in session.stash:
        session.stash[_BENCHES] = sum(map(is_bench, session.items))
    setattr(report, _SUITE, session.stash[_BENCHES])


def suite(report: pytest.TestReport) -> int:
    """How many benches are judged together with the one that a report is of; 0 where it does not say."""
    return int(getattr(report, _SUITE, 0))


def detach(report: pytest.TestReport, session: str) -> Record | None:
    """The Record that rides on a report, if one does."""
    carried = getattr(report, ATTRIBUTE, None)
    if not carried or str(report.outcome) == "rerun":  # pytest-rerunfailures tries again: that one counts
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
    if isinstance(cause, (Fallback, NotFinite)):
        return "invalid", reason
    if isinstance(cause, Lost):
        return "error", reason
    if ran_out(cause):
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


def _qualified(item: pytest.Function) -> str:
    """The function with the classes it stands in: `TestA::bench_x`."""
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return "::".join([*classes, item.originalname])


def _text(value: Any, name: str, item: pytest.Function) -> str:
    """A parameter as text, unlike that of every other value: `1` and `"1"` differ, and so do two lambdas."""
    if name in MARKS:
        return str(value)
    if isinstance(value, str):
        return value if value not in _LITERALS and not _NUMBER.fullmatch(value) else repr(value)
    if isinstance(value, (int, float)) or value is None:
        return str(value)
    own = getattr(value, "__name__", "")
    return own if own.isidentifier() else f"{name}{item.callspec.indices[name]}"


@lru_cache(maxsize=1024)  # one look for all the parameters of a function: it reads and tokenizes the file
def _source_digest(function: Callable[..., Any]) -> str | None:
    """Of the bench function's own text: a bench that was rewritten is not the one of the baseline."""
    try:
        return sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    except (OSError, TypeError):  # made by exec, or its file is gone
        return None
