"""Tasks: what a model is for. One row a task: the architectures it takes and the family that runs them.

A model's task is read off its configuration, never off its name, and no weights are read for it.
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
    #: The table in transformers that says, by model type, which class does it.
    classes: str
    #: The verb that a bench of it measures, and what throughput counts.
    verb: str
    counts: str
    #: Keys of which the configuration has at least one, where the ending alone does not tell.
    keys: tuple[str, ...] = ()

    def takes(self, architecture: str, config: Mapping[str, Any]) -> bool:
        """Whether this is the task of an architecture with such a configuration."""
        return architecture.endswith(self.endings) and (
            not self.keys or any(config.get(key) is not None for key in self.keys)
        )

    @property
    def rule(self) -> str:
        """How it is told: `*ForCTC`, `*Model with vocab_size`."""
        endings = ", ".join("*" + ending for ending in self.endings)
        return f"{endings} with {' or '.join(self.keys)}" if self.keys else endings


#: The first row that takes an architecture has it.
TASKS = (
    Task(
        "text-generation",
        ("ForCausalLM", "LMHeadModel"),
        "text",
        "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
        "generate",
        "tokens",
    ),
    Task("fill-mask", ("ForMaskedLM",), "encoder", "MODEL_FOR_MASKED_LM_MAPPING_NAMES", "fill", "texts"),
    Task(
        "text-classification",
        ("ForSequenceClassification",),
        "encoder",
        "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
        "classify",
        "texts",
    ),
    Task(
        "token-classification",
        ("ForTokenClassification",),
        "encoder",
        "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
        "tag",
        "tokens",
    ),
    Task(
        "question-answering",
        ("ForQuestionAnswering",),
        "encoder",
        "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",
        "answer",
        "texts",
    ),
    Task("embedding", ("Model",), "encoder", "MODEL_MAPPING_NAMES", "embed", "texts", keys=("vocab_size",)),
)


def task_of(config: Mapping[str, Any], where: str) -> tuple[Task, str]:
    """The task of a model from its configuration, and why; `where` names the model in errors.

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
            if task.takes(name, config):
                return task, f"its architecture {name} is {task.rule}"
    known = "; ".join(f"{task.name}: {task.rule}" for task in TASKS)
    kind = "an encoder-decoder " if config.get("is_encoder_decoder") else ""
    raise UsageError(
        f"{where} is {kind}{name}, which no task runs yet ({known}); measure it in a plain bench with your own code"
    )
