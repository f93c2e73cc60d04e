"""Text to text: encoder-decoders such as T5, that read a text and write another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..forward import Inputs
from ..generation import Generation
from .conditional import ConditionalModel

if TYPE_CHECKING:
    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> Text2TextModel:
    """The Text2TextModel of a checkpoint, its weights not yet read."""
    return Text2TextModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        config=checkpoint.config,
        read_tokenizer=checkpoint.read_tokenizer,
    )


@dataclass(eq=False, kw_only=True)
class Text2TextModel(ConditionalModel):
    """A model that reads a text and writes another."""

    def encode(self, texts: Sequence[str]) -> Inputs:
        """Token ids of texts, padded on the right."""
        if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
            raise UsageError(f"texts must be a list of at least one text, not {texts!r}")

        def encode() -> Inputs:
            self.tokenizer.padding_side = "right"
            made = self.tokenizer(list(texts), padding=True, return_tensors="np")
            arrays = {name: made[name].astype("int64") for name in ("input_ids", "attention_mask")}
            return Inputs(arrays, {"texts": len(texts), "tokens": int(arrays["attention_mask"].sum())})

        return self.kept(texts, encode)

    def generate(
        self,
        texts: Sequence[str],
        *,
        max_new_tokens: int,
        min_new_tokens: int | None = None,
        num_beams: int = 1,
    ) -> Generation:
        """Write a text for each: greedily, or by beams."""
        return self.written(self.encode(texts), max_new_tokens, min_new_tokens, num_beams)
