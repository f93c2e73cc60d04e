"""NVIDIA's driver, by way of NVML: the `nvml` sampler, and the facts and byte counts that others ask of it.

gpm.py    what only newer chips tell: how much of the multiprocessors, tensor cores and memory was at work

NVML counts devices in its own order and ignores CUDA_VISIBLE_DEVICES, so everything here goes by uuid.
Field meanings: the NVML API reference of the driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

from ...declare import sampler
from ...samplers import Readings, together

if TYPE_CHECKING:
    from .. import Watched

Reading = Callable[[], float]


@sampler("nvml", requires=("pynvml",))
def nvml(watched: Watched) -> Iterator[Readings]:
    """Busy ratio, memory, power, temperature, clocks, clock event reasons, the energy counter and GPM of a GPU.

    Board scope, except under MIG, where a part has only its memory and GPM. `gpu_busy_ratio` is NVML's "utilization":
    the share of its last period (about 0.2 s on an H100) with at least one kernel resident. A reading that the device
    does not support is left out. Several GPUs are read `together`.
    """
    import pynvml

    uuids = [uuid for uuid in (watched.uuid, *watched.peers) if uuid is not None]
    if len(uuids) <= len(watched.peers):
        raise ValueError(f"{watched.name} has no uuid to ask NVML for")
    pynvml.nvmlInit()
    with ExitStack() as opened:
        opened.callback(pynvml.nvmlShutdown)
        readers = [_reader(_found(uuid), watched.period_seconds, opened) for uuid in uuids]
        while True:
            yield together([now() for now in readers])


def _reader(handle: Any, period_seconds: float, opened: ExitStack) -> Callable[[], Readings]:
    """What reads one GPU; its GPM is closed with `opened`."""
    from .gpm import Activity

    readings = _supported(_readings(handle))
    activity: Activity | None = _asked(lambda: Activity(handle, period_seconds))
    if activity is not None:
        opened.callback(activity.close)

    def now() -> Readings:
        worked = (activity and _asked(activity.read)) or {}
        return {quantity: read() for quantity, read in readings.items()} | worked

    return now


def _readings(handle: Any) -> dict[tuple[str, str], Reading]:
    """What can be asked, in SI units; NVML itself speaks percent, milliwatts, megahertz and millijoules."""
    import pynvml as n

    return {
        ("gpu_busy_ratio", "ratio"): lambda: n.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        ("memory_used_bytes", "bytes"): lambda: _used(handle),
        ("power_watts", "watts"): lambda: n.nvmlDeviceGetPowerUsage(handle) / 1e3,
        ("temperature_celsius", "celsius"): lambda: n.nvmlDeviceGetTemperature(handle, n.NVML_TEMPERATURE_GPU),
        ("sm_clock_hertz", "hertz"): lambda: n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_SM) * 1e6,
        ("memory_clock_hertz", "hertz"): lambda: n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_MEM) * 1e6,
        ("clock_event_reasons", "bitmask"): lambda: n.nvmlDeviceGetCurrentClocksEventReasons(handle),
        ("energy_joules", "joules"): lambda: n.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
    }


def _supported(readings: dict[tuple[str, str], Reading]) -> dict[tuple[str, str], Reading]:
    return {quantity: read for quantity, read in readings.items() if _asked(read) is not None}


def _asked(read: Callable[[], Any]) -> Any:
    """A reading, or None where this device, driver or account has it not; a lost device raises."""
    import pynvml

    absent = (
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,  # what a MIG part answers to questions about the board
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,  # a driver older than the question
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    )
    try:
        return read()
    except pynvml.NVMLError as error:
        if error.value in absent:
            return None
        raise


def _found(uuid: str) -> Any:
    """The handle of a uuid; torch cannot always tell a MIG part from a GPU, so the other prefix is tried too."""
    import pynvml

    prefix, _, bare = uuid.partition("-")
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError:
        return pynvml.nvmlDeviceGetHandleByUUID(f"{'GPU' if prefix == 'MIG' else 'MIG'}-{bare}")


def _used(handle: Any) -> int:
    """Bytes in use by everyone, as in nvidia-smi: version 2 of the struct leaves out what the driver reserves."""
    import pynvml

    info = _asked(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2))
    return int((info or pynvml.nvmlDeviceGetMemoryInfo(handle)).used)


# -- asked once in a while by the bench's own process, which keeps NVML open until it ends


@cache
def _open() -> str:
    """Open NVML for the rest of this process; why not, where it cannot be."""
    try:
        import pynvml
    except ImportError:
        return "nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"NVML: {error}"
    return ""


def count() -> int:
    """How many GPUs the NVIDIA driver shows; 0 without a driver."""
    if _open():
        return 0
    import pynvml

    return int(pynvml.nvmlDeviceGetCount())


def used_bytes(uuid: str) -> tuple[int | None, str]:
    """Bytes in use on a device by everyone, and how that was read or why not."""
    return _answer(uuid, _used, "NVML memory in use, at the end")


def process_bytes(uuid: str, pid: int) -> tuple[int | None, str]:
    """Bytes of one process on a device, and how that was read or why not.

    The driver lists processes by the host's ids: in a container or virtual machine the list may be empty or foreign.
    """

    def listed(handle: Any) -> int | None:
        import pynvml

        found = (p.usedGpuMemory for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid == pid)
        return next(found, None)

    bytes_, source = _answer(uuid, listed, "NVML compute processes, at the end")
    if bytes_ is None and source.startswith("NVML compute"):
        source = "not read: the driver does not list this process (a container or virtual machine?)"
    return bytes_, source


def _answer(uuid: str, ask: Callable[[Any], int | None], source: str) -> tuple[int | None, str]:
    if problem := _open():
        return None, f"not read: {problem}"
    import pynvml

    try:
        return ask(_found(uuid)), source
    except pynvml.NVMLError as error:
        return None, f"not read: NVML: {error}"


def facts(uuid: str) -> dict[str, Any]:
    """What the driver says of a device: its version, limits, clocks, temperature, MIG, ECC; None where it does not."""
    if problem := _open():
        return {"nvml": problem}
    import pynvml as n

    try:
        handle = _found(uuid)
    except n.NVMLError as error:
        return {"nvml": f"NVML: {error}"}
    cuda = _asked(n.nvmlSystemGetCudaDriverVersion)
    power = _asked(lambda: n.nvmlDeviceGetEnforcedPowerLimit(handle))
    ecc = _asked(lambda: n.nvmlDeviceGetEccMode(handle)[0])
    mig = _asked(lambda: n.nvmlDeviceGetMigMode(handle)[0])
    return {
        "driver": _asked(n.nvmlSystemGetDriverVersion),
        "cuda_of_driver": f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None,
        "power_limit_watts": power / 1e3 if power is not None else None,
        "temperature_celsius": _asked(lambda: n.nvmlDeviceGetTemperature(handle, n.NVML_TEMPERATURE_GPU)),
        "mig": bool(mig) if mig is not None else None,
        "ecc": bool(ecc) if ecc is not None else None,
        "busy_before_ratio": _busy_before(handle),
        "clocks": {
            "sm_now_hertz": _clock(handle, n.nvmlDeviceGetClockInfo, n.NVML_CLOCK_SM),
            "sm_max_hertz": _clock(handle, n.nvmlDeviceGetMaxClockInfo, n.NVML_CLOCK_SM),
            "memory_now_hertz": _clock(handle, n.nvmlDeviceGetClockInfo, n.NVML_CLOCK_MEM),
            "memory_max_hertz": _clock(handle, n.nvmlDeviceGetMaxClockInfo, n.NVML_CLOCK_MEM),
        },
    }


# A device that was just left still reads busy: NVML's period is between 1/6 s and 1 s (nvmlUtilization_t), so it is
# looked at for longer than one. An idle device answers at the first look.
_LOOKS, _BETWEEN_LOOKS_SECONDS = 6, 0.25


def _busy_before(handle: Any) -> float | None:
    """The least busy ratio of some looks, before we compute anything: what others do without a pause."""
    import pynvml

    least: float | None = None
    for look in range(_LOOKS):
        busy = _asked(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        if busy is None:
            return None
        least = busy / 100 if least is None else min(least, busy / 100)
        if not least:
            break
        time.sleep(_BETWEEN_LOOKS_SECONDS if look + 1 < _LOOKS else 0)
    return least


def others_busy_ratio(uuids: Sequence[str], pid: int, since_us: int) -> float | None:
    """The largest share of a device's multiprocessors that processes other than ours took since a wall clock's time.

    Of several devices it is the one of which others took most, and None where that cannot be told of each. None where
    the driver does not list our own process under its id (a container or virtual machine), because then nobody can
    tell which of those that it lists is ours; and where it lists none.
    """
    if _open():
        return None
    ratios = [_of_others(uuid, pid, since_us) for uuid in uuids]
    told = [ratio for ratio in ratios if ratio is not None]
    return max(told) if len(told) == len(ratios) else None


def _of_others(uuid: str, pid: int, since_us: int) -> float | None:
    import pynvml

    try:
        listed = pynvml.nvmlDeviceGetProcessUtilization(_found(uuid), since_us)
    except pynvml.NVMLError:  # not supported, or nobody computed
        return None
    if pid not in {one.pid for one in listed}:
        return None
    return max((one.smUtil / 100 for one in listed if one.pid != pid), default=0.0)


def _clock(handle: Any, ask: Callable[[Any, int], int], which: int) -> int | None:
    megahertz = _asked(lambda: ask(handle, which))
    return megahertz * 1_000_000 if megahertz is not None else None
