"""Generation: what a text model's `generate` hands back, with the moment each token came; and how tokens are made.

A Decoder is a runtime's way to make tokens, apart from what the model is: torch's is `models/torch_decoder.py`, that of
exports `exports/decoder.py`. All choose greedily unless told otherwise (`choice.py`), so that two runtimes of one model
can be compared by token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .choice import Choice

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True)
class Clock:
    """When the tokens of one call came; resolved after the device is synchronised, outside the timed part."""

    #: Host clock (`time.perf_counter_ns`): entry of the call, then when the host could first know each step's token.
    started_ns: int
    token_ns: tuple[int, ...]
    #: In words a reader can check: "CUDA events in a LogitsProcessor".
    taken_by: str
    #: From the device's first work of the call to the first token, by device events; None where the device has none.
    ttft_device_seconds: float | None = None


@dataclass(frozen=True)
class Generation:
    """New tokens and their texts, without the prompt."""

    texts: tuple[str, ...]
    #: New token ids a sequence, up to and including its end-of-text token.
    token_ids: tuple[tuple[int, ...], ...]
    prompt_tokens: int
    #: Steps that were asked for (`max_new_tokens`).
    asked_tokens: int
    #: Reads the device's events: call it after a synchronise.
    clock: Callable[[], Clock]

    @property
    def new_tokens(self) -> int:
        """New tokens of the whole batch; padding after an end-of-text token is not counted."""
        return sum(len(ids) for ids in self.token_ids)


@dataclass
class Steps(Iterator[tuple[int | None, ...]]):
    """What a text model's `stream` hands back: each step's tokens, and how many steps were asked for."""

    tokens: Iterator[tuple[int | None, ...]]
    asked_tokens: int

    def __next__(self) -> tuple[int | None, ...]:
        return next(self.tokens)

    def close(self) -> None:
        """End the stream before its end."""
        getattr(self.tokens, "close", lambda: None)()


@dataclass(frozen=True, eq=False)
class Prompts:
    """Encoded prompts, padded on the left."""

    input_ids: numpy.ndarray  # (sequences, tokens) int64
    attention_mask: numpy.ndarray  # (sequences, tokens) int64, 0 on padding

    @property
    def tokens(self) -> int:
        """Tokens of all prompts, padding not counted."""
        return int(self.attention_mask.sum())


@dataclass(frozen=True)
class Limits:
    """When a sequence ends."""

    max_new_tokens: int
    min_new_tokens: int = 0
    #: Ids that end a sequence; none for random weights.
    end: frozenset[int] = frozenset()
    #: Fills a sequence that ended before the others of its batch.
    pad: int = 0


@dataclass(frozen=True)
class Decoded:
    """New tokens: a row a sequence, up to and including the one that ended it."""

    rows: tuple[tuple[int, ...], ...]
    clock: Callable[[], Clock]


class Decoder(Protocol):
    """A way to make tokens."""

    #: Bytes of the KV cache at the end of a generation, by (sequences, tokens of each in the cache).
    kv_bytes: dict[tuple[int, int], int]
    #: How those were read.
    kv_source: str

    def generate(self, prompts: Prompts, limits: Limits, choice: Choice) -> Decoded:
        """All new tokens of a batch by the runtime's own road."""
        ...

    def steps(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[tuple[int | None, ...]]:
        """Each step's tokens as soon as the host has them; None for a sequence that ended before."""
        ...

    def logits(self, texts: Prompts, last: int) -> Any:
        """What comes after each of the last `last` tokens: a float32 torch tensor (sequences, last, vocabulary).

        Read by the same code that makes tokens, as far as the runtime allows it. Raises UsageError where the runtime
        gives no logits.
        """
        ...


def trimmed(row: Sequence[int], end: frozenset[int]) -> tuple[int, ...]:
    """A row up to and including its first ending token."""
    for i, token in enumerate(row):
        if token in end:
            return tuple(row[: i + 1])
    return tuple(row)


def until_ended(next_tokens: Iterator[list[int]], sequences: int, limits: Limits) -> Iterator[tuple[int | None, ...]]:
    """Steps from a runtime's tokens: None once a sequence ended, none at all once all did or the limit is met."""
    ended = [False] * sequences
    for step, tokens in enumerate(next_tokens, start=1):
        yield tuple(None if over else token for over, token in zip(ended, tokens, strict=True))
        ended = [over or token in limits.end for over, token in zip(ended, tokens, strict=True)]
        if step == limits.max_new_tokens or all(ended):
            return
