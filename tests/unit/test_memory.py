"""Peaks of a window, with memory that is really taken."""

import subprocess
import sys

import pytest

from pytest_modelbench import memory
from pytest_modelbench.device import Device, lease
from pytest_modelbench.memory import Peaks, asked_bytes, ran_out, with_parts
from pytest_modelbench.record import Memory

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
from pytest_modelbench.memory import Peaks, asked_bytes, ran_out, with_parts
from pytest_modelbench.record import Memory
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
    assert read.process_peak_bytes > 0
    assert read.peak_bytes is None, "the host's memory is not the device's"


def test_the_rest_of_the_peak_is_activations():
    found = with_parts(Memory(device_allocated_peak_bytes=1000), 600, (100, "a cache"))
    assert (found.weights_bytes, found.kv_cache_bytes, found.activations_peak_bytes) == (600, 100, 300)
    assert found.sources["kv_cache_bytes"] == "a cache"


@pytest.mark.parametrize(
    ("peak", "torch_holds", "why"),
    [(None, True, "allocator is not read"), (1000, False, "allocator is not read"), (500, True, "more than was")],
)
def test_activations_that_cannot_be_told_are_not(peak, torch_holds, why):
    memory = Memory(device_allocated_peak_bytes=peak, torch_holds=torch_holds)
    found = with_parts(memory, 600, (100, "a cache"))
    assert found.activations_peak_bytes is None
    assert why in found.sources["activations_peak_bytes"]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB", 20 * 2**30),
        ("CUDA out of memory. Tried to allocate 512.00 MiB (GPU 0; 39.59 GiB total capacity)", 512 * 2**20),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. Error code 12", 4096),
        ("Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000)", round(7.28 * 2**40)),
        (
            "[ONNXRuntimeError] : bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 805306368",
            805306368,
        ),
        ("out of memory", None),
    ],
)
def test_the_size_that_was_asked_for_is_in_the_error(text, asked):
    assert asked_bytes(text) == asked


def test_what_running_out_of_memory_looks_like():
    import numpy

    with pytest.raises(MemoryError) as caught:
        numpy.empty(2**58, dtype="uint8")
    assert ran_out(caught.value)
    assert asked_bytes(str(caught.value)) == 2**58
    assert ran_out(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes."))
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.gpu
def test_the_four_numbers_of_a_cuda_device(tmp_path):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path) as device:
        peaks = Peaks(device)
        before = torch.cuda.memory_allocated(device.index)  # of other tests of this process
        kept = torch.ones(64 * MIB, dtype=torch.uint8, device=device.torch_name)
        peaks.start()
        del_me = torch.ones(256 * MIB, dtype=torch.uint8, device=device.torch_name)
        del del_me
        read = peaks.read()
        assert 320 * MIB <= read.device_allocated_peak_bytes - before < 340 * MIB
        assert read.device_reserved_peak_bytes >= read.device_allocated_peak_bytes
        assert read.device_used_bytes > read.device_reserved_peak_bytes, "the context and everyone else come on top"
        assert read.peak_bytes == read.device_process_bytes or read.device_reserved_peak_bytes
        if read.device_process_bytes is None:
            assert "does not list this process" in read.sources["device_process_bytes"]
        else:
            assert read.device_process_bytes >= kept.numel()
        device.empty_cache()
        peaks.start()
        again = peaks.read().device_allocated_peak_bytes - before
        assert again < 80 * MIB, "the peak of an earlier window is forgotten"
