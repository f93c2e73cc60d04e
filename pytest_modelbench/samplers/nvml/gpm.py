"""GPM, the driver's performance counters (NVIDIA's H100 and later): which parts of the chip worked, and how much.

A reading is the mean between two samples of the counters. Field meanings: the NVML API reference, nvmlGpmMetricId_t.
"""

from __future__ import annotations

import math
import time
from typing import Any

#: What is asked for -> the name of its NVML constant; NVML gives each in percent.
METRICS = {
    "sm_activity_ratio": "NVML_GPM_METRIC_SM_UTIL",
    "sm_occupancy_ratio": "NVML_GPM_METRIC_SM_OCCUPANCY",
    "tensor_activity_ratio": "NVML_GPM_METRIC_ANY_TENSOR_UTIL",
    "dram_activity_ratio": "NVML_GPM_METRIC_DRAM_BW_UTIL",
}


class Activity:
    """The ratios of one device since the reading before. Raises NVMLError where it has no such counters."""

    def __init__(self, handle: Any, period_seconds: float) -> None:
        import pynvml

        self.handle, self.part = _whole(handle)
        if not pynvml.nvmlGpmQueryDeviceSupport(self.handle).isSupportedDevice:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        self.period_seconds = period_seconds
        self._before, self._now = pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()
        self._request = pynvml.c_nvmlGpmMetricsGet_t()
        self._request.version, self._request.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, len(METRICS)
        for asked, constant in zip(self._request.metrics, METRICS.values(), strict=False):
            asked.metricId = getattr(pynvml, constant)
        self._sample(self._before)
        self._before_at = time.monotonic()

    def read(self) -> dict[tuple[str, str], float]:
        """The means since the reading before; nothing after a pause, which a mean must not span, or right after one."""
        import pynvml

        passed = time.monotonic() - self._before_at
        if passed < self.period_seconds / 2:
            return {}
        self._sample(self._now)
        readings = {}
        if passed <= 3 * self.period_seconds:
            self._request.sample1, self._request.sample2 = self._before, self._now
            pynvml.nvmlGpmMetricsGet(self._request)
            for name, metric in zip(METRICS, self._request.metrics, strict=False):
                if metric.nvmlReturn == pynvml.NVML_SUCCESS and math.isfinite(metric.value):
                    readings[name, "ratio"] = metric.value / 100
        self._before, self._now = self._now, self._before
        self._before_at += passed
        return readings

    def close(self) -> None:
        """Give the samples back to the driver."""
        import pynvml

        for sample in (self._before, self._now):
            pynvml.nvmlGpmSampleFree(sample)

    def _sample(self, into: Any) -> None:
        import pynvml

        if self.part is None:
            pynvml.nvmlGpmSampleGet(self.handle, into)
        else:
            pynvml.nvmlGpmMigSampleGet(self.handle, self.part, into)


def _whole(handle: Any) -> tuple[Any, int | None]:
    """The handle to ask, and under MIG, where the GPU answers for its part, the part's number."""
    import pynvml

    try:
        if not pynvml.nvmlDeviceIsMigDeviceHandle(handle):
            return handle, None
    except pynvml.NVMLError:  # a driver or chip that knows no MIG
        return handle, None
    return pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle), pynvml.nvmlDeviceGetGpuInstanceId(handle)
