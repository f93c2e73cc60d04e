"""A model whose layers lie in several places: here the host's memory and the disk; on GPUs there too."""

import pytest
from stand_in import CPU, settings

from pytest_modelbench.errors import Fallback, Unavailable, UnknownName
from pytest_modelbench.parity import compare, kept
from pytest_modelbench.source import parse
from pytest_modelbench.variants import spread as spreading

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

TEXTS = ["the of and"]
CALLS = {
    "random:llama-tiny": lambda model: model.generate(TEXTS, max_new_tokens=4),
    "random:bert-tiny": lambda model: model.embed(TEXTS),
    "random:t5-tiny": lambda model: model.generate(TEXTS, max_new_tokens=4),
}


def opened(text, device=CPU):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), device, settings())


@pytest.fixture
def little_room(monkeypatch):
    """Room for a part of a small model."""
    monkeypatch.setattr(spreading, "room", lambda device, limits: {"cpu": 300_000})


@pytest.mark.parametrize("source", CALLS)
def test_layers_without_room_are_left_on_the_disk_and_the_output_is_the_same(source, little_room):
    whole, model = opened(source), spreading.spread(opened(source))
    CALLS[source](whole)
    CALLS[source](model)
    scores = compare(kept(model.witness.arrays()), kept(whole.witness.arrays()))
    assert scores["parity_max_difference"].value < 1e-5
    assert "disk" in model.facts.details["weights_on"]
    assert model.facts.parameters == whole.facts.parameters
    assert model.facts.weight_bytes == pytest.approx(whole.facts.weight_bytes, rel=0.1)  # a tied tensor lies twice
    model.close()


def test_a_model_that_has_room_is_not_spread():
    with pytest.raises(Fallback, match="all weights of 'random:llama-tiny' are on cpu: there is room"):
        spreading.spread(opened("random:llama-tiny")).prepare()


def test_limits_are_gibibytes():
    assert spreading.room(CPU, {"cpu": 2 * spreading.GIB}) == {"cpu": 2 * 2**30}
    with pytest.raises(UnknownName, match="unknown option 'gp'"):
        spreading.spread(opened("random:llama-tiny"), "gp=1")


def test_a_model_larger_than_memory_is_told_before_it_is_read(monkeypatch):
    from pytest_modelbench.models import reading

    monkeypatch.setattr(reading, "free_bytes", lambda where: 100_000)
    model = opened("random:llama-tiny")
    with pytest.raises(Unavailable, match=r"needs 545 KiB for its weights, and cpu has 97.7 KiB free: read it as bf16"):
        model.prepare()
    assert not model.loaded


def test_a_saved_model_larger_than_memory(monkeypatch, tmp_path):
    from pytest_modelbench.models import reading

    small = opened("random:llama-tiny")
    small.module.save_pretrained(tmp_path)
    small.tokenizer.save_pretrained(tmp_path)
    monkeypatch.setattr(reading, "free_bytes", lambda where: 100_000)
    with pytest.raises(Unavailable, match=r"needs 545 KiB for its weights"):
        opened(str(tmp_path)).prepare()


def test_what_is_free_is_known():
    from pytest_modelbench.models.reading import free_bytes

    assert free_bytes("cpu") > 2**20


# -- on a machine with two GPUs


@pytest.fixture
def two_gpus():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")


@pytest.mark.gpu
def test_a_model_spreads_over_two_gpus(two_gpus, tmp_path):
    from pytest_modelbench.device import lease

    with lease("cuda:0+1", tmp_path) as device:
        assert (device.torch_name, device.indexes) == ("cuda:0", (0, 1))
        whole = opened("random:llama?hidden_size=2048&num_hidden_layers=8&intermediate_size=8192", device)
        expected = whole.generate(TEXTS, max_new_tokens=8).token_ids
        whole.close()
        model = spreading.spread(
            opened("random:llama?hidden_size=2048&num_hidden_layers=8&intermediate_size=8192", device), "gpu=1"
        )
        assert model.generate(TEXTS, max_new_tokens=8).token_ids == expected
        assert {"cuda:0", "cuda:1"} <= {
            part.partition(": ")[0] for part in model.facts.details["weights_on"].split(", ")
        }
        model.close()


@pytest.mark.gpu
def test_layers_of_a_model_on_the_host(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    from pytest_modelbench.device import lease

    with lease("cuda", tmp_path) as device:
        model = spreading.spread(
            opened("random:llama?hidden_size=2048&num_hidden_layers=8&intermediate_size=8192", device), "gpu=1"
        )
        assert model.generate(TEXTS, max_new_tokens=8).new_tokens == 8
        assert "cpu" in model.facts.details["weights_on"]
        model.close()


@pytest.mark.gpu
def test_two_devices_are_leased_together(two_gpus, tmp_path):
    from pytest_modelbench.device import lease

    said = []
    with lease("cuda:0+1", tmp_path) as both:
        assert [peer.name for peer in both.peers] == ["cuda:1"]
        assert len(list(tmp_path.glob("*.holder"))) == 2
        both.synchronise()
    assert not said
    assert not list(tmp_path.glob("*.holder"))
