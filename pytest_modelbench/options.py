"""Options: what the command line may say, and the one frozen Settings made of it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from .errors import UnknownName, UsageError
from .files import repository
from .settings import Settings

# As `gate/pairs.py` says; it is not loaded by a session that compares nothing.
LEAST_PAIRS, MOST_PAIRS = 3, 15
AXES = ("device", "model", "variant", "dataset")


def add_options(parser: pytest.Parser) -> None:
    """Declare the options; the short names of the axes follow in `add_short_options`."""
    group = parser.getgroup("modelbench", "benchmarks of models")
    add = group.addoption
    for axis in AXES:
        text = f"run on these {axis}s, a comma list; narrows what a mark declares, or takes its place"
        add(f"--bench-{axis}", dest=f"bench_{axis}", metavar="NAMES", help=text)
    add("--bench-once", action="store_true", help="run every bench one time, untimed and ungated")
    add("--bench-rounds", type=int, metavar="N", help="time exactly N rounds a bench")
    add("--bench-max-seconds", type=float, default=5.0, metavar="S", help="stop timing a bench after S seconds (5)")
    add("--bench-cold", action="store_true", help="flush the device's caches before each timed call")
    add(
        "--bench-isolate", action="store_true", help="run every bench in a fresh process, as @pytest.mark.isolated does"
    )
    add(
        "--bench-timeout",
        type=float,
        metavar="S",
        help="end a bench after S seconds, waiting for a device not counted; implies --bench-isolate, because a call "
        "that hangs in our own process cannot be stopped",
    )
    add(
        "--bench-fail",
        metavar="LIMIT",
        help="the change in time that the gate tolerates (5%%), or by name: seconds=5%%,peak_memory=2%%,score=1pt",
    )
    add("--bench-strict", action="store_true", help="what the gate cannot tell (unclear) fails too")
    add(
        "--bench-against",
        metavar="REF",
        help="compare with other code, in pairs of fresh processes that take turns: a git ref, a folder, or "
        "variant:NAME",
    )
    add("--bench-pairs", type=int, metavar="N", help="the most process pairs of a bench (15); all of them to calibrate")
    add("--bench-budget", type=float, metavar="S", help="begin no more pairs after S seconds; what is open is unclear")
    add(
        "--bench-calibrate",
        action="store_true",
        help="compare this code with itself: what alarms that raises, and the smallest change each bench would show",
    )
    add(
        "--bench-baseline",
        metavar="PLACE",
        help="compare with stored Records: a store, a folder, a file, or git:REF for those committed in "
        "reports/baseline",
    )
    add(
        "--bench-require-baseline",
        action="store_true",
        help="a bench without Records to compare with fails (new, missing, incomparable)",
    )
    add(
        "--bench-save-baseline",
        nargs="?",
        const="",
        metavar="NAME",
        help="add this session's Records to reports/baseline, or to reports/baseline/NAME; after =, or last",
    )
    add("--bench-mock", action="store_true", help="run simulated benches too")
    add("--bench-no-parity", action="store_true", help="do not compare the first output of each variant with eager's")
    add(
        "--bench-sampler-cost",
        action="store_true",
        help="measure once what sampling costs the rounds, on the first bench whose call takes at most 2 s (30 s more)",
    )
    add(
        "--bench-store",
        action="append",
        metavar="KIND:PLACE",
        help="where Records go, repeatable (parquet:reports/data)",
    )
    add(
        "--bench-report",
        action="append",
        metavar="KIND:PLACE",
        help="what to write at the end, repeatable (html:reports/modelbench.html)",
    )
    add("--bench-columns", metavar="NAMES", help="columns of the table at the end, a comma list (see the manual)")
    add(
        "--bench-allow-pickle",
        action="append",
        metavar="MODEL",
        help="open this model's pickled weights, which can run any code",
    )
    add("--bench-trust-remote-code", action="append", metavar="MODEL", help="let this model's own code run")


def add_short_options(parser: pytest.Parser) -> None:
    """Declare `--device`, `--model`, `--variant`, `--dataset` where nobody else has: called when everybody has."""
    groups = [parser._anonymous, *parser._groups]  # pytest has no public way to ask which names are taken
    taken = {name for group in groups for option in group.options for name in option.names()}
    group = parser.getgroup("modelbench")
    for axis in AXES:
        if f"--{axis}" not in taken:
            group.addoption(f"--{axis}", dest=f"bench_{axis}", metavar="NAMES", help=f"short for --bench-{axis}")


def read_settings(config: pytest.Config) -> Settings:
    """The options as one value. Raises UsageError for what cannot be meant."""
    option = config.option
    if option.bench_rounds is not None and option.bench_rounds < 1:
        raise UsageError(f"--bench-rounds {option.bench_rounds}: give a whole number of at least 1")
    if not 0 < option.bench_max_seconds < float("inf"):
        raise UsageError(f"--bench-max-seconds {option.bench_max_seconds}: give seconds above 0")
    if option.bench_timeout is not None and not 0 < option.bench_timeout < float("inf"):
        raise UsageError(f"--bench-timeout {option.bench_timeout}: give seconds above 0")
    if option.bench_fail is not None:
        from .gate.limits import parse_fail

        parse_fail(option.bench_fail)
    _check_pairs(option, [str(argument) for argument in config.invocation_params.args])
    if option.bench_require_baseline and option.bench_baseline is None:
        raise UsageError("--bench-require-baseline needs --bench-baseline PLACE")
    worker = getattr(config, "workerinput", None) or {}
    home = (config.inipath.parent if config.inipath else None) or repository(config.rootpath)
    reports = (home or config.invocation_params.dir) / "reports"
    kinds = [kind for kind, _ in _places(option.bench_report, "--bench-report")]
    usual_report = () if "html" in kinds else (("html", str(reports / "modelbench.html")),)
    return Settings(
        root=repository(config.rootpath) or config.rootpath,
        reports_folder=reports,
        stores=_places(option.bench_store, "--bench-store") or (("parquet", str(reports / "data")),),
        reports=(*_places(option.bench_report, "--bench-report"), *usual_report),
        asked={axis: _names(getattr(option, f"bench_{axis}"), axis) for axis in AXES},
        against=option.bench_against,
        pairs=option.bench_pairs or MOST_PAIRS,
        budget_seconds=option.bench_budget,
        calibrate=option.bench_calibrate,
        columns=_columns(option.bench_columns),
        once=option.bench_once,
        rounds=option.bench_rounds,
        max_seconds=option.bench_max_seconds,
        mock=option.bench_mock,
        parity=not option.bench_no_parity,
        sampler_cost=option.bench_sampler_cost,
        cold=option.bench_cold,
        isolate=option.bench_isolate or option.bench_timeout is not None,
        timeout_seconds=option.bench_timeout,
        trust_remote_code=frozenset(option.bench_trust_remote_code or ()),
        allow_pickle=frozenset(option.bench_allow_pickle or ()),
        fail=option.bench_fail,
        strict=option.bench_strict,
        baseline=option.bench_baseline,
        require_baseline=option.bench_require_baseline,
        save_baseline=_baseline_folder(option.bench_save_baseline, reports),
        session=worker.get("modelbench_session") or _new_session(),
        worker=str(worker.get("workerid", "")),
    )


#: How many pairs may be played at once, taken from xdist's `-n`.
LANES = pytest.StashKey[int]()


def take_lanes(config: pytest.Config) -> None:
    """Take `-n` for the number of pairs that may be played at once: xdist's workers would time on their own."""
    option = config.option
    asked = getattr(option, "numprocesses", None)
    if not asked or not (option.bench_against or option.bench_calibrate):
        return
    # "auto" and "logical" are about cores; here each lane needs a device, and takes one only where it is free
    config.stash[LANES] = asked if isinstance(asked, int) else os.cpu_count() or 1
    option.numprocesses, option.dist, option.tx = None, "no", []


def _check_pairs(option: argparse.Namespace, arguments: Sequence[str]) -> None:
    if option.bench_pairs is not None and option.bench_pairs < LEAST_PAIRS:
        raise UsageError(f"--bench-pairs {option.bench_pairs}: give at least {LEAST_PAIRS}; fewer show no spread")
    if option.bench_budget is not None and not 0 < option.bench_budget < float("inf"):
        raise UsageError(f"--bench-budget {option.bench_budget}: give seconds above 0")
    if option.bench_against is None and not option.bench_calibrate:
        for name in ("pairs", "budget"):
            if getattr(option, f"bench_{name}") is not None:
                raise UsageError(f"--bench-{name} is of pairs: give --bench-against REF, or --bench-calibrate")
    elif option.bench_against in arguments and os.path.exists(option.bench_against):
        raise UsageError(
            f"--bench-against {option.bench_against}: pytest takes a path after a space for one of its own and looks "
            f"for its root there; write --bench-against={option.bench_against}"
        )
    elif option.bench_baseline is not None:
        raise UsageError(
            "--bench-baseline compares with stored Records, --bench-against with code: leave one of them out"
        )
    elif option.bench_once:
        raise UsageError("--bench-once times nothing: there would be nothing to compare; leave it out")


def _baseline_folder(name: str | None, reports: Path) -> Path | None:
    if name is None:
        return None
    if name and ("/" in name or os.sep in name or Path(name).exists()):
        raise UsageError(
            f"--bench-save-baseline {name}: that is a path, not a name; write --bench-save-baseline=NAME, or it last"
        )
    return reports / "baseline" / name


def _names(text: str | None, axis: str) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if not all(names):
        raise UsageError(f"--{axis} {text!r} has an empty name; write --{axis} a,b")
    return names


def _columns(text: str | None) -> tuple[str, ...]:
    """Raise UnknownName for what is no column of any Record; counts, scores and axes are the Records' own."""
    names = _names(text, "bench-columns") or ()
    if names:
        from .record import Record
        from .reports.terminal import COLUMNS
        from .summary import row

        known = {*COLUMNS, *row(Record("", {}, "", "passed"))}
        for name in names:
            if name not in known and not name.startswith(("count_", "score_", "axis_")):
                raise UnknownName("column", name, known, "--bench-columns")
    return names


def _places(given: list[str] | None, option: str) -> tuple[tuple[str, str], ...]:
    places = []
    for text in given or ():
        kind, separator, place = text.partition(":")
        if not (kind and separator and place):
            raise UsageError(f"{option} {text!r} is not KIND:PLACE; write for example {option} parquet:results/data")
        if option == "--bench-report" and (Path(place).is_dir() or not Path(place).name):
            raise UsageError(f"{option} {text!r}: {place} is a folder; name a file in it")
        places.append((kind, place))
    return tuple(places)


def _new_session() -> str:
    """Sorts by time, and differs between two sessions of one second and host."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + os.urandom(3).hex()
