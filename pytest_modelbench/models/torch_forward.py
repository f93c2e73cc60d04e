"""TorchForward: a pass by torch, eagerly or by what a compiler or exporter made of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..forward import Inputs
from ..weights import parameters, weight_bytes


def network(module: Any, names: tuple[str, ...], compute: Callable[[Any, dict[str, Any]], tuple[Any, ...]]) -> Any:
    """The module with tensors in order and a tuple out, which is what torch's tracers and ONNX have."""
    import torch

    class Network(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            return compute(self.module, dict(zip(names, tensors, strict=True)))

    return Network().eval()


class Placed:
    """Inputs as tensors on a device, kept for the next call with the same; floats in the dtype of the weights."""

    def __init__(self, device: str, dtype: Any = None) -> None:
        self.device, self.dtype = device, dtype
        self._last: tuple[Inputs, dict[str, Any]] | None = None

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """The tensors by name."""
        import torch

        if self._last is None or self._last[0] is not inputs:
            # torch warns of arrays that are not ours to write
            own = {name: array if array.flags.writeable else array.copy() for name, array in inputs.arrays.items()}
            tensors = {name: torch.from_numpy(array).to(self.device) for name, array in own.items()}
            self._last = inputs, {name: self._cast(tensor) for name, tensor in tensors.items()}
        return self._last[1]

    def _cast(self, tensor: Any) -> Any:
        return tensor.to(self.dtype) if self.dtype is not None and tensor.is_floating_point() else tensor


class TorchForward:
    """Inputs to the device, one pass, outputs to the host."""

    def __init__(
        self,
        network: Any,
        names: tuple[str, ...],
        output_names: tuple[str, ...],
        device: str,
        dtype: Any = None,
        ran_on: str | None = None,
    ) -> None:
        self.network, self.names, self.output_names = network, names, output_names
        self.placed = Placed(device, dtype)
        self.ran_on = ran_on or ran_eagerly(device)

    def __call__(self, inputs: Inputs) -> dict[str, Any]:
        """Every output by name, on the host; floats as float32, which numpy has."""
        import torch

        tensors = self.placed(inputs)
        with torch.no_grad():  # as generation: inference_mode would make the compiler start over
            outputs = self.network(*(tensors[name] for name in self.names))
        return {name: _on_host(tensor) for name, tensor in zip(self.output_names, outputs, strict=True)}


def _on_host(tensor: Any) -> Any:
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()


def ran_eagerly(device: str) -> str:
    """What torch runs on a device unasked, in words."""
    import torch

    where = torch.device(device)
    name = f" ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else ""
    threads = f", {torch.get_num_threads()} threads" if where.type == "cpu" else ""
    return f"torch {torch.__version__} eager on {where}{name}{threads}"


def module_facts(module: Any) -> dict[str, Any]:
    """What a torch module is: counted on its tensors, shared ones once."""
    floating = next((tensor for tensor in module.parameters() if tensor.is_floating_point()), None)
    config = getattr(module, "config", None)
    quantization = getattr(config, "quantization_config", None)
    return {
        "architecture": type(module).__name__,
        "parameters": parameters(module),
        "weight_bytes": weight_bytes(module),
        "dtype": str(floating.dtype).removeprefix("torch.") if floating is not None else None,
        "attention": getattr(config, "_attn_implementation", None),
        "quantization": _method(quantization) if quantization else None,
    }


def _method(quantization: Any) -> str:
    """What a configuration says that weights were quantized by; transformers has an enumeration of some."""
    method = getattr(quantization, "quant_method", quantization)
    return str(getattr(method, "value", method))
