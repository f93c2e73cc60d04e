"""Variants that run an export: a text model's steps and an encoder's pass give eager's numbers."""

import weakref

import numpy
import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import Fallback, Unavailable, Unsupported, UsageError
from pytest_modelbench.forward import Inputs
from pytest_modelbench.source import parse
from pytest_modelbench.variants import parse as parse_variant

pytest.importorskip("transformers")

TEXTS = ["short", "a text that is longer"]
#: Of other sizes than the exporter's examples: one text, and more of them.
OTHERS = [["a"], ["one two three", "four", "five six", "seven eight nine ten eleven"]]
#: The largest difference from eager's numbers; bf16 and int8 are what they are for.
RUNTIMES = {
    "onnx": 1e-5,
    "onnx:no-binding": 1e-5,
    "onnx:optimization=disabled": 1e-5,
    "openvino": 1e-5,
    "openvino:bf16": 5e-2,
    "torchscript": 1e-6,
    "ort-int8": 5e-2,
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(exports_cache):
    pass


def applied(variant, text, device=CPU):
    from pytest_modelbench.models import open_model

    try:
        return parse_variant(variant, Catalog()).apply(open_model(parse(text), device, settings()))
    except Unsupported:
        raise
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def opened():
    models = []

    def opened(*arguments):
        models.append(applied(*arguments))
        return models[-1]

    yield opened
    for model in models:
        model.close()


@pytest.fixture(scope="module")
def eager():
    return {text: applied("eager", text) for text in ("random:llama-tiny", "random:bert-tiny")}


@pytest.mark.parametrize("variant", RUNTIMES)
def test_an_encoders_pass(opened, eager, variant):
    model = opened(variant, "random:bert-tiny")
    for texts in (TEXTS, *OTHERS):
        found = model.forward(model.encode(texts))["last_hidden_state"]
        expected = eager["random:bert-tiny"].forward(model.encode(texts))["last_hidden_state"]
        assert found.dtype == numpy.float32
        assert found.shape == expected.shape
        assert numpy.abs(found - expected).max() <= RUNTIMES[variant]
    assert model.embed(TEXTS).shape == (2, 64)
    model.ran()
    assert any(name in model.facts.ran_on for name in ("onnxruntime", "openvino", "TorchScript"))


@pytest.mark.parametrize("variant", [name for name in RUNTIMES if name.partition(":")[0] != "onnx"])
def test_a_text_models_steps(opened, eager, variant):
    model = opened(variant, "random:llama-tiny")
    for texts in (TEXTS, *OTHERS):
        made = model.generate(texts, max_new_tokens=8)
        expected = eager["random:llama-tiny"].generate(texts, max_new_tokens=8)
        if variant in ("openvino", "torchscript"):
            assert made.token_ids == expected.token_ids
        else:
            assert [ids[0] for ids in made.token_ids] == [ids[0] for ids in expected.token_ids]
    # 2 layers, 2 heads of 16, keys and values, 4 bytes: of 2 texts with the longer one's tokens and 7 new ones
    tokens = model.encode(TEXTS).input_ids.shape[1] + 7
    assert model.decoder.kv_bytes[2, tokens] == 2 * 2 * 16 * 2 * 4 * 2 * tokens


def test_weights_are_let_go():
    from pytest_modelbench.models import open_model

    for variant in ("openvino", "torchscript"):
        model = open_model(parse("random:bert-tiny"), CPU, settings())
        seen = []
        model.change_with(lambda module, seen=seen: seen.append(weakref.ref(module)) or module)
        parse_variant(variant, Catalog()).apply(model)
        assert seen[0]() is None
        with pytest.raises(UsageError, match="there is no module to touch"):
            _ = model.module
        model.close()


def test_a_compiled_pass_compiles_and_says_so(opened, eager):
    model = opened("compiled:fullgraph:dynamic", "random:bert?num_hidden_layers=1&hidden_size=32&num_attention_heads=2")
    model.embed(TEXTS)
    model.ran()
    details = model.facts.details
    assert "compiled (inductor, mode=default, fullgraph, dynamic) on cpu: 1 graphs" in model.facts.ran_on
    assert details["graph_breaks"] == 0
    assert details["compile_seconds"] > 0
    model.embed(OTHERS[1])
    model.ran()
    assert model.facts.details["compilations"] == details["compilations"]  # one graph for every size


def test_a_pass_that_was_never_compiled_is_a_fallback(opened):
    model = opened("compiled", "random:bert-tiny")
    with pytest.raises(Fallback, match=r"asked for torch\.compile, eager ran"):
        model.ran()


def test_int8_says_what_it_made(opened):
    model = opened("ort-int8", "random:bert-tiny")
    assert "12 of 16 matrix products" in model.facts.details["quantized_by"]
    assert model.facts.quantization == "ort-int8"
    assert model.facts.weight_bytes < 400_000  # of 555,776 in float32, most of them embeddings


def test_weights_get_7_bits_where_products_of_8_overflow(monkeypatch):
    from pytest_modelbench.variants.onnx import int8

    monkeypatch.setattr(int8.platform, "machine", lambda: "x86_64")
    assert int8.saturates("fpu avx2 avx512f")
    assert not int8.saturates("fpu avx2 avx_vnni")
    assert not int8.saturates("fpu avx512f avx512_vnni")
    monkeypatch.setattr(int8.platform, "machine", lambda: "aarch64")
    assert not int8.saturates("fp asimd")


def test_a_cpu_that_overflows_is_said_and_still_near(opened, monkeypatch):
    from pytest_modelbench.variants.onnx import int8

    monkeypatch.setattr(int8, "saturates", lambda: True)
    model, eager = opened("ort-int8", "random:bert-tiny"), opened("eager", "random:bert-tiny")
    assert model.facts.details["quantized_by"].endswith("weights of 7 bits because this CPU lacks VNNI")
    assert numpy.abs(model.embed(TEXTS) - eager.embed(TEXTS)).max() < 5e-2


def test_int8_of_a_network_with_convolutions(opened):
    small = "random:vit-tiny?num_hidden_layers=1"
    pixels = opened("eager", small).example()
    inputs = Inputs(pixels.arrays)
    found, expected = (opened(variant, small).forward(inputs)["logits"] for variant in ("ort-int8", "eager"))
    assert numpy.abs(found - expected).max() < 5e-2


def test_floats_in_the_place_of_integers_are_a_fallback(monkeypatch):
    from pytest_modelbench.variants.onnx import int8

    monkeypatch.setattr(int8, "_quantized", lambda model, path: path)
    with pytest.raises(Fallback, match=r"asked for ort-int8, floats ran: none of \d+ matrix products of BertModel"):
        applied("ort-int8", "random:bert-tiny")


def test_another_precision_than_the_asked_one_is_a_fallback():
    pytest.importorskip("openvino")
    from pytest_modelbench.variants import openvino

    class Kind:
        def get_type_name(self):
            return "f32"

    class Compiled:
        def get_property(self, name):
            return Kind()

    with pytest.raises(Fallback, match="asked OpenVINO for bf16, f32 would run"):
        openvino._held_to(Compiled(), "bf16")


@pytest.mark.parametrize("variant", ["ort-int8", "openvino"])
def test_what_is_for_cpus_says_so_on_cuda(variant):
    with pytest.raises(Unsupported, match="not on cuda:0"):
        applied(variant, "random:bert-tiny", CUDA)


@pytest.mark.parametrize("variant", ["onnx", "openvino", "torchscript"])
def test_steps_of_another_kind_are_named(variant):
    with pytest.raises(Unsupported, match=f"variant '{variant}' cannot export the cache of mamba"):
        applied(variant, "random:mamba?hidden_size=32&num_hidden_layers=1&vocab_size=300&state_size=4")


def test_bfloat16_in_onnxruntime_is_refused_with_what_can():
    with pytest.raises(Unsupported, match="use fp32 or fp16"):
        applied("bf16+onnx", "random:bert-tiny")


def test_a_package_is_kept_for_one_chip(monkeypatch, tmp_path):
    """The code of another processor would end the process, or be timed as this one's."""
    keys = []

    def kept(model, kind, key, make):
        keys.append(key)
        raise Unsupported("the key is all that is looked at")

    from pytest_modelbench import device
    from pytest_modelbench.variants import torch_export

    monkeypatch.setattr(torch_export, "made", kept)
    for flags in ("fpu avx2", "fpu avx2", "fpu avx2 avx512f"):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n")
        monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
        with pytest.raises(Unsupported, match="the key is all"):
            applied("torch-export", "random:bert-tiny")
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.slow
def test_a_package_of_aot_inductor(opened):
    small = "random:bert?num_hidden_layers=1&hidden_size=32&num_attention_heads=2&intermediate_size=32"
    model, expected = opened("torch-export", small), opened("eager", small)
    for texts in (TEXTS, *OTHERS):
        assert numpy.abs(model.embed(texts) - expected.embed(texts)).max() < 1e-5
    assert "AOTInductor package on cpu" in model.facts.ran_on
    assert model.facts.details["package_bytes"] > 0
    again = opened("torch-export", small)
    assert again.facts.details["export_seconds"] is None
    assert (again.embed(TEXTS) == model.embed(TEXTS)).all()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "variant", ["compiled", "compiled:reduce-overhead", "torchscript", "torch-export", "fp32+onnx"]
)
@pytest.mark.parametrize("text", ["random:llama-tiny?hidden_size=256", "random:bert-tiny"])
def test_runtimes_on_cuda(opened, variant, text):
    if "onnx" in variant:
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            pytest.skip("needs onnxruntime-gpu")
    model = opened(variant, text, CUDA)
    verb = {"max_new_tokens": 4} if hasattr(model, "generate") else {}
    for _ in range(3):
        made = (model.generate if verb else model.embed)(TEXTS, **verb)
    model.ran()
    assert "cuda" in model.facts.ran_on.lower()
    if not verb:
        expected = opened("eager", text, CUDA).embed(TEXTS)
        assert numpy.abs(made - expected).max() < 2e-2
