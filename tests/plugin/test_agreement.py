"""The first output of a variant beside eager's: scores, a limit by mark, and how often eager is loaded."""

import json

import pytest
from test_records import rows

# Here and not in a test: pytester forgets what a test imported, and torch cannot be imported twice.
torch = pytest.importorskip("torch")
pytest.importorskip("transformers.models.bert.modeling_bert")
pytest.importorskip("transformers.models.llama.modeling_llama")

BENCH = """
    import pytest
    from pytest_modelbench import variant

    LOADS = []

    @variant
    def noisy(model, option=None):
        import torch
        with torch.no_grad():
            for weight in model.module.parameters():
                weight.add_(float(option or 0.01) * torch.sin(torch.arange(weight.numel()).reshape(weight.shape)))
        return model

    @pytest.fixture(autouse=True, scope="session")
    def loads():
        # by name: of a module that pytester has forgotten the package still holds the old one
        from importlib import import_module
        random_weights = import_module("pytest_modelbench.models.random_weights")
        drawn = random_weights._draw
        random_weights._draw = lambda *args: LOADS.append(1) or drawn(*args)
        yield
        random_weights._draw = drawn
        print("*LOADED", len(LOADS))

    pytestmark = [pytest.mark.models("random:{model}"), pytest.mark.variants({variants}), {marks}]

    TEXTS = ["the of and", "a text that is longer"]

    def bench_it(model, measure):
        {call}
"""
EMBED = "measure(model.embed, TEXTS)"
GENERATE = "measure(model.generate, TEXTS, max_new_tokens=4)"


def bench(pytester, *variants, model="bert-tiny", call=EMBED, marks=""):
    named = ", ".join(map(repr, variants))
    pytester.makepyfile(bench_a=BENCH.format(model=model, variants=named, call=call, marks=marks))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "made"))


def run(pytester, *args):
    return pytester.runpytest("--bench-once", "-s", *args)


def test_eager_leaves_its_output_for_the_others(pytester):
    bench(pytester, "eager", "noisy")
    result = run(pytester)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*LOADED 2*"])
    eager, noisy = rows(pytester)
    assert "score_parity_cosine" not in eager or eager["score_parity_cosine"] is None
    assert 0.5 < noisy["score_parity_cosine"] < 0.99999
    assert 0 < noisy["score_parity_mean_difference"] < noisy["score_parity_max_difference"]


def test_without_it_eager_is_loaded_once_and_kept(pytester):
    bench(pytester, "noisy")
    run(pytester).stdout.fnmatch_lines(["*LOADED 2*"])
    first = rows(pytester)[0]["score_parity_cosine"]
    run(pytester).stdout.fnmatch_lines(["*LOADED 1*"])
    assert [row["score_parity_cosine"] for row in rows(pytester)] == [first, first]


def test_where_nothing_can_be_kept_each_variant_is_compared_all_the_same(pytester, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "file"))
    bench(pytester, "eager", "noisy")
    result = run(pytester, "--bench-report", "json:report.json")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*LOADED 3*"])
    assert rows(pytester)[1]["score_parity_cosine"] < 1
    for found in json.loads((pytester.path / "report.json").read_text())["benches"]:
        said = [note for note in found["notes"] if "eager's output" in note]
        assert len(said) == 1, found["notes"]
        assert said[0].startswith(f"cannot write eager's output to {tmp_path / 'file' / 'parity'}: ")


def test_other_inputs_are_another_comparison(pytester):
    bench(pytester, "noisy")
    run(pytester)
    bench(pytester, "noisy", call='measure(model.embed, ["other"])')
    run(pytester).stdout.fnmatch_lines(["*LOADED 2*"])


def test_a_limit_that_is_not_met_fails_in_one_line(pytester):
    bench(pytester, "eager", "noisy:0.1", marks="pytest.mark.parity(cosine=0.9999, max_difference=1e-6)")
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*noisy:0.1 is not eager's equal: cosine * is under the limit 0.9999; max_difference * is over the limit*"]
    )
    failed = rows(pytester)[1]
    assert failed["outcome"] == "failed"
    assert failed["score_parity_cosine"] < 0.9999


def test_generation_is_compared_by_token_and_logits(pytester):
    bench(pytester, "static", "noisy:0.5", model="llama-tiny", call=GENERATE)
    run(pytester).assert_outcomes(passed=2)
    static, noisy = rows(pytester)
    assert (static["score_parity_tokens"], static["score_parity_labels"]) == (1, 1)
    assert static["score_parity_max_difference"] < 1e-5
    assert noisy["score_parity_tokens"] < 1


def test_a_stream_is_compared_too(pytester):
    bench(pytester, "static", model="llama-tiny", call="measure.stream(model.stream, TEXTS, max_new_tokens=4)")
    run(pytester).assert_outcomes(passed=1)
    assert rows(pytester)[0]["score_parity_tokens"] == 1


def test_it_can_be_left_out(pytester):
    bench(pytester, "noisy", marks="pytest.mark.parity(cosine=1)")
    run(pytester, "--bench-no-parity").stdout.fnmatch_lines(["*LOADED 1*"])


def test_a_limit_without_an_output_to_hold_against_it(pytester):
    bench(pytester, "noisy", call="measure(sum, [1])", marks="pytest.mark.parity(cosine=1)")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no output of a model to hold against cosine=1*"])


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("parity(cosin=1)", "*unknown limit 'cosin' in mark parity of *did you mean 'cosine'*"),
        ("parity()", "*takes limits by name: write parity(cosine=0.999)*"),
        ("parity(cosine='high')", "*cosine='high' is no number*"),
    ],
)
def test_a_mark_that_cannot_be_meant(pytester, mark, said):
    bench(pytester, "noisy", marks=f"pytest.mark.{mark}")
    run(pytester).stderr.fnmatch_lines([said])
