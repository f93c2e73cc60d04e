"""Accounts: what the calls of a bench cost and what its memory was made of, put together once its rounds are over."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .record import Cost, Memory

if TYPE_CHECKING:
    from .fixtures import Watch
    from .run import Run


def cost(run: Run, watch: Watch) -> Cost:
    """What a call computes and moves, as the user counted it or the model's work says, beside the device's peaks.

    Nothing is counted, and no canary sings, for a bench that was not timed or says nothing of either.
    """
    if run.timing is None or not run.timing.rounds_seconds:
        return Cost()
    times = len(run.timing.rounds_seconds) * run.timing.loops
    work = getattr(watch.model, "work", None)
    found = _counted(work.cost(watch.calls, times) if work is not None else Cost(), run.counts)
    if found.flops is None and found.bytes_moved is None:
        return found
    if find_spec("torch") is None:
        return replace(found, sources=found.sources | {"peak_flops_per_second": "not measured: torch is not installed"})
    from .canary import arithmetic, with_peaks

    dtype = _dtype(watch, run.output)
    watch.session.progress("the device's peaks", "canary", None)
    gpu = watch.session.environment(watch.device)["gpu"] or {}
    found_peaks = watch.session.peaks(watch.device, dtype)
    devices = work.devices if work is not None else 1
    return with_peaks(found, found_peaks, arithmetic(watch.device, dtype), gpu.get("name"), devices)


def memory(watch: Watch) -> Memory:
    """The peaks that were read, with their parts where a text model ran."""
    if watch.memory is None:
        return Memory()
    read = replace(watch.memory, torch_holds=getattr(watch.model, "torch_holds", True))
    if not watch.calls or not hasattr(watch.model, "kv_bytes"):
        return read
    from .memory import with_parts

    return with_parts(read, watch.model.facts.weight_bytes, watch.model.kv_bytes(watch.calls))


def _counted(found: Cost, counts: dict[str, float]) -> Cost:
    """A cost in which the user's own counts stand before ours."""
    said = "run.count in the bench"
    if "flops" in counts:
        found = replace(found, flops=counts["flops"], sources=found.sources | {"flops": said})
    if "bytes" in counts:
        sources = found.sources | {"bytes_moved": said}
        found = replace(found, bytes_moved=counts["bytes"], step_bytes=None, sources=sources)
    return found


def _dtype(watch: Watch, output: Any) -> str:
    """In what a bench computes: the model's dtype, else that of a tensor it gave, else float32."""
    facts = getattr(watch.model, "facts", None)
    of_output = str(getattr(output, "dtype", "")).removeprefix("torch.")
    floating = of_output if of_output.startswith(("float", "bfloat")) else None
    return getattr(facts, "dtype", None) or floating or "float32"
