"""Calibration: pairs of one code with itself tell what alarms the gate raises on this machine, and what it can see.

Pairs are played whatever they say, and kept. The rule is then run on them as a session would run it. Pairs are drawn
whole, each with all its benches, so that what benches of one process share stays shared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from random import Random
from typing import Any

from ..errors import StoreError
from ..files import whole_file, written_to
from .pairs import LEAST_PAIRS, MOST_PAIRS, TRIM, Estimate, PairChange, Said, confirm, screen

#: Suites that are drawn from the pairs (chosen here: a rate of 1 % then has an error of 0.3 %, and it takes seconds).
DRAWN = 1000
SCHEMA = 1


@dataclass(frozen=True)
class Calibrated:
    """The pairs of one bench, in the order they were played; a pair in which it did not count is None."""

    name: str
    limit: float
    #: Seconds measured in a pair, both sides.
    seconds: float
    pairs: tuple[PairChange | None, ...]


@dataclass(frozen=True)
class Outcome:
    """What the rule said of one bench in one session, after how many pairs of its own, and of the session."""

    said: Said
    pairs: int
    ended: int


def session(benches: Sequence[Calibrated], order: Sequence[int], most: int = MOST_PAIRS) -> list[Outcome]:
    """A session of the gate on pairs in some order: screen each bench, then confirm all suspects together."""
    said: list[Said] = []
    played: list[int] = []
    for bench in benches:
        changes: list[PairChange] = []
        word: Said = "open"
        played.append(0)
        for at in order[:most]:
            played[-1] += 1
            if (change := bench.pairs[at]) is not None:
                changes.append(change)
            if (word := screen(changes, bench.limit)) != "open":
                break
        said.append(word)
    suspects = [number for number, word in enumerate(said) if word == "slower"]
    start = max(played, default=0)  # fresh pairs begin when the last bench is screened
    ended, open_ = list(played), set(suspects)
    for looks in range(1, min(most, len(order) - start) + 1):
        if not open_:
            break
        fresh = {
            str(number): [pair for at in order[start : start + looks] if (pair := benches[number].pairs[at])]
            for number in suspects
        }
        found = confirm(fresh, {str(number): benches[number].limit for number in suspects})
        for number in open_:
            played[number], ended[number], said[number] = played[number] + 1, start + looks, found[str(number)]
        open_ = {number for number in open_ if said[number] == "open"}
    for number in open_:
        said[number] = "open"
    return [Outcome(*each) for each in zip(said, played, ended, strict=True)]


def disjoint(benches: Sequence[Calibrated]) -> Iterator[list[Outcome]]:
    """Sessions that share no pair: one after the other as far as the pairs reach. These are independent."""
    start, played = 0, min(len(bench.pairs) for bench in benches)
    while start + LEAST_PAIRS <= played:
        found = session(benches, range(start, played))
        ended = max(outcome.ended for outcome in found)
        if any(outcome.said == "open" for outcome in found) and start + ended >= played and start:
            return  # cut short by the end of the pairs
        yield found
        start += ended


def drawn(benches: Sequence[Calibrated], size: int, random: Random, number: int = DRAWN) -> Iterator[list[Outcome]]:
    """Sessions of so many benches drawn with replacement, on the pairs in random order; they share pairs."""
    played = min(len(bench.pairs) for bench in benches)
    for _ in range(number):
        yield session(random.choices(list(benches), k=size), random.sample(range(played), played))


def alarms(sessions: Sequence[Sequence[Outcome]]) -> tuple[int, int]:
    """Sessions with an alarm, and benches with one."""
    of_benches = [sum(outcome.said == "slower" for outcome in found) for found in sessions]
    return sum(number > 0 for number in of_benches), sum(of_benches)


def binomial_interval(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a rate (Clopper & Pearson 1934, Biometrika 26); one side only where it was never, or always.

    >>> [tuple(round(end, 4) for end in binomial_interval(hits, 60)) for hits in (0, 5)]
    [(0.0, 0.0487), (0.0276, 0.1839)]
    """
    tail = 1 - level if hits in (0, trials) else (1 - level) / 2
    low = 0.0 if hits == 0 else _solved(lambda p: 1 - _at_most(hits - 1, trials, p) - tail)
    high = 1.0 if hits == trials else _solved(lambda p: tail - _at_most(hits, trials, p))
    return low, high


def _at_most(hits: int, trials: int, p: float) -> float:
    """The chance of at most so many hits."""
    if p in (0.0, 1.0):
        return 1.0 if p == 0.0 or hits >= trials else 0.0
    logs = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(p) + (trials - k) * math.log1p(-p)
        for k in range(hits + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))


def _solved(rising: Callable[[float], float]) -> float:
    """Where a rising function of a rate is zero."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def detectable(bench: Calibrated) -> tuple[float, int | None]:
    """The smallest change that all pairs of a session would show, and the pairs that a change of the limit takes."""
    changes = [change for change in bench.pairs if change is not None]
    if len(changes) < 2:
        return math.inf, None
    spread = Estimate.of(changes).error * math.sqrt(len(changes))
    by_pairs = {
        n: math.expm1(Estimate(0.0, spread / math.sqrt(n), n, cut=int(TRIM * n)).detectable())
        for n in range(LEAST_PAIRS, MOST_PAIRS + 1)
    }
    enough = next((n for n, change in by_pairs.items() if change <= bench.limit), None)
    return min(by_pairs.values()), enough


# -- kept for later sessions


@dataclass(frozen=True)
class Kept:
    """A calibration as it is stored, by the machine's fingerprint."""

    head: str
    against: str
    benches: tuple[Calibrated, ...]
    #: Alarms a bench, in sessions drawn from its pairs.
    alarms_per_bench: float | None = None


def write(path: Path, kept: Kept) -> Path:
    """Store a calibration. Raises StoreError where it cannot be written."""
    plain = {
        "schema": SCHEMA, "head": kept.head, "against": kept.against, "alarms_per_bench": kept.alarms_per_bench,
        "benches": {
            bench.name: {
                "limit": bench.limit, "seconds": bench.seconds,
                "pairs": [pair and [round(number, 7) for number in astuple(pair)] for pair in bench.pairs],
            }
            for bench in kept.benches
        },
    }  # fmt: skip
    with written_to(path, "the calibration"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(plain, indent=1).encode())
    return path


def read(path: Path) -> Kept | None:
    """A stored calibration; None where there is none, or one of another version.

    Raises StoreError for a file that is damaged: a team commits it, so it may hold a conflict.
    """
    try:
        return _kept(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is no calibration ({error}): run --bench-calibrate again, or delete it") from error


def _kept(plain: dict[str, Any]) -> Kept | None:
    if plain.get("schema") != SCHEMA:
        return None
    benches = tuple(
        Calibrated(
            name, found["limit"], found["seconds"], tuple(None if p is None else PairChange(*p) for p in found["pairs"])
        )
        for name, found in plain["benches"].items()
    )
    return Kept(plain["head"], plain["against"], benches, plain["alarms_per_bench"])
