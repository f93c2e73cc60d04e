"""static: torch, one operation after the other, in a cache as long as the whole text from the start.

Beside `eager` it tells what the cache costs, and beside `compiled`, which needs this cache, what compiling brings.
"""

from __future__ import annotations

from typing import Any

from ..declare import variant
from ..errors import Unsupported, UsageError
from ..model import Model


@variant(requires=("torch", "transformers"), decides="steps")
def static(model: Model, option: str | None = None) -> Model:
    """The model with a static cache. Raises Unsupported for a task that has none."""
    if option:
        raise UsageError(
            f"variant 'static:{option}': static has no options; its length follows the prompt and the text"
        )
    text: Any = model  # that task's verbs; variants know no family by its class
    if not hasattr(text, "keep_cache"):
        raise Unsupported(f"variant 'static' does not know how to run the task {model.facts.task}: it has no cache")
    text.keep_cache()
    return model
