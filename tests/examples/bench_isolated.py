"""A bench that may take its process down with it."""

import pytest


@pytest.mark.isolated(timeout=60)
def bench_risky(measure):
    run = measure(sorted, range(10_000))
    run.count(numbers=10_000)
