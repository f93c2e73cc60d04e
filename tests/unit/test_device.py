"""Parsing, absence, and leases held by real processes."""

import inspect
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from pytest_modelbench.device import Device, _lock_name, lease, parse
from pytest_modelbench.errors import Refused, Unavailable, UnknownName, UsageError

HOLD = """
import sys
from pathlib import Path
from pytest_modelbench.device import lease
sys.argv = ["/usr/bin/pytest", "benches/"]
with lease(sys.argv_device, Path(sys.argv_folder)):
    print("held", flush=True)
    sys.stdin.read()
print("free", flush=True)
"""


@contextmanager
def held_elsewhere(folder, device="cpu"):
    """A second process that holds a device until its stdin ends."""
    code = f"import sys; sys.argv_device, sys.argv_folder = {device!r}, {str(folder)!r}\n{HOLD}"
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}  # it is no worker
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], env=own, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("cpu", ("cpu", None)), ("cuda", ("cuda", None)), ("cuda:0", ("cuda", 0)), ("cuda:11", ("cuda", 11)),
     ("mps", ("mps", None)), ("xpu:1", ("xpu", 1))],
)  # fmt: skip
def test_parse(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cudaa", "unknown device 'cudaa' in bench_a.py; did you mean 'cuda'?"),
        ("gpu", "unknown device 'gpu' in bench_a.py; did you mean 'cuda'?"),
        ("", "unknown device '' in bench_a.py"),
        ("CUDA", "unknown device 'CUDA'"),
        ("cpu:0", "there is one: write 'cpu'"),
        ("cuda:", "write cuda:0, cuda:1"),
        ("cuda:-1", "'-1' is no index of it"),
        ("cuda:0:1", "'0:1' is no index of it"),
        ("cuda:٣", "is no index of it"),
    ],
)
def test_parse_says_what_is_wrong(text, message):
    with pytest.raises(UsageError) as caught:
        parse(text, where="bench_a.py")
    assert message in str(caught.value)
    assert "bench_a.py" in str(caught.value)


def test_unknown_kinds_are_unknown_names():
    with pytest.raises(UnknownName):
        parse("tpu9")


def test_the_cpu_is_leased_without_torch(tmp_path):
    code = f"""
import sys
from pathlib import Path
from pytest_modelbench.device import lease
with lease("cpu", Path({str(tmp_path)!r})) as device:
    device.synchronise(); device.empty_cache()
    assert (device.name, device.asked, device.kind, device.index, device.uuid) == ("cpu", "cpu", "cpu", None, None)
    assert device.torch_name == "cpu"
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_several_devices_are_one_text():
    assert parse("cuda:0+1") == ("cuda", 0)
    for text in ("cuda:1+0", "cuda:1+1"):
        with pytest.raises(UsageError, match="write each index once, from the lowest up"):
            parse(text)
    with pytest.raises(UsageError, match="is no index of it"):
        parse("cuda:0+")


def test_several_devices_come_back_from_plain_values():
    both = Device("cuda:0+1", "cuda:0+1", "cuda", 0, "GPU-1", (Device("cuda:1", "cuda:0+1", "cuda", 1, "GPU-2"),))
    assert Device.of(asdict(both)) == both


def test_a_wait_says_for_whom_and_ends_when_the_other_is_done(tmp_path):
    said = []

    def waiting(text):
        said.append(text)
        holder.stdin.close()  # lets go

    with held_elsewhere(tmp_path) as holder:
        began = time.monotonic()
        with lease("cpu", tmp_path, waiting):
            assert 0.9 < time.monotonic() - began < 5
    assert said == [f"waiting for cpu, held by pid {holder.pid} (pytest benches/)"]


def test_the_lease_of_a_killed_process_is_free(tmp_path):
    with held_elsewhere(tmp_path) as holder:
        holder.kill()  # SIGKILL: nothing of it runs any more
        holder.wait()
        began = time.monotonic()
        with lease("cpu", tmp_path, waiting=pytest.fail):
            assert time.monotonic() - began < 1
            assert (tmp_path / "cpu.holder").read_text().startswith(f"{os.getpid()} ")
    assert not (tmp_path / "cpu.holder").exists()


def test_a_free_lease_costs_little(tmp_path):
    with lease("cpu", tmp_path):
        pass
    began = time.perf_counter()
    with lease("cpu", tmp_path):
        pass
    assert time.perf_counter() - began < 0.05


def test_two_processes_never_hold_one_device_at_once(tmp_path):
    code = f"""
import time
from pathlib import Path
from pytest_modelbench.device import lease
for _ in range(5):
    with lease("cpu", Path({str(tmp_path)!r})):
        print("+", time.perf_counter_ns())
        time.sleep(0.02)
        print("-", time.perf_counter_ns())
    time.sleep(0.15)  # a waiting process looks ten times a second
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    log = sorted((int(at), sign) for output in outputs for sign, at in (line.split() for line in output.splitlines()))
    assert [sign for _, sign in log] == ["+", "-"] * 10


def test_a_lease_ends_with_an_exception(tmp_path):
    with pytest.raises(ZeroDivisionError), lease("cpu", tmp_path):
        1 / 0
    with lease("cpu", tmp_path, waiting=pytest.fail):
        pass


def test_the_folder_is_ours_alone(tmp_path):
    open_to_all = tmp_path / "leases"
    open_to_all.mkdir(mode=0o777)
    with lease("cpu", open_to_all):
        pass
    assert open_to_all.stat().st_mode & 0o077 == 0
    (tmp_path / "link").symlink_to(open_to_all)
    with pytest.raises(Refused, match="is not yours"), lease("cpu", tmp_path / "link"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be made: File exists; set TMPDIR"), lease("cpu", tmp_path / "file"):
        pass


def test_the_shared_folder_is_under_the_temporary_one(tmp_path):
    code = "from pytest_modelbench.device import lease\nwith lease('cpu'): pass"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"pytest-modelbench-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_lock_names_are_file_names():
    assert _lock_name(Device("cuda:0", "cuda", "cuda", 0, "MIG-GPU-1f/3/0")) == "MIG-GPU-1f_3_0.lock"
    assert _lock_name(Device("cuda:0", "cuda", "cuda", 0, "GPU-1f-2")) == "GPU-1f-2.lock"


def test_an_absent_kind_is_told_with_the_remedy(tmp_path):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        with pytest.raises(Unavailable, match=r"device 'cuda' is not here: .*nvidia-smi"), lease("cuda", tmp_path):
            pass
    if not torch.backends.mps.is_available():
        with pytest.raises(Unavailable, match=r"device 'mps' is not here: .*--device cpu"), lease("mps", tmp_path):
            pass
    if not hasattr(torch, "npu"):
        with pytest.raises(Unavailable, match=r"'npu'.*install its extension"), lease("npu", tmp_path):
            pass


def test_no_torch_is_told_with_the_pip_line(tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_modelbench.declare.find_spec", lambda name: None)
    with (
        pytest.raises(Unavailable, match=r"device 'cuda' needs torch: pip install .*\[torch\]"),
        lease("cuda", tmp_path),
    ):
        pass


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_the_events_of_torch_have_the_shape_that_marks_need(kind):
    """No such device is here: what can be seen is that torch's own modules are what `Device` takes them for."""
    torch = pytest.importorskip("torch")
    module = getattr(torch, kind)
    assert "enable_timing" in str(inspect.signature(module.Event)) + str(module.Event.__doc__)
    assert callable(module.Event.record)
    assert callable(module.Event.elapsed_time)
    assert callable(module.empty_cache)
    assert callable(torch.accelerator.synchronize)


def cuda_devices():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.cuda.device_count()


@pytest.mark.gpu
def test_plain_cuda_becomes_a_concrete_device(tmp_path):
    import pynvml

    cuda_devices()
    with lease("cuda", tmp_path) as device:
        assert (device.name, device.asked, device.kind, device.index) == ("cuda:0", "cuda", "cuda", 0)
        assert device.uuid.startswith(("GPU-", "MIG-"))
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByUUID(device.uuid)) == device.uuid
        pynvml.nvmlShutdown()
        device.synchronise()
        device.empty_cache()


@pytest.mark.gpu
def test_plain_cuda_takes_a_free_one_and_waits_when_there_is_none(tmp_path):
    devices, said = cuda_devices(), []
    with held_elsewhere(tmp_path, "cuda") as holder:  # takes cuda:0
        if devices > 1:
            with lease("cuda", tmp_path, waiting=pytest.fail) as device:
                assert device.name == "cuda:1"

        def waiting(text):
            said.append(text)
            holder.stdin.close()

        with lease("cuda:0", tmp_path, waiting) as device:
            assert device.name == "cuda:0"
    assert said == [f"waiting for cuda:0, held by pid {holder.pid} (pytest benches/)"]


@pytest.mark.gpu
def test_an_index_that_is_not_here_names_those_that_are(tmp_path):
    cuda_devices()
    with pytest.raises(Unavailable, match="torch sees cuda:0"), lease("cuda:99", tmp_path):
        pass


@pytest.mark.gpu
def test_a_hidden_device_is_told_so(tmp_path):
    cuda_devices()
    code = f"""
from pathlib import Path
from pytest_modelbench.device import lease
try:
    with lease("cuda", Path({str(tmp_path)!r})): pass
except Exception as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hidden by CUDA_VISIBLE_DEVICES=''" in done.stdout


@pytest.mark.gpu
def test_spawned_processes_can_use_the_device_while_it_is_leased(tmp_path):
    cuda_devices()
    with lease("cuda", tmp_path) as device:
        code = f"import torch; print(torch.ones(3, device={device.torch_name!r}).sum().item())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "3.0\n"
