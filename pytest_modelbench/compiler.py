"""Compiler: when torch's compiler worked while rounds ran, as Series on the rounds' own clock.

torch compiles inside the call that needs it. A shape that the warm-up did not have is compiled in a timed round, and
that round is then a compilation with a call in it: 27 s where a call takes 0.5 s was seen. Dynamo says when it begins
and ends; it is asked only where it is loaded, and a bench without it pays for one look into `sys.modules`.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns, time_ns
from typing import Any

from .record import COMPILER, Series

#: Dynamo's callbacks: tracing with all that Inductor does then, a backward compiled late, CUDA graphs recorded.
_CALLBACKS = "torch._dynamo.callback"


class Compiler:
    """What torch's compiler did between `start` and `stop`."""

    def __init__(self) -> None:
        self._begun_ns = 0
        self._handler: Any = None
        #: Start and seconds of what it did, by quantity.
        self._seen: dict[str, list[tuple[int, float]]] = {}
        self._started_ns = 0

    def start(self) -> None:
        """Listen, if anything can compile by now."""
        self._begun_ns = perf_counter_ns()
        module: Any = sys.modules.get(_CALLBACKS)
        if module is not None:
            self._handler = module.callback_handler
            self._handler.register_start_callback(self._on_start)
            self._handler.register_end_callback(self._on_end)

    def stop(self) -> tuple[Series, ...]:
        """Stop listening: a Series a quantity, with the start of each event and its seconds."""
        if self._handler is None:
            self._remember_unheard()
        elif self._on_start in self._handler.start_callbacks:  # a reset of Dynamo forgets them
            self._handler.remove_start_callback(self._on_start)
            self._handler.remove_end_callback(self._on_end)
        self._handler = None
        return tuple(
            Series(COMPILER, name, "seconds", tuple(at for at, _ in events), tuple(seconds for _, seconds in events))
            for name, events in self._seen.items()
        )

    def _on_start(self, what: Any) -> None:
        self._started_ns = perf_counter_ns()

    def _on_end(self, what: Any) -> None:
        recorded = what.callback_trigger.name == "CUDAGRAPH_RECORDING"
        name = "cudagraph_recording_seconds" if recorded else "compile_seconds"
        seconds = (perf_counter_ns() - self._started_ns) * 1e-9
        self._seen.setdefault(name, []).append((self._started_ns, seconds))

    def _remember_unheard(self) -> None:
        """What a compiler did that was first loaded while rounds ran, from its own list, which has the wall's clock."""
        utils: Any = sys.modules.get("torch._dynamo.utils")
        if utils is None:
            return
        to_ours_ns = perf_counter_ns() - time_ns()
        for event in utils.get_compilation_metrics():
            at_ns = event.start_time_us * 1000 + to_ours_ns
            if at_ns >= self._begun_ns:
                self._seen.setdefault("compile_seconds", []).append((at_ns, (event.duration_us or 0) * 1e-6))
