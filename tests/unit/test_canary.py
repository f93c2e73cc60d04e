"""What a canary says of a device, on the CPU of the test."""

import json
from time import perf_counter

import pytest

from pytest_modelbench import canary
from pytest_modelbench.device import Device, lease
from pytest_modelbench.record import Cost

torch = pytest.importorskip("torch")
CPU = Device("cpu", "cpu", "cpu")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "made"))
    return tmp_path / "made"


def test_it_sings_once_a_machine(own_cache, monkeypatch):
    started = perf_counter()
    found = canary.peaks(CPU, "float32", "7d2e41")
    assert perf_counter() - started < 4, "two seconds, on a core that others use too"
    assert 1e8 < found.flops_per_second < 1e14
    assert 1e8 < found.bytes_per_second < 1e13
    assert "products in float32" in found.flops_source
    (kept,) = own_cache.rglob("peaks.json")
    assert json.loads(kept.read_text())["flops_per_second"] == found.flops_per_second
    monkeypatch.setattr(canary, "measured", lambda device, dtype: pytest.fail("it was known"))
    assert canary.peaks(CPU, "float32", "7d2e41") == found


def test_where_nothing_can_be_kept_it_is_measured(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "file"))
    sung = canary.Peaks(1.0, 2.0, "a", "b")
    monkeypatch.setattr(canary, "measured", lambda device, dtype: sung)
    assert canary.peaks(CPU, "float32", "7d2e41") == sung


def test_a_device_that_is_full_has_no_peaks(monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 MiB")

    monkeypatch.setattr(canary, "_product", full)
    monkeypatch.setattr(canary, "_copy", full)
    found = canary.measured(CPU, "float32")
    assert (found.flops_per_second, found.bytes_per_second) == (None, None)
    assert found.flops_source == "not measured: no memory was left for it"


def test_what_could_not_be_measured_is_tried_again(monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(canary, "SECONDS", 0)
    monkeypatch.setattr(canary, "SIDES", (256,))
    with monkeypatch.context() as patch:
        patch.setattr(canary, "_copy", full)
        assert canary.peaks(CPU, "float32", "7d2e41").bytes_source == "not measured: no memory was left for it"
    assert canary.peaks(CPU, "float32", "7d2e41").bytes_per_second > 0


def test_where_it_fails_it_says_why(monkeypatch):
    def broken(*_):
        raise TypeError("Cannot convert a MPS Tensor to float64\nmore")

    monkeypatch.setattr(canary, "_product", broken)
    monkeypatch.setattr(canary, "SECONDS", 0)
    found = canary.measured(CPU, "float64")
    assert found.flops_per_second is None
    assert found.flops_source == "not measured: Cannot convert a MPS Tensor to float64"
    assert found.bytes_per_second > 0


def test_a_dtype_without_products_has_no_peaks():
    found = canary.peaks(CPU, "float8_e4m3fn", "7d2e41")
    assert found.flops_per_second is None
    assert "not in float8_e4m3fn" in found.flops_source


def test_the_datasheet_stands_beside():
    sung = canary.Peaks(7e14, 3e12, "a", "b")
    cost = canary.with_peaks(Cost(flops=1.0), sung, "bfloat16", "NVIDIA H100 80GB HBM3")
    assert cost.flops == 1
    assert (cost.peak_flops_per_second, cost.datasheet_flops_per_second) == (7e14, 989.4e12)
    assert (cost.peak_bytes_per_second, cost.datasheet_bytes_per_second) == (3e12, 3.35e12)
    unknown = canary.with_peaks(Cost(flops=1.0), sung, "bfloat16", "NVIDIA H100 80GB HBM3 MIG 1g.10gb")
    assert unknown.datasheet_flops_per_second is None


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_cuda_device_comes_near_its_sheet(dtype, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path) as device:
        started = perf_counter()
        found = canary.measured(device, dtype)
        seconds = perf_counter() - started
        name = torch.cuda.get_device_name(device.index)
        cost = canary.with_peaks(Cost(), found, canary.arithmetic(device, dtype), name)
        print(
            name, cost.dtype, f"{found.flops_per_second:.4g} FLOP/s, {found.bytes_per_second:.4g} B/s, {seconds:.2f} s"
        )
        assert torch.cuda.memory_reserved(device.index) < 2**27, "all was given back but cuBLAS's workspace"
    if cost.datasheet_flops_per_second:
        assert 0.4 < found.flops_per_second / cost.datasheet_flops_per_second < 1.05
        assert 0.6 < found.bytes_per_second / cost.datasheet_bytes_per_second < 1.05
