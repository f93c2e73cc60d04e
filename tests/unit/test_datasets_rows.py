"""What is made of a table's rows: templates, batches by length, chats, streams; and rows that cannot be meant."""

import json

import pytest

from pytest_modelbench.datasets import Dataset, open_dataset
from pytest_modelbench.datasets.lazy import Groups, Rows
from pytest_modelbench.datasets.table import Mapped
from pytest_modelbench.errors import UsageError
from pytest_modelbench.source import parse

ROWS = [
    {"question": "one?", "answer": "1", "choices": ["1", "2"], "n": 1},
    {"question": "zwölf?", "answer": "12", "choices": ["11", "12"], "n": 12},
    {"question": "a line\nand another", "answer": "3", "choices": ["3", "4"], "n": 3},
]


def opened(text, **options):
    return open_dataset(parse(text), **options)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The same rows in every format."""
    import pyarrow
    from pyarrow import parquet

    monkeypatch.chdir(tmp_path)
    with (tmp_path / "q.jsonl").open("w", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n")
    flat = [{name: row[name] for name in ("question", "answer", "n")} for row in ROWS]
    (tmp_path / "q.csv").write_text(
        '\ufeffquestion,answer,n\r\none?,1,1\r\n\r\nzwölf?,12,12\r\n"a line\nand another",3,3\r\n',
        encoding="utf-8",
        newline="",
    )
    table = pyarrow.Table.from_pylist(flat)
    parquet.write_table(table, tmp_path / "q.parquet", row_group_size=2)
    with pyarrow.ipc.new_file(tmp_path / "q.arrow", table.schema) as file:
        file.write_table(table)
    with pyarrow.ipc.new_stream(tmp_path / "stream.arrow", table.schema) as file:
        file.write_table(table)


# -- templates


def test_a_template_makes_the_inputs_of_a_rows_columns():
    data = opened("q.jsonl", template="Q: {question} ({choices[0]}, {choices[1]}) {{yes}}", references="answer")
    assert data.inputs[0] == "Q: one? (1, 2) {yes}"
    assert data.references == ("1", "12", "3")
    assert opened("q.jsonl?template={n:03d}").inputs == ("001", "012", "003")
    assert data.facts.digest != opened("q.jsonl", inputs="question", references="answer").facts.digest


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{question} {anwser}", "names 'anwser', and the columns are question, answer, choices, n"),
        ("no field", "names no column"),
        ("{question", "write a brace as {{ or }}"),
        ("{choices[7]}", "fails in row 1: list index out of range"),
        ("{question.nothing}", "fails in row 1"),
        ("{question:d}", "fails in row 1"),
    ],
)
def test_a_template_that_cannot_be_filled(template, said):
    with pytest.raises(UsageError) as caught:
        opened("q.jsonl", template=template)
    assert said in str(caught.value)
    assert "q.jsonl" in str(caught.value)


def test_a_template_and_a_column_are_one_too_many():
    with pytest.raises(UsageError, match="template and inputs='question' both say"):
        opened("q.jsonl?inputs=question", template="{question}")


# -- streams


@pytest.mark.parametrize("name", ["q.csv", "q.jsonl", "q.parquet", "q.arrow", "stream.arrow"])
def test_a_stream_is_the_same_data_and_is_not_held(name):
    held = opened(f"{name}?inputs=question&references=n")
    streamed = opened(f"{name}?inputs=question&references=n&stream=true")
    assert streamed.facts.digest == held.facts.digest
    assert streamed.facts.revision == held.facts.revision
    assert list(streamed.inputs) == list(held.inputs) == [row["question"] for row in ROWS]
    assert list(streamed.references) == list(held.references)
    assert not isinstance(streamed.inputs, (tuple, list))
    assert streamed.inputs[-1] == held.inputs[-1]
    assert list(streamed.batches(2)) == list(held.batches(2))
    mixed = opened(name, inputs="question", stream=True, shuffle_seed=3, limit=2)
    assert mixed.facts.digest == opened(name, inputs="question", shuffle_seed=3, limit=2).facts.digest


def test_a_stream_of_lines(tmp_path):
    (tmp_path / "t.txt").write_bytes("\ufeffone\r\n\n  zwei  \n".encode())
    assert list(opened("t.txt?stream=1").inputs) == list(opened("t.txt").inputs) == ["one", "  zwei  "]
    assert opened("t.txt?stream=1").facts.digest == opened("t.txt").facts.digest


def test_a_stream_reads_what_is_asked_for_only(tmp_path):
    rows = Rows(tmp_path / "q.jsonl", [0], lambda file: json.loads(file.readline()))
    assert rows[0]["n"] == 1
    assert [row["n"] for row in rows] == [1]
    groups = Groups(tmp_path / "q.parquet", "n")
    assert (groups[2], groups._held[0], groups[0], groups._held[0]) == (3, 1, 1, 0)
    assert groups[:2] == [1, 12]
    with pytest.raises(IndexError):
        groups[3]
    assert Mapped(str, [1, 2, 3])[1:] == ["2", "3"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "[]", ".json can only be read whole; leave stream out"),
        ("a.csv", "inputs,r\n1\n", "line 2 has 1 cells, the header 2"),
        ("a.jsonl", "[1]", "row 1 is no object"),
        ("a.parquet", "no", "a.parquet is not parquet"),
        ("a.csv", "", "has no column 'inputs' (it has: none)"),
    ],
)
def test_a_stream_that_cannot_be_read(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        opened(name, stream=True)
    assert said in str(caught.value)


def test_stream_is_true_or_false():
    assert opened("q.csv?inputs=n&stream=false").inputs == (1, 12, 3)
    with pytest.raises(UsageError, match="stream='perhaps' is neither true nor false"):
        opened("q.csv?inputs=n&stream=perhaps")


# -- rows that cannot be meant


def test_mixed_types_are_named_with_their_rows(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"inputs": "a"}\n{"inputs": "b"}\n{"inputs": 3}\n')
    for options in ({}, {"stream": True}):
        with pytest.raises(
            UsageError, match=r"column 'inputs' mixes types: text in row 1 \('a'\), a number in row 3 \(3"
        ):
            opened("m.jsonl", **options)
    (tmp_path / "h.jsonl").write_text('{"inputs": "a"}\n{"inputs": null}\n{"inputs": "c"}\n')
    with pytest.raises(UsageError, match="row 2 has no value in column 'inputs'"):
        opened("h.jsonl", shuffle_seed=1)  # the row of the file, however it is mixed
    (tmp_path / "n.jsonl").write_text('{"inputs": 1}\n{"inputs": 2.5}\n')
    assert opened("n.jsonl").inputs == (1, 2.5)
    (tmp_path / "b.jsonl").write_text('{"inputs": true}\n{"inputs": 1}\n')
    with pytest.raises(UsageError, match="a truth value in row 1"):
        opened("b.jsonl")


def test_a_limit_and_a_split_of_nothing(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"no column 'inputs' \(it has: none\)"):
        opened("empty.jsonl")
    (tmp_path / "empty.csv").write_text("inputs\n")
    with pytest.raises(UsageError, match="is empty: no row is left to measure"):
        opened("empty.csv")


# -- batches by length, texts for a tokenizer


def test_buckets_hold_inputs_of_one_length_and_give_back_the_order():
    texts = ("aa", "b", "cccc", "ddd", "e")
    buckets = Dataset(texts, None).buckets(2)
    assert list(buckets) == [["cccc", "ddd"], ["aa", "b"], ["e"]]
    assert buckets.in_order(text.upper() for batch in buckets for text in batch) == [text.upper() for text in texts]
    assert Dataset(texts, None).buckets(5, length=lambda text: -len(text))[0][0] == "b"
    with pytest.raises(UsageError, match="in_order got 1 outputs for 5 inputs"):
        buckets.in_order(["x"])
    with pytest.raises(UsageError, match="at least 1"):
        Dataset(texts, None).buckets(0)


def test_batches_are_a_sequence():
    batches = Dataset(tuple("abcde"), None).batches(2)
    assert (len(batches), batches[-1], batches[1:]) == (3, ["e"], [["c", "d"], ["e"]])
    with pytest.raises(IndexError):
        batches[3]


class Words:
    """A tokenizer of words, as far as it is asked here."""

    chat_template = "there is one"
    pad_token_id = 0

    def encode(self, text, add_special_tokens):
        assert not add_special_tokens
        return text.split()

    def decode(self, ids):
        return " ".join(ids)

    def apply_chat_template(self, turns, tokenize, add_generation_prompt):
        assert (tokenize, add_generation_prompt) == (False, True)
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in turns) + "<assistant>"


def test_texts_are_cut_at_most():
    data = Dataset(("a b c d", "e  f"), None)
    assert data.truncated(Words(), 3) == ["a b c", "e  f"]
    with pytest.raises(UsageError, match="at least 1"):
        data.truncated(Words(), 0)


def test_texts_become_chats():
    data = Dataset(("hello",), None)
    assert data.chats(Words()) == ["<user>hello<assistant>"]
    assert data.chats(Words(), system="Be short.") == ["<system>Be short.<user>hello<assistant>"]
    bare = Words()
    bare.chat_template = None
    with pytest.raises(UsageError, match="no chat template"):
        data.chats(bare)


def test_texts_become_tensors_of_one_shape(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.models.WordLevel({"<pad>": 0, "a": 1, "b": 2, "?": 3}, unk_token="?")
    bare = tokenizers.Tokenizer(model)
    bare.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="<pad>", unk_token="?")
    encoded = Dataset(("a b a b", "b"), None).encoded(tokenizer, tokens=3)
    assert encoded["input_ids"].tolist() == [[1, 2, 1], [2, 0, 0]]
    assert encoded["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    with pytest.raises(UsageError, match="no token to pad with"):
        Dataset(("a",), None).encoded(transformers.PreTrainedTokenizerFast(tokenizer_object=bare), tokens=3)
