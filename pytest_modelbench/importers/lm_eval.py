"""lm-evaluation-harness: `results_<time>.json`. Scores, no times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from ..importers import File, imported
from ..record import DatasetFacts, ModelFacts, Record, Score

#: Metrics of that harness that are a share of items.
_SHARES = ("acc", "exact_match", "em", "f1", "mc1", "mc2", "contains")


def takes(content: Any) -> bool:
    """Results by task, with their configurations."""
    return isinstance(content, dict) and {"results", "versions"} <= content.keys() and "n-shot" in content


def read(content: Any, file: File) -> list[Record]:
    """A Record a task. A filter other than `none` is part of the metric's name: `exact_match,strict-match`."""
    config = content.get("config") or {}
    model = _model(config) or content.get("model_name")
    samples, shots = content.get("n-samples") or {}, content["n-shot"]
    higher = content.get("higher_is_better") or {}
    seconds = content.get("date")
    found = []
    for task, values in content["results"].items():
        scores = _scores(values, higher.get(task) or {})
        if not scores:
            continue  # a group, whose tasks are here themselves
        found.append(
            imported(
                file,
                "lm-eval",
                task,
                version=str(content.get("lm_eval_version") or ""),
                started_utc=datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else "",
                axes={"model": model, "shots": shots.get(task), "device": config.get("device")},
                scores=scores,
                model=ModelFacts(str(model), dtype=config.get("model_dtype")) if model else None,
                dataset=DatasetFacts(
                    f"lm-eval:{task}",
                    revision=str(content["versions"].get(task, "")) or None,
                    n=(samples.get(task) or {}).get("effective"),
                ),
                notes=("no times: lm-eval scores",),
            )
        )
    return found


def _model(config: dict[str, Any]) -> str | None:
    """`pretrained` of the arguments, which are a text or an object; else the kind of model."""
    arguments = config.get("model_args") or {}
    if isinstance(arguments, str):
        arguments = dict(pair.split("=", 1) for pair in arguments.split(",") if "=" in pair)
    return arguments.get("pretrained") or arguments.get("model") or config.get("model")


def _scores(values: dict[str, Any], higher: dict[str, Any]) -> dict[str, Score]:
    """`acc,none` and `acc_stderr,none`: the metric, the filter, and the standard error beside it."""
    scores = {}
    for key, value in values.items():
        metric, comma, answers = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, (int, float)):
            continue
        error = values.get(f"{metric}_stderr,{answers}")
        direction: Literal["higher", "lower"] = "lower" if higher.get(metric) is False else "higher"
        share = metric.startswith(_SHARES) and 0 <= value <= 1
        unit = "ratio" if share else "perplexity" if "perplexity" in metric else ""
        scores[metric if answers == "none" else key] = Score(
            float(value), unit, direction, standard_error=error if isinstance(error, (int, float)) else None
        )
    return scores
