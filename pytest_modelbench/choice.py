"""Choice: how the next token is chosen - the likeliest, drawn by chance, or by beams.

Torch and transformers do the choosing on every runtime, ONNX's logits too, so that one seed means one text on all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

from .errors import UsageError


class Asked(TypedDict, total=False):
    """What a bench may ask of the choosing, in transformers' words."""

    #: Draw by chance; asked for also by a temperature, top_k, top_p or seed.
    do_sample: bool
    #: Logits are divided by it: below 1 the likely gets likelier.
    temperature: float
    #: Draw among so many of the likeliest.
    top_k: int
    #: Draw among the likeliest that together have this probability.
    top_p: float
    #: Texts that are followed at once, of which the likeliest is kept.
    num_beams: int
    #: Of the draw: the same seed draws the same tokens in every call; 0 unless told.
    seed: int


@dataclass(frozen=True)
class Choice:
    """How each token is chosen; greedily unless said otherwise."""

    sampled: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    beams: int = 1
    seed: int = 0
    #: Shown each step's logits before a token is chosen by them.
    tap: Callable[[Any], None] | None = None

    @classmethod
    def of(
        cls,
        *,
        do_sample: bool | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        num_beams: int = 1,
        seed: int | None = None,
    ) -> Choice:
        """The choice that was asked for. Raises UsageError for what cannot be meant."""
        drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        given = [f"{name}={value}" for name, value in drawing.items() if value is not None]
        if do_sample is False and given:
            raise UsageError(f"do_sample=False with {', '.join(given)}: nothing is drawn; leave one of them out")
        wrong = [
            text
            for text, right in (
                (f"temperature={temperature}: above 0", temperature is None or temperature > 0),
                (f"top_k={top_k}: at least 1", top_k is None or top_k >= 1),
                (f"top_p={top_p}: above 0, at most 1", top_p is None or 0 < top_p <= 1),
                (f"num_beams={num_beams}: at least 1", num_beams >= 1),
            )
            if not right
        ]
        if wrong:
            raise UsageError("; ".join(wrong))
        sampled = bool(do_sample or given)
        return cls(sampled, 1.0 if temperature is None else temperature, top_k, top_p, num_beams, seed or 0)

    def warpers(self, endings: int = 0) -> list[Any]:
        """Transformers' own, in the order in which its `generate` puts them, for so many ids that end a text.

        Beams are drawn without putting back, so a token that does not end the text must be left to each.
        """
        from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        least = max(2, endings + 1) if self.beams > 1 else 1
        warpers = [TemperatureLogitsWarper(self.temperature)] if self.temperature != 1 else []
        warpers += [TopKLogitsWarper(self.top_k, min_tokens_to_keep=least)] if self.top_k is not None else []
        return warpers + ([TopPLogitsWarper(self.top_p, min_tokens_to_keep=least)] if self.top_p is not None else [])

    @contextmanager
    def seeded(self, device: Any) -> Iterator[None]:
        """Torch's generators, which `generate` draws from, at the seed; afterwards they go on as if nothing was."""
        if not self.sampled:
            yield
            return
        import torch

        # other kinds have no states by device that could be put back
        devices = [device] if device.type in ("cuda", "xpu") else []
        with torch.random.fork_rng(devices=devices, device_type=device.type if devices else "cuda"):
            torch.manual_seed(self.seed)
            yield


class Chooser:
    """Chooses a step's tokens on the device where its logits are: what `generate` does, with a generator of its own."""

    def __init__(self, choice: Choice, device: Any) -> None:
        import torch

        if choice.beams > 1:
            raise UsageError(f"num_beams={choice.beams}: which beam is kept is known only at the end; use generate")
        self.warpers, self.tap = choice.warpers(), choice.tap
        self.generator = torch.Generator(device).manual_seed(choice.seed) if choice.sampled else None

    def __call__(self, logits: Any) -> Any:
        """Token ids (sequences, 1) of logits (sequences, vocabulary)."""
        if self.tap is not None:
            self.tap(logits)
        if self.generator is None:
            return logits.argmax(-1, keepdim=True)
        import torch

        for warper in self.warpers:
            logits = warper(None, logits)
        return torch.multinomial(logits.softmax(-1), 1, generator=self.generator)
