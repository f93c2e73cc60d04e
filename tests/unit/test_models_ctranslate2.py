"""A Whisper in CTranslate2's form, written here from a small one of transformers', comes back the same."""

import json
import struct

import pytest
from stand_in import CPU, settings

from pytest_modelbench.errors import UsageError
from pytest_modelbench.source import parse

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")
transformers = pytest.importorskip("transformers")

SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]


def arrays_of(module):
    """Arrays by CTranslate2's names: the inverse of what is tested, as its converter does it."""
    state = {name.removeprefix("model."): value.numpy() for name, value in module.state_dict().items()}
    made = {
        "decoder/embeddings/weight": state["decoder.embed_tokens.weight"],
        "encoder/num_heads": numpy.array(2, "int16"),
        "decoder/num_heads": numpy.array(2, "int16"),
    }
    ends = {"gamma": "weight", "beta": "bias"}
    for side in ("encoder", "decoder"):
        made[f"{side}/position_encodings/encodings"] = state[f"{side}.embed_positions.weight"]
        for ct2, end in ends.items():
            made[f"{side}/layer_norm/{ct2}"] = state[f"{side}.layer_norm.{end}"]
        place, at = f"{side}/layer_0", f"{side}.layers.0"
        blocks = [("self_attention", "self_attn")] + ([("attention", "encoder_attn")] if side == "decoder" else [])
        for ct2, own in blocks:
            for gamma, end in ends.items():
                made[f"{place}/{ct2}/layer_norm/{gamma}"] = state[f"{at}.{own}_layer_norm.{end}"]
            for end in ("weight", "bias"):
                query, key, value, out = (
                    state.get(f"{at}.{own}.{part}.{end}", numpy.zeros(16, "float32"))
                    for part in ("q_proj", "k_proj", "v_proj", "out_proj")
                )
                joined = {"self_attention": [[query, key, value], [out]], "attention": [[query], [key, value], [out]]}
                for number, parts in enumerate(joined[ct2]):
                    made[f"{place}/{ct2}/linear_{number}/{end}"] = numpy.concatenate(parts)
        for gamma, end in ends.items():
            made[f"{place}/ffn/layer_norm/{gamma}"] = state[f"{at}.final_layer_norm.{end}"]
        for number in (0, 1):
            for end in ("weight", "bias"):
                made[f"{place}/ffn/linear_{number}/{end}"] = state[f"{at}.fc{number + 1}.{end}"]
    for conv in ("conv1", "conv2"):
        for end in ("weight", "bias"):
            made[f"encoder/{conv}/{end}"] = state[f"encoder.{conv}.{end}"]
    return made


def text(words):
    return struct.pack("<H", len(words) + 1) + words.encode() + b"\0"


def written(arrays, version=6, name="WhisperSpec"):
    kinds = {"float32": 0, "int8": 1, "int16": 2}
    content = struct.pack("<I", version) + text(name) + struct.pack("<II", 3, len(arrays))
    for array_name, array in arrays.items():
        content += text(array_name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        content += struct.pack("<BI", kinds[array.dtype.name], array.nbytes) + array.tobytes()
    return content + struct.pack("<I", 0)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=300, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_target_positions=32,
        pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
    )  # fmt: skip
    return transformers.WhisperForConditionalGeneration(config).eval()


@pytest.fixture
def folder(module, tmp_path, monkeypatch):
    from pytest_modelbench.models.random_weights import _tokenizer

    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "made"))
    tokenizer = _tokenizer(297)
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "vocabulary.txt").touch()
    (tmp_path / "config.json").write_text(json.dumps({"suppress_ids": [5], "suppress_ids_begin": [6]}))
    (tmp_path / "model.bin").write_bytes(written(arrays_of(module)))
    return tmp_path


def opened(folder):
    from pytest_modelbench.models import open_model

    return open_model(parse(str(folder)), CPU, settings())


def test_it_computes_what_the_original_does(folder, module):
    model = opened(folder)
    inputs = {"input_features": torch.randn(1, 80, 3000), "decoder_input_ids": torch.tensor([[1, 7, 9]])}
    with torch.no_grad():
        torch.testing.assert_close(model.module(**inputs).logits, module(**inputs).logits, rtol=1e-4, atol=1e-5)
    assert model.facts.task == "speech-recognition"
    assert model.facts.details["weights_from"] == "CTranslate2's model.bin, as float32"
    told = model.module.generation_config
    assert (told.suppress_tokens, told.begin_suppress_tokens, told.eos_token_id) == ([5], [6], 297)


def test_it_transcribes(folder):
    heard = opened(folder).transcribe([numpy.zeros(1600, "float32")], max_new_tokens=3, min_new_tokens=3)
    assert heard.new_tokens == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda content: content[:5000], "is truncated or damaged"),
        (lambda content: written({}, version=9), "is a WhisperSpec of version 9: known is WhisperSpec, 4 to 6"),
        (lambda content: written({}, name="TransformerSpec"), "is a TransformerSpec"),
        (
            lambda content: written({"encoder/layer_0/ffn/linear_0/weight_scale": numpy.zeros(1, "int8")}),
            "is quantized",
        ),
    ],
)
def test_files_that_cannot_be_read(folder, changed, said):
    file = folder / "model.bin"
    file.write_bytes(changed(file.read_bytes()))
    with pytest.raises(UsageError, match=said):
        opened(folder)


def test_a_part_that_is_not_there(folder, module):
    arrays = arrays_of(module)
    del arrays["decoder/layer_0/ffn/linear_1/weight"]
    (folder / "model.bin").write_bytes(written(arrays))
    with pytest.raises(UsageError, match=r"lacks model.decoder.layers.0.fc2.weight: not a whole Whisper"):
        opened(folder)
