"""eager: torch as it comes, one operation after the other."""

from __future__ import annotations

from ..declare import variant
from ..errors import UsageError
from ..model import Model


@variant(requires=("torch",))
def eager(model: Model, option: str | None = None) -> Model:
    """The model as it was opened."""
    if option:
        raise UsageError(f"variant 'eager:{option}': eager has no options; write 'eager'")
    return model
