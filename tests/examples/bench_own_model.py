import pytest


def small():
    """A network and inputs to trace it with: two rows, because one would be taken for a constant."""
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    return layers, torch.ones(2, 64)


def sorter():
    """Any callable: it is called with what the bench gives it."""
    return sorted


@pytest.mark.models("./bench_own_model.py#small")
@pytest.mark.variants("eager", "torch-export")
@pytest.mark.parity(max_difference=1e-4)
def bench_my_net(model, measure):
    numpy = pytest.importorskip("numpy")
    rows = numpy.ones((32, 64), "float32")
    run = measure(model, rows)
    run.count(items=len(rows))
    assert run.output.shape == (32, 10)


@pytest.mark.models("./bench_own_model.py#sorter")
def bench_my_function(model, measure):
    run = measure(model, [3, 1, 2])
    assert run.output == [1, 2, 3]
