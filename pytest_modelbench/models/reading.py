"""Reading: a folder's weights and tokenizer into memory through transformers, with errors that say what is wrong."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable, UnknownName, UsageError
from ..quantity import quantity_text

if TYPE_CHECKING:
    from ..source import Source


def default_dtype(where: str) -> str:
    """The dtype weights are read as unless a variant says otherwise.

    bfloat16 on accelerators, which compute in it; float32 on CPUs, where few have bfloat16 arithmetic and the
    others would measure its emulation.
    """
    return "float32" if where.startswith("cpu") else "bfloat16"


def with_dtype(options: dict[str, Any], where: str) -> dict[str, Any]:
    """`options` with torch's dtype in place of its name, the default where none is asked for."""
    import torch

    name = options.get("dtype") or default_dtype(where)
    if isinstance(name, str):
        known = {other for other in dir(torch) if isinstance(getattr(torch, other), torch.dtype)}
        if name not in known:
            raise UnknownName("dtype", name, known)
        name = getattr(torch, name)
    return options | {"dtype": name}


def read_module(
    folder: Path, source: Source, kind: Any, where: str, options: dict[str, Any], own_code: bool, pickled: bool
) -> Any:
    """The module in evaluation mode on its device. Raises UsageError for truncated, damaged or missing weights."""
    from safetensors import SafetensorError

    options = with_dtype(options, where)
    if not {"device_map", "quantization_config"} & set(options):  # those say themselves where and how small
        ranks = options["distributed_config"].tp_size if "distributed_config" in options else 1
        check_room(stored_numbers(folder) * options["dtype"].itemsize // ranks, where, source)
    try:
        with quietly():
            module, report = kind.from_pretrained(
                folder,
                trust_remote_code=own_code,
                use_safetensors=not pickled,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, with the missing ones
                local_files_only=True,
                **options,
            )
    except SafetensorError as error:
        raise UsageError(
            f"model {source.text!r}: a weight file in {folder} is truncated or damaged ({error}); fetch it again"
        ) from error
    except OSError as error:
        raise UsageError(f"model {source.text!r}: cannot read its weights in {folder} ({error})") from error
    except (ImportError, RuntimeError, ValueError, NotImplementedError) as error:
        method = _quantized_by(folder)
        if method is None:
            raise
        raise Unavailable(
            f"model {source.text!r} is quantized by {method}, which does not load here as it is: {_first_line(error)}"
        ) from error
    if _quantized_by(folder) and getattr(module, "hf_quantizer", None) is None:  # transformers says so in a log only
        raise Unavailable(
            f"model {source.text!r} is quantized by {_quantized_by(folder)}, which {where} cannot compute: "
            "transformers made plain weights of it; run it where it can, or load its plain form"
        )
    missing = sorted(report["missing_keys"]) + sorted(str(key[0]) for key in report["mismatched_keys"])
    if missing:
        raise UsageError(
            f"model {source.text!r}: {len(missing)} tensors are missing or of another shape in {folder}, "
            f"{missing[0]} first; fetch it again"
        )
    return placed(module, where).eval()


def placed(module: Any, where: str) -> Any:
    """The module on a device, unless accelerate placed its layers."""
    return module if getattr(module, "hf_device_map", None) else module.to(where)


def check_room(needed_bytes: int, where: str, source: Source) -> None:
    """Raise Unavailable, before anything is read, where weights are more than the device's free memory."""
    free = free_bytes(where)
    if free is not None and needed_bytes > free:
        raise Unavailable(
            f"model {source.text!r} needs {quantity_text('bytes', needed_bytes)} for its weights, and {where} has "
            f"{quantity_text('bytes', free)} free: read it as bf16 or fp16, quantized (bnb-nf4), or spread it "
            "(variant spread or tensor-parallel, --device cuda:0+1)"
        )


def free_bytes(where: str) -> int | None:
    """What is free on a device: as its driver says, with what torch's allocator keeps for later; None if unknown."""
    if where == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    import torch

    kind, _, index = where.partition(":")
    module: Any = getattr(torch, kind, None)
    if not hasattr(module, "mem_get_info"):
        return None
    at = int(index or 0)
    kept = module.memory_reserved(at) - module.memory_allocated(at)
    return int(module.mem_get_info(at)[0] + kept)


def stored_numbers(folder: Path) -> int:
    """Numbers in the weights of a folder, by the heads of its safetensors files; 0 where there are none."""
    import struct

    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            size = file.read(8)
            if len(size) < 8:
                return 0  # truncated: reading it says so
            try:
                head = json.loads(file.read(struct.unpack("<Q", size)[0]))
            except ValueError:
                return 0
        total += sum(math.prod(entry["shape"]) for name, entry in head.items() if name != "__metadata__")
    return total


def _quantized_by(folder: Path) -> str | None:
    """What a checkpoint says that its weights were quantized by: gptq, awq, fp8, ...; None for plain ones."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("quantization_config") or {}
    return str(config["quant_method"]) if "quant_method" in config else None


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def read_tokenizer(folder: Path, source: Source, own_code: bool) -> Any:
    """The tokenizer of a folder."""
    from transformers import AutoTokenizer

    try:
        with quietly():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=own_code, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"model {source.text!r}: cannot read its tokenizer in {folder} ({error})") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' progress bars, and without its deprecation notes on its own code, while it loads."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if bars:
            logging.enable_progress_bar()


@contextmanager
def unheard() -> Iterator[None]:
    """Without what transformers' `generate` logs of its own arguments; errors are still heard."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
