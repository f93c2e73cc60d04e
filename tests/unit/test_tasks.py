import pytest

from pytest_modelbench.errors import UsageError
from pytest_modelbench.tasks import task_of


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "GPT2LMHeadModel", "Qwen3ForCausalLM"])
def test_a_decoder_only_model_generates_text(architecture):
    assert task_of({"architectures": [architecture]}, where="m")[0].name == "text-generation"


@pytest.mark.parametrize(
    ("architecture", "keys", "task"),
    [
        ("BertModel", {"vocab_size": 9}, "embedding"),
        ("BertForMaskedLM", {}, "fill-mask"),
        ("BertForSequenceClassification", {}, "text-classification"),
        ("BertForTokenClassification", {}, "token-classification"),
        ("BertForQuestionAnswering", {}, "question-answering"),
    ],
)
def test_the_task_of_an_architecture(architecture, keys, task):
    assert task_of({"architectures": [architecture], **keys}, where="m")[0].name == task


def test_the_choice_is_explained():
    _, why = task_of({"architectures": ["BertModel"], "vocab_size": 9}, where="m")
    assert why == "its architecture BertModel is *Model with vocab_size"


def test_another_architecture_is_named_in_the_error():
    with pytest.raises(UsageError, match="m is SamBackbone, which no task runs"):
        task_of({"architectures": ["SamBackbone"]}, where="m")


def test_an_encoder_decoder_is_no_decoder_only_model_whatever_its_name():
    with pytest.raises(UsageError, match="an encoder-decoder LongForCausalLM"):
        task_of({"architectures": ["LongForCausalLM"], "is_encoder_decoder": True}, where="m")


@pytest.mark.parametrize("config", [{}, {"architectures": None}, {"architectures": []}])
def test_no_architecture_says_what_to_add(config):
    with pytest.raises(UsageError, match=r'"architectures": \["LlamaForCausalLM"\]'):
        task_of(config, where="m")
