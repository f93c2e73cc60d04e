"""Cold: a function that empties a device's caches, for calls that shall not find there what the one before them left.

Hot and cold are nvbench's words: hot calls run back to back, each cold one alone and after a flush. On an accelerator a
buffer is written on the stream that the call will run on, so that L2 holds the buffer; on the CPU one is read, so that
the last level of cache does. Registers, TLBs and clocks are not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .device import Device

# Chosen here: nvbench writes one L2 (l2flush.cuh); twice that also holds where the least recent line is not what goes.
CACHES = 2
# Where torch tells no size of L2: what Triton's do_bench clears (256 MB), five of an H100's.
UNKNOWN_L2_BYTES = 256_000_000
# Where the system tells no size of a cache: above the last level of most desktop processors.
UNKNOWN_CPU_BYTES = 64 * 2**20
_CPU_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def flusher(device: Device) -> Callable[[], None]:
    """What empties the caches of a device; its buffer is kept as long as it is."""
    return _host_flusher(_last_level_bytes()) if device.kind == "cpu" else _device_flusher(device)


def _device_flusher(device: Device) -> Callable[[], None]:
    import torch

    module = getattr(torch, device.kind)
    known: Any = module.get_device_properties(device.index) if hasattr(module, "get_device_properties") else None
    size = CACHES * getattr(known, "L2_cache_size", 0) or UNKNOWN_L2_BYTES
    buffer = torch.empty(size, dtype=torch.int8, device=device.torch_name)

    def flush() -> None:
        buffer.zero_()

    return flush


def _host_flusher(cache_bytes: int) -> Callable[[], None]:
    # Made of bytes that are there: pages of zeros that nobody wrote are all one page, which fills no cache.
    buffer = bytearray(b"\1") * (CACHES * cache_bytes)

    def flush() -> None:
        # Read to the end, for a byte that is not in it: large writes may go around the cache, reads do not.
        buffer.find(b"\0")

    return flush


def _last_level_bytes() -> int:
    """Bytes of the largest cache of the first core, as Linux tells them (`32768K`)."""
    try:
        told = [path.read_text(encoding="ascii").strip() for path in _CPU_CACHES.glob("index*/size")]
    except OSError:
        told = []
    sizes = [int(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]] for text in told if text[-1:] in ("K", "M")]
    return max(sizes, default=UNKNOWN_CPU_BYTES)
