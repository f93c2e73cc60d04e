"""tensor-parallel: every layer cut over the GPUs of the device, which compute it together: more memory, and faster.

    tensor-parallel           with --device cuda:0+1: a rank on each, by NCCL
    tensor-parallel:2         on the CPU: two processes, by gloo; there to be tried without GPUs, not to be fast

transformers cuts the layers, by the plan that it has for the architecture. Each rank is a process that reads its part
alone; the bench's process is the first of them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.metadata import version
from math import gcd
from typing import TYPE_CHECKING, Any

from ..catalog import BUILT_IN, Catalog
from ..declare import variant
from ..errors import Fallback, Unsupported, UsageError
from ..model import Model
from ..parallel import Opening, Ranks
from ..parallel.decoder import RanksDecoder
from ..parallel.group import BACKENDS, check_free, groups_of, version_of
from ..parallel.parts import given, part_of, read_part, split_layers
from ..quantity import quantity_text
from ..variants import names

if TYPE_CHECKING:
    from ..device import Device

#: Parts of a composition that mean the same on each rank.
_GOES_WITH = ("", "dtype", "attention")
#: Layers whose output is heads of attention, where the plan leaves it cut.
_HEADS = ("q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value")


@variant("tensor-parallel", requires=("torch", "transformers"), decides="steps")
def tensor_parallel(model: Model, option: str | None = None) -> Model:
    """The model in parts, on ranks that are started here. Raises Unsupported for a model or device that has none."""
    devices = _devices(model, option)
    text: Any = model  # that task's verbs; variants know no family by its class
    if model.facts.task != "text-generation" or not hasattr(text, "decoder_chosen"):
        raise Unsupported(
            f"variant 'tensor-parallel' splits models for text-generation, not for {model.facts.task}: 'spread' puts "
            "whole layers on several devices"
        )
    if model.loaded or model.handed_over:
        raise UsageError("'tensor-parallel' must stand before what reads the weights")
    _check_company(model)
    _check_plan(model.config, len(devices), model.source.text)
    check_free()
    ranks = Ranks([device.torch_name for device in devices], BACKENDS[model.device.kind])
    model.closers.append(ranks.end)
    model.elsewhere = ranks
    assert model.settings is not None
    threads, before = _threads(model, len(devices)), "+".join(model.applied)
    openings = [Opening(model.source.text, before, {}, model.settings, device, threads) for device in devices[1:]]
    model.load = partial(_load, text, ranks, openings, model.load)
    noted = partial(_note, text, ranks)
    text.decoder = decoder = RanksDecoder(model, ranks, _torch_decoder, noted)
    model.proofs.append(partial(_prove, text, ranks, decoder))
    _ = decoder.own  # read now, so that no bench times it
    return model


def _torch_decoder(module: Any) -> Any:
    from ..models.torch_decoder import TorchDecoder

    return TorchDecoder(module)


# -- whether it can be


def _devices(model: Model, option: str | None) -> list[Device]:
    """The device of each rank. Raises Unsupported where there are not several."""
    import torch

    if option is not None and not (option.isdigit() and int(option) > 1):
        raise UsageError(f"variant 'tensor-parallel:{option}': write the number of ranks, 2 or more")
    device = model.device
    if device.kind not in BACKENDS:
        raise Unsupported(f"variant 'tensor-parallel' runs on {' and '.join(BACKENDS)}, not on {device.name}")
    if device.kind == "cpu":
        seen = torch.accelerator.current_accelerator(check_available=True)
        if seen is not None:
            remedy = (
                "hide it (CUDA_VISIBLE_DEVICES=), or use --device cuda:0+1" if seen.type == "cuda" else "use 'eager'"
            )
            raise Unsupported(
                f"variant 'tensor-parallel' on the CPU: transformers puts ranks on {seen.type}, which is here; {remedy}"
            )
        return [device] * int(option or 2)
    own = [replace(device, name=device.torch_name, peers=()), *device.peers]
    if len(own) < 2:
        raise Unsupported(
            f"variant 'tensor-parallel' needs several devices, and {device.name} is one: --device {device.kind}:0+1"
        )
    if option is not None and int(option) != len(own):
        raise UsageError(
            f"variant 'tensor-parallel:{option}' on {device.name}: a rank a device is {len(own)}; leave the number out"
        )
    return own


def _check_company(model: Model) -> None:
    """Raise Unsupported for a variant before this one that says what other ranks cannot be told."""
    for part in model.applied:
        [(name, _)] = names(part)
        if name not in BUILT_IN["variant"]:
            raise Unsupported(
                f"variant 'tensor-parallel' cannot have {name!r} before it: the other ranks are processes that know "
                "built-in variants only"
            )
        if Catalog().find("variant", name).decides not in _GOES_WITH:
            raise Unsupported(
                f"variant 'tensor-parallel' goes with dtypes and attention (bf16+tensor-parallel), not with {name!r}: "
                "transformers cuts plain layers"
            )


def _check_plan(config: dict[str, Any], ranks: int, source: str) -> None:
    """Raise Unsupported for a configuration without a plan, or with heads that the ranks cannot share."""
    from transformers import AutoConfig

    kind = config.get("model_type")
    try:
        known = AutoConfig.for_model(**config)
    except (ValueError, TypeError) as error:  # of the model's own code
        raise Unsupported(
            f"variant 'tensor-parallel': transformers has no plan for {source!r}, whose configuration ({kind}) is not "
            "its own; 'spread' puts whole layers on several devices"
        ) from error
    text = known.get_text_config(decoder=True)
    plan = text.base_model_tp_plan or {}
    if not plan:
        raise Unsupported(
            f"variant 'tensor-parallel': transformers has no plan for {kind}; it has one for llama, qwen2, qwen3, "
            "mistral, gemma, phi and others, and 'spread' puts whole layers on several devices"
        )
    if not any(layer.endswith(_HEADS) and style == "colwise" for layer, style in plan.items()):
        return
    heads = {
        name: getattr(text, name, None) or text.num_attention_heads
        for name in ("num_attention_heads", "num_key_value_heads")
    }
    if any(number % ranks for number in heads.values()):
        common = gcd(*heads.values())
        fits = [str(n) for n in range(2, common + 1) if common % n == 0]
        raise Unsupported(
            f"variant 'tensor-parallel': {' and '.join(f'{name}={n}' for name, n in heads.items())} of {source!r} "
            f"cannot be shared by {ranks} ranks: "
            + (f"use {' or '.join(fits)}" if fits else "'spread' puts whole layers on several devices")
        )


# -- what is read, and what came of it


def _load(model: Any, ranks: Ranks, openings: list[Opening], read: Any, options: dict[str, Any]) -> Any:
    """This rank's part of the module, when the others have theirs."""
    ranks.start()  # they import while weights are drawn here
    with given(model, read, options) as all_read:
        ranks.join([replace(theirs, source=all_read.source, options=all_read.options) for theirs in openings])
        with ranks.together():
            module = read_part(ranks.seats[0], all_read.read, all_read.options)
        ranks.groups = groups_of(module.parameters())
        ranks.wait_for_parts()
    return module


def _threads(model: Model, ranks: int) -> int | None:
    """Threads of each rank where they share the cores of a CPU; set here as long as the model is open."""
    if model.device.kind != "cpu":
        return None
    import torch

    before = int(torch.get_num_threads())
    each = max(before // ranks, 1)
    torch.set_num_threads(each)
    model.closers.append(partial(torch.set_num_threads, before))
    return each


def _note(model: Any, ranks: Ranks) -> None:
    """Tell what lies where. Raises Fallback where a rank has all of every layer, which is no tensor parallelism."""
    import torch

    from ..weights import linear_layers

    parts = [part_of(model), *ranks.parts]
    if not all(part["layers_split"] for part in parts):
        raise Fallback(
            f"asked for tensor-parallel, each rank would compute all of {type(model.module).__name__}: transformers' "
            "plan met none of its layers; leave 'tensor-parallel' out for it"
        )
    _share_work(model, parts)
    split, linear = split_layers(model.module), linear_layers(model.module)
    backend = version_of(ranks.backend)
    where = (
        ", ".join(ranks.devices) if model.device.kind != "cpu" else f"the CPU, {torch.get_num_threads()} threads each"
    )
    model.note(
        weight_bytes=sum(part["weight_bytes"] for part in parts),
        ran_on=f"torch {torch.__version__} eager on {len(parts)} ranks ({backend}): {where}",
        ranks=len(parts),
        ranks_backend=backend,
        ranks_on=", ".join(ranks.devices),
        layers_split=len(split),
        linear_layers=len(linear),
        split_by=f"transformers {version('transformers')}: {len(split.keys() & linear.keys())} of {len(linear)} linear "
        f"layers, and {len(split.keys() - linear.keys())} more",
        weights_on=", ".join(
            f"{seat}: {quantity_text('bytes', part['weight_bytes'])}"
            for seat, part in zip(ranks.seats, parts, strict=True)
        ),
    )


def _share_work(model: Any, parts: list[dict[str, Any]]) -> None:
    """Count what all ranks read, beside what all of their devices can do; ranks on a CPU share the one."""
    if model.work is None or model.work.sizes is None:
        return
    model.work.sizes = replace(model.work.sizes, read_bytes=sum(part["read_bytes"] for part in parts))
    model.work.devices = len(parts) if model.device.kind != "cpu" else 1


def _prove(model: Any, ranks: Ranks, decoder: RanksDecoder) -> None:
    """Ask every rank, once a call is warm, whether it made the same calls and tokens, with its layers in parts."""
    states = [part_of(model), *decoder.agreed()]
    if not all(state["layers_split"] for state in states):
        raise Fallback("asked for tensor-parallel, and a rank has all of every layer now")
    model.note(ranks_agreed=len(states))
