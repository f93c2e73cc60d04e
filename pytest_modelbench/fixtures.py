"""The fixtures of one bench, in the order in which they are made: device, variant, model, dataset, measure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

# Loaded with the plugin by every pytest run: what a fixture needs it imports when it is used.
from .errors import ModelbenchError, Unavailable
from .session import SESSION

if TYPE_CHECKING:
    from .datasets import Dataset
    from .device import Device
    from .measure import Measure
    from .model import Model
    from .record import Memory, Series
    from .session import Session
    from .variants import Variant


class Failed(pytest.fail.Exception):  # type: ignore[misc,name-defined]
    """pytest's own failure in one line, that remembers the error it says: as a cause, pytest would print it twice."""

    def __init__(self, error: ModelbenchError) -> None:
        super().__init__(str(error), pytrace=False)
        self.error = error


@contextmanager
def spoken() -> Iterator[None]:
    """Say an error of ours as pytest says its own: what is not here skips, the rest fails in one line."""
    try:
        yield
    except Unavailable as error:
        pytest.skip(str(error))
    except ModelbenchError as error:
        raise Failed(error) from None


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """Where the bench runs: `cpu`, `cuda`, `cuda:1`, `mps`; ours alone while we hold it.

    Declared by @pytest.mark.devices, chosen by --device; `cpu` otherwise. `cuda` is any free CUDA device.
    It has `.name`, `.kind`, `.index`, `.uuid`, `.torch_name` and `.synchronise()`.
    """
    from .device import lease

    session, asked = request.config.stash[SESSION], str(getattr(request, "param", "cpu"))
    with spoken(), lease(asked, waiting=lambda text: session.progress(text, "", None)) as leased:
        session.environment(leased)  # temperature and clocks as they are before the first bench
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
        text = str(request.param)
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
        return open_dataset(parse(str(request.param)), **dict(request.param.options))


class Watch:
    """What is read beside the clock while rounds run: samples and memory peaks."""

    def __init__(self, session: Session, device: Device) -> None:
        self.session, self.device = session, device
        self.memory: Memory | None = None
        self.samples: tuple[Series, ...] = ()
        self.problems: tuple[str, ...] = ()
        #: What the compiler had spent on this model before this bench.
        self.compiled_seconds = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample and watch memory; what was read is kept also when a round fails."""
        from .memory import Peaks

        sampling, peaks = self.session.sampling(self.device), Peaks(self.device)
        peaks.start()
        sampling.start()
        try:
            yield
        finally:
            self.samples, self.problems = sampling.stop(), sampling.problems
            self.memory = peaks.read()


MEASURE = pytest.StashKey["Measure"]()
WATCH = pytest.StashKey["Watch"]()


@pytest.fixture
def measure(request: pytest.FixtureRequest, device: Device) -> Measure:
    """Time something, once: `measure(f, *args)`, `measure.each(f, items)` or `measure.stream(f, *args)`.

    Each hands back a Run: `.output`, `.seconds`, `.count(tokens=64)`, `.score("contains", outputs, references)`.
    """
    from .measure import Measure

    session, item = request.config.stash[SESSION], request.node
    settings = session.settings
    model: Any = request.getfixturevalue("model") if "model" in request.fixturenames else None
    watch = Watch(session, device)
    made = Measure(
        bench=item.name,
        find_metric=lambda name: session.catalog.metric(name, where=item.name),
        device=device,
        watching=watch.watching,
        progress=lambda phase, share: session.progress(item.name, phase, share),
        # what the model has to say, once warm, of what really runs
        prove=getattr(model, "ran", lambda: None),
        once=settings.once,
        rounds=settings.rounds,
        max_seconds=settings.max_seconds,
    )
    facts = getattr(model, "facts", None)
    watch.compiled_seconds = float(getattr(facts, "details", {}).get("compile_seconds") or 0)
    item.stash[MEASURE], item.stash[WATCH] = made, watch
    return made
