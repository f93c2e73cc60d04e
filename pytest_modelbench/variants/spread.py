"""spread: layers over the GPUs of the device, then the host's memory, then the disk, as far as each has room.

    spread                    as much as each has free
    spread:gpu=8              at most 8 GiB on each GPU, the rest on the host
    spread:gpu=8:cpu=16       and at most 16 GiB there, the rest on the disk

accelerate places whole layers, in their order; what a layer needs is brought to it when its turn comes. Several GPUs
are `--device cuda:0+1`. What came to lie where is in the Record's `detail`.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from typing import Any

from ..declare import variant
from ..errors import Fallback, Unsupported
from ..model import Model
from ..quantity import quantity_text
from ..variants import words

GIB = 2**30


@variant(requires=("torch", "transformers", "accelerate"), decides="weights")
def spread(model: Model, option: str | None = None) -> Model:
    """The model with its layers where there is room. Raises Fallback when they all lie where they would without."""
    told = words("spread", option, {"gpu": int, "cpu": int})
    if model.device.kind not in ("cpu", "cuda", "xpu"):
        raise Unsupported(f"variant 'spread': accelerate does not spread over {model.device.name}: cpu, cuda or xpu")
    folder = tempfile.mkdtemp(prefix="modelbench-offload-")
    model.closers.append(partial(shutil.rmtree, folder, ignore_errors=True))
    limits = {key: int(value) * GIB for key, value in told.items()}
    model.load_with(device_map="auto", max_memory=room(model.device, limits), offload_folder=folder)
    model.change_with(partial(_noted, model))
    return model


def room(device: Any, limits: dict[str, int]) -> dict[int | str, int]:
    """Bytes that may be used of each GPU of a device, by its index, and of the host: what is asked for, else free."""
    import psutil

    free: dict[int | str, int] = {}
    if device.kind != "cpu":
        import torch

        module = getattr(torch, device.kind)
        for index in device.indexes:
            # a tenth is left for what is computed; accelerate's own rule
            free[index] = limits.get("gpu", int(module.mem_get_info(index)[0] * 0.9))
    free["cpu"] = limits.get("cpu", int(psutil.virtual_memory().available * 0.9))
    return free


def _noted(model: Model, module: Any) -> Any:
    """Tell where the weights lie. Raises Fallback where one place has them all, which is no spread."""
    places = bytes_by_place(module)
    model.note(
        weights_on=", ".join(f"{place}: {quantity_text('bytes', size)}" for place, size in places.items()),
        spread_over=len(places),
    )
    if set(places) == {model.device.torch_name}:
        raise Fallback(
            f"asked for spread, all weights of {model.source.text!r} are on {next(iter(places))}: there is room; leave "
            "'spread' out for it, or give a limit (spread:gpu=1)"
        )
    return module


def bytes_by_place(module: Any) -> dict[str, int]:
    """Bytes of parameters by where accelerate keeps them: `cuda:0`, `cpu`, `disk`."""
    where = getattr(module, "hf_device_map", {"": str(module.device)})
    places: dict[str, int] = {}
    for name, parameter in module.named_parameters():  # shared ones once
        layers = [layer for layer in where if not layer or name == layer or name.startswith(f"{layer}.")]
        place = where[max(layers, key=len)] if layers else str(parameter.device)
        shown = f"cuda:{place}" if isinstance(place, int) else str(place)
        places[shown] = places.get(shown, 0) + parameter.numel() * parameter.element_size()
    return places
