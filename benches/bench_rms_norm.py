"""RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467), written plainly: no model, just a function on a device."""

import pytest

# torch's compiler warns of torch's own past while it is imported; this project makes warnings errors.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),
    pytest.mark.full("compiled"),
]

ROWS = 1024
EPSILON = 1e-6


def rms_norm(x, weight):
    """Each row over its root mean square, times a weight a column."""
    return x * (x.pow(2).mean(-1, keepdim=True) + EPSILON).rsqrt() * weight  # (rows, columns)


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize("columns", [576, 2048])
def bench_rms_norm(columns, way, device, measure):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, columns, generator=generator).to(device.torch_name)
    weight = torch.randn(columns, generator=generator).to(device.torch_name)

    run = measure(torch.compile(rms_norm) if way == "compiled" else rms_norm, x, weight)
    run.count(rows=ROWS, bytes=2 * x.nbytes)  # read once, written once

    torch.testing.assert_close(run.output, torch.nn.functional.rms_norm(x, (columns,), weight, EPSILON))
