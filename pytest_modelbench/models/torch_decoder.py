"""TorchDecoder: tokens by torch, eagerly or compiled, by the roads transformers' users take.

`generate` is `module.generate`: with its growing cache when eager, with its static cache and compiled step otherwise.
`steps` is a loop over `module(...)` that brings each token to the host, as a server that streams does.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from time import perf_counter_ns
from typing import Any

from ..generation import Clock, Decoded, Limits, Prompts, trimmed, until_ended

# Chosen here: a prompt a few tokens longer than the last one shall not compile anew, and attending to at most this many
# empty places costs less than a step's noise.
CACHE_STEP = 128


class TorchDecoder:
    """Greedy decoding of a transformers module; `compile_mode` is one of `torch.compile`'s, or None for eager."""

    def __init__(self, module: Any, compile_mode: str | None = None) -> None:
        self.module = module
        self.compile_mode = compile_mode
        #: Static caches with their lengths, by sequences.
        self._static: dict[int, tuple[int, Any]] = {}
        self._on_device: dict[Prompts, tuple[Any, Any]] = {}

    @property
    def ran_on(self) -> str:
        """What runs, as far as it is known before it did."""
        import torch

        where = self.module.device
        name = f" ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else ""
        threads = f", {torch.get_num_threads()} threads" if where.type == "cpu" else ""
        return f"torch {torch.__version__} eager on {where}{name}{threads}"

    def generate(self, prompts: Prompts, limits: Limits) -> Decoded:
        """All new tokens, by `module.generate`."""
        from transformers import GenerationConfig, LogitsProcessorList

        ids, mask = self._tensors(prompts)
        config = GenerationConfig(
            max_new_tokens=limits.max_new_tokens,
            min_new_tokens=limits.min_new_tokens or None,
            eos_token_id=sorted(limits.end) or None,
            pad_token_id=limits.pad,
            do_sample=False,
            compile_config=self._compile_config,
        )
        cache = self._cache(len(ids), ids.shape[1] + limits.max_new_tokens)
        with self._compiler_unheard():
            timer = StepTimer(self.module.device)
            output = self.module.generate(
                ids,
                attention_mask=mask,
                generation_config=config,
                past_key_values=cache,
                logits_processor=LogitsProcessorList([timer]),
            )
        rows = tuple(trimmed(row, limits.end) for row in output[:, ids.shape[1] :].tolist())
        return Decoded(rows, lambda: timer.clock(max(map(len, rows))))

    def steps(self, prompts: Prompts, limits: Limits) -> Iterator[tuple[int | None, ...]]:
        """Each step's tokens, once they are on the host."""
        return until_ended(self._next_tokens(prompts, limits), len(prompts.input_ids), limits)

    def _next_tokens(self, prompts: Prompts, limits: Limits) -> Iterator[list[int]]:
        import torch

        ids, mask = self._tensors(prompts)
        cache = self._cache(len(ids), ids.shape[1] + limits.max_new_tokens)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        step, ending = self.module, sorted(limits.end)
        for made in range(limits.max_new_tokens):
            # no_grad as generate does: inference_mode would make the compiler start over.
            with self._compiler_unheard(), torch.no_grad():
                # The very arguments that generate gives, so that both run one compiled graph.
                inputs = self.module.prepare_inputs_for_generation(
                    ids,
                    past_key_values=cache,
                    attention_mask=mask,
                    use_cache=True,
                    is_first_iteration=not made,
                    **self._accepted(position_ids=positions, logits_to_keep=1),
                )
                logits = step(**inputs, return_dict=True).logits[:, -1].float()  # (sequences, vocabulary)
                if made < limits.min_new_tokens:
                    logits[:, ending] = -torch.inf
                ids = logits.argmax(-1, keepdim=True)
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
                positions = positions[:, -1:] + 1
                step = self._compiled_step
            yield ids[:, 0].tolist()

    @cached_property
    def _compile_config(self) -> Any:
        """What makes `generate` compile its step; None when eager."""
        from transformers import CompileConfig

        if self.compile_mode is None:
            return None
        config = CompileConfig(mode=self.compile_mode, dynamic=False)
        config._compile_all_devices = True  # transformers compiles on CPUs only when told so
        return config

    @property
    def _compiled_step(self) -> Any:
        """One token's forward: compiled, and the very same that `generate` compiles, or the module itself."""
        return self.module if self.compile_mode is None else self.module.get_compiled_call(self._compile_config)

    @contextmanager
    def _compiler_unheard(self) -> Iterator[None]:
        """Without the warnings of torch's compiler about its own deprecated parts and empty CUDA graphs."""
        if self.compile_mode is None:
            yield
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torch\.")
            yield

    def _cache(self, sequences: int, length: int) -> Any:
        """An empty cache with room for `length` tokens a sequence.

        A compiled step's is kept and never shrinks: its code belongs to the length, its CUDA graphs to the addresses.
        """
        from transformers import DynamicCache, StaticCache

        if self.compile_mode is None:
            return DynamicCache(config=self.module.config)
        room, cache = self._static.get(sequences, (0, None))
        if length > room:
            room = -(-length // CACHE_STEP) * CACHE_STEP
            cache = StaticCache(config=self.module.config, max_cache_len=room)
            self._static[sequences] = room, cache
        cache.reset()
        return cache

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.module.forward).parameters)

    def _accepted(self, **arguments: Any) -> dict[str, Any]:
        """Those that this architecture's forward takes."""
        return {name: value for name, value in arguments.items() if name in self._parameters}

    def _tensors(self, prompts: Prompts) -> tuple[Any, Any]:
        import torch

        if prompts not in self._on_device:
            self._on_device = {
                prompts: (
                    torch.from_numpy(prompts.input_ids).to(self.module.device),
                    torch.from_numpy(prompts.attention_mask).to(self.module.device),
                )
            }
        return self._on_device[prompts]


def _as_a_processor(input_ids: Any, scores: Any) -> Any:
    """What a StepTimer shows as its `__call__` to those that look and do not call."""


_as_a_processor.__signature__ = inspect.signature(_as_a_processor)  # type: ignore[attr-defined]


class StepTimer:
    """A LogitsProcessor that notes when each step's logits are there; on CUDA by events, without a synchronise."""

    def __init__(self, device: Any) -> None:
        self.cuda = device.type == "cuda"
        self.started_ns = perf_counter_ns()
        self.steps_ns: list[int] = []
        self.events = [self._event()] if self.cuda else []
        # transformers looks for the signature of `__call__` at every step, which takes 10 us: here it lies ready
        vars(self)["__call__"] = _as_a_processor

    def _event(self) -> Any:
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self.cuda:
            self.events.append(self._event())
        else:
            self.steps_ns.append(perf_counter_ns())
        return scores

    def clock(self, steps: int) -> Clock:
        """Times of the first `steps` tokens (transformers may run one more and undo it); after a synchronise."""
        if not self.cuda:
            return Clock(self.started_ns, tuple(self.steps_ns[:steps]), "host clock in a LogitsProcessor")
        first = self.events[0]
        since = [first.elapsed_time(event) / 1e3 for event in self.events[1 : steps + 1]]  # seconds; CUDA counts ms
        at_ns = tuple(self.started_ns + round(seconds * 1e9) for seconds in since)
        return Clock(self.started_ns, at_ns, "CUDA events in a LogitsProcessor", since[0])
