"""AMD's driver, by way of amdsmi: the `amd` sampler, for torch's "cuda" where that is ROCm.

Field meanings: the AMD SMI Python API of ROCm 6.1 and later. A field that a chip lacks is "N/A" there, left out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..declare import sampler
from ..samplers import Readings, together

if TYPE_CHECKING:
    from . import Watched

Reading = Callable[[], Any]


@sampler("amd", requires=("amdsmi",))
def amd(watched: Watched) -> Iterator[Readings]:
    """Busy ratio, memory, power, temperature, clocks and the energy counter of a GPU, by nvml's names.

    `gpu_busy_ratio` is the graphics and compute engine's activity. A reading that the device does not support is left
    out. Several GPUs are read `together`.
    """
    import amdsmi

    amdsmi.amdsmi_init()
    try:
        devices = [_supported(_found(uuid, watched.name)) for uuid in (watched.uuid, *watched.peers)]
        while True:
            yield together([_told(readings) for readings in devices])
    finally:
        amdsmi.amdsmi_shut_down()


def _readings(handle: Any) -> dict[tuple[str, str], Reading]:
    """What can be asked, in SI units; amdsmi itself speaks percent, watts, megahertz and counts of microjoules."""
    import amdsmi as a

    hottest, now = a.AmdSmiTemperatureType.HOTSPOT, a.AmdSmiTemperatureMetric.CURRENT
    return {
        ("gpu_busy_ratio", "ratio"): lambda: a.amdsmi_get_gpu_activity(handle)["gfx_activity"] / 100,
        ("memory_used_bytes", "bytes"): lambda: a.amdsmi_get_gpu_memory_usage(handle, a.AmdSmiMemoryType.VRAM),
        ("power_watts", "watts"): lambda: _power(a.amdsmi_get_power_info(handle)),
        ("temperature_celsius", "celsius"): lambda: a.amdsmi_get_temp_metric(handle, hottest, now),
        ("sm_clock_hertz", "hertz"): lambda: a.amdsmi_get_clock_info(handle, a.AmdSmiClkType.GFX)["clk"] * 1e6,
        ("memory_clock_hertz", "hertz"): lambda: a.amdsmi_get_clock_info(handle, a.AmdSmiClkType.MEM)["clk"] * 1e6,
        ("energy_joules", "joules"): lambda: _energy(a.amdsmi_get_energy_count(handle)),
    }


def _supported(handle: Any) -> dict[tuple[str, str], Reading]:
    return {quantity: read for quantity, read in _readings(handle).items() if _number(read) is not None}


def _told(readings: dict[tuple[str, str], Reading]) -> Readings:
    now = {quantity: _number(read) for quantity, read in readings.items()}
    return {quantity: value for quantity, value in now.items() if value is not None}


def _number(read: Reading) -> float | None:
    """A reading, or None where this device, driver or account has it not; a lost device raises."""
    import amdsmi

    absent = (
        amdsmi.amdsmi_wrapper.AMDSMI_STATUS_NOT_SUPPORTED,
        amdsmi.amdsmi_wrapper.AMDSMI_STATUS_NOT_YET_IMPLEMENTED,
        amdsmi.amdsmi_wrapper.AMDSMI_STATUS_INVAL,
        amdsmi.amdsmi_wrapper.AMDSMI_STATUS_NO_PERM,
    )
    try:
        return float(read())
    except (TypeError, ValueError):  # "N/A" among numbers: the chip has no such field
        return None
    except amdsmi.AmdSmiLibraryException as error:
        if error.get_error_code() in absent:
            return None
        raise


def _power(info: dict[str, Any]) -> Any:
    """Watts now on MI300 and later, the mean of the last moment on chips before; the other one is "N/A" or 0."""
    now = info.get("current_socket_power")
    return now if isinstance(now, (int, float)) and now else info["average_socket_power"]


def _energy(counter: dict[str, Any]) -> float:
    """Joules of a counter whose resolution is in microjoules; its name changed with ROCm 6.2.1."""
    count = counter["energy_accumulator"] if "energy_accumulator" in counter else counter["power"]
    return float(count * counter["counter_resolution"] / 1e6)


def _found(uuid: str | None, name: str) -> Any:
    """The handle of the device of a uuid. Raises LookupError where none has it."""
    import amdsmi

    handles = amdsmi.amdsmi_get_processor_handles()
    for handle in handles:
        serial = str(amdsmi.amdsmi_get_gpu_asic_info(handle)["asic_serial"]).removeprefix("0x").lower()
        if serial in _serials(uuid or ""):
            return handle
    if len(handles) == 1:
        return handles[0]
    raise LookupError(f"none of the {len(handles)} devices that amdsmi shows has the uuid of {name}")


def _serials(uuid: str) -> set[str]:
    """How a chip's serial number may stand in torch's uuid: as it is, or letter by letter as hexadecimal codes.

    HIP fills the 16 bytes of its uuid with the 16 letters of the serial number, and torch writes bytes as hexadecimal.
    """
    bare = uuid.partition("-")[2].replace("-", "").lower()
    try:
        return {bare, bytes.fromhex(bare).decode("ascii").lower()}
    except ValueError:
        return {bare}
