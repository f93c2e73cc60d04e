"""Model: weights on a device with the verbs of their task. A variant takes one and gives it back run another way.

Weights are read at the first touch of `module`: a variant that changes *how* they are read (`dtype`, quantization,
attention) says so with `load_with` before that; a variant that changes how they *run* (`compiled`, `onnx`) works
on what was read. So variants compose with `+` from left to right, and a contradiction is a clear error.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .record import ModelFacts

if TYPE_CHECKING:
    from pathlib import Path

    from .device import Device
    from .memory import Elsewhere
    from .parity import Witness
    from .settings import Settings
    from .source import Source


@dataclass(eq=False)
class Model:
    """A model of one task on one device. Families in `models/` subclass nothing else and add their verbs."""

    source: Source
    device: Device
    #: Reads weights: `load(options) -> module`; given by the family that opened the source.
    load: Callable[[dict[str, Any]], Any]
    facts: ModelFacts
    #: Its configuration, and what it was opened with, for who opens it again in another process.
    config: dict[str, Any] = field(default_factory=dict)
    settings: Settings | None = None
    #: The variants that it runs by, in their order.
    applied: list[str] = field(default_factory=list)
    #: What variants asked of the loading, by option.
    load_options: dict[str, Any] = field(default_factory=dict)
    #: Applied to what was loaded, in their order: quantizers, replaced layers.
    changes: list[Callable[[Any], Any]] = field(default_factory=list)
    #: Run at close, last first: sessions, temporary folders.
    closers: list[Callable[[], None]] = field(default_factory=list)
    #: The processes that compute for it beside this one, whose memory counts too.
    elsewhere: Elsewhere | None = None
    #: Given by variants whose runtime starts at the first call: what compiled, which provider ran.
    proofs: list[Callable[[], None]] = field(default_factory=list)
    #: The folder of the cache with what a variant exported.
    exported_to: Path | None = None
    #: The first call of the running bench, for parity; verbs leave it where there is none.
    witness: Witness | None = None
    _module: Any = None
    _handed_to: str = ""

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._module is not None

    @property
    def handed_over(self) -> bool:
        """Whether another runtime than torch holds the weights."""
        return bool(self._handed_to)

    @property
    def torch_holds(self) -> bool:
        """Whether the weights are torch's, so that its allocator sees what they take of a device."""
        return not self.handed_over and self.facts.details.get("runtime") is None

    @property
    def module(self) -> Any:
        """The loaded thing (a torch module, for the torch families); read at first touch."""
        if self._handed_to:
            raise UsageError(
                f"the weights of {self.source.text!r} are in {self._handed_to} now; there is no module to touch"
            )
        if self._module is None:
            started = perf_counter()
            module = self.load(self.load_options)
            for change in self.changes:
                module = change(module)
            self._module = module
            self.device.synchronise()
            self.note(load_seconds=perf_counter() - started, **self._asked(), **self.describe(self._module))
        return self._module

    @module.setter
    def module(self, value: Any) -> None:
        self._module = value

    def prepare(self) -> None:
        """Read the weights now, so that no bench times it."""
        _ = self.module

    def _asked(self) -> dict[str, str]:
        """What variants asked of the loading that the loaded thing can be held against (caveat `fallback`)."""
        asked = {"asked_dtype": "dtype", "asked_attention": "attn_implementation"}
        told = {fact: str(self.load_options.get(name, "auto")) for fact, name in asked.items()}
        return {fact: value.removeprefix("torch.") for fact, value in told.items() if value != "auto"}

    def describe(self, module: Any) -> dict[str, Any]:
        """Facts read off what was just loaded; a family that can tell more says so here."""
        return {}

    def ran(self) -> None:
        """Refresh the facts that only a run can prove; called once the call is warm, before it is timed.

        Raises Fallback when something else ran than was asked for.
        """
        for prove in self.proofs:
            prove()

    def hand_over(self, runtime: str) -> None:
        """Let go of the loaded thing, because `runtime` now holds its own copy of the weights; the facts stay."""
        self._module, self._handed_to = None, runtime
        gc.collect()  # now: rounds run with collections frozen, which would keep weights held by a cycle

    def load_with(self, **options: Any) -> None:
        """Ask for weights to be read in a certain way. Raises UsageError when they already are, or on a clash."""
        if self.loaded or self._handed_to:
            raise UsageError(
                f"{', '.join(options)} must be set before the weights are read: "
                "put that variant first in the composition"
            )
        for name, value in options.items():
            if self.load_options.get(name, value) != value:
                raise UsageError(
                    f"two variants set {name}: {self.load_options[name]!r} and {value!r}; keep one of them"
                )
        self.load_options |= options

    def change_with(self, change: Callable[[Any], Any]) -> None:
        """Have the loaded thing changed before anything runs it: `change(module) -> module`.

        Raises UsageError when something may have run it already.
        """
        if self.loaded or self._handed_to:
            raise UsageError(
                "layers must be changed before the weights are read: put that variant first in the composition"
            )
        self.changes.append(change)

    def note(self, **facts: Any) -> None:
        """Write facts about what really ran; unknown names go to the details."""
        own = {name: value for name, value in facts.items() if name in ModelFacts.__dataclass_fields__}
        details = {name: value for name, value in facts.items() if name not in own}
        self.facts = replace(self.facts, **own, details={**self.facts.details, **details})

    def close(self) -> None:
        """Give back memory and sessions; the model is not usable after."""
        while self.closers:
            self.closers.pop()()
        self.proofs.clear()
        self.changes.clear()
        self._module = self.witness = None
