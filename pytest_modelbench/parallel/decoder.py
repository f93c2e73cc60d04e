"""RanksDecoder: tokens by torch on several ranks, which make each call together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..choice import Choice
from ..errors import Lost, UsageError
from ..generation import Decoded, Limits, Prompts

if TYPE_CHECKING:
    from ..model import Model
    from . import Ranks


class RanksDecoder:
    """A Decoder that is this rank's own and tells the other ranks of each call.

    Of a `generate` or of logits they are told once; of each step of a stream, because a stream may end at any.
    """

    kv_source = "keys and values of the transformers cache of rank 0, when it was fullest, times the ranks"

    def __init__(self, model: Model, ranks: Ranks, own: Callable[[Any], Any], noted: Callable[[], None]) -> None:
        self._model, self._ranks = model, ranks
        #: Makes the Decoder of this rank's part.
        self._make, self._noted = own, noted
        self._own: Any = None
        #: What the other ranks were last given to read, so that the same is not sent again.
        self._sent: Prompts | None = None
        #: The stream that is open, as the others know it.
        self._open: object | None = None
        self._calls, self._made = 0, list[Any]()

    @property
    def kv_bytes(self) -> dict[tuple[int, int], int]:
        """Of all ranks: each keeps its heads, or all where the plan gathers them."""
        held = self._own.kv_bytes if self._own is not None else {}
        return {size: number * len(self._ranks.devices) for size, number in held.items()}

    @property
    def own(self) -> Any:
        """The Decoder of this rank; where ranks were lost in an earlier call, all are started anew."""
        if self._ranks.ended:
            self._ranks.clear()
            self._own, self._sent, self._open, self._calls = None, None, None, 0
            self._model.module = None
        if self._own is None:
            self._own = self._make(self._model.module)
            self._noted()
        return self._own

    def generate(self, prompts: Prompts, limits: Limits, choice: Choice) -> Decoded:
        """All new tokens of a batch; each rank runs `module.generate`."""
        own = self.own
        self._call("generate", prompts, limits, replace(choice, tap=None))
        with self._ranks.together():
            decoded: Decoded = own.generate(prompts, limits, choice)
        self._made = [decoded.rows]
        return decoded

    def logits(self, texts: Prompts, last: int) -> Any:
        """What comes after the last tokens, in one pass of all ranks."""
        own = self.own
        self._call("logits", texts, last)
        with self._ranks.together():
            return own.logits(texts, last)

    def steps(self, prompts: Prompts, limits: Limits, choice: Choice) -> Iterator[tuple[int | None, ...]]:
        """Each step's tokens, once they are on the host; the other ranks take a step when it is asked for here."""
        steps = self.own.steps(prompts, limits, choice)  # what cannot be meant is refused before the others hear of it
        return self._steps(steps, prompts, limits, replace(choice, tap=None))

    def _steps(self, steps: Iterator[tuple[int | None, ...]], *call: Any) -> Iterator[tuple[int | None, ...]]:
        mine = object()
        self._call("steps", *call)
        self._open = mine
        try:
            while True:
                if self._open is not mine:
                    raise UsageError("a stream was open when the model was called again, which ended it: read it first")
                self._ranks.tell("go")
                with self._ranks.together():
                    tokens = next(steps, None)
                self._made.append(tokens)
                if tokens is None:
                    return
                yield tokens
        finally:
            if self._open is mine:
                self._stop()

    def _call(self, what: str, prompts: Prompts, *arguments: Any) -> None:
        """Tell the others of a call, which they begin at once."""
        if self._open is not None:
            self._stop()
        again = prompts is self._sent
        self._ranks.tell(what, None if again else prompts, *arguments)
        self._sent, self._calls, self._made = prompts, self._calls + 1, []

    def _stop(self) -> None:
        self._open = None
        if not self._ranks.ended:
            self._ranks.tell("stop")

    def agreed(self) -> list[dict[str, Any]]:
        """What each other rank says of itself. Raises Lost where one made other calls or other tokens than this."""
        states = self._ranks.ask("state")
        made = sha256()
        for tokens in self._made:
            made.update(repr(tokens).encode())
        for seat, state in zip(self._ranks.seats[1:], states, strict=True):
            if (state["calls"], state["tokens"]) != (self._calls, made.hexdigest()):
                why = f"{seat} made {state['calls']} calls to {self._calls} here, or other tokens in the last"
                self._ranks.end(why)
                raise Lost(f"{why}: the ranks do not compute one model")
        return states
