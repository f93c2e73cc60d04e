"""OnnxDecoder: tokens from a session; the KV cache stays on the session's device between steps."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

from ...choice import Choice, Chooser
from ...errors import UsageError
from ...generation import Clock, Decoded, Limits, Prompts, trimmed, until_ended
from .export import cache_shape, names


class OnnxDecoder:
    """Feeds what a step gives as `present.*` to the next one as `past.*`, by reference."""

    def __init__(self, session: Any, shape: tuple[int, int, int], place: tuple[str, int]) -> None:
        self.session = session
        self.layers, self.heads, self.head_size = shape
        self.place = place
        self.past = names(self.layers, "past")
        self.present = names(self.layers, "present")
        self.kv_bytes: dict[tuple[int, int], int] = {}
        self.kv_source = "past tensors of the ONNX Runtime session, when they were fullest"

    @classmethod
    def of(cls, session: Any, module: Any, kind: str, index: int) -> OnnxDecoder:
        """The decoder of a module's export."""
        return cls(session, cache_shape(module.config), (kind, index))

    @property
    def ran_on(self) -> str:
        """The provider, as the session says."""
        return str(self.session.get_providers()[0])

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
        clock = Clock(started_ns, tuple(times), "host clock after each ONNX Runtime step")
        return Decoded(tuple(trimmed(row, limits.end) for row in rows), lambda: clock)

    def steps(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[tuple[int | None, ...]]:
        """Each step's tokens, once they are on the host."""
        if choice.beams > 1:
            raise UsageError(
                f"num_beams={choice.beams}: variant 'onnx' follows one text a prompt; use 'eager' for beams"
            )
        return until_ended(self._next_tokens(prompts, limits, choice), len(prompts.input_ids), limits)

    def _next_tokens(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[list[int]]:
        import numpy
        import torch

        chooser = Chooser(choice, "cpu")  # where the logits are

        ids, mask = prompts.input_ids, prompts.attention_mask
        positions = numpy.maximum(mask.cumsum(-1) - 1, 0)
        past = self._empty(len(ids))
        ending = sorted(limits.end)
        for made in range(limits.max_new_tokens):
            every, past = self._step(ids, mask, positions, past, last=1)
            logits = every[:, -1]
            if made < limits.min_new_tokens:
                logits[:, ending] = -numpy.inf
            ids = chooser(torch.from_numpy(logits)).numpy()  # (sequences, 1)
            self._note_held(past, len(ids), mask.shape[1])
            yield ids[:, 0].tolist()
            mask = numpy.concatenate([mask, numpy.ones_like(mask[:, :1])], axis=1)
            positions = positions[:, -1:] + 1

    def _note_held(self, past: list[Any], sequences: int, tokens: int) -> None:
        """Read the size of a cache: once a size, so in a first call and not in the rounds after it."""
        if (sequences, tokens) not in self.kv_bytes:
            self.kv_bytes[sequences, tokens] = sum(value.tensor_size_in_bytes() for value in past)

    def logits(self, texts: Prompts, last: int) -> Any:
        """What comes after the last tokens, in one pass of the session that makes tokens."""
        import numpy
        import torch

        ids, mask = texts.input_ids, texts.attention_mask
        positions = numpy.maximum(mask.cumsum(-1) - 1, 0)
        logits, _ = self._step(ids, mask, positions, self._empty(len(ids)), last)
        return torch.from_numpy(logits)

    def _step(self, ids: Any, mask: Any, positions: Any, past: list[Any], last: int) -> tuple[Any, list[Any]]:
        import numpy

        binding = self.session.io_binding()
        keep = numpy.arange(ids.shape[1] - last, ids.shape[1])
        named = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "logits_to_keep": keep}
        for name, array in named.items():
            binding.bind_cpu_input(name, array)
        for name, value in zip(self.past, past, strict=True):
            binding.bind_ortvalue_input(name, value)
        binding.bind_output("logits", "cpu")
        for name in self.present:
            binding.bind_output(name, *self.place)
        self.session.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        return logits.numpy(), present

    def _empty(self, sequences: int) -> list[Any]:
        import numpy
        import onnxruntime

        kind = next(entry.type for entry in self.session.get_inputs() if entry.name == self.past[0])
        dtype = {"tensor(float)": numpy.float32, "tensor(float16)": numpy.float16}[kind]
        shape = [sequences, self.heads, 0, self.head_size]
        return [onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, *self.place) for _ in self.past]

    def close(self) -> None:
        """Give the session back, with its weights and arena."""
        self.session = None
