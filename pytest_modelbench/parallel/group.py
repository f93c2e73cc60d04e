"""Group: the processes that compute one model together, as torch.distributed knows them.

They meet at a file, so that no port of the host is opened for it and no other session can meet them by chance.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

from ..errors import Unsupported

#: What carries a collective from rank to rank, by the kind of their devices.
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
# Chosen here: between calls no rank is in a collective, so one that lives is met within a step's time; its first one
# may have to compile or to find its kernels on a slow disk.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Seat:
    """The place of a rank in its group."""

    rank: int
    of: int
    #: torch's name of its device: `cpu`, `cuda:1`.
    device: str
    backend: str
    #: The file at which the ranks of the group meet.
    meeting: str

    def __str__(self) -> str:
        return f"rank {self.rank} on {self.device}"


def check_free() -> None:
    """Raise Unsupported where ranks cannot meet: torch lacks what they meet by, or this process is in a group."""
    from torch import distributed

    if not distributed.is_available():
        raise Unsupported("variant 'tensor-parallel' needs torch.distributed, which this torch was built without")
    if distributed.is_initialized():
        raise Unsupported(
            "variant 'tensor-parallel' starts the ranks itself, and torch.distributed is in a group already: "
            "run pytest without torchrun, or close the model before"
        )


def join(seat: Seat) -> None:
    """Take a seat, and wait until all are taken."""
    import torch
    from torch import distributed

    hook = sys.excepthook  # torch puts its own there, which writes the rank before each line
    store = distributed.FileStore(seat.meeting, seat.of)
    device = None if seat.device == "cpu" else torch.device(seat.device)
    with _as_we_meet():
        distributed.init_process_group(
            seat.backend,
            store=store,
            rank=seat.rank,
            world_size=seat.of,
            timeout=timedelta(seconds=PATIENCE_SECONDS),
            device_id=device,
        )
    sys.excepthook = hook


def groups_of(tensors: Iterable[Any]) -> list[Any]:
    """The groups in which ranks meet to compute with tensors that lie on them in parts; torch makes them as needed."""
    meshes = {id(tensor.device_mesh): tensor.device_mesh for tensor in tensors if hasattr(tensor, "device_mesh")}
    return [group for mesh in meshes.values() for group in mesh.get_all_groups()]


def give_up(groups: Iterable[Any]) -> None:
    """Let every collective of these that waits return or raise, because a rank is lost; from any thread."""
    from torch import distributed

    if not distributed.is_initialized() or distributed.get_backend() == "gloo":  # gloo sees a lost rank by itself
        return
    for group in dict.fromkeys((*groups, distributed.group.WORLD)):  # they may be one
        group.abort()


def leave() -> None:
    """Give the seat back; nothing where none was taken."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def reading(seat: Seat) -> Iterator[None]:
    """While transformers reads a rank's part: it takes the device from the variable that torchrun sets."""
    with _as_we_meet(), _variables(LOCAL_RANK=seat.device.partition(":")[2] or "0"):
        yield


@contextmanager
def _as_we_meet() -> Iterator[None]:
    """While groups are made.

    gloo's connections stay on this host; left alone they go by the host's name, which need not resolve. An NCCL that
    waits for a lost rank is to be given up, where it would else end the process, which is the bench's.
    """
    with _variables(GLOO_SOCKET_IFNAME=_loopback(), TORCH_NCCL_ASYNC_ERROR_HANDLING="2"):
        yield


def in_a_collective(trace: TracebackType | None) -> bool:
    """Whether an error was raised by what ranks do together, to judge by its traceback."""
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("torch.distributed"):
            return True
        trace = trace.tb_next
    return False


def version_of(backend: str) -> str:
    """A backend with its version, where it has one: `nccl 2.28.9`."""
    if backend != "nccl":
        return backend
    import torch

    return f"nccl {'.'.join(map(str, torch.cuda.nccl.version()))}"


@contextmanager
def _variables(**values: str | None) -> Iterator[None]:
    """Variables of the environment for a while, those that the user set left alone but for torchrun's."""
    wanted: dict[str, Any] = {
        name: value for name, value in values.items() if value and (name == "LOCAL_RANK" or name not in os.environ)
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _loopback() -> str | None:
    """The interface of this host alone, where the system tells its name."""
    names = [name for _, name in getattr(socket, "if_nameindex", list)()]
    return next((name for name in ("lo", "lo0") if name in names), None)
