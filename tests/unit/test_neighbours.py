"""Others on a GPU, as NVML tells of them; its answers are a test's own."""

from types import SimpleNamespace

import pytest

from pytest_modelbench.samplers import nvml

pynvml = pytest.importorskip("pynvml")


@pytest.fixture
def slept(monkeypatch):
    slept = []
    monkeypatch.setattr(nvml.time, "sleep", slept.append)
    return slept


def utilization(monkeypatch, *percent):
    answers = iter(percent)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", lambda handle: SimpleNamespace(gpu=next(answers)))


def test_an_idle_device_is_looked_at_once(monkeypatch, slept):
    utilization(monkeypatch, 0)
    assert nvml._busy_before(None) == 0
    assert slept == []


def test_a_device_that_was_left_a_moment_ago_is_idle(monkeypatch, slept):
    utilization(monkeypatch, 97, 60, 0)
    assert nvml._busy_before(None) == 0


def test_a_device_that_never_pauses_is_busy(monkeypatch, slept):
    utilization(monkeypatch, 97, 100, 88, 99, 100, 100)
    assert nvml._busy_before(None) == pytest.approx(0.88)
    assert sum(slept) > 1  # longer than NVML's longest period


def test_a_device_that_does_not_tell_is_not_known(monkeypatch, slept):
    def refuse(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", refuse)
    assert nvml._busy_before(None) is None


@pytest.mark.parametrize(
    ("listed", "others"),
    [
        ({1: 60, 2: 35, 3: 5}, 0.35),
        ({1: 60}, 0.0),
        ({2: 35}, None),
        ({}, None),
    ],
    ids=["others", "alone", "ours is not listed", "none is"],
)
def test_others_are_told_where_we_are_listed_too(monkeypatch, listed, others):
    monkeypatch.setattr(nvml, "_open", lambda: "")
    monkeypatch.setattr(nvml, "_found", lambda uuid: None)

    def told(handle, since_us):
        assert since_us == 5
        if not listed:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return [SimpleNamespace(pid=pid, smUtil=share) for pid, share in listed.items()]

    monkeypatch.setattr(pynvml, "nvmlDeviceGetProcessUtilization", told)
    assert nvml.others_busy_ratio(["GPU-1"], pid=1, since_us=5) == others
