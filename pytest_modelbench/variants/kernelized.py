"""kernelized: layers computed by kernels of the package `kernels`, from the hub or from a folder.

    kernelized              transformers' own choice of kernels on the hub for this device
    kernelized:./my-layers  a local layer repository: each layer of its module `layers` that the model has a place for

A folder is a kernel repository as `kernels` has them (`build/torch-cpu/{__init__,layers}.py` and its `metadata.json`);
its Python runs on this machine. On a CPU too, where transformers' KernelConfig refuses.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..declare import variant
from ..errors import Fallback, Unavailable, Unsupported, UsageError
from ..model import Model


@variant(requires=("torch", "transformers", "kernels"), decides="layers")
def kernelized(model: Model, option: str | None = None) -> Model:
    """The model with layers replaced. Raises Fallback when none was, Unavailable where the hub cannot be reached."""
    mapping = _of_folder(Path(option).expanduser(), model.device.kind) if option else _of_hub(model.device.kind)
    model.change_with(partial(_replace, model, mapping, option or "transformers' mapping"))
    model.proofs.append(lambda: None if model.handed_over else _hold_to(model, model.module))
    return model


def _of_folder(folder: Path, kind: str) -> dict[str, Any]:
    import kernels
    import torch

    if not (folder / "build").is_dir():
        raise UsageError(f"variant 'kernelized:{folder}': no kernel repository there, which has a folder build")
    try:
        loaded = kernels.get_local_kernel(folder)
    except (OSError, ValueError, ImportError, FileNotFoundError) as error:
        raise UsageError(f"variant 'kernelized:{folder}': cannot be loaded ({error})") from error
    layers = {
        name
        for name, thing in vars(getattr(loaded, "layers", object)).items()
        if isinstance(thing, type) and issubclass(thing, torch.nn.Module) and thing is not torch.nn.Module
    }
    if not layers:
        raise UsageError(f"variant 'kernelized:{folder}': its module has no `layers` with a torch module in it")
    return {name: {kind: kernels.LocalLayerRepository(folder, layer_name=name)} for name in sorted(layers)}


def _of_hub(kind: str) -> dict[str, Any]:
    from transformers.integrations.hub_kernels import get_kernel_mapping_transformers

    mapping: dict[str, Any] = get_kernel_mapping_transformers()
    if not any(kind == str(getattr(device, "type", device)) for places in mapping.values() for device in places):
        raise Unsupported(
            f"variant 'kernelized': transformers names no kernel of the hub for {kind}; give a folder of layers "
            "(kernelized:./my-layers)"
        )
    return mapping


def _replace(model: Model, mapping: dict[str, Any], source: str, module: Any) -> Any:
    import kernels
    from huggingface_hub import errors

    try:
        with _quiet("kernels"), kernels.use_kernel_mapping(mapping, inherit_mapping=False):
            module = kernels.kernelize(module, mode=kernels.Mode.INFERENCE, device=model.device.kind, use_fallback=True)
    except (errors.OfflineModeIsEnabled, errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        raise Unavailable(
            f"variant 'kernelized': kernels for {type(module).__name__} cannot be fetched "
            f"({str(error).splitlines()[0]}); fetch them where there is a network, or give a folder of layers"
        ) from error
    model.note(kernels_from=source)
    _hold_to(model, module)
    return module


def _hold_to(model: Model, module: Any) -> None:
    """Note which layers run another forward than their class's. Raises Fallback when none does."""
    open_to = [layer for layer in module.modules() if hasattr(type(layer), "kernel_layer_name")]
    names = Counter(str(type(layer).kernel_layer_name) for layer in open_to if is_replaced(layer))
    if not names:
        places = sorted({str(type(layer).kernel_layer_name) for layer in open_to})
        raise Fallback(
            f"asked for kernelized, plain torch would run: no layer of {type(module).__name__} was replaced "
            f"(it has places for {', '.join(places) or 'none'})"
        )
    model.note(layers_replaced=", ".join(f"{number} {name}" for name, number in sorted(names.items())))


def is_replaced(layer: Any) -> bool:
    """Whether a layer's forward is not that of its class."""
    own = vars(layer).get("forward")
    return own is not None and getattr(own, "__func__", own) is not type(layer).forward


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Without a library's warnings: of each layer without a kernel it writes three lines."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
