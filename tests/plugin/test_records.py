"""From a bench to its Record in Parquet, serially, under xdist, after Ctrl-C and after kill -9."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

BENCHES = """
    import pytest

    def bench_fast(measure):
        run = measure(sum, [1, 2, 3])
        run.count(numbers=3)

    @pytest.mark.parametrize("batch_size", [1, 8])
    def bench_each(batch_size, measure):
        run = measure.each(lambda batch: [n % 2 for n in batch], [[n, n + 1] for n in range(batch_size)])
        run.count(images=batch_size)
        assert run.score("accuracy", run.flat, run.flat) == 1.0

    def bench_raises(measure):
        measure(lambda: 1 / 0)

    def bench_assert(measure):
        assert measure(sum, [1]).output == 2

    def bench_memory(measure):
        def greedy():
            raise MemoryError("64 GiB asked")
        measure(greedy)

    @pytest.mark.skip(reason="not today")
    def bench_skipped(measure): ...

    @pytest.fixture
    def broken():
        raise OSError("no such disk")

    def bench_setup(broken, measure): ...

    @pytest.mark.xfail(reason="known")
    def bench_expected(measure):
        measure(lambda: 1 / 0)
"""
OUTCOMES = {
    "bench_fast": "passed",
    "bench_each": "passed",
    "bench_raises": "failed",
    "bench_assert": "failed",
    "bench_memory": "oom",
    "bench_skipped": "skipped",
    "bench_setup": "error",
    "bench_expected": "skipped",
}
QUICK = ["--bench-rounds", "3"]


def rows(pytester, table="records"):
    files = sorted((pytester.path / "reports" / "data" / table).glob("*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def outcomes(pytester):
    return {(row["bench"].partition("::")[2], row["batch_size"]): row["outcome"] for row in rows(pytester)}


EXPECTED = {(name, None): outcome for name, outcome in OUTCOMES.items() if name != "bench_each"} | {
    ("bench_each", "1"): "passed",
    ("bench_each", "8"): "passed",
}


def test_every_outcome_is_a_row(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    result = pytester.runpytest(*QUICK)
    assert outcomes(pytester) == EXPECTED
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    by_name = {row["bench"].partition("::")[2]: row for row in rows(pytester)}
    assert by_name["bench_raises"]["reason"] == "ZeroDivisionError: division by zero"
    assert by_name["bench_memory"]["reason"] == "MemoryError: 64 GiB asked"
    assert by_name["bench_skipped"]["reason"] == "not today"
    assert by_name["bench_setup"]["reason"] == "OSError: no such disk"


def test_a_row_has_the_columns_a_user_selects(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    pytester.runpytest(*QUICK, "-k", "fast")
    (row,) = rows(pytester)
    assert row["bench"] == "bench_a.py::bench_fast"
    assert row["rounds"] == 3
    assert 0 < row["min_seconds"] <= row["median_seconds"] <= row["p95_seconds"] < 1
    assert row["device"] == "cpu"
    assert row["peak_memory_bytes"] > 1_000_000
    assert row["count_numbers"] == 3
    assert row["cpu_name"]
    assert row["fingerprint"]
    raw = rows(pytester, "rounds")
    assert len([entry for entry in raw if entry["kind"] == "round"]) == 3
    assert {entry["record_id"] for entry in raw} == {row["record_id"]}


def test_two_workers_give_the_same_records(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    result = pytester.runpytest_subprocess(*QUICK, "-n", "2")
    assert outcomes(pytester) == EXPECTED
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {row["worker"] for row in rows(pytester)} <= {"gw0", "gw1"}
    assert len({row["session"] for row in rows(pytester)}) == 1
    assert len(list((pytester.path / "reports/data/records").iterdir())) == 1


def test_without_the_xdist_plugin_at_all(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    pytester.runpytest_subprocess(*QUICK, "-p", "no:xdist")
    assert outcomes(pytester) == EXPECTED


def test_two_workers_never_time_on_one_device_at_once(pytester):
    pytester.makepyfile(
        bench_a="""
        import time
        import pytest

        @pytest.mark.parametrize("n", range(6))
        def bench_a(n, measure):
            measure(time.sleep, 0.05)
        """
    )
    pytester.runpytest_subprocess("-n", "2", "--bench-rounds", "4")
    spans = {}
    for entry in rows(pytester, "rounds"):
        if entry["kind"] == "round":
            start, end = spans.get(entry["record_id"], (entry["started_ns"], 0))
            ended = entry["started_ns"] + round(entry["seconds"] * 1e9)
            spans[entry["record_id"]] = min(start, entry["started_ns"]), max(end, ended)
    assert len(spans) == 6
    ordered = sorted(spans.values())
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))


def test_a_killed_worker_loses_no_finished_record_and_is_a_row(pytester):
    pytester.makepyfile(
        bench_a="""
        import os

        def bench_a(measure):
            measure(int)

        def bench_dies(measure):
            measure(os._exit, 9)

        def bench_z(measure):
            measure(int)
        """
    )
    result = pytester.runpytest_subprocess(*QUICK, "-n", "1")
    found = {row["bench"].partition("::")[2]: row["outcome"] for row in rows(pytester)}
    assert found == {"bench_a": "passed", "bench_dies": "error", "bench_z": "passed"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def start(pytester, *arguments):
    command = [sys.executable, "-m", "pytest", *QUICK, *arguments]
    return subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


SLOW_FOURTH = """
    import time
    from pathlib import Path
    import pytest

    @pytest.mark.parametrize("n", [1, 2, 3])
    def bench_quick(n, measure):
        measure(int)

    def bench_stuck(measure):
        Path("stuck").touch()
        measure(time.sleep, 600)
"""


def wait_until_stuck(pytester):
    deadline = time.monotonic() + 60
    while not (pytester.path / "stuck").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)


def test_records_survive_kill_9_and_the_next_start_says_so(pytester):
    pytester.makepyfile(bench_a=SLOW_FOURTH)
    process = start(pytester)
    wait_until_stuck(pytester)
    process.kill()
    process.communicate()
    assert rows(pytester) == []
    result = pytester.runpytest("-k", "quick and 2", *QUICK)
    result.stdout.fnmatch_lines(["*recovered 3 Records of interrupted session *"])
    assert len(rows(pytester)) == 3 + 1
    again = pytester.runpytest("-k", "quick and 2", *QUICK)
    again.stdout.no_fnmatch_line("*recovered*")


def test_ctrl_c_keeps_and_reports_what_finished(pytester):
    pytester.makepyfile(bench_a=SLOW_FOURTH)
    process = start(pytester)
    wait_until_stuck(pytester)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert [row["outcome"] for row in rows(pytester)] == ["passed"] * 3
    assert (pytester.path / "reports" / "modelbench.html").exists()
    assert "bench_quick" in output or "quick" in output


def test_once_runs_every_bench_untimed(pytester):
    pytester.makepyfile(
        bench_a="""
        calls = []

        def bench_a(measure):
            measure(calls.append, 1)
            assert calls == [1]

        def bench_each(measure):
            assert measure.each(abs, [-1, -2]).outputs == [1, 2]

        def bench_stream(measure):
            assert measure.stream(iter, "ab").output == ["a", "b"]
        """
    )
    pytester.runpytest("--bench-once").assert_outcomes(passed=3)
    assert {(row["outcome"], row["rounds"], row["median_seconds"]) for row in rows(pytester)} == {("passed", 0, None)}


def test_lf_measures_only_what_failed(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    pytester.runpytest(*QUICK, "-k", "fast or assert")
    result = pytester.runpytest(*QUICK, "--lf", "-k", "fast or assert")
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    pass", "*bench_a never called measure(...): there is nothing to record*"),
        ("    measure(int)\n    measure(int)", "*bench_a measures twice; one bench is one Record*"),
        ("    measure(int).score('acuracy', [1], [1])", "*unknown metric 'acuracy' in bench_a; did you mean 'acc*"),
        ("    measure(int).count(tokens='many')", "*run.count(tokens='many') is no count of tokens*"),
    ],
)
def test_misuse_fails_in_one_line(pytester, body, message):
    pytester.makepyfile(bench_a="def bench_a(measure):\n" + body)
    result = pytester.runpytest(*QUICK)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.assert_outcomes(failed=1)
    assert [row["outcome"] for row in rows(pytester)] == ["failed"]


def test_a_store_that_is_a_file_is_said_before_anything_runs(pytester):
    pytester.makepyfile(bench_a="def bench_a(measure):\n    measure(int)")
    (pytester.path / "taken").write_text("")
    result = pytester.runpytest(*QUICK, "--bench-store", "parquet:taken")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert "taken" in text
    assert "give another place (--bench-store" in text


def test_a_store_that_fails_at_the_end_keeps_the_records(pytester):
    pytester.makepyfile(
        bench_a="""
        from pathlib import Path

        def bench_a(measure):
            measure(int)
            Path("reports/data/records").write_text("in the way")
        """
    )
    result = pytester.runpytest(*QUICK)
    result.stdout.fnmatch_lines(["*Records are kept in *journal*stored at the next start*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    os.remove(pytester.path / "reports" / "data" / "records")
    pytester.makepyfile(bench_a="def bench_b(measure):\n    measure(int)")
    pytester.runpytest(*QUICK).stdout.fnmatch_lines(["*recovered 1 Record of interrupted session*"])
    assert sorted(row["bench"].partition("::")[2] for row in rows(pytester)) == ["bench_a", "bench_b"]


def test_a_report_that_cannot_be_written_loses_no_record(pytester):
    pytester.makepyfile(bench_a="def bench_a(measure):\n    measure(int)")
    (pytester.path / "taken").write_text("")
    result = pytester.runpytest(*QUICK, "--bench-report", "html:taken/report.html")
    result.stdout.fnmatch_lines(
        ["*report html:taken/report.html: cannot write the HTML report*the Records are stored*"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [row["outcome"] for row in rows(pytester)] == ["passed"]


def test_the_summary_has_the_table_and_the_path_of_the_report(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    result = pytester.runpytest(*QUICK, "-k", "fast or each")
    result.stdout.fnmatch_lines(["modelbench  3 benches*", "*median*", "*fast*", "*reports/modelbench.html*"])


def test_outsiders_see_each_record_by_the_hook(pytester):
    pytester.makeconftest(
        """
        def pytest_modelbench_record(config, record):
            if record.outcome == "passed" and record.timing:
                print("SEEN", record.key, len(record.timing.rounds_seconds))
        """
    )
    pytester.makepyfile(bench_a="def bench_a(measure):\n    measure(int)")
    result = pytester.runpytest(*QUICK, "-s")
    result.stdout.fnmatch_lines(["*SEEN bench_a.py::bench_a[[]device=cpu[]] 3"])


def test_a_variant_and_a_metric_of_ones_own(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest
        from pytest_modelbench import metric, variant

        @variant
        def doubled(model):
            return model * 2

        @metric("characters", "lower")
        def length(predictions, references):
            return [float(len(text)) for text in predictions]

        @pytest.fixture(scope="session")
        def model(variant):
            return variant.apply("ab")

        @pytest.mark.variants("eager", "doubled", "doubled+doubled")
        def bench_a(model, measure):
            run = measure(model.upper)
            run.score("length", [run.output], [""])
        """
    )
    pytester.runpytest(*QUICK).assert_outcomes(passed=3)
    assert {row["variant"]: row["score_length"] for row in rows(pytester)} == {
        "eager": 2,
        "doubled": 4,
        "doubled+doubled": 8,
    }


def test_a_function_named_like_a_bench_that_measures_nothing_fails_alone(pytester):
    pytester.makepyfile(bench_old="def bench_sort(): ...", test_b="def test_b(): ...")
    result = pytester.runpytest(*QUICK)
    result.stdout.fnmatch_lines(["bench_sort measures nothing: take the fixture `measure` and call it once"])
    result.assert_outcomes(passed=1, failed=1)


def test_no_two_benches_share_an_identity(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        class TestA:
            def bench_x(self, measure):
                measure(int)

        class TestB:
            def bench_x(self, measure):
                measure(int)

        @pytest.mark.parametrize("f", [lambda: 1, lambda: 2, sum, sorted])
        def bench_callable(f, measure):
            measure(int)

        @pytest.mark.parametrize("value", [1, "1", True, "True", None, "None", 1.0, "1.0"])
        def bench_value(value, measure):
            measure(int)
        """
    )
    pytester.runpytest("--bench-rounds", "1").assert_outcomes(passed=14)
    found = rows(pytester)
    assert len({row["record_id"] for row in found}) == 14
    assert {"bench_a.py::TestA::bench_x", "bench_a.py::TestB::bench_x"} < {row["bench"] for row in found}


def test_odd_values_in_a_record_are_made_plain(pytester):
    pytester.makepyfile(
        bench_a="""
        import numpy as np
        import pytest
        from pytest_modelbench import ModelFacts, Score, metric

        @metric("ratio", "higher")
        def odd(predictions, references):
            return Score(np.float32(0.5), "ratio", "higher", (np.float64(0.25), np.int64(1)))

        class Model:
            facts = ModelFacts("mine", details={"dtype": np.dtype("int8"), "size": np.int64(3)})

        @pytest.fixture
        def model():
            return Model()

        def bench_a(model, measure):
            run = measure(int)
            run.count(tokens=np.int64(3), images=np.array([2.0]))
            run.score("odd", [1], [1])
        """
    )
    pytester.runpytest_subprocess(*QUICK, "-n", "1").assert_outcomes(passed=1)
    (row,) = rows(pytester)
    assert (row["score_odd"], row["count_tokens"], row["count_images"]) == (0.5, 3, 2)


def test_outputs_and_models_are_let_go_when_a_bench_is_recorded(pytester):
    pytester.makepyfile(
        bench_a="""
        import gc
        import weakref

        class Big:
            pass

        seen = []

        def make():
            big = Big()
            seen.append(weakref.ref(big))
            return big

        def bench_a(measure):
            measure(make)

        def bench_b(measure):
            measure(int)
            gc.collect()
            assert all(reference() is None for reference in seen)
        """
    )
    pytester.runpytest(*QUICK).assert_outcomes(passed=2)


def test_a_journal_that_fills_up_loses_no_record(pytester, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    pytester.makeconftest(
        """
        import errno
        from pytest_modelbench.journal import Journal

        appended = []

        def full(journal, record, append=Journal.append):
            appended.append(record)
            if len(appended) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            append(journal, record)

        Journal.append = full
        """
    )
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.parametrize("n", range(4))
        def bench_a(n, measure):
            measure(int)
        """
    )
    result = pytester.runpytest_subprocess(*QUICK)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*No space left on device*Records are kept in *until they are stored"])
    assert len(rows(pytester)) == 4
    assert not [*(tmp_path / "temporary").glob("modelbench-journal-*")]


def test_a_store_that_cannot_be_written_is_said_first_under_xdist_too(pytester):
    pytester.makepyfile(bench_a="def bench_a(measure):\n    measure(int)")
    (pytester.path / "taken").write_text("")
    result = pytester.runpytest_subprocess(*QUICK, "--bench-store", "parquet:taken", "-n", "1")
    assert "give another place (--bench-store" in result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
