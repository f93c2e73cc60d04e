"""The step of a text model with its cache as plain tensors, and StepDecoder: tokens from whoever runs that step.

A step is `input_ids, attention_mask, position_ids, logits_to_keep, past.0.key, past.0.value, ...` to `logits,
present.0.key, ...`: what it gives as `present.*` is fed to the next one as `past.*`, by reference, so a cache stays
where its runtime keeps it. `logits_to_keep` says of which new tokens logits are made: of the last one for generation,
of more for a likelihood.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any, Protocol

from ..choice import Choice, Chooser
from ..errors import Unsupported, UsageError
from ..generation import Clock, Decoded, Limits, Prompts, trimmed, until_ended

#: Names of what a step reads beside its cache.
READS = ("input_ids", "attention_mask", "position_ids", "logits_to_keep")


def cache_shape(config: Any, runtime: str) -> tuple[int, int, int]:
    """Layers, key-value heads and head size. Raises Unsupported for a cache that is no list of keys and values."""
    config = config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise Unsupported(
            f"{runtime} cannot export the cache of {config.model_type} ({', '.join(sorted(kinds))}): a decoder whose "
            "layers all attend in full can be, as llama's, qwen2's or gpt2's"
        )
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, size


def names(layers: int, what: str) -> tuple[str, ...]:
    """Names of a cache's tensors: `past.0.key`, `past.0.value`, `past.1.key`, ..."""
    return tuple(f"{what}.{layer}.{part}" for layer in range(layers) for part in ("key", "value"))


def step_of(module: Any, runtime: str) -> tuple[Any, dict[str, Any], dict[str, dict[int, str]], tuple[str, ...]]:
    """A module's step, examples of its inputs, their changing axes, and the names of its outputs.

    Any batch, any number of new tokens, any past, an empty one too.
    """
    import torch

    layers, heads, size = cache_shape(module.config, runtime)
    # Sizes above one and all different: torch.export takes 0 and 1 for constants, and equal sizes for one size.
    batch, past, new, keep = 2, 5, 4, 3
    where = {"device": module.device}
    inputs = {
        "input_ids": torch.ones(batch, new, dtype=torch.int64, **where),
        "attention_mask": torch.ones(batch, past + new, dtype=torch.int64, **where),
        "position_ids": torch.arange(past, past + new, **where).repeat(batch, 1),
        "logits_to_keep": torch.arange(keep, **where),
    }
    kept = names(layers, "past")
    inputs |= {name: torch.zeros(batch, heads, past, size, dtype=module.dtype, **where) for name in kept}
    dynamic = {name: {0: "batch", 1: "tokens"} for name in READS} | {"logits_to_keep": {0: "kept"}}
    dynamic |= {name: {0: "batch", 2: "past"} for name in kept}
    return _step(module), inputs, dynamic, ("logits", *names(layers, "present"))


def _step(module: Any) -> Any:
    import torch
    from transformers import DynamicCache

    own = "logits_to_keep" in inspect.signature(module.forward).parameters

    class Step(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            input_ids, attention_mask, position_ids, keep, *past = tensors
            cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
            output = self.module(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=True,
                **({"logits_to_keep": keep} if own else {}),
            )
            logits = output.logits if own else output.logits[:, keep]
            present = [tensor for layer in output.past_key_values.layers for tensor in (layer.keys, layer.values)]
            return (logits.float(), *present)

    return Step().eval()


class Step(Protocol):
    """A runtime that computes an exported step."""

    #: What it is called in errors and clocks.
    runtime: str

    def empty(self, sequences: int, tokens: int) -> Any:
        """A cache without tokens, that will hold so many a sequence."""
        ...

    def __call__(self, reads: tuple[Any, ...], past: Any) -> tuple[Any, Any]:
        """Logits (sequences, kept, vocabulary) float32 on the host, and the cache with these tokens in it.

        `reads` are arrays in the order of READS.
        """
        ...

    def held_bytes(self, past: Any) -> int:
        """Bytes of a cache."""
        ...


class StepDecoder:
    """A Decoder around a Step; tokens are chosen on the host."""

    def __init__(self, step: Step) -> None:
        self.step: Step | None = step
        self.runtime = step.runtime
        self.kv_bytes: dict[tuple[int, int], int] = {}
        self.kv_source = f"past tensors of {step.runtime}, when they were fullest"

    def generate(self, prompts: Prompts, limits: Limits, choice: Choice) -> Decoded:
        """All new tokens, each noted on the host's clock as it is chosen."""
        started_ns = perf_counter_ns()
        times: list[int] = []
        rows: list[list[int]] = [[] for _ in prompts.input_ids]
        for tokens in self.steps(prompts, limits, choice):
            times.append(perf_counter_ns())
            for row, token in zip(rows, tokens, strict=True):
                if token is not None:
                    row.append(token)
        clock = Clock(started_ns, tuple(times), f"host clock after each {self.runtime} step")
        return Decoded(tuple(trimmed(row, limits.end) for row in rows), lambda: clock)

    def steps(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[tuple[int | None, ...]]:
        """Each step's tokens, once they are on the host."""
        if choice.beams > 1:
            raise UsageError(
                f"num_beams={choice.beams}: {self.runtime} follows one text a prompt; use 'eager' for beams"
            )
        return until_ended(self._next_tokens(prompts, limits, choice), len(prompts.input_ids), limits)

    def _next_tokens(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[list[int]]:
        import numpy
        import torch

        assert self.step is not None, "closed"
        chooser = Chooser(choice, "cpu")  # where the logits are
        ids, mask = prompts.input_ids, prompts.attention_mask
        positions = numpy.maximum(mask.cumsum(-1) - 1, 0)
        past = self.step.empty(len(ids), ids.shape[1] + limits.max_new_tokens)
        ending = sorted(limits.end)
        for made in range(limits.max_new_tokens):
            every, past = self.step(_reads(ids, mask, positions, 1), past)
            logits = every[:, -1]
            if made < limits.min_new_tokens:
                logits[:, ending] = -numpy.inf
            ids = chooser(torch.from_numpy(logits)).numpy()  # (sequences, 1)
            self._note_held(past, len(ids), mask.shape[1])
            yield ids[:, 0].tolist()
            mask = numpy.concatenate([mask, numpy.ones_like(mask[:, :1])], axis=1)
            positions = positions[:, -1:] + 1

    def logits(self, texts: Prompts, last: int) -> Any:
        """What comes after the last tokens, in one pass of what makes tokens."""
        import numpy
        import torch

        assert self.step is not None, "closed"
        ids, mask = texts.input_ids, texts.attention_mask
        positions = numpy.maximum(mask.cumsum(-1) - 1, 0)
        logits, _ = self.step(_reads(ids, mask, positions, last), self.step.empty(len(ids), ids.shape[1]))
        return torch.from_numpy(logits)

    def _note_held(self, past: Any, sequences: int, tokens: int) -> None:
        """Read the size of a cache: once a size, so in a first call and not in the rounds after it."""
        if (sequences, tokens) not in self.kv_bytes:
            assert self.step is not None, "closed"
            self.kv_bytes[sequences, tokens] = self.step.held_bytes(past)

    def close(self) -> None:
        """Give the runtime back, with its weights and arena."""
        self.step = None


def _reads(ids: Any, mask: Any, positions: Any, last: int) -> tuple[Any, ...]:
    """What a step reads, with logits of the last tokens, in the order of READS."""
    import numpy

    return ids, mask, positions, numpy.arange(ids.shape[1] - last, ids.shape[1])
