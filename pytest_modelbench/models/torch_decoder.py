"""TorchDecoder: tokens by torch, eagerly or compiled, by the roads transformers' users take.

`generate` is `module.generate`: with its growing cache or a static one when eager, with the static one and its compiled
step otherwise.
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

from ..choice import Choice, Chooser
from ..errors import UsageError
from ..generation import Clock, Decoded, Limits, Prompts, trimmed, until_ended
from .work import cache_bytes

# Chosen here: a prompt a few tokens longer than the last one shall not compile anew, and attending to at most this many
# empty places costs less than a step's noise.
CACHE_STEP = 128

_GREEDY = Choice()


class TorchDecoder:
    """Tokens of a transformers module; `compiled` are arguments of `torch.compile`, or None for eager.

    The cache grows by a token a step, or is `static`: as long as the whole text from the start. A compiled step's is.
    """

    def __init__(self, module: Any, compiled: dict[str, Any] | None = None, static: bool = False) -> None:
        self.module = module
        self.compiled = compiled
        self.static = static or compiled is not None
        #: Static caches with their lengths, by sequences.
        self._static: dict[int, tuple[int, Any]] = {}
        self._on_device: dict[Prompts, tuple[Any, Any]] = {}
        self.kv_bytes: dict[tuple[int, int], int] = {}
        self.kv_source = "keys and values of the transformers cache, when it was fullest"

    @property
    def ran_on(self) -> str:
        """What runs, as far as it is known before it did."""
        import torch

        where = self.module.device
        name = f" ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else ""
        threads = f", {torch.get_num_threads()} threads" if where.type == "cpu" else ""
        cache = ", static cache" if self.static else ""
        return f"torch {torch.__version__} eager on {where}{name}{threads}{cache}"

    def generate(self, prompts: Prompts, limits: Limits, choice: Choice) -> Decoded:
        """All new tokens, by `module.generate`."""
        from transformers import LogitsProcessorList

        timer = StepTimer(self.module.device)
        ids, mask = self._tensors(prompts)
        cache = self._cache(len(ids), ids.shape[1] + limits.max_new_tokens, choice)
        with self._compiler_unheard(), choice.seeded(self.module.device):
            timer.begin()
            output = self.module.generate(
                ids,
                attention_mask=mask,
                generation_config=self._config(limits, choice),
                past_key_values=cache,
                # the timer comes last: what is left of a step after it is the draw, or finding the largest
                logits_processor=LogitsProcessorList([*choice.warpers(len(limits.end)), timer]),
            )
        self._note_held(cache, len(ids) * choice.beams, output.shape[1] - 1)
        rows = tuple(trimmed(row, limits.end) for row in output[:, ids.shape[1] :].tolist())
        steps = max(map(len, rows)) if choice.beams == 1 else None
        return Decoded(rows, lambda: timer.clock(steps))

    def _config(self, limits: Limits, choice: Choice) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            max_new_tokens=limits.max_new_tokens,
            min_new_tokens=limits.min_new_tokens or None,
            eos_token_id=sorted(limits.end) or None,
            pad_token_id=limits.pad,
            num_beams=choice.beams,
            do_sample=choice.sampled,
            # warping is ours (see above); left out, transformers would put its own default of 50 here
            **({"top_k": 0} if choice.sampled else {}),
            compile_config=self._compile_config,
            # on a GPU transformers compiles whatever has a static cache, unless told not to
            disable_compile=self.compiled is None,
        )

    def steps(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[tuple[int | None, ...]]:
        """Each step's tokens, once they are on the host."""
        chooser = Chooser(choice, self.module.device)
        return until_ended(self._next_tokens(prompts, limits, chooser), len(prompts.input_ids), limits)

    def _next_tokens(self, prompts: Prompts, limits: Limits, chooser: Chooser) -> Iterator[list[int]]:
        import torch

        ids, mask = self._tensors(prompts)
        cache = self._cache(len(ids), ids.shape[1] + limits.max_new_tokens)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        step, ending = self.module, sorted(limits.end)
        for made in range(limits.max_new_tokens):
            # no_grad as generate does: inference_mode would make the compiler start over.
            with self._compiler_unheard(), torch.no_grad():
                inputs = self._inputs(ids, mask, positions, cache, first=not made, keep=1)
                logits = step(**inputs, return_dict=True).logits[:, -1].float()  # (sequences, vocabulary)
                if made < limits.min_new_tokens:
                    logits[:, ending] = -torch.inf
                ids = chooser(logits)
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
                positions = positions[:, -1:] + 1
                step = self._compiled_step
            self._note_held(cache, len(ids), mask.shape[1] - 1)
            yield ids[:, 0].tolist()

    def logits(self, texts: Prompts, last: int) -> Any:
        """What comes after the last tokens, in one pass; compiled in the same mode where steps are."""
        import torch

        ids, mask = self._tensors(texts)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        if self.compiled is None:
            cache = self._cache(len(ids), ids.shape[1])
            inputs = self._inputs(ids, mask, positions, cache, first=True, keep=last)
        else:
            # all logits, whatever is asked: another number of them would be another compilation
            more = self._accepted(position_ids=positions)
            inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False, **more}
        with self._compiler_unheard(), torch.no_grad():
            return self._compiled_pass(**inputs, return_dict=True).logits[:, -last:].float()

    def _inputs(self, ids: Any, mask: Any, positions: Any, cache: Any, *, first: bool, keep: int) -> dict[str, Any]:
        """The very arguments that `generate` gives a step, so that both run one compiled graph."""
        inputs: dict[str, Any] = self.module.prepare_inputs_for_generation(
            ids,
            past_key_values=cache,
            attention_mask=mask,
            use_cache=True,
            is_first_iteration=first,
            **self._accepted(position_ids=positions, logits_to_keep=keep),
        )
        return inputs

    @cached_property
    def _compile_config(self) -> Any:
        """What makes `generate` compile its step; None when eager."""
        from transformers import CompileConfig

        if self.compiled is None:
            return None
        config = CompileConfig(**self.compiled)
        config._compile_all_devices = True  # transformers compiles on CPUs only when told so
        return config

    @property
    def _compiled_step(self) -> Any:
        """One token's forward: compiled, and the very same that `generate` compiles, or the module itself."""
        return self.module if self.compiled is None else self.module.get_compiled_call(self._compile_config)

    @contextmanager
    def _compiler_unheard(self) -> Iterator[None]:
        """Without the warnings of torch's compiler about its own deprecated parts and empty CUDA graphs."""
        if self.compiled is None:
            yield
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torch\.")
            yield

    def _cache(self, sequences: int, length: int, choice: Choice = _GREEDY) -> Any:
        """An empty cache with room for `length` tokens a sequence.

        A static one is kept and never shrinks: a compiled step's code belongs to the length, its CUDA graphs to the
        addresses. Raises UsageError for beams in it, which move its rows about.
        """
        from transformers import DynamicCache, StaticCache

        if not self.static:
            return DynamicCache(config=self.module.config)
        if choice.beams > 1:
            raise UsageError(f"num_beams={choice.beams}: beams need the growing cache of the variant 'eager'")
        room, cache = self._static.get(sequences, (0, None))
        if length > room:
            room = -(-length // CACHE_STEP) * CACHE_STEP
            cache = StaticCache(config=self.module.config, max_cache_len=room)
            self._static[sequences] = room, cache
        cache.reset()
        return cache

    def _note_held(self, cache: Any, sequences: int, tokens: int) -> None:
        """Read the size of a cache that is full: once a size, so in a first call and not in the rounds after it."""
        if (sequences, tokens) in self.kv_bytes:
            return
        # compiled steps keep a cache for each number of sequences
        held = [cache] if self.compiled is None else [kept for _, kept in self._static.values()]
        sizes = [cache_bytes(one) for one in held]
        if None not in sizes:
            self.kv_bytes[sequences, tokens] = sum(size for size in sizes if size is not None)

    @cached_property
    def _compiled_pass(self) -> Any:
        """A forward of whole texts, compiled for the first size and then for any, or the module itself."""
        import torch

        if self.compiled is None:
            return self.module
        return torch.compile(self.module.__call__, **self.compiled | {"dynamic": True})

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
    """A LogitsProcessor that notes when each step's logits are there; on CUDA by events, without a synchronise.

    Made at the entry of a call, told of its first work on the device. An event is on the device's clock: the first one
    lies on an idle device, so it is reached when the host has recorded it, and that moment of the host's clock plus the
    device's seconds since is the earliest at which a host that waits for an event could know of it.
    """

    def __init__(self, device: Any) -> None:
        self.cuda = device.type == "cuda"
        self.started_ns = self.recorded_ns = perf_counter_ns()
        self.steps_ns: list[int] = []
        self.events: list[Any] = []
        # transformers looks for the signature of `__call__` at every step, which takes 10 us: here it lies ready
        vars(self)["__call__"] = _as_a_processor

    def begin(self) -> None:
        """Note the first work of the call on the device."""
        if self.cuda:
            self.events.append(self._event())
            self.recorded_ns = perf_counter_ns()

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

    def clock(self, steps: int | None) -> Clock:
        """Times of the first `steps` tokens (transformers may run one more and undo it); after a synchronise.

        None is of beams: all steps count, and no token is certain before the last of them.
        """
        beams = "; steps of beams, whose tokens are certain only at the end" if steps is None else ""
        if not self.cuda:
            return Clock(self.started_ns, tuple(self.steps_ns[:steps]), f"host clock in a LogitsProcessor{beams}")
        first, *events = self.events
        since = [first.elapsed_time(event) / 1e3 for event in events[:steps]]  # seconds; CUDA counts ms
        at_ns = tuple(self.recorded_ns + round(seconds * 1e9) for seconds in since)
        return Clock(self.started_ns, at_ns, f"CUDA events in a LogitsProcessor{beams}", since[0])
