"""eager: torch as it comes, one operation after the other; of a model that is not torch's, its own runtime as it is."""

from __future__ import annotations

from ..declare import variant
from ..model import Model
from ..variants import no_option


@variant
def eager(model: Model, option: str | None = None) -> Model:
    """The model as it was opened."""
    no_option("eager", option)
    return model
