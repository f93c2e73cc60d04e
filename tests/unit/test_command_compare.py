"""`modelbench compare` and `modelbench history`: verdicts and trends of what is stored, without running anything."""

import subprocess
from dataclasses import replace

import pytest
from records import ENVIRONMENT, timed

from pytest_modelbench.__main__ import main
from pytest_modelbench.record import Score
from pytest_modelbench.stores.parquet import Parquet

STEADY = (0.100, 0.101, 0.099, 0.1005, 0.0995, 0.1)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fill(place, lengths, first=0, commits=(), **axes):
    store = Parquet(place)
    for number, length in enumerate(lengths, first):
        environment = ENVIRONMENT | {"git": {"commit": commits[number]}} if commits else ENVIRONMENT
        record = replace(
            timed(seconds=length, **axes), session=f"s{number:02d}", environment=environment,
            started_utc=f"2026-01-{number + 1:02d}T10:00:00Z",
            scores={"accuracy": Score(0.5, "ratio", "higher", (1.0, 0.0) * 20)},
        )  # fmt: skip
        store.append([record])
    return store


def test_two_stores_are_compared_and_what_is_slower_is_status_one(capsys):
    fill("a", STEADY)
    fill("b", [0.2], first=20)
    assert main(["compare", "a", "b"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" against a: 1 slower")
    assert lines[2].split()[:2] == ["slower", "x[]"]
    assert "same    1" in "\n".join(lines)  # the score
    assert main(["compare", "a", "b", "--fail", "200%"]) == 0
    fill("c", [0.1], first=20)
    assert main(["compare", "a", "c"]) == 0


def test_a_file_of_records_is_a_place(capsys):
    fill("a", STEADY)
    fill("b", [0.2], first=20)
    (file,) = Parquet("b").place.glob("records/*.parquet")
    assert main(["compare", "a", str(file)]) == 1
    assert main(["compare", str(file), "a"]) == 0
    assert "one stored session says nothing of how sessions differ" in capsys.readouterr().out


def test_a_session_is_not_its_own_baseline(capsys):
    fill("a", [*STEADY, 0.2])
    assert main(["compare", "a", "a"]) == 1
    assert " 6  " in capsys.readouterr().out
    assert main(["compare", "a", "a", "--session", "s02"]) == 0
    assert main(["compare", "a", "a", "--session", "nobody"]) == 2
    assert "no stored session is called 'nobody'" in capsys.readouterr().err


def test_what_is_not_there_is_one_line_and_status_two(capsys):
    fill("a", STEADY)
    for a, b, said in (
        ("nowhere", "a", "nowhere holds no Records"),
        ("a", "nowhere", "nowhere holds no Records"),
        ("git:x", "a", "git:x: "),
        ("nosuch:x", "a", "unknown store 'nosuch'"),
    ):
        assert main(["compare", a, b]) == 2
        assert said in capsys.readouterr().err
    assert main(["compare", "a", "a", "--fail", "fast"]) == 2


def test_no_bench_in_common_is_no_comparison(capsys):
    fill("a", STEADY, n="1")
    fill("b", [0.1], first=20, n="2")
    assert main(["compare", "a", "b"]) == 2
    assert "a and b have no bench in common: benches/bench_x.py::bench_x[n=1] and " in capsys.readouterr().err


def git(*arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_records_of_two_commits(capsys):
    git("init", "-q", "-b", "main")
    fill("reports/baseline", STEADY)
    (Parquet("reports/baseline").place / ".gitignore").write_text("")
    git("add", "-A")
    git("commit", "-qm", "a baseline")
    git("tag", "v1")
    fill("reports/baseline", [0.2], first=20)
    git("add", "-A")
    git("commit", "-qm", "a slower one")
    assert main(["compare", "git:v1", "git:main"]) == 1
    assert " against git:v1: 1 slower" in capsys.readouterr().out


def test_a_history_shows_where_the_level_changed(capsys):
    fill("reports/data", [*STEADY, 0.12, 0.121, 0.119, 0.1202])
    assert main(["history", "bench_x"]) == 0
    out = capsys.readouterr().out
    assert "10 sessions" in out
    assert "<- +20.1 %" in next(line for line in out.splitlines() if "2026-01-07" in line)
    assert "changed by +20.1 % (100 ms -> 120 ms) at 2026-01-07, in 3f9c1de..3f9c1de" in out
    assert "no creep: the repository has no tag" in out


def test_creep_is_since_the_last_tag(capsys):
    git("init", "-q", "-b", "main")
    commits = []
    for number in range(12):
        git("commit", "--allow-empty", "-qm", f"commit {number}")
        commits.append(git("rev-parse", "HEAD"))
        if number == 7:
            git("tag", "v1.2")
    slower = [0.1 * 1.04] * 4
    fill("reports/data", [0.1, 0.1005, 0.0995, 0.1, 0.1002, 0.0998, 0.1, 0.1, *slower], commits=commits)
    assert main(["history", "bench_x"]) == 0
    out = capsys.readouterr().out
    assert "since v1.2: +4.0 % (95 % CI +" in out
    assert "8 sessions then, the median of 3 now)" in out


def test_machines_are_not_joined(capsys):
    fill("reports/data", STEADY)
    other = ENVIRONMENT | {"fingerprint": "another"}
    Parquet("reports/data").append(
        [replace(timed(seconds=0.3), environment=other, session="s0x", started_utc="2025-12-01T10:00:00Z")]
    )
    assert main(["history", "*x[[]]"]) == 0
    out = capsys.readouterr().out
    assert "6 sessions of 7, one machine" in out
    assert "300 ms" not in out
    assert main(["history", "bench_x", "--fingerprint", "anot"]) == 0
    out = capsys.readouterr().out
    assert "300 ms" in out
    assert "under 5 sessions: no change can be told" in out


def test_a_bench_that_nobody_stored(capsys):
    fill("reports/data", STEADY)
    assert main(["history", "nobody"]) == 2
    assert main(["history", "bench_x", "--last", "0"]) == 2
    assert main(["history", "bench_x", "--fingerprint", "zz"]) == 2
    err = capsys.readouterr().err
    assert "no stored bench is called 'nobody'" in err
    assert "--fingerprint zz: " in err
