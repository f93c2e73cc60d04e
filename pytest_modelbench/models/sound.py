"""Sound: models of one pass over samples - what is heard, and letters by connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..forward import Example, Inputs
from .features import extractor_of
from .forward_model import ForwardModel, Label
from .waves import waves

if TYPE_CHECKING:
    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> SoundModel:
    """The SoundModel of a checkpoint, its weights not yet read."""
    return SoundModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        output_names=("logits",),
        read_tokenizer=checkpoint.read_tokenizer,
        read_extractor=lambda: extractor_of(checkpoint.folder, checkpoint.config),
    )


@dataclass(eq=False, kw_only=True)
class SoundModel(ForwardModel):
    """A model that hears."""

    read_tokenizer: Callable[[], Any]
    read_extractor: Callable[[], Any]

    @cached_property
    def tokenizer(self) -> Any:
        """The letters of a model that writes them."""
        return self.read_tokenizer()

    @cached_property
    def extractor(self) -> Any:
        """transformers' feature extractor."""
        return self.read_extractor()

    @property
    def sampling_rate(self) -> int:
        """Samples a second that it hears."""
        return int(self.extractor.sampling_rate)

    def encode(self, sounds: Sequence[Any]) -> Inputs:
        """What the model hears of sounds, padded to the longest."""
        heard = waves(sounds, self.sampling_rate)
        return self.kept(sounds, lambda: self._encode(heard))

    def _encode(self, heard: list[Any]) -> Inputs:
        # a spectrogram has a length of its own, samples are padded to the longest
        padding = {} if self.config.get("num_mel_bins") else {"padding": True}
        made = self.extractor(heard, sampling_rate=self.sampling_rate, return_tensors="np", **padding)
        arrays = {name: made[name] for name in ("input_values", "input_features", "attention_mask") if name in made}
        arrays = {
            name: array.astype("int64" if name == "attention_mask" else "float32") for name, array in arrays.items()
        }
        seconds = sum(len(samples) for samples in heard) / self.sampling_rate
        return Inputs(arrays, {"audio_seconds": seconds, "sounds": len(heard)})

    def example(self) -> Example:
        """Two sounds of a second."""
        import numpy

        tone = numpy.sin(numpy.arange(self.sampling_rate) / 9).astype("float32")
        arrays = self._encode([tone, tone[::-1].copy()]).arrays
        sizes = {0: "batch"} if self.config.get("num_mel_bins") else {0: "batch", 1: "samples"}
        return Example(arrays, {name: dict(sizes) for name in arrays})

    def classify(self, sounds: Sequence[Any]) -> list[Label]:
        """The likeliest class of each sound."""
        self.check_task("audio-classification")
        return self.labels(self.outputs(self.encode(sounds))["logits"])

    def transcribe(self, sounds: Sequence[Any]) -> list[str]:
        """The likeliest letters of each sound, the same ones in a row taken once."""
        self.check_task("speech-recognition-ctc")
        ids = self.outputs(self.encode(sounds))["logits"].argmax(-1)  # (sounds, frames)
        blank = self.config.get("pad_token_id") or 0
        rows = [[row[0], *row[1:][row[1:] != row[:-1]]] for row in ids]
        return [str(self.tokenizer.decode([int(token) for token in row if token != blank])).strip() for row in rows]
