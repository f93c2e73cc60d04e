"""torchao-int8, torchao-int8-dynamic: torchao's tensors in the place of the weights of linear layers.

    torchao-int8            weights of 8 bits, a scale a row; computed in the dtype they were read in
    torchao-int8-dynamic    inputs of 8 bits too, scaled at each call: integer products

The head and what shares weights with it stay as they are, as with bitsandbytes, so that the two can be compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from ..declare import variant
from ..model import Model
from ..variants import no_option
from ..weights import hold_to, linear_layers

_NEEDS = ("torch", "torchao")


@variant("torchao-int8", requires=_NEEDS, decides="weights")
def torchao_int8(model: Model, option: str | None = None) -> Model:
    """Linear layers of 8 bits. Raises Fallback when none is."""
    return _quantized("torchao-int8", "Int8WeightOnlyConfig", model, option)


@variant("torchao-int8-dynamic", requires=_NEEDS, decides="weights")
def torchao_int8_dynamic(model: Model, option: str | None = None) -> Model:
    """Linear layers of 8 bits with inputs of 8 bits. Raises Fallback when none is."""
    return _quantized("torchao-int8-dynamic", "Int8DynamicActivationInt8WeightConfig", model, option)


def _quantized(name: str, config: str, model: Model, option: str | None) -> Model:
    no_option(name, option)
    held = partial(hold_to, model, name=name, library="torchao", is_quantized=is_quantized)
    model.change_with(partial(_quantize, config, held))
    model.proofs.append(lambda: None if model.handed_over else held(model.module))
    return model


def _quantize(config: str, held: Callable[[Any], None], module: Any) -> Any:
    log = logging.getLogger("torchao")
    level = log.level
    log.setLevel(logging.CRITICAL)  # at import it lists libraries of other Pythons that it cannot load
    try:
        from torchao import quantization
    finally:
        log.setLevel(level)
    head = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
    layers = linear_layers(module)
    quantization.quantize_(
        module,
        getattr(quantization, config)(),
        filter_fn=lambda layer, _: layer in layers.values() and layer is not head,
    )
    held(module)
    return module


def is_quantized(layer: Any) -> bool:
    """Whether the weight of a layer is one of torchao's tensors."""
    return type(layer.weight).__module__.startswith("torchao.")
