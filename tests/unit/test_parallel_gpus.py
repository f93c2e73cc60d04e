"""A model in parts on two GPUs, by NCCL. `pytest tests/unit/test_parallel_gpus.py -m gpu -s` prints what it saw."""

import gc
import statistics
import threading
import time

import pytest
from ranks import TEXTS, alive, opened, other_ranks

from pytest_modelbench.errors import Lost
from pytest_modelbench.memory import Peaks
from pytest_modelbench.parity import compare, kept

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.gpu

MIDDLE = "random:llama?hidden_size=2048&num_hidden_layers=8&intermediate_size=8192"
LARGE = "random:llama?hidden_size=4096&num_hidden_layers=16&intermediate_size=14336&num_key_value_heads=8"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    from pytest_modelbench.device import lease

    with lease("cuda:0+1", tmp_path_factory.mktemp("leases")) as device:
        yield device


def seconds(model, call):
    """Of the median of five calls, after two."""
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        call(model)
        torch.cuda.synchronize(0)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[2:])


def test_two_gpus_make_the_tokens_of_one(both):
    whole = opened("fp32", MIDDLE, both)
    expected = whole.generate(TEXTS, max_new_tokens=16).token_ids
    eagers = kept(whole.witness.arrays())
    weight_bytes = whole.facts.weight_bytes
    whole.close()

    began = time.perf_counter()
    model = opened("fp32+tensor-parallel", MIDDLE, both)
    print(f"\nstarted and read in {time.perf_counter() - began:.1f} s: {model.facts.ran_on}")
    print(f"weights on {model.facts.details['weights_on']}; {model.facts.details['split_by']}")
    processes = other_ranks(model)
    peaks = Peaks(both, model.elsewhere)
    peaks.start()
    assert model.generate(TEXTS, max_new_tokens=16).token_ids == expected
    memory = peaks.read()
    print(f"peaks by device: {memory.by_device}")
    scores = compare(kept(model.witness.arrays()), eagers)
    print({name: score.value for name, score in scores.items()})
    assert scores["parity_max_difference"].value < 1e-3
    model.ran()
    assert model.facts.details["ranks_backend"].startswith("nccl ")
    assert set(memory.by_device) == {"cuda:0", "cuda:1"}
    half, most = weight_bytes // 3, weight_bytes
    assert all(half < peak < most for peak in memory.by_device.values())
    assert list(model.stream(TEXTS, max_new_tokens=4)) == list(zip(*expected, strict=True))[:4]
    model.ran()
    model.close()
    assert not any(alive(process.pid) for process in processes)


def test_a_rank_that_dies_on_a_gpu_is_named_and_the_next_call_has_new_ones(both):
    model = opened("bf16+tensor-parallel", MIDDLE, both)
    tokens = model.generate(TEXTS, max_new_tokens=8).token_ids
    [process] = other_ranks(model)
    killer = threading.Timer(1.0, process.kill)
    killer.start()
    began = time.monotonic()
    with pytest.raises(Lost, match="rank 1 on cuda:1 ended: crashed: signal SIGKILL"):
        model.generate(TEXTS, max_new_tokens=1500)
    killer.join()
    print(f"\nthe loss of a rank was told {time.monotonic() - began - 1.0:.1f} s after it")
    assert time.monotonic() - began < 60
    assert model.generate(TEXTS, max_new_tokens=8).token_ids == tokens
    model.ran()
    model.close()


def test_a_rank_that_runs_out_of_memory_says_so(both):
    from pytest_modelbench.memory import ran_out

    model = opened("bf16+tensor-parallel", MIDDLE, both)
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        model.generate(["the of and " * 300] * 8192, max_new_tokens=1, chat=False)
    print(f"\n{type(caught.value).__name__}: {str(caught.value)[:200]}")
    assert ran_out(caught.value)
    del caught  # its frames hold tensors
    gc.collect()
    assert model.generate(TEXTS, max_new_tokens=4).new_tokens == 8
    model.close()


@pytest.mark.parametrize("source", [MIDDLE, LARGE], ids=["middle", "large"])
def test_what_two_gpus_bring(both, source):
    """No claim: what it takes on this machine, to be read."""
    long = ["the of and " * 500]
    calls = {
        "generate 64": lambda model: model.generate(TEXTS[:1], max_new_tokens=64),
        "stream 64": lambda model: list(model.stream(TEXTS[:1], max_new_tokens=64)),
        "long prompt": lambda model: model.generate(long, max_new_tokens=1, chat=False),
    }
    print()
    for variant in ("bf16", "bf16+tensor-parallel"):
        model = opened(variant, source, both)
        took = {name: f"{seconds(model, call) * 1e3:.1f} ms" for name, call in calls.items()}
        print(f"{variant}: {took}, {model.facts.ran_on}")
        model.close()
        both.empty_cache()
