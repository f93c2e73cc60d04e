"""Work: what the generations of a text model compute, move and keep; counted beside the model, never in its rounds.

FLOPs are counted by torch's FlopCounterMode on a twin of the model without weights (torch's `meta` device): nothing is
computed, the model itself, compiled or handed to another runtime, is not touched, and it takes no memory. The twin
attends eagerly, because the counter does not see the fused attention of CPUs. Where the twin does not run, the formula.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..cost import Call, Sizes
from ..record import Cost
from ..weights import held, weight_bytes

_COUNTED = "FlopCounterMode on a twin without weights, eager attention counted in full"
_FORMULA = "2N + 4LHQT a token (PaLM, appendix B)"
#: What configurations call the number of experts.
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True)
class Counted:
    """What a generation computes, and what its decode steps read of the KV cache in the mean."""

    flops: float
    step_kv_bytes: float
    #: The KV cache at the end.
    kv_bytes: float
    source: str


@dataclass
class Work:
    """The work of one model's calls; each size of call is counted once."""

    kind: type[Any]
    config: Any
    dtype: Any
    sizes: Sizes | None
    #: Devices that compute a call together; more than one only where each has its part of every layer.
    devices: int = 1
    #: Why nothing can be said, where nothing can.
    refused: str = ""
    _counted: dict[Call, Counted] = field(default_factory=dict)
    _twin: Any = None

    @classmethod
    def of(cls, module: Any) -> Work:
        """The work of a transformers module; keeps its configuration and sizes, not the module."""
        config = copy.deepcopy(module.config)
        text = config.get_text_config(decoder=True)
        experts = max((getattr(text, name, None) or 0) for name in _EXPERTS)
        refused = f"not counted: of {experts} experts a token runs through a few" if experts > 1 else ""
        return cls(type(module), config, module.dtype, _sizes(module, text), refused=refused)

    def cost(self, calls: Mapping[Call, int], times: int) -> Cost:
        """The cost of one of `times` measured calls, in which all of these generations were made."""
        made = sum(calls.values())
        if not made or self.refused or self.sizes is None:
            why = self.refused or "not counted: no attention layers and heads in its configuration"
            return Cost(sources={"flops": why, "bytes_moved": why} if made else {})
        counted = {call: self.counted(call) for call in calls}
        steps = sum(number * (call.new_tokens - 1) for call, number in calls.items())
        step_kv = sum(n * (call.new_tokens - 1) * counted[call].step_kv_bytes for call, n in calls.items())
        weights = self.sizes.read_bytes * (made + steps)
        source = "each weight once a step and prompt, and the KV cache a step reads; activations and KV writes left out"
        return Cost(
            flops=sum(number * counted[call].flops for call, number in calls.items()) / times,
            bytes_moved=(weights + step_kv) / times,
            step_bytes=self.sizes.read_bytes + step_kv / steps if steps else None,
            sources={"flops": next(iter(counted.values())).source, "bytes_moved": source},
        )

    def counted(self, call: Call) -> Counted:
        """The work of a call by the twin, else by formula; `source` says which. Needs `sizes`."""
        if call not in self._counted:
            try:
                self._counted[call] = self._on_twin(call)
            except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError, IndexError) as error:
                self._counted[call] = self._by_formula(call, f"; its twin does not run: {type(error).__name__}")
        return self._counted[call]

    def _by_formula(self, call: Call, why: str) -> Counted:
        assert self.sizes is not None
        steps_hold = call.prompt_tokens + call.new_tokens / 2  # the mean of P + 1 to P + n - 1
        kv = self.sizes.kv_bytes
        return Counted(
            self.sizes.flops(call), kv(call.sequences, steps_hold), kv(call.sequences, call.kept_tokens), _FORMULA + why
        )

    def _on_twin(self, call: Call) -> Counted:
        """The prompt, the first step and the last one are run; the steps between lie on a straight line."""
        from transformers import DynamicCache

        twin = self._made_twin()
        cache = DynamicCache(config=twin.config)
        prompt = _flops(twin, cache, call.sequences, call.prompt_tokens)
        steps = call.new_tokens - 1
        if not steps:
            held = _held(cache)
            return Counted(prompt, held, held, _COUNTED)
        first, first_held = _flops(twin, cache, call.sequences, 1), _held(cache)
        if steps > 2:
            _flops(twin, cache, call.sequences, steps - 2)
        last = _flops(twin, cache, call.sequences, 1) if steps > 1 else first
        held = _held(cache)
        return Counted(prompt + steps * (first + last) / 2, (first_held + held) / 2, held, _COUNTED)

    def _made_twin(self) -> Any:
        import torch

        if self._twin is None:
            config = copy.deepcopy(self.config)
            if hasattr(config, "quantization_config"):
                del config.quantization_config
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._twin = self.kind._from_config(config, attn_implementation="eager", dtype=self.dtype).eval()
        return self._twin


def _flops(twin: Any, cache: Any, sequences: int, tokens: int) -> int:
    """Count one pass over so many more tokens; of the last only logits are made, as in generation."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.zeros(sequences, tokens, dtype=torch.long, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return int(counter.get_total_flops())


def _held(cache: Any) -> int:
    held = cache_bytes(cache)
    if held is None:
        raise NotImplementedError("a cache without keys and values")
    return held


def cache_bytes(cache: Any) -> int | None:
    """Bytes of the keys and values that a transformers cache holds; None for one of another kind."""
    layers = [layer for layer in getattr(cache, "layers", []) if getattr(layer, "keys", None) is not None]
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in layers) if layers else None


def _sizes(module: Any, text: Any) -> Sizes | None:
    """The sizes of a decoder, read off its tensors and configuration; None for one that says them otherwise."""
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    layers, hidden, heads, kv_heads = (cast("int", getattr(text, name, None)) for name in names)
    kv_heads = kv_heads or heads
    embedding, head = module.get_input_embeddings(), module.get_output_embeddings()
    if not all(isinstance(size, int) and size for size in (heads, kv_heads, layers, hidden)):
        return None
    if not hasattr(embedding, "weight") or not hasattr(head, "weight"):
        return None
    (at, embedding_bytes), (head_at, _) = held(embedding.weight), held(head.weight)
    looked_up = at != head_at  # a row a token; an embedding that is the head too is read whole
    own_embedding = embedding.weight.numel() if looked_up else 0
    vectors = sum(parameter.numel() for parameter in module.parameters() if parameter.dim() < 2)
    return Sizes(
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_size=getattr(text, "head_dim", None) or hidden // heads,
        body_parameters=module.num_parameters() - own_embedding - head.weight.numel() - vectors,
        head_parameters=head.weight.numel(),
        read_bytes=weight_bytes(module) - (embedding_bytes if looked_up else 0),
        element_bytes=module.dtype.itemsize,
    )
