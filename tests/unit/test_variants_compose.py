"""Which parts of a composition go together, told before anything is loaded."""

import pytest

from pytest_modelbench.catalog import BUILT_IN, Catalog
from pytest_modelbench.errors import UnknownName, UsageError
from pytest_modelbench.variants import PARTS, parse, words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("onnx+bnb-nf4", "bnb-nf4 is a way of torch's, and onnx does not run torch; keep one of them"),
        ("bnb-nf4+onnx", "contradicts itself"),
        ("compiled+onnx", "contradicts itself"),
        ("fp16+bf16", "both decide the dtype"),
        ("bnb-nf4+torchao-int8", "both decide the weights"),
        ("static+compiled", "both decide the steps"),
        ("compiled+fp16", "fp16 says what weights are read as, and compiled runs them: put fp16 first"),
        ("bnb-nf4+bf16", "put bf16 first"),
        ("sdpa+eager-attention", "both decide the attention"),
        ("fp16++onnx", "has an empty part"),
    ],
)
def test_a_contradiction_is_said_before_loading(text, says):
    with pytest.raises(UsageError, match=says):
        parse(text, Catalog())


@pytest.mark.parametrize("text", ["fp16+onnx", "bf16+bnb-nf4+compiled", "eager-attention+torchao-int8+static", "eager"])
def test_what_goes_together(text):
    assert [declared.name for declared, _ in parse(text, Catalog()).parts] == text.split("+")


def test_a_contradiction_in_a_mark_is_told_at_collection(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.models("random:llama-tiny")
        @pytest.mark.variants("eager", "onnx+bnb-nf4")
        def bench_a(model, measure): ...
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*variant 'onnx+bnb-nf4' contradicts itself*"])


@pytest.mark.parametrize("name", BUILT_IN["variant"])
def test_each_variant_is_found_by_its_name(name):
    (part,) = parse(name, Catalog()).parts
    assert part[0].name == name
    assert part[0].decides in ("", *PARTS)


KEYS = {"mode": ("default", "max-autotune"), "graph": ("fullgraph",), "threads": int}


def test_words_of_an_option():
    assert words("compiled", "max-autotune:fullgraph:threads=2", KEYS) == {
        "mode": "max-autotune",
        "graph": "fullgraph",
        "threads": "2",
    }
    assert words("compiled", None, KEYS) == {}


@pytest.mark.parametrize(
    ("option", "error", "says"),
    [
        ("fullgrap", UnknownName, "unknown word 'fullgrap' in variant 'compiled:fullgrap'; did you mean 'fullgraph'"),
        ("thread=2", UnknownName, "unknown option 'thread'"),
        ("mode=fast", UnknownName, "unknown mode 'fast'"),
        ("threads=0", UsageError, "threads=0 is no whole number above 0"),
        ("default:max-autotune", UsageError, "says mode twice: default and max-autotune"),
    ],
)
def test_wrong_words(option, error, says):
    with pytest.raises(error, match=says):
        words("compiled", option, KEYS)
