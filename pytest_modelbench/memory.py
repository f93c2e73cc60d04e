"""Memory peaks of the timed part: of this process, and of the device as torch and as its driver count it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .record import Memory

if TYPE_CHECKING:
    from .device import Device

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Peaks:
    """The peaks between `start` and `read`; `read` may be called again."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._process_source = ""

    def start(self) -> None:
        """Forget earlier peaks, as far as the platform can."""
        self._process_source = "VmHWM, reset at the start" if _reset_resident_peak() else ""
        allocator = _allocator(self.device)
        if allocator is not None:
            allocator.reset_peak_memory_stats(self.device.index)

    def read(self) -> Memory:
        """The peaks since `start`; what cannot be read is None, and `sources` says why."""
        if self._process_source:
            peak, source = _resident_peak_since_reset(), self._process_source
        else:
            peak, source = _resident_peak_of_life()
        read: dict[str, int | None] = {"process_peak_bytes": peak}
        sources = {"process_peak_bytes": source}
        if self.device.kind != "cpu":
            _add_allocator(self.device, read, sources)
            _add_driver(self.device, read, sources)
        return Memory(**read, sources=sources)


# -- of this process


def _reset_resident_peak() -> bool:
    """Set VmHWM back to the present size (Linux: proc_pid_clear_refs(5), value 5); whether that worked."""
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:  # another system, or /proc is read-only in this container
        return False
    return True


def _resident_peak_since_reset() -> int | None:
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024  # the kernel writes "kB" and means KiB
    return None


def _resident_peak_of_life() -> tuple[int, str]:
    """Peak resident bytes since the process began, where the peak cannot be reset."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset), "peak working set of the whole process life"
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # bytes on macOS, KiB elsewhere (getrusage(2) of each)
    return peak * (1 if sys.platform == "darwin" else 1024), "ru_maxrss of the whole process life: cannot be reset here"


# -- of the device


def _allocator(device: Device) -> Any:
    """torch's module of a device whose caching allocator keeps peaks (cuda, xpu); None for others."""
    if device.kind == "cpu":
        return None
    import torch

    module = getattr(torch, device.kind)
    return module if hasattr(module, "max_memory_reserved") else None


def _add_allocator(device: Device, read: dict[str, int | None], sources: dict[str, str]) -> None:
    allocator = _allocator(device)
    for name in ("allocated", "reserved"):
        key = f"device_{name}_peak_bytes"
        if allocator is None:
            sources[key] = f"not read: torch.{device.kind} keeps no peaks"
            continue
        read[key] = int(getattr(allocator, f"max_memory_{name}")(device.index))
        sources[key] = f"torch.{device.kind}.max_memory_{name}, reset at the start"


def _add_driver(device: Device, read: dict[str, int | None], sources: dict[str, str]) -> None:
    """What the driver counts at the end: everyone's bytes, and ours where it lists processes."""
    if device.kind != "cuda" or device.uuid is None:
        sources["device_used_bytes"] = sources["device_process_bytes"] = f"not read: no NVML for {device.name}"
        return
    from .samplers.nvml import process_bytes, used_bytes

    for key, reading in (
        ("device_used_bytes", used_bytes(device.uuid)),
        ("device_process_bytes", process_bytes(device.uuid, os.getpid())),
    ):
        read[key], sources[key] = reading
