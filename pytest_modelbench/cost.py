"""Cost: what a generation has to compute and to move, by formula; and what that says of the time it took.

A decoder's FLOPs are 2 for each parameter and token, and 4 for each layer, head, head element, token and token it
attends to (PaLM, arXiv 2204.02311, appendix B: 2N + 4LHQT forward). Attention is counted in full, as there: without
halving it for the causal mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Literal

from .record import Record, Timing
from .stats import median, tpot

Bound = Literal["compute", "bandwidth", "host"]

# Chosen here: on an H100 eager generation of one sequence reached 6 % of the bandwidth and was the host's to blame,
# compiled without CUDA graphs 21 %; kernels that meet a limit reach 50 to 80 % of it (Databricks on MBU; PaLM on MFU).
EXPLAINS_RATIO = 1 / 3
# Chosen here: with less than half of the time in its queue the device waits for the host more than it works.
DEVICE_BUSY_RATIO = 1 / 2


@dataclass(frozen=True)
class Call:
    """The size of one generation."""

    sequences: int
    #: Of each sequence; padding is computed like the rest.
    prompt_tokens: int
    #: Steps, each a new token for every sequence.
    new_tokens: int

    @property
    def kept_tokens(self) -> int:
        """Tokens of a sequence in the KV cache at the end: the last new one is never fed back."""
        return self.prompt_tokens + self.new_tokens - 1

    @property
    def attended_tokens(self) -> int:
        """Pairs of a token and one it attends to, in one sequence, over the prompt and all steps."""
        steps = self.new_tokens - 1
        return self.prompt_tokens**2 + steps * self.prompt_tokens + steps * (steps + 1) // 2


@dataclass(frozen=True)
class Sizes:
    """The sizes of a decoder-only model that its cost depends on."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    #: Parameters that every token is multiplied with.
    body_parameters: int
    #: Parameters of the head, which each step needs for its last token only.
    head_parameters: int
    #: Bytes of weights that a step reads: all but an input embedding of its own, of which it reads a row a token.
    read_bytes: int
    #: Of an element of the KV cache.
    element_bytes: int

    def flops(self, call: Call) -> int:
        """Arithmetic of a generation: 2N a token, and attention."""
        body = 2 * self.body_parameters * call.kept_tokens
        head = 2 * self.head_parameters * call.new_tokens
        attention = 4 * self.layers * self.heads * self.head_size * call.attended_tokens
        return call.sequences * (body + head + attention)

    def kv_bytes(self, sequences: int, tokens: float) -> float:
        """Keys and values of so many tokens: 2 · layers · heads · head size · tokens · bytes."""
        return 2 * self.layers * self.kv_heads * self.head_size * sequences * tokens * self.element_bytes


def call_seconds(timing: Timing) -> float:
    """The time of one call that rates are over: the median, and the mean where each call was another."""
    values = timing.rounds_seconds
    return sum(values) / len(values) if timing.verb == "each" else median(values)


def mfu(record: Record) -> float | None:
    """Model FLOPs utilisation: FLOPs a second of a call over the measured peak [PaLM]."""
    return _ratio(record.cost.flops, _seconds(record), record.cost.peak_flops_per_second)


def mbu(record: Record) -> float | None:
    """Memory bandwidth utilisation: bytes of a decode step over tpot, else of a call over its time; over the peak.

    Source: Databricks, "LLM Inference Performance Engineering: Best Practices".
    """
    each_token = tpot(record.tokens) if record.tokens else None
    if record.cost.step_bytes is not None and each_token is not None:
        return _ratio(record.cost.step_bytes, each_token, record.cost.peak_bytes_per_second)
    return _ratio(record.cost.bytes_moved, _seconds(record), record.cost.peak_bytes_per_second)


def bound_by(record: Record) -> Bound | None:
    """What the time of a call went to; None where that cannot be told.

    `host` where the device was busy for less than half of it, or where neither arithmetic nor memory accounts for a
    third; else whichever accounts for more.
    """
    timing = record.timing
    if timing and timing.device_seconds:
        busy, whole = mean(timing.device_seconds), mean(timing.rounds_seconds)  # not of the same rounds where held
        if busy < DEVICE_BUSY_RATIO * whole:
            return "host"
    arithmetic = mfu(record)
    memory = _ratio(record.cost.bytes_moved, _seconds(record), record.cost.peak_bytes_per_second)
    known = [share for share in (arithmetic, memory) if share is not None]
    if not known or (len(known) == 1 and known[0] < EXPLAINS_RATIO):
        return None  # the other may explain it
    if max(known) < EXPLAINS_RATIO:
        return "host"
    return "compute" if arithmetic == max(known) else "bandwidth"


def _seconds(record: Record) -> float | None:
    return call_seconds(record.timing) if record.timing and record.timing.rounds_seconds else None


def _ratio(work: float | None, seconds: float | None, peak: float | None) -> float | None:
    return work / seconds / peak if work is not None and seconds and peak else None
