"""A store whose sessions were put together is the same store."""

from dataclasses import replace

import pytest
from filelock import FileLock
from records import FULL, timed

from pytest_modelbench.__main__ import main
from pytest_modelbench.errors import StoreError
from pytest_modelbench.stores.parquet import Parquet, compaction
from pytest_modelbench.verdict import Verdict, Verdicts

SAID = Verdicts((Verdict("k", "n", "seconds", "same", change=0.0),), "main", "head", "stored")


def session(day, month="01", bench="b.py::bench_a"):
    """Records of one session: one with all there is, one plain, and of every second one another column."""
    name = f"2026{month}{day}T100000Z-abc{day}"
    started = f"2026-{month}-{day}T10:00:00.000+00:00"
    records = [FULL, timed(bench, variant="eager")]
    if int(day) % 2:
        records.append(replace(timed(bench, variant="onnx"), counts={"images": 2.0}))
    return [replace(record, session=name, started_utc=started) for record in records]


@pytest.fixture
def store(tmp_path):
    """Three sessions of January and two of February; the second has verdicts."""
    found = Parquet(tmp_path)
    for day, month in (("01", "01"), ("02", "01"), ("03", "01"), ("01", "02"), ("02", "02")):
        found.append(session(day, month))
    found.append_verdicts(session("02")[0].session, SAID)
    return found


def names(store, table="records"):
    return sorted(path.name for path in (store.place / table).glob("*.parquet"))


def test_a_month_becomes_one_file_of_each_table_and_reads_the_same(store):
    before, rows = list(store.records()), store.rows()
    assert store.compact() == 5
    again = Parquet(store.place)
    for table in ("records", "rounds", "samples"):
        assert [name[:6] for name in names(store, table)] == ["202601", "202602"]
    assert list(again.records()) == before
    assert [dict(row) for row in again.rows()] == [
        {name: row.get(name) for name in again.rows()[0]} | row for row in rows
    ]
    for record in before:
        assert record in list(again.records(record.session))
        assert again.slim({"record_id": record.record_id, "session": record.session}).scores == record.scores
    assert again.verdicts(session("02")[0].session) == SAID
    again.append_verdicts(session("03")[0].session, SAID)
    assert again.verdicts(session("03")[0].session) == SAID
    assert again.verdicts(session("01")[0].session) is None


def test_sessions_come_one_by_one_the_newest_first(store):
    before = [[row["session"] for row in rows] for rows in store.newest_first(columns=["session"])]
    store.compact()
    again = Parquet(store.place)
    assert [[row["session"] for row in rows] for rows in again.newest_first(columns=["session"])] == before
    newest = again.rows(keys=[timed("b.py::bench_a", variant="eager").key], columns=["session"], enough=2)
    assert {row["session"] for row in newest} == {"20260202T100000Z-abc02", "20260201T100000Z-abc01"}


def test_what_is_there_is_not_stored_again_and_what_is_new_joins(store):
    store.compact()
    again = Parquet(store.place)
    number = len(list(again.records()))
    again.append(session("02"))
    assert len(list(again.records())) == number
    again.append(session("20"))
    assert len(list(again.records())) == number + 2
    assert again.compact() == 2  # January's file, and the new one
    assert len(list(Parquet(store.place).records())) == number + 2
    assert len(names(store)) == 2
    assert Parquet(store.place).compact() == 0


@pytest.mark.parametrize("end", ["before records", "before files go", "while files go"])
def test_an_end_half_way_loses_and_doubles_nothing(store, monkeypatch, end):
    before = list(store.records())
    write, done = compaction.write, []

    def dies(path, *arguments, **options):
        if end == "before records" and path.parent.name == "records":
            raise KeyboardInterrupt
        write(path, *arguments, **options)
        done.append(path)

    def unlink(path, missing_ok):
        if end == "before files go" or path.parent.name == "rounds":
            raise KeyboardInterrupt
        real(path, missing_ok=missing_ok)

    real = compaction.Path.unlink
    monkeypatch.setattr(compaction, "write", dies)
    if end != "before records":
        monkeypatch.setattr(compaction.Path, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        store.compact()
    monkeypatch.undo()
    again = Parquet(store.place)
    assert list(again.records()) == before
    again.append(session("02"))
    assert list(again.records()) == before
    Parquet(store.place).compact()
    assert list(Parquet(store.place).records()) == before
    assert [len(names(store, table)) for table in ("records", "rounds", "samples")] == [2, 2, 2]


def test_a_session_of_a_compact_file_may_get_more(store):
    store.compact()
    number = len(list(store.records()))
    more = [replace(record, bench="late.py::bench_late") for record in session("02")]
    store.append(more)
    assert len(list(Parquet(store.place).records())) == number + len(more)
    assert more[0] in list(Parquet(store.place).records(more[0].session))
    store.compact()
    assert len(list(Parquet(store.place).records())) == number + len(more)


def test_two_at_once_are_one(store):
    with FileLock(store.place / ".compact.lock"), pytest.raises(StoreError, match="compacted by another process"):
        store.compact()


def test_a_damaged_file_is_named_and_nothing_goes(store):
    files = names(store)
    (store.place / "rounds" / files[1]).write_bytes(b"nothing")
    with pytest.raises(StoreError, match=files[1]):
        store.compact()
    assert names(store) == files


def test_the_command_says_what_it_saved(store, capsys):
    assert main(["compact", str(store.place)]) == 0
    assert "16 files are 7" in capsys.readouterr().out
    assert main(["compact", str(store.place)]) == 0
    assert "nothing to merge" in capsys.readouterr().out
