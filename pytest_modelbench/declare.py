"""Labels: `@variant @metric @sampler @store @report` turn a function into a small frozen object and do nothing else.

Nothing is registered: the plugin finds such objects in plugin modules, in each `conftest.py` and in bench files,
as pytest finds fixtures (see `catalog.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, TypeVar, overload

from .errors import Unavailable

Kind = Literal["variant", "metric", "sampler", "store", "report"]

#: Importable module -> what to ask pip for, where the two differ or an extra of ours carries it.
EXTRAS = {
    "torch": "pytest-modelbench[torch]",
    "transformers": "pytest-modelbench[torch]",
    "accelerate": "pytest-modelbench[torch]",
    "gguf": "pytest-modelbench[torch]",
    "onnx": "pytest-modelbench[onnx]",
    "onnxruntime": "pytest-modelbench[onnx]",
    "onnxscript": "pytest-modelbench[onnx]",
    "onnxruntime_genai": "pytest-modelbench[genai]",
    "openvino": "pytest-modelbench[openvino]",
    "tensorflow": "pytest-modelbench[tensorflow]",
    "keras": "pytest-modelbench[tensorflow]",
    "ai_edge_litert": "pytest-modelbench[tensorflow]",
    "bitsandbytes": "pytest-modelbench[quantization]",
    "torchao": "pytest-modelbench[quantization]",
    "kernels": "pytest-modelbench[kernels]",
    "liger_kernel": "liger-kernel",
    "flash_attn": "flash-attn",
    "datasets": "pytest-modelbench[data]",
    "fsspec": "pytest-modelbench[data]",
    "aiohttp": "pytest-modelbench[data]",
    "PIL": "pytest-modelbench[data]",
    "soundfile": "pytest-modelbench[data]",
    "s3fs": "pytest-modelbench[s3]",
    "gcsfs": "pytest-modelbench[gs]",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
    "evaluate": "pytest-modelbench[metrics]",
    "sklearn": "pytest-modelbench[metrics]",
    "scipy": "pytest-modelbench[metrics]",
    "sacrebleu": "pytest-modelbench[metrics]",
    "rouge_score": "pytest-modelbench[metrics]",
    "nltk": "pytest-modelbench[metrics]",
    "jiwer": "pytest-modelbench[metrics]",
    "pycocotools": "pytest-modelbench[metrics]",
    "bert_score": "pytest-modelbench[learned]",
    "torchmetrics": "pytest-modelbench[learned]",
    "lm_eval": "pytest-modelbench[harness]",
    "pynvml": "nvidia-ml-py",
}


@dataclass(frozen=True)
class Declared:
    """A labelled function and what it needs; calling it calls the function."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    requires: tuple[str, ...] = ()
    #: Of a variant: what of a run it decides (`variants.PARTS`); "" may stand beside anything.
    decides: str = ""

    @property
    def place(self) -> str:
        """Where it is written: file and line."""
        code = getattr(self.function, "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@dataclass(frozen=True)
class Metric(Declared):
    """A pure function of predictions and references; it cannot be declared without a unit and a direction."""

    unit: str = ""
    direction: Literal["higher", "lower"] = "higher"
    #: The least and the most that it can be, where it has both; a composite needs them.
    span: tuple[float, float] | None = None


def check_requirements(what: str, requires: tuple[str, ...]) -> None:
    """Raise Unavailable with the pip line when an importable module named in `requires` is not installed."""
    missing = [name for name in requires if find_spec(name) is None]
    if missing:
        packages = " ".join(dict.fromkeys(f'"{EXTRAS.get(name, name)}"' for name in missing))
        raise Unavailable(f"{what} needs {', '.join(missing)}: pip install {packages}")


F = TypeVar("F", bound=Callable[..., Any])


def _label(
    kind: Kind, function: Callable[..., Any], name: str | None, requires: tuple[str, ...], decides: str = ""
) -> Declared:
    return Declared(kind, name or function.__name__.replace("_", "-"), function, requires, decides)


@overload
def variant(name: Callable[..., Any]) -> Declared: ...
@overload
def variant(
    name: str | None = None, *, requires: tuple[str, ...] = (), decides: str = ""
) -> Callable[[Callable[..., Any]], Declared]: ...
def variant(
    name: str | Callable[..., Any] | None = None, *, requires: tuple[str, ...] = (), decides: str = ""
) -> Declared | Callable[[Callable[..., Any]], Declared]:
    """Label a function that takes a Model and gives it back run another way: `f(model)` or `f(model, option)`.

    The name is the function's, with `-` for `_`. `option` is what stands after the colon: `compiled:max-autotune`.
    `decides` names a part of the run (`variants.PARTS`), of which a composition has one: "dtype", "runtime", ...
    """
    if callable(name):
        return _label("variant", name, None, requires)
    return lambda function: _label("variant", function, name, requires, decides)


def metric(
    unit: str,
    direction: Literal["higher", "lower"],
    *,
    name: str | None = None,
    requires: tuple[str, ...] = (),
    span: tuple[float, float] | None = None,
) -> Callable[[Callable[..., Any]], Metric]:
    """Label a function of `(predictions, references, **options)`; without references by a default of None.

    It returns a list with a float for each item (the score is their mean), a `Judged` or a `Score` when the score is
    something other than a mean of items, or several of these by name. `option` is what stands after the colon
    (`f1:micro`), `tell` a function to call with the share that is done. `span` is the least and the most; (0, 1) for a
    ratio.
    """
    span = (0.0, 1.0) if span is None and unit == "ratio" else span
    return lambda function: Metric(
        "metric", name or function.__name__, function, requires, unit=unit, direction=direction, span=span
    )


def _labeller(kind: Kind, name: str, *, requires: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Declared]:
    return lambda function: _label(kind, function, name, requires)


#: `@sampler(name)`: a generator function of one device; each `next` gives {(quantity, unit): value}.
sampler = partial(_labeller, "sampler")
#: `@store(name)`: a class made with a place; `append(records)` and `records()`.
store = partial(_labeller, "store")
#: `@report(name)`: a function of Results and a place (a path) that writes one file and returns its path.
report = partial(_labeller, "report")
