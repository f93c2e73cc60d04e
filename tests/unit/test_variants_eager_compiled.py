import gc
import weakref

import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.errors import Fallback, UnknownName, UsageError
from pytest_modelbench.source import parse
from pytest_modelbench.variants.compiled import compiled
from pytest_modelbench.variants.eager import eager

pytest.importorskip("transformers")

PROMPTS = ["short", "a prompt that is longer"]


def opened(text="random:llama-tiny", device=CPU):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), device, settings())


@pytest.fixture(scope="module")
def expected():
    return eager(opened()).generate(PROMPTS, max_new_tokens=8).token_ids


@pytest.fixture(scope="module")
def model():
    model = compiled(opened())
    model.generate(PROMPTS, max_new_tokens=8)
    yield model
    model.close()


def test_eager_has_no_options():
    with pytest.raises(UsageError, match="no options"):
        eager(opened(), "fast")


def test_eager_is_the_model_itself():
    model = opened()
    assert eager(model) is model
    assert not model.loaded


def test_compiled_makes_the_same_tokens(model, expected):
    assert model.generate(PROMPTS, max_new_tokens=8).token_ids == expected


def test_compiled_proves_that_it_compiled(model):
    model.ran()
    assert "compiled (inductor, mode=default) on cpu: " in model.facts.ran_on
    assert model.facts.details["compile_seconds"] > 0
    assert model.facts.details["compilations"] >= 1
    assert model.facts.details["graph_breaks"] == 0


def test_warm_shapes_are_not_compiled_again(model):
    model.ran()
    before = model.facts.details["compilations"]
    model.generate(PROMPTS, max_new_tokens=8)
    model.generate([prompt[:-1] for prompt in PROMPTS], max_new_tokens=9)  # other lengths, within the cache's room
    assert len(list(model.stream(PROMPTS, max_new_tokens=8))) == 8  # runs the same graph
    model.ran()
    assert model.facts.details["compilations"] == before


def test_compiled_streams_the_same_tokens(model, expected):
    assert list(zip(*model.stream(PROMPTS, max_new_tokens=8), strict=True)) == list(expected)


def test_an_unknown_mode_is_answered_with_the_near_one():
    with pytest.raises(UnknownName, match="did you mean 'reduce-overhead'"):
        compiled(opened(), "reduce-overhed")


def test_a_model_that_never_compiled_is_a_fallback():
    model = compiled(opened())
    with pytest.raises(Fallback, match=r"asked for torch\.compile, eager ran"):
        model.ran()
    model.close()


def test_compiled_twice_is_a_contradiction():
    model = compiled(opened())
    with pytest.raises(UsageError, match="keep one of them"):
        compiled(model)
    model.close()


def test_close_gives_compiled_weights_back(expected):
    model = compiled(opened())
    model.generate(PROMPTS, max_new_tokens=8)
    module = weakref.ref(model.module)
    gc.freeze()
    model.close()
    assert module() is None


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune-no-cudagraphs"])
def test_compiled_on_cuda(mode):
    reference = opened("random:llama-tiny?hidden_size=256", CUDA)
    tokens = reference.generate(PROMPTS, max_new_tokens=8)
    CUDA.synchronise()
    clock = tokens.clock()
    assert clock.taken_by == "CUDA events in a LogitsProcessor"
    assert 0 < clock.ttft_device_seconds < 60
    assert len(clock.token_ns) == 8
    assert reference.facts.dtype == "bfloat16"
    reference.close()
    model = compiled(opened("random:llama-tiny?hidden_size=256", CUDA), mode)
    for _ in range(4):
        made = model.generate(PROMPTS, max_new_tokens=8)
    assert [len(ids) for ids in made.token_ids] == [8, 8]
    model.ran()
    before = model.facts.details
    assert list(zip(*model.stream(PROMPTS, max_new_tokens=8), strict=True)) == list(made.token_ids)
    assert model.generate(PROMPTS, max_new_tokens=8).token_ids == made.token_ids
    model.ran()
    assert model.facts.details["compilations"] == before["compilations"]
    if mode == "reduce-overhead":
        assert model.facts.details["cudagraph_recordings"] == before["cudagraph_recordings"] > 0
    model.close()
