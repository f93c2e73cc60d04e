"""Likelihood: how likely a model finds a text, token by token; and a choice among several texts.

A text is judged by the log-probabilities of its tokens, each given all tokens before it. Where a text is cut into
tokens is lm-evaluation-harness's way (`models/scoring.py`), so that its numbers and ours are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Likelihood:
    """Natural logarithms of the probabilities of a text's tokens; iterating gives them."""

    tokens: tuple[float, ...]
    #: Whether each token is the one that the model finds the likeliest there.
    greedy: bool

    @property
    def total(self) -> float:
        """The logarithm of the probability of the whole text."""
        return math.fsum(self.tokens)

    @classmethod
    def joined(cls, parts: Sequence[Likelihood]) -> Likelihood:
        """One text out of parts that were judged one after the other."""
        return cls(tuple(token for part in parts for token in part), all(part.greedy for part in parts))

    def __iter__(self) -> Iterator[float]:
        return iter(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Chosen:
    """Which of several texts a model finds the likeliest after one prompt."""

    choices: tuple[str, ...]
    likelihoods: tuple[Likelihood, ...]

    @property
    def best(self) -> int:
        """The place of the likeliest choice; of equal ones the first."""
        return _highest([likelihood.total for likelihood in self.likelihoods])

    @property
    def best_normalised(self) -> int:
        """The same by log-probability a character, the space before a choice not counted (lm-eval's `acc_norm`).

        Long answers are less likely than short ones for their length alone; this takes that out.
        """
        pairs = zip(self.choices, self.likelihoods, strict=True)
        return _highest([likelihood.total / max(len(choice.lstrip()), 1) for choice, likelihood in pairs])

    @property
    def text(self) -> str:
        """The likeliest choice without the space around it."""
        return self.choices[self.best].strip()


def _highest(values: list[float]) -> int:
    return values.index(max(values))
