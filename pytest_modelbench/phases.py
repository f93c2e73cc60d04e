"""Phases: which part of a generation a moment lies in - prefill until the first new token, decode from there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .record import Record


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of one round, on the host's clock that samples share: from `start_ns` up to `end_ns`."""

    phase: Literal["prefill", "decode"]
    start_ns: int
    end_ns: int


def spans(record: Record) -> list[Span]:
    """The phases of every round in their order; none where rounds are no generations.

    None either where a round holds several calls: each is then under a millisecond, and no sample tells them apart.
    """
    timing, tokens = record.timing, record.tokens
    if timing is None or tokens is None or timing.loops > 1 or len(timing.started_ns) != len(tokens.ttft_seconds):
        return []
    found = []
    for start_ns, ttft, e2el in zip(timing.started_ns, tokens.ttft_seconds, tokens.e2el_seconds, strict=True):
        first_ns, last_ns = start_ns + round(ttft * 1e9), start_ns + round(e2el * 1e9)
        found += [Span("prefill", start_ns, first_ns), Span("decode", first_ns, last_ns)]
    return found


def phases(of_spans: Sequence[Span], at_ns: Sequence[int]) -> list[str | None]:
    """The phase at each moment; None before, after and between the rounds."""
    starts = [span.start_ns for span in of_spans]
    found: list[str | None] = []
    for moment in at_ns:
        place = bisect_right(starts, moment) - 1
        inside = place >= 0 and moment < of_spans[place].end_ns
        found.append(of_spans[place].phase if inside else None)
    return found
