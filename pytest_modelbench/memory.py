"""Memory peaks of the timed part: of this process, and of the device as torch and as its driver count it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .record import Memory

if TYPE_CHECKING:
    from .device import Device

#: What a process can tell of itself only.
_OF_A_PROCESS = (
    "process_peak_bytes", "device_allocated_peak_bytes", "device_reserved_peak_bytes", "device_process_bytes"
)  # fmt: skip
_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Elsewhere(Protocol):
    """Other processes that compute for this one."""

    def forget(self) -> None:
        """Have them forget earlier peaks."""
        ...

    def peaks(self) -> list[tuple[str, Memory]]:
        """The device of each, and what it read since; none of processes that are gone."""
        ...


class Peaks:
    """The peaks between `start` and `read`; `read` may be called again."""

    def __init__(self, device: Device, elsewhere: Elsewhere | None = None) -> None:
        self.device, self.elsewhere = device, elsewhere
        self._process_source = ""

    def start(self) -> None:
        """Forget earlier peaks, as far as the platform can."""
        if self.elsewhere is not None:
            self.elsewhere.forget()
        self._process_source = "VmHWM, reset at the start" if _reset_resident_peak() else ""
        allocator = _allocator(self.device)
        if allocator is not None:
            for index in self.device.indexes or (None,):
                allocator.reset_peak_memory_stats(index)

    def read(self) -> Memory:
        """The peaks since `start`; what cannot be read is None, and `sources` says why."""
        if self._process_source:
            peak, source = _resident_peak_since_reset(), self._process_source
        else:
            peak, source = _resident_peak_of_life()
        read: dict[str, Any] = {"process_peak_bytes": peak}
        sources = {"process_peak_bytes": source}
        if self.device.kind != "cpu":
            _add_allocator(self.device, read, sources)
            _add_driver(self.device, read, sources)
        own = Memory(**read, sources=sources, by_device=_by_device(self.device))
        return _with_others(own, self.elsewhere.peaks() if self.elsewhere is not None else [])


def _with_others(own: Memory, others: list[tuple[str, Memory]]) -> Memory:
    """The memory of several processes as one; what one of them cannot tell is not known of all."""
    if not others:
        return own
    summed: dict[str, Any] = {}
    sources = dict(own.sources)
    for name in _OF_A_PROCESS:
        parts = [getattr(memory, name) for memory in (own, *(memory for _, memory in others))]
        summed[name] = None if None in parts else sum(parts)
        if summed[name] is not None:
            sources[name] += f", the sum of {len(parts)} processes"
    by_device = dict(own.by_device)
    for device, memory in others:
        if memory.device_allocated_peak_bytes is not None:
            by_device[device] = by_device.get(device, 0) + memory.device_allocated_peak_bytes
    return replace(own, **summed, by_device=by_device, sources=sources)


# -- its parts


def with_parts(memory: Memory, weights: int | None, kv_cache: tuple[int | None, str]) -> Memory:
    """Peaks with what they are made of: the model's weights, its KV cache, and what is left of torch's peak."""
    kv_bytes, kv_source = kv_cache
    sources = {"weights_bytes": "parameters and buffers of the module, shared ones once", "kv_cache_bytes": kv_source}
    if not memory.torch_holds:
        sources["weights_bytes"] += ", before another runtime took them"
    peak, left = memory.device_allocated_peak_bytes, None
    if not memory.torch_holds or peak is None:
        sources["activations_peak_bytes"] = "not known: the peak of the runtime's own allocator is not read"
    elif weights is not None and kv_bytes is not None:
        left = peak - weights - kv_bytes
        sources["activations_peak_bytes"] = "allocated peak less weights and KV cache: workspaces are in it"
    if left is not None and left < 0:
        left = None
        sources["activations_peak_bytes"] = "not known: weights and KV cache are more than was allocated here"
    return replace(
        memory,
        weights_bytes=weights,
        kv_cache_bytes=kv_bytes,
        activations_peak_bytes=left,
        sources=memory.sources | sources,
    )


# -- when there was no more

_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50, "EiB": 2**60, "bytes": 1}
#: torch on devices, torch on the host, numpy, ONNX Runtime's arena; a number and perhaps its unit.
_ASKED = re.compile(
    r"(?:[Tt]ried to allocate|Unable to allocate|requested buffer of size|Failed to allocate)\s+"
    r"(?P<number>\d+(?:\.\d*)?)(?:\s*(?P<unit>[KMGTPE]iB|bytes|B)\b)?"
)
#: By name, because the libraries they come from may not be here.
_OOM_TYPES = {"OutOfMemoryError", "MemoryError"}


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out: by its type, or as torch's and ONNX Runtime's allocators say it."""
    text = str(error)
    told = "out of memory" in text.lower() or "can't allocate memory" in text or "Failed to allocate memory" in text
    library = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return (told and library) or isinstance(error, MemoryError) or type(error).__name__ in _OOM_TYPES


def asked_bytes(text: str) -> int | None:
    """The size that could not be had, as an error tells it; None where it does not.

    >>> asked_bytes("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB")
    21474836480
    """
    found = _ASKED.search(text)
    return round(float(found["number"]) * _SIZES[found["unit"] or "bytes"]) if found else None


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
        peaks = [int(getattr(allocator, f"max_memory_{name}")(index)) for index in device.indexes or (None,)]
        read[key] = sum(peaks)
        summed = ", the sum of the devices" if device.peers else ""
        sources[key] = f"torch.{device.kind}.max_memory_{name}, reset at the start{summed}"


def _by_device(device: Device) -> dict[str, int]:
    """The peak of torch's tensors on each of several devices; empty for one."""
    allocator = _allocator(device) if device.peers else None
    if allocator is None:
        return {}
    return {f"{device.kind}:{index}": int(allocator.max_memory_allocated(index)) for index in device.indexes}


def _add_driver(device: Device, read: dict[str, int | None], sources: dict[str, str]) -> None:
    """What the driver counts at the end: everyone's bytes, and ours where it lists processes."""
    uuids = [uuid for uuid in device.uuids if uuid is not None]
    if device.kind != "cuda" or len(uuids) < len(device.uuids):
        sources["device_used_bytes"] = sources["device_process_bytes"] = f"not read: no NVML for {device.name}"
        return
    from .samplers.nvml import process_bytes, used_bytes

    for key, readings in (
        ("device_used_bytes", [used_bytes(uuid) for uuid in uuids]),
        ("device_process_bytes", [process_bytes(uuid, os.getpid()) for uuid in uuids]),
    ):
        counted = [number for number, _ in readings if number is not None]
        read[key] = sum(counted) if len(counted) == len(readings) else None
        sources[key] = readings[0][1] + (", the sum of the devices" if device.peers else "")
