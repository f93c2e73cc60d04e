"""Generation: what a text model's `generate` hands back, with the moment each token came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """When the tokens of one call came; resolved after the device is synchronised, outside the timed part."""

    #: Host clock (`time.perf_counter_ns`): entry of the call, then each step's token.
    started_ns: int
    token_ns: tuple[int, ...]
    #: In words a reader can check: "CUDA events in a LogitsProcessor".
    taken_by: str
    #: Seconds from entry to first token by device events; None where the device has none.
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
