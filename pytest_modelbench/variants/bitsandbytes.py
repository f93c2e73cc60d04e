"""bnb-int8, bnb-nf4, bnb-fp4: bitsandbytes quantizes the linear layers while transformers reads them; on a CPU too.

    bnb-int8    LLM.int8(): 8 bits a weight, outlying inputs in 16 (arXiv 2208.07339)
    bnb-nf4     4 bits a weight, spread as a normal distribution is (arXiv 2305.14314)
    bnb-fp4     4 bits a weight, as floating point

The head stays as it is, as transformers has it. What is computed in is the dtype that weights are read in.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from ..declare import variant
from ..errors import Unsupported
from ..model import Model
from ..variants import no_option
from ..weights import hold_to

_NEEDS = ("torch", "transformers", "accelerate", "bitsandbytes")


@variant("bnb-int8", requires=_NEEDS, decides="weights")
def bnb_int8(model: Model, option: str | None = None) -> Model:
    """Linear layers of 8 bits. Raises Fallback when none is."""
    return _quantized("bnb-int8", model, option, load_in_8bit=True)


@variant("bnb-nf4", requires=_NEEDS, decides="weights")
def bnb_nf4(model: Model, option: str | None = None) -> Model:
    """Linear layers of 4 bits, NF4. Raises Fallback when none is."""
    return _quantized("bnb-nf4", model, option, load_in_4bit=True, bnb_4bit_quant_type="nf4")


@variant("bnb-fp4", requires=_NEEDS, decides="weights")
def bnb_fp4(model: Model, option: str | None = None) -> Model:
    """Linear layers of 4 bits, FP4. Raises Fallback when none is."""
    return _quantized("bnb-fp4", model, option, load_in_4bit=True, bnb_4bit_quant_type="fp4")


def _quantized(name: str, model: Model, option: str | None, **asked: Any) -> Model:
    no_option(name, option)
    if model.device.kind not in ("cpu", "cuda", "xpu"):
        raise Unsupported(f"variant {name!r}: bitsandbytes has no kernels for {model.device.name}: cpu, cuda or xpu")
    import torch
    from transformers import BitsAndBytesConfig

    if "load_in_4bit" in asked:  # computed in what weights are read in; bitsandbytes' own default is float32
        usual = "float32" if model.device.kind == "cpu" else "bfloat16"
        dtype = str(model.load_options.get("dtype", usual)).removeprefix("torch.")
        asked["bnb_4bit_compute_dtype"] = getattr(torch, dtype)
    where = {"": model.device.torch_name}
    model.load_with(quantization_config=BitsAndBytesConfig(**asked), device_map=where)
    _without_its_log(model)
    held = partial(hold_to, model, name=name, library="bitsandbytes", is_quantized=is_quantized)
    model.change_with(lambda module: held(module) or module)
    if "load_in_4bit" in asked:
        model.change_with(partial(_fitting, name=name))
    model.proofs.append(lambda: None if model.handed_over else held(model.module))
    return model


# bitsandbytes packs 4-bit weights anew for CPUs that compute in bfloat16, so many rows at a time
# (functional._convert_weight_packed_for_cpu), and a scale is of so many columns of one row there.
_ROWS = 32


def _fitting(module: Any, name: str) -> Any:
    """The module. Raises Unsupported where a layer's shape is none that bitsandbytes computes with on this CPU."""
    for place, layer in module.named_modules():
        state = getattr(getattr(layer, "weight", None), "quant_state", None)
        if (
            state is None
            or layer.weight.device.type != "cpu"
            or not getattr(layer, "support_avx512bf16_for_cpu", False)
        ):
            continue
        if layer.out_features % _ROWS or layer.in_features % state.blocksize:
            raise Unsupported(
                f"variant {name!r}: on this CPU bitsandbytes computes with 4-bit layers of {_ROWS}n outputs and "
                f"{state.blocksize}n inputs, and {place} is Linear({layer.in_features}, {layer.out_features}): use "
                "'bnb-int8' or 'torchao-int8'"
            )
    return module


def _without_its_log(model: Model) -> None:
    """bitsandbytes writes a line at every call of an int8 layer whose input is not float16."""
    log = logging.getLogger("bitsandbytes")
    model.closers.append(partial(log.setLevel, log.level))
    log.setLevel(logging.ERROR)


def is_quantized(layer: Any) -> bool:
    """Whether a layer of bitsandbytes holds integers; a 4-bit one that was never quantized would hold floats."""
    weight = layer.weight
    if weight.is_floating_point():
        return False
    return getattr(weight, "quant_state", None) is not None or weight.dtype.itemsize == 1
