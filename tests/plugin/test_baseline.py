"""--bench-baseline from outside: what fails, what is said, what is kept, with xdist and without."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from xml.etree import ElementTree

import pytest

from pytest_modelbench.stores.parquet import Parquet

BENCHES = """
    import pytest

    def bench_steady(measure):
        measure(sum, range(10_000)).score("accuracy", [1] * 50, [1] * 50)

    @pytest.mark.tolerance(seconds="50%")
    def bench_slow(measure):
        measure(sum, range(10_000))
"""
QUICK = ["--bench-rounds=8"]


@pytest.fixture(autouse=True)
def not_in_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def stored(pytester):
    """Runs the benches once, and makes a baseline of six sessions of it, each bench so many times as fast."""
    pytester.makepyfile(bench_a=BENCHES)

    def made(place="reports/baseline", sessions=6, **factors):
        pytester.runpytest(*QUICK, "--bench-store=parquet:first")
        (pytester.path / "first/journal").mkdir(exist_ok=True)
        store, number = Parquet(pytester.path / place), count()
        first = list(Parquet(pytester.path / "first").records())
        for i in range(sessions):
            for record in first:
                factor = factors.get(record.bench.partition("::bench_")[2], 1) * (1 + 0.002 * (i - 3))
                rounds = tuple(seconds / factor for seconds in record.timing.rounds_seconds)
                when = {"session": f"s{i}", "started_utc": f"2026-01-{i + 1:02d}T10:00:{next(number):02d}Z"}
                timing = replace(record.timing, rounds_seconds=rounds)
                store.append([replace(record, timing=timing, samples=(), caveats=(), **when)])
        return store

    return made


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["serial", "two workers"])
def test_benches_of_any_name_are_judged(pytester, stored, workers):
    """What takes `measure` is a bench, in a process of its own and in a worker too."""
    stored(slow=20)
    pytester.path.joinpath("bench_a.py").unlink()
    pytester.makepyfile(
        test_a="""
        import pytest

        def test_plain():
            pass

        @pytest.mark.isolated
        def test_apart(measure):
            measure(sum, range(10))

        def test_new(measure):
            measure(sum, range(10))
    """
    )
    run(pytester, "--bench-require-baseline", *workers).assert_outcomes(passed=1, failed=2)


def run(pytester, *arguments, baseline="reports/baseline"):
    return pytester.runpytest(*QUICK, f"--bench-baseline={baseline}", *arguments)


def judged(pytester):
    store = Parquet(pytester.path / "reports/data")
    session = store.rows(columns=["session"])[-1]["session"]
    return {verdict.nodeid.rpartition("_")[2]: verdict for verdict in store.verdicts(session)}


@pytest.mark.parametrize("workers", [[], ["-n2"], ["-p", "no:xdist"]], ids=["serial", "two workers", "without xdist"])
def test_a_regression_is_a_failing_test_of_one_line(pytester, stored, workers):
    stored(slow=20, steady=0.01)
    result = run(pytester, *workers, "--junitxml=junit.xml")
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "Slower: *x slower against reports/baseline, median * -> * (95 % CI *, 6 sessions; limit +50 %)",
            "1 passed, 1 failed by the gate in *",
            "modelbench  * against reports/baseline: 1 slower, 1 faster",
            "slower  slow * +50 %*",
            "FAILED bench_a.py::bench_slow - Slower: *",
        ]
    )
    cases = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    slow = next(case for case in cases if case.get("name") == "bench_slow")
    assert slow.find("failure").get("message").startswith("Slower: ")
    properties = {found.get("name"): found.get("value") for found in slow.iter("property")}
    assert properties["modelbench.verdict.seconds"] == "slower"
    assert float(properties["modelbench.verdict.seconds.change"]) > 0.5
    assert judged(pytester)["slow"].failing
    assert [record.outcome for record in Parquet(pytester.path / "reports/data").records()] == ["passed"] * 2


def test_only_what_regressed_runs_again(pytester, stored):
    stored(slow=20, steady=0.01)
    run(pytester)
    result = run(pytester, "--lf")
    result.assert_outcomes(failed=1)
    assert "missing" not in result.stdout.str()


def test_a_loss_of_quality_fails(pytester, stored):
    stored(slow=0.01, steady=0.01)
    worse = BENCHES.replace("[1] * 50, [1] * 50", "[1] * 40 + [0] * 10, [1] * 50")
    pytester.makepyfile(bench_a=worse)
    result = run(pytester, "--bench-strict")  # the text of the bench has changed, which is advisory
    result.stdout.fnmatch_lines(
        ["Worse: score_accuracy -20.0 pt against *, 1 -> 0.8 (*, 50 items*the bench's own text*"]
    )
    assert run(pytester).ret == 0


INT8 = """
    import os
    import numpy
    import pytest

    VECTORS = numpy.random.default_rng(1).standard_normal((40, 64))

    @pytest.mark.tolerance(seconds="900%", score_cosine=os.environ.get("MARGIN", "0.5pt"))
    def bench_embed(measure):
        # in eight bits: a loss of a few hundredths of a point
        step = numpy.abs(VECTORS).max() / 127 if os.environ.get("INT8") else 1e-9
        run = measure(lambda: numpy.round(VECTORS / step) * step)
        run.score("cosine", list(run.output), list(VECTORS))
"""


def test_a_margin_under_the_true_loss_fails_and_one_above_does_not(pytester, monkeypatch):
    pytester.makepyfile(bench_a=INT8)
    pytester.runpytest(*QUICK, "--bench-save-baseline").assert_outcomes(passed=1)
    monkeypatch.setenv("INT8", "1")
    run(pytester).assert_outcomes(passed=1)
    monkeypatch.setenv("MARGIN", "0.001pt")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Worse: score_cosine -0.0* pt against *, 1 -> * (95 % CI *, 40 items; limit -0.001 pt)"]
    )


def test_the_process_that_is_measured_does_not_read_the_baseline(pytester, stored):
    stored()
    pytester.makepyfile(
        bench_b="""
        import sys

        def bench_b(measure):
            measure(int)
            assert not {"pyarrow", "numpy"} & sys.modules.keys()

        def bench_c(measure):
            bench_b(measure)  # after a Record was judged
        """
    )
    result = pytester.runpytest_subprocess(
        *QUICK, "--bench-baseline=reports/baseline", "-p", "no:codspeed", "bench_b.py"
    )
    result.assert_outcomes(passed=2)


def test_the_gate_survives_its_process(pytester, stored):
    stored()
    pytester.makeconftest(
        """
        import os, signal, psutil

        def pytest_runtest_teardown(item):
            if item.name == "bench_steady":
                for child in psutil.Process().children():
                    if "pytest_modelbench.gate.apart" in child.cmdline():
                        child.kill()
                        child.wait()
        """
    )
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["modelbench: --bench-baseline reports/baseline: the process that reads the baseline has ended*"]
    )
    assert len(Parquet(pytester.path / "reports/data").rows()) == 2


def test_without_a_baseline_all_is_missing_and_said(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    result = run(pytester, baseline="no/such/place")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "not judged: 2 missing (there are no Records at no/such/place)",
            "No Records at no/such/place: where that is a mistake, --bench-require-baseline fails on it.",
        ]
    )
    result = run(pytester, "--bench-require-baseline", baseline="no/such/place")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["FAILED bench_a.py::bench_steady - Missing: there are no Records at no/such/place*"])


def test_a_baseline_without_these_benches_is_new(pytester, stored):
    stored()
    pytester.path.joinpath("bench_a.py").unlink()
    pytester.makepyfile(bench_b="def bench_b(measure): measure(int)")
    result = run(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["modelbench  * against reports/baseline: 1 new"])


def test_what_an_interrupt_kept_from_running_is_not_missing(pytester, stored):
    stored()
    pytester.path.joinpath("conftest.py").write_text("""
import pytest

def pytest_runtest_call(item):
    if item.name == "bench_slow":
        raise KeyboardInterrupt
""")
    result = pytester.runpytest_subprocess(*QUICK, "--bench-baseline=reports/baseline")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*missing *1*")


def test_benches_that_ran_once_are_not_judged(pytester, stored):
    stored(slow=20)
    result = pytester.runpytest("--bench-once", "--bench-baseline=reports/baseline")
    result.assert_outcomes(passed=2)
    assert "against" not in result.stdout.str()


def test_saved_sessions_become_the_baseline(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    for _ in range(2):
        result = pytester.runpytest(*QUICK, "--bench-save-baseline")
    result.stdout.fnmatch_lines(["saved 2 Records in reports/baseline"])
    rows = Parquet(pytester.path / "reports/baseline").rows()
    assert len({found["session"] for found in rows}) == 2
    assert "baseline/" in (pytester.path / "reports/.gitignore").read_text()
    assert "*" not in (pytester.path / "reports/baseline/.gitignore").read_text()
    result = run(pytester)
    result.stdout.fnmatch_lines(["advisory: it takes 5 stored sessions for a bench to fail, better 10"])


def test_a_named_baseline_lies_in_a_folder_of_its_own(pytester):
    pytester.makepyfile(bench_a=BENCHES)
    pytester.runpytest(*QUICK, "--bench-save-baseline=release-1")
    assert len(Parquet(pytester.path / "reports/baseline/release-1").rows()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bench-save-baseline", "bench_a.py"], "*that is a path, not a name*"),
        (["--bench-require-baseline"], "*needs --bench-baseline PLACE*"),
    ],
)
def test_options_that_cannot_be_meant(pytester, arguments, said):
    pytester.makepyfile(bench_a=BENCHES)
    result = pytester.runpytest(*QUICK, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("git:nowhere", "git:nowhere: git knows no such commit; git branch --all*"),
        ("nosuchstore:x", "unknown store 'nosuchstore'*"),
        ("broken.parquet", "cannot read broken.parquet*"),
    ],
)
def test_a_place_that_cannot_be_read_stops_before_anything_runs(pytester, place, said):
    pytester.makepyfile(bench_a=BENCHES)
    (pytester.path / "broken.parquet").write_text("no parquet")
    git(pytester.path, "init", "-q")
    git(pytester.path, "add", "-A")
    git(pytester.path, "commit", "-qm", "first")
    result = run(pytester, baseline=place)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "passed" not in result.stdout.str()
    (result.stderr if said in result.stderr.str() else result.stdout).fnmatch_lines([f"*--bench-baseline {said}"])


def test_records_that_were_committed_are_a_baseline(pytester, stored):
    stored(slow=20, steady=0.01)
    git(pytester.path, "init", "-q", "-b", "main")
    git(pytester.path, "add", "-f", "reports/baseline", "bench_a.py")
    git(pytester.path, "commit", "-qm", "with a baseline")
    (pytester.path / "reports/baseline").rename(pytester.path / "gone")
    result = run(pytester, baseline="git:main")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*against git:main: 1 slower, 1 faster"])
    result = run(pytester, baseline="git:main:another/folder")
    result.stdout.fnmatch_lines(["*2 missing (there are no Records at git:main:another/folder)"])


@pytest.mark.parametrize(
    ("ref", "fetch"),
    [
        ("v1.0", "--depth=1 origin v1.0:v1.0"),
        ("origin/other", "--depth=1 origin other:refs/remotes/origin/other"),
        ("HEAD~3", "--unshallow"),
    ],
)
def test_a_shallow_clone_says_what_to_fetch(pytester, ref, fetch):
    pytester.makepyfile(bench_a=BENCHES)
    git(pytester.path, "init", "-q", "-b", "main")
    for message in ("one", "two"):
        git(pytester.path, "add", "bench_a.py")
        git(pytester.path, "commit", "--allow-empty", "-qm", message)
    clone = pytester.path / "clone"
    git(pytester.path, "clone", "-q", "--depth=1", f"file://{pytester.path}", str(clone))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *QUICK, f"--bench-baseline=git:{ref}"],
        cwd=clone, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"in this shallow clone; run: git fetch {fetch} " in ran.stdout + ran.stderr


def test_a_job_of_github_gets_a_summary_and_annotations(pytester, stored, monkeypatch):
    stored(slow=20, steady=0.01)
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = run(pytester, "--bench-report=markdown:comment.md")
    result.stdout.fnmatch_lines(["::error file=bench_a.py,title=bench_slow*::Slower: *"])
    assert "### modelbench: 1 of 2 benches is slower than reports/baseline" in summary.read_text()
    assert (pytester.path / "comment.md").read_text() in summary.read_text()
