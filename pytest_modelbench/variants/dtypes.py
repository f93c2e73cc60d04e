"""fp32, fp16, bf16: the dtype that weights are read in, and computed in. The caveat `fallback` tells of another one.

tf32: weights of float32 whose matrix products CUDA rounds to 10 bits of mantissa.
"""

from __future__ import annotations

from ..declare import variant
from ..errors import Unsupported
from ..model import Model
from ..variants import no_option


@variant(requires=("torch",), decides="dtype")
def fp32(model: Model, option: str | None = None) -> Model:
    """Weights of 32 bits: 8 of exponent, 23 of mantissa."""
    return _read_as("float32", "fp32", model, option)


@variant(requires=("torch",), decides="dtype")
def fp16(model: Model, option: str | None = None) -> Model:
    """Weights of 16 bits: 5 of exponent, 10 of mantissa."""
    return _read_as("float16", "fp16", model, option)


@variant(requires=("torch",), decides="dtype")
def bf16(model: Model, option: str | None = None) -> Model:
    """Weights of 16 bits: 8 of exponent, 7 of mantissa."""
    return _read_as("bfloat16", "bf16", model, option)


@variant(requires=("torch",), decides="dtype")
def tf32(model: Model, option: str | None = None) -> Model:
    """float32 whose products and convolutions are made by CUDA in TF32, as long as the model is open."""
    no_option("tf32", option)
    import torch

    if model.device.kind != "cuda" or torch.version.hip or torch.cuda.get_device_capability(model.device.index)[0] < 8:
        raise Unsupported(
            f"variant 'tf32' is arithmetic of NVIDIA GPUs from Ampere on, and {model.device.name} has none: use 'fp32'"
        )
    flags = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [flag.fp32_precision for flag in flags]

    def put_back() -> None:
        for flag, value in zip(flags, before, strict=True):
            flag.fp32_precision = value

    model.closers.append(put_back)
    for flag in flags:
        flag.fp32_precision = "tf32"
    model.note(matmul_precision="tf32")
    return _read_as("float32", "tf32", model, None)


def _read_as(dtype: str, name: str, model: Model, option: str | None) -> Model:
    no_option(name, option)
    model.load_with(dtype=dtype)
    return model
