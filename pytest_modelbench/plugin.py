"""The plugin: read from top to bottom it is one session of pytest."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Every pytest run where this is installed imports what is imported here: light rooms only (tests/test_rooms.py).
from .errors import ModelbenchError, StoreError
from .fixtures import dataset, device, measure, model, variant  # noqa: F401  fixtures are found in a plugin's names
from .options import LANES, add_options, add_short_options, read_settings, take_lanes
from .progress import PROGRESS, progress_of, waits_of_worker
from .session import INSIDE, SESSION, Session

if TYPE_CHECKING:
    from .collect import BenchClass, BenchModule
    from .judging import Judging
    from .record import Record


_LOG_COLUMNS = 120  # chosen here: every column of the table fits


# -- the session starts


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, None, None]:
    yield
    add_short_options(parser)  # after the conftests: a project that has a --device of its own keeps it


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from . import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    with _as_usage_error():
        config.stash[SESSION] = Session(read_settings(config))
        for plugin in config.pluginmanager.get_plugins():
            pytest_plugin_registered(plugin, config.pluginmanager)
        config.stash[SESSION].check_names()
    config.addinivalue_line("python_files", "bench_*.py")
    for line in (
        "models(*sources): models that a bench runs on; the fixture `model` holds one",
        "variants(*names): ways to run a model; the fixture `variant` holds one",
        "devices(*names): devices that a bench may run on; the fixture `device` holds one",
        "datasets(*sources, **options): data of a bench; the fixture `dataset` holds one; options: limit=16",
        "cold: flush the device's caches before each timed call of the bench, as --bench-cold does for all",
        "parity(**limits): how near a variant's first output must be to eager's: cosine=0.999, tokens=0.9, labels, "
        "max_difference, mean_difference",
        "isolated(timeout=None): the bench runs in a fresh process, and is ended after `timeout` seconds",
        "tolerance(**limits): the change that the gate tolerates in this bench: seconds='3%', score_accuracy='1pt'",
        "simulated: the bench measures a simulation; it runs with --bench-mock or by name, and its Records say so",
    ):
        config.addinivalue_line("markers", line)
    if INSIDE in config.stash:
        return  # the parent selects, tells, receives and writes
    config.pluginmanager.register(_BeforeSelection(), "modelbench-before-selection")
    if not _is_worker(config):
        controller = _Controller(config)
        config.pluginmanager.register(controller, "modelbench-controller")
        with _as_usage_error():
            _pair(config, controller)
    else:
        config.stash[SESSION].tell_wait = waits_of_worker(config)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    take_lanes(config)
    return (yield)


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Find what conftest files and plugin modules declare, as pytest finds their fixtures."""
    config = manager.getplugin("pytestconfig")
    if config is not None and SESSION in config.stash and hasattr(plugin, "__dict__"):
        with _as_usage_error():
            config.stash[SESSION].catalog.add_from(plugin)


# -- collection: files, functions, axes, selection, order


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> BenchModule | None:
    from .collect import bench_module

    return bench_module(module_path, parent)


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> BenchClass | None:
    if not isinstance(obj, type):
        return None
    from .collect import bench_class

    return bench_class(collector, name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    from .collect import parametrize

    session = metafunc.config.stash[SESSION]
    parametrize(metafunc, session.settings, session.catalog)


class _BeforeSelection:
    """What must be done before -k, -m and --lf choose among items."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if not items:
            return
        from .agreement import check as check_parity
        from .collect import narrow
        from .isolation import check
        from .judging import check_tolerances

        with _as_usage_error():
            check(items)
            check_parity(items)
            check_tolerances(items)
            deselected = narrow(items, config.stash[SESSION].settings, config.args, _words(config))
        if deselected:
            config.hook.pytest_deselected(items=deselected)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not items:
        return
    from .collect import group

    group(items)


# -- one bench: the fixtures are in fixtures.py; here its start, its call, its Record on the report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    from .isolation import is_isolated, run

    return run(item) if is_isolated(item) else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    from .recording import begin

    begin(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    from .agreement import agree
    from .fixtures import spoken
    from .recording import check_measured

    with spoken():
        result = yield
        check_measured(pyfuncitem)
        agree(pyfuncitem)
        return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    from .isolation import is_isolated

    session = item.config.stash[SESSION]
    session.end_work()
    try:
        return (yield)
    finally:
        if nextitem is not None and is_isolated(nextitem):
            session.release()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    from .recording import attach

    report = yield
    attach(item, call, report)
    return report


# -- a worker of xdist: it measures, its Records ride on the reports


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["modelbench_session"] = node.config.stash[SESSION].settings.session


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[SESSION].leave()


# -- the controller, or the only process: it takes Records in, shows progress, writes at the end


class _Controller:
    def __init__(self, config: pytest.Config) -> None:
        self.config, self.session = config, config.stash[SESSION]
        self.judging: Judging | None = None
        self._properties: dict[str, list[tuple[str, str]]] = {}

    def pytest_sessionstart(self) -> None:
        self.session.recover()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.config.option.collectonly or not session.items:
            return
        from .collect import is_bench

        benches = [item.nodeid for item in session.items if is_bench(item)]
        self._begin(benches)
        self._judge_among(len(benches))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if PROGRESS not in self.config.stash:  # each worker collects the same
            self._begin([nodeid for nodeid in ids if "::bench_" in nodeid])

    def _begin(self, benches: list[str]) -> None:
        if not benches or self.config.option.collectonly:
            return
        try:
            self.session.open()  # a place that cannot be written is said now, not after hours
        except StoreError as error:
            pytest.exit(f"{error} (--bench-store KIND:PLACE)", returncode=pytest.ExitCode.USAGE_ERROR)
        self.config.stash[PROGRESS] = progress = progress_of(self.config, benches)
        self.session.progress = progress.tell

    def _judge_among(self, benches: int) -> None:
        """Open the baseline, where there is one, for a suite of so many benches."""
        if not benches or self.judging or self.session.settings.baseline is None or self.session.settings.once:
            return
        from .judging import Judging

        try:
            self.judging = Judging(self.session, benches)
        except ModelbenchError as error:
            pytest.exit(f"--bench-baseline {error}", returncode=pytest.ExitCode.USAGE_ERROR)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        from .recording import attach_crash

        attach_crash(crashitem, report, self.config)

    def take(self, record: Record, nodeid: str) -> None:
        from .properties import properties

        self.session.add(record)
        self._properties[nodeid] = properties(record)
        self.config.hook.pytest_modelbench_record(config=self.config, record=record)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if progress := self.config.stash.get(PROGRESS, None):
            progress.begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        from .recording import detach, suite

        if progress := self.config.stash.get(PROGRESS, None):
            progress.clear()
        if record := detach(report, self.session.settings.session):
            self.take(record, report.nodeid)
            self._judge_among(suite(report))  # of a worker, whose ids do not say which tests are benches
            if self.judging:
                self._properties[report.nodeid] += self.judging.add(report, record)
            if progress and record.wall_seconds is not None:
                progress.end(report.nodeid, record.wall_seconds)
                if self.config.getoption("numprocesses", None):
                    progress.tell(f"done: {report.nodeid.rpartition('::')[2]}", "", None)
        if report.when == "teardown":  # JUnit's file takes those of a bench's last report
            report.user_properties += self._properties.pop(report.nodeid, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        progress = self.config.stash.get(PROGRESS, None)
        if progress and not self.session.settings.once:
            progress.remember()
        if self.judging:
            from .judging import narrowed

            ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
            stopped = session.shouldstop or session.shouldfail
            self.judging.conclude(whole=ended and not stopped and not narrowed(self.config))
        self.session.finish()
        if self.session.problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        writer = terminalreporter._tw
        log = not terminalreporter.isatty and "COLUMNS" not in os.environ  # has no edge: pytest's 80 would cut columns
        width = max(writer.fullwidth, _LOG_COLUMNS) if log else writer.fullwidth
        for line in self.session.summary(width, self.config.option.verbose > 0, writer.hasmarkup):
            terminalreporter.write_line(line)


def _pair(config: pytest.Config, controller: _Controller) -> None:
    """Compare two sides in this session, where that was asked for."""
    settings = config.stash[SESSION].settings
    if settings.against is None and not settings.calibrate:
        return
    from .against import Comparison
    from .gate.sides import against, itself

    base = itself(settings.root) if settings.against is None else against(settings.against, settings.root)
    config.pluginmanager.register(
        Comparison(config, base, config.stash.get(LANES, 1), controller.take), "modelbench-pairs"
    )


def _words(config: pytest.Config) -> str:
    return f"{config.option.keyword} {config.option.markexpr}"


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@contextmanager
def _as_usage_error() -> Iterator[None]:
    """Say an error of ours as pytest's own usage error: one line, exit status 4."""
    try:
        yield
    except ModelbenchError as error:
        raise pytest.UsageError(str(error)) from error
