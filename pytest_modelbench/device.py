"""Device: where a bench runs. Parse "cuda:1", see that it is here, lease it, synchronise it.

A lease is a file lock per device (by its uuid) and per host for the CPU, so that two processes never time on one
device at once, whichever sessions they belong to. The operating system frees the lock of a process that dies. The lock
files lie in a folder of the user, under the temporary folder, that all of their processes on this host share.
"""

from __future__ import annotations

import os
import platform
import re
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .declare import check_requirements
from .errors import Refused, Unavailable, UnknownName, UsageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: What may stand before the colon: cpu, and the accelerators torch knows by these names (ROCm's is "cuda").
KINDS = ("cpu", "cuda", "hpu", "mps", "mtia", "npu", "xpu")
#: Kinds of which a host has one.
_SINGLE = ("cpu", "mps")
#: What people say for them; difflib alone would answer "gpu" with "cpu".
_MEANT = {"gpu": "cuda", "nvidia": "cuda", "amd": "cuda", "hip": "cuda", "rocm": "cuda", "metal": "mps", "intel": "xpu"}

# Chosen here: a free device is taken before anyone notices, and ten looks a second cost nothing.
_LOOK_EVERY_SECONDS = 0.1
# Chosen here: short enough that a silent terminal is explained, rare enough for a log.
_FIRST_WORD_SECONDS, _WORD_EVERY_SECONDS = 1.0, 10.0


#: What Linux tells of the processor.
CPUINFO = Path("/proc/cpuinfo")

# Chosen here: 0.2 ms at the 2 GHz of a busy H100, where a launch takes the host 18 us and a round's events 14 us.
_HELD_CYCLES = 400_000


@dataclass(frozen=True)
class Device:
    """Where a bench runs: a concrete device, ours alone while leased."""

    #: Which one: `cpu`, `cuda:1`, `mps`.
    name: str
    #: What was asked for: `cuda` may have become `cuda:1`.
    asked: str
    #: The part before the colon.
    kind: str
    #: torch's index, which honours CUDA_VISIBLE_DEVICES; None for kinds of which there is one.
    index: int | None = None
    #: As the driver writes it: `GPU-...`, `MIG-...`; None where it has none.
    uuid: str | None = None
    #: Further devices that are ours with it, for models that are spread: `cuda:0+1` is cuda:0 with cuda:1.
    peers: tuple[Device, ...] = ()

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Device:
        """The inverse of `dataclasses.asdict`."""
        return cls(**plain | {"peers": tuple(cls.of(peer) for peer in plain["peers"])})

    @property
    def torch_name(self) -> str:
        """What `torch.device()` takes; of several devices the first."""
        return f"{self.kind}:{self.index}" if self.peers else self.name

    @property
    def indexes(self) -> tuple[int, ...]:
        """torch's indexes of all of it; empty for kinds of which there is one."""
        return () if self.index is None else (self.index, *(index for peer in self.peers for index in peer.indexes))

    @property
    def uuids(self) -> tuple[str | None, ...]:
        """The uuids of all of it, None for a device that has none."""
        return (self.uuid, *(peer.uuid for peer in self.peers))

    def synchronise(self) -> None:
        """Wait until the device has done everything it was given; nothing on the CPU, and no torch."""
        if self.kind == "cpu":
            return
        import torch

        for index in self.indexes or (None,):
            if self.kind == "cuda":
                torch.cuda.synchronize(index)
            else:
                torch.accelerator.synchronize(index)

    def mark(self) -> Any:
        """A moment in the device's own queue, to be read with `between_seconds` after a synchronise; None on the CPU.

        Recorded on the current stream, so work on another stream is seen only where that one waits for it.
        """
        if self.kind == "cpu" or self.peers:  # one device's clock does not see the work of another
            return None
        import torch

        module = getattr(torch, self.kind)
        if not hasattr(module, "Event"):
            return None
        event = module.Event(enable_timing=True)
        event.record()
        return event

    def hold(self) -> bool:
        """Keep the queue busy for a moment, so that what follows in it need not wait for the host to send it.

        False where that cannot be done. The moment ends by itself: a call that waits for the device is only delayed.
        """
        if self.kind != "cuda":
            return False
        import torch

        torch.cuda._sleep(_HELD_CYCLES)
        return True

    @staticmethod
    def between_seconds(before: Any, after: Any) -> float | None:
        """Seconds from one mark to a later one by the device's clock; None where it has no marks."""
        return before.elapsed_time(after) * 1e-3 if before is not None else None

    def empty_cache(self) -> None:
        """Give the memory that torch's allocator keeps for later back to the device."""
        if self.kind == "cpu":
            return
        import torch

        getattr(torch, self.kind).empty_cache()


def chip(device: Device) -> list[str]:
    """What compiled code is for, and rounding depends on: a GPU's name and generation, or a CPU's instructions.

    Where the system does not list those (it is not Linux), the processor as Python names it.
    """
    if device.kind == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(device.index)
        return [properties.name, f"{properties.major}.{properties.minor}"]
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.exists() else ""
    told = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return [platform.machine(), *(sorted(told[1].split()) if told else [platform.processor()])]


def parse(text: str, where: str = "") -> tuple[str, int | None]:
    """The kind and index that a text names, absent or not.

    Of several devices the index of the first.

    >>> parse("cuda:1"), parse("cpu"), parse("cuda:0+1")
    (('cuda', 1), ('cpu', None), ('cuda', 0))

    Raises UsageError for anything else, naming the near one.
    """
    kind, separator, index = text.partition(":")
    known = [*KINDS, "cuda:N", "cuda:N+M"]
    if kind not in KINDS:
        if meant := _MEANT.get(kind.lower()):
            place = f" in {where}" if where else ""
            raise UsageError(f"unknown device {text!r}{place}; did you mean {meant!r}? (known: {', '.join(known)})")
        raise UnknownName("device", text, known, where)
    if not separator:
        return kind, None
    if kind in _SINGLE or not re.fullmatch(r"[0-9]+(\+[0-9]+)*", index):
        remedy = f"there is one: write {kind!r}" if kind in _SINGLE else f"write {kind}:0, {kind}:1, ..."
        raise UsageError(f"device {text!r}{f' in {where}' if where else ''}: {index!r} is no index of it; {remedy}")
    first, *others = map(int, index.split("+"))
    if others != sorted({*others} - {first}) or (others and others[0] < first):
        raise UsageError(f"device {text!r}{f' in {where}' if where else ''}: write each index once, from the lowest up")
    return kind, first


@contextmanager
def lease(
    text: str, folder: Path | None = None, waiting: Callable[[str], None] = lambda text: None
) -> Iterator[Device]:
    """Hold a device alone: `cuda` takes any free one, `cuda:1` exactly that, `cpu` the host.

    While others hold it `waiting` is told for whom, after a second and then each ten. Within the block the device is
    torch's current one. Raises Unavailable, with the remedy, where it is not here.
    """
    candidates = _present(text)
    folder = private_folder(folder or shared_folder())
    device, lock = _first_free(candidates, folder, waiting)
    with ExitStack() as held:
        held.enter_context(_held(lock))
        for peer in device.peers:  # from the lowest index up, so that two who want the same cannot wait for each other
            held.enter_context(_held(_first_free([peer], folder, waiting)[1]))
        held.enter_context(_current(device))
        yield device


@contextmanager
def _held(lock: BaseFileLock) -> Iterator[None]:
    """Say in a file beside a lock that it is ours, and let go of it afterwards."""
    holder = _holder_file(lock)
    try:
        holder.write_text(f"{os.getpid()} {_command()}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def lent(device: Device) -> Iterator[Device]:
    """Use a device that another process of ours holds for us."""
    with _current(device):
        yield device


# -- is it here


def _present(text: str) -> list[Device]:
    """The devices of this host that a text may stand for, at least one."""
    kind, index = parse(text)
    if kind == "cpu":
        return [Device("cpu", text, "cpu")]
    check_requirements(f"device {text!r}", ("torch",))
    uuids, problem = _visible(kind)
    if not uuids:
        raise Unavailable(f"device {text!r} is not here: {problem}")
    if kind in _SINGLE:
        return [Device(kind, text, kind, None, uuids[0])]
    found = [Device(f"{kind}:{i}", text, kind, i, uuid) for i, uuid in enumerate(uuids)]
    if index is None:
        return found
    wanted = [int(one) for one in text.partition(":")[2].split("+")]
    if max(wanted) >= len(found):
        names = ", ".join(device.name for device in found)
        raise Unavailable(f"device {text!r} is not here: torch sees {names}; run with --device {kind}")
    device, *peers = (found[one] for one in wanted)
    return [replace(device, name=text, peers=tuple(peers)) if peers else device]


def _visible(kind: str) -> tuple[list[str | None], str]:
    """The uuid of each device of a kind, in torch's order; with none, why not."""
    import torch

    module = getattr(torch, kind, None)
    if module is None:
        return (
            [],
            f"torch {torch.__version__} has no {kind!r}; install its extension of torch, or run with --device cpu",
        )
    with warnings.catch_warnings(record=True) as said:  # a driver too old is told as a warning
        warnings.simplefilter("always")
        count = module.device_count()
    if not count:
        told = str(said[0].message).strip().splitlines()[0] if said else ""
        return [], _why_absent(kind, torch, told)
    return [_uuid(module, index) for index in range(count)], ""


def _uuid(module: Any, index: int) -> str | None:
    """A device's uuid as the driver writes it; torch gives it without its prefix."""
    if not hasattr(module, "get_device_properties"):
        return None
    properties = module.get_device_properties(index)
    bare = getattr(properties, "uuid", None)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if index < len(visible) and visible[index].strip().startswith("MIG-"):
        return visible[index].strip()
    if bare is None:
        return None
    return f"{'MIG' if ' MIG ' in properties.name else 'GPU'}-{bare}"


def _why_absent(kind: str, torch: Any, told: str) -> str:
    """Why torch shows no device of a kind, and what to do."""
    remedy = "run with --device cpu"
    if kind != "cuda":
        return f"torch {torch.__version__} shows none; {remedy}"
    from .samplers.nvml import count

    seen = count()
    if torch.version.cuda is None and torch.version.hip is None:
        if not seen:
            return f"no CUDA device: nvidia-smi shows none, and torch {torch.__version__} has no CUDA; {remedy}"
        install = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
        return f"torch {torch.__version__} is built without CUDA, though nvidia-smi shows {seen}: {install}"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen and hidden is not None:
        return f"nvidia-smi shows {seen}, hidden by CUDA_VISIBLE_DEVICES={hidden!r}; unset it, or {remedy}"
    if seen:
        return f"nvidia-smi shows {seen}, torch none ({told or 'no reason given'}); update the driver, or {remedy}"
    return f"no CUDA device: nvidia-smi shows none; {remedy}"


# -- is it free


def _first_free(
    candidates: Sequence[Device], folder: Path, waiting: Callable[[str], None]
) -> tuple[Device, BaseFileLock]:
    """Lock the first candidate that is free, waiting until one is."""
    from filelock import FileLock, Timeout

    locks = [(device, FileLock(folder / _lock_name(device), thread_local=False)) for device in candidates]
    word_at = time.monotonic() + _FIRST_WORD_SECONDS
    while True:
        for device, lock in locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return device, lock
        if time.monotonic() >= word_at:
            word_at = time.monotonic() + _WORD_EVERY_SECONDS
            waiting("waiting for " + "; ".join(f"{device.name}, held by {_held_by(lock)}" for device, lock in locks))
        time.sleep(_LOOK_EVERY_SECONDS)


def _lock_name(device: Device) -> str:
    name = device.uuid or device.name
    return re.sub(r"[^\w.-]", "_", name) + ".lock"


def _holder_file(lock: BaseFileLock) -> Path:
    # beside the lock, not in it: on Windows nobody can read a locked file
    return Path(lock.lock_file).with_suffix(".holder")


def _held_by(lock: BaseFileLock) -> str:
    """For whom one waits, as that process wrote it."""
    try:
        pid, _, command = _holder_file(lock).read_text(encoding="utf-8").partition(" ")
    except OSError:  # it took the lock this instant, or just let go
        pid, command = "", ""
    bench = pid and work_of(pid, Path(lock.lock_file).parent)[1]
    return f"pid {pid} ({command}{f', {bench}' if bench else ''})" if pid else "another process"


def work_of(pid: str, folder: Path) -> tuple[str, str]:
    """The kind of work and the bench that a process is at, as it wrote them (`quiet.py`); empty when at none."""
    try:
        text = (folder / f"at-{pid}.work").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it ended this instant
        text = ""
    work, _, bench = text.partition(" ")
    return work, bench


def _command() -> str:
    """This process as its user knows it: `pytest benches/`."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        return f"pytest worker {worker}"
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return " ".join([name, *sys.argv[1:]])[:100]


def shared_folder() -> Path:
    """Where all processes of this user on this host keep their locks."""
    # without user ids the temporary folder is the user's own
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"pytest-modelbench-{user}"


def private_folder(folder: Path) -> Path:
    """The folder, there and ours alone. Raises Refused where another user made it: they could hold or fake leases."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder} cannot be made: {error.strerror}; set TMPDIR to a place of your own") from error
    seen = folder.lstat()
    if stat.S_ISLNK(seen.st_mode) or (hasattr(os, "getuid") and seen.st_uid != os.getuid()):
        raise Refused(f"{folder} is not yours; remove it, or set TMPDIR to a place of your own")
    if seen.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


@contextmanager
def _current(device: Device) -> Iterator[None]:
    """Make a device torch's current one: Triton launches there, and plain "cuda" in a bench means it."""
    if device.index is None:
        yield
        return
    import torch

    before = torch.accelerator.current_device_index()
    torch.accelerator.set_device_index(device.index)
    try:
        yield
    finally:
        torch.accelerator.set_device_index(before)
