"""Energy: joules of a call by an energy counter over the timed window, and never over a window too short for it.

A counter is a Series of the quantity `energy_joules`, whichever sampler gave it. On an accelerator it must come from a
sampler that reads the device (it gives `gpu_...` quantities too): the host's joules are not the device's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .record import Caveat, Idle, Record, Series, Timing
from .stats import median

# The slowest counter known: NVML's changes every 100 ms (read on an H100 with driver 580, see
# docs/explanation/how-cost-and-energy-are-measured.md); arXiv 2312.02741 tells what shorter windows miss.
DEVICE_PERIOD_SECONDS = 0.1
# RAPL's counters change about every millisecond (Intel SDM, volume 3B, "RAPL Interfaces").
HOST_PERIOD_SECONDS = 0.001
# Either end of the window may be read up to one period late, so ten of them keep that error at 10 % or less.
LEAST_PERIODS = 10
# Chosen here: one reading of a host's counter over less than this tells more of the scheduler than of idling.
LEAST_IDLE_SECONDS = 0.2


def least_seconds(kind: str) -> float:
    """How long a window on a kind of device must be for its counter."""
    return LEAST_PERIODS * (HOST_PERIOD_SECONDS if kind == "cpu" else DEVICE_PERIOD_SECONDS)


def idle_seconds(kind: str) -> float:
    """How long a device is looked at while it idles."""
    return max(LEAST_IDLE_SECONDS, least_seconds(kind))


def counter(samples: Iterable[Series], kind: str) -> Series | None:
    """The energy counter of the device a bench ran on; None where none was read twice."""
    return _of_device(samples, kind, "energy_joules", least=2)


def window_seconds(series: Series) -> float:
    """From the first reading to the last."""
    return (series.at_ns[-1] - series.at_ns[0]) * 1e-9


def joules_per_call(record: Record) -> float | None:
    """Joules of one call: the mean power of the window times the mean seconds of a call.

    So the gaps between rounds, in which the clock is read, are charged to no call. None without a counter, for a
    window that is too short, and for a counter that was set back.
    """
    kind = kind_of(record)
    read = counter(record.samples, kind)
    if read is None or record.timing is None or not record.timing.rounds_seconds:
        return None
    seconds = window_seconds(read)
    joules = read.values[-1] - read.values[0]
    if seconds < least_seconds(kind) or joules < 0:
        return None
    rounds = record.timing.rounds_seconds
    return joules / seconds * (sum(rounds) / len(rounds))


def joules_per_token(record: Record) -> float | None:
    """Joules of a call over the new tokens it made."""
    joules = joules_per_call(record)
    tokens = record.counts.get("tokens") or (record.tokens.new_tokens if record.tokens else 0)
    return joules / tokens if joules is not None and tokens else None


def short_window(samples: Iterable[Series], kind: str, timing: Timing | None) -> tuple[Caveat, ...]:
    """The caveat of a window under ten periods of the counter that was read in it, with the reason; or none."""
    read = counter(samples, kind)
    if read is None or timing is None or window_seconds(read) >= least_seconds(kind):
        return ()
    why = {
        "rounds": "the number of rounds was fixed",
        "seconds": "the measuring time was fixed",
        "items": "each item was timed once",
    }.get(timing.stopped_by, f"ended by {timing.stopped_by}")
    return (Caveat("short_window", f"{window_seconds(read):.3g} s of at least {least_seconds(kind):g} s: {why}"),)


def idle(samples: Sequence[Series], kind: str) -> Idle | None:
    """What was drawn over an idle window: by the counter where it is long enough, else the median of the power."""
    read = counter(samples, kind)
    if read is not None and window_seconds(read) >= least_seconds(kind) and read.values[-1] >= read.values[0]:
        seconds = window_seconds(read)
        return Idle((read.values[-1] - read.values[0]) / seconds, seconds, f"energy counter of {read.sampler}")
    power = _of_device(samples, kind, "power_watts", least=1)
    if power is None:
        return None
    return Idle(median(power.values), window_seconds(power), f"median power of {power.sampler}")


def kind_of(record: Record) -> str:
    """`cpu`, or the kind of accelerator that a bench ran on."""
    if not record.environment.get("gpu"):
        return "cpu"
    return record.axes.get("device", "cuda").partition(":")[0]


def _of_device(samples: Iterable[Series], kind: str, name: str, least: int) -> Series | None:
    samples = list(samples)
    of_device = {series.sampler for series in samples if series.name.startswith("gpu_")}
    for series in samples:
        ours = kind == "cpu" or series.sampler in of_device
        if series.name == name and ours and len(series.values) >= least:
            return series
    return None
