"""Set before anything here imports torch; a value that is already set is kept. And the marks that select suites."""

import os
from pathlib import Path

import pytest

# torch's threads spin while they wait for each other. Two of them on two cores that have other work took 10 to 20 times
# longer than one (measured: 0.8 to 2 tokens/s against 15), and a benchmark that depends on the neighbours says nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).parent


def pytest_configure(config):
    for line in (
        "text: benches of models of text",
        "vision: benches of models of pictures",
        "speech: benches of models of sound",
        "multimodal: benches of models of pictures and text",
        "quick: what shows each idea, under ten minutes in all on two cores; given by this conftest",
        "full(*values): everything; values of axes that are left out of the quick suite, none: all of the bench is",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Each bench here is in the full suite, and in the quick one unless its mark `full` leaves it out."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        mark = item.get_closest_marker("full")
        values = {str(value) for value in item.callspec.params.values()} if hasattr(item, "callspec") else set()
        if mark is None or (mark.args and not values & set(mark.args)):
            item.add_marker("quick")
        if mark is None:
            item.add_marker("full")
