"""The journal survives its process, and is left alone while that lives."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from records import ENVIRONMENT, FULL, ended, timed

from pytest_modelbench.errors import StoreError
from pytest_modelbench.journal import Journal, discard, recover

DIES = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from records import FULL, ended, timed
from pytest_modelbench.journal import Journal
journal = Journal(Path(sys.argv[2]), "dead")
for record in (FULL, timed(variant="eager"), ended("oom", "too large")):
    journal.append(record)
if sys.argv[3] == "wait":
    print("ready", flush=True)
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""
RECORDS = [FULL, timed(variant="eager"), ended("oom", "too large")]


def process(folder: Path, then: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DIES, str(Path(__file__).parent), str(folder), then]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def said() -> list[str]:
    return []


def dead_journal(folder: Path, records=RECORDS) -> Path:
    """A journal as a killed process leaves it."""
    journal = Journal(folder, "dead")
    for record in records:
        journal.append(record)
    journal.close(keep=True)
    return journal.path


def test_records_of_a_killed_process_are_recovered(tmp_path, said):
    with process(tmp_path, "die") as dying:
        assert dying.wait(30) == -signal.SIGKILL
    assert recover(tmp_path, said.append) == [("dead", RECORDS)]
    discard(tmp_path, "dead")
    assert recover(tmp_path, said.append) == []
    assert sorted(os.listdir(tmp_path)) == [".gitignore"]
    assert said == []


def test_the_journal_of_a_living_process_is_left_alone(tmp_path, said):
    with process(tmp_path, "wait") as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "ready\n"
        assert recover(tmp_path, said.append) == []
        living.communicate("")
    assert [session for session, _ in recover(tmp_path, said.append)] == ["dead"]
    discard(tmp_path, "dead")


def test_what_is_recovered_but_not_discarded_stays(tmp_path, said):
    path = dead_journal(tmp_path)
    assert recover(tmp_path, said.append)
    assert path.exists()
    discard(tmp_path, "dead")
    assert not path.exists()


def test_closing_forgets_the_session(tmp_path, said):
    journal = Journal(tmp_path, "s1")
    journal.append(FULL)
    journal.close()
    assert sorted(os.listdir(tmp_path)) == [".gitignore"]
    assert recover(tmp_path, said.append) == []


def test_a_torn_last_line_is_dropped_and_said(tmp_path, said):
    path = dead_journal(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    assert recover(tmp_path, said.append) == [("dead", RECORDS[:-1])]
    assert len(said) == 1
    assert str(path) in said[0]
    assert "dropped" in said[0]
    discard(tmp_path, "dead")


@pytest.mark.parametrize(
    "line", [b"\xff\xfe\n", b"[]\n", b'{"record": {"environment": 7}}\n', b'{"record": 3}\n', b"\n"]
)
def test_a_broken_line_costs_that_line_only(tmp_path, said, line):
    path = dead_journal(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], line, *lines[3:]]))
    assert recover(tmp_path, said.append) == [("dead", RECORDS)]
    assert len(said) == 1
    discard(tmp_path, "dead")


def test_a_newer_journal_is_left_alone_and_said(tmp_path, said):
    path = dead_journal(tmp_path)
    path.write_text(path.read_text().replace('{"schema": 1}', '{"schema": 99}'))
    assert recover(tmp_path, said.append) == []
    assert path.exists()
    assert "upgrade" in said[0]


def test_an_empty_journal_goes_away(tmp_path, said):
    path = dead_journal(tmp_path, [])
    assert recover(tmp_path, said.append) == []
    assert not path.exists()


def test_no_folder_is_nothing_to_recover_and_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pytest_modelbench.journal import recover;"
        f"assert recover(Path({str(tmp_path / 'none')!r})) == [];"
        "assert not {'pyarrow', 'filelock', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_environment_is_written_once_for_each_content(tmp_path):
    journal = Journal(tmp_path, "s1")
    large = ENVIRONMENT | {"packages": {f"package-{i}": "1.0" for i in range(1000)}}
    for i in range(50):
        journal.append(replace(timed(n=str(i)), environment=json.loads(json.dumps(large))))
    journal.append(replace(timed(n="other"), environment={}))
    assert journal.path.stat().st_size < 120_000
    journal.close(keep=True)
    [(_, records)] = recover(tmp_path)
    assert records[0].environment == records[49].environment == large
    assert records[50].environment == {}
    discard(tmp_path, "s1")


def test_two_processes_cannot_share_a_session(tmp_path):
    with process(tmp_path, "wait") as living:
        assert living.stdout is not None
        living.stdout.readline()
        with pytest.raises(StoreError, match="belongs to a running session"):
            Journal(tmp_path, "dead")
        living.communicate("")


def test_a_place_that_is_a_file_is_said_in_one_line(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"cannot write the journal to .*; a file stands") as caught:
        Journal(tmp_path / "data", "s1")
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_said_in_one_line(tmp_path, monkeypatch):
    journal = Journal(tmp_path, "s1")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device; free some space"):
        journal.append(FULL)
    journal.close()
