"""Captions: models that see a picture and write - what is in it, or the answer to a question about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..forward import Inputs
from ..generation import Generation
from .conditional import ConditionalModel
from .pixels import picture, pixels_of
from .reading import quietly

if TYPE_CHECKING:
    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> CaptionModel:
    """The CaptionModel of a checkpoint, its weights not yet read."""
    folder = checkpoint.folder
    return CaptionModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        read_tokenizer=checkpoint.read_tokenizer,
        read_processor=lambda: None if folder is None else _processor(folder),
        read_pixels=lambda: pixels_of(folder, checkpoint.config),
    )


def _processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    try:
        with quietly():
            return AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"cannot make a processor of pictures and texts of {folder} ({error})") from error


@dataclass(eq=False, kw_only=True)
class CaptionModel(ConditionalModel):
    """A model that sees and writes."""

    read_processor: Callable[[], Any]
    read_pixels: Callable[[], Callable[[Sequence[Any]], dict[str, Any]]]

    @cached_property
    def processor(self) -> Any:
        """transformers' processor, which knows where a picture stands in the text; None for random weights."""
        return self.read_processor()

    @cached_property
    def pixels(self) -> Callable[[Sequence[Any]], dict[str, Any]]:
        """Pictures to arrays by name, where there is no processor."""
        return self.read_pixels()

    def encode(self, pictures: Sequence[Any], texts: Sequence[str] | None = None) -> Inputs:
        """Pixels of pictures, and what is asked of each."""
        if not isinstance(pictures, (list, tuple)) or not pictures:
            raise UsageError(f"pictures must be a list of at least one, not {type(pictures).__name__}")
        if texts is not None and (isinstance(texts, str) or len(texts) != len(pictures)):
            raise UsageError(f"{len(pictures)} pictures need a list of as many texts")
        return self.kept((*pictures, None, *(texts or ())), lambda: self._encode(pictures, texts))

    def _encode(self, pictures: Sequence[Any], texts: Sequence[str] | None) -> Inputs:
        if self.processor is not None:
            asked = {} if texts is None else {"text": list(texts), "padding": True}
            made = dict(self.processor(images=[picture(given) for given in pictures], return_tensors="np", **asked))
        else:
            made = dict(self.pixels(pictures))
            if texts is not None:
                self.tokenizer.padding_side = "right"
                encoded = self.tokenizer(list(texts), padding=True, return_tensors="np")
                made |= {name: encoded[name] for name in ("input_ids", "attention_mask")}
        arrays = {
            name: array.astype("int64") if array.dtype.kind in "iu" else array.astype("float32")
            for name, array in made.items()
            if hasattr(array, "dtype")
        }
        return Inputs(arrays, {"images": len(pictures)})

    def caption(
        self,
        pictures: Sequence[Any],
        prompts: Sequence[str] | None = None,
        *,
        max_new_tokens: int = 30,
        min_new_tokens: int | None = None,
        num_beams: int = 1,
    ) -> Generation:
        """What is in each picture, as a Generation; `prompts` begin the texts or, of a chat model, ask for them."""
        return self.written(self.encode(pictures, prompts), max_new_tokens, min_new_tokens, num_beams)

    def answer(
        self,
        pictures: Sequence[Any],
        questions: Sequence[str],
        *,
        max_new_tokens: int = 20,
        min_new_tokens: int | None = None,
        num_beams: int = 1,
    ) -> Generation:
        """The answer to a question about each picture, as a Generation."""
        return self.written(self.encode(pictures, questions), max_new_tokens, min_new_tokens, num_beams)
