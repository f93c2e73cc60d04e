"""compiled: transformers' static cache with its one-token step compiled by `torch.compile`.

    compiled                             mode "default"
    compiled:reduce-overhead             with CUDA graphs
    compiled:max-autotune                with CUDA graphs, kernels chosen by timing them
    compiled:max-autotune-no-cudagraphs
    compiled:fullgraph                   a graph break is an error
    compiled:dynamic                     one graph for every size, where torch can

Words go together: `compiled:max-autotune:fullgraph`. A model that does not generate has its whole pass compiled.
The prompt's own pass is not compiled, because its shape changes with every prompt; that is what transformers does.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from ..declare import variant
from ..errors import Fallback, Unsupported
from ..model import Model
from ..variants import words

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
WORDS = {"mode": MODES, "graph": ("fullgraph",), "sizes": ("dynamic",)}


@variant(requires=("torch", "transformers"), decides="steps")
def compiled(model: Model, option: str | None = None) -> Model:
    """The model compiled at the first call. Raises UnknownName for a word that is none, Fallback when nothing was."""
    told = words("compiled", option, WORDS)
    asked = {"mode": told.get("mode", "default"), "fullgraph": "graph" in told, "dynamic": "sizes" in told}
    family: Any = model  # its family's verbs; variants know no family by its class
    if not hasattr(model, "compile_step") and not hasattr(type(model), "network"):
        raise Unsupported(f"variant 'compiled' does not know how to run the task {model.facts.task}: use 'eager'")
    with warnings.catch_warnings():
        # Inductor scripts a module of torch's own while it is imported, which torch deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        import torch._inductor.compile_fx  # noqa: F401
    if hasattr(model, "compile_step"):
        family.compile_step(**asked)
    else:
        _compile_pass(family, asked)
    compilations = Compilations()
    model.closers.append(compilations.close)
    how = ", ".join([f"mode={asked['mode']}", *(name for name in ("fullgraph", "dynamic") if asked[name])])
    model.proofs.append(lambda: _prove(model, how, compilations))
    model.note(ran_on=None, compile_mode=how.removeprefix("mode="))
    return model


def _compile_pass(model: Any, asked: dict[str, Any]) -> None:
    import torch

    # None lets torch compile for one size, and for every one after the second
    step = torch.compile(model.network, **asked | {"dynamic": asked["dynamic"] or None})
    model.run_network(_unheard(step), "torch.compile, not called yet")


def _unheard(compiled: Any) -> Any:
    """Without the warnings of torch's compiler about its own deprecated parts and empty CUDA graphs."""

    def run(*tensors: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torch\.")
            return compiled(*tensors)

    return run


@dataclass
class Compilations:
    """What torch's compiler did since this was made: how often, and for how long."""

    times: int = 0
    seconds: float = 0.0
    #: CUDA graphs recorded.
    recordings: int = 0
    _started: float = 0.0
    _before: tuple[int, int] = field(default_factory=lambda: _counted())

    def __post_init__(self) -> None:
        import torch
        from torch._dynamo.callback import callback_handler

        # Past its limit Dynamo runs eagerly and says so only in a log: that must be an error, and far away.
        self._settings = torch._dynamo.config.patch(fail_on_recompile_limit_hit=True, recompile_limit=64)
        self._settings.__enter__()
        callback_handler.register_start_callback(self._start)
        callback_handler.register_end_callback(self._end)

    @property
    def graphs(self) -> int:
        """Graphs that Dynamo made."""
        return _counted()[0] - self._before[0]

    @property
    def graph_breaks(self) -> int:
        """Places where Dynamo went back to Python."""
        return _counted()[1] - self._before[1]

    def _start(self, what: Any) -> None:
        self._started = perf_counter()

    def _end(self, what: Any) -> None:
        self.seconds += perf_counter() - self._started
        if what.callback_trigger.name == "CUDAGRAPH_RECORDING":
            self.recordings += 1
        else:
            self.times += 1

    def close(self) -> None:
        """Stop counting, and let go of compiled code, which holds the weights."""
        import torch
        from torch._dynamo.callback import callback_handler

        if self._start in callback_handler.start_callbacks:  # a reset of Dynamo forgets them
            callback_handler.remove_start_callback(self._start)
            callback_handler.remove_end_callback(self._end)
        self._settings.__exit__(None, None, None)
        torch._dynamo.reset()


def _counted() -> tuple[int, int]:
    """Dynamo's counts of graphs and of graph breaks, in this process so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())


def _prove(model: Model, how: str, compilations: Compilations) -> None:
    """Facts of the compiler. Raises Fallback when it never ran."""
    import torch

    if not compilations.graphs:
        raise Fallback(
            f"asked for torch.compile, eager ran: no graph was compiled for {model.facts.architecture} on "
            f"{model.device.name}; leave 'compiled' out for it"
        )
    recorded = f", {compilations.recordings} CUDA graph recordings" if compilations.recordings else ""
    model.note(
        ran_on=(
            f"torch {torch.__version__} compiled (inductor, {how}) on {model.device.name}: "
            f"{compilations.graphs} graphs{recorded}"
        ),
        compile_seconds=compilations.seconds,
        compilations=compilations.times,
        graph_breaks=compilations.graph_breaks,
        cudagraph_recordings=compilations.recordings,
    )
