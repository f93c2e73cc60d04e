"""Canary: what this device can do at most, measured here: a matrix product and a copy, by torch, in under two seconds.

Both are kept in the cache by the machine's fingerprint, so that a machine sings once; delete its `canary` folder to
have it measured again. Where one of them could not be measured nothing is kept.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from . import cache
from .datasheet import SHEETS
from .memory import ran_out
from .record import Cost

if TYPE_CHECKING:
    from .device import Device

T = TypeVar("T")

# Chosen here: each of the two is repeated this long; on an H100 that is 200 products, enough for the clock to rise.
SECONDS = 0.4
# Sides of the square matrices: from one that fits a cache to one that fills an H100 (1.1 TFLOP).
SIDES = (256, 512, 1024, 2048, 4096, 8192)
# Chosen here: a larger product is not tried when it would take longer.
LONGEST_SECONDS = 0.1
# Five times the 50 MB second-level cache of an H100, and more than most processors' caches.
COPIED_BYTES = 256 * 2**20
#: What torch multiplies matrices in on every kind of device.
DTYPES = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Peaks:
    """What was measured, and how; None where it could not be."""

    flops_per_second: float | None
    bytes_per_second: float | None
    flops_source: str
    bytes_source: str

    @property
    def whole(self) -> bool:
        """Whether both were measured: what could not be is tried again the next time."""
        return self.flops_per_second is not None and self.bytes_per_second is not None


def arithmetic(device: Device, dtype: str) -> str:
    """The arithmetic that a dtype is computed in: float32 is tf32 on CUDA where torch may use it."""
    import torch

    if device.kind == "cuda" and dtype == "float32" and torch.backends.cuda.matmul.fp32_precision == "tf32":
        return "tf32"
    return dtype


def peaks(device: Device, dtype: str, fingerprint: str) -> Peaks:
    """The peaks of a device for a dtype of torch's, from the cache or measured now."""
    import torch

    if dtype not in DTYPES:
        unknown = f"not measured: a canary multiplies in {', '.join(DTYPES)}, not in {dtype}"
        return Peaks(None, None, unknown, unknown)
    parts = [
        "canary-2",
        fingerprint,
        device.kind,
        arithmetic(device, dtype),
        torch.get_num_threads(),
        torch.__version__,
    ]
    try:
        folder = cache.made_once("canary", cache.key(*parts), lambda place: _write(place, measured(device, dtype)))
        found = Peaks(**json.loads((folder / "peaks.json").read_text(encoding="utf-8")))
    except OSError:  # nothing can be kept here
        return measured(device, dtype)
    if not found.whole:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def with_peaks(cost: Cost, found: Peaks, dtype: str, device_name: str | None, devices: int = 1) -> Cost:
    """A cost beside the peaks of the device, as measured and as stated; of several that compute together, of all."""
    sheet = SHEETS.get(device_name or "")
    times = f", times {devices} devices" if devices > 1 else ""
    sources = {
        "peak_flops_per_second": f"{found.flops_source}{times}",
        "peak_bytes_per_second": f"{found.bytes_source}{times}",
    }
    if sheet is not None:
        sources["datasheet"] = f"{device_name}, dense{times}; sources in pytest_modelbench/datasheet.py"

    def of_all(peak: float | None) -> float | None:
        return peak * devices if peak is not None else None

    return replace(
        cost,
        dtype=dtype,
        peak_flops_per_second=of_all(found.flops_per_second),
        peak_bytes_per_second=of_all(found.bytes_per_second),
        datasheet_flops_per_second=of_all(sheet.flops_per_second(dtype)) if sheet else None,
        datasheet_bytes_per_second=of_all(sheet.bytes_per_second) if sheet else None,
        sources=cost.sources | sources,
    )


def measured(device: Device, dtype: str) -> Peaks:
    """Measure both now; where that fails, on a device that is full or lacks the dtype, None with the reason."""
    import torch

    flops, flops_source = _products(device, getattr(torch, dtype), arithmetic(device, dtype))
    copied, why_not = _tried(partial(_copy, device))
    device.empty_cache()  # the next bench finds what it would have found
    copies = f"fastest of a canary's copies of {COPIED_BYTES // 2**20} MiB, read and written"
    return Peaks(
        flops,
        2 * COPIED_BYTES / copied if copied else None,  # each byte is read and written
        flops_source,
        copies if copied else why_not,
    )


def _write(place: Path, found: Peaks) -> None:
    (place / "peaks.json").write_text(json.dumps(asdict(found)), encoding="utf-8")


def _products(device: Device, dtype: Any, named: str) -> tuple[float | None, str]:
    """FLOP/s of the product that has the most of them, and which one that was or why none ran."""
    best: float | None = None
    source = ""
    for side in SIDES:
        timed, why_not = _tried(partial(_product, device, dtype, side))
        if timed is None:
            return best, source or why_not
        seconds, largest = timed
        if best is None or 2 * side**3 / seconds > best:
            best, source = 2 * side**3 / seconds, f"fastest of a canary's {side}x{side} products in {named}"
        if largest:
            break
    return best, source


def _product(device: Device, dtype: Any, side: int) -> tuple[float, bool]:
    """Seconds of the fastest product of a side, and whether the next side is too large to try."""
    import torch

    # random, because a multiplier of zeros draws less power and clocks higher
    left, right = (torch.randn(side, side, device=device.torch_name).to(dtype) for _ in range(2))
    product = partial(torch.mm, left, right, out=torch.empty_like(left))
    product()  # chooses its kernel
    largest = side == SIDES[-1] or 8 * _fastest(device, product, 0) > LONGEST_SECONDS
    return _fastest(device, product, SECONDS if largest else SECONDS / 10), largest


def _copy(device: Device) -> float:
    """Seconds of the fastest copy within the device's memory."""
    import torch

    here = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device.torch_name)
    there = torch.ones_like(here)
    return _fastest(device, partial(there.copy_, here), SECONDS)


def _fastest(device: Device, call: Callable[[], Any], seconds: float) -> float:
    """The fastest of the calls that fit into `seconds`, at least one; by the device's clock where it has one."""
    best, end = math.inf, perf_counter() + seconds
    while True:
        device.synchronise()
        before, started = device.mark(), perf_counter()
        call()
        after = device.mark()
        device.synchronise()
        host = perf_counter() - started
        on_device = device.between_seconds(before, after)
        best = min(best, host if on_device is None else on_device)
        if perf_counter() >= end:
            return best


def _tried(timed: Callable[[], T]) -> tuple[T | None, str]:
    """What was timed, or None and why not: a missing peak must not cost the bench its Record."""
    try:
        return timed(), ""
    except (RuntimeError, TypeError, MemoryError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        return None, "not measured: " + ("no memory was left for it" if ran_out(error) else why)
