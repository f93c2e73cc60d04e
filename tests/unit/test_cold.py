"""What empties a cache: that its size is the machine's, and that it does what it says where that can be seen."""

import pytest

from pytest_modelbench import cold
from pytest_modelbench.device import Device

CPU = Device("cpu", "cpu", "cpu")


def test_the_largest_cache_counts(monkeypatch, tmp_path):
    for index, size in enumerate(("48K", "32K", "1024K", "32M")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}/size").write_text(size + "\n")
    monkeypatch.setattr(cold, "_CPU_CACHES", tmp_path)
    assert cold._last_level_bytes() == 32 * 2**20


def test_where_the_system_tells_no_size_one_is_assumed(monkeypatch, tmp_path):
    monkeypatch.setattr(cold, "_CPU_CACHES", tmp_path / "absent")
    assert cold._last_level_bytes() == cold.UNKNOWN_CPU_BYTES


def test_the_host_s_flush_reads_a_buffer_of_its_own_to_the_end(monkeypatch):
    monkeypatch.setattr(cold, "_last_level_bytes", lambda: 1000)
    flush = cold.flusher(CPU)
    (buffer,) = (cell.cell_contents for cell in flush.__closure__)
    assert len(buffer) == cold.CACHES * 1000
    assert b"\0" not in buffer
    flush()


@pytest.mark.gpu
def test_on_cuda_a_call_is_slower_after_a_flush():
    """A copy of 8 MiB within L2 (50 MB on an H100) against one from memory, by the device's own clock."""
    import torch

    device = Device("cuda:0", "cuda", "cuda", 0)
    source = torch.ones(2**21, device="cuda")
    target, flush = torch.empty_like(source), cold.flusher(device)

    def copied(before):
        read = []
        for _ in range(50):
            before()
            device.synchronise()
            start = device.mark()
            target.copy_(source)
            end = device.mark()
            device.synchronise()
            read.append(device.between_seconds(start, end))
        return sorted(read)[25]

    copied(flush)  # warm
    hot, flushed = copied(lambda: None), copied(flush)
    print(f"hot {hot * 1e6:.1f} us, cold {flushed * 1e6:.1f} us")
    assert flushed > hot
