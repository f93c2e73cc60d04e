"""Benches in processes of their own: every way to end, and what the session makes of it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pyarrow.parquet as pq
import pytest

QUICK = ["--bench-rounds", "3"]


def rows(pytester):
    files = sorted((pytester.path / "reports" / "data" / "records").glob("*.parquet"))
    found = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    return {row["nodeid"].partition("::")[2]: row for row in found}


def outcomes(pytester):
    return {name: (row["outcome"], row["reason"]) for name, row in rows(pytester).items()}


TWELVE = """
    import ctypes
    import os
    import time
    import pytest

    class OutOfMemoryError(RuntimeError):
        "torch's, by its name."

    def bench_plain(measure):
        measure(int)

    @pytest.mark.isolated
    @pytest.mark.parametrize("n", [1, 2])
    def bench_well(n, measure):
        measure(int).count(things=n)

    @pytest.mark.isolated
    def bench_segfault(measure):
        measure(ctypes.string_at, 0)

    @pytest.mark.isolated(timeout=5)
    def bench_hang(measure):
        measure(time.sleep, 600)

    @pytest.mark.isolated
    def bench_memory(measure):
        def greedy():
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 GiB.")
        measure(greedy)

    @pytest.mark.isolated
    def bench_raises(measure):
        measure(lambda: 1 / 0)

    @pytest.mark.isolated
    def bench_exits(measure):
        measure(os._exit, 9)

    @pytest.mark.isolated
    def bench_aborts(measure):
        measure(os.abort)

    @pytest.mark.isolated
    def bench_skips(measure):
        pytest.skip("not today")

    @pytest.mark.isolated
    @pytest.mark.xfail(reason="known")
    def bench_expected(measure):
        measure(lambda: 1 / 0)

    def bench_last(measure):
        measure(int)
"""
OF_TWELVE = {
    "bench_plain": ("passed", None),
    "bench_well[1]": ("passed", None),
    "bench_well[2]": ("passed", None),
    "bench_segfault": ("error", "crashed: signal SIGSEGV"),
    "bench_hang": ("error", "timed out after 5 s"),
    "bench_memory": ("oom", "64.0 GiB asked: OutOfMemoryError: CUDA out of memory. Tried to allocate 64.00 GiB."),
    "bench_raises": ("failed", "ZeroDivisionError: division by zero"),
    "bench_exits": ("error", "exit status 9"),
    "bench_aborts": ("error", "crashed: signal SIGABRT"),
    "bench_skips": ("skipped", "not today"),
    "bench_expected": ("skipped", "known"),
    "bench_last": ("passed", None),
}


@pytest.mark.parametrize("more", [[], ["-n", "2"], ["-p", "no:xdist", "-p", "no:cacheprovider"]], ids=" ".join)
def test_a_session_of_twelve_of_which_most_end_badly(pytester, more):
    pytester.makepyfile(bench_a=TWELVE)
    result = pytester.runpytest_subprocess(*QUICK, *more)
    assert outcomes(pytester) == OF_TWELVE
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=4, failed=6, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*Fatal Python error: Segmentation fault*"])
    result.stdout.fnmatch_lines(["FAILED bench_a.py::bench_hang - *timed out after 5 s"])
    assert rows(pytester)["bench_well[2]"]["rounds"] == 3
    assert rows(pytester)["bench_well[2]"]["count_things"] == 2
    assert {row["worker"] for row in rows(pytester).values()} <= ({"gw0", "gw1"} if "-n" in more else {""})


def test_what_a_bench_printed_and_asserted_travels(pytester):
    pytester.makepyfile(
        bench_a="""
        import subprocess, sys
        import pytest

        @pytest.mark.isolated
        def bench_a(measure, tmp_path, worker_id):
            print("printed")
            subprocess.run([sys.executable, "-c", "print('by a child of its own')"])
            print("to stderr", file=sys.stderr)
            assert measure(int).output == 41
        """
    )
    result = pytester.runpytest_subprocess(*QUICK)
    result.stdout.fnmatch_lines(
        ["E  *assert 0 == 41*", "*Captured stdout call*", "printed", "by a child of its own", "*Captured stderr call*"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    unseen = pytester.runpytest_subprocess(*QUICK, "-s")
    assert "by a child of its own" in unseen.stdout.str() + unseen.stderr.str()


def test_each_process_leases_the_device_and_makes_its_own_fixtures(pytester):
    pytester.makepyfile(
        bench_a="""
        import os
        import pytest

        @pytest.fixture(scope="session")
        def model(device, tmp_path_factory):
            log = tmp_path_factory.getbasetemp().parent / "made"
            with open(os.environ["MADE"], "a") as file:
                print("make", os.getpid(), file=file)
            yield int
            with open(os.environ["MADE"], "a") as file:
                print("close", os.getpid(), file=file)

        def bench_a(model, measure): measure(model)

        @pytest.mark.isolated
        def bench_b(model, measure): measure(model)

        def bench_c(model, measure): measure(model)
        def bench_d(model, measure): measure(model)
        """
    )
    made = pytester.path / "made"
    os.environ["MADE"] = str(made)  # pytester puts the environment back
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=4)
    words = [line.split() for line in made.read_text().splitlines()]
    assert [word for word, _ in words] == ["make", "close"] * 3
    pids = [pid for _, pid in words]
    assert pids[0] == pids[1] == pids[4] == pids[5] != pids[2] == pids[3]


#: A plugin that writes while the session goes on, as pytest-reportlog does and under its option's name.
REPORT_LOG = """
    def pytest_addoption(parser):
        parser.addoption("--report-log", dest="report_log")

    def pytest_configure(config):
        if config.option.report_log and not hasattr(config, "workerinput"):
            config.pluginmanager.register(Log(config.option.report_log))

    class Log:
        def __init__(self, place):
            self.file = open(place, "w", buffering=1)

        def pytest_runtest_logreport(self, report):
            print(report.nodeid, report.when, file=self.file)

        def pytest_unconfigure(self):
            self.file.close()
"""


def test_files_that_the_session_writes_are_its_own(pytester):
    pytester.makeconftest(REPORT_LOG)
    pytester.makeini("[pytest]\nlog_file_level = INFO\nlog_file = ini.log\n")
    pytester.makepyfile(
        bench_a="""
        import logging
        import pytest

        def bench_first(measure):
            logging.getLogger().info("said first")
            measure(int)

        @pytest.mark.isolated
        def bench_in_between(measure):
            logging.getLogger().info("said in between")
            measure(int)

        def bench_last(measure):
            logging.getLogger().info("said last")
            measure(int)
        """
    )
    for more, log in ([], "ini.log"), (["--log-file=own.log"], "own.log"):
        result = pytester.runpytest_subprocess(*QUICK, "-p", "no:randomly", "--report-log=reports.log", *more)
        result.assert_outcomes(passed=3)
        said = (pytester.path / log).read_text()
        assert "\0" not in said
        assert ["said" in line for line in said.splitlines()] == [True, True]
        assert [line.split()[1] for line in (pytester.path / "reports.log").read_text().splitlines()] == [
            "setup", "call", "teardown"
        ] * 3  # fmt: skip


def test_bench_isolate_gives_each_bench_a_process_and_leaves_tests_alone(pytester):
    pytester.makepyfile(
        bench_a="""
        import os
        import pytest

        @pytest.mark.parametrize("where", ["a/b::c", "[x]", "é"])
        def bench_a(where, measure):
            measure(int).count(pid=os.getpid())

        def test_plain():
            assert os.getpid() == int(os.environ["PARENT"])
        """,
        conftest="import os\nos.environ.setdefault('PARENT', str(os.getpid()))",
    )
    pytester.runpytest_subprocess(*QUICK, "--bench-isolate", "-k", "bench_a or plain").assert_outcomes(passed=4)
    assert len({row["count_pid"] for row in rows(pytester).values()}) == 3


def test_groups_of_xdist_do_not_hide_a_bench(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.isolated
        @pytest.mark.xdist_group("one")
        class TestOne:
            def test_a(self, measure): measure(int)

        @pytest.mark.isolated
        @pytest.mark.xdist_group("two")
        def bench_b(measure): measure(int)
        """
    )
    pytester.runpytest_subprocess(*QUICK, "-n", "2", "--dist", "loadgroup").assert_outcomes(passed=2)


def test_once_x_and_lf_mean_what_they_mean(pytester):
    pytester.makepyfile(
        bench_a="""
        import os
        import pytest
        pytestmark = pytest.mark.isolated

        def bench_a(measure): measure(int)
        def bench_b(measure): measure(os._exit, 3)
        def bench_c(measure): measure(int)
        """
    )
    pytester.runpytest_subprocess("--bench-once", "-x").assert_outcomes(passed=1, failed=1)
    assert rows(pytester)["bench_a"]["rounds"] == 0
    pytester.runpytest_subprocess(*QUICK, "--lf").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("body", "outcome", "counts"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)\n    yield", "error", {"errors": 1}),
        ("yield\n    os._exit(7)", "passed", {"passed": 1, "errors": 1}),
        ("atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\n    yield", "passed", {"passed": 1, "errors": 1}),
    ],
    ids=["set-up", "teardown", "exit"],
)
def test_a_crash_outside_the_call_costs_no_measurement(pytester, body, outcome, counts):
    pytester.makepyfile(
        bench_a=f"""
import atexit, os, signal
import pytest

@pytest.fixture
def fragile():
    {body}

@pytest.mark.isolated
def bench_a(fragile, measure): measure(int)
"""
    )
    result = pytester.runpytest_subprocess(*QUICK)
    result.assert_outcomes(**counts)
    assert rows(pytester)["bench_a"]["outcome"] == outcome
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_timeout_does_not_count_the_wait_for_the_device(pytester):
    pytester.makepyfile(bench_a="def bench_a(measure): measure(int)")
    code = "import time; from pytest_modelbench.device import lease\n"
    code += "with lease('cpu'): print(1, flush=True); time.sleep(9)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        pytester.runpytest_subprocess(*QUICK, "--bench-timeout", "6").assert_outcomes(passed=1)
    assert rows(pytester)["bench_a"]["wall_seconds"] > 6


def test_what_a_bench_leaves_running_ends_with_its_process(pytester):
    pytester.makepyfile(
        bench_a="""
        import subprocess, sys
        from pathlib import Path
        import pytest

        @pytest.mark.isolated
        def bench_a(measure):
            left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path("left").write_text(str(left.pid))
            measure(int)
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=1)
    assert_gone(int((pytester.path / "left").read_text()))


STUCK = """
    import os, time
    from pathlib import Path
    import pytest

    def bench_a(measure):
        measure(int)

    @pytest.mark.isolated
    def bench_stuck(measure):
        Path("pid.part").write_text(str(os.getpid()))
        Path("pid.part").rename("pid")
        measure(time.sleep, 600)
"""


def assert_gone(pid):
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.05)


@pytest.mark.parametrize(("end", "status"), [(signal.SIGINT, pytest.ExitCode.INTERRUPTED), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("more", [[], ["-n", "1"]], ids=["serial", "xdist"])
def test_the_process_of_a_bench_ends_with_the_session(pytester, end, status, more):
    pytester.makepyfile(bench_a=STUCK)
    command = [sys.executable, "-m", "pytest", *QUICK, *more]
    with open(pytester.path / "said", "w") as said:
        process = subprocess.Popen(command, cwd=pytester.path, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 60
        while not (pytester.path / "pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(end)
        assert process.wait(30) == status
    finally:
        process.kill()  # else it keeps the CPU from the benches of later tests
    assert_gone(int((pytester.path / "pid").read_text()))
    if end == signal.SIGINT:
        assert list(rows(pytester)) == ["bench_a"]


def test_after_a_device_error_later_benches_get_processes_of_their_own(pytester):
    pytester.makepyfile(
        bench_a="""
        import os

        def bench_a(measure):
            measure(int).count(pid=os.getpid())

        def bench_breaks(measure):
            def sticky():
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            measure(sticky)

        def bench_b(measure):
            measure(int).count(pid=os.getpid())
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=2, failed=1)
    assert outcomes(pytester)["bench_breaks"][1] == (
        "RuntimeError: CUDA error: an illegal memory access was encountered; "
        "this process has lost the device: mark the bench @pytest.mark.isolated"
    )
    assert rows(pytester)["bench_a"]["count_pid"] != rows(pytester)["bench_b"]["count_pid"]


@pytest.mark.parametrize("mark", ["isolated(5)", "isolated(timeout=0)", "isolated(seconds=5)", "isolated(timeout='1')"])
def test_a_mark_that_cannot_be_meant_is_said_before_anything_runs(pytester, mark):
    pytester.makepyfile(bench_a=f"import pytest\n@pytest.mark.{mark}\ndef bench_a(measure): measure(int)")
    result = pytester.runpytest(*QUICK)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: mark isolated of bench_a.py::bench_a takes only timeout, in seconds above 0*"])


def test_a_bench_that_is_not_there_in_a_fresh_process_is_told_so(pytester):
    pytester.makepyfile(
        bench_a="""
        import os
        import pytest

        @pytest.mark.isolated
        @pytest.mark.parametrize("n", [os.getpid()])
        def bench_a(n, measure): measure(int)
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(errors=1)
    ((outcome, reason),) = outcomes(pytester).values()
    assert outcome == "error"
    assert "is not found in a fresh process" in reason


@pytest.mark.gpu
def test_the_twelve_on_a_real_device(pytester):
    # asked in a process of its own: pytester forgets modules, and torch cannot be loaded twice
    asked = [sys.executable, "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"]
    if subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("needs a CUDA device")
    pytester.makepyfile(
        bench_a="""
        import pytest
        import torch

        pytestmark = pytest.mark.devices("cuda")

        def bench_before(measure, device):
            x = torch.ones(64, 64, device=device.torch_name)
            measure(torch.mm, x, x)

        @pytest.mark.isolated
        def bench_memory(measure, device):
            measure(torch.empty, 1 << 50, device=device.torch_name)

        @pytest.mark.isolated
        def bench_assert(measure, device):
            indices = torch.tensor([10**6], device=device.torch_name)
            measure(torch.zeros(3, device=device.torch_name).__getitem__, indices)

        def bench_lost(measure, device):
            indices = torch.tensor([10**6], device=device.torch_name)
            measure(torch.zeros(3, device=device.torch_name).__getitem__, indices)

        def bench_after(measure, device):
            x = torch.ones(64, 64, device=device.torch_name)
            measure(torch.mm, x, x)
        """
    )
    pytester.runpytest_subprocess(*QUICK)
    found = outcomes(pytester)
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "bench_before": "passed",
        "bench_memory": "oom",
        "bench_assert": "failed",
        "bench_lost": "failed",
        "bench_after": "passed",
    }
    assert found["bench_lost"][1].endswith("mark the bench @pytest.mark.isolated")
