"""Two sides in pairs of processes: what is compared, what is said of it, and what is left behind (nothing)."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

#: Two blocks of each side either way: what is told apart here differs threefold.
QUICK = ["--bench-max-seconds", "0.1", "--bench-fail", "50%"]
#: Tells the verdicts to the test.
TELLS = """
import json
import pytest

@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    from pytest_modelbench.session import SESSION
    said = config.stash[SESSION].verdicts
    if said:
        told = [[v.nodeid.rpartition("::")[2], v.quantity, v.word, v.reason, v.pairs] for v in said]
        with open("verdicts.json", "w") as file:
            json.dump({"verdicts": told, "against": said.against, "head": said.head}, file)
"""
WORK = """
def work(n):
    return sum(i * i for i in range(n))
"""


@pytest.fixture(autouse=True)
def own_place(pytester, monkeypatch, tmp_path_factory):
    """Leases and worktrees of this test's own."""
    folder = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(folder))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    yield
    assert not list(folder.glob("modelbench-base-*"))


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def commit(pytester, **files):
    """A commit with these files changed; None removes one."""
    if not (pytester.path / ".git").exists():
        git("init", "-q", "-b", "main")
        (pytester.path / ".gitignore").write_text("verdicts.json\nreports/\n__pycache__/\n*.log\nseen*\n")
    for name, text in files.items():
        path = pytester.path / f"{name}.py"
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git("add", "-A")
    git("commit", "-q", "--allow-empty", "-m", "a change")


def run(pytester, *arguments):
    (pytester.path / "verdicts.json").unlink(missing_ok=True)
    return pytester.runpytest_subprocess(*QUICK, *arguments)


def verdicts(pytester):
    told = json.loads((pytester.path / "verdicts.json").read_text())["verdicts"]
    return {(name, quantity): (word, reason, pairs) for name, quantity, word, reason, pairs in told}


def words(pytester):
    return {name: word for (name, quantity), (word, _, _) in verdicts(pytester).items() if quantity == "seconds"}


BENCHES = """
import pytest
from work import work

@pytest.mark.parametrize("n", [1, 2])
def bench_a(n, measure):
    measure(work, 20_000 * (SLOWER if n == 2 else 1))
"""


def test_the_slower_bench_fails_and_no_other(pytester):
    commit(pytester, conftest=TELLS, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    commit(pytester, bench_a="SLOWER = 3\n" + BENCHES)
    result = run(pytester, "--bench-against", "HEAD~1", "--junit-xml", "junit.xml")
    assert words(pytester) == {"bench_a[1]": "same", "bench_a[2]": "slower"}
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED bench_a.py::bench_a?2? - Slower: * against HEAD~1*"])
    failures = [case for case in ET.parse("junit.xml").iter("testcase") if case.find("failure") is not None]
    assert [case.get("name") for case in failures] == ["bench_a[2]"]
    assert git("worktree", "list").count("\n") == 1
    run(pytester, "--bench-against", "HEAD", "--lf").assert_outcomes(passed=1)
    assert words(pytester) == {"bench_a[2]": "same"}


def test_what_cannot_be_compared_is_said(pytester):
    benches = """
import os
import pytest
from work import work
HEAD = {head}

def bench_plain(measure): measure(work, 1000)
if HEAD:
    def bench_new(measure): measure(work, 1000)
def bench_skips(measure):
    if HEAD: pytest.skip("not today")
    measure(work, 1000)
def bench_fails(measure):
    measure(work, 1000)
    assert not HEAD
def bench_fails_there(measure):
    measure(work, 1000)
    assert HEAD
def test_plain(): pass
"""
    commit(pytester, conftest=TELLS, work=WORK, bench_a=benches.format(head=False))
    commit(pytester, bench_a=benches.format(head=True))
    result = run(pytester, "--bench-against", "HEAD~1")
    result.assert_outcomes(passed=4, skipped=1, failed=1)
    said = {name: (word, reason) for (name, _), (word, reason, _) in verdicts(pytester).items()}
    assert said["bench_plain"][0] == "same"
    assert said["bench_new"] == ("new", "")
    assert said["bench_skips"] == ("missing", "skipped here: not today")
    assert said["bench_fails"][0] == "invalid"
    assert said["bench_fails_there"] == (
        "incomparable",
        "failed on the other side: AssertionError: assert False",
    )


def test_every_verb_takes_turns(pytester):
    pytest.importorskip("pytest_benchmark")
    benches = """
import pytest
from work import work

def bench_each(measure):
    run = measure.each(work, [1000 * (i + 1) for i in range(30)])
    assert len(run.outputs) == len(run.timing.rounds_seconds) == 30
def bench_stream(measure):
    measure.stream(lambda: (work(3000) for _ in range(3)))
def test_benchmark(benchmark): benchmark(work, 1000)
"""
    commit(pytester, conftest=TELLS, work=WORK, bench_a=benches)
    run(pytester, "--bench-against", "HEAD", "--bench-fail", "400%").assert_outcomes(passed=3)
    assert words(pytester) == {"bench_each": "same", "bench_stream": "same", "test_benchmark": "same"}


def test_each_side_runs_its_own_code_in_a_src_layout(pytester):
    """With the path that an editable install adds: it leads to this side's src on both."""
    package = pytester.path / "src" / "thing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("SIZE = 20_000\n")
    bench = "from thing import SIZE\nfrom work import work\ndef bench_a(measure): measure(work, SIZE)\n"
    commit(pytester, conftest=TELLS, work=WORK, bench_a=bench)
    (package / "__init__.py").write_text("SIZE = 60_000\n")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    result = run(pytester, "--bench-against", "HEAD")
    assert words(pytester) == {"bench_a": "slower"}
    result.stdout.fnmatch_lines(["*working tree differs from its commit*"])


def test_a_folder_is_compared_with(pytester):
    commit(pytester, conftest=TELLS, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    other = pytester.path.parent / f"{pytester.path.name}-other"
    git("worktree", "add", "--detach", str(other), "HEAD")
    (pytester.path / "bench_a.py").write_text("SLOWER = 3\n" + BENCHES)
    result = run(pytester, f"--bench-against={other}")
    assert words(pytester) == {"bench_a[1]": "same", "bench_a[2]": "slower"}
    result.stdout.fnmatch_lines(["*working tree differs from its commit*"])


def test_variants_of_one_code_are_compared(pytester):
    conftest = (
        TELLS
        + """
from pytest_modelbench import variant
@variant("plain")
def plain(model): return model
@variant("thrice")
def thrice(model): return model
"""
    )
    bench = """
import pytest
from work import work
@pytest.mark.variants("plain", "thrice")
def bench_a(variant, measure): measure(work, 60_000 if str(variant) == "thrice" else 20_000)
"""
    commit(pytester, conftest=conftest, work=WORK, bench_a=bench)
    result = run(pytester, "--bench-against", "variant:plain")
    assert words(pytester) == {"bench_a[thrice]": "slower"}
    result.assert_outcomes(failed=1, deselected=1)
    none = run(pytester, "--bench-against", "variant:plain", "--variant", "plain")
    assert none.ret == pytest.ExitCode.USAGE_ERROR
    none.stdout.fnmatch_lines(["*no bench runs another variant than plain; choose one with --variant*"])


def test_lanes_are_taken_from_xdist(pytester):
    pytest.importorskip("xdist")
    commit(pytester, conftest=TELLS, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    run(pytester, "--bench-against", "HEAD", "-n", "2").assert_outcomes(passed=2)
    assert set(words(pytester).values()) == {"same"}


def test_a_bench_that_passes_in_its_first_pair_only_comes_to_an_end(pytester):
    bench = """
import os
from pathlib import Path
from work import work

def bench_first_only(measure):
    Path(SEEN, str(os.getcwd() == HEAD)).mkdir()
    measure(work, 1000)
"""
    places = f"SEEN, HEAD = {str(pytester.mkdir('seen-of-all'))!r}, {str(pytester.path)!r}\n"
    commit(pytester, conftest=TELLS, work=WORK, bench_a=places + bench)
    run(pytester, "--bench-against", "HEAD", "--bench-pairs", "3", "--bench-fail", "400%")
    word, reason, _ = verdicts(pytester)["bench_first_only", "seconds"]
    assert word == "unclear"
    assert reason.startswith("open after 1 pairs; 2 pairs left out: failed in a later pair (head): FileExistsError")


def test_tests_beside_the_benches_stop_as_ever(pytester):
    failing = "def test_one():\n    assert 0\ndef test_two():\n    assert 0\n"
    commit(pytester, conftest=TELLS, work=WORK, test_b=failing, bench_a="SLOWER = 1\n" + BENCHES)
    result = run(pytester, "--bench-against", "HEAD", "-x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_benches_that_only_the_other_side_has_are_missing(pytester):
    bench = "from work import work\ndef bench_{}(measure):\n    measure(work, 1000)\n"
    both, old = bench.format("kept") + bench.format("dropped"), bench.format("old")
    commit(pytester, conftest=TELLS, work=WORK, bench_a=both, bench_gone=old, bench_other="raise OSError('broken')")
    commit(pytester, bench_a=bench.format("kept"), bench_gone=None, bench_other=None)
    result = run(pytester, "--bench-against", "HEAD~1", "--bench-fail", "400%", "-k", "not other")
    found = verdicts(pytester)
    reason = f"HEAD~1 ({git('rev-parse', '--short=7', 'HEAD~1').strip()}) has it, it is not here any more"
    assert {key: word for key, (word, _, _) in found.items()} == {
        ("bench_kept", "seconds"): "same",
        ("bench_dropped", "seconds"): "missing",
        ("bench_old", "seconds"): "missing",
    }
    assert found["bench_old", "seconds"][1] == reason
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*2 missing*"])

    run(pytester, "--bench-against", "HEAD~1", "--bench-fail", "400%", "-k", "kept")
    assert set(verdicts(pytester)) == {("bench_kept", "seconds")}, "what was not asked for is not missing"


def test_a_pair_that_dies_is_played_again_and_then_given_up(pytester):
    bench = """
import os
from pathlib import Path
from work import work

def bench_once(measure):
    if not Path(SEEN).exists():
        Path(SEEN).touch()
        os._exit(3)
    measure(work, 1000)
def bench_always(measure):
    measure(work, 1000)
    if os.getcwd() != HEAD: os._exit(3)
"""
    places = f"SEEN, HEAD = {str(pytester.path / 'seen')!r}, {str(pytester.path)!r}\n"
    commit(pytester, conftest=TELLS, work=WORK, bench_a=places + bench)
    result = run(pytester, "--bench-against", "HEAD", "--bench-fail", "400%")
    said = {name: (word, reason) for (name, _), (word, reason, _) in verdicts(pytester).items()}
    assert said["bench_once"][0] == "same"
    assert said["bench_always"] == ("invalid", "error here: base: exit status 3")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_where_both_do_not_fit_the_sides_run_one_after_the_other(pytester):
    bench = """
import os
from pathlib import Path
import pytest
from work import work

class OutOfMemoryError(RuntimeError): "torch's, by its name."

@pytest.fixture(scope="module")
def model():
    path = Path(SEEN)
    if path.exists():
        raise OutOfMemoryError("out of memory")
    path.touch()
    yield work
    path.unlink()

def bench_a(model, measure): measure(model, 1000)
"""
    commit(pytester, conftest=TELLS, work=WORK, bench_a=f"SEEN = {str(pytester.path / 'seen')!r}\n" + bench)
    result = run(pytester, "--bench-against", "HEAD", "--bench-fail", "400%")
    assert words(pytester) == {"bench_a": "same"}
    result.stdout.fnmatch_lines(["bench_a: no room for both sides at once, they ran one after the other."])


def test_a_budget_ends_what_is_open(pytester):
    commit(pytester, conftest=TELLS, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    run(pytester, "--bench-against", "HEAD", "--bench-budget", "0.1").assert_outcomes(passed=2)
    assert {(word, reason) for word, reason, _ in verdicts(pytester).values()} == {
        ("unclear", "the budget of 0.1 s ended")
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--bench-against", "mian"], "*--bench-against mian: no such git ref or folder; did you mean 'main'?*"),
        (["--bench-against", "variant:"], "*names no variant; write variant:eager"),
        (["--bench-pairs", "5"], "*--bench-pairs is of pairs: give --bench-against REF, or --bench-calibrate"),
        (["--bench-against", "main", "--bench-pairs", "2"], "*--bench-pairs 2: give at least 3*"),
        (["--bench-against", "main", "--bench-budget", "0"], "*--bench-budget 0.0: give seconds above 0"),
        (["--bench-against", "."], "*looks for its root there; write --bench-against=."),
        (["--bench-against", "main", "--bench-once"], "*--bench-once times nothing*"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_runs(pytester, arguments, line):
    commit(pytester, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


def test_a_variant_that_nothing_is_called_is_said_before_anything_runs(pytester):
    commit(pytester, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    result = pytester.runpytest_subprocess("--bench-against", "variant:eagr")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes()
    assert "unknown variant 'eagr'; did you mean 'eager'?" in result.stdout.str() + result.stderr.str()


def test_a_shallow_clone_says_what_to_fetch(pytester):
    commit(pytester, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    commit(pytester)
    git("clone", "-q", "--depth=1", f"file://{pytester.path}", "clone")
    os.chdir("clone")
    for ref, fetch in (("HEAD~1", "git fetch --unshallow"), ("stable", "git fetch --depth=1 origin stable")):
        result = pytester.runpytest_subprocess("--bench-against", ref)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*no such commit in this shallow clone; run: {fetch}*"])


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ("import nowhere", "", "*the other side (HEAD~1 (*)) cannot be collected: *No module named 'nowhere'*"),
        ("", "import nowhere", "*No module named 'nowhere'*"),
    ],
)
def test_a_side_that_does_not_import_is_named(pytester, first, second, line):
    commit(pytester, work=f"{first}\n{WORK}", bench_a="SLOWER = 1\n" + BENCHES)
    commit(pytester, work=f"{second}\n{WORK}")
    result = pytester.runpytest_subprocess("--bench-against", "HEAD~1")
    assert result.ret == (pytest.ExitCode.USAGE_ERROR if first else pytest.ExitCode.INTERRUPTED)
    result.stdout.fnmatch_lines([line])


def test_nothing_in_common_is_an_error(pytester):
    commit(pytester, work=WORK)
    commit(pytester, bench_a="SLOWER = 1\n" + BENCHES)
    result = pytester.runpytest_subprocess("--bench-against", "HEAD~1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*no bench in common, none of its files is there (bench_a.py)*"])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_it_is_ended(pytester, end):
    bench = f"""
import os, time
from pathlib import Path
def bench_a(measure):
    Path({str(pytester.path)!r}, f"seen-{{os.getpid()}}").touch()
    measure(time.sleep, 0.5)
"""
    commit(pytester, bench_a=bench)
    command = [sys.executable, "-m", "pytest", "--bench-against", "HEAD"]
    with open("said.log", "w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    deadline = time.monotonic() + 60
    while len(list(Path().glob("seen-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(end)
    assert process.wait(30) == (2 if end == signal.SIGINT else 128 + signal.SIGTERM)
    assert git("worktree", "list").count("\n") == 1
    for path in Path().glob("seen-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name.removeprefix("seen-")), 0)


def test_calibrating_says_what_this_machine_can_tell_and_keeps_it(pytester):
    commit(pytester, conftest=TELLS, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    result = run(pytester, "--bench-calibrate", "--bench-pairs", "4", "-k", "2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["modelbench  calibrate: ??????? against itself, 4 pairs", "alarms: * of 1 *"])
    (kept,) = (pytester.path / "reports/baseline").glob("calibration-*.json")
    assert [len(bench["pairs"]) for bench in json.loads(kept.read_text())["benches"].values()] == [4]
    later = run(pytester, "--bench-against", "HEAD", "--bench-fail", "400%", "-k", "2")
    later.stdout.fnmatch_lines(["Identical code would raise * alarms in a suite like this (calibrated here)."])
    kept.write_text("<<<<<<< HEAD")
    damaged = run(pytester, "--bench-against", "HEAD", "--bench-fail", "400%", "-k", "2")
    damaged.stdout.fnmatch_lines(["*is no calibration*"])
    assert verdicts(pytester), "the comparison stands"


@pytest.mark.gpu
@pytest.mark.parametrize("lanes", [[], ["-n", "2"]], ids=["one", "lanes"])
def test_both_sides_of_a_pair_run_on_one_device(pytester, lanes):
    asked = [sys.executable, "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"]
    if subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("needs a CUDA device")
    bench = f"""
import os
import pytest
import torch

pytestmark = pytest.mark.devices("cuda")

@pytest.mark.parametrize("n", [1, 3])
def bench_product(n, device, measure):
    x = torch.randn(2048, 2048, device=device.torch_name)
    def product():
        for _ in range(n * SLOWER if n == 3 else n):
            y = x @ x
        return y
    measure(product)
    with open({str(pytester.path / "seen")!r}, "a") as file:
        print(os.getcwd() == {str(pytester.path)!r}, n, device.uuid, torch.cuda.current_device(), file=file)
"""
    commit(pytester, conftest=TELLS, bench_a="SLOWER = 1\n" + bench)
    commit(pytester, bench_a="SLOWER = 3\n" + bench)
    run(pytester, "--bench-against", "HEAD~1", *lanes)
    assert words(pytester) == {"bench_product[1]": "same", "bench_product[3]": "slower"}
    lines = [line.split() for line in (pytester.path / "seen").read_text().splitlines()]
    assert {head for head, *_ in lines} == {"True", "False"}
    for n in ("1", "3"):
        of_head = [uuid for head, number, uuid, _ in lines if (head, number) == ("True", n)]
        of_base = [uuid for head, number, uuid, _ in lines if (head, number) == ("False", n)]
        assert of_head == of_base
