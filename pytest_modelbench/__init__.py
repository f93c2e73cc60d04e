"""pytest-modelbench: benchmarks of ML models as pytest tests.

The public names are resolved on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "variant": "declare",
    "metric": "declare",
    "sampler": "declare",
    "store": "declare",
    "report": "declare",
    "Record": "record",
    "Score": "record",
    "Caveat": "record",
    "ModelFacts": "record",
    "DatasetFacts": "record",
    "Results": "results",
    "Verdict": "verdict",
    "Dataset": "datasets",
    "Run": "run",
    "Judged": "scores",
    "ModelbenchError": "errors",
}

if TYPE_CHECKING:
    from .datasets import Dataset
    from .declare import metric, report, sampler, store, variant
    from .errors import ModelbenchError
    from .record import Caveat, DatasetFacts, ModelFacts, Record, Score
    from .results import Results
    from .run import Run
    from .scores import Judged
    from .verdict import Verdict

__all__ = [
    "Caveat",
    "Dataset",
    "DatasetFacts",
    "Judged",
    "ModelFacts",
    "ModelbenchError",
    "Record",
    "Results",
    "Run",
    "Score",
    "Verdict",
    "metric",
    "report",
    "sampler",
    "store",
    "variant",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
