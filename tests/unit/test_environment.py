"""What a Record says of where it was made: real repositories, and no secret."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from pytest_modelbench import environment as module
from pytest_modelbench.device import Device, lease
from pytest_modelbench.environment import comparable, environment, fingerprint

CPU = Device("cpu", "cpu", "cpu")


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=trunk"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def looked(root):
    module._git.cache_clear()
    return environment(CPU, root)["git"]


def test_a_clean_commit(repository):
    assert looked(repository) == {"commit": git(repository, "rev-parse", "HEAD"), "branch": "trunk", "dirty": False}


def test_what_makes_it_dirty(repository):
    (repository / "reports" / "data").mkdir(parents=True)
    (repository / "reports" / "data" / "x.parquet").touch()
    assert looked(repository)["dirty"] is False, "what is reported changes no run"
    (repository / "conftest.py").touch()
    assert looked(repository)["dirty"] is True, "an untracked file can change a run"
    (repository / "conftest.py").unlink()
    (repository / "a.py").write_text("a = 2\n")
    assert looked(repository)["dirty"] is True


def test_a_tracked_report_that_changed_is_a_change(repository):
    (repository / "reports").mkdir()
    baseline = repository / "reports" / "baseline.json"
    baseline.write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "baseline")
    baseline.write_text("2")
    assert looked(repository)["dirty"] is True


def test_a_detached_head_takes_its_branch_from_ci(repository, monkeypatch):
    for name in module.BRANCH_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    git(repository, "checkout", "-q", "--detach")
    assert looked(repository)["branch"] is None
    monkeypatch.setenv("GITHUB_REF_NAME", "12/merge")
    monkeypatch.setenv("GITHUB_HEAD_REF", "faster-prefill")
    assert looked(repository)["branch"] == "faster-prefill"


def test_no_commit_yet(tmp_path):
    git(tmp_path, "init", "-q")
    assert looked(tmp_path) == {"commit": None, "branch": "trunk", "dirty": False}


def test_no_repository_and_no_git_say_why(tmp_path, monkeypatch):
    seen = looked(tmp_path)
    assert seen["commit"] is seen["dirty"] is None
    assert "not a git repository" in seen["reason"]
    assert str(tmp_path) not in seen["reason"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert looked(tmp_path)["reason"] == "git is not installed"


def test_a_hook_s_variables_do_not_lead_elsewhere(repository, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    assert looked(repository)["branch"] == "trunk"


def test_no_secret_reaches_it(repository, monkeypatch):
    secret = "hunter2-b7f3"
    for name in (
        "TOKEN",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "MY_PASSWORD",
        "KUBERNETES_SERVICE_HOST",
    ):
        monkeypatch.setenv(name, secret)
    git(repository, "remote", "add", "origin", f"https://me:{secret}@example.org/x.git")
    git(repository, "config", "branch.trunk.remote", "origin")
    git(repository, "config", "branch.trunk.merge", "refs/heads/trunk")
    module._host.cache_clear()
    module._git.cache_clear()
    text = json.dumps(environment(CPU, repository))
    module._host.cache_clear()
    assert secret not in text
    assert os.path.expanduser("~") + "/" not in text


def test_only_listed_variables_are_kept(repository, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    seen = environment(CPU, repository)
    assert seen["threads"]["OMP_NUM_THREADS"] == "3"
    assert seen["variables"]["CUDA_VISIBLE_DEVICES"] == "1"
    assert set(seen["variables"]) <= set(module.VARIABLES)


def test_no_listed_name_looks_like_a_secret():
    names = (*module.VARIABLES, *module.THREAD_VARIABLES, *module.BRANCH_VARIABLES)
    assert not [name for name in names if re.search("TOKEN(?!IZERS)|KEY|SECRET|PASS|AUTH|URL|PROXY|COOKIE", name)]


def test_what_it_holds(repository):
    seen = environment(CPU, repository)
    assert seen == json.loads(json.dumps(seen))
    assert {"git", "host", "gpu", "versions", "threads", "torch_flags", "variables", "fingerprint"} == set(seen)
    host = seen["host"]
    assert host["cpu_name"]
    assert 1 <= host["cores_usable"] <= host["cores_logical"]
    assert host["ram_bytes"] > 2**28
    assert seen["gpu"] is None
    assert seen["versions"]["python"] == sys.version.split()[0]
    assert environment(None, repository)["gpu"] is None


def test_it_is_fast_and_loads_no_torch(repository):
    code = f"""
import sys, time
from pathlib import Path
from pytest_modelbench.device import Device
from pytest_modelbench import environment as module
root, cpu = Path({str(repository)!r}), Device("cpu", "cpu", "cpu")
module._git(root)
began = time.perf_counter()
module.environment(cpu, root)
first = time.perf_counter() - began
began = time.perf_counter()
seen = module.environment(cpu, root)
again = time.perf_counter() - began
assert "torch" not in sys.modules and seen["torch_flags"] == {{}} and seen["threads"]["torch_threads"] is None
print(first, again)
"""
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True).stdout
    first, again = map(float, out.split())
    assert first < 0.5, "under 0.1 s on an idle host"
    assert again < 0.02


def test_torch_s_threads_and_flags_are_read_anew(repository):
    torch = pytest.importorskip("torch")
    before = torch.are_deterministic_algorithms_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        assert environment(CPU, repository)["torch_flags"]["deterministic"] is True
        torch.use_deterministic_algorithms(False)
        seen = environment(CPU, repository)
    finally:
        torch.use_deterministic_algorithms(before)
    assert seen["torch_flags"]["deterministic"] is False
    assert seen["threads"]["torch_threads"] == torch.get_num_threads()
    assert seen["versions"]["torch"] == str(torch.__version__)
    json.dumps(seen)


def changed(seen, **parts):
    return {
        name: {**value, **parts.get(name, {})} if isinstance(value, dict) else value for name, value in seen.items()
    }


def test_the_fingerprint_is_the_machine_s(repository):
    seen = environment(CPU, repository)
    assert seen["fingerprint"] == fingerprint(seen)
    same = changed(
        seen,
        git={"commit": "0" * 40, "dirty": True},
        versions={"torch": "9.9", "python": ".".join(seen["versions"]["python"].split(".")[:2]) + ".99"},
        host={"ram_bytes": round(seen["host"]["ram_bytes"] / 2**30) * 2**30 + 1000, "governor": "powersave"},
        threads={"OMP_NUM_THREADS": "7"},
    )
    assert fingerprint(same) == seen["fingerprint"]
    for other in (
        {"host": {"cpu_name": "another"}},
        {"host": {"cores_usable": 777}},
        {"host": {"ram_bytes": 2**45}},
        {"versions": {"python": "3.99.1"}},
    ):
        assert fingerprint(changed(seen, **other)) != seen["fingerprint"]
    gpu = {"name": "H100", "memory_bytes": 80 * 2**30, "power_limit_watts": 700.0, "driver": "580"}
    with_gpu = {**seen, "gpu": gpu}
    assert fingerprint(with_gpu) != seen["fingerprint"]
    assert fingerprint({**seen, "gpu": {**gpu, "driver": "590"}}) == fingerprint(with_gpu)
    assert comparable(with_gpu)["gpu_power_limit_watts"] == 700


@pytest.mark.parametrize(("numbers", "text"), [([0, 1, 2, 3, 8], "0-3,8"), ([5], "5"), ([0, 2, 4, 5], "0,2,4-5")])
def test_affinity_is_written_as_the_kernel_does(numbers, text):
    assert module._ranges(numbers) == text


def test_a_container_s_quota_bounds_the_cores(monkeypatch):
    monkeypatch.setattr(module, "_affinity", lambda: list(range(64)))
    for quota, cores in ((1.5, 2), (4.0, 4), (0.5, 1), (None, 64)):
        monkeypatch.setattr(module, "_quota_cores", lambda quota=quota: quota)
        module._host.cache_clear()
        assert module._host()["cores_usable"] == cores
    module._host.cache_clear()


@pytest.mark.gpu
def test_a_cuda_device(repository, tmp_path_factory):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with lease("cuda", tmp_path_factory.mktemp("leases")) as device:
        began = time.perf_counter()
        seen = environment(device, repository)
        assert time.perf_counter() - began < 1
    gpu = seen["gpu"]
    assert gpu == json.loads(json.dumps(gpu))
    assert gpu["name"] == torch.cuda.get_device_name(device.index)
    assert gpu["uuid"] == device.uuid
    assert gpu["memory_bytes"] > 2**30
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", gpu["driver"])
    assert gpu["cuda"] == torch.version.cuda
    assert gpu["cudnn"] is None or gpu["cudnn"] > 8000
    assert gpu["compute_capability"] == ".".join(map(str, torch.cuda.get_device_capability(device.index)))
    assert gpu["power_limit_watts"] is None or 10 < gpu["power_limit_watts"] < 5000
    assert gpu["temperature_celsius"] is None or 0 < gpu["temperature_celsius"] < 120
    assert gpu["clocks"]["sm_max_hertz"] is None or 1e8 < gpu["clocks"]["sm_max_hertz"] < 1e10
    assert seen["fingerprint"] != environment(CPU, repository)["fingerprint"]
