"""onnx-genai: a decoder that ONNX Runtime's generate() library builds itself, with its own attention and cache.

    onnx-genai          float32
    onnx-genai:int4     weights of 4 bits in blocks
    onnx-genai:fp16     float16, on CUDA

The builder reads a folder of safetensors in a process of its own and knows the architectures of its list, quicker than
torch's exporter. Tokens are chosen by us, as everywhere, so that they can be held against eager's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ..declare import variant
from ..errors import Unavailable, Unsupported
from ..exports import made
from ..exports.decoder import StepDecoder
from ..model import Model
from ..models.reading import quietly
from ..variants import words

PRECISIONS = ("fp32", "int4", "fp16")
_PROVIDERS = {"cpu": "cpu", "cuda": "cuda"}


@variant("onnx-genai", requires=("torch", "transformers", "onnxruntime", "onnxruntime_genai"), decides="runtime")
def onnx_genai(model: Model, option: str | None = None) -> Model:
    """The model built by onnxruntime-genai. Raises Unsupported for what its builder does not know."""
    precision = words("onnx-genai", option, {"precision": PRECISIONS}).get("precision", "fp32")
    family: Any = model  # that task's verbs; variants know no family by its class
    if not hasattr(model, "decoder_chosen"):
        raise Unsupported(
            f"variant 'onnx-genai' generates text, and cannot run the task {model.facts.task}: use 'onnx'"
        )
    if model.device.kind not in _PROVIDERS:
        raise Unsupported(f"variant 'onnx-genai' runs on {', '.join(_PROVIDERS)}, not on {model.device.name}")
    if precision == "fp16" and model.device.kind == "cpu":
        raise Unsupported("variant 'onnx-genai:fp16' is built for CUDA: on the CPU use fp32 or int4")
    model.load_with(dtype="float32")
    import onnxruntime  # noqa: F401  before genai, which looks for it among what is loaded
    import onnxruntime_genai

    provider = _PROVIDERS[model.device.kind]
    key = [onnxruntime_genai.__version__, precision, provider]
    folder = made(model, "onnx-genai", key, partial(_build, family, precision, provider))
    session = _opened(folder, provider)
    model.hand_over("onnxruntime-genai")
    family.decoder = decoder = StepDecoder(GenaiStep(session))
    model.closers.append(decoder.close)
    size = sum(file.stat().st_size for file in folder.glob("model.onnx*"))
    model.note(
        ran_on=f"onnxruntime-genai {onnxruntime_genai.__version__} {precision} on {session.device_type}",
        weight_bytes=size,
        quantization="onnx-genai:int4" if precision == "int4" else None,
    )
    return model


def _opened(folder: Path, provider: str) -> Any:
    import onnxruntime_genai

    try:
        return onnxruntime_genai.Model(str(folder))
    except RuntimeError as error:
        raise Unavailable(
            f"variant 'onnx-genai' cannot run on {provider} ({error}): pip install onnxruntime-genai-cuda"
        ) from error


def _build(model: Any, precision: str, provider: str, place: Path) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as source, TemporaryDirectory() as cache:
        with quietly():
            model.module.save_pretrained(source)
            model.tokenizer.save_pretrained(source)
        _name_an_end(Path(source) / "config.json")
        asked = ["-i", source, "-o", str(place), "-p", precision, "-e", provider, "-c", cache]
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder", *asked]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        why = (built.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unsupported(
            f"variant 'onnx-genai': its builder cannot make {type(model.module).__name__} in {precision} ({why}); "
            "it knows Llama, Qwen, Phi, Gemma and Mistral among others; 'onnx' may do"
        )


def _name_an_end(path: Path) -> None:
    """Name a token that ends a text, on which the builder insists; random weights have none, and we say what ends."""
    config = json.loads(path.read_text())
    if config.get("eos_token_id") is None:
        path.write_text(json.dumps(config | {"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}))


class GenaiStep:
    """A step in onnxruntime-genai, whose generator keeps the cache."""

    runtime = "onnxruntime-genai"

    def __init__(self, session: Any) -> None:
        self.session: Any = session

    def empty(self, sequences: int, tokens: int) -> Any:
        """A generator with room for so many tokens a sequence."""
        import onnxruntime_genai

        parameters = onnxruntime_genai.GeneratorParams(self.session)
        parameters.set_search_options(max_length=tokens + 1, batch_size=sequences)
        return onnxruntime_genai.Generator(self.session, parameters)

    def __call__(self, reads: tuple[Any, ...], past: Any) -> tuple[Any, Any]:
        """Logits (sequences, kept, vocabulary) on the host, and the same generator. Raises UsageError for padding."""
        ids, mask, _, keep = reads
        if not mask.all():
            raise Unsupported(
                "onnxruntime-genai reads prompts of one length: give it one prompt, or prompts of as many tokens each"
            )
        if len(ids) == 1 or not past.token_count():
            past.append_tokens(ids.astype("int32"))
        else:
            _choose(past, ids)
        logits = past.get_output("logits") if len(keep) > 1 else past.get_logits()
        return logits[:, -len(keep) :].astype("float32"), past

    def held_bytes(self, past: Any) -> int:
        """Bytes of the cache that its generator gives out."""
        total, layer = 0, 0
        while True:
            try:
                total += sum(past.get_output(f"present.{layer}.{part}").nbytes for part in ("key", "value"))
            except RuntimeError:  # there is no such layer
                return total
            layer += 1


def _choose(generator: Any, ids: Any) -> None:
    """Append a token to each sequence: of several, its generator takes only what it chose itself, so that is set."""
    import numpy

    logits = generator.get_logits()
    logits[:] = -numpy.inf
    numpy.put_along_axis(logits[:, -1], ids, 0, axis=-1)
    generator.set_logits(logits)
    generator.generate_next_token()
