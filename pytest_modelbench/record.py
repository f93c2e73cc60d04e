"""Record: the frozen result of one bench, to and from a plain dict.

Kept is what was measured (raw seconds, samples, items); statistics are functions of it (`stats.py`).
Times are float64 seconds or int64 nanoseconds of one monotonic clock, sizes bytes, energy joules, ratios 0 to 1.

Schema history
    1  first version. Added since, with defaults: Timing.cold, Timing.timer_seconds,
       Timing.device_held, Record.tolerance, Record.imported, Score.low, Score.high,
       Score.interval, Memory.by_device, Memory.torch_holds,
       TokenTimes.counted_tokens; verbs and ends of rounds called `imported`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from hashlib import sha256
from typing import Any, Literal, cast

SCHEMA = 1

Outcome = Literal["passed", "failed", "skipped", "oom", "error", "invalid"]
OUTCOMES: tuple[Outcome, ...] = typing.get_args(Outcome)

#: What a caveat means, and what to do about it. The kinds are closed: a Record names no other.
CAVEATS: dict[str, str] = {
    "recompiled": "the compiler ran inside a timed round: warm up with every shape that is timed",
    "fallback": "something else ran than was asked for: see the detail",
    "throttled": "the device slowed itself down: look at its power limit and cooling",
    "shared_device": "another process computed on the device: time when it is alone",
    "unstable": "the rounds drifted: close other work, or time longer",
    "short_window": "the window is too short for the energy counter: no joules are given",
    "few_samples": "too few rounds for what is said of them: raise --bench-rounds or --bench-max-seconds",
    "timer_limited": "a round is not long against the timer: time more work in a call",
    "truncated": "fewer tokens came than were asked for: the text ended early",
    "oversubscribed": "more threads than usable cores: set OMP_NUM_THREADS",
}

#: The name of the Series that say when torch's compiler worked; a value is how long.
COMPILER = "compiler"


@dataclass(frozen=True)
class Caveat:
    """Something that limits what a Record may be used for; `kind` is a key of CAVEATS."""

    kind: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.kind not in CAVEATS:
            raise ValueError(f"unknown caveat {self.kind!r} (known: {', '.join(CAVEATS)})")


@dataclass(frozen=True)
class Timing:
    """How long it took: raw, one entry a round, in the order they ran."""

    verb: Literal["repeat", "each", "stream", "benchmark", "imported"]
    #: Seconds of one call in each round (a round of `loops` calls divided by `loops`).
    rounds_seconds: tuple[float, ...]
    #: Start of each round on the host's monotonic clock (`time.perf_counter_ns`); samples share this clock.
    started_ns: tuple[int, ...] = ()
    #: Device span of one call, by device events: in each round or, where `device_held`, in rounds of their own; empty
    #: where the device has none.
    device_seconds: tuple[float, ...] = ()
    #: Calls in a round.
    loops: int = 1
    #: Calls made before the first round, the first call included.
    warmup_calls: int = 0
    #: The very first call, cold: compilation, caches, lazy initialisation.
    first_call_seconds: float | None = None
    #: Seconds the compiler spent on this model in this bench, where one ran.
    compile_seconds: float | None = None
    #: What ended the rounds: "rounds" (a fixed number), "seconds", "precision", "items" (each given item once), or
    #: "paired" (blocks taken in turn with another side).
    stopped_by: Literal["rounds", "seconds", "precision", "items", "benchmark", "paired", "imported"] = "rounds"
    #: Whether the device's caches were flushed before each call.
    cold: bool = False
    #: What a round without a call reads, in whole: the cost of reading the clocks and waiting for an idle device.
    timer_seconds: float | None = None
    #: Whether `device_seconds` are of rounds after the others, in which the device's queue was held until the host had
    #: sent their work.
    device_held: bool = False


@dataclass(frozen=True)
class TokenTimes:
    """When each new token of a generation was there; one entry a round. Terms: docs/reference/terms.md."""

    #: Call to first new token on the host's clock.
    ttft_seconds: tuple[float, ...]
    #: Gaps between consecutive new tokens, a tuple a round.
    itl_seconds: tuple[tuple[float, ...], ...]
    #: Call to last token on the host's clock.
    e2el_seconds: tuple[float, ...]
    #: Sequences generated at once.
    batch_size: int
    #: Prompt tokens of the whole batch, padding not counted.
    prompt_tokens: int | None
    #: New tokens of the whole batch in the last round.
    new_tokens: int
    #: How the times were taken, in words a reader can check ("CUDA events in a LogitsProcessor").
    taken_by: str
    #: Call to first new token by device events; empty where the device has none.
    ttft_device_seconds: tuple[float, ...] = ()
    #: New tokens of each round as the tool that measured counted them, None where it did not. Given where gaps are not
    #: between tokens but between chunks of a stream, which may hold several; empty elsewhere.
    counted_tokens: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Score:
    """How well: one metric on one set of outputs."""

    value: float
    unit: str
    direction: Literal["higher", "lower"]
    #: Value of each item, in the items' order; paired tests need them. Their mean is the value, but for metrics that
    #: are of the whole (F1, BLEU): there an item is what can be said of it alone.
    items: tuple[float, ...] = ()
    standard_error: float | None = None
    #: The 95 % interval of the value, were other items of the same kind drawn; and how it was found.
    low: float | None = None
    high: float | None = None
    interval: str = ""


@dataclass(frozen=True)
class Memory:
    """Peaks over the timed part, in bytes; None where it was not read, and `sources` says how each was read."""

    #: Resident set of this process.
    process_peak_bytes: int | None = None
    #: Tensors held by torch's caching allocator.
    device_allocated_peak_bytes: int | None = None
    #: What torch's caching allocator took from the driver.
    device_reserved_peak_bytes: int | None = None
    #: This process on the device, as the driver counts it.
    device_process_bytes: int | None = None
    #: Everyone on the device, as the driver counts it.
    device_used_bytes: int | None = None
    #: Parts of the allocated peak: the model's tensors, its KV cache when it is fullest, and the rest.
    weights_bytes: int | None = None
    kv_cache_bytes: int | None = None
    activations_peak_bytes: int | None = None
    #: What was asked for when there was no more, where the error says it.
    oom_asked_bytes: int | None = None
    #: The peak of torch's tensors on each of several devices: `cuda:0`, `cuda:1`.
    by_device: dict[str, int] = field(default_factory=dict)
    #: Whether the model's weights, if there was a model, were torch's: what another runtime takes of a device, torch's
    #: peaks do not see.
    torch_holds: bool = True
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def peak_bytes(self) -> int | None:
        """The one number for a table: what this process holds on the accelerator or, on the CPU, in the host's memory.

        On an accelerator it is the driver's count after the rounds, context included: torch's own peak does not see
        what another runtime takes, and runtimes keep what they took. Where the driver gives none, it is torch's
        reserved peak; None where that is not the whole, for torch held no weights or nothing at all.
        """
        if self.device_process_bytes is not None:
            return self.device_process_bytes
        if self._of_accelerator:
            return (self.device_reserved_peak_bytes or None) if self.torch_holds else None
        return self.process_peak_bytes

    @property
    def _of_accelerator(self) -> bool:
        """Whether a device other than the host was looked at, even if in vain."""
        looked_at = {"device_allocated_peak_bytes", "device_reserved_peak_bytes", "device_used_bytes"}
        return any(getattr(self, name) is not None or name in self.sources for name in looked_at)


@dataclass(frozen=True)
class Cost:
    """What one call computes and moves, and what the device can do at most; `sources` says how each is known.

    Utilisations are functions of these and the time: `cost.py`.
    """

    #: Operations of arithmetic in one call; a multiplication with its addition is two.
    flops: float | None = None
    #: Bytes that one call has to bring from the device's memory, each once.
    bytes_moved: float | None = None
    #: The same of one decode step, the mean of them: weights and the KV cache so far.
    step_bytes: float | None = None
    #: The arithmetic that the peak is of: bfloat16, float32, tf32, ...
    dtype: str | None = None
    #: Peaks that a canary measured on this device.
    peak_flops_per_second: float | None = None
    peak_bytes_per_second: float | None = None
    #: The same as its maker states them; dense, never the sparse figure.
    datasheet_flops_per_second: float | None = None
    datasheet_bytes_per_second: float | None = None
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Idle:
    """What the device drew before the session's first bench, when nothing of ours ran on it."""

    watts: float
    #: How long it was looked at, and which reading this is from.
    seconds: float
    source: str


@dataclass(frozen=True)
class Series:
    """Readings of one quantity of one device during the timed part."""

    sampler: str
    name: str
    unit: str
    #: Host monotonic clock, the same as Timing.started_ns.
    at_ns: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class ModelFacts:
    """What was loaded and how it ran; read off the loaded thing, never off its name."""

    source: str
    revision: str | None = None
    task: str | None = None
    architecture: str | None = None
    dtype: str | None = None
    parameters: int | None = None
    weight_bytes: int | None = None
    quantization: str | None = None
    attention: str | None = None
    #: The proof of what ran: the providers, compiler, kernels, as the runtime reported them.
    ran_on: str | None = None
    load_seconds: float | None = None
    #: Further facts of a variant: export seconds, opset, graph breaks.
    details: dict[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetFacts:
    """Which inputs: the same digest on two machines is the same data."""

    source: str
    revision: str | None = None
    split: str | None = None
    n: int | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Record:
    """The frozen result of one bench: identity, environment, raw seconds, samples, counts, scores, caveats."""

    # identity: the file relative to its repository, the function, and the axes; not pytest's nodeid,
    # whose root moves with the arguments
    bench: str
    axes: dict[str, str]
    nodeid: str
    # what came out
    outcome: Outcome
    #: Why, when the outcome is not "passed": one line.
    reason: str = ""
    simulated: bool = False
    #: The tool that measured it, with its version, where we did not: "llama-bench b4321".
    imported: str = ""
    timing: Timing | None = None
    tokens: TokenTimes | None = None
    #: Units of work in one call (tokens, images, ...); throughput is derived.
    counts: dict[str, float] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    cost: Cost = field(default_factory=Cost)
    idle: Idle | None = None
    samples: tuple[Series, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    #: Notes a person can act on that limit nothing.
    notes: tuple[str, ...] = ()
    #: What its mark `tolerance` says: quantity -> limit, as it is written.
    tolerance: dict[str, str] = field(default_factory=dict)
    # on what
    model: ModelFacts | None = None
    dataset: DatasetFacts | None = None
    #: Plain nested facts from environment.py; "fingerprint" is the part two Records must share to be compared.
    environment: dict[str, Any] = field(default_factory=dict)
    source_digest: str | None = None
    # when
    session: str = ""
    worker: str = ""
    started_utc: str = ""
    #: Wall seconds of the bench with its set-up.
    wall_seconds: float | None = None
    schema: int = SCHEMA

    @property
    def key(self) -> str:
        """Identity as one string: equal for two Records of the same bench on the same axes."""
        return self.bench + "[" + ",".join(f"{name}={self.axes[name]}" for name in sorted(self.axes)) + "]"

    @property
    def record_id(self) -> str:
        """Short, stable within a session and across its files."""
        return sha256(f"{self.session}\n{self.key}".encode("utf-8", "backslashreplace")).hexdigest()[:16]


def to_dict(record: Record) -> dict[str, Any]:
    """A Record as dicts, lists, strings, numbers and None: what JSON, xdist and a journal carry."""
    return cast(dict[str, Any], _plain(record))


def from_dict(data: dict[str, Any]) -> Record:
    """The inverse of `to_dict`.

    Raises ValueError for a schema newer than this one; keys of a newer minor writer are refused, not dropped.
    """
    if data.get("schema", 0) > SCHEMA:
        raise ValueError(f"schema {data['schema']} is newer than {SCHEMA}: upgrade pytest-modelbench to read it")
    return cast(Record, _built(Record, data))


def _plain(value: Any) -> Any:
    names = _names(value.__class__)
    if names:
        return {name: _plain(getattr(value, name)) for name in names}
    # most hold nothing but numbers and words, thousands of them: looked at as a set of types, not one by one
    if isinstance(value, dict):
        bare = _BARE.issuperset(map(type, value.values()))
        return {str(key): inner if bare else _plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return list(value) if _BARE.issuperset(map(type, value)) else [_plain(inner) for inner in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return _plain(value.item())  # a scalar of numpy's or torch's
    return str(value)


_BARE = {int, float, str, bool, type(None)}


@cache
def _names(cls: type) -> tuple[str, ...]:
    """The fields of a dataclass; empty for another class."""
    return tuple(f.name for f in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else ()


@cache
def _builder(kind: Any) -> Callable[[Any], Any] | None:
    """What makes a value of the annotated `kind` out of plain data; None where that is the data itself.

    Dataclasses and tuples are restored. Found once a type: a Record has seventy values, and a session many Records.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return partial(_built, kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in arguments:  # Optional: the one other member
        return _builder(next(inner for inner in arguments if inner is not type(None)))
    if origin is tuple:
        item = _builder(arguments[0])
        return tuple if item is None else lambda values: tuple(map(item, values))
    if origin is dict:
        value = _builder(arguments[1])
        return None if value is None else lambda found: {key: value(inner) for key, inner in found.items()}
    return None


@cache
def _builders(cls: type) -> dict[str, Callable[[Any], Any] | None]:
    return {name: _builder(kind) for name, kind in typing.get_type_hints(cls).items()}


def _built(cls: type, data: dict[str, Any]) -> Any:
    builders = _builders(cls)
    if not data.keys() <= builders.keys():
        raise ValueError(f"{cls.__name__} has no field {', '.join(sorted(data.keys() - builders.keys()))}")
    return cls(
        **{
            name: value if value is None or (build := builders[name]) is None else build(value)
            for name, value in data.items()
        }
    )
