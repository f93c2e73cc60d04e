"""Agreement: the first output of a bench beside eager's, as scores of its Record, held against the mark `parity`.

Eager's output is kept on the disk by what it is of (weights, inputs, device, versions): a bench of the variant `eager`
leaves it there, and another variant loads the model a second time only where nobody did.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import parity
from .errors import Disagreement, ModelbenchError, StoreError, UnknownName, UsageError
from .fixtures import MEASURE
from .memory import ran_out
from .session import SESSION

if TYPE_CHECKING:
    from .model import Model
    from .run import Run
    from .session import Session

MARK = "parity"
#: What the mark may limit.
NAMES = tuple(name.removeprefix(parity.PREFIX) for name in parity.SCORES)


def limits(item: pytest.Item) -> dict[str, float]:
    """What the marks `parity` of a bench say, the nearest first: a function's adds to its module's."""
    found: dict[str, float] = {}
    for mark in item.iter_markers(MARK):
        found = {**mark.kwargs, **found}
    return found


def check(items: Sequence[pytest.Item]) -> None:
    """Raise UsageError for a mark `parity` that cannot be meant, before anything runs."""
    for item in items:
        for mark in item.iter_markers(MARK):
            where = f"mark parity of {item.nodeid}"
            if mark.args or not mark.kwargs:
                raise UsageError(f"{where} takes limits by name: write parity(cosine=0.999)")
            for name, limit in mark.kwargs.items():
                if name not in NAMES:
                    raise UnknownName("limit", name, NAMES, where)
                if isinstance(limit, bool) or not isinstance(limit, (int, float)):
                    raise UsageError(f"{where}: {name}={limit!r} is no number")


def agree(item: pytest.Function) -> None:
    """Compare the first output of a bench that ended well. Raises Disagreement where the mark's limit is not met."""
    session = item.config.stash[SESSION]
    model, measure = item.funcargs.get("model"), item.stash.get(MEASURE, None)
    if not session.settings.parity:
        return
    if measure is None or measure.run is None or getattr(model, "witness", None) is None:
        if asked := limits(item):
            raise Disagreement(f"{item.name}: no output of a model to hold against {_shown(asked)}")
        return
    variant = str(item.funcargs.get("variant", "eager"))
    scores = _scores(session, model, variant, measure.run, item.name)
    measure.run.scores |= scores
    if variant == "eager":
        return
    if said := parity.beyond(scores, limits(item)):
        raise Disagreement(f"{variant} is not eager's equal: {'; '.join(said)}")


def _shown(asked: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={limit:g}" for name, limit in asked.items())


def _scores(session: Session, model: Any, variant: str, run: Run, bench: str) -> dict[str, Any]:
    witness = model.witness
    place = _place(model, witness.read)
    known = place is not None and os.access(place, os.R_OK)
    if variant == "eager":
        if place is not None and not known:
            _keep(place, parity.kept(witness.arrays()), run)
        return {}
    try:
        own = parity.kept(witness.arrays())
        eager = _kept(place) if place is not None and known else _made(session, model, witness, bench)
    except Exception as error:
        if not (isinstance(error, ModelbenchError) or ran_out(error)):
            raise
        run.notes.append(f"not compared with eager: {next(iter(str(error).splitlines()), '')}")
        return {}
    if place is not None and not known:
        _keep(place, eager, run)
    return parity.compare(own, eager)


def _made(session: Session, model: Model, witness: parity.Witness, bench: str) -> dict[str, Any]:
    """Eager's arrays, by a second load of the model beside the first."""
    from .models import open_model

    session.begin_work("set-up", f"eager's output for {bench}")
    session.progress(bench, "eager's output", None)
    eager = open_model(model.source, model.device, session.settings)
    try:
        return parity.kept(witness.repeat(eager))
    finally:
        eager.close()
        model.device.empty_cache()


def _place(model: Model, read: Sequence[Any]) -> Path | None:
    """Where eager's arrays for such a call are kept; None for a model whose content is not known."""
    from importlib.metadata import version

    from . import cache
    from .device import chip

    facts = model.facts
    content = [facts.revision, facts.details.get("digest"), facts.details.get("weights_from")]
    if not any(content):
        return None
    values = [cache.bytes_digest([given.tobytes()]) if hasattr(given, "tobytes") else given for given in read]
    shapes = [getattr(given, "shape", None) for given in read]
    runtime = facts.details.get("runtime")
    versions = [runtime] if runtime else [version("torch"), version("transformers")]
    where = [model.device.kind, chip(model.device)]
    key = cache.key("parity-2", facts.source, content, facts.task, values, shapes, where, versions)
    return cache.folder() / "parity" / f"{key}.npz"


def _keep(place: Path, arrays: dict[str, Any], run: Run) -> None:
    """Keep eager's arrays for the next comparison; where that fails this one is as good, and the Record says so."""
    import numpy

    from .files import whole_file, written_to

    try:
        with written_to(place.parent, "eager's output"):
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(place) as file:
                numpy.savez(file, **arrays)
    except StoreError as error:
        run.notes.append(f"{error}: until then the model is loaded again for each comparison")


def _kept(place: Path) -> dict[str, Any]:
    import numpy

    with numpy.load(place, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
