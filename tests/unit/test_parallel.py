"""A model in parts on several ranks: what it computes and says; here they are processes on the CPU."""

from types import SimpleNamespace

import pytest
from ranks import CPU, TEXTS, TINY, opened, other_ranks

from pytest_modelbench.catalog import Catalog
from pytest_modelbench.device import Device
from pytest_modelbench.errors import Fallback, Lost, Unsupported, UsageError
from pytest_modelbench.memory import Peaks
from pytest_modelbench.parity import compare, kept
from pytest_modelbench.variants import parse as parse_variant

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def split(ranks_here):
    """The same model on two ranks, for all tests that do not break it."""
    model = opened("sdpa:math+tensor-parallel:2")
    processes = other_ranks(model)
    yield model
    model.close()
    assert [process.poll() for process in processes] == [0]
    assert not torch.distributed.is_initialized()


# -- it computes the same


def test_tokens_and_logits_are_those_of_eager(split, whole):
    split.witness = None
    assert split.generate(TEXTS, max_new_tokens=12).token_ids == whole.generate(TEXTS, max_new_tokens=12).token_ids
    scores = compare(kept(split.witness.arrays()), kept(split.witness.repeat(whole)))
    assert scores["parity_tokens"].value == 1
    assert scores["parity_max_difference"].value < 1e-5
    split.ran()
    assert split.facts.details["ranks_agreed"] == 2


def test_likelihoods_are_those_of_eager(split, whole):
    asked = (["the of", "one two"], [" and", " three four"])
    for ours, eagers in zip(split.loglikelihood(*asked), whole.loglikelihood(*asked), strict=True):
        assert ours.tokens == pytest.approx(eagers.tokens, abs=1e-5)
    split.ran()


@pytest.mark.parametrize("asked", [{"temperature": 0.8, "seed": 3}, {"num_beams": 3}], ids=str)
def test_every_rank_makes_the_same_choice(split, whole, asked):
    ours, eagers = (model.generate(TEXTS, max_new_tokens=10, **asked).token_ids for model in (split, whole))
    assert ours == eagers
    split.ran()


def test_a_call_is_timed_as_torchs_are(split):
    clock = split.generate(TEXTS, max_new_tokens=5).clock()
    assert len(clock.token_ns) == 5
    assert clock.started_ns < clock.token_ns[0] < clock.token_ns[-1]
    assert "LogitsProcessor" in clock.taken_by


# -- streams


def test_a_stream_may_end_at_any_step(split, whole):
    expected = list(whole.stream(TEXTS, max_new_tokens=8))
    assert list(split.stream(TEXTS, max_new_tokens=8)) == expected
    split.ran()
    stream = split.stream(TEXTS, max_new_tokens=8)
    assert [next(stream), next(stream)] == expected[:2]
    split.ran()  # asked of each rank while it is open
    assert next(stream) == expected[2]
    stream.close()
    split.ran()
    assert list(split.stream(TEXTS, max_new_tokens=3)) == expected[:3]


def test_a_call_ends_a_stream_that_is_open(split, whole):
    stream = split.stream(TEXTS, max_new_tokens=8)
    next(stream)
    assert split.generate(TEXTS, max_new_tokens=4).token_ids == whole.generate(TEXTS, max_new_tokens=4).token_ids
    with pytest.raises(UsageError, match="the model was called again"):
        next(stream)
    split.ran()


def test_what_cannot_be_meant_is_refused_before_other_ranks_hear_of_it(split):
    calls = split.decoder._calls
    with pytest.raises(UsageError, match="num_beams=2"):
        next(split.stream(TEXTS, max_new_tokens=4, num_beams=2))
    assert split.decoder._calls == calls
    split.ran()


def test_ranks_that_do_not_compute_the_same_are_found_out(split, monkeypatch):
    ended = []
    monkeypatch.setattr(split.elsewhere, "end", ended.append)
    split.generate(TEXTS, max_new_tokens=4)
    split.ran()
    monkeypatch.setattr(split.decoder, "_made", [((1, 2),)])
    with pytest.raises(Lost, match=r"rank 1 on cpu made .* calls to .* here, or other tokens in the last"):
        split.ran()
    assert ended


# -- what is told


def test_the_record_says_what_was_split_and_where_it_lies(split, whole):
    details = split.facts.details
    assert (details["ranks"], details["ranks_backend"], details["ranks_on"]) == (2, "gloo", "cpu, cpu")
    assert details["linear_layers"] == 15
    assert details["layers_split"] >= 15  # with the embedding, where the plan has it
    assert details["split_by"].partition(": ")[2].startswith("15 of 15 linear layers")
    assert [part.partition(": ")[0] for part in details["weights_on"].split(", ")] == ["rank 0 on cpu", "rank 1 on cpu"]
    assert split.facts.ran_on.startswith(f"torch {torch.__version__} eager on 2 ranks (gloo): the CPU")
    assert split.facts.parameters == whole.facts.parameters
    # norms are whole on each rank, and so is the embedding where the plan leaves it out
    assert whole.facts.weight_bytes < split.facts.weight_bytes < 1.3 * whole.facts.weight_bytes


def test_work_and_memory_are_of_all_ranks(split, whole):
    for model in (split, whole):
        model.calls.clear()
        model.generate(TEXTS, max_new_tokens=6)
    ours, eagers = split.work.cost(split.calls, 1), whole.work.cost(whole.calls, 1)
    assert ours.flops == eagers.flops
    assert ours.bytes_moved == pytest.approx(eagers.bytes_moved, rel=0.05)
    assert split.kv_bytes(split.calls)[0] == whole.kv_bytes(whole.calls)[0]
    alone, both = Peaks(CPU), Peaks(CPU, split.elsewhere)
    alone.start()
    both.start()
    split.generate(TEXTS, max_new_tokens=6)
    read = both.read()
    # a process that has imported torch; how much this one holds depends on the tests before
    assert read.process_peak_bytes - alone.read().process_peak_bytes > 2**27
    assert read.sources["process_peak_bytes"].endswith("the sum of 2 processes")


def test_a_model_whose_layers_stay_whole_is_a_fallback(split):
    from pytest_modelbench.variants.tensor_parallel import _note

    with pytest.raises(Fallback, match=r"each rank would compute all of LlamaForCausalLM.*leave 'tensor-parallel' out"):
        _note(split, SimpleNamespace(parts=[{"layers_split": 0, "weight_bytes": 0, "read_bytes": 0}]))


# -- what cannot be


@pytest.mark.parametrize(
    ("variant", "source", "said"),
    [
        ("tensor-parallel:3", TINY, "num_key_value_heads=2 of 'random:llama-tiny' cannot be shared by 3 ranks: use 2"),
        ("tensor-parallel", "random:llama?num_attention_heads=4&num_key_value_heads=1", "by 2 ranks: 'spread' puts"),
        ("tensor-parallel", "random:gpt2", "transformers has no plan for gpt2; it has one for llama"),
        ("tensor-parallel", "random:bert-tiny", "splits models for text-generation, not for embedding: 'spread'"),
        ("bnb-nf4+tensor-parallel", TINY, r"goes with dtypes and attention \(bf16\+tensor-parallel\), not with 'bnb"),
    ],
)
def test_a_model_that_cannot_be_split_says_what_can(ranks_here, variant, source, said):
    with pytest.raises(Unsupported, match=said):
        opened(variant, source)


def test_a_device_without_several_says_how_to_name_them():
    with pytest.raises(Unsupported, match=r"cuda:0 is one: --device cuda:0\+1"):
        opened("tensor-parallel", device=Device("cuda:0", "cuda", "cuda", 0))
    with pytest.raises(Unsupported, match="runs on cpu and cuda, not on mps"):
        opened("tensor-parallel", device=Device("mps", "mps", "mps"))
    both = Device("cuda:0+1", "cuda:0+1", "cuda", 0, peers=(Device("cuda:1", "cuda:0+1", "cuda", 1),))
    with pytest.raises(UsageError, match="a rank a device is 2; leave the number out"):
        opened("tensor-parallel:4", device=both)


@pytest.mark.parametrize("option", ["1", "two", "0"])
def test_an_option_that_is_no_number_of_ranks(option):
    with pytest.raises(UsageError, match="write the number of ranks, 2 or more"):
        opened(f"tensor-parallel:{option}")


@pytest.mark.parametrize("variant", ["tensor-parallel+compiled", "tensor-parallel+static", "tensor-parallel+onnx"])
def test_it_decides_how_torch_runs(variant):
    with pytest.raises(UsageError, match=r"keep one of them"):
        parse_variant(variant, Catalog())


def test_it_stands_after_what_says_how_weights_are_read():
    with pytest.raises(UsageError, match="put bf16 first"):
        parse_variant("tensor-parallel+bf16", Catalog())
