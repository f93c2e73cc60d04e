"""Environment: on what a Record was made, as a plain nested dict; and the fingerprint two Records must share.

    git        commit, branch, dirty
    host       CPU, cores, affinity, governor, RAM, operating system, container
    gpu        the leased device, or None on the CPU: name, uuid, memory, driver, limits, clocks, temperature, MIG, ECC
    versions   Python and the installed packages that matter
    threads    what torch uses (once it is loaded), and the variables that set threads
    torch_flags  TF32, determinism, cuDNN, allocator (once torch is loaded)
    variables  the environment variables of a fixed list
    fingerprint

What is absent is None or left out. No other environment variable is read, and no remote's address, user name or home
folder is stored: a token or password never reaches a Record.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .device import Device

#: Packages whose version can change a number or an output.
PACKAGES = (
    "pytest-modelbench", "pytest", "pytest-xdist", "pytest-benchmark", "numpy",
    "torch", "transformers", "accelerate", "safetensors", "tokenizers", "gguf", "datasets", "evaluate",
    "triton", "kernels", "flash-attn", "xformers", "liger-kernel", "bitsandbytes", "torchao",
    "onnx", "onnxruntime", "onnxruntime-gpu", "onnxruntime-genai", "onnxscript", "openvino", "tensorrt",
    "tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "jax",
    "ctranslate2", "vllm", "sentence-transformers", "scikit-learn", "sacrebleu",
    "nvidia-ml-py", "nvidia-cublas-cu12", "nvidia-cudnn-cu12", "nvidia-cublas", "nvidia-cudnn-cu13", "mkl",
)  # fmt: skip

#: Variables that set how many threads compute, and how they wait.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "OMP_DYNAMIC", "MKL_NUM_THREADS",
    "MKL_DYNAMIC", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "KMP_AFFINITY",
    "KMP_BLOCKTIME", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT", "TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS",
)  # fmt: skip

#: Further variables that change what runs or how fast; none of them holds a path, an address or a secret.
VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING",
    "CUDA_DEVICE_MAX_CONNECTIONS", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING", "PYTORCH_ENABLE_MPS_FALLBACK",
    "PYTORCH_TUNABLEOP_ENABLED", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE",
    "TORCHINDUCTOR_MAX_AUTOTUNE", "TORCHINDUCTOR_FREEZING", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS", "DNNL_DEFAULT_FPMATH_MODE", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "PYTHONHASHSEED",
    "PYTHONOPTIMIZE", "PYTHON_GIL", "PYTHON_JIT", "KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTRAOP_THREADS", "TF_XLA_FLAGS", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "CI",
)  # fmt: skip

#: Where CI services name the branch of a detached HEAD: a pull request's first, then what was pushed.
BRANCH_VARIABLES = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")

# Chosen here: git answers in milliseconds; in a huge repository on a slow disk it is not waited for longer.
_GIT_SECONDS = 10


def environment(device: Device | None, root: Path) -> dict[str, Any]:
    """What can be known of where a bench runs; `root` is in the repository; no device means the CPU.

    What cannot change is read once a process; threads and flags anew, since benches and libraries may set them.
    """
    seen: dict[str, Any] = {
        "git": _git(root),
        "host": _host(),
        "gpu": _gpu(device.kind, device.index, device.uuid) if device else None,
        "versions": _versions() | _torch_build(),
        "threads": _threads(),
        "torch_flags": _torch_flags(),
        "variables": _picked(VARIABLES),
    }
    seen["fingerprint"] = fingerprint(seen)
    return seen


def comparable(seen: dict[str, Any]) -> dict[str, Any]:
    """The part of an environment that two Records must share to be compared: the machine.

    In are the CPU's name, the cores it may use, RAM (in GiB), system and architecture, Python's minor version, and of
    the leased device its name, memory (in GiB) and power limit: no commit changes these, so a difference in time
    beside a difference here tells nothing of a commit. Out is what a change may be about, or what a library or the
    scheduler sets while running: the commit, versions of packages, drivers and kernels, threads, flags, variables,
    clocks, governor, temperature. Those stand in the Record beside it, for whoever explains a verdict.
    """
    host, gpu = seen["host"], seen["gpu"] or {}
    return {
        "cpu": host["cpu_name"],
        "cores": host["cores_usable"],
        "ram_gib": _gib(host["ram_bytes"]),
        "system": host["system"],
        "machine": host["machine"],
        "python": ".".join(seen["versions"]["python"].split(".")[:2]),
        "gpu": gpu.get("name"),
        "gpu_memory_gib": _gib(gpu.get("memory_bytes")),
        "gpu_power_limit_watts": round(gpu["power_limit_watts"]) if gpu.get("power_limit_watts") else None,
    }


def fingerprint(seen: dict[str, Any]) -> str:
    """A short digest of `comparable`: equal for two Records of one machine, or of two alike."""
    return sha256(json.dumps(comparable(seen), sort_keys=True).encode()).hexdigest()[:16]


def _gib(bytes_: int | None) -> int | None:
    # rounded: the kernel's own share differs by some MiB between boots
    return round(bytes_ / 2**30) if bytes_ is not None else None


def _picked(names: Iterable[str]) -> dict[str, str]:
    there = set(os.environ)  # asked name by name, each is encoded anew: 40 us a bench
    return {name: os.environ[name] for name in names if name in there}


# -- the commit


@cache
def _git(root: Path) -> dict[str, Any]:
    """Commit, branch and whether the work tree differs from the commit; with `reason` where git cannot tell.

    Untracked files count, since a new conftest changes a run, except in a `reports` folder, where ours go.
    """
    unknown = {"commit": None, "branch": None, "dirty": None}
    # a hook's variables would lead git to another repository; and looking must not take the index's lock
    variables = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "-z"],
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
            env=variables | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return unknown | {"reason": "git is not installed"}
    except subprocess.TimeoutExpired:
        return unknown | {"reason": f"git took more than {_GIT_SECONDS} s"}
    if answer.returncode:
        lines = answer.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        return unknown | {"reason": f"git: {lines[0].replace(str(root), '.')}"}
    return _status(answer.stdout.decode(errors="replace").split("\0"))


def _status(entries: list[str]) -> dict[str, Any]:
    """The facts in `git status --porcelain=v2 --branch -z` (see git-status(1) for its lines)."""
    head = dict(entry[2:].split(" ", 1) for entry in entries if entry.startswith("# "))
    commit, branch = head.get("branch.oid"), head.get("branch.head")
    if branch == "(detached)":
        branch = next((os.environ[name] for name in BRANCH_VARIABLES if os.environ.get(name)), None)
    changes = [entry for entry in entries if entry and not entry.startswith("# ")]
    ours = re.compile(r"\? (.*/)?reports/")
    return {
        "commit": commit if commit != "(initial)" else None,
        "branch": branch,
        "dirty": any(not ours.match(entry) for entry in changes),
    }


# -- the machine


@cache
def _host() -> dict[str, Any]:
    import psutil

    usable = _affinity()
    quota = _quota_cores()
    logical = os.cpu_count()
    cores = len(usable) if usable else logical
    return {
        "cpu_name": _cpu_name(),
        # a container's share of 1.5 cores keeps two busy, now and then
        "cores_usable": min(cores, -int(-quota // 1)) if cores and quota else cores,
        "cores_logical": logical,
        "cores_physical": psutil.cpu_count(logical=False),
        "core_quota": quota,
        "affinity": _ranges(usable) if usable else None,
        "governor": _governor(usable),
        "ram_bytes": int(psutil.virtual_memory().total),
        "system": platform.system(),
        "os": _os_name(),
        "kernel": platform.release(),
        "container": _container(),
        "machine": platform.machine(),
    }


def _affinity() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _ranges(numbers: list[int]) -> str:
    """Numbers as the kernel writes cpu lists: `0-3,8`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _quota_cores() -> float | None:
    """Cores that the control group of a container grants (cpu.max of version 2, cfs_quota of version 1)."""
    two = (_text("/sys/fs/cgroup/cpu.max") or "").split()
    one = [_text(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
    quota, period = two if len(two) == 2 else one
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _cpu_name() -> str | None:
    if sys.platform == "darwin":
        return _said(["sysctl", "-n", "machdep.cpu.brand_string"])
    facts = dict(re.findall(r"^(.+?)\s*: (.*)$", _text("/proc/cpuinfo") or "", re.MULTILINE))
    if name := facts.get("model name") or facts.get("Model"):
        return str(name).strip()
    if "CPU part" in facts:  # Arm names no model
        return f"Arm implementer {facts.get('CPU implementer')} part {facts['CPU part']}"
    return platform.processor() or None


def _said(command: list[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _governor(cpus: list[int]) -> str | None:
    """How the kernel chooses clocks: one name, or several where cores differ; None where it does not say."""
    names = {_text(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus} - {None}
    return ",".join(sorted(filter(None, names))) or None


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:  # no Linux, or a bare one
        return " ".join(filter(None, (platform.system(), platform.mac_ver()[0] or platform.version())))


def _container() -> str | None:
    """What kind of container this is; None where no sign of one is seen."""
    groups = (_text("/proc/1/cgroup") or "") + (_text("/proc/self/cgroup") or "")
    if "KUBERNETES_SERVICE_HOST" in os.environ or "kubepods" in groups:
        return "kubernetes"
    if Path("/run/.containerenv").exists():
        return "podman"
    if Path("/.dockerenv").exists() or "docker" in groups:
        return "docker"
    if "/lxc" in groups:
        return "lxc"
    return "wsl" if "microsoft" in platform.release().lower() else None


# -- the device


@cache
def _gpu(kind: str, index: int | None, uuid: str | None) -> dict[str, Any] | None:
    """The leased device; clocks and temperature are those of the moment it was first asked about."""
    torch = _torch()
    if kind == "cpu" or torch is None:
        return None
    module = getattr(torch, kind)
    facts: dict[str, Any] = {"name": None, "uuid": uuid, "memory_bytes": None}
    if hasattr(module, "get_device_properties"):
        properties = module.get_device_properties(index or 0)
        facts |= {"name": properties.name, "memory_bytes": properties.total_memory}
    if kind == "mps":
        facts["name"] = _cpu_name()  # one chip
    if kind == "cuda":
        facts |= {
            "compute_capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "hip": torch.version.hip,
            "cudnn": torch.backends.cudnn.version(),
        }
    if kind == "cuda" and uuid is not None:
        from .samplers.nvml import facts as of_driver

        facts |= of_driver(uuid)
    return facts


# -- the software


@cache
def _versions() -> dict[str, str]:
    """Python and the packages of the list that are installed; nothing is imported for it."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "python_implementation": platform.python_implementation()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _torch_build() -> dict[str, str]:
    """torch's own version, with its build, which a package's metadata may leave out: 2.13.0+cu130."""
    torch = _torch()
    return {"torch": str(torch.__version__)} if torch else {}


def _torch() -> Any:
    """torch, if something has loaded it: its numbers mean nothing before."""
    return sys.modules.get("torch")


def _threads() -> dict[str, Any]:
    torch = _torch()
    return {
        "torch_threads": torch.get_num_threads() if torch else None,
        "torch_interop_threads": torch.get_num_interop_threads() if torch else None,
        **_picked(THREAD_VARIABLES),
    }


def _torch_flags() -> dict[str, Any]:
    """The switches of torch that change numbers or outputs; nothing before torch is loaded."""
    torch = _torch()
    if torch is None:
        return {}
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    return {
        # fp32_precision, not allow_tf32: that raises once somebody used the newer names
        "matmul_fp32_precision": getattr(cuda.matmul, "fp32_precision", None),
        "cudnn_fp32_precision": getattr(cudnn, "fp32_precision", None),
        "bf16_reduced_precision_reduction": str(cuda.matmul.allow_bf16_reduced_precision_reduction),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": cudnn.deterministic,
        "cudnn_benchmark": cudnn.benchmark,
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "sdpa_flash": cuda.flash_sdp_enabled(),
        "sdpa_memory_efficient": cuda.mem_efficient_sdp_enabled(),
        "sdpa_math": cuda.math_sdp_enabled(),
        "sdpa_cudnn": cuda.cudnn_sdp_enabled(),
        # no answer without CUDA, and not before it is in use
        "allocator": torch.cuda.get_allocator_backend() if torch.cuda.is_initialized() else None,
    }
