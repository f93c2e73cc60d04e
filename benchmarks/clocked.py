"""A pytest plugin of a few lines: how long collection, set-up, calls and the end of a session take.

`-p benchmarks.clocked`; the seconds are written as JSON to the file that BENCHMARKS_CLOCKED names.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from time import perf_counter

import pytest

SECONDS: defaultdict[str, float] = defaultdict(float)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """From the start of collection to the chosen items."""
    started = perf_counter()
    found = yield
    SECONDS["collection"] += perf_counter() - started
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """All tests."""
    started = perf_counter()
    found = yield
    SECONDS["tests"] += perf_counter() - started
    return found


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The phases of a test, as pytest counts them."""
    SECONDS[report.when or ""] += report.duration


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Generator[None, object, object]:
    """Everything from the last test to the last line, for the terminal's summary is written in this hook too."""
    started = perf_counter()
    found = yield
    SECONDS["end"] += perf_counter() - started
    return found


def pytest_unconfigure() -> None:
    """Write what was found."""
    Path(os.environ["BENCHMARKS_CLOCKED"]).write_text(json.dumps(SECONDS))
