"""Pixels: pictures to the numbers a model reads, as the files of its folder say, else plainly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..declare import check_requirements
from ..errors import UsageError
from .reading import quietly

#: What `Image.Resampling` calls them.
BILINEAR, BICUBIC = 2, 3


@dataclass(frozen=True)
class Pixels:
    """Resize, cut out the middle, and scale: pictures to `pixel_values` (pictures, 3, height, width) float32."""

    #: Of what the model sees: height and width.
    size: tuple[int, int]
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    #: The share of the shorter side that is seen; None resizes to the size, whatever the shape.
    crop_ratio: float | None = None
    resample: int = BILINEAR

    def __call__(self, pictures: Sequence[Any]) -> dict[str, Any]:
        """From `PIL.Image` or arrays (height, width, 3) uint8. Raises UsageError for anything else."""
        import numpy

        rows = numpy.stack([numpy.asarray(self._sized(picture(given)), "float32") for given in pictures])
        scaled = (rows / 255 - numpy.array(self.mean, "float32")) / numpy.array(self.std, "float32")
        return {"pixel_values": numpy.ascontiguousarray(scaled.transpose(0, 3, 1, 2))}

    def _sized(self, image: Any) -> Any:
        height, width = self.size
        if self.crop_ratio is None:
            return image.resize((width, height), self.resample)
        side = min(image.size) * self.crop_ratio
        left, top = (image.width - side) / 2, (image.height - side) / 2
        return image.resize((width, height), self.resample, box=(left, top, left + side, top + side))


def picture(given: Any) -> Any:
    """A `PIL.Image` in RGB."""
    check_requirements("a picture", ("PIL",))
    from PIL import Image

    if isinstance(given, Image.Image):
        return given.convert("RGB")
    if getattr(given, "dtype", None) == "uint8" and given.ndim in (2, 3):
        return Image.fromarray(given).convert("RGB")
    raise UsageError(f"a picture is a PIL.Image or an array (height, width, 3) of uint8, not {type(given).__name__}")


def pixels_of(folder: Path | None, config: Mapping[str, Any]) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """What makes pixels for a model: the image processor of its folder, else the size in its configuration."""
    if folder is not None and (folder / "preprocessor_config.json").exists():
        return _processor(folder)
    size = config.get("image_size") or config.get("vision_config", {}).get("image_size") or 224
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return Pixels((int(height), int(width)))


def _processor(folder: Path) -> Callable[[Sequence[Any]], dict[str, Any]]:
    from transformers import AutoImageProcessor

    try:
        with quietly():
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, use_fast=False)
    except (OSError, ValueError, ImportError, json.JSONDecodeError) as error:
        raise UsageError(f"cannot make an image processor of {folder}/preprocessor_config.json ({error})") from error

    def pixels(pictures: Sequence[Any]) -> dict[str, Any]:
        return dict(processor(images=[picture(given) for given in pictures], return_tensors="np"))

    return pixels
