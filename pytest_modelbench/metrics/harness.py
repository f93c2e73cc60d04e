"""Harness: tasks of lm-evaluation-harness, run on the model of a bench and its variant, as scores: `lm_eval:TASK`.

The harness makes the prompts and judges the answers; the model answers through its own verbs, so what is judged is the
runtime that is timed. Written against lm_eval 0.4.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from ..declare import metric
from ..errors import Unavailable, UsageError
from ..record import Score

#: Hears which share is done.
Tell = Callable[[float | None], None]

#: Draws for standard errors that have no formula: known to 2 % then, 1 / sqrt(2 * 1000) (chosen here; lm-eval's own
#: 100,000 take minutes).
BOOTSTRAP_DRAWS = 1000
#: What lm-eval generates where a task does not say how much.
_NEW_TOKENS = 256
#: Batches that are sorted by length together, between two words of progress (chosen here: little padding, many words).
_BATCHES = 16
_UNITS = {
    **dict.fromkeys(("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "f1", "mcc"), "ratio"),
    **dict.fromkeys(("perplexity", "word_perplexity", "byte_perplexity"), "perplexity"),
    "bits_per_byte": "bits/byte",
}


@metric("", "higher", requires=("lm_eval", "datasets"))
def lm_eval(
    predictions: Any,
    references: None = None,
    option: str = "",
    *,
    limit: int | None = None,
    num_fewshot: int | None = None,
    include_path: str | None = None,
    batch_size: int = 8,
    chat: bool = False,
    tell: Tell = lambda share: None,
) -> dict[str, Score]:
    """Each metric of a task by name, `lm_eval_TASK_acc`, with lm-eval's standard error and a value an item.

    `limit` takes the first items only, `include_path` is a folder with tasks of your own, and `chat` writes prompts in
    the model's chat template. Raises UsageError for a model without the verbs or a task that is none, Unavailable
    where the task's data cannot be reached.
    """
    if not option:
        raise UsageError("lm_eval needs a task: write lm_eval:TASK, or lm_eval:FILE.yaml")
    if not hasattr(predictions, "loglikelihood"):
        raise UsageError(f"run.score('lm_eval:{option}', ...) takes the model, not {type(predictions).__name__}")
    from lm_eval import simple_evaluate

    name, manager = _task(option, include_path)
    with _no_pool():
        try:
            found = simple_evaluate(
                adapted(predictions, batch_size, tell), tasks=[name], task_manager=manager, num_fewshot=num_fewshot,
                limit=limit, bootstrap_iters=BOOTSTRAP_DRAWS, apply_chat_template=chat, random_seed=None,
                numpy_random_seed=None, torch_random_seed=None,
            )  # fmt: skip
        except ConnectionError as error:
            raise Unavailable(
                f"lm_eval task {name!r} needs its data, which cannot be reached ({error}): run it once with a network, "
                "or give a task whose .yaml names a local file"
            ) from error
    scores = _scores(found, name)
    if not scores:
        raise UsageError(f"lm_eval task {name!r} gave no number")
    return scores


def _task(task: str, include_path: str | None) -> tuple[str, Any]:
    """The task's name and the manager that knows it."""
    if task.endswith((".yaml", ".yml")):
        path = Path(task).expanduser()
        if not path.is_file():
            raise UsageError(f"lm_eval task {task!r} is not there: {path.absolute()}")
        written = re.search(r"^(?:group|task):[ \t]*([\w.-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if written is None:
            raise UsageError(f"{path} is no task of lm-eval: it has no line 'task: NAME'")
        return written[1], _manager(str(path.parent), False)
    manager = _manager(include_path, True)
    if task not in manager.all_tasks:
        near = get_close_matches(task, manager.all_tasks, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"lm_eval knows no task {task!r}{hint} (a folder of your own: include_path=...)")
    return task, manager


@cache
def _manager(include_path: str | None, include_defaults: bool) -> Any:
    """Kept, because lm-eval reads all of its 14,000 tasks' files to make one (17 s)."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=include_path, include_defaults=include_defaults)


@contextmanager
def _no_pool() -> Iterator[None]:
    """Keep lm-eval from forking a pool for its bootstrap: a fork after OpenMP's threads hangs."""
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
        else:
            os.environ["DISABLE_MULTIPROC"] = before


def _scores(found: Mapping[str, Any], name: str) -> dict[str, Score]:
    """Scores of the task, or of each task of a group that sums nothing up."""
    results = found["results"]
    own = {name: results[name]} if any("," in key for key in results.get(name, ())) else results
    return {
        f"lm_eval:{task}:{key.removesuffix(',none')}": _score(found, task, key, entries)
        for task, entries in own.items()
        for key, value in entries.items()
        if "," in key and "_stderr," not in key and isinstance(value, (int, float))
    }


def _score(found: Mapping[str, Any], task: str, key: str, entries: Mapping[str, Any]) -> Score:
    metric, _, filtered = key.partition(",")
    samples = found["samples"]
    of_task = [samples[task]] if task in samples else list(samples.values())  # a group's are its tasks', one by one
    values = [sample.get(metric) for part in of_task for sample in part if sample["filter"] == filtered]
    error = entries.get(f"{metric}_stderr,{filtered}")
    higher = found["higher_is_better"].get(task, {}).get(metric)
    return Score(
        float(entries[key]),
        _UNITS.get(metric, ""),
        "lower" if higher is False else "higher",
        # what is summed up otherwise than by its items' values (perplexity: pairs of sums) has none
        tuple(float(value) for value in values) if all(isinstance(value, (int, float)) for value in values) else (),
        float(error) if isinstance(error, (int, float)) else None,
    )


def adapted(model: Any, batch_size: int, tell: Tell = lambda share: None) -> Any:
    """The model as lm-eval's LM; `tell` hears which share of one kind of request is answered."""
    from lm_eval.api.model import LM

    class Adapted(LM):  # type: ignore[misc]  # lm_eval is not followed by mypy
        tokenizer = model.tokenizer
        tokenizer_name = model.source.text

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            answers = []
            for part in _parts(requests, _BATCHES * batch_size, tell):
                contexts, continuations = zip(*(request.args for request in part), strict=True)
                answers += model.loglikelihood(contexts, continuations, batch_size=batch_size)
            return [(likelihood.total, likelihood.greedy) for likelihood in answers]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            parts = _parts([request.args[0] for request in requests], 1, tell)
            return [text.total for part in parts for text in model.rolling(part)]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return generated(model, [request.args for request in requests], batch_size, tell)

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            return str(
                model.tokenizer.apply_chat_template(
                    chat_history,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    continue_final_message=not add_generation_prompt,
                )
            )

        def chat_template(self, chat_template: bool | str = False) -> str:
            return model.tokenizer.chat_template or ""

    return Adapted()


def _parts(requests: Sequence[Any], size: int, tell: Tell) -> Iterator[Sequence[Any]]:
    for start in range(0, len(requests), size):
        tell(start / len(requests))
        yield requests[start : start + size]


def generated(
    model: Any,
    asked: Sequence[tuple[str, Mapping[str, Any]]],
    batch_size: int,
    tell: Tell = lambda share: None,
) -> list[str]:
    """A text for each (context, options of lm-eval's), up to the first of its stop texts."""
    alike: dict[str, list[int]] = {}
    for at, (_, options) in enumerate(asked):
        alike.setdefault(repr(sorted(options.items())), []).append(at)
    texts: dict[int, str] = {}
    for places in alike.values():
        options = dict(asked[places[0]][1])
        until = options.pop("until", None) or []
        stops = [until] if isinstance(until, str) else list(until)
        new_tokens = int(options.pop("max_gen_toks", _NEW_TOKENS))
        choice = _choice(options)
        for batch in _parts(places, batch_size, tell):
            contexts = [_cut(model, asked[at][0], new_tokens) for at in batch]
            made = model.generate(contexts, max_new_tokens=new_tokens, chat=False, **choice)
            texts |= dict(zip(batch, (_before(text, stops) for text in made.texts), strict=True))
    return [texts[at] for at in range(len(asked))]


def _choice(options: dict[str, Any]) -> dict[str, Any]:
    """lm-eval's options as ours: greedy unless it says do_sample."""
    known = {"do_sample", "temperature", "top_k", "top_p", "num_beams"}
    if not options.keys() <= known:
        names = ", ".join(sorted(options.keys() - known))
        raise UsageError(f"lm_eval asks for {names} in a generation, which models here do not know")
    if options.get("do_sample"):
        return options
    return {"num_beams": options["num_beams"]} if "num_beams" in options else {}


def _cut(model: Any, context: str, new_tokens: int) -> str:
    """The end of a context that leaves room for the new tokens, as lm-eval cuts it."""
    if model.longest is None:
        return context
    room = model.longest - new_tokens
    if room < 1:
        raise UsageError(f"lm_eval asks for {new_tokens} new tokens; the model reads {model.longest} at once")
    ids = model.tokenizer(context, add_special_tokens=False, verbose=False)["input_ids"]
    return context if len(ids) <= room else str(model.tokenizer.decode(ids[-room:]))


def _before(text: str, stops: Sequence[str]) -> str:
    """A text up to the first of some stop texts."""
    places = [text.find(stop) for stop in stops if stop and stop in text]
    return text[: min(places)] if places else text
