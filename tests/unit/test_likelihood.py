"""Log-likelihoods of texts, on a small random Llama, against a plain computation with transformers."""

import math

import pytest
from stand_in import CPU, settings

from pytest_modelbench.errors import UsageError
from pytest_modelbench.likelihood import Chosen, Likelihood
from pytest_modelbench.source import parse

pytest.importorskip("transformers")

CONTEXTS = ["the world", "a house of water and", "", "the city "]
CONTINUATIONS = [" of water", " people", "another day", "of life and more"]
TEXT = "the world of water and the house of the people in the city, day by day. " * 8
# Chosen here: float32 sums in another order, over at most a hundred tokens of 6 nats.
NEAR = 1e-4


def opened(text="random:llama-tiny"):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), CPU, settings())


@pytest.fixture(scope="module")
def model():
    model = opened()
    yield model
    model.close()


@pytest.fixture(scope="module", params=["static", "compiled"])
def other(request):
    """The same model run another way; `onnx` is in test_variants_onnx.py, beside its export."""
    from pytest_modelbench.catalog import Catalog
    from pytest_modelbench.variants import parse as parse_variant

    model = parse_variant(request.param, Catalog()).apply(opened())
    yield model
    model.close()


def plainly(model, ids, scored):
    """Log-probabilities of the last `scored` of some token ids, read in one pass without padding."""
    import torch

    ids = torch.tensor([ids])
    with torch.no_grad():
        logits = model.module(ids[:, :-1]).logits[0]
    chosen = logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    return chosen[-scored:].tolist()


def ids_of(model, text):
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_each_token_is_judged_by_what_stands_before_it(model):
    found = model.loglikelihood(CONTEXTS, CONTINUATIONS)
    for context, text, likelihood in zip(CONTEXTS, CONTINUATIONS, found, strict=True):
        before = ids_of(model, context.rstrip()) or [model.tokenizer.pad_token_id]
        whole = ids_of(model, context + text)
        ids = whole if context else before + whole
        assert likelihood.tokens == pytest.approx(plainly(model, ids, len(ids) - len(before)), abs=NEAR)
        assert likelihood.total == pytest.approx(sum(likelihood))


def test_batches_change_nothing(model):
    one_by_one = model.loglikelihood(CONTEXTS, CONTINUATIONS, batch_size=1)
    for alone, together in zip(one_by_one, model.loglikelihood(CONTEXTS, CONTINUATIONS, batch_size=3), strict=True):
        assert alone.tokens == pytest.approx(together.tokens, abs=NEAR)
        assert alone.greedy == together.greedy


def test_what_greedy_generation_says_is_greedy(model):
    from pytest_modelbench.models.scoring import Row, likelihoods

    (made,) = model.generate(["the world of"], max_new_tokens=3).token_ids
    begun = tuple(ids_of(model, "the world of"))
    greedy, other = likelihoods(model.decoder, [Row(begun + made, 3), Row((*begun, *made[:2], made[2] + 1), 3)], 8)
    assert greedy.greedy
    assert not other.greedy


def test_what_is_read_alike_is_read_once(model, monkeypatch):
    reads = []
    decoder = model.decoder
    real = type(decoder).logits
    monkeypatch.setattr(decoder, "logits", lambda texts, last: reads.append(texts) or real(decoder, texts, last))
    answers = [" of", " and", " in", " by"]
    found = model.loglikelihood(["the world"] * 4, answers)
    assert [read.input_ids.shape for read in reads] == [(1, 2)]
    assert found == [model.loglikelihood(["the world"], [answer])[0] for answer in answers]


def test_other_ways_to_run_it_find_a_text_as_likely(model, other):
    window = {"window": 32, "stride": 16, "batch_size": 100}  # one batch: each new shape is compiled for seconds
    (expected,), (found,) = model.rolling([TEXT], **window), other.rolling([TEXT], **window)
    assert found.tokens == pytest.approx(expected.tokens, abs=NEAR)


@pytest.mark.parametrize(("window", "stride"), [(32, 32), (32, 8), (500, 500)])
def test_rolling_judges_each_token_once(model, window, stride):
    (found,) = model.rolling([TEXT], window=window, stride=stride, batch_size=4)
    ids = [model.tokenizer.pad_token_id, *ids_of(model, TEXT)]
    expected, judged = [], 0
    while judged < len(ids) - 1:
        end = min(judged + (stride if judged else window), len(ids) - 1)
        expected += plainly(model, ids[max(end - window, 0) : end + 1], end - judged)
        judged = end
    assert len(found) == len(ids) - 1
    assert found.tokens == pytest.approx(expected, abs=NEAR)


def test_rolling_cuts_windows_as_lm_eval_does(model):
    utils = pytest.importorskip("lm_eval.utils")
    from pytest_modelbench.models import scoring

    (rows,) = scoring.windows(model.tokenizer, [TEXT], 32, 32)
    token = model.tokenizer.pad_token_id
    theirs = list(utils.get_rolling_token_windows(ids_of(model, TEXT), token, max_seq_len=32, context_len=1))
    assert [(list(row.read), list(row.ids[-row.scored :])) for row in rows] == [(read, said) for read, said in theirs]


def test_several_texts_are_rolled_each_by_itself(model):
    together = model.rolling([TEXT, "a short one"], window=32)
    alone = [model.rolling([text], window=32)[0] for text in (TEXT, "a short one")]
    for one, other in zip(together, alone, strict=True):
        assert one.tokens == pytest.approx(other.tokens, abs=NEAR)


def test_a_long_context_keeps_its_end(model):
    longest = model.longest
    long = "the " * (longest + 50)
    (found,) = model.loglikelihood([long], [" people"])
    ids = ids_of(model, long.rstrip() + "  people")[-longest - 1 :]
    assert found.tokens == pytest.approx(plainly(model, ids, len(found)), abs=NEAR)


def test_choosing_takes_the_likeliest(model):
    prompts, choices = ["the world", "a day in"], [" of", " and the life of a place", " by"]
    for prompt, chosen in zip(prompts, model.choose(prompts, choices), strict=True):
        totals = [model.loglikelihood([prompt], [choice])[0].total for choice in choices]
        assert chosen.best == max(range(3), key=totals.__getitem__)
        assert chosen.text == choices[chosen.best].strip()


def test_each_prompt_may_have_choices_of_its_own(model):
    chosen = model.choose(["the world", "a day in"], [[" of", " by"], [" life"]])
    assert [len(one.likelihoods) for one in chosen] == [2, 1]


def test_a_long_choice_is_less_likely_for_its_length_alone():
    likelihoods = tuple(Likelihood(tokens, False) for tokens in ((-2.0,), (-1.0, -1.0, -1.0)))
    chosen = Chosen((" yes", " certainly"), likelihoods)
    assert (chosen.best, chosen.best_normalised) == (0, 1)


def test_likelihoods_are_joined():
    joined = Likelihood.joined([Likelihood((-1.0,), True), Likelihood((-2.0, -3.0), False)])
    assert joined == Likelihood((-1.0, -2.0, -3.0), False)
    assert math.isclose(joined.total, -6.0)


@pytest.mark.parametrize(
    ("contexts", "texts", "says"),
    [
        (["a"], [], "continuations must be a list of at least one text"),
        ("a", ["b"], "contexts must be a list"),
        (["a", "b"], ["c"], "2 contexts and 1 continuations"),
        (["a"], [""], "adds no token"),
        (["a"], ["the " * 5000], "use model.rolling"),
    ],
)
def test_texts_that_cannot_be_judged(model, contexts, texts, says):
    with pytest.raises(UsageError, match=says):
        model.loglikelihood(contexts, texts)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window": 0}, "window=0"),
        ({"window": 10**6}, "window=1000000: give 1 to "),
        ({"window": 8, "stride": 9}, "stride=9: give 1 to 8"),
        ({"window": 8, "stride": 0}, "stride=0"),
        ({"window": 8, "batch_size": 0}, "batch_size=0"),
    ],
)
def test_windows_that_cannot_be(model, options, says):
    with pytest.raises(UsageError, match=says):
        model.rolling([TEXT], **options)


@pytest.mark.parametrize("choices", [[], [[]], [" a", [" b"]], [[" a"], [" b"]]])
def test_choices_that_are_none(model, choices):
    with pytest.raises(UsageError, match="choices"):
        model.choose(["the"], choices)


def test_an_empty_text_has_no_likelihood(model):
    with pytest.raises(UsageError, match="empty"):
        model.rolling([""], window=8)
