"""Samplers of hardware that is not here: on folders, property lists and libraries shaped as the real ones."""

import os
import plistlib
import subprocess
import sys
import types

import psutil
import pytest

from pytest_modelbench.device import Device
from pytest_modelbench.samplers import Watched, _built_in, amd, apple, lacking, nvml, process, rapl, watched_of

WATCHED = Watched("cuda:0", "cuda", 0, "GPU-61626364-3031-3233-3435-363738396566", os.getpid(), 0.1)
CPU = Device("cpu", "cpu", "cpu")


def names(device):
    return [sampler.name for sampler in _built_in(device)]


# -- RAPL


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """Two packages as Linux shows them, with what must not be counted beside them."""
    zones = {
        "intel-rapl": None,
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    for zone, name in zones.items():
        (tmp_path / zone).mkdir()
        if name:
            (tmp_path / zone / "name").write_text(f"{name}\n")
            (tmp_path / zone / "energy_uj").write_text("1000000\n")
            (tmp_path / zone / "max_energy_range_uj").write_text("262143328850\n")
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path)
    return tmp_path


def test_packages_are_counted_once(powercap):
    assert [zone.name for zone in rapl.packages()] == ["intel-rapl:0", "intel-rapl:1"]
    assert names(CPU) == ["process", "rapl"]
    assert lacking(CPU) == ""


def test_joules_are_the_sum_of_the_packages(powercap):
    opened = rapl.rapl(WATCHED)
    assert next(opened) == {("energy_joules", "joules"): 0.0}
    for zone in rapl.packages():
        (zone / "energy_uj").write_text("3500000")
    assert next(opened) == {("energy_joules", "joules"): 5.0}


def test_a_counter_that_starts_over_goes_on(powercap):
    zone = powercap / "intel-rapl:0"
    (zone / "energy_uj").write_text("262143000000")
    counter = rapl.Counter(zone)
    (zone / "energy_uj").write_text("1671150")
    assert counter.joules() == pytest.approx(2.0)
    (zone / "energy_uj").write_text("2671150")
    assert counter.joules() == pytest.approx(3.0)


def test_counters_for_root_only_are_said_with_the_remedy(powercap, monkeypatch):
    monkeypatch.setattr(rapl.os, "access", lambda path, mode: False)
    assert names(CPU) == ["process"]
    assert lacking(CPU).startswith("host energy is not read: only root may read its counters")
    assert lacking(Device("mps", "mps", "mps")) == ""


def test_a_host_without_counters_lacks_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path / "absent")
    assert names(CPU) == ["process"]
    assert lacking(CPU) == ""
    with pytest.raises(LookupError, match="no processor package"):
        next(rapl.rapl(WATCHED))


# -- Apple

STATISTICS = {"Device Utilization %": 29, "Tiler Utilization %": 27, "In use system memory": 1154580480}


def test_the_accelerators_statistics_are_read():
    printed = plistlib.dumps([{"IOClass": "AGXAcceleratorG15X", "PerformanceStatistics": STATISTICS}])
    assert apple.readings(printed) == {
        ("gpu_busy_ratio", "ratio"): pytest.approx(0.29),
        ("memory_used_bytes", "bytes"): 1154580480,
    }


@pytest.mark.parametrize(
    "printed", [b"", plistlib.dumps([]), plistlib.dumps([{"PerformanceStatistics": {"recoveryCount": 0}}])]
)
def test_an_accelerator_that_tells_nothing_gives_nothing(printed):
    assert apple.readings(printed) == {}


def test_ioreg_is_started_once_a_second(monkeypatch):
    started = []
    printed = plistlib.dumps([{"PerformanceStatistics": STATISTICS}])
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: started.append(command) or types.SimpleNamespace(stdout=printed)
    )
    opened = apple.apple(WATCHED)
    assert len(next(opened)) == 2
    assert next(opened) == next(opened) == {}
    assert started == [apple.COMMAND]
    assert "apple" in names(Device("mps", "mps", "mps"))


# -- AMD


class AmdError(Exception):
    def __init__(self, code):
        self.code = code

    def get_error_code(self):
        return self.code


@pytest.fixture
def amdsmi(monkeypatch):
    """What amdsmi 7.0 answers of two chips; the first one is ours, by the letters of its serial number."""

    def unsupported(handle):
        raise AmdError(2)

    library = types.ModuleType("amdsmi")
    library.AmdSmiLibraryException = AmdError
    library.amdsmi_wrapper = types.SimpleNamespace(
        AMDSMI_STATUS_INVAL=1, AMDSMI_STATUS_NOT_SUPPORTED=2, AMDSMI_STATUS_NOT_YET_IMPLEMENTED=3,
        AMDSMI_STATUS_NO_PERM=10,
    )  # fmt: skip
    library.AmdSmiTemperatureType = types.SimpleNamespace(HOTSPOT=1)
    library.AmdSmiTemperatureMetric = types.SimpleNamespace(CURRENT=0)
    library.AmdSmiMemoryType = types.SimpleNamespace(VRAM=0)
    library.AmdSmiClkType = types.SimpleNamespace(GFX="gfx", MEM="mem")
    library.closed = []
    library.amdsmi_init = lambda: None
    library.amdsmi_shut_down = lambda: library.closed.append(True)
    library.amdsmi_get_processor_handles = lambda: ["other", "ours"]
    serials = {"other": "0xFFFFFFFFFFFFFFFF", "ours": "0xABCD0123456789EF"}
    library.amdsmi_get_gpu_asic_info = lambda handle: {"asic_serial": serials[handle]}
    library.amdsmi_get_gpu_activity = lambda handle: {"gfx_activity": 87, "umc_activity": 12, "mm_activity": "N/A"}
    library.amdsmi_get_gpu_memory_usage = lambda handle, kind: 2**30 if handle == "ours" else 0
    library.amdsmi_get_power_info = lambda handle: {"current_socket_power": "N/A", "average_socket_power": 310}
    library.amdsmi_get_temp_metric = lambda handle, place, metric: 61
    library.amdsmi_get_clock_info = lambda handle, which: {"clk": {"gfx": 2100, "mem": "N/A"}[which]}
    library.amdsmi_get_energy_count = lambda handle: {"energy_accumulator": 10**8, "counter_resolution": 15.3}
    library.unsupported = unsupported
    monkeypatch.setitem(sys.modules, "amdsmi", library)
    return library


def test_amd_reads_nvmls_quantities_in_si_units(amdsmi):
    opened = amd.amd(WATCHED)
    assert next(opened) == {
        ("gpu_busy_ratio", "ratio"): 0.87,
        ("memory_used_bytes", "bytes"): 2**30,
        ("power_watts", "watts"): 310,
        ("temperature_celsius", "celsius"): 61,
        ("sm_clock_hertz", "hertz"): 2.1e9,
        ("energy_joules", "joules"): pytest.approx(1530),
    }, "the memory clock is not told"
    opened.close()
    assert amdsmi.closed == [True]


def test_amd_leaves_out_what_the_chip_has_not(amdsmi):
    amdsmi.amdsmi_get_temp_metric = lambda *_: amdsmi.unsupported(None)
    amdsmi.amdsmi_get_energy_count = amdsmi.unsupported
    asked = next(amd.amd(WATCHED))
    assert ("temperature_celsius", "celsius") not in asked
    assert ("energy_joules", "joules") not in asked
    assert ("power_watts", "watts") in asked


def test_amd_counters_of_older_libraries(amdsmi):
    amdsmi.amdsmi_get_energy_count = lambda handle: {"power": 10**8, "counter_resolution": 15.3}
    assert next(amd.amd(WATCHED))["energy_joules", "joules"] == pytest.approx(1530)


def test_amd_says_a_lost_device_and_one_it_cannot_find(amdsmi):
    stranger = Watched("cuda:0", "cuda", 0, "GPU-00000000-0000-0000-0000-000000000000", os.getpid(), 0.1)
    with pytest.raises(LookupError, match="none of the 2 devices"):
        next(amd.amd(stranger))
    opened = amd.amd(WATCHED)
    next(opened)

    def lost(handle):
        raise AmdError(33)

    amdsmi.amdsmi_get_power_info = lost
    with pytest.raises(AmdError):
        next(opened)


def test_rocm_is_watched_by_amd(monkeypatch):
    torch = types.SimpleNamespace(version=types.SimpleNamespace(hip="7.0"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(rapl, "packages", list)
    device = Device("cuda:0", "cuda", "cuda", 0, "GPU-1")
    assert names(device) == ["process", "amd"]
    torch.version.hip = None
    assert names(device) == ["process", "nvml"]


# -- NVIDIA's GPM


class Gpm:
    """Counters of a device, as NVML gives them between two samples; `now` seconds pass when a test says so."""

    def __init__(self):
        self.now, self.supported, self.freed, self.asked = 100.0, True, 0, []

    def monotonic(self):
        return self.now


@pytest.fixture
def gpm(monkeypatch):
    import pynvml

    from pytest_modelbench.samplers.nvml import gpm as module

    state = Gpm()
    percents = {pynvml.NVML_GPM_METRIC_SM_UTIL: 96.0, pynvml.NVML_GPM_METRIC_SM_OCCUPANCY: 14.0,
                pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL: 94.0}  # fmt: skip

    def metrics(request):
        state.asked.append(request.numMetrics)
        for metric in request.metrics[: request.numMetrics]:
            known = metric.metricId in percents
            metric.nvmlReturn = pynvml.NVML_SUCCESS if known else pynvml.NVML_ERROR_NOT_SUPPORTED
            metric.value = percents.get(metric.metricId, 0.0)

    def no_mig(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)

    def freed(sample):
        state.freed += 1

    monkeypatch.setattr(module.time, "monotonic", state.monotonic)
    monkeypatch.setattr(pynvml, "nvmlDeviceIsMigDeviceHandle", no_mig)
    support = types.SimpleNamespace
    monkeypatch.setattr(pynvml, "nvmlGpmQueryDeviceSupport", lambda handle: support(isSupportedDevice=state.supported))
    monkeypatch.setattr(pynvml, "nvmlGpmSampleAlloc", pynvml.c_nvmlGpmSample_t)
    monkeypatch.setattr(pynvml, "nvmlGpmSampleGet", lambda handle, sample: sample)
    monkeypatch.setattr(pynvml, "nvmlGpmMetricsGet", metrics)
    monkeypatch.setattr(pynvml, "nvmlGpmSampleFree", freed)
    state.open = lambda: module.Activity("handle", 0.1)
    return state


def test_gpm_gives_the_means_since_the_reading_before(gpm):
    activity = gpm.open()
    gpm.now += 0.1
    assert activity.read() == {
        ("sm_activity_ratio", "ratio"): 0.96,
        ("sm_occupancy_ratio", "ratio"): 0.14,
        ("tensor_activity_ratio", "ratio"): 0.94,
    }, "memory is not told by this chip"
    activity.close()
    assert gpm.freed == 2


def test_gpm_says_nothing_of_a_pause_or_of_an_instant(gpm):
    activity = gpm.open()
    gpm.now += 2.0
    assert activity.read() == {}, "between two windows"
    gpm.now += 0.01
    assert activity.read() == {}, "right after a reading"
    gpm.now += 0.09
    assert len(activity.read()) == 3
    assert gpm.asked == [4]


def test_a_chip_without_gpm_raises_what_is_left_out(gpm):
    gpm.supported = False
    assert nvml._asked(gpm.open) is None


# -- several devices of one host, as one

BOTH = Device("cuda:0+1", "cuda:0+1", "cuda", 0, "GPU-a", peers=(Device("cuda:1", "cuda:0+1", "cuda", 1, "GPU-b"),))


@pytest.fixture
def boards(monkeypatch):
    """What NVML answers of two GPUs, by uuid; a test may change it, and None is what a board does not tell."""
    import pynvml

    told = {
        "GPU-a": {"busy": 90, "watts": 300, "joules": 1000.0, "celsius": 50, "megahertz": 1980, "reasons": 0x4},
        "GPU-b": {"busy": 10, "watts": 100, "joules": 5000.0, "celsius": 70, "megahertz": 1200, "reasons": 0x20},
    }
    absent = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def of(name, scale=1):
        def answer(handle, *_):
            if told[handle][name] is None:
                raise absent
            return told[handle][name] * scale

        return answer

    def absent_here(*_, **__):
        raise absent

    for name in ("nvmlInit", "nvmlShutdown"):
        monkeypatch.setattr(pynvml, name, lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    rates = of("busy")
    monkeypatch.setattr(
        pynvml, "nvmlDeviceGetUtilizationRates", lambda handle: types.SimpleNamespace(gpu=rates(handle))
    )
    memory = types.SimpleNamespace(used=2**30)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle, version=None: memory)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", of("watts", 1000))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTemperature", of("celsius"))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetClockInfo", of("megahertz"))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", of("reasons"))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", of("joules", 1000))
    monkeypatch.setattr(pynvml, "nvmlDeviceIsMigDeviceHandle", absent_here)
    monkeypatch.setattr(pynvml, "nvmlGpmQueryDeviceSupport", absent_here)
    return told


def test_several_gpus_are_read_as_one(boards):
    opened = nvml.nvml(watched_of(BOTH, 10))
    assert next(opened) == {
        ("gpu_busy_ratio", "ratio"): 0.9,
        ("memory_used_bytes", "bytes"): 2**31,
        ("power_watts", "watts"): 400,
        ("temperature_celsius", "celsius"): 70,
        ("sm_clock_hertz", "hertz"): 1.2e9,
        ("memory_clock_hertz", "hertz"): 1.2e9,
        ("clock_event_reasons", "bitmask"): 0x24,
        ("energy_joules", "joules"): 6000,
    }
    boards["GPU-b"]["joules"] += 250
    assert next(opened)["energy_joules", "joules"] == 6250
    opened.close()


def test_joules_that_one_of_several_does_not_tell_are_nobodys(boards):
    boards["GPU-b"]["joules"] = None
    read = next(nvml.nvml(watched_of(BOTH, 10)))
    assert ("energy_joules", "joules") not in read
    assert read["power_watts", "watts"] == 400


def test_others_on_one_of_several_gpus_are_seen(boards, monkeypatch):
    import pynvml

    one = types.SimpleNamespace
    ours, other = one(pid=7, smUtil=40), one(pid=8, smUtil=30)
    listed = {"GPU-a": [ours], "GPU-b": [ours, other]}
    monkeypatch.setattr(nvml, "_open", lambda: "")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetProcessUtilization", lambda handle, since: listed[handle])
    assert nvml.others_busy_ratio(BOTH.uuids, 7, 0) == 0.3
    listed["GPU-a"] = [other]
    assert nvml.others_busy_ratio(BOTH.uuids, 7, 0) is None, "ours is not listed on the first"


def test_a_device_of_several_without_a_uuid_is_a_problem():
    unknown = Device("cuda:0+1", "cuda:0+1", "cuda", 0, "GPU-a", peers=(Device("cuda:1", "cuda:1", "cuda", 1),))
    with pytest.raises(ValueError, match=r"cuda:0\+1 has no uuid"):
        next(nvml.nvml(watched_of(unknown, 10)))


def test_several_of_amd_are_read_as_one(amdsmi):
    amdsmi.amdsmi_get_gpu_asic_info = lambda handle: {"asic_serial": {"ours": "0xA0", "other": "0xB1"}[handle]}
    read = next(amd.amd(Watched("cuda:0+1", "cuda", 0, "GPU-a0", os.getpid(), 0.1, ("GPU-b1",))))
    assert read["power_watts", "watts"] == 620
    assert read["energy_joules", "joules"] == pytest.approx(3060)
    assert read["gpu_busy_ratio", "ratio"] == 0.87


# -- the host


def test_the_hosts_clock_and_heat_where_they_are_told_at_once(monkeypatch):
    place = types.SimpleNamespace
    monkeypatch.setattr(psutil, "cpu_freq", lambda: place(current=2600.0))
    told = {"coretemp": [place(current=51.0), place(current=64.0)], "nvme": [place(current=80.0)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: told, raising=False)
    read = next(process.process(WATCHED))
    assert read["cpu_clock_hertz", "hertz"] == 2.6e9
    assert read["cpu_temperature_celsius", "celsius"] == 64.0


def test_what_the_host_does_not_tell_is_left_out(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_freq", lambda: None)
    monkeypatch.delattr(psutil, "sensors_temperatures", raising=False)
    named = {name for name, _ in next(process.process(WATCHED))} - {"children_cpu_seconds"}  # Linux tells that
    assert named == {"resident_bytes", "cpu_seconds"}


def test_what_the_host_tells_slowly_is_left_out(monkeypatch):
    import time

    monkeypatch.setattr(psutil, "cpu_freq", lambda: time.sleep(0.005) or types.SimpleNamespace(current=2600.0))
    assert ("cpu_clock_hertz", "hertz") not in next(process.process(WATCHED))
