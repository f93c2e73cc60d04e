"""The hooks that outsiders may implement, in a `conftest.py` or a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .record import Record


@pytest.hookspec
def pytest_modelbench_record(config: pytest.Config, record: Record) -> None:
    """Called for each Record as it arrives, after it was journaled; under xdist on the controller.

    Example, in `conftest.py`::

        def pytest_modelbench_record(config, record):
            if record.outcome == "passed" and record.timing:
                print(record.key, min(record.timing.rounds_seconds))
    """
