"""`modelbench COMMAND`: list, show, report, copy."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from records import FULL, ended, timed

from pytest_modelbench.__main__ import COMMANDS, main
from pytest_modelbench.record import from_dict
from pytest_modelbench.stores.parquet import Parquet
from pytest_modelbench.verdict import Verdict, Verdicts

LATER = "2026-02-01T10:00:00Z"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Two sessions in the usual place: s1 with a passed and a failed bench; FULL's, a minute later."""
    monkeypatch.chdir(tmp_path)
    Parquet("reports/data").append([timed(variant="eager"), ended("failed", "assert 1 == 2", variant="onnx"), FULL])
    return tmp_path / "reports/data"


def said(capsys, *arguments):
    status = main(arguments)
    out, err = capsys.readouterr()
    assert status == 0, err
    return out.splitlines()


def refused(capsys, *arguments):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    return err


# -- list


def test_list_has_a_line_a_record_the_newest_last(store, capsys):
    head, first, second, third = said(capsys, "list")
    assert head.split() == ["record", "started,", "UTC", "bench", "outcome", "median", "tokens/s", "caveats"]
    assert first.startswith(timed(variant="eager").record_id[:8])
    assert "benches/bench_x.py::bench_x[variant=eager]" in first
    assert "failed" in second
    assert "200 ms" in third
    assert third.endswith("recompiled")


@pytest.mark.parametrize(
    ("filters", "number"),
    [
        (["--where", "variant=eager"], 2),
        (["--where", "variant=eager", "--where", "outcome=passed", "--where", "bench=*bench_x"], 1),
        (["--where", "n=8"], 1),
        (["--where", "axis_n=8"], 1),
        (["--where", "model=llm"], 1),
        (["--where", "dirty=true"], 3),
        (["--where", "model="], 2),
        (["--since", "2026-01-31T10:01"], 1),
        (["--last", "2"], 2),
    ],
)
def test_filters(store, capsys, filters, number):
    lines = [line for line in said(capsys, "list", *filters)[1:] if "older ones" not in line]
    assert len(lines) == number


def test_what_matches_nothing_is_said(store, capsys):
    assert said(capsys, "list", "--since", LATER) == ["no Records match"]


def test_list_of_sessions(store, capsys):
    head, first, second = said(capsys, "list", "--sessions")
    assert head.split() == ["session", "started,", "UTC", "commit", "branch", "benches", "outcomes"]
    assert first.split()[:2] == ["s1", "2026-01-31"]
    assert first.endswith("1 passed, 1 failed")
    assert "3f9c1de+" in second


def test_names_cannot_move_the_cursor(tmp_path, capsys):
    Parquet(tmp_path).append([timed(variant="\x1b[2J\u202e")])
    text = "\n".join(said(capsys, "list", str(tmp_path)))
    assert "\x1b" not in text
    assert "\\x1b[2J\\u202e" in text


def test_a_filter_that_names_no_column_says_the_near_one(store, capsys):
    assert "unknown column 'varient' in --where; did you mean 'variant'?" in refused(
        capsys, "list", "--where", "varient=eager"
    )
    assert "is not COLUMN=VALUE" in refused(capsys, "list", "--where", "variant")


# -- show


def test_show_says_all_of_a_record(store, capsys):
    text = "\n".join(said(capsys, "show", FULL.record_id[:8]))
    for part in (FULL.key, "median", "200 ms", "contains", "0.750", "recompiled (1 of 3 rounds)", "a note", "3f9c1de"):
        assert part in text
    assert text.endswith(f"Repeat it: pytest '{FULL.nodeid}'")


def test_show_by_key_is_of_the_last_session(store, capsys):
    Parquet(store).append([replace(timed(variant="eager", seconds=0.5), session="s9", started_utc=LATER)])
    text = "\n".join(said(capsys, "show", "benches/bench_x.py::bench_x[variant=eager]"))
    assert "500 ms" in text


def test_show_as_json_is_the_whole_record(store, capsys):
    assert from_dict(json.loads("\n".join(said(capsys, "show", FULL.record_id, "--json")))) == FULL


def test_show_of_what_is_not_there(store, capsys):
    assert "no stored Record is called 'zzz'" in refused(capsys, "show", "zzz")
    assert "3 Records begin with ''" in refused(capsys, "show", "")


# -- report


def test_report_is_of_the_last_session(store, capsys):
    assert said(capsys, "report", "--to", "json:out/a.json") == ["out/a.json"]
    (bench,) = json.loads((store.parents[1] / "out/a.json").read_text())["benches"]
    assert bench["session"] == FULL.session


def test_report_of_a_session_by_the_beginning_of_its_name(store, capsys):
    said(capsys, "report", "--session", "s1", "--to", "json:a.json", "--to", "csv:a.csv")
    assert len(json.loads((store.parents[1] / "a.json").read_text())["benches"]) == 2
    assert "no stored session is called 'x'; the last ones are s1, 20260131-abc" in refused(
        capsys, "report", "--session", "x"
    )


def test_report_is_the_page_unless_told(store, capsys):
    assert said(capsys, "report") == ["reports/modelbench.html"]
    assert "bench_generate" in (store.parent / "modelbench.html").read_text()


def test_report_of_an_unknown_kind_reads_nothing(store, capsys):
    assert "unknown report 'cvs' in --to; did you mean 'csv'?" in refused(capsys, "report", "--to", "cvs:a")


def test_the_schema_is_printed(capsys):
    assert json.loads("\n".join(said(capsys, "report", "--json-schema")))["title"].startswith("modelbench-report")


# -- copy


def test_copy_is_whole_and_can_be_repeated(store, capsys, tmp_path):
    for _ in range(2):
        assert said(capsys, "copy", str(store), "parquet:else/where") == [
            f"3 Records of 2 sessions of {store} are in parquet:else/where"
        ]
    assert list(Parquet("else/where").records()) == list(Parquet(store).records())


def test_what_the_gate_said_is_copied_too(store, capsys):
    slower = Verdict(FULL.key, FULL.nodeid, "seconds", "slower", change=0.1, failing=True)
    said_of = Verdicts((slower,), "main", "h", "stored")
    Parquet(store).append_verdicts(FULL.session, said_of)
    said(capsys, "copy", str(store), "other")
    assert Parquet("other").verdicts(FULL.session) == said_of
    assert Parquet("other").verdicts("s1") is None


def test_copy_of_one_session(store, capsys):
    said(capsys, "copy", str(store), "other", "--session", "2026")
    assert list(Parquet("other").records()) == [FULL]


def test_a_store_is_not_copied_onto_itself(store, capsys):
    for same in ("parquet:reports/data", str(store), "./reports/../reports/data"):
        assert "are one place" in refused(capsys, "copy", "reports/data", same)


# -- all of them


def test_a_store_is_found_from_a_folder_below(store, capsys, monkeypatch):
    below = store.parents[1] / "benches"
    below.mkdir()
    monkeypatch.chdir(below)
    assert len(said(capsys, "list")) == 4


@pytest.mark.parametrize("command", [["list"], ["report"], ["show", "a"], ["copy", "nowhere", "b"]])
def test_a_store_that_is_not_there_is_named(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert "holds no Records: there is no such folder" in refused(capsys, *command)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(store, capsys):
    file = next((store / "records").glob("*.parquet"))
    file.write_bytes(b"not a Parquet file")
    assert str(file.relative_to(store.parents[1])) in refused(capsys, "list")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_it_is_for_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"\n  modelbench {command}" in out
    assert max(map(len, out.splitlines())) <= 120


def test_no_command_is_answered_with_all_of_them(capsys):
    assert main([]) == 2
    out = capsys.readouterr().out
    assert all(f"{name} " in out and text in out for name, text in COMMANDS.items())


def test_a_reader_that_leaves_early_is_no_error(store):
    ran = subprocess.run(
        f"{sys.executable} -m pytest_modelbench list | head -1",
        shell=True, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert ran.stdout.startswith("record")
    assert not ran.stderr


def test_what_is_printed_is_ascii_where_utf8_is_not_spoken(store):
    Parquet(store).append([replace(timed(seconds=4.2e-6, variant="naïve"), session="s7", started_utc=LATER)])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest_modelbench", "list", "--last", "1"],
        capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert b"na\\xefve" in ran.stdout
    assert b"4.20 us" in ran.stdout
