"""Vision: what is in a picture, where in it, and of which pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..forward import Example, Inputs
from .forward_model import ForwardModel, Label
from .pixels import pixels_of

if TYPE_CHECKING:
    import numpy

    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint

#: Chosen here: surer than not.
SURE = 0.5


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> VisionModel:
    """The VisionModel of a checkpoint, its weights not yet read."""
    return VisionModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        output_names=("logits", "pred_boxes") if task.name == "object-detection" else ("logits",),
        read_pixels=lambda: checkpoint.pixels or pixels_of(checkpoint.folder, checkpoint.config),
    )


@dataclass(frozen=True)
class Found:
    """Something in a picture: its class, and its box in pixels of the picture (left, top, right, bottom)."""

    label: Label
    box: tuple[float, float, float, float]


@dataclass(eq=False, kw_only=True)
class VisionModel(ForwardModel):
    """A model of pictures."""

    read_pixels: Callable[[], Callable[[Sequence[Any]], dict[str, Any]]]

    @cached_property
    def pixels(self) -> Callable[[Sequence[Any]], dict[str, Any]]:
        """Pictures to arrays by name."""
        return self.read_pixels()

    def encode(self, pictures: Sequence[Any]) -> Inputs:
        """The pixels of `PIL.Image`s or arrays (height, width, 3) uint8, sized and scaled as the model was trained."""
        if not isinstance(pictures, (list, tuple)) or not pictures:
            raise UsageError(f"pictures must be a list of at least one, not {type(pictures).__name__}")
        return self.kept(pictures, lambda: self._encode(pictures))

    def _encode(self, pictures: Sequence[Any]) -> Inputs:
        made = self.pixels(pictures)
        arrays = {name: array for name, array in made.items() if name in ("pixel_values", "pixel_mask")}
        return Inputs(arrays, {"images": len(pictures)})

    def example(self) -> Example:
        """Two pictures of the size that the model sees."""
        import numpy

        made = self._encode([numpy.full((480, 640, 3), shade, "uint8") for shade in (60, 180)]).arrays
        return Example(made, {name: {0: "batch"} for name in made})

    def classify(self, pictures: Sequence[Any]) -> list[Label]:
        """The likeliest class of each picture."""
        self.check_task("image-classification")
        return self.labels(self.outputs(self.encode(pictures))["logits"])  # (pictures, classes)

    def detect(self, pictures: Sequence[Any], at_least: float = SURE) -> list[list[Found]]:
        """What is in each picture, of which the model is at least so sure, and where."""
        self.check_task("object-detection")
        output = self.outputs(self.encode(pictures))
        found = []
        for picture, logits, boxes in zip(pictures, output["logits"], output["pred_boxes"], strict=True):
            width, height = _size(picture)
            # DETR's last class says that there is nothing
            labels, nothing = self.labels(logits), logits.shape[-1] - 1
            found.append(
                [
                    Found(label, _corners(box, width, height))
                    for label, box in zip(labels, boxes, strict=True)
                    if label.score >= at_least and label.index != nothing
                ]
            )
        return found

    def segment(self, pictures: Sequence[Any]) -> list[numpy.ndarray]:
        """The class of each pixel, at the model's own resolution: (height, width) int64 a picture."""
        self.check_task("image-segmentation")
        return list(self.outputs(self.encode(pictures))["logits"].argmax(1))

    def compared(self, inputs: Inputs, outputs: dict[str, Any]) -> dict[str, Any]:
        """Logits with the classes last."""
        if self.facts.task == "image-segmentation":
            return {"logits": outputs["logits"].transpose(0, 2, 3, 1)}
        return outputs


def _size(picture: Any) -> tuple[int, int]:
    """Width and height."""
    return (picture.shape[1], picture.shape[0]) if hasattr(picture, "shape") else picture.size


def _corners(box: Any, width: int, height: int) -> tuple[float, float, float, float]:
    """A box by its middle and size, in shares of the picture, to its corners in pixels."""
    x, y, wide, high = (float(value) for value in box)
    return (x - wide / 2) * width, (y - high / 2) * height, (x + wide / 2) * width, (y + high / 2) * height
