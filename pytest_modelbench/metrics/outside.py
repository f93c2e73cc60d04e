"""Outside: any metric of the libraries `evaluate` and `torchmetrics`, by the name after the colon."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from math import fsum
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from ..declare import metric
from ..errors import Unavailable, UsageError
from ..metrics import listed
from ..scores import Judged

Direction = Literal["higher", "lower"]
#: Of metrics of `evaluate` that many know; of others the bench says it.
_LOWER = {"wer", "cer", "ter", "mse", "mae", "mape", "smape", "mase", "perplexity", "brier_score", "toxicity"}
_HIGHER = {
    "accuracy", "f1", "precision", "recall", "exact_match", "bleu", "sacrebleu", "google_bleu", "rouge", "meteor",
    "chrf", "bertscore", "bleurt", "comet", "squad", "squad_v2", "glue", "super_glue", "matthews_correlation",
    "roc_auc", "pearsonr", "spearmanr", "r_squared", "seqeval", "mean_iou",
}  # fmt: skip
#: Parts of torchmetrics that are looked in for a class.
_PARTS = (
    ".classification", ".regression", ".text", ".retrieval", ".clustering", ".audio", ".image", ".detection",
    ".segmentation", ".nominal", ".aggregation", "",
)  # fmt: skip


@metric("", "higher", requires=("evaluate",))
def evaluate(
    predictions: Sequence[Any],
    references: Sequence[Any] | None = None,
    option: str = "",
    *,
    key: str | None = None,
    unit: str = "",
    direction: Direction | None = None,
    **options: Any,
) -> Judged:
    """A metric of `evaluate`: `evaluate:wer`, or a folder with its script, `evaluate:./metrics/mine`.

    `key` chooses among several results, `direction` says what is better where it is not widely known; other options
    are the metric's own. A list of a number a text is kept as the items. Its script is code that runs: name what you
    trust.
    """
    import evaluate as library
    from huggingface_hub import errors

    if not option:
        raise UsageError("evaluate needs the name of a metric: write evaluate:NAME or evaluate:FOLDER")
    name = Path(option).name
    try:
        judge = library.load(str(Path(option).resolve()) if Path(option).exists() else option)
    except (ConnectionError, FileNotFoundError, errors.HTTPError) as error:
        raise Unavailable(
            f"metric 'evaluate:{option}' is no folder here, and the hub does not give it "
            f"({next(iter(str(error).splitlines()), type(error).__name__)}): copy its folder where there is a network "
            "and write evaluate:FOLDER, or use one of ours"
        ) from error
    except ImportError as error:
        raise Unavailable(f"metric 'evaluate:{option}': {error}") from error
    given = {"predictions": listed(name, "predictions", predictions)}
    if references is not None:
        given["references"] = listed(name, "references", references)
    try:
        results = judge.compute(**given, **options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"metric 'evaluate:{option}': {' '.join(str(error).split())[:300]}") from error
    value, items = _chosen(option, results, key or name, asked=key is not None)
    return Judged(
        value,
        items,
        again=(lambda at: fsum(items[i] for i in at) / len(at)) if items else None,
        n=len(items),
        unit=unit,
        direction=direction or _direction(option, name),
    )


def _chosen(option: str, results: dict[str, Any], key: str, asked: bool) -> tuple[float, tuple[float, ...]]:
    """The result of that name, or the only number or list of numbers."""
    usable = {name: value for name, value in results.items() if isinstance(value, Real) or _is_row(value)}
    if not asked and key not in usable and len(usable) == 1:
        key = next(iter(usable))
    if key not in usable:
        raise UsageError(f"metric 'evaluate:{option}' gives {', '.join(map(str, results))}: say which, key=NAME")
    value = usable[key]
    if isinstance(value, Real):
        return float(value), ()
    items = tuple(float(item) for item in value)
    return fsum(items) / len(items), items


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Real) for item in value)


def _direction(option: str, name: str) -> Direction:
    if name in _LOWER:
        return "lower"
    if name in _HIGHER:
        return "higher"
    raise UsageError(f'metric \'evaluate:{option}\' does not say what is better: give direction="higher" or "lower"')


@metric("", "higher", requires=("torchmetrics", "torch"))
def torchmetrics(
    predictions: Sequence[Any],
    references: Sequence[Any] | None = None,
    option: str = "",
    *,
    unit: str = "",
    direction: Direction | None = None,
    **options: Any,
) -> Judged:
    """A class of torchmetrics: `torchmetrics:F1Score` with its own options (`task="multiclass"`, `num_classes=3`).

    What is better is what it says itself (`higher_is_better`). Numbers become tensors; texts stay lists. It is of
    all items together; the interval is of bootstrap samples.
    """
    import torch

    cls = _class(option)
    said, right = listed(option, "predictions", predictions), references
    right = None if right is None else listed(option, "references", right)
    if right is not None and len(said) != len(right):
        raise UsageError(f"{option}: {len(said)} predictions and {len(right)} references; each needs the other")

    def column(values: list[Any], at: Sequence[int]) -> Any:
        chosen = [values[i] for i in at]
        return chosen if _holds_text(chosen[0]) else torch.tensor(chosen)

    def judge(at: Sequence[int]) -> float:
        made.reset()
        made.update(*(column(values, at) for values in (said, right) if values is not None))
        value = made.compute()
        if getattr(value, "numel", lambda: 2)() != 1:
            raise UsageError(f"metric 'torchmetrics:{option}' gives no single number: choose options that average")
        return float(value)

    try:
        made = cls(**options)
        value = judge(range(len(said)))
    except (ValueError, TypeError, RuntimeError, ModuleNotFoundError) as error:
        kind = Unavailable if isinstance(error, ModuleNotFoundError) else UsageError
        raise kind(f"metric 'torchmetrics:{option}': {' '.join(str(error).split())[:300]}") from error
    better = getattr(made, "higher_is_better", None)
    if direction is None and better is None:
        raise UsageError(f"metric 'torchmetrics:{option}' does not say what is better: give direction=\"higher\"")
    return Judged(value, (), judge, len(said), unit, direction or ("higher" if better else "lower"))


def _class(name: str) -> Any:
    """A class of torchmetrics. Raises UsageError with the near name."""
    known = []
    for part in _parts():
        if inspect.isclass(found := getattr(part, name, None)):
            return found
        known += [other for other in vars(part) if other[:1].isupper()]
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"torchmetrics has no class {name!r}{hint}: write torchmetrics:NAME")


def _parts() -> Iterator[Any]:
    for part in _PARTS:
        yield import_module(f"torchmetrics{part}")


def _holds_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and _holds_text(value[0]))
