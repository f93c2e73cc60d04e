"""How tokens are chosen: by chance with a seed, by beams, from a static cache; the same on torch and ONNX Runtime."""

import sys
import types
import warnings

import pytest
from stand_in import CPU, CUDA, settings

from pytest_modelbench.choice import Choice
from pytest_modelbench.errors import UsageError
from pytest_modelbench.source import parse

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

PROMPTS = ["short", "a prompt that is longer"]
ASKED = [
    {"do_sample": True},
    {"temperature": 0.7},
    {"top_k": 5},
    {"top_p": 0.5},
    {"temperature": 1.3, "top_k": 40, "top_p": 0.9, "seed": 7},
]


def opened(text="random:llama-tiny", device=CPU):
    from pytest_modelbench.models import open_model

    return open_model(parse(text), device, settings())


@pytest.fixture(scope="module")
def model():
    model = opened()
    yield model
    model.close()


def made(model, **asked):
    return model.generate(PROMPTS, max_new_tokens=12, **asked).token_ids


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_a_seed_is_a_text(model, asked):
    first = made(model, **asked)
    assert made(model, **asked) == first
    assert first != made(model, **asked | {"seed": 8})
    assert first != made(model), "greedy"


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_the_stream_draws_the_same_tokens(model, asked):
    steps = list(model.stream(PROMPTS, max_new_tokens=12, **asked))
    assert tuple(zip(*steps, strict=True)) == made(model, **asked)


def test_what_is_drawn_is_what_transformers_draws(model):
    """By its own options, not by our warpers."""
    encoded = model.encode(PROMPTS)
    ids, mask = torch.from_numpy(encoded.input_ids), torch.from_numpy(encoded.attention_mask)
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = model.module.generate(
            ids, attention_mask=mask, max_new_tokens=12, do_sample=True, temperature=0.8, top_k=20, top_p=0.9,
            pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
    expected = tuple(tuple(row) for row in output[:, ids.shape[1] :].tolist())
    assert made(model, temperature=0.8, top_k=20, top_p=0.9, seed=3) == expected


def test_top_k_of_one_is_greedy(model):
    assert made(model, top_k=1) == made(model)


def test_nothing_but_the_likely_is_drawn(model):
    """Every token of top_k=3 is among the three likeliest after the tokens before it."""
    (row,) = model.generate(PROMPTS[:1], max_new_tokens=8, top_k=3, seed=5).token_ids
    prompt = torch.from_numpy(model.encode(PROMPTS[:1]).input_ids)
    with torch.no_grad():
        logits = model.module(torch.cat([prompt, torch.tensor([row])], dim=-1)).logits[0]
    likeliest = logits[prompt.shape[1] - 1 : -1].topk(3).indices.tolist()
    assert all(token in three for token, three in zip(row, likeliest, strict=True))


def test_the_benchs_own_random_numbers_go_on(model):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    made(model, do_sample=True)
    assert torch.equal(torch.rand(3), expected)


def test_beams_find_what_transformers_finds(model):
    encoded = model.encode(PROMPTS)
    ids, mask = torch.from_numpy(encoded.input_ids), torch.from_numpy(encoded.attention_mask)
    output = model.module.generate(
        ids, attention_mask=mask, max_new_tokens=12, num_beams=3, pad_token_id=0, eos_token_id=None
    )
    got = model.generate(PROMPTS, max_new_tokens=12, num_beams=3)
    assert got.token_ids == tuple(tuple(row) for row in output[:, ids.shape[1] :].tolist())
    clock = got.clock()
    assert len(clock.token_ns) == 12
    assert "certain only at the end" in clock.taken_by


def test_beams_are_drawn_with_a_seed_too(model):
    asked = {"num_beams": 2, "top_k": 1, "seed": 4}  # a beam has two to draw from, whatever top_k says
    assert made(model, **asked) == made(model, **asked)


def test_beams_do_not_stream(model):
    with pytest.raises(UsageError, match="known only at the end; use generate"):
        model.stream(PROMPTS, max_new_tokens=2, num_beams=2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"temperature": 0}, "temperature=0: above 0"),
        ({"top_k": 0}, "top_k=0: at least 1"),
        ({"top_p": 1.5}, "top_p=1.5: above 0, at most 1"),
        ({"num_beams": 0, "top_p": 0.0}, "top_p=0.0: above 0, at most 1; num_beams=0: at least 1"),
        ({"do_sample": False, "seed": 1}, "do_sample=False with seed=1: nothing is drawn"),
    ],
)
def test_choices_that_cannot_be_meant(model, asked, said):
    with pytest.raises(UsageError, match=said):
        made(model, **asked)


def test_a_misspelt_option_is_an_error(model):
    with pytest.raises(TypeError, match="tempurature"):
        made(model, tempurature=1)


def test_greedy_unless_asked():
    assert Choice.of() == Choice()
    assert Choice.of(num_beams=4) == Choice(beams=4)
    assert Choice.of(seed=4) == Choice(sampled=True, seed=4)


# -- the static cache


@pytest.fixture(scope="module")
def static_model():
    from pytest_modelbench.variants.static import static

    model = static(opened())
    yield model
    model.close()


def test_a_static_cache_gives_the_same_tokens(model, static_model):
    assert made(static_model) == made(model)
    assert made(static_model, top_k=5) == made(model, top_k=5)
    assert list(static_model.stream(PROMPTS, max_new_tokens=6)) == list(model.stream(PROMPTS, max_new_tokens=6))
    assert static_model.facts.ran_on.endswith("static cache")
    assert "static" not in model.facts.ran_on


def test_a_static_cache_is_static_and_nothing_is_compiled(static_model):
    from torch._dynamo.utils import counters
    from transformers import StaticCache

    before = counters["stats"]["unique_graphs"]
    made(static_model)
    assert all(isinstance(cache, StaticCache) for _, cache in static_model.decoder._static.values())
    assert counters["stats"]["unique_graphs"] == before


def test_a_static_cache_has_no_beams(static_model):
    with pytest.raises(UsageError, match="beams need the growing cache"):
        made(static_model, num_beams=2)


def test_static_has_no_options_and_one_task():
    from pytest_modelbench.variants.static import static

    with pytest.raises(UsageError, match="static has no options"):
        static(opened(), "long")
    stranger = types.SimpleNamespace(facts=types.SimpleNamespace(task="image-classification"))
    with pytest.raises(UsageError, match="does not know how to run the task image-classification"):
        static(stranger)


def test_static_and_compiled_contradict():
    from pytest_modelbench.variants.compiled import compiled
    from pytest_modelbench.variants.static import static

    with pytest.raises(UsageError, match="two variants say how"):
        compiled(static(opened()))


# -- ONNX Runtime


@pytest.fixture(scope="module")
def onnx_model(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from pytest_modelbench.variants.onnx import onnx

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = onnx(opened())
    yield model
    model.close()


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_onnx_draws_eagers_tokens(model, onnx_model, asked):
    assert made(onnx_model, **asked) == made(model, **asked)
    steps = list(onnx_model.stream(PROMPTS, max_new_tokens=12, **asked))
    assert tuple(zip(*steps, strict=True)) == made(model, **asked)


def test_onnx_has_no_beams(onnx_model):
    with pytest.raises(UsageError, match="use 'eager' for beams"):
        made(onnx_model, num_beams=2)


# -- the clock of tokens


class Event:
    """A CUDA event that is never waited for: reached 2 ms after the one before."""

    made = 0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        Event.made += 1
        self.at_ms = 2.0 * Event.made

    def elapsed_time(self, later):
        return later.at_ms - self.at_ms

    def synchronize(self):
        raise AssertionError("waited for an event")


def test_the_token_clock_waits_for_nothing(monkeypatch):
    from pytest_modelbench.models import torch_decoder

    def waited(*_):
        raise AssertionError("waited for the device")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", waited)
    monkeypatch.setattr(torch.accelerator, "synchronize", waited)
    now = iter([1_000_000_000, 1_000_500_000])
    monkeypatch.setattr(torch_decoder, "perf_counter_ns", lambda: next(now))
    timer = torch_decoder.StepTimer(types.SimpleNamespace(type="cuda"))
    timer.begin()
    scores = object()
    assert all(timer(None, scores) is scores for _ in range(4)), "logits go through untouched"
    clock = timer.clock(3)
    assert clock.started_ns == 1_000_000_000
    # by the host: half a millisecond until the device had its first work, then what the device took
    assert clock.token_ns == (1_002_500_000, 1_004_500_000, 1_006_500_000)
    assert clock.ttft_device_seconds == pytest.approx(0.002)


@pytest.mark.gpu
def test_a_step_on_cuda_costs_no_wait(monkeypatch, tmp_path):
    from pytest_modelbench.device import lease
    from pytest_modelbench.models.torch_decoder import StepTimer

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    waits = []
    with lease("cuda", tmp_path) as device:
        model = opened(device=CUDA)
        made(model)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: waits.append("device"))
        monkeypatch.setattr(torch.cuda.Event, "synchronize", lambda *_: waits.append("event"))
        timer = StepTimer(torch.device(device.torch_name))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls this mode a prototype
            torch.cuda.set_sync_debug_mode("error")
            try:
                timer.begin()
                for _ in range(16):
                    timer(None, None)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        for asked in ({}, {"top_k": 5}):
            got = model.generate(PROMPTS, max_new_tokens=12, **asked)
            assert list(zip(*model.stream(PROMPTS, max_new_tokens=12, **asked), strict=True)) == list(got.token_ids)
        assert waits == []
        monkeypatch.undo()
        model.close()


@pytest.mark.gpu
def test_times_on_cuda_are_what_the_host_could_know(tmp_path):
    from time import perf_counter_ns

    from pytest_modelbench.device import lease

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path) as device:
        model = opened(device=CUDA)
        made(model)
        for _ in range(5):
            device.synchronise()
            before = perf_counter_ns()
            got = model.generate(PROMPTS, max_new_tokens=32)
            after = perf_counter_ns()
            device.synchronise()
            clock = got.clock()
            assert before <= clock.started_ns < clock.token_ns[0]
            # an event's clock has half a microsecond; the first event may be reached 10 us after it was recorded
            assert clock.token_ns[-1] <= after + 20_000
            assert list(clock.token_ns) == sorted(clock.token_ns)
            host = (clock.token_ns[0] - clock.started_ns) * 1e-9
            assert 0 < clock.ttft_device_seconds <= host
            print("ttft", host, "on the device", clock.ttft_device_seconds, clock.taken_by, file=sys.stderr)
        model.close()


@pytest.mark.gpu
def test_choices_on_cuda(tmp_path):
    from pytest_modelbench.device import lease
    from pytest_modelbench.variants.static import static

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path):
        eager, kept = opened(device=CUDA), opened(device=CUDA)
        for model in (eager, kept):  # in bfloat16 another order of sums is another token now and then
            model.load_with(dtype="float32")
        static(kept)
        for asked in ASKED:
            assert made(eager, **asked) == made(eager, **asked)
        assert made(kept) == made(eager)
        torch.manual_seed(1)
        expected = torch.rand(3, device="cuda")
        torch.manual_seed(1)
        made(eager, do_sample=True)
        assert torch.equal(torch.rand(3, device="cuda"), expected)
        assert len(made(eager, num_beams=3)[0]) == 12
        eager.close()
        kept.close()
