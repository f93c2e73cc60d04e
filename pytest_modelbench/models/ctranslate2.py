"""CTranslate2: a Whisper in the form of faster-whisper's models, converted once to what transformers reads.

The file is no pickle: a list of named arrays, as CTranslate2's `model_spec.py` writes it (versions 4 to 6).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

from .. import cache
from ..errors import UsageError
from .reading import quietly

#: dtype by its number in the file; bfloat16 is read by nobody here.
_DTYPES = {0: "float32", 1: "int8", 2: "int16", 3: "int32", 4: "float16"}
#: transformers' name of each part of a layer.
_LAYER = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "attention/linear_0": "encoder_attn.q_proj",
    "attention/linear_2": "encoder_attn.out_proj",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
#: The same of what several projections share.
_SHARED = {
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
}
_ENDS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}


def is_in(folder: Path) -> bool:
    """Whether a folder holds a model of this form."""
    return (folder / "model.bin").exists() and (folder / "vocabulary.txt").exists()


def converted(folder: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the model, its tokenizer and feature extractor as transformers reads them, in float32."""
    import transformers

    file = folder / "model.bin"
    key = cache.key("ctranslate2-1", cache.file_digest(file), transformers.__version__)
    place = cache.made_once("ctranslate2", key, lambda place: _convert(folder, place))
    return place, {"weights_from": "CTranslate2's model.bin, as float32"}


def _convert(folder: Path, place: Path) -> None:
    from transformers import GenerationConfig, PreTrainedTokenizerFast, WhisperConfig, WhisperFeatureExtractor
    from transformers import WhisperForConditionalGeneration as Whisper

    arrays = _read(folder / "model.bin")
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|endoftext|>")
    ids = tokenizer.convert_tokens_to_ids
    width, mels = arrays["encoder/conv1/weight"].shape[:2]
    layers = {
        part: 1 + max(_layer_of(name) for name in arrays if name.startswith(part)) for part in ("encoder", "decoder")
    }
    config = WhisperConfig(
        vocab_size=len(arrays["decoder/embeddings/weight"]),
        num_mel_bins=mels,
        max_source_positions=len(arrays["encoder/position_encodings/encodings"]),
        max_target_positions=len(arrays["decoder/position_encodings/encodings"]),
        d_model=width,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=int(arrays["encoder/num_heads"]),
        decoder_attention_heads=int(arrays["decoder/num_heads"]),
        encoder_ffn_dim=len(arrays["encoder/layer_0/ffn/linear_0/bias"]),
        decoder_ffn_dim=len(arrays["decoder/layer_0/ffn/linear_0/bias"]),
        decoder_start_token_id=ids("<|startoftranscript|>"),
        bos_token_id=ids("<|endoftext|>"),
        eos_token_id=ids("<|endoftext|>"),
        pad_token_id=ids("<|endoftext|>"),
    )
    module = Whisper(config)
    missing = module.load_state_dict(_renamed(arrays), strict=False).missing_keys
    if left := set(missing) - {"proj_out.weight"}:  # tied to the embeddings
        raise UsageError(f"{folder}/model.bin lacks {sorted(left)[0]}: not a whole Whisper")
    module.generation_config = GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        suppress_tokens=told["suppress_ids"],
        begin_suppress_tokens=told["suppress_ids_begin"],
        # Whisper's own, of which transformers' class knows nothing
        is_multilingual=ids("<|en|>") is not None and config.vocab_size > 51864,
        no_timestamps_token_id=ids("<|notimestamps|>"),
    )
    with quietly():
        module.save_pretrained(place)
        tokenizer.save_pretrained(place)
        WhisperFeatureExtractor(feature_size=mels).save_pretrained(place)


def _layer_of(name: str) -> int:
    part = name.split("/")[1]
    return int(part.removeprefix("layer_")) if part.removeprefix("layer_").isdigit() else 0


def _renamed(arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays by transformers' names, those of several projections taken apart."""
    import numpy
    import torch

    state = {}

    def put(name: str, array: Any) -> None:
        state[f"model.{name}"] = torch.from_numpy(numpy.array(array, "float32"))

    for name, array in arrays.items():
        if not array.ndim:  # switches of CTranslate2's
            continue
        side, *middle, end = name.split("/")
        if not middle[0].startswith("layer_") or middle[0] == "layer_norm":
            inner = {"embeddings": "embed_tokens", "position_encodings": "embed_positions"}.get(middle[0], middle[0])
            put(f"{side}.{inner}.{_ENDS.get(end, 'weight')}", array)
            continue
        place, part = f"{side}.layers.{_layer_of(name)}", "/".join(middle[1:])
        if part in _LAYER:
            put(f"{place}.{_LAYER[part]}.{_ENDS[end]}", array)
            continue
        for projection, rows in zip(_SHARED[part], numpy.split(array, len(_SHARED[part])), strict=True):
            if not (projection.endswith("k_proj") and end == "bias"):  # keys have no bias: these are zeros
                put(f"{place}.{projection}.{end}", rows)
    return state


def _read(path: Path) -> dict[str, Any]:
    """Arrays by name. Raises UsageError for another format, a quantized one, or a file cut short."""
    import numpy

    arrays = {}
    try:
        with path.open("rb") as file:
            version = _number(file, "I")
            specification, _ = _text(file), _number(file, "I")
            if not 4 <= version <= 6 or specification != "WhisperSpec":
                raise UsageError(f"{path} is a {specification} of version {version}: known is WhisperSpec, 4 to 6")
            for _ in range(_number(file, "I")):
                name = _text(file)
                shape = [_number(file, "I") for _ in range(_number(file, "B"))]
                kind, size = _number(file, "B"), _number(file, "I")
                if kind not in _DTYPES or name.endswith("_scale"):
                    raise UsageError(f"{path} is quantized ({name}); take its float16 or float32 form")
                arrays[name] = numpy.frombuffer(file.read(size), _DTYPES[kind]).reshape(shape)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is truncated or damaged ({error}); fetch it again") from error
    return arrays


def _number(file: BinaryIO, kind: str) -> int:
    return int(struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H"))[:-1].decode()
