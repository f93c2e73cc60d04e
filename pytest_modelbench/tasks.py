"""Tasks: what a model is for. One row a task: the architectures it takes and the family that runs them.

A model's task is read off `architectures` in its configuration, never off its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import UsageError


@dataclass(frozen=True)
class Task:
    """A row of the table."""

    name: str
    #: Endings of the architectures that do it, as transformers names them.
    endings: tuple[str, ...]
    #: The module in `models/` whose `open_family` gives the Model with this task's verbs.
    family: str


TASKS = (Task("text-generation", ("ForCausalLM", "LMHeadModel"), "text"),)


def task_of(config: Mapping[str, Any], where: str) -> Task:
    """The task of a model from its configuration; `where` names the model in errors.

    Raises UsageError for an architecture that no row takes, naming it.
    """
    architectures = config.get("architectures") or []
    if not architectures:
        raise UsageError(
            f"cannot tell what {where} is for: its configuration names no architecture; "
            'add one to its config.json, such as "architectures": ["LlamaForCausalLM"]'
        )
    name = architectures[0]
    if not config.get("is_encoder_decoder"):
        for task in TASKS:
            if name.endswith(task.endings):
                return task
    known = "; ".join(f"{task.name}: {', '.join('*' + ending for ending in task.endings)}" for task in TASKS)
    kind = "an encoder-decoder " if config.get("is_encoder_decoder") else ""
    raise UsageError(
        f"{where} is {kind}{name}, which no task runs yet ({known}); measure it in a plain bench with your own code"
    )
