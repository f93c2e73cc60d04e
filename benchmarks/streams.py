"""P8: what the clock of each token costs: the same `generate` with the StepTimer and without, in turn.

A Llama of random weights makes 16 tokens after a prompt of 32. A pair is timed, untimed, untimed, timed: slow drift
cancels. On the CPU it has 4 M parameters, so that a step takes milliseconds, and
counted is processor time: one thread does all the work, and wall time on shared cores is also other people's.
On CUDA there are two: one of 1.2 B parameters and one sequence, which waits for the host, whose noise is several
percent; and a wide one with a large batch, which keeps the device busy, so that less than that can be seen.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from time import perf_counter, process_time
from typing import Any

from .figure import Figure, middle
from .peers import absent
from .sessions import ROOT

WHAT = "P8 timing each token, more than plain generate"

SMALL = (
    "random:llama?hidden_size=256&intermediate_size=768&num_hidden_layers=4&num_attention_heads=4"
    "&num_key_value_heads=4&vocab_size=4096"
)
#: Four layers as wide as those of a Llama of 70 B parameters: with 1,024 sequences it takes the device longer.
WIDE = (
    "random:llama?hidden_size=8192&intermediate_size=28672&num_hidden_layers=4&num_attention_heads=64"
    "&num_key_value_heads=8&vocab_size=4096&dtype=bfloat16"
)


def figures(quick: bool) -> Iterator[Figure]:
    """Percent more time."""
    if absent("torch Timer"):
        yield Figure(WHAT, "%", None, 0.5, note="not measured: torch is not installed")
        return
    import torch

    if torch.cuda.is_available():
        yield _paired("cuda, host-bound", "random:llama-1.2b", "cuda:0", 1, 3 if quick else 60)
        yield _paired("cuda, device-bound", WIDE, "cuda:0", 1024, 3 if quick else 20)
    else:
        yield _paired("cpu", SMALL, "cpu", 1, 3 if quick else 200)


def _paired(said: str, source: str, where: str, sequences: int, turns: int) -> Figure:
    """Percent more time with the clock of tokens, over pairs of pairs of calls."""
    generate = _generate(source, where, sequences)
    for timed in (True, False, True, False):
        generate(timed)
    gc.freeze()
    gc.disable()  # as in rounds: a collection in one of four would be the difference
    pairs = []
    for _ in range(turns):
        seconds = [generate(timed) for timed in (True, False, False, True)]
        pairs.append(((seconds[0] + seconds[3]) / (seconds[1] + seconds[2]) - 1) * 100)
    gc.enable()
    gc.unfreeze()
    ours, interval = middle(pairs)
    return Figure(f"{WHAT} ({said})", "%", ours, 0.5, interval)


def _generate(source: str, where: str, sequences: int) -> Any:
    """A function that generates, with the clock of tokens or without, and gives its seconds."""
    import torch
    from transformers import DynamicCache, GenerationConfig, LogitsProcessorList

    from pytest_modelbench.device import Device
    from pytest_modelbench.models import open_model
    from pytest_modelbench.models.torch_decoder import StepTimer
    from pytest_modelbench.settings import Settings
    from pytest_modelbench.source import parse

    kind, _, index = where.partition(":")
    device = Device(where, where, kind, int(index) if index else None)
    settings = Settings(root=ROOT, stores=(), reports=(), asked={})
    module = open_model(parse(source), device, settings).module
    ids = torch.arange(2, 34, device=module.device).expand(sequences, -1)  # (sequences, tokens)
    mask = torch.ones_like(ids)
    config = GenerationConfig(max_new_tokens=16, do_sample=False, pad_token_id=0, eos_token_id=None)

    clock = process_time if device.kind == "cpu" else perf_counter

    def generate(timed: bool) -> float:
        device.synchronise()
        started = clock()
        clocks = [StepTimer(module.device)] if timed else []
        module.generate(
            ids, attention_mask=mask, generation_config=config, logits_processor=LogitsProcessorList(clocks),
            past_key_values=DynamicCache(config=module.config),
        )  # fmt: skip
        device.synchronise()
        return clock() - started

    return generate
