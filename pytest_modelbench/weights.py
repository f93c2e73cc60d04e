"""Weights: the bytes of a torch module's tensors, wherever a quantizer keeps them, and which layers it took.

`numel * element_size` over parameters is not the size of quantized weights: torchao's tensors say the dtype they stand
for, and bitsandbytes keeps scales beside its parameters, in objects of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .errors import Fallback

if TYPE_CHECKING:
    from .model import Model

#: Attributes in which bitsandbytes keeps the scales of a parameter or of a layer, nested at most once more.
_BESIDE = ("quant_state", "state", "state2")


def tensors(module: Any) -> list[Any]:
    """Every tensor that holds numbers of the module, each storage once."""
    found: dict[int, Any] = {}
    for tensor in _all(module):
        if tensor is not None and tensor.numel():
            # what lies on the disk (device meta) has no address
            found.setdefault(tensor.data_ptr() or -id(tensor), tensor)
    return list(found.values())


def parameters(module: Any) -> int:
    """How many weights there are, shared ones once; of those that a quantizer packed, how many they stand for."""
    if hasattr(module, "num_parameters"):  # transformers' own, which knows how bitsandbytes packs
        return int(module.num_parameters())
    return sum(parameter.numel() for parameter in module.parameters())


def weight_bytes(module: Any) -> int:
    """Bytes of parameters and buffers, with the scales of quantized ones."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors(module))


def held(tensor: Any) -> tuple[int, int]:
    """Where the numbers of a tensor lie, and how many bytes they are; of one split over ranks, this rank's part."""
    parts = list(_inside(tensor))
    return parts[0].data_ptr(), sum(part.numel() * part.element_size() for part in parts)


def _all(module: Any) -> Iterator[Any]:
    for tensor in (*module.parameters(), *module.buffers()):
        yield from _inside(tensor)
        yield from _kept_by(tensor)
    for layer in module.modules():
        yield from _kept_by(layer)


def _inside(tensor: Any) -> Iterator[Any]:
    """A tensor, or the ones that it is made of (torchao's say so as torch.compile wants to know it).

    A tensor split over ranks is made of this rank's part, and of what says where the others are.
    """
    import torch

    if hasattr(tensor, "__tensor_flatten__"):
        parts = (getattr(tensor, name) for name in tensor.__tensor_flatten__()[0])
        for part in parts:
            yield from _inside(part) if isinstance(part, torch.Tensor) else ()
    else:
        yield tensor


def _kept_by(owner: Any) -> Iterator[Any]:
    """Tensors in the objects that bitsandbytes hangs on a parameter or a layer."""
    import torch

    for name in _BESIDE:
        kept = getattr(owner, name, None)
        if kept is None or isinstance(kept, torch.Tensor) or not hasattr(kept, "__dict__"):
            continue
        yield from (value for value in vars(kept).values() if isinstance(value, torch.Tensor))
        yield from _kept_by(kept)


def linear_layers(module: Any) -> dict[str, Any]:
    """The layers that quantizers take: torch's Linear and what stands in for it, by name."""
    import torch

    return {name: layer for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)}


def hold_to(model: Model, module: Any, name: str, library: str, is_quantized: Callable[[Any], bool]) -> None:
    """Note how many linear layers a quantizer took, as they are now. Raises Fallback when it took none."""
    from importlib.metadata import version

    layers = list(linear_layers(module).values())
    taken = [layer for layer in layers if is_quantized(layer)]
    if not taken:
        raise Fallback(
            f"asked for {name}, plain {module.dtype} is there: {library} took none of the {len(layers)} linear layers "
            f"of {type(module).__name__}; leave {name!r} out for it"
        )
    kinds = ", ".join(sorted({type(layer).__name__ for layer in taken}))
    model.note(
        quantization=name,
        quantized_by=f"{library} {version(library)}: {len(taken)} of {len(layers)} linear layers ({kinds})",
        layers_quantized=len(taken),
        linear_layers=len(layers),
    )
