"""A simulated model, without torch: variants, counts and scores in a second (`pytest benches/ --bench-mock`).

The "model" tells primes from other numbers by trial division. Its work is real arithmetic and its answers are what that
finds, so a variant is faster because it divides less, and wrong where it divided too little.
"""

from dataclasses import dataclass, replace

import pytest

from pytest_modelbench import variant

pytestmark = [pytest.mark.simulated, pytest.mark.variants("every", "odd", "hasty", "odd+hasty")]

NUMBERS = range(1_000_000, 1_002_000)


@dataclass(frozen=True)
class PrimeModel:
    """Divides by 3, 4, 5, ... up to the square root; variants leave divisors out."""

    step: int = 1
    last: int = 1_000_000_000

    def classify(self, numbers):
        """Whether each number is prime, as 1 or 0."""
        return [int(self._is_prime(number)) for number in numbers]

    def _is_prime(self, number):
        if number % 2 == 0:
            return number == 2
        last = min(self.last, int(number**0.5))
        return all(number % divisor for divisor in range(3, last + 1, self.step))


@variant
def every(model):
    """Every divisor."""
    return model


@variant
def odd(model):
    """Odd divisors only: half the work and the same answers."""
    return replace(model, step=2)


@variant
def hasty(model):
    """Divisors up to 20 only: less work, some wrong answers."""
    return replace(model, last=20)


@pytest.fixture(scope="session")
def model(variant):
    """Takes the place of the plugin's `model`: benches and variants see no difference."""
    return variant.apply(PrimeModel())


@pytest.fixture(scope="module")
def references():
    """The right answers by another road: the sieve of Eratosthenes."""
    prime = [False, False] + [True] * (NUMBERS.stop - 2)
    for number in range(2, int(NUMBERS.stop**0.5) + 1):
        prime[number * number :: number] = [False] * len(prime[number * number :: number])
    return [int(prime[number]) for number in NUMBERS]


def bench_classify(model, references, measure):
    run = measure(model.classify, NUMBERS)
    run.count(numbers=len(NUMBERS))
    assert run.score("accuracy", run.output, references) > 0.8


@pytest.mark.parametrize("batch_size", [200, 1000])
def bench_classify_batches(model, references, batch_size, measure):
    batches = [NUMBERS[start : start + batch_size] for start in range(0, len(NUMBERS), batch_size)]
    run = measure.each(model.classify, batches)
    run.count(numbers=[len(batch) for batch in batches])
    assert run.score("accuracy", run.flat, references) > 0.8
