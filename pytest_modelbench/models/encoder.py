"""Encoder: text models that read and do not write - embeddings, classes of texts and tokens, answers in a passage."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..forward import Example, Inputs
from .forward_model import ForwardModel, Label

if TYPE_CHECKING:
    import numpy

    from ..device import Device
    from ..source import Source
    from ..tasks import Task
    from .checkpoint import Checkpoint

#: Task -> what a pass gives.
_OUTPUTS = {"embedding": ("last_hidden_state",), "question-answering": ("start_logits", "end_logits")}


def open_family(source: Source, device: Device, checkpoint: Checkpoint, task: Task) -> EncoderModel:
    """The EncoderModel of a checkpoint, its weights not yet read."""
    return EncoderModel(
        source,
        device,
        checkpoint.loader(task, device),
        checkpoint.facts(source, task),
        verb=task.verb,
        output_names=_OUTPUTS.get(task.name, ("logits",)),
        read_tokenizer=checkpoint.read_tokenizer,
        config=checkpoint.config,
        pooling=_pooling(checkpoint.folder),
    )


@dataclass(frozen=True)
class Pooling:
    """How the vectors of a text's tokens become one; as sentence-transformers' files say, else their mean."""

    of: str = "mean"
    normalized: bool = True

    def __call__(self, hidden: Any, mask: Any) -> Any:
        """`hidden` (texts, tokens, size) and `mask` (texts, tokens) to (texts, size)."""
        import numpy

        if self.of == "cls":
            pooled = hidden[:, 0]
        else:
            weights = mask[..., None].astype(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
        if not self.normalized:
            return pooled
        return pooled / numpy.maximum(numpy.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)


def _pooling(folder: Path | None) -> Pooling:
    """Read `modules.json` and `1_Pooling/config.json`, where a folder has them. Raises UsageError for another kind."""
    modules = folder / "modules.json" if folder else None
    if folder is None or modules is None or not modules.exists():
        return Pooling()
    kinds = [entry.get("type", "").rpartition(".")[2] for entry in json.loads(modules.read_text(encoding="utf-8"))]
    asked = json.loads((folder / "1_Pooling/config.json").read_text(encoding="utf-8"))
    modes = [name for name, on in asked.items() if name.startswith("pooling_mode_") and on is True]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise UsageError(f"{folder}/1_Pooling/config.json pools by {', '.join(modes)}; known: {', '.join(known)}")
    return Pooling(known[modes[0]], "Normalize" in kinds)


@dataclass(eq=False, kw_only=True)
class EncoderModel(ForwardModel):
    """A text model of one pass."""

    read_tokenizer: Callable[[], Any]
    pooling: Pooling
    _tokenizer: Any = None

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, padding on the right."""
        if self._tokenizer is None:
            self._tokenizer = self.read_tokenizer()
            self._tokenizer.padding_side = "right"
        return self._tokenizer

    def prepare(self) -> None:
        """Read the weights and the tokenizer now, so that no bench times it."""
        super().prepare()
        _ = self.tokenizer

    def encode(self, texts: Sequence[str], passages: Sequence[str] | None = None) -> Inputs:
        """Token ids of texts, or of pairs, padded on the right and cut at what the model can read."""
        for given in (texts, passages or ["-"]):
            if isinstance(given, str) or not given or not all(isinstance(text, str) for text in given):
                raise UsageError(f"texts must be a list of at least one text, not {given!r}")
        return self.kept((*texts, None, *(passages or ())), lambda: self._encode(list(texts), passages))

    def _encode(self, texts: list[str], passages: Sequence[str] | None) -> Inputs:
        pairs = [texts] if passages is None else [texts, list(passages)]
        encoded = self.tokenizer(*pairs, padding=True, truncation=True, max_length=self._longest(), return_tensors="np")
        nothing = encoded["attention_mask"] * 0  # of a graph that wants types from a tokenizer that has none
        arrays = {name: encoded.get(name, nothing).astype("int64") for name in self._names()}
        return Inputs(arrays, {"texts": len(texts), "tokens": int(encoded["attention_mask"].sum())})

    def _longest(self) -> int:
        """Tokens that both the tokenizer and the positions of the model allow."""
        positions = self.config.get("max_position_embeddings") or 512
        # RoBERTa's positions start after its padding id
        offset = (self.config.get("pad_token_id") or 0) + 1 if "roberta" in self.config.get("model_type", "") else 0
        return int(min(self.tokenizer.model_max_length, positions - offset))

    def _names(self) -> tuple[str, ...]:
        if self.graph:
            return tuple(self.config["inputs"])
        types = self.config.get("type_vocab_size") or 0
        own = set(self.tokenizer.model_input_names)
        return ("input_ids", "attention_mask", *(("token_type_ids",) if types > 1 and "token_type_ids" in own else ()))

    def example(self) -> Example:
        """Two texts of nine tokens, the second a shorter one padded."""
        import numpy

        shape = (2, 9)
        mask = numpy.ones(shape, "int64")
        mask[1, 6:] = 0
        # any id will do that is no padding to RoBERTa's positions
        arrays = {
            "input_ids": numpy.full(shape, 3, "int64"),
            "attention_mask": mask,
            "token_type_ids": numpy.zeros(shape, "int64"),
        }
        names = self._names()
        return Example({name: arrays[name] for name in names}, {name: {0: "batch", 1: "tokens"} for name in names})

    def compared(self, inputs: Inputs, outputs: dict[str, Any]) -> dict[str, Any]:
        """Vectors as they are handed out; of tokens those that are no padding."""
        import numpy

        mask = inputs.arrays["attention_mask"]
        if self.facts.task == "embedding":
            return {"embedding": self.pooling(outputs["last_hidden_state"], mask)}
        if self.facts.task == "text-classification":
            return outputs
        padding = mask == 0
        return {
            name: numpy.where(padding if array.ndim == 2 else padding[..., None], numpy.nan, array)
            for name, array in outputs.items()
        }

    def embed(self, texts: Sequence[str]) -> numpy.ndarray:
        """A vector a text, pooled as the model was trained to: (texts, size) float32."""
        inputs = self._for("embedding", texts)
        hidden = self.outputs(inputs)["last_hidden_state"]  # (texts, tokens, size)
        return self.pooling(hidden, inputs.arrays["attention_mask"])  # type: ignore[no-any-return]

    def classify(self, texts: Sequence[str]) -> list[Label]:
        """The likeliest class of each text."""
        logits = self.outputs(self._for("text-classification", texts))["logits"]  # (texts, classes)
        return self.labels(logits)

    def tag(self, texts: Sequence[str]) -> list[list[Label]]:
        """The likeliest class of each token of each text, special tokens and padding left out."""
        inputs = self._for("token-classification", texts)
        logits = self.outputs(inputs)["logits"]  # (texts, tokens, classes)
        special = set(self.tokenizer.all_special_ids)
        return [
            [label for label, token in zip(self.labels(row), ids, strict=True) if int(token) not in special]
            for row, ids in zip(logits, inputs.arrays["input_ids"], strict=True)
        ]

    def fill(self, texts: Sequence[str]) -> list[list[str]]:
        """The likeliest token at each mask (`model.tokenizer.mask_token`) of each text."""
        inputs = self._for("fill-mask", texts)
        masked = inputs.arrays["input_ids"] == self.tokenizer.mask_token_id
        if not masked.any(1).all():
            raise UsageError(f"a text has no {self.tokenizer.mask_token!r}, or it was cut off: nothing to fill")
        best = self.outputs(inputs)["logits"].argmax(-1)  # (texts, tokens)
        return [
            [self.tokenizer.decode([int(token)]).strip() for token in row[where]]
            for row, where in zip(best, masked, strict=True)
        ]

    def answer(self, questions: Sequence[str], passages: Sequence[str]) -> list[str]:
        """The likeliest span of each passage."""
        if len(questions) != len(passages):
            raise UsageError(f"{len(questions)} questions and {len(passages)} passages: give one passage a question")
        self.check_task("question-answering")
        inputs = self.encode(questions, passages)
        output = self.outputs(inputs)
        return [
            self._span(start, end, ids, types)
            for start, end, ids, types in zip(
                output["start_logits"],
                output["end_logits"],
                inputs.arrays["input_ids"],
                self._passages(inputs),
                strict=True,
            )
        ]

    def _passages(self, inputs: Inputs) -> Any:
        """Where the tokens of the passage are: (texts, tokens) bool."""
        if "token_type_ids" in inputs.arrays:
            return inputs.arrays["token_type_ids"] == 1
        ids = inputs.arrays["input_ids"]
        separators = (ids == self.tokenizer.sep_token_id).cumsum(1)
        return (separators >= 1) & (inputs.arrays["attention_mask"] == 1)

    def _span(self, start: Any, end: Any, ids: Any, inside: Any) -> str:
        import numpy

        scores = numpy.where(inside, start, -numpy.inf)[:, None] + numpy.where(inside, end, -numpy.inf)[None, :]
        longest = 30  # tokens: as in BERT's own run_squad
        scores = numpy.where(numpy.tril(numpy.triu(numpy.ones_like(scores)), longest - 1) > 0, scores, -numpy.inf)
        first, last = numpy.unravel_index(scores.argmax(), scores.shape)
        return str(self.tokenizer.decode(ids[first : last + 1], skip_special_tokens=True)).strip()

    def _for(self, task: str, texts: Sequence[str]) -> Inputs:
        self.check_task(task)
        return self.encode(texts)
