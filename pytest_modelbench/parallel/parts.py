"""Parts: what a rank reads of a model, by the plan that transformers has for its layers, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from . import Opening, group
from .group import Seat

if TYPE_CHECKING:
    from ..model import Model

Read = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Given:
    """What all ranks read: a source, how this process reads it, and the options for all."""

    source: str
    read: Read
    options: dict[str, Any]


@contextmanager
def given(model: Model, read: Read, options: dict[str, Any]) -> Iterator[Given]:
    """A model's weights as something that several processes can read at once.

    Drawn ones are drawn here, whole and on the first device as `eager` has them, and written down for a while.
    """
    if "weights_from" not in model.facts.details:
        yield Given(model.source.text, read, options)
        return
    from ..models import open_model
    from ..models.reading import quietly
    from ..source import parse

    assert model.settings is not None
    with TemporaryDirectory(prefix="modelbench-drawn-") as folder:
        module = read(options)
        dtype = str(module.dtype).removeprefix("torch.")
        with quietly():
            module.save_pretrained(folder)
        del module
        model.device.empty_cache()
        opened = open_model(parse(f"local:{folder}"), model.device, model.settings)
        yield Given(f"local:{Path(folder)}", opened.load, options | {"dtype": dtype})


def read_part(seat: Seat, read: Read, options: dict[str, Any]) -> Any:
    """A rank's part of the module. Raises Unsupported where transformers cannot split it so."""
    from transformers.distributed import DistributedConfig

    try:
        with group.reading(seat):
            return read(options | {"distributed_config": DistributedConfig(tp_size=seat.of)})
    except ValueError as error:
        raise Unsupported(
            f"variant 'tensor-parallel': transformers does not split this model over {seat.of} ranks "
            f"({next(iter(str(error).splitlines()), '')}); 'spread' puts whole layers on several devices"
        ) from error


def opened(seat: Seat, opening: Opening, held: ExitStack) -> Any:
    """Another rank's model, of which nothing is read yet."""
    from ..catalog import Catalog
    from ..device import lent
    from ..models import open_model
    from ..source import parse
    from ..variants import parse as parse_variant

    held.enter_context(lent(opening.device))
    model = open_model(parse(opening.source), opening.device, opening.settings)
    held.callback(model.close)
    if opening.variant:
        model = parse_variant(opening.variant, Catalog()).apply(model)
    model.load_with(**opening.options)
    model.load = partial(read_part, seat, model.load)
    return model


def part_of(model: Any) -> dict[str, Any]:
    """What a rank holds of a text model: its bytes, what a step reads of them, and how many layers are in parts."""
    from ..weights import weight_bytes

    module = model.module
    sizes = model.work.sizes if model.work is not None else None  # known once it is read
    return {
        "layers_split": len(split_layers(module)),
        "weight_bytes": weight_bytes(module),
        "read_bytes": sizes.read_bytes if sizes is not None else 0,
    }


def split_layers(module: Any) -> dict[str, Any]:
    """The layers of a module of whose weights this rank has a part only, by name."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if any(_in_parts(tensor) for tensor in layer.parameters(recurse=False))
    }


def _in_parts(tensor: Any) -> bool:
    return any(not placement.is_replicate() for placement in getattr(tensor, "placements", ()))
