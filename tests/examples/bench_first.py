"""Two ways to write JSON: which is faster?"""

import json

import pytest

ROWS = [{"id": number, "name": f"row {number}", "even": number % 2 == 0} for number in range(1000)]


@pytest.mark.parametrize("indent", [None, 2])
def bench_dumps(indent, measure):
    run = measure(json.dumps, ROWS, indent=indent)
    run.count(rows=len(ROWS))
    assert json.loads(run.output) == ROWS
