"""The mock bench over two axes, 50 benches in all: what `make report-demo` runs 200 times.

The work is real. In the sessions 120 to 169 the hasty variant divides up to 30, not 20: the change that a trend finds.
In the last session it divides up to 300: the change that the gate finds.
"""

import os
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from pytest_modelbench import variant

_spec = spec_from_file_location("mock", Path(__file__).parents[2] / "benches/bench_mock.py")
_mock = module_from_spec(_spec)
_spec.loader.exec_module(_mock)

#: The last divisor of the hasty variant in this session.
LAST = int(os.environ.get("DEMO_LAST_DIVISOR", "20"))
odd = _mock.odd

pytestmark = pytest.mark.simulated


@variant
def hasty(model):
    """Divisors up to 20 only, in some sessions up to 30: less work, some wrong answers."""
    return replace(model, last=LAST)


@pytest.fixture(scope="session")
def model(variant):
    return variant.apply(_mock.PrimeModel())


def are_prime(numbers):
    """The right answers, by another road: nothing under a number divides it."""
    return [
        int(number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))) for number in numbers
    ]


@pytest.mark.variants("eager", "odd", "hasty", "odd+hasty")
@pytest.mark.parametrize("batch_size", [5, 10, 20, 40])
@pytest.mark.parametrize("largest", [10_000, 100_000, 1_000_000])
def bench_classify(model, batch_size, largest, measure):
    numbers = range(largest - batch_size, largest)
    run = measure(model.classify, numbers)
    run.count(numbers=batch_size)
    run.score("accuracy", run.output, are_prime(numbers))


@pytest.mark.variants("eager", "odd")
def bench_one_after_the_other(model, measure):
    batches = [range(start, start + 10) for start in range(900_000, 900_600, 10)]
    run = measure.each(model.classify, batches)
    run.count(numbers=[10] * len(batches))
    run.score("accuracy", run.flat, [answer for batch in batches for answer in are_prime(batch)])
