"""`modelbench bisect`: the commit that made a bench slower, among some that did not and one that does not import."""

import os
import subprocess
import sys

import pytest
from test_against import BENCHES, WORK, commit, git, own_place  # noqa: F401  its place is this test's too


def bisect(*arguments):
    command = [sys.executable, "-m", "pytest_modelbench", "bisect", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_the_commit_is_found_and_the_checkout_left_alone(pytester):
    commit(pytester, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    good = git("rev-parse", "HEAD").strip()
    commit(pytester, other="")
    commit(pytester, work="import nowhere\n" + WORK)
    commit(pytester, work=WORK)
    commit(pytester, bench_a="SLOWER = 3\n" + BENCHES)
    slower = git("rev-parse", "--short", "HEAD").strip()
    commit(pytester, other="1")
    ran = bisect(good, "HEAD", "--limit", "50%", "--", "bench_a.py", "-k", "2", "--bench-max-seconds", "0.1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"first bad commit: {slower}" in ran.stdout
    assert "bench_a::bench_a[2]: +" in ran.stdout
    assert git("status", "--porcelain", "--untracked-files=no") == ""
    assert git("worktree", "list").count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["HEAD", "nowhere"], "--bench-against nowhere: no such git ref or folder"),
        (["HEAD", "variant:eager"], "bisect takes commits"),
        (["HEAD", "HEAD", "--limit", "much"], "'much' is no limit"),
    ],
)
def test_what_cannot_be_meant(pytester, arguments, said):
    commit(pytester, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    ran = bisect(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_ends_that_do_not_differ_leave_nothing_to_find(pytester):
    commit(pytester, work=WORK, bench_a="SLOWER = 1\n" + BENCHES)
    ran = bisect("HEAD", "HEAD", "--limit", "100%", "--", "-k", "1", "--bench-max-seconds", "0.1")
    assert ran.returncode == 2
    assert "is not slower than HEAD" in ran.stderr
