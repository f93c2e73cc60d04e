"""OpenMetrics text, read by Prometheus' own parser."""

from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from records import FULL, ended, timed

from pytest_modelbench.record import Score
from pytest_modelbench.reports.openmetrics import openmetrics
from pytest_modelbench.results import Results
from pytest_modelbench.verdict import Verdict, Verdicts


def families(results, tmp_path):
    text = openmetrics(results, tmp_path / "benches.prom").read_text()
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_prometheus_reads_it(tmp_path):
    found = families(Results([FULL, ended("failed", "boom")]), tmp_path)
    (sample,) = found["modelbench_median_seconds"].samples
    assert sample.value == 0.2
    assert sample.labels == {
        "bench": FULL.bench, "model": "package:llm", "variant": "eager", "device": "cpu", "batch_size": "2",
        "axis_n": "8",
    }  # fmt: skip
    assert found["modelbench_median_seconds"].unit == "seconds"
    assert [sample.labels["outcome"] for sample in found["modelbench_passed"].samples] == ["passed", "failed"]
    assert found["modelbench_score"].samples[0].labels["metric"] == "contains"
    assert found["modelbench_throughput_per_second"].samples[0].value == 30.0
    assert found["modelbench_session"].samples[0].labels["commit"].startswith("3f9c1de")


def test_what_was_not_measured_is_not_there(tmp_path):
    found = families(Results([ended("failed", "boom")]), tmp_path)
    assert set(found) == {"modelbench_session", "modelbench_passed", "modelbench_caveats"}
    found = families(Results([replace(timed(), scores={"loss": Score(float("nan"), "nats", "lower")})]), tmp_path)
    assert "modelbench_score" not in found


def test_verdicts(tmp_path):
    verdicts = (
        Verdict(FULL.key, FULL.nodeid, "seconds", "slower", change=0.076, failing=True),
        Verdict("gone.py::bench_y[]", "", "seconds", "missing"),
    )
    found = families(Results([FULL], Verdicts(verdicts, "main", "3f9c1de", "paired")), tmp_path)
    assert [sample.value for sample in found["modelbench_change_ratio"].samples] == [0.076]
    assert [sample.labels["verdict"] for sample in found["modelbench_verdict_failing"].samples] == ["slower", "missing"]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\udcffb", "\u202eab", '"} 1\nevil 2', "../../etc"])
def test_any_name_is_one_label(name, tmp_path):
    found = families(Results([timed(model=name)]), tmp_path)
    assert "evil" not in found
    shown = name.replace("\n", "\\n").replace("\udcff", "\\udcff").replace("\u202e", "\\u202e")
    assert found["modelbench_median_seconds"].samples[0].labels["model"] == shown


def test_any_parameter_is_a_label_of_its_own(tmp_path):
    found = families(Results([timed(unit="a", bench_="b", größe="c", quantity="d")]), tmp_path)
    labels = found["modelbench_passed"].samples[0].labels
    assert {"axis_unit", "axis_bench_", "axis_gr_uf6__udf_e", "axis_quantity"} <= set(labels)


def test_a_bench_that_ran_twice_is_one_sample(tmp_path):
    found = families(Results([timed(seconds=0.1), timed(seconds=0.2)]), tmp_path)
    assert [sample.value for sample in found["modelbench_median_seconds"].samples] == [0.2]


def test_no_benches_are_an_empty_file_that_is_valid(tmp_path):
    assert families(Results([]), tmp_path) == {}
