"""CSV and JSON."""

import csv
import io
import json
from dataclasses import replace

import jsonschema
import pytest
from records import FULL, ended, timed

from pytest_modelbench.record import Score
from pytest_modelbench.reports import table
from pytest_modelbench.results import Results
from pytest_modelbench.summary import row
from pytest_modelbench.verdict import Verdict, Verdicts

VERDICTS = Verdicts(
    (Verdict(FULL.key, FULL.nodeid, "seconds", "slower", before=0.1, after=0.2, change=1.0, pairs=3, failing=True),),
    against="main (a1b2c3d)",
    head="3f9c1de",
    how="paired",
    changed={"torch": ("2.12.1", "2.13.0")},
)


def read_csv(results, tmp_path):
    text = table.csv(results, tmp_path / "deep/er/rows.csv").read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_json(results, tmp_path):
    written = json.loads(table.json(results, tmp_path / "report.json").read_text())
    jsonschema.validate(written, table.json_schema())
    return written


def test_csv_has_a_row_a_record_and_the_columns_of_all(tmp_path):
    first, second = read_csv(Results([FULL, ended("failed", 'boom, "really"\nindeed')]), tmp_path)
    assert set(first) == {*row(FULL), *row(timed())}
    assert float(first["median_seconds"]) == row(FULL)["median_seconds"]
    assert (first["score_contains"], first["axis_n"], first["dirty"]) == ("0.75", "8", "true")
    assert second["reason"] == 'boom, "really"\nindeed'
    assert second["median_seconds"] == second["score_contains"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_name_is_a_formula_of_a_spreadsheet(start, tmp_path):
    (found,) = read_csv(Results([timed(variant=f"{start}HYPERLINK(0)")]), tmp_path)
    assert found["variant"] == f"'{start}HYPERLINK(0)"


def test_a_negative_number_stays_a_number(tmp_path):
    (found,) = read_csv(Results([replace(FULL, scores={"gain": Score(-1.5, "points", "higher")})]), tmp_path)
    assert found["score_gain"] == "-1.5"


def test_json_is_as_its_schema_says(tmp_path):
    written = read_json(Results([FULL, timed(), ended("oom", "11 GiB asked")], VERDICTS), tmp_path)
    bench = written["benches"][0]
    assert (bench["median_seconds"], bench["throughput"], bench["axes"]["n"]) == (0.2, {"tokens": 30.0}, "8")
    assert bench["scores"]["contains"]["items"] == 4
    assert bench["caveats"] == [{"kind": "recompiled", "detail": "1 of 3 rounds"}]
    assert written["verdicts"]["verdicts"][0]["word"] == "slower"
    assert written["verdicts"]["changed"] == {"torch": {"before": "2.12.1", "after": "2.13.0"}}


def test_the_schema_refuses_what_the_report_never_writes(tmp_path):
    schema = table.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    written = read_json(Results([FULL]), tmp_path)
    for key, value in (("outcome", "good"), ("median_seconds", "fast"), ("counts", {"tokens": "six"})):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**written, "benches": [{**written["benches"][0], key: value}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**written, "version": 2}, schema)


def test_a_number_that_is_none_in_json_is_null(tmp_path):
    written = read_json(Results([replace(FULL, scores={"loss": Score(float("inf"), "nats", "lower")})]), tmp_path)
    assert written["benches"][0]["scores"]["loss"]["value"] is None


def test_both_are_the_same_bytes_for_the_same_results(tmp_path):
    for kind, end in ((table.csv, "csv"), (table.json, "json")):
        one = kind(Results([FULL, timed()]), tmp_path / f"a.{end}").read_bytes()
        assert kind(Results([FULL, timed()]), tmp_path / f"b.{end}").read_bytes() == one


def test_any_name_is_written(tmp_path):
    name = "<img src=x onerror=alert(1)>\udcff\u202e../../etc"
    record = timed(model=name)
    assert read_json(Results([record]), tmp_path)["benches"][0]["model"] == name
    assert "../../etc" in read_csv(Results([record]), tmp_path)[0]["model"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "report.json"]
