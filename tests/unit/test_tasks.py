import pytest

from pytest_modelbench.errors import UsageError
from pytest_modelbench.tasks import task_of


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "GPT2LMHeadModel", "Qwen3ForCausalLM"])
def test_a_decoder_only_model_generates_text(architecture):
    assert task_of({"architectures": [architecture]}, where="m").name == "text-generation"


def test_another_architecture_is_named_in_the_error():
    with pytest.raises(UsageError, match="m is ViTForImageClassification, which no task runs yet"):
        task_of({"architectures": ["ViTForImageClassification"]}, where="m")


def test_an_encoder_decoder_is_no_decoder_only_model_whatever_its_name():
    with pytest.raises(UsageError, match="an encoder-decoder LongForCausalLM"):
        task_of({"architectures": ["LongForCausalLM"], "is_encoder_decoder": True}, where="m")


@pytest.mark.parametrize("config", [{}, {"architectures": None}, {"architectures": []}])
def test_no_architecture_says_what_to_add(config):
    with pytest.raises(UsageError, match=r'"architectures": \["LlamaForCausalLM"\]'):
        task_of(config, where="m")
