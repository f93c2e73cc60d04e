"""GGUF: a file of llama.cpp's, converted once to safetensors, because transformers takes it apart at every load."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from .. import cache
from ..declare import check_requirements
from ..errors import UsageError
from .reading import quietly


def converted(path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the file's model and tokenizer in float32, in which its dequantized numbers are exact."""
    import transformers

    check_requirements(f"model {path.name!r}", ("gguf",))
    key = cache.key("gguf-1", cache.file_digest(path), transformers.__version__)
    folder = cache.made_once("gguf", key, lambda place: _convert(path, place))
    return folder, {"weights_from": f"{path.name}, dequantized to float32"}


def _convert(path: Path, place: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
            module = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **where)
    except (OSError, ValueError, LookupError, OverflowError, NotImplementedError, struct.error) as error:
        raise UsageError(
            f"cannot read {path} as GGUF ({error}); fetch it again, or use its safetensors form"
        ) from error
    # Both still say "gguf" and would make save_pretrained and the next load look for a quantizer.
    module.hf_quantizer = None
    if hasattr(module.config, "quantization_config"):
        del module.config.quantization_config
    with quietly():
        module.save_pretrained(place)
        tokenizer.save_pretrained(place)
