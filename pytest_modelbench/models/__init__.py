"""Models: where weights come from, and one family of verbs a task.

open_model(source, device, settings)
    checkpoint.py   source → a folder with a configuration and weights (hub.py, gguf.py), or random_weights.py
    tasks.py        configuration → task → family
    text.py         decoder-only text models: generate and stream, on any decoder
    encoder.py      text models that read: embed, classify, tag, fill, answer
    tensorflow.py   .keras, SavedModel and .tflite: arrays in, arrays out
forward_model.py    what the families of one pass share: verbs around a replaceable `forward`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from ..tasks import task_of

if TYPE_CHECKING:
    from ..device import Device
    from ..model import Model
    from ..settings import Settings
    from ..source import Source


def open_model(source: Source, device: Device, settings: Settings) -> Model:
    """Find a model and what it is for; its weights are read at the first touch of `module`.

    Raises UsageError for what cannot be a model, Unavailable for what is not here, Refused for what is unsafe.
    """
    from .checkpoint import find

    checkpoint = find(source, settings)
    task, why = task_of(checkpoint.config, where=f"model {source.text!r}")
    family = import_module(f".{task.family}", __name__)
    model = cast("Model", family.open_family(source, device, checkpoint, task))
    model.config, model.settings = checkpoint.config, settings
    model.note(task_chosen_by=why)
    return model
