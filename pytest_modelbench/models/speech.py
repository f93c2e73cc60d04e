"""Speech: Whisper and its like, that write what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..forward import Inputs
from ..generation import Generation
from .conditional import ConditionalModel
from .features import extractor_of
from .waves import waves

if TYPE_CHECKING:
    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> SpeechModel:
    """The SpeechModel of a checkpoint, its weights not yet read."""
    return SpeechModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        read_tokenizer=checkpoint.read_tokenizer,
        read_extractor=lambda: extractor_of(checkpoint.folder, checkpoint.config),
    )


@dataclass(eq=False, kw_only=True)
class SpeechModel(ConditionalModel):
    """A model that hears and writes."""

    read_extractor: Callable[[], Any]

    @cached_property
    def extractor(self) -> Any:
        """transformers' feature extractor: samples to a spectrogram."""
        return self.read_extractor()

    @property
    def sampling_rate(self) -> int:
        """Samples a second that it hears."""
        return int(self.extractor.sampling_rate)

    def encode(self, sounds: Sequence[Any]) -> Inputs:
        """Spectrograms of sounds, each of the length that the model hears at once; longer ones are cut off."""
        heard = waves(sounds, self.sampling_rate)

        def encode() -> Inputs:
            made = self.extractor(
                heard, sampling_rate=self.sampling_rate, return_attention_mask=True, return_tensors="np"
            )
            kinds = {"input_features": "float32", "input_values": "float32", "attention_mask": "int64"}
            arrays = {name: made[name].astype(kind) for name, kind in kinds.items() if name in made}
            longest = getattr(self.extractor, "n_samples", None)
            seconds = [min(len(samples), longest or len(samples)) / self.sampling_rate for samples in heard]
            return Inputs(arrays, {"audio_seconds": sum(seconds), "sounds": len(heard)})

        return self.kept(sounds, encode)

    def transcribe(
        self,
        sounds: Sequence[Any],
        *,
        max_new_tokens: int = 200,
        min_new_tokens: int | None = None,
        num_beams: int = 1,
    ) -> Generation:
        """What is said in each sound: a Generation, whose `.texts` are it.

        A sound is `{"array": ..., "sampling_rate": ...}` or samples at the model's rate.
        """
        return self.written(self.encode(sounds), max_new_tokens, min_new_tokens, num_beams)
