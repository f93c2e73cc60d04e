"""Badges."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from records import FULL, ended, timed

from pytest_modelbench.errors import UnknownName, UsageError
from pytest_modelbench.record import Memory
from pytest_modelbench.reports.badge import badge
from pytest_modelbench.results import Results
from pytest_modelbench.verdict import Verdict, Verdicts


def said(results, place):
    """Label and message, which must be the same in both forms."""
    file, _, query = place.partition("?")
    shields = json.loads(badge(results, f"{file}.json?{query}").read_text())
    picture = ElementTree.fromstring(badge(results, f"{file}.svg?{query}").read_text())
    title = picture.find("{http://www.w3.org/2000/svg}title").text
    assert title == f"{shields['label']}: {shields['message']}"
    assert shields["schemaVersion"] == 1
    assert len(shields["color"]) == 6
    return title


def judged(*words, **numbers):
    verdicts = tuple(
        Verdict(
            f"key{i}",
            "",
            "seconds",
            word,
            change=0.01,
            low=-0.01,
            failing=word == "slower",
            **{"high": 0.024} | numbers,
        )
        for i, word in enumerate(words)
    )
    return Results([timed()], Verdicts(verdicts, "main", "head", "paired"))


def test_one_thing_a_badge(tmp_path):
    results = Results([FULL])
    assert said(results, f"{tmp_path}/tokens") == "generate: 30.0 tokens/s"
    assert said(results, f"{tmp_path}/ttft") == "ttft: 50.0 ms"
    assert said(results, f"{tmp_path}/memory") == "peak memory: 1.00 GiB"
    assert said(results, f"{tmp_path}/score") == "capitals: 0.750"
    assert said(results, f"{tmp_path}/any?show=ttft&label=first token") == "first token: 50.0 ms"


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (judged("slower", "same", "slower"), "2 slower"),
        (judged("same", "faster"), "none slower by over 2.4 %"),
        (judged("same", "unclear"), "1 unclear"),
        (judged("new", "incomparable"), "not judged"),
        (Results([timed()]), "not judged"),
        (Results([timed(), ended("failed"), ended("skipped")]), "1 failed"),
        (Results([]), "not judged"),
    ],
)
def test_the_badge_of_a_session(results, message, tmp_path):
    assert said(results, f"{tmp_path}/verdict") == f"benches: {message}"


def test_what_was_not_measured_is_no_number(tmp_path):
    for name in ("tokens", "ttft", "score"):
        assert said(Results([timed(), ended("failed")]), f"{tmp_path}/{name}").endswith(": not measured")


def test_several_benches_are_told_apart_by_the_place(tmp_path):
    fast = replace(FULL, axes=FULL.axes | {"variant": "onnx"}, memory=Memory(process_peak_bytes=2**20))
    results = Results([FULL, fast])
    with pytest.raises(UsageError, match=r"2 benches have memory: .* such as \?bench=generate&model=llm&variant=eager"):
        badge(results, f"{tmp_path}/memory.svg")
    assert (
        said(results, f"{tmp_path}/memory?variant=onnx&model=llm&n=8&bench=bench_generate") == "peak memory: 1.00 MiB"
    )
    assert not list(tmp_path.glob("memory.svg*q*"))


def test_what_cannot_be_meant(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown badge 'tokns' .*did you mean 'tokens'"):
        badge(Results([FULL]), f"{tmp_path}/tokns.svg")
    with pytest.raises(UnknownName, match=r"unknown column 'varint' .*did you mean 'variant'"):
        badge(Results([FULL]), f"{tmp_path}/ttft.svg?varint=eager")
    with pytest.raises(UsageError, match=r"\.svg or a \.json"):
        badge(Results([FULL]), f"{tmp_path}/ttft.png")
    with pytest.raises(UsageError, match="is not column=value"):
        badge(Results([FULL]), f"{tmp_path}/ttft.svg?variant")
    several = replace(FULL, scores=FULL.scores | {"exact": FULL.scores["contains"]})
    with pytest.raises(UsageError, match=r"several scores \(contains, exact\)"):
        badge(Results([several]), f"{tmp_path}/score.svg")
    assert not list(tmp_path.iterdir())


def test_a_name_is_text_in_a_badge(tmp_path):
    record = replace(FULL, bench="b.py::bench_<script>alert(1)</script>&\"'\u202e")
    assert said(Results([record]), f"{tmp_path}/tokens") == "<script>alert(1)</script>&\"'\\u202e: 30.0 tokens/s"


def test_a_name_decides_no_file(tmp_path):
    record = replace(FULL, bench="../../evil.py::bench_x", axes={"model": "../../../evil"})
    badge(Results([record]), tmp_path / "in" / "tokens.svg")
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "tokens.svg"]
