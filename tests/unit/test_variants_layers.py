"""Variants that replace layers, and the decoder that onnxruntime-genai builds."""

import json

import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.errors import Fallback, Unsupported, UsageError
from pytest_modelbench.source import parse
from pytest_modelbench.variants import parse as parse_variant

pytest.importorskip("transformers")

PROMPTS = ["short", "a prompt that is longer"]


def applied(variant, text="random:llama-tiny", device=CPU):
    from pytest_modelbench.models import open_model

    return parse_variant(variant, Catalog()).apply(open_model(parse(text), device, settings()))


@pytest.fixture
def opened():
    models = []

    def opened(*arguments):
        models.append(applied(*arguments))
        return models[-1]

    yield opened
    for model in models:
        model.close()


@pytest.fixture
def repository(tmp_path):
    """A kernel repository with a norm that doubles what it gives, so that what ran can be told."""
    pytest.importorskip("kernels")
    build = tmp_path / "doubled" / "build" / "torch-cpu"
    build.mkdir(parents=True)
    facts = {"id": "doubled", "name": "doubled", "version": 1, "license": "mit", "python-depends": []}
    (build / "metadata.json").write_text(json.dumps(facts | {"backend": {"type": "cpu"}}))
    (build / "__init__.py").write_text("from . import layers\n")
    (build / "layers.py").write_text(
        "import torch\n"
        "class RMSNorm(torch.nn.Module):\n"
        "    weight: torch.Tensor\n"
        "    variance_epsilon: float\n"
        "    def forward(self, hidden_states):\n"
        "        size = (hidden_states.shape[-1],)\n"
        "        return 2 * torch.nn.functional.rms_norm(hidden_states, size, self.weight, self.variance_epsilon)\n"
    )
    return tmp_path / "doubled"


def test_layers_of_a_folder_run_and_are_named(opened, repository):
    import torch

    model, plain = opened(f"kernelized:{repository}"), opened("eager")
    assert model.generate(PROMPTS, max_new_tokens=4).new_tokens == 8
    model.ran()
    assert model.facts.details["layers_replaced"] == "5 RMSNorm"
    assert model.facts.details["kernels_from"] == str(repository)
    states = torch.ones(1, 64)
    torch.testing.assert_close(model.module.model.norm(states), 2 * plain.module.model.norm(states))


def test_no_layer_to_replace_is_a_fallback(opened, repository):
    model = opened(f"kernelized:{repository}", "random:bert-tiny")
    with pytest.raises(Fallback, match=r"no layer of BertModel was replaced \(it has places for GeLU\)"):
        model.prepare()


def test_layers_that_became_plain_are_a_fallback(opened, repository):
    model = opened(f"kernelized:{repository}")
    model.prepare()
    for layer in model.module.modules():
        vars(layer).pop("forward", None)
    with pytest.raises(Fallback, match="asked for kernelized, plain torch would run"):
        model.ran()


def test_the_hubs_kernels_on_a_cpu_replace_nothing_and_say_so(opened):
    pytest.importorskip("kernels")
    with pytest.raises(Fallback, match="it has places for RMSNorm, SiLU"):
        opened("kernelized").prepare()


@pytest.mark.parametrize(("content", "says"), [(None, "which has a folder build"), ("", "its module has no `layers`")])
def test_a_folder_that_is_no_repository(repository, content, says):
    if content is None:
        (repository / "build").rename(repository / "built")
    else:
        (repository / "build/torch-cpu/__init__.py").write_text(content)
    with pytest.raises(UsageError, match=says):
        applied(f"kernelized:{repository}")


def test_a_repository_that_cannot_be_loaded_says_why(repository):
    (repository / "build/torch-cpu/metadata.json").unlink()
    with pytest.raises(UsageError, match=r"cannot be loaded .*metadata\.json"):
        applied(f"kernelized:{repository}")


def test_liger_is_for_gpus():
    from pytest_modelbench.variants.liger import liger

    with pytest.raises(Unsupported, match="not for cpu: use 'kernelized:FOLDER'"):
        liger(applied("eager"))


@pytest.mark.gpu
def test_liger_on_cuda(opened):
    pytest.importorskip("liger_kernel")
    model = opened("liger", "random:llama-tiny?hidden_size=256", CUDA)
    assert model.generate(PROMPTS, max_new_tokens=4).new_tokens == 8
    model.ran()
    assert model.facts.details["layers_replaced"] == "2 LlamaMLP, 5 LlamaRMSNorm"


@pytest.fixture(scope="module")
def genai(exports_cache):
    pytest.importorskip("onnxruntime_genai")
    models = {name: applied(name) for name in ("eager", "onnx-genai", "onnx-genai:int4")}
    yield models
    for model in models.values():
        model.close()


SAME_LENGTH = ["shortly", "as longs"]


@pytest.mark.slow
def test_genai_makes_eagers_tokens(genai):
    made = genai["onnx-genai"].generate(SAME_LENGTH, max_new_tokens=8)
    assert made.token_ids == genai["eager"].generate(SAME_LENGTH, max_new_tokens=8).token_ids
    drawn = {"max_new_tokens": 8, "temperature": 0.7, "seed": 1}
    assert list(genai["onnx-genai"].stream(["a b"], **drawn)) == list(genai["eager"].stream(["a b"], **drawn))
    assert genai["onnx-genai"].facts.ran_on.endswith("fp32 on CPU")
    likely, eager = (genai[name].loglikelihood(["a b"], [" c d"])[0].tokens for name in ("onnx-genai", "eager"))
    assert likely == pytest.approx(eager, abs=1e-5)


@pytest.mark.slow
def test_genai_in_4_bits_is_smaller(genai):
    four = genai["onnx-genai:int4"]
    assert four.generate(SAME_LENGTH, max_new_tokens=8).new_tokens == 16
    assert four.facts.quantization == "onnx-genai:int4"
    assert four.facts.weight_bytes < genai["onnx-genai"].facts.weight_bytes / 1.8


@pytest.mark.slow
def test_genai_reads_prompts_of_one_length(genai):
    with pytest.raises(Unsupported, match="prompts of as many tokens each"):
        genai["onnx-genai"].generate(PROMPTS, max_new_tokens=2)


def test_genai_generates_text():
    pytest.importorskip("onnxruntime_genai")
    with pytest.raises(Unsupported, match="cannot run the task embedding: use 'onnx'"):
        applied("onnx-genai", "random:bert-tiny")


@pytest.mark.slow
def test_what_genais_builder_does_not_know_is_named(exports_cache):
    pytest.importorskip("onnxruntime_genai")
    with pytest.raises(Unsupported, match="its builder cannot make MambaForCausalLM in fp32"):
        applied("onnx-genai", "random:mamba?hidden_size=32&num_hidden_layers=1&vocab_size=300&state_size=4")
