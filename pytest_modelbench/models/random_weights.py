"""Random weights: a real architecture of any size without a download; fast means fast, the text means nothing.

random:llama-1.2b                            a preset
random:llama?hidden_size=256&dtype=float32   a transformers model type, with keys of its configuration
random:bert?task=fill-mask                   of the tasks that a model type has, another than the first in TASKS' order
./config.json                                a configuration without its weights
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable, UnknownName, UsageError
from ..tasks import TASKS
from .checkpoint import Checkpoint
from .reading import check_room, placed, quietly, with_dtype

if TYPE_CHECKING:
    from ..source import Source

#: Shapes of published models, by the configuration on their model cards.
PRESETS: dict[str, dict[str, Any]] = {
    # Small enough for a test of a second.
    "llama-tiny": {
        "model_type": "llama",
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        # Tied, an untrained model only repeats its last token, and two runtimes would agree on too little.
        "tie_word_embeddings": False,
    },
    # Small enough for a test of a second.
    "bert-tiny": {
        "model_type": "bert",
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
    },
    # Small enough for a test of a second, and of the same make as the models they are named after.
    "t5-tiny": {
        "model_type": "t5",
        "vocab_size": 512,
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 2,
        "num_heads": 4,
        "tie_word_embeddings": False,
    },
    "vit-tiny": {
        "model_type": "vit",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 64,
        "num_labels": 10,
    },
    "clip-tiny": {
        "model_type": "clip",
        "projection_dim": 64,
        "text_config": {
            "vocab_size": 512,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "bos_token_id": 2,
            "eos_token_id": 1,
        },
        "vision_config": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": 16,
        },
    },
    "blip-tiny": {
        "model_type": "blip",
        "projection_dim": 64,
        "image_text_hidden_size": 64,
        "text_config": {
            "vocab_size": 512,
            "hidden_size": 64,
            "encoder_hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "sep_token_id": 1,
            "pad_token_id": 0,
        },
        "vision_config": {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": 16,
        },
    },
    "wav2vec2-tiny": {
        "model_type": "wav2vec2",
        "vocab_size": 64,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "conv_dim": [32, 32, 32, 32, 32, 32, 32],
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    },
    # google/vit-base-patch16-224: 86.6 M parameters.
    "vit-base": {"model_type": "vit", "num_labels": 1000},
    # openai/clip-vit-base-patch32: 151 M parameters.
    "clip-base": {"model_type": "clip"},
    # meta-llama/Llama-3.2-1B: 1.24 B parameters.
    "llama-1.2b": {
        "model_type": "llama",
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "max_position_embeddings": 131_072,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
        },
    },
}

#: Tasks whose calls end when the model says so.
GENERATING = ("text-generation", "text2text-generation")

# Chosen here: any fixed number, so that two runs of one source compute the same.
SEED = 20_240_925


def invent(source: Source, given: dict[str, Any] | None = None) -> Checkpoint:
    """A checkpoint of `source`, or of the `given` configuration, whose weights are drawn at reading."""
    keys = dict(given) if given is not None else _keys(source)
    model_type, task = keys.pop("model_type", None), keys.pop("task", None) if given is None else None
    asked = {"dtype": keys.pop("dtype")} if source.kind == "random" and "dtype" in keys else {}
    config = _config(model_type, task, keys, source)
    return Checkpoint(
        {**config.to_dict(), "architectures": config.architectures},
        lambda kind, where, options: _draw(config, kind, where, asked | options, source),
        lambda: _tokenizer(config.get_text_config().vocab_size),
        details={"weights_from": f"random, seed {SEED}"},
    )


def _keys(source: Source) -> dict[str, Any]:
    preset = PRESETS.get(source.place, {"model_type": source.place})
    return preset | {name: _value(text) for name, text in source.options.items()}


def _value(text: str) -> Any:
    """A configuration value as JSON where it is that (`256`, `true`, `null`), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _config(model_type: str | None, task: str | None, keys: dict[str, Any], source: Source) -> Any:
    from transformers import AutoConfig

    if model_type not in _model_types():
        raise _unknown(model_type, source)
    blank = AutoConfig.for_model(model_type)
    classes = _classes(blank)
    if task is not None and task not in classes:
        raise UnknownName(f"task of {model_type}", task, classes, where=repr(source.text))
    # Without these a misspelt key would be kept by the configuration and change nothing.
    names = {*blank.to_dict(), *blank.attribute_map, "num_labels"}
    for name in keys if source.kind == "random" else ():
        if name not in names:
            raise UnknownName(f"key of a {model_type} configuration", name, names, where=repr(source.text))
    task = task or next(iter(classes))
    if task in GENERATING:
        # Random weights never mean to stop, so every call makes as many tokens as it was asked for.
        keys = keys | {"eos_token_id": None, "bos_token_id": None, "pad_token_id": 0}
        keys |= {"decoder_start_token_id": 0} if blank.is_encoder_decoder else {}
    try:
        config = AutoConfig.for_model(model_type, **keys)
    except Exception as error:  # its validation raises classes of its own
        raise UsageError(f"model {source.text!r}: {model_type} refuses this configuration ({error})") from error
    config.architectures = keys.get("architectures") or [classes[task]]
    return config


def _classes(blank: Any) -> dict[str, str]:
    """The tasks that a model type has here, and transformers' class for each; the usual one first."""
    config, known = blank.to_dict(), {}
    for task in TASKS:
        if not task.classes:
            continue
        name = _tables()[task.name].get(blank.model_type)
        name = name[0] if isinstance(name, tuple) else name
        if name and task.takes(name, config):
            known[task.name] = name
    # transformers has a text-generating class for BERT and its like too, which nobody means by `random:bert`
    usual = [name for name in ("embedding",) if name in known and "fill-mask" in known]
    return {name: known[name] for name in (*usual, *known)}


def _tables() -> dict[str, Any]:
    """transformers' classes by model type, for each task."""
    from transformers.models.auto import modeling_auto

    return {task.name: getattr(modeling_auto, task.classes) for task in TASKS if task.classes}


def _model_types() -> set[str]:
    return {model_type for table in _tables().values() for model_type in table}


def _unknown(model_type: str | None, source: Source) -> UsageError:
    known = _model_types() | set(PRESETS if source.kind == "random" else ())
    error = UnknownName("architecture", str(model_type), known, where=repr(source.text))
    # Hundreds of names help nobody: keep the near one and the presets.
    text = str(error).split(" (known:")[0].rstrip(";")
    return UsageError(f"{text}; it takes {', '.join(sorted(PRESETS))} or a model type of transformers")


def _draw(config: Any, kind: Any, where: str, options: dict[str, Any], source: Source) -> Any:
    """A module with weights drawn on its device: the same each time on one kind of device."""
    import torch

    options = with_dtype(options, where)
    while_reading = {name: options.pop(name) for name in _WHILE_READING if name in options}
    if unknown := set(options) - {"dtype", "attn_implementation"}:
        raise UsageError(
            f"random weights cannot be read with {', '.join(sorted(unknown))}; use a hub:, package: or local model"
        )
    needed = _needed_bytes(config, kind, options, source)
    if not while_reading:
        check_room(needed, where, source)
    devices = [torch.device(where)] if where.startswith("cuda") else []
    with torch.random.fork_rng(devices), torch.device(where), quietly():
        torch.manual_seed(SEED)
        module = kind.from_config(config, **options)
    if while_reading:
        module = _read_back(module, kind, options | while_reading)
    return placed(module, where).eval()


def _needed_bytes(config: Any, kind: Any, options: dict[str, Any], source: Source) -> int:
    """Bytes of the weights, by building the model without them.

    Raises UsageError for a configuration that makes no model, Unavailable where its class needs another library.
    """
    import torch

    try:
        with torch.device("meta"), quietly():
            return sum(tensor.nbytes for tensor in kind.from_config(config, **options).parameters())
    except ImportError as error:
        said = next(line for line in str(error).splitlines() if line.strip())
        raise Unavailable(f"model {source.text!r}: {said}") from error
    except (AssertionError, ValueError, RuntimeError, TypeError, IndexError, ZeroDivisionError) as error:
        raise UsageError(
            f"model {source.text!r}: no {config.model_type} can be built of these keys ({error})"
        ) from error


#: What transformers does while it reads weights, so that drawn ones are written and read back for it.
_WHILE_READING = ("quantization_config", "device_map", "max_memory", "offload_folder")


def _read_back(module: Any, kind: Any, options: dict[str, Any]) -> Any:
    """The module written and read again, for what transformers does while it reads: quantizers, places for layers."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder, quietly():
        # layers left on the disk are read from there as long as the model lives
        place = options.get("offload_folder", folder)
        module.save_pretrained(place)
        return kind.from_pretrained(place, local_files_only=True, **options)


def _tokenizer(vocab_size: int) -> Any:
    """A byte-level tokenizer of exactly `vocab_size` ids, so that prompts can be encoded and any new token be read.

    Ids: <pad>, <unk>, the bytes, the words of synthetic prompts, then made words (" gibe", " gibi", ...).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from ..datasets.made import WORDS

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "<unk>", *alphabet]
    words += [space + word for word in WORDS for space in ("", "\u0120") if len(word) > 1 or space]
    words += ["\u0120" + _word(i) for i in range(len(words), vocab_size)]  # U+0120 is a space to byte-level BPE
    vocab = {word: i for i, word in enumerate(words[:vocab_size])}
    tokenizer = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<unk>",  # no text becomes <unk>, whose bytes are all there
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _word(number: int) -> str:
    """A word that can be spoken, another for each number: letters alone, so that no tokenizer splits it."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    word = ""
    while number:
        number, digit = divmod(number, len(syllables))
        word = syllables[digit] + word
    return word
