"""Image and text: CLIP and its like, that say how well texts fit pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..forward import Example, Inputs
from .forward_model import ForwardModel
from .pixels import pixels_of

if TYPE_CHECKING:
    import numpy

    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> ImageTextModel:
    """The ImageTextModel of a checkpoint, its weights not yet read."""
    return ImageTextModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        output_names=("logits_per_image", "image_embeds", "text_embeds"),
        read_tokenizer=checkpoint.read_tokenizer,
        read_pixels=lambda: pixels_of(checkpoint.folder, checkpoint.config),
    )


@dataclass(eq=False, kw_only=True)
class ImageTextModel(ForwardModel):
    """A model of pictures and texts in one space."""

    read_tokenizer: Callable[[], Any]
    read_pixels: Callable[[], Callable[[Sequence[Any]], dict[str, Any]]]

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, padding on the right."""
        tokenizer = self.read_tokenizer()
        tokenizer.padding_side = "right"
        return tokenizer

    @cached_property
    def pixels(self) -> Callable[[Sequence[Any]], dict[str, Any]]:
        """Pictures to arrays by name."""
        return self.read_pixels()

    def encode(self, pictures: Sequence[Any], texts: Sequence[str]) -> Inputs:
        """Pixels of pictures and token ids of texts."""
        if not isinstance(pictures, (list, tuple)) or not pictures or isinstance(texts, str) or not texts:
            raise UsageError("give a list of at least one picture, and one of at least one text")
        return self.kept((*pictures, None, *texts), lambda: self._encode(pictures, texts))

    def _encode(self, pictures: Sequence[Any], texts: Sequence[str]) -> Inputs:
        longest = self.config.get("text_config", {}).get("max_position_embeddings") or 77
        made = self.tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="np")
        arrays = {name: made[name].astype("int64") for name in ("input_ids", "attention_mask")}
        arrays["pixel_values"] = self.pixels(pictures)["pixel_values"]
        return Inputs(arrays, {"images": len(pictures), "texts": len(texts)})

    def example(self) -> Example:
        """Two pictures and three texts of seven tokens."""
        import numpy

        shades = [numpy.full((64, 64, 3), shade, "uint8") for shade in (60, 180)]
        arrays = {
            "input_ids": numpy.full((3, 7), 3, "int64"),
            "attention_mask": numpy.ones((3, 7), "int64"),
            "pixel_values": self.pixels(shades)["pixel_values"],
        }
        text = {0: "texts", 1: "tokens"}
        return Example(arrays, {"input_ids": text, "attention_mask": dict(text), "pixel_values": {0: "images"}})

    def match(self, pictures: Sequence[Any], texts: Sequence[str]) -> numpy.ndarray:
        """How well each text fits each picture, among these texts: (pictures, texts), rows of sum one."""
        import numpy

        logits = self.outputs(self.encode(pictures, texts))["logits_per_image"]
        odds = numpy.exp(logits - logits.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)  # type: ignore[no-any-return]

    def compared(self, inputs: Inputs, outputs: dict[str, Any]) -> dict[str, Any]:
        """The fits as logits of classes, and the vectors."""
        return {"logits": outputs["logits_per_image"], **{name: outputs[name] for name in self.output_names[1:]}}
