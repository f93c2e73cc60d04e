"""The sampling process: real windows, samplers that fail, parents that die."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from pytest_modelbench import samplers
from pytest_modelbench.declare import Declared, sampler
from pytest_modelbench.device import Device, lease
from pytest_modelbench.samplers import Sampling

CPU = Device("cpu", "cpu", "cpu")


@contextmanager
def sampled(device=CPU, hertz=50.0, declared=()):
    made = Sampling(device, hertz, declared)
    try:
        yield made
    finally:
        made.close()


def by_name(series):
    return {one.name: one for one in series}


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's lists of children are Linux's")
def test_cpu_seconds_of_children_alive_and_dead_are_counted():
    spinning = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    with sampled() as sampling:
        sampling.start()
        subprocess.run([sys.executable, "-c", spinning], check=True)
        alive = subprocess.Popen([sys.executable, "-c", spinning + "\ninput()"], stdin=subprocess.PIPE)
        spin(1.0)
        children = by_name(sampling.stop())["children_cpu_seconds"]
        alive.communicate()
    assert list(children.values) == sorted(children.values)
    assert children.values[-1] - children.values[0] > 0.4


def test_a_window_of_the_process():
    with sampled() as sampling:
        sampling.start()
        began = time.perf_counter_ns()
        used_before = time.process_time()
        ballast = bytearray(b"x" * (100 * 2**20))
        spin(0.6)
        used, ended = time.process_time() - used_before, time.perf_counter_ns()
        series = by_name(sampling.stop())
    assert sampling.problems == ()
    linux = {"children_cpu_seconds"} if sys.platform == "linux" else set()
    assert {"resident_bytes", "cpu_seconds", "host_busy_ratio"} | linux <= set(series)
    resident, cpu, busy = series["resident_bytes"], series["cpu_seconds"], series["host_busy_ratio"]
    assert (resident.sampler, resident.unit, cpu.unit, busy.unit) == ("process", "bytes", "seconds", "ratio")
    assert max(resident.values) - min(resident.values) > 0.9 * len(ballast)
    assert cpu.values[-1] - cpu.values[0] == pytest.approx(used, abs=0.1)
    assert all(0 <= value <= 1 for value in busy.values)
    assert list(cpu.at_ns) == sorted(cpu.at_ns)
    # the first reading is taken before start() returns, the last one after stop() was called
    assert cpu.at_ns[0] < began < cpu.at_ns[1]
    assert cpu.at_ns[-2] < ended < cpu.at_ns[-1] < ended + 1e9
    assert len(cpu.at_ns) == len(cpu.values) >= 5


def test_windows_do_not_mix_and_nothing_is_sampled_between_them():
    with sampled() as sampling:
        sampling.start()
        time.sleep(0.1)
        first = sampling.stop()
        time.sleep(0.3)
        again = time.perf_counter_ns()
        sampling.start()
        time.sleep(0.1)
        second = by_name(sampling.stop())
    assert by_name(first)["cpu_seconds"].at_ns[-1] < again
    assert second["cpu_seconds"].at_ns[0] > again
    gaps = [b - a for a, b in zip(*(second["cpu_seconds"].at_ns[i:] for i in (0, 1)), strict=False)]
    assert max(gaps) < 0.2e9


def test_stop_without_start_is_an_empty_window():
    with sampled() as sampling:
        assert sampling.stop() == ()
        assert sampling.problems == ()


@sampler("ramp")
def ramp(watched):
    value = 0
    while True:
        print("a sampler may print")
        yield {("height", "metres"): value, ("pid", "count"): watched.pid}
        value += 1


@sampler("breaking")
def breaking(watched):
    yield {("height", "metres"): 1.0}
    yield {("height", "metres"): 2.0}
    raise OSError("the sensor is gone")


@sampler("ending")
def ending(watched):
    yield {("height", "metres"): 1.0}


@sampler("needy", requires=("no_such_module",))
def needy(watched):
    yield {}


@sampler("crashing")
def crashing(watched):
    yield {}
    os._exit(3)


@sampler("hanging")
def hanging(watched):
    yield {}
    time.sleep(3600)


def test_a_declared_sampler_runs_in_the_sampling_process():
    with sampled(declared=[ramp]) as sampling:
        sampling.start()
        time.sleep(0.1)
        series = [one for one in sampling.stop() if one.sampler == "ramp"]
    assert sampling.problems == ()
    height, pid = by_name(series)["height"], by_name(series)["pid"]
    assert height.values[:3] == (1.0, 2.0, 3.0), "the first reading opens, and is not kept"
    assert height.unit == "metres"
    assert set(pid.values) == {os.getpid()}


def test_a_declared_sampler_of_a_conftest_is_found_by_its_file(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from pytest_modelbench.declare import sampler\n"
        "@sampler('tide')\n"
        "def tide(watched):\n"
        "    try:\n"
        "        while True:\n"
        "            yield {('level', 'metres'): 0.5}\n"
        "    finally:\n"
        f"        open({str(tmp_path / 'closed')!r}, 'w').close()\n"
    )
    names = {}
    exec(compile((tmp_path / "conftest.py").read_text(), str(tmp_path / "conftest.py"), "exec"), names)
    names["tide"].function.__module__ = "conftest"  # as pytest imports it
    with sampled(declared=[names["tide"]]) as sampling:
        sampling.start()
        series = by_name(sampling.stop())
        assert sampling.problems == ()
        assert set(series["level"].values) == {0.5}
        assert not (tmp_path / "closed").exists()
    assert (tmp_path / "closed").exists(), "its finally ran"


@pytest.mark.parametrize(
    ("failing", "problem"),
    [
        (breaking, "sampler 'breaking' stopped: OSError: the sensor is gone"),
        (ending, "sampler 'ending' stopped: it ended by itself"),
        (needy, "sampler 'needy' stopped: Unavailable: sampler 'needy' needs no_such_module: pip install"),
        (Declared("sampler", "lost", lambda watched: iter(())), "declares no sampler 'lost' at its top level"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_sampler_fails_softly(failing, problem):
    with sampled(declared=[failing]) as sampling:
        for _ in range(2):  # it is tried again in each window
            sampling.start()
            time.sleep(0.1)
            series = sampling.stop()
            assert len(sampling.problems) == 1
            assert problem in sampling.problems[0]
            assert "resident_bytes" in by_name(series), "the others go on"
    assert [one.values for one in series if one.sampler == "breaking"] == ([(2.0,)] if failing is breaking else [])


def test_a_process_that_dies_is_said_started_again_and_given_up():
    with sampled(declared=[crashing]) as sampling:
        for _ in range(3):
            sampling.start()
            assert sampling.stop() == ()
            assert sampling.problems == ("not sampled: the sampling process ended with status 3",)
        sampling.start()
        assert sampling.stop() == ()
        assert sampling.problems == ("not sampled: the sampling process was lost 3 times",)


def test_a_process_that_was_killed_between_windows_costs_one_window():
    with sampled() as sampling:
        sampling.start()
        sampling.stop()
        child(sampling).kill()
        sampling.start()
        assert "not sampled" in sampling.problems[0]
        assert sampling.stop() == ()
        sampling.start()
        assert sampling.stop() != ()
        assert sampling.problems == ()


def test_a_process_that_hangs_is_ended(monkeypatch):
    with sampled(declared=[hanging]) as sampling:
        process = child(sampling)
        monkeypatch.setattr(samplers, "_PATIENCE_SECONDS", 3.0)
        sampling.start()
        assert sampling.problems == ("not sampled: the sampling process did not answer within 3 s",)
        assert not process.is_running()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an alarm")
def test_an_interrupted_question_does_not_shift_the_answers():
    with sampled(declared=[hanging]) as sampling:
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        try:
            with pytest.raises(KeyboardInterrupt):
                sampling.start()
        finally:
            signal.signal(signal.SIGALRM, before)
        assert sampling.stop() == ()


def test_a_python_that_does_not_start_is_said(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with sampled() as sampling:
        sampling.start()
        assert sampling.stop() == ()
        assert "could not start" in sampling.problems[0]


def child(sampling):
    return psutil.Process(sampling._helper._process.pid)


def test_close_ends_the_process_and_may_be_called_twice():
    with sampled() as sampling:
        process = child(sampling)
        sampling.start()
        sampling.close()
        assert not process.is_running()
        sampling.close()


PARENT = """
import os, sys, time
from pytest_modelbench.device import Device
from pytest_modelbench.samplers import Sampling
sampling = Sampling(Device("cpu", "cpu", "cpu"))
sampling.start()
if FORKS and os.fork() == 0:  # as a data loader's worker: holds the parent's pipes open
    time.sleep(20)
    os._exit(0)
print(sampling._helper._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("forks", [False, True])
def test_it_dies_with_its_parent_even_when_that_is_killed(forks):
    if forks and not hasattr(os, "fork"):
        pytest.skip("nothing forks here")
    code = f"FORKS = {forks}\n{PARENT}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as parent:
        helper = psutil.Process(int(parent.stdout.readline()))
        assert helper.is_running()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 5
        while helper.is_running() and helper.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
            time.sleep(0.05)
        gone = not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE
        if forks:
            os.killpg(parent.pid, signal.SIGKILL)
    assert gone


def test_ctrl_c_does_not_end_it():
    with sampled() as sampling:
        sampling.start()
        child(sampling).send_signal(signal.SIGINT)
        time.sleep(0.1)
        assert sampling.stop() != ()
        assert sampling.problems == ()


def test_importing_it_is_light():
    code = "import sys\nfrom pytest_modelbench.samplers import amd, apple, nvml, process, rapl\n"
    code += "assert not {'psutil', 'pynvml', 'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_without_a_driver_nvml_is_a_problem_not_an_error():
    from pytest_modelbench.samplers.nvml import count, facts, process_bytes, used_bytes

    if count():
        pytest.skip("there is a driver")
    assert used_bytes("GPU-1")[0] is process_bytes("GPU-1", 1)[0] is None
    assert "not read: NVML" in used_bytes("GPU-1")[1]
    assert set(facts("GPU-1")) == {"nvml"}
    with sampled(Device("cuda:0", "cuda", "cuda", 0, "GPU-1")) as sampling:
        sampling.start()
        series = sampling.stop()
    assert "sampler 'nvml' stopped: NVMLError" in sampling.problems[0]
    assert {one.sampler for one in series} == {"process"}


@pytest.mark.gpu
def test_a_window_of_a_gpu(tmp_path):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path) as device, sampled(device, hertz=10) as sampling:
        a = torch.randn(4096, 4096, device=device.torch_name, dtype=torch.bfloat16)
        for _ in range(2):
            sampling.start()
            end = time.perf_counter() + 2.0
            while time.perf_counter() < end:
                for _ in range(50):
                    a @ a
                device.synchronise()
            series = [one for one in sampling.stop() if one.sampler == "nvml"]
    assert sampling.problems == ()
    print({one.name: (one.unit, one.values) for one in series})
    read = by_name(series)
    assert read["memory_used_bytes"].values[-1] > a.numel() * 2
    assert len(read["memory_used_bytes"].values) >= 10
    if "MIG" in device.uuid:
        return
    assert max(read["gpu_busy_ratio"].values) > 0.5
    assert all(0 <= value <= 1 for value in read["gpu_busy_ratio"].values)
    assert 10 < max(read["power_watts"].values) < 2000
    assert 10 < max(read["temperature_celsius"].values) < 120
    assert 1e8 < max(read["sm_clock_hertz"].values) < 5e9
    energy = read["energy_joules"]
    seconds = (energy.at_ns[-1] - energy.at_ns[0]) / 1e9
    assert 10 < (energy.values[-1] - energy.values[0]) / seconds < 2000
    if "sm_activity_ratio" in read:  # GPM: the H100 and later
        for name in ("sm_activity_ratio", "sm_occupancy_ratio", "tensor_activity_ratio", "dram_activity_ratio"):
            assert all(0 <= value <= 1.01 for value in read[name].values)
            assert len(read[name].values) >= 10
        assert max(read["sm_activity_ratio"].values) > 0.5
        assert max(read["tensor_activity_ratio"].values) > 0.3
