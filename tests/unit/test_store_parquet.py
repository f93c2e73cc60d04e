"""The Parquet store: whole Records back, columns for DuckDB, and clear errors."""

import os
from dataclasses import replace

import pytest
from records import FULL, ended, timed

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import StoreError
from pytest_modelbench.record import Record, Score
from pytest_modelbench.stores.parquet import Parquet, reading
from pytest_modelbench.summary import row


@pytest.fixture
def store(tmp_path):
    return Parquet(tmp_path / "data")


def files(store: Parquet, table: str) -> list[str]:
    return sorted(path.name for path in (store.place / table).iterdir())


STRANGE = [
    FULL,
    timed(),
    ended("skipped", "no cuda"),
    Record("b", {}, "n", "failed", reason="surrogate \udc80 and \U0001f600", session="s1"),
    replace(timed(n="nan"), scores={"x": Score(float("inf"), "", "lower")}, caveats=()),
    replace(timed(n="environment"), environment={}),
    replace(FULL, session="s1", axes={"n": "no gaps"}, tokens=replace(FULL.tokens, itl_seconds=((), (), ()))),
]


def test_records_are_read_back_whole(store):
    store.append(STRANGE)
    found = list(store.records())
    assert {record.record_id: record for record in found} == {record.record_id: record for record in STRANGE}
    assert len(found) == len(STRANGE)


def test_the_catalog_finds_the_store(tmp_path):
    store = Catalog().find("store", "parquet")(tmp_path)
    store.append([FULL])
    assert list(store.records()) == [FULL]


def test_one_file_of_each_table_a_session_sorted_by_time(store):
    store.append([FULL, timed()])
    for table in ("records", "rounds", "samples"):
        assert files(store, table) == ["20260131T100000Z-s1.parquet", "20260131T100200Z-20260131abc.parquet"]


def test_git_ignores_what_is_written(store):
    store.append([FULL])
    assert (store.place / ".gitignore").read_text() == "*\n"


def test_appending_again_stores_nothing_twice(store):
    store.append([FULL])
    store.append([FULL])
    assert list(store.records()) == [FULL]


def test_a_session_may_come_in_parts(store):
    parts = [timed(n=str(i)) for i in range(4)]
    store.append(parts[:2])
    store.append(parts[1:3])
    store.append(parts[3:])
    assert list(store.records()) == parts
    assert len(files(store, "records")) == 3


def test_no_records_write_no_file(store):
    store.append([])
    assert list(store.records()) == []


def test_an_absent_place_has_no_records(tmp_path):
    assert list(Parquet(tmp_path / "none").records()) == []


@pytest.fixture
def mixed(store):
    """Two sessions whose scores, counts and axes have nothing in common."""
    store.append([FULL, ended("oom", "too large")])
    store.append([replace(timed(variant="onnx", depth="3"), session="s2", scores={"bleu": Score(0.3, "", "higher")})])
    store.append([replace(ended("failed"), session="s3")])
    return f"{store.place}/records/*.parquet"


def test_duckdb_selects_plain_columns_over_unlike_sessions(mixed):
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(f"select bench, variant, median_seconds from '{mixed}'").fetchall()
    assert (FULL.bench, "eager", 0.2) in rows
    assert len(rows) == 4
    assert sorted(duckdb.sql(f"select outcome from '{mixed}'").fetchall()) == [
        ("failed",),
        ("oom",),
        ("passed",),
        ("passed",),
    ]


def test_duckdb_selects_scores_by_name(mixed):
    duckdb = pytest.importorskip("duckdb")
    query = f"select score_contains, score_bleu, axis_depth, dirty from read_parquet('{mixed}', union_by_name=true)"
    rows = duckdb.sql(query).fetchall()
    assert (0.75, None, None, True) in rows
    assert (None, 0.3, "3", True) in rows


def test_duckdb_reads_every_column_with_its_type(mixed):
    duckdb = pytest.importorskip("duckdb")
    described = duckdb.sql(f"describe select * from read_parquet('{mixed}', union_by_name=true)").fetchall()
    types = {name: kind for name, kind, *_ in described}
    assert types["bench"] == types["variant"] == types["gpu_name"] == "VARCHAR"
    assert types["median_seconds"] == types["device_median_seconds"] == types["score_bleu"] == "DOUBLE"
    assert types["rounds"] == types["peak_memory_bytes"] == "BIGINT"
    assert types["dirty"] == "BOOLEAN"


def test_duckdb_reads_raw_rounds_and_samples(store):
    duckdb = pytest.importorskip("duckdb")
    store.append([FULL])
    rounds = duckdb.sql(
        f"select kind, round, index, seconds, started_ns from '{store.place}/rounds/*.parquet'"
    ).fetchall()
    assert ("round", 1, 0, 0.30000000000000004, 1100000000) in rounds
    assert ("itl", 0, 1, 0.02, None) in rounds
    assert ("itl", 2, 0, 0.03, None) in rounds
    assert {kind for kind, *_ in rounds} == {"round", "device_round", "ttft", "ttft_device", "itl", "e2el"}
    samples = duckdb.sql(f"select bench, sampler, name, unit, at_ns, value from '{store.place}/samples/*.parquet'")
    assert samples.fetchall() == [
        (FULL.bench, "process", "rss", "bytes", 10**9, 1.0),
        (FULL.bench, "process", "rss", "bytes", 2 * 10**9, 2.0),
    ]


def test_the_schema_version_is_in_the_metadata(store):
    import pyarrow.parquet as pq

    store.append([FULL])
    for table in ("records", "rounds", "samples"):
        metadata = pq.read_schema(next((store.place / table).iterdir())).metadata
        assert metadata[b"modelbench.schema"] == b"1"


def one_line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_place_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError) as caught:
        Parquet(tmp_path / "data").append([FULL])
    assert f"cannot write Records to {tmp_path / 'data'}" in one_line(caught)
    assert "a file stands where a folder is needed" in one_line(caught)


@pytest.mark.parametrize(
    ("number", "says"), [(28, "free some space"), (30, "make it writable"), (13, "make it writable")]
)
def test_a_full_or_read_only_place_leaves_no_file(store, monkeypatch, number, says):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=says) as caught:
        store.append([FULL])
    one_line(caught)
    assert [path.name for path in store.place.rglob("*") if path.is_file()] == [".gitignore"]


def test_a_corrupt_file_is_named(store):
    store.append([FULL])
    path = next((store.place / "records").iterdir())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError) as caught:
        list(store.records())
    assert f"cannot read {path}" in one_line(caught)


def test_a_parquet_file_of_somebody_else_is_named(store):
    import pyarrow as pa
    import pyarrow.parquet as pq

    store.append([FULL])
    path = store.place / "records" / "0.parquet"
    for table in ("records", "rounds", "samples"):
        pq.write_table(pa.table({"a": [1]}), store.place / table / "0.parquet")
    with pytest.raises(StoreError) as caught:
        list(store.records())
    assert str(path) in one_line(caught)


def test_missing_rounds_are_named(store):
    store.append([FULL])
    path = next((store.place / "rounds").iterdir())
    path.unlink()
    with pytest.raises(StoreError) as caught:
        list(store.records())
    assert str(path) in one_line(caught)


def test_a_newer_file_is_named_with_the_remedy(store, monkeypatch):
    monkeypatch.setattr("pytest_modelbench.stores.parquet.layout.SCHEMA", 99)
    store.append([FULL])
    monkeypatch.undo()
    with pytest.raises(StoreError, match="schema 99 is newer than 1; upgrade") as caught:
        list(store.records())
    assert "20260131T100200Z-20260131abc.parquet" in one_line(caught)


def test_samples_say_the_phase_they_were_taken_in(store):
    duckdb = pytest.importorskip("duckdb")
    store.append([FULL, timed()])
    table = f"read_parquet('{store.place}/samples/*.parquet', union_by_name=true)"
    # 1 s is the start of the first round's prefill, 2 s lies after every round
    assert duckdb.sql(f"select at_ns, value, phase from {table} order by at_ns").fetchall() == [
        (10**9, 1.0, "prefill"),
        (2 * 10**9, 2.0, None),
    ]


def session(number: int, *records: Record) -> list[Record]:
    when = {"session": f"s{number}", "started_utc": f"2026-01-{number:02d}T10:00:00Z"}
    return [replace(record, **when) for record in records]


@pytest.fixture
def nine(store):
    """Nine sessions: the bench n=1 in each, n=2 in the odd ones, n=3 in the first."""
    for number in range(1, 10):
        benches = [timed(n="1")] + ([timed(n="2")] if number % 2 else []) + ([timed(n="3")] if number == 1 else [])
        store.append(session(number, *benches))
    return store


def test_rows_are_the_flat_columns_of_every_record(nine):
    nine.append(session(10, FULL))
    rows = nine.rows()
    assert [found["session"] for found in rows] == sorted(
        (found["session"] for found in rows), key=lambda s: int(s[1:])
    )
    assert len(rows) == 16
    assert rows[-1] == row(session(10, FULL)[0])


def test_rows_of_some_benches_come_from_the_newest_files(nine):
    one, two = timed(n="1").key, timed(n="2").key
    rows = nine.rows(keys=[one, two], columns=["session", "median_seconds", "score_x"], enough=2)
    assert [(found["key"], found["session"]) for found in rows] == [
        (one, "s7"), (two, "s7"), (one, "s8"), (one, "s9"), (two, "s9"),
    ]  # fmt: skip
    assert rows[0] == {"key": one, "session": "s7", "median_seconds": 0.1, "score_x": None}


def test_a_bench_that_nobody_has_is_not_looked_for_in_every_file(nine, monkeypatch):
    opened = []
    read = reading.read
    monkeypatch.setattr(reading, "read", lambda path, names: opened.append(path) or read(path, names))
    assert nine.rows(keys=["nobody"], enough=2, most=4) == []
    assert len(opened) == 4


def test_rows_name_a_damaged_file(nine):
    (nine.place / "records" / "20260131T000000Z-x.parquet").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="20260131T000000Z-x"):
        nine.rows(enough=1, keys=[timed(n="1").key])
