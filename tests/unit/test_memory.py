"""Peaks of a window, with memory that is really taken."""

import subprocess
import sys

import pytest

from pytest_modelbench import memory
from pytest_modelbench.device import Device, lease
from pytest_modelbench.memory import Peaks

CPU = Device("cpu", "cpu", "cpu")
MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def take(size):
    """Touch `size` bytes and give them back."""
    return len(bytes(size)) and bytearray(size).count(1)


@linux
def test_the_peak_is_that_of_the_window():
    peaks = Peaks(CPU)
    peaks.start()
    before = peaks.read().process_peak_bytes
    take(200 * MIB)
    during = peaks.read()
    peaks.start()
    after = peaks.read().process_peak_bytes
    assert 195 * MIB < during.process_peak_bytes - before < 420 * MIB
    assert after < during.process_peak_bytes - 150 * MIB, "the peak of an earlier window is forgotten"
    assert during.sources == {"process_peak_bytes": "VmHWM, reset at the start"}
    assert during.peak_bytes == during.process_peak_bytes


def test_where_it_cannot_be_reset_the_peak_is_that_of_the_process(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    peaks = Peaks(CPU)
    peaks.start()
    read = peaks.read()
    assert "of the whole process life" in read.sources["process_peak_bytes"]
    assert 10 * MIB < read.process_peak_bytes < 2**40


def test_the_cpu_has_no_device_memory_and_needs_no_torch():
    code = """
import sys
from pytest_modelbench.device import Device
from pytest_modelbench.memory import Peaks
peaks = Peaks(Device("cpu", "cpu", "cpu"))
peaks.start()
read = peaks.read()
assert read.device_allocated_peak_bytes is read.device_used_bytes is read.device_process_bytes is None
assert not {"torch", "psutil", "pynvml"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_device_without_peaks_says_so():
    pytest.importorskip("torch")
    peaks = Peaks(Device("mps", "mps", "mps"))
    peaks.start()
    read = peaks.read()
    assert read.device_reserved_peak_bytes is None
    assert read.sources["device_reserved_peak_bytes"] == "not read: torch.mps keeps no peaks"
    assert read.sources["device_used_bytes"] == "not read: no NVML for mps"


@pytest.mark.gpu
def test_the_four_numbers_of_a_cuda_device(tmp_path):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path) as device:
        peaks = Peaks(device)
        kept = torch.ones(64 * MIB, dtype=torch.uint8, device=device.torch_name)
        peaks.start()
        del_me = torch.ones(256 * MIB, dtype=torch.uint8, device=device.torch_name)
        del del_me
        read = peaks.read()
        assert 320 * MIB <= read.device_allocated_peak_bytes < 340 * MIB
        assert read.device_reserved_peak_bytes >= read.device_allocated_peak_bytes
        assert read.device_used_bytes > read.device_reserved_peak_bytes, "the context and everyone else come on top"
        assert read.peak_bytes == read.device_reserved_peak_bytes
        if read.device_process_bytes is None:
            assert "does not list this process" in read.sources["device_process_bytes"]
        else:
            assert read.device_process_bytes >= kept.numel()
        device.empty_cache()
        peaks.start()
        assert peaks.read().device_allocated_peak_bytes < 80 * MIB, "the peak of an earlier window is forgotten"
