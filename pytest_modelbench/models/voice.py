"""Voice: where somebody speaks - Silero's model, as the graph over all frames of a sound that its package ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..forward import Example, Inputs
from .forward_model import ForwardModel
from .waves import waves

if TYPE_CHECKING:
    import numpy

    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint

#: Of Silero's model at 16 kHz: samples a frame, samples of the frame before it that it sees, and the size of its state
#: (`RATE_CONFIG` and `STATE_SHAPE` in silero_vad/sequence_vad.py).
RATE, FRAME, CONTEXT, STATE = 16_000, 512, 64, 128


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> VoiceModel:
    """The VoiceModel of a graph. Raises UsageError for one that does not take all frames at once."""
    if set(checkpoint.config["inputs"]) != {"input", "h", "c"}:
        raise UsageError(f"model {source.text!r} is not Silero's graph over a sequence of frames at 16 kHz")
    return VoiceModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        output_names=checkpoint.output_names,
    )


@dataclass(eq=False, kw_only=True)
class VoiceModel(ForwardModel):
    """A model that hears whether somebody speaks."""

    sampling_rate: int = RATE

    def encode(self, sounds: Sequence[Any]) -> Inputs:
        """Frames of one sound after the other, each with the end of the one before it."""
        import numpy

        heard = waves(sounds, self.sampling_rate)

        def encode() -> Inputs:
            frames = numpy.concatenate([_frames(samples) for samples in heard])
            state = numpy.zeros((1, 1, STATE), "float32")
            seconds = sum(map(len, heard)) / self.sampling_rate
            return Inputs({"input": frames, "h": state, "c": state}, {"audio_seconds": seconds, "sounds": len(heard)})

        return self.kept(sounds, encode)

    def example(self) -> Example:
        """Five frames of silence."""
        import numpy

        arrays = self.encode([numpy.zeros(5 * FRAME, "float32")]).arrays
        return Example(arrays, {"input": {0: "frames"}, "h": {}, "c": {}})

    def listen(self, sounds: Sequence[Any]) -> list[numpy.ndarray]:
        """How likely it is that somebody speaks, for each 32 ms of each sound: (frames,) float32, 0 to 1.

        The model's memory goes from one sound to the next: put a pause between strangers, or give them one by one.
        """
        import numpy

        odds = self.outputs(self.encode(sounds))["speech_probs"]
        frames = [-(-len(samples) // FRAME) for samples in waves(sounds, self.sampling_rate)]
        return numpy.split(odds, numpy.cumsum(frames)[:-1])

    def compared(self, inputs: Inputs, outputs: dict[str, Any]) -> dict[str, Any]:
        """The odds, a row."""
        return {"speech_probs": outputs["speech_probs"][None]}


def _frames(samples: Any) -> Any:
    """(frames, CONTEXT + FRAME), the last filled up with silence."""
    import numpy

    number = -(-len(samples) // FRAME)
    frames = numpy.zeros((number, FRAME), "float32")
    frames.reshape(-1)[: len(samples)] = samples
    before = numpy.zeros((number, CONTEXT), "float32")
    before[1:] = frames[:-1, -CONTEXT:]
    return numpy.concatenate([before, frames], axis=1)
