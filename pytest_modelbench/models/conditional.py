"""Conditional: models that write of what they read, hear or see, such as encoder-decoders, by `module.generate`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..forward import Inputs
from ..generation import Generation
from ..model import Model
from ..parity import NOTHING, Witness
from .forward_model import same
from .reading import unheard
from .torch_decoder import StepTimer
from .torch_forward import Placed, module_facts, ran_eagerly


@dataclass(eq=False, kw_only=True)
class ConditionalModel(Model):
    """A model that writes. Families give it inputs and the verbs around `written`."""

    #: The verb that calling the model is.
    verb: str
    config: dict[str, Any]
    read_tokenizer: Callable[[], Any]
    _tokenizer: Any = None
    _placed: Placed | None = None
    #: The last raw inputs and what they became: rounds of one call do not time preparation again.
    _encoded: tuple[tuple[Any, ...], Inputs] | None = None

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        if self._tokenizer is None:
            self._tokenizer = self.read_tokenizer()
        return self._tokenizer

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The verb of this model's task."""
        return getattr(self, self.verb)(*inputs, **named)

    def prepare(self) -> None:
        """Read the weights and the tokenizer now, so that no bench times it."""
        self._placed = Placed(self.device.torch_name, self.module.dtype)
        _ = self.tokenizer
        if not self.facts.ran_on:
            self.note(ran_on=ran_eagerly(self.device.torch_name))

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off the loaded module."""
        return module_facts(module)

    def kept(self, raw: Sequence[Any], encode: Callable[[], Inputs]) -> Inputs:
        """What these very things became the last time, else what `encode` makes of them now."""
        if self._encoded is None or not same(self._encoded[0], tuple(raw)):
            self._encoded = tuple(raw), encode()
        return self._encoded[1]

    def written(
        self, inputs: Inputs, max_new_tokens: int, min_new_tokens: int | None = None, num_beams: int = 1
    ) -> Generation:
        """Tokens for each input, chosen greedily or by beams, with the moment of each."""
        if max_new_tokens < 1 or not 0 <= (min_new_tokens or 0) <= max_new_tokens:
            raise UsageError(
                f"max_new_tokens={max_new_tokens}, min_new_tokens={min_new_tokens}: at least 1, and min <= max"
            )
        asked = {"max_new_tokens": max_new_tokens, "min_new_tokens": min_new_tokens, "num_beams": num_beams}
        rows, timer = self._rows(inputs, asked)
        if self.witness is None:
            self.witness = Witness(
                (*inputs.arrays.values(), repr(sorted(asked.items(), key=str))),
                lambda: self.compared(inputs, asked, rows),
                lambda other: other.repeated(inputs, asked),  # type: ignore[attr-defined]
            )
        texts = tuple(text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True))
        steps = max(map(len, rows)) if num_beams == 1 else None
        read = int(inputs.amounts.get("tokens", len(rows)))
        return Generation(texts, tuple(map(tuple, rows)), read, max_new_tokens, lambda: timer.clock(steps))

    def _rows(self, inputs: Inputs, asked: dict[str, Any]) -> tuple[list[list[int]], StepTimer]:
        """New token ids of each input, up to and including the one that ended it."""
        from transformers import LogitsProcessorList

        if self._placed is None:
            self.prepare()
        assert self._placed is not None
        timer = StepTimer(self.module.device)
        tensors = self._placed(inputs)
        timer.begin()
        with unheard():
            output = self.module.generate(
                **tensors,
                **{name: value for name, value in asked.items() if value is not None},
                do_sample=False,
                logits_processor=LogitsProcessorList([timer]),
            )
        steps = len(timer.events) - 1 if timer.cuda else len(timer.steps_ns)
        return [self._trimmed(row) for row in output[:, -steps:].tolist()], timer

    def _trimmed(self, row: list[int]) -> list[int]:
        end = self.module.generation_config.eos_token_id
        endings = {end} if isinstance(end, int) else set(end or ())
        for at, token in enumerate(row):
            if token in endings:
                return row[: at + 1]
        return row

    def repeated(self, inputs: Inputs, asked: dict[str, Any]) -> dict[str, Any]:
        """What parity compares, of the same call."""
        return self.compared(inputs, asked, self._rows(inputs, asked)[0])

    def compared(self, inputs: Inputs, asked: dict[str, Any], rows: list[list[int]]) -> dict[str, Any]:
        """Tokens (inputs, steps), and logits (inputs, vocabulary) of the first step, made anew."""
        import numpy

        width = max(map(len, rows))
        tokens = numpy.array([[*row, *[NOTHING] * (width - len(row))] for row in rows], "int64")
        assert self._placed is not None
        told = {"max_new_tokens": 2, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
        with unheard():
            output = self.module.generate(**self._placed(inputs), **told)
        logits = output["logits"][0].float().cpu().numpy() if "logits" in output else None
        return {"tokens": tokens} if logits is None else {"tokens": tokens, "logits": logits}

    def close(self) -> None:
        """Give back weights."""
        self._placed = self._encoded = None
        super().close()
        gc.unfreeze()
        gc.collect()
