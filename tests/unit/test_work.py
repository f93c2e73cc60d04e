"""What a text model's generations compute, move and keep: the count against the formula, and real caches."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from stand_in import CPU, settings

from pytest_modelbench.cost import Call
from pytest_modelbench.models import open_model
from pytest_modelbench.models.work import Work
from pytest_modelbench.source import parse

# q, o: 64 x 64; k, v: 64 x 32; three of 64 x 128; twice. Head and embedding: 512 x 64. Norms: 5 of 64.
BODY, HEAD, NORMS = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128), 512 * 64, 5 * 64


def opened(text="random:llama-tiny"):
    model = open_model(parse(text), CPU, settings())
    model.prepare()
    return model


@pytest.fixture(scope="module")
def tiny():
    model = opened()
    yield model
    model.close()


def test_sizes_are_read_off_the_model(tiny):
    sizes = tiny.work.sizes
    assert (sizes.layers, sizes.heads, sizes.kv_heads, sizes.head_size) == (2, 4, 2, 16)
    assert (sizes.body_parameters, sizes.head_parameters) == (BODY, HEAD)
    assert sizes.read_bytes == pytest.approx(4 * (BODY + HEAD + NORMS), abs=200), "the embedding is not read whole"


@pytest.mark.parametrize("call", [Call(1, 7, 1), Call(1, 7, 2), Call(2, 5, 3), Call(3, 8, 4), Call(2, 40, 9)])
def test_the_count_is_the_formulas(tiny, call):
    counted = tiny.work.counted(call)
    assert counted.source.startswith("FlopCounterMode")
    assert counted.flops == tiny.work.sizes.flops(call)
    assert counted.kv_bytes == tiny.work.sizes.kv_bytes(call.sequences, call.kept_tokens)


def test_tied_weights_are_the_heads():
    model = opened("random:llama?hidden_size=64&intermediate_size=128&num_hidden_layers=2&num_attention_heads=4"
                   "&num_key_value_heads=2&vocab_size=512&tie_word_embeddings=true")  # fmt: skip
    assert (model.work.sizes.body_parameters, model.work.sizes.head_parameters) == (BODY, HEAD)
    assert model.work.counted(Call(2, 5, 3)).flops == model.work.sizes.flops(Call(2, 5, 3))
    model.close()


def test_calls_are_noted_by_size_and_the_cache_as_it_was_held(tiny):
    tiny.calls.clear()
    prompt_tokens = tiny.encode(["a few words"] * 2).input_ids.shape[1]
    tiny.generate(["a few words"] * 2, max_new_tokens=6)
    list(tiny.stream(["a few words"], max_new_tokens=3))
    large, small = Call(2, prompt_tokens, 6), Call(1, prompt_tokens, 3)
    assert tiny.calls == {large: 1, small: 1}
    held, source = tiny.kv_bytes(tiny.calls)
    assert held == 2 * 2 * 2 * 16 * 4 * 2 * (prompt_tokens + 5)
    assert source == "keys and values of the transformers cache, when it was fullest"


def test_every_beam_is_a_sequence(tiny):
    tiny.calls.clear()
    prompt_tokens = tiny.encode(["a few words"]).input_ids.shape[1]
    tiny.generate(["a few words"], max_new_tokens=4, num_beams=3)
    assert tiny.calls == {Call(3, prompt_tokens, 4): 1}
    held, source = tiny.kv_bytes(tiny.calls)
    assert held == tiny.work.sizes.kv_bytes(3, prompt_tokens + 3)
    assert source.startswith("keys and values of the transformers cache")


def test_a_cache_that_was_not_seen_is_by_formula(tiny):
    held, source = tiny.kv_bytes({Call(7, 7, 7): 1})
    assert held == 2 * 2 * 2 * 16 * 4 * 7 * 13
    assert "not seen" in source


def test_the_cost_of_a_call_is_the_mean_of_its_generations(tiny):
    first, second = Call(1, 7, 1), Call(1, 7, 3)
    cost = tiny.work.cost({first: 2, second: 2}, times=2)
    work, sizes = tiny.work, tiny.work.sizes
    assert cost.flops == work.counted(first).flops + work.counted(second).flops
    # the cache holds 8 tokens in the first decode step, 9 in the second
    token_bytes = sizes.kv_bytes(1, 1)
    assert cost.bytes_moved == sizes.read_bytes * 4 + token_bytes * (8 + 9)
    assert cost.step_bytes == sizes.read_bytes + token_bytes * 8.5


def test_a_twin_that_does_not_run_leaves_the_formula(tiny, monkeypatch):
    work = Work(tiny.work.kind, tiny.work.config, tiny.work.dtype, tiny.work.sizes)
    monkeypatch.setattr(Work, "_made_twin", lambda self: (_ for _ in ()).throw(NotImplementedError("no meta")))
    counted = work.counted(Call(2, 5, 4))
    assert counted.source == "2N + 4LHQT a token (PaLM, appendix B); its twin does not run: NotImplementedError"
    assert counted.flops == work.sizes.flops(Call(2, 5, 4))
    # the cache holds 6, 7 and 8 tokens
    assert counted.step_kv_bytes == work.sizes.kv_bytes(2, 7)


def test_of_a_mixture_of_experts_nothing_is_said():
    model = opened("random:mixtral?hidden_size=64&intermediate_size=128&num_hidden_layers=1&num_attention_heads=4"
                   "&num_key_value_heads=2&vocab_size=512&num_local_experts=4")  # fmt: skip
    cost = model.work.cost({Call(1, 4, 2): 3}, times=3)
    assert cost.flops is cost.bytes_moved is None
    assert cost.sources["flops"] == "not counted: of 4 experts a token runs through a few"
    model.close()


def test_no_generation_costs_nothing_known(tiny):
    assert tiny.work.cost({}, times=5).flops is None


@pytest.mark.slow
def test_a_compiled_model_is_counted_all_the_same():
    from pytest_modelbench.variants.compiled import compiled

    model = compiled(open_model(parse("random:llama-tiny"), CPU, settings()))
    model.prepare()
    model.generate(["a few words"], max_new_tokens=4)
    (call,) = model.calls
    assert model.work.counted(call).flops == model.work.sizes.flops(call)
    held, _ = model.kv_bytes(model.calls)
    assert held == 2 * 2 * 2 * 16 * 4 * 128, "a static cache is held whole"
    model.close()
