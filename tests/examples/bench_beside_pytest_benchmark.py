"""pytest-benchmark's fixture and ours, side by side."""

NUMBERS = list(range(1000, 0, -1))


def bench_sorted(measure):
    measure(sorted, NUMBERS)


def bench_sorted_as_before(benchmark):
    benchmark(sorted, NUMBERS)


def test_sorted_as_before(benchmark):
    assert benchmark(sorted, NUMBERS)[0] == 1
