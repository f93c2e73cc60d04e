"""Variants that say how weights are read: dtypes, attention, quantizers."""

import json

import numpy
import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import Fallback, Unavailable, Unsupported, UsageError
from pytest_modelbench.source import parse
from pytest_modelbench.variants import parse as parse_variant

pytest.importorskip("transformers")

PROMPTS = ["short", "a prompt that is longer"]


def applied(variant, device=CPU, text="random:llama-tiny"):
    from pytest_modelbench.models import open_model

    return parse_variant(variant, Catalog()).apply(open_model(parse(text), device, settings()))


@pytest.fixture
def opened():
    models = []

    def opened(*arguments, **named):
        models.append(applied(*arguments, **named))
        return models[-1]

    yield opened
    for model in models:
        model.close()


@pytest.mark.parametrize(("variant", "dtype"), [("fp32", "float32"), ("fp16", "float16"), ("bf16", "bfloat16")])
def test_dtypes(opened, variant, dtype):
    model = opened(variant)
    assert model.generate(PROMPTS, max_new_tokens=4).new_tokens == 8
    assert model.facts.dtype == model.facts.details["asked_dtype"] == dtype


@pytest.mark.parametrize("variant", ["fp32", "eager-attention", "tf32", "flex_attention", "bnb-nf4", "torchao-int8"])
def test_without_options(variant):
    with pytest.raises(UsageError, match="has no options"):
        applied(f"{variant}:fast")


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ("tf32", "use 'fp32'"),
        ("flash_attention_2", "kernels for CUDA alone"),
        ("flex_attention", "not for cpu"),
        ("sdpa:efficient", "no such kernel for float32, 4 heads and 2 of keys on cpu"),
        ("sdpa:cudnn", "'sdpa' lets torch choose"),
    ],
)
def test_what_does_not_run_on_a_cpu_says_why(opened, variant, says):
    with pytest.raises(Unsupported, match=says):
        opened(variant).prepare()


def test_attention_is_what_was_asked_for(opened):
    model = opened("eager-attention")
    tokens = model.generate(PROMPTS, max_new_tokens=8).token_ids
    assert model.facts.attention == "eager"
    model = opened("sdpa")
    assert model.generate(PROMPTS, max_new_tokens=8).token_ids == tokens
    assert model.facts.attention == "sdpa"


def test_one_kernel_is_on_while_the_model_is_open():
    import torch

    model = applied("sdpa:math")
    model.prepare()
    assert not torch.backends.cuda.flash_sdp_enabled()
    assert model.facts.details["attention_kernel"] == "math"
    model.close()
    assert torch.backends.cuda.flash_sdp_enabled()


QUANTIZED = {
    "bnb-int8": ("bitsandbytes", "Linear8bitLt"),
    "bnb-nf4": ("bitsandbytes", "Linear4bit"),
    "bnb-fp4": ("bitsandbytes", "Linear4bit"),
    "torchao-int8": ("torchao", "Linear"),
    "torchao-int8-dynamic": ("torchao", "Linear"),
}


@pytest.fixture(scope="module")
def plain_bytes():
    model = applied("eager")
    model.prepare()
    yield model.facts.weight_bytes
    model.close()


@pytest.mark.parametrize("variant", QUANTIZED)
def test_quantized_layers_and_bytes_are_in_the_record(opened, variant, plain_bytes):
    library, layer = QUANTIZED[variant]
    pytest.importorskip(library)
    model = opened(variant)
    assert model.generate(PROMPTS, max_new_tokens=4).new_tokens == 8
    model.ran()
    details = model.facts.details
    assert details["layers_quantized"] == 14
    assert details["linear_layers"] == 15  # the head stays
    assert details["quantized_by"].startswith(library)
    assert details["quantized_by"].endswith(f"14 of 15 linear layers ({layer})")
    assert model.facts.quantization == variant
    weights = 73_728  # in those layers, of 4 bytes each before
    bits = 4 if "4" in variant else 8
    saved = weights * (32 - bits) // 8
    scales = plain_bytes - saved - model.facts.weight_bytes
    assert -plain_bytes / 20 < scales <= 0  # the scales are counted too
    assert model.facts.parameters == 139_584


@pytest.mark.parametrize("variant", ["bnb-nf4", "bnb-fp4"])
@pytest.mark.parametrize(("of_cpu", "classes"), [(True, 10), (True, 64), (False, 10)])
def test_a_layer_that_4_bits_cannot_be_computed_with_is_named(opened, variant, of_cpu, classes, monkeypatch):
    layers = pytest.importorskip("bitsandbytes").nn.modules
    if of_cpu and not layers.has_avx512bf16():
        pytest.skip("bitsandbytes packs weights anew only for CPUs with AVX512-BF16")
    monkeypatch.setattr(layers, "has_avx512bf16", lambda: of_cpu)
    model = opened(variant, text=f"random:vit-tiny?num_hidden_layers=1&num_labels={classes}")
    if of_cpu and classes == 10:
        with pytest.raises(Unsupported, match=r"classifier is Linear\(64, 10\): use 'bnb-int8' or 'torchao-int8'"):
            model.prepare()
    else:
        assert model.forward(model.encode([numpy.zeros((8, 8, 3), "uint8")]))["logits"].shape == (1, classes)


@pytest.mark.parametrize("variant", QUANTIZED)
def test_plain_weights_are_a_fallback(opened, variant, monkeypatch):
    library, _ = QUANTIZED[variant]
    pytest.importorskip(library)
    model = opened(variant)
    if library == "bitsandbytes":  # as if transformers had not heard
        del model.load_options["quantization_config"]
    else:
        monkeypatch.setattr("torchao.quantization.quantize_", lambda *_, **__: None)
    with pytest.raises(Fallback, match=f"asked for {variant}, plain torch.float32 is there: {library} took none of"):
        model.prepare()


@pytest.mark.parametrize("variant", ["bnb-int8", "torchao-int8"])
def test_weights_that_became_plain_are_a_fallback(opened, variant):
    pytest.importorskip(QUANTIZED[variant][0])
    model = opened(variant)
    model.prepare()
    model.module.dequantize() if variant == "bnb-int8" else _replace_linear(model.module)
    with pytest.raises(Fallback, match=f"asked for {variant}"):
        model.ran()


def _replace_linear(module):
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight = torch.nn.Parameter(layer.weight.dequantize(), requires_grad=False)


def test_4_bits_are_computed_in_the_dtype_that_was_asked_for(opened):
    pytest.importorskip("bitsandbytes")
    model = opened("bf16+bnb-nf4")
    assert model.module.model.layers[0].mlp.up_proj.compute_dtype == model.module.dtype
    assert model.facts.dtype == "bfloat16"


def test_a_quantized_model_runs_in_a_static_cache(opened):
    pytest.importorskip("torchao")
    model = opened("torchao-int8+static")
    assert model.generate(PROMPTS, max_new_tokens=4).new_tokens == 8


def test_layers_are_changed_before_the_weights_are_read():
    model = applied("eager")
    model.prepare()
    with pytest.raises(UsageError, match="put that variant first"):
        model.change_with(lambda module: module)
    model.close()


def test_a_missing_library_is_told_before_any_part_is_applied(monkeypatch):
    monkeypatch.setattr("pytest_modelbench.declare.find_spec", lambda name: None if name == "torchao" else True)
    with pytest.raises(Unavailable, match=r'needs torchao: pip install "pytest-modelbench\[quantization\]"'):
        applied("fp16+torchao-int8")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model, folder = applied("eager"), tmp_path_factory.mktemp("plain")
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    model.close()
    return folder


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8"])
def test_a_checkpoint_that_is_quantized_is_loaded_as_it_is_or_skipped_with_the_reason(opened, saved, tmp_path, method):
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    asked = {"quant_method": method, "bits": 4, "group_size": 32, "dataset": "none"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": asked}))
    why = "cpu cannot compute" if method == "fp8" else "does not load here as it is: "
    with pytest.raises(Unavailable, match=f"is quantized by {method}, which {why}"):
        opened("eager", text=str(tmp_path)).prepare()


@pytest.mark.parametrize("variant", ["bnb-int8", "bnb-nf4"])
def test_a_quantized_checkpoint_is_read_back_quantized(opened, tmp_path, variant):
    pytest.importorskip("bitsandbytes")
    model = opened(variant)
    model.generate(PROMPTS, max_new_tokens=2)
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    again = opened("eager", text=str(tmp_path))
    tokens = again.generate(PROMPTS, max_new_tokens=4).token_ids
    assert tokens == model.generate(PROMPTS, max_new_tokens=4).token_ids
    assert again.facts.quantization == "bitsandbytes"
    assert again.facts.weight_bytes == pytest.approx(model.facts.weight_bytes, rel=0.01)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "variant", ["fp16", "bf16", "tf32", "sdpa:flash", "sdpa:efficient", "sdpa:math", "flex_attention"]
)
@pytest.mark.filterwarnings("ignore:_compile flag:DeprecationWarning")  # transformers calls torch so for flex
def test_reading_on_cuda(opened, variant):
    model = opened(variant, CUDA, "random:llama-tiny?hidden_size=256&num_key_value_heads=4")
    assert model.generate(PROMPTS[:1], max_new_tokens=4).new_tokens == 4
    model.ran()


@pytest.mark.gpu
def test_a_kernel_that_cannot_share_keys_says_so(opened):
    with pytest.raises(Unsupported, match="4 heads and 2 of keys on cuda:0"):
        opened("sdpa:efficient", CUDA).prepare()


@pytest.mark.gpu
def test_tf32_is_put_back():
    import torch

    before = torch.backends.cuda.matmul.fp32_precision
    model = applied("tf32", CUDA)
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert model.load_options == {"dtype": "float32"}
    model.close()
    assert torch.backends.cuda.matmul.fp32_precision == before
