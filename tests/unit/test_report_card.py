"""Model cards, read by huggingface_hub."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from records import FULL, ended, timed

from pytest_modelbench.errors import UsageError
from pytest_modelbench.record import DatasetFacts, ModelFacts, Score
from pytest_modelbench.reports.card import model_card
from pytest_modelbench.results import Results

ONNX = replace(FULL, axes=FULL.axes | {"variant": "onnx"}, scores={"contains": Score(0.5, "ratio", "higher")})
BOTH = Results([FULL, ONNX])

FRONT = """---
license: mit   # two spaces, and a comment
tags: [a,   b]
---
"""
THEIRS = """---
model-index:
  - name: other
    results:
      - task: {type: text-generation}
        dataset: {type: wikitext, name: WikiText}
        metrics:
          - {type: perplexity, value: 6.6}

license: mit
---
"""
BODY = "\n# A model\n\nIt *generates*.  \n\ttabbed\n"


def evaluated(file):
    """The results that huggingface_hub finds, as (dataset, metric, name, value)."""
    data = ModelCard(file.read_bytes().decode()).data
    return [(r.dataset_name, r.metric_type, r.metric_name, r.metric_value) for r in data.eval_results or []]


OURS = [
    ("capitals", "contains", "contains (eager, cpu)", 0.75),
    ("capitals", "contains", "contains (onnx, cpu)", 0.5),
]


def test_a_new_card(tmp_path):
    file = model_card(BOTH, tmp_path / "README.md")
    assert evaluated(file) == OURS
    card = ModelCard.load(file)
    assert card.data.model_name == "llm"
    result = card.data.eval_results[0]
    assert (result.dataset_type, result.task_type) == ("package:countryinfo#capitals", "other")
    assert (result.source_name, result.dataset_revision) == ("pytest-modelbench", "1.0")
    assert "# llm" in card.text
    assert ") at commit 3f9c1de00000 on a processor, 8 usable cores; python 3.11.7, torch 2.13.0.\n" in card.text
    row = next(line for line in card.text.splitlines() if "| eager |" in line)
    assert row.split(" | ")[2:] == ["200 ms", "45.0 %", "reference", "30.0 tokens/s", "50.0 ms", "1.00 GiB",
                                    "contains 0.750", "recompiled |"]  # fmt: skip


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("front", ["", FRONT, THEIRS, "---\n---\n"], ids=["none", "front", "theirs", "empty"])
@pytest.mark.parametrize("body", [BODY, BODY.rstrip(), BODY + "\n", ""], ids=["line", "no-line", "blank", "nothing"])
def test_the_rest_of_a_card_stays_byte_by_byte(front, body, line_end, tmp_path):
    file = tmp_path / "README.md"
    before = (front + body).replace("\n", line_end).encode() + b"\xff not UTF-8\n" * bool(body)
    file.write_bytes(before)
    model_card(BOTH, file)
    once = file.read_bytes()
    ours = [tuple(part.encode() for part in pair) for pair in (("# modelbench:begin", "# modelbench:end"),)]
    rest = without(without(once, *ours[0]), b"<!-- modelbench:begin -->", b"<!-- modelbench:end -->")
    assert [line for line in rest.splitlines() if line.strip(b"- ")] == [
        line for line in before.splitlines() if line.strip(b"- ")
    ]
    for part in before.split(b"---")[-1:]:
        assert part.rstrip() in once
    model_card(BOTH, file)
    assert file.read_bytes() == once


def without(content, begin, end):
    """`content` without the lines from one that holds `begin` to one that holds `end`."""
    start, stop = content.index(begin), content.index(end)
    return (
        content[: content.rindex(b"\n", 0, start) + 1 if b"\n" in content[:start] else 0]
        + content[content.index(b"\n", stop) + 1 :]
    )


def test_fewer_bits_have_a_table_of_their_own(tmp_path):
    records = [
        replace(FULL, axes=FULL.axes | {"variant": variant}, model=replace(FULL.model, weight_bytes=size))
        for variant, size in (("eager", 40), ("int8", 10))
    ]
    text = model_card(Results(records), tmp_path / "README.md").read_text()
    assert "Fewer bits a weight, generate, " in text
    assert "| variant | bits/weight | time | weights | peak memory | contains | change, 95 % CI |" in text
    assert "| int8 | 8.0 | 1.00x as fast | 4.00x less | " in text


def test_results_of_others_stay_beside_ours(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(THEIRS + BODY)
    model_card(BOTH, file)
    assert evaluated(file) == [("WikiText", "perplexity", None, 6.6), *OURS]
    assert ModelCard.load(file).data.license == "mit"


def test_a_second_run_replaces_the_first(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(FRONT + BODY)
    model_card(BOTH, file)
    file.write_text(file.read_text() + "\nmore below\n")
    model_card(Results([replace(FULL, scores={"contains": Score(0.9, "ratio", "higher")})]), file)
    assert evaluated(file) == [("capitals", "contains", "contains (eager, cpu)", 0.9)]
    assert file.read_text().endswith("<!-- modelbench:end -->\n\nmore below\n")
    assert "onnx" not in file.read_text()


def test_scores_that_went_leave_no_metadata(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(FRONT + BODY)
    model_card(BOTH, file)
    model_card(Results([replace(FULL, scores={})]), file)
    assert file.read_text().startswith(FRONT + BODY)


def test_no_two_results_have_one_name(tmp_path):
    others = [
        replace(FULL, axes=FULL.axes | {"batch_size": "8"}),
        replace(FULL, bench="b.py::bench_ask"),
    ]
    names = [name for _, _, name, _ in evaluated(model_card(Results([FULL, *others]), tmp_path / "README.md"))]
    assert names == [
        "contains (generate, eager, cpu, batch_size=2)",
        "contains (generate, eager, cpu, batch_size=8)",
        "contains (ask, eager, cpu, batch_size=2)",
    ]


def test_a_dataset_of_the_hub_has_its_name(tmp_path):
    record = replace(
        FULL, dataset=DatasetFacts("hub:org/data@abc#test"), model=ModelFacts("package:llm", task="text-generation")
    )
    (result,) = ModelCard.load(model_card(Results([record]), tmp_path / "README.md")).data.eval_results
    assert (result.dataset_type, result.task_type) == ("org/data", "text-generation")


def test_several_models_are_told_apart_by_the_place(tmp_path):
    results = Results([FULL, replace(FULL, axes=FULL.axes | {"model": "hub:org/tiny"})])
    with pytest.raises(UsageError, match=r"of 2 models \(llm, tiny\): .*README.md\?model=llm"):
        model_card(results, tmp_path / "README.md")
    card = ModelCard.load(model_card(results, f"{tmp_path}/README.md?model=tiny"))
    assert card.data.model_name == "tiny"


def test_what_did_not_pass_is_in_no_card(tmp_path):
    with pytest.raises(UsageError, match="no passed bench of a model"):
        model_card(Results([ended("failed", model="package:llm"), timed()]), tmp_path / "README.md")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- modelbench:begin -->\n", "1 of <!-- modelbench:begin --> and 0 of"),
        ("<!-- modelbench:end -->\n<!-- modelbench:begin -->\n", "in this order"),
        ("---\nmodel-index: [{name: a, results: []}]\n---\n", "stands in one line"),
        ("---\n# modelbench:begin\nlicense: mit\n---\n", "without their comments"),
    ],
)
def test_a_card_that_cannot_be_written_stays(text, said, tmp_path):
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"README\.md") as error:
        model_card(BOTH, file)
    assert said in str(error.value)
    assert file.read_text() == text


def test_metadata_that_was_written_anew_is_refused_and_not_doubled(tmp_path):
    file = model_card(BOTH, tmp_path / "README.md")
    ModelCard.load(file).save(file)  # drops comments
    with pytest.raises(UsageError, match="without their comments"):
        model_card(BOTH, file)


@pytest.mark.parametrize("value", [1e-05, 2.5e-07, 1e16, 1e22, 0.1, 6.0, -1e-300])
def test_a_score_is_a_number_however_small(value, tmp_path):
    scored = replace(FULL, scores={"bits": Score(value, "bits", "lower")})
    ((*_, found),) = evaluated(model_card(Results([scored]), tmp_path / "README.md"))
    assert isinstance(found, float)
    assert found == value


@pytest.mark.parametrize(
    "name",
    ["<img src=x onerror=alert(1)>", "a|b\n# h", "*x* `y` [z](http://e)", "<!-- modelbench:end -->", "\u202e\udcff",
     '"\nmodel-index: x', "# modelbench:end", "\U0001f600: - {}"],
)  # fmt: skip
def test_a_name_is_text_in_a_card(name, tmp_path):
    named = replace(FULL, axes={"model": name, "variant": name}, bench=f"b.py::bench_{name}")
    file = model_card(Results([named]), tmp_path / "README.md")
    once = file.read_bytes()
    (result,) = ModelCard.load(file).data.eval_results
    assert result.metric_value == 0.75
    section = once.decode().partition("## Benchmarks")[2]
    assert "<img" not in section
    assert "](http://e)" not in section
    assert sum(line.startswith("|") for line in section.splitlines()) == 3
    model_card(Results([named]), file)
    assert file.read_bytes() == once
