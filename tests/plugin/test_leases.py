"""Two devices under xdist: both used, one bench at a time on each, and nobody sets up while another times."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

#: Two devices where there is one: whatever is asked for is either of them, by uuid.
TWO = """
    import pytest_modelbench.device
    from pytest_modelbench.device import Device

    pytest_modelbench.device._present = lambda text: [Device("cpu", text, "cpu", None, f"FAKE-{i}") for i in (0, 1)]
"""
BENCHES = """
    import os, time
    import pytest

    @pytest.fixture(scope="session")
    def model(device):
        with open(os.environ["SET_UPS"], "a") as file:
            print(time.perf_counter_ns(), file=file)
        return time.sleep

    @pytest.mark.parametrize("n", range(6))
    def bench_a(n, measure, model, device):
        time.sleep(0.1)
        run = measure(model, 0.05)
        run.count(device=int(device.uuid[-1]))
"""
PAGE = Path(__file__).parents[2] / "docs/how-to/use-with-xdist.md"


def overlaps(pytester):
    """What the manual's query finds; the stand-in devices are told apart by a count, for a CPU has no uuid."""
    (query,) = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    query = query.replace("r.environment ->> '$.gpu.uuid'", "r.count_device")
    # in a process of its own: pytester forgets modules, and what duckdb loads cannot be loaded twice
    code = "import sys, duckdb; print(len(duckdb.sql(sys.argv[1]).fetchall()))"
    ran = subprocess.run([sys.executable, "-c", code, query], capture_output=True, text=True, cwd=pytester.path)
    if "No module named 'duckdb'" in ran.stderr:
        pytest.skip("needs duckdb")
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.fixture
def set_ups(pytester, monkeypatch):
    monkeypatch.setenv("SET_UPS", str(pytester.path / "set-ups"))
    # leases of its own: what else runs on this host takes no part
    monkeypatch.setenv("TMPDIR", str(pytester.path))
    return pytester.path / "set-ups"


def spans(pytester):
    """Of each bench: (device, first round's start, last round's end), in nanoseconds of the host's clock."""
    folder = pytester.path / "reports" / "data"
    device, found = {}, {}
    for file in (folder / "records").glob("*.parquet"):
        device |= {row["record_id"]: row["count_device"] for row in pq.ParquetFile(file).read().to_pylist()}
    for file in (folder / "rounds").glob("*.parquet"):
        for row in pq.ParquetFile(file).read().to_pylist():
            began, ended = found.get(row["record_id"], (row["started_ns"], 0))
            until = row["started_ns"] + round(row["seconds"] * 1e9)
            found[row["record_id"]] = min(began, row["started_ns"]), max(ended, until)
    return [(device[key], *span) for key, span in found.items()]


def test_two_workers_use_both_devices_and_never_one_at_once(pytester, set_ups):
    pytester.makeconftest(TWO)
    pytester.makepyfile(bench_a=BENCHES)
    pytester.runpytest_subprocess("-n", "2", "--bench-rounds", "4").assert_outcomes(passed=6)
    found = spans(pytester)
    assert {device for device, _, _ in found} == {0, 1}
    assert len(set_ups.read_text().splitlines()) == 2
    assert overlaps(pytester) == 0


def test_the_query_finds_an_overlap_where_there_is_one(pytester, set_ups):
    pytester.makeconftest(TWO)
    pytester.makepyfile(bench_a=BENCHES.replace("int(device.uuid[-1])", "7"))  # as if they were one device
    pytester.runpytest_subprocess("-n", "2", "--bench-rounds", "4").assert_outcomes(passed=6)
    assert overlaps(pytester)


LOADING = (
    TWO
    + """
    import os, time
    import pytest_modelbench.models

    class Opened:
        def prepare(self): ...
        def close(self): ...

    def open_model(source, device, settings):
        began = time.perf_counter_ns()
        time.sleep(0.3)
        with open(os.environ["SET_UPS"], "a") as file:
            print(began, time.perf_counter_ns(), file=file)
        return Opened()

    pytest_modelbench.models.open_model = open_model
"""
)


@pytest.mark.parametrize("more", [["-n", "2"], ["-n", "2", "--bench-isolate"]], ids=" ".join)
def test_no_model_is_loaded_while_another_worker_times(pytester, set_ups, more):
    pytester.makeconftest(LOADING)
    pytester.makepyfile(
        bench_a="""
        import time
        import pytest

        @pytest.mark.models("random:a", "random:b", "random:c", "random:d")
        def bench_a(measure, model, device):
            measure(time.sleep, 0.05).count(device=int(device.uuid[-1]))
        """
    )
    pytester.runpytest_subprocess(*more, "--bench-rounds", "4").assert_outcomes(passed=4)
    loads = [tuple(map(int, line.split())) for line in set_ups.read_text().splitlines()]
    assert len(loads) >= 4
    timed = spans(pytester)
    assert len(timed) == 4
    assert not [(load, span) for load in loads for span in timed if load[0] < span[2] and span[1] < load[1]]


def test_a_wait_of_a_worker_for_a_device_is_told_and_recorded(pytester, set_ups):
    pytester.makeconftest("import pytest_modelbench.session, pytest_modelbench.progress\n"
        "pytest_modelbench.session.LONG_WAIT_SECONDS = pytest_modelbench.progress.LONG_WAIT_SECONDS = 1.5\n"
        "import pytest_modelbench.device\npytest_modelbench.device._WORD_EVERY_SECONDS = 0.5\n")  # fmt: skip
    pytester.makepyfile(bench_a="def bench_a(measure): measure(int)")
    code = "import time; from pytest_modelbench.device import lease\n"
    code += "with lease('cpu'): print(1, flush=True); time.sleep(6)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        result = pytester.runpytest_subprocess("-n", "1", "--bench-rounds", "3")
    result.assert_outcomes(passed=1)
    result.stderr.fnmatch_lines([f"[[]gw0[]] waiting for cpu, held by pid {holder.pid} (*"])
    (file,) = (pytester.path / "reports/data/records").glob("*.parquet")
    (row,) = pq.ParquetFile(file).read().to_pylist()
    assert f"was waiting for cpu, held by pid {holder.pid} (" in row["detail"]
