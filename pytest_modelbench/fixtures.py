"""The fixtures of one bench, in the order in which they are made: device, variant, model, dataset, measure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

import pytest

# Loaded with the plugin by every pytest run: what a fixture needs it imports when it is used.
from .errors import ModelbenchError, Unavailable, UsageError
from .session import SESSION

if TYPE_CHECKING:
    from .cost import Call
    from .datasets import Dataset
    from .device import Device
    from .measure import Measure
    from .model import Model
    from .record import Memory, Series
    from .session import Session
    from .variants import Variant


class Failed(pytest.fail.Exception):  # type: ignore[misc,name-defined]
    """pytest's own failure in one line, that remembers the error it says: as a cause, pytest would print it twice.

    The notes of the error, which another process may have written, come below that line.
    """

    __module__ = "builtins"  # as pytest's own, so that its lines begin with "Failed:" and no module

    def __init__(self, error: ModelbenchError) -> None:
        super().__init__("\n".join([str(error), *getattr(error, "__notes__", ())]), pytrace=False)
        self.error = error


Failed.__module__ = "builtins"  # as pytest's own: its short summary has 80 columns


@contextmanager
def spoken() -> Iterator[None]:
    """Say an error of ours as pytest says its own: what is not here skips, the rest fails in one line."""
    try:
        yield
    except Unavailable as error:
        pytest.skip(str(error))
    except ModelbenchError as error:
        raise Failed(error) from None


def _param(request: pytest.FixtureRequest, axis: str) -> Any:
    """The value of an axis that has no usual one."""
    try:
        return request.param
    except AttributeError:
        raise UsageError(
            f'the fixture {axis} has no value here: mark the function with @pytest.mark.{axis}s("...") and take it '
            "as an argument"
        ) from None


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """Where the bench runs: `cpu`, `cuda`, `cuda:1`, `mps`; ours alone while we hold it.

    Declared by @pytest.mark.devices, chosen by --device; `cpu` otherwise. `cuda` is any free CUDA device.
    It has `.name`, `.kind`, `.index`, `.uuid`, `.torch_name` and `.synchronise()`.
    """
    from .device import lease, lent

    session, asked = request.config.stash[SESSION], str(getattr(request, "param", "cpu"))
    taken = lent(session.lent) if session.lent else lease(asked, waiting=session.waits)
    with spoken(), taken as leased:
        session.waits("")
        # pytest has no public way to end a session fixture early; it does just this when its parameter changes
        session.release = partial(request._fixturedef.finish, request)  # type: ignore[attr-defined]
        session.environment(leased)  # temperature and clocks as they are before the first bench
        if session.sampled and not session.settings.once:
            session.at_rest(leased)  # before anything of ours runs on it
        yield leased


@pytest.fixture(scope="session")
def variant(request: pytest.FixtureRequest) -> Variant:
    """How the model runs: `eager`, `compiled`, `onnx`, or a composition with `+`; it has a `.name`.

    Declared by @pytest.mark.variants, chosen by --variant; `eager` otherwise.
    """
    from .variants import parse

    with spoken():
        return parse(str(getattr(request, "param", "eager")), request.config.stash[SESSION].catalog)


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest, device: Device, variant: Variant) -> Iterator[Model]:
    """A model on the device, run the variant's way; built once, closed before the next is built.

    Declared by @pytest.mark.models, chosen by --model: `hub:name@revision`, a folder or GGUF file, `package:name`,
    `random:architecture`. It has the verbs of its task (`generate`, `stream`) and `.facts`.
    """
    from .models import open_model
    from .source import parse

    session = request.config.stash[SESSION]
    with spoken():
        text = str(_param(request, "model"))
        session.begin_work("set-up", f"loading {text} ({variant})")
        session.progress(f"loading {text} ({variant})", "", None)
        opened = open_model(parse(text), device, session.settings)
        try:
            opened = variant.apply(opened)
            opened.prepare()
        except BaseException:
            opened.close()
            device.empty_cache()
            raise
    yield opened
    opened.close()
    device.empty_cache()


@pytest.fixture(scope="session")
def dataset(request: pytest.FixtureRequest) -> Dataset:
    """Pinned inputs and references: `.inputs`, `.references`, `.batches(n)`, `.facts`.

    Declared by @pytest.mark.datasets (with options: limit=16), chosen by --dataset: `package:name#part`,
    a csv, json, jsonl or parquet file, `synthetic:prompts?tokens=128`.
    """
    from .datasets import open_dataset
    from .source import parse

    with spoken():
        wanted = _param(request, "dataset")
        return open_dataset(parse(str(wanted)), **dict(getattr(wanted, "options", ())))


class Watch:
    """What is read beside the clock while rounds run: samples and memory peaks."""

    def __init__(self, session: Session, device: Device, bench: str, model: Any = None) -> None:
        self.session, self.device, self.bench, self.model = session, device, bench, model
        #: The generations of the model while rounds ran, by size.
        self.calls: dict[Call, int] = {}
        self.memory: Memory | None = None
        self.samples: tuple[Series, ...] = ()
        self.problems: tuple[str, ...] = ()
        #: What else is worth saying of it.
        self.notes: tuple[str, ...] = ()
        #: What the compiler had spent on this model before this bench.
        self.compiled_seconds = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample and watch memory; what was read is kept also when a round fails."""
        from .compiler import Compiler
        from .memory import Peaks

        sampling = self.session.sampling(self.device) if self.session.sampled else None
        peaks, compiler = Peaks(self.device, getattr(self.model, "elsewhere", None)), Compiler()
        calls = getattr(self.model, "calls", {})
        peaks.start()
        if sampling:
            sampling.start()
        compiler.start()
        since_us = time_ns() // 1000
        calls.clear()  # those of the warm-up
        try:
            yield
        finally:
            compiled = compiler.stop()
            read = sampling.stop() if sampling else ()
            self.samples = (*read, *compiled, *self._others(since_us))
            self.problems = sampling.problems if sampling else ()
            self.memory, self.calls = peaks.read(), dict(calls)

    def weigh(self, block: Callable[[int], float], each_seconds: float) -> None:
        """Say once a session, where --bench-sampler-cost asks for it, what sampling costs this call."""
        if not self.session.settings.sampler_cost or self.session.weighed:
            return
        from .samplers.cost import LONGEST_CALL_SECONDS, measured

        if each_seconds > LONGEST_CALL_SECONDS:
            return
        self.session.weighed = True
        sampling = self.session.sampling(self.device)
        self.notes += (
            measured(sampling, block, each_seconds, lambda share: self.session.progress(self.bench, "cost", share)),
        )

    def _others(self, since_us: int) -> tuple[Series, ...]:
        """What other processes took of a GPU meanwhile, where its driver can tell."""
        uuids = [uuid for uuid in self.device.uuids if uuid is not None]
        if self.device.kind != "cuda" or len(uuids) < len(self.device.uuids):
            return ()
        from .record import Series
        from .samplers.nvml import others_busy_ratio

        ratio = others_busy_ratio(uuids, os.getpid(), since_us)
        return () if ratio is None else (Series("nvml", "others_busy_ratio", "ratio", (perf_counter_ns(),), (ratio,)),)


MEASURE = pytest.StashKey["Measure"]()
WATCH = pytest.StashKey["Watch"]()


@pytest.fixture
def measure(request: pytest.FixtureRequest, device: Device) -> Iterator[Measure]:
    """Time something, once: `measure(f, *args)`, `measure.each(f, items)` or `measure.stream(f, *args)`.

    Each hands back a Run: `.output`, `.seconds`, `.count(tokens=64)`, `.score("contains", outputs, references)`.
    """
    from .cold import flusher
    from .measure import Measure

    session, item = request.config.stash[SESSION], request.node
    settings = session.settings
    model: Any = request.getfixturevalue("model") if "model" in request.fixturenames else None
    if hasattr(model, "witness"):
        model.witness = None  # of the bench before
    watch = Watch(session, device, item.name, model)
    session.begin_work("set-up", item.name)  # what the bench does before it times, too
    made = Measure(
        bench=item.name,
        find_metric=lambda name: session.catalog.metric(name, where=item.name),
        device=device,
        watching=watch.watching,
        progress=lambda phase, share: session.progress(item.name, phase, share),
        quiet=lambda: session.begin_work("timing-cpu" if device.kind == "cpu" else "timing-device", item.name),
        # what the model has to say, once warm, of what really runs
        prove=getattr(model, "ran", lambda: None),
        afterwards=watch.weigh,
        once=settings.once,
        rounds=settings.rounds,
        max_seconds=settings.max_seconds,
        least_seconds=_least_seconds(session, device),
        flush=flusher(device) if settings.cold or item.get_closest_marker("cold") else None,
        conductor=session.conductor,
    )
    facts = getattr(model, "facts", None)
    watch.compiled_seconds = float(getattr(facts, "details", {}).get("compile_seconds") or 0)
    item.stash[MEASURE], item.stash[WATCH] = made, watch
    yield made
    made.flush = None  # its buffer is as large as the caches


def _least_seconds(session: Session, device: Device) -> float:
    """How long rounds go on for the device's energy counter; 0 where none was seen."""
    from .energy import counter, least_seconds

    if session.settings.once or not session.sampled or counter(session.at_rest(device), device.kind) is None:
        return 0.0
    return least_seconds(device.kind)
