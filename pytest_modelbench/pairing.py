"""Pairing: what the two processes of a pair are told, and how several pairs share a host."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from .child import Child
from .errors import ModelbenchError
from .gate.duet import Side
from .gate.sides import import_path, moved
from .inside import names_of
from .isolation import request_of

if TYPE_CHECKING:
    from .device import Device

#: Options of the gate, which the processes of a pair do not need; True for those with a value.
_OURS = {
    "--bench-against": True, "--bench-pairs": True, "--bench-budget": True, "--bench-calibrate": False,
    "--bench-fail": True, "--bench-strict": False,
}  # fmt: skip


@dataclass(frozen=True)
class Roots:
    """Where each side's code lies, and the variant that the base runs where that is all that differs."""

    head: Path
    base: Path
    variant: str = ""


def side_request(
    config: pytest.Config, items: Mapping[int, pytest.Item], side: Side, roots: Roots, device: Device, sampled: bool
) -> dict[str, Any]:
    """What a side's process must know: the same session with these benches, by number, in that side's code."""
    root, other = (roots.head, roots.base) if side == "head" else (roots.base, roots.head)
    named = [(number, [moved(str(item.path), roots.head, root), *names_of(item)]) for number, item in items.items()]
    there = [(number, key) for number, key in named if Path(key[0]).is_file()]
    return _request_in(root, config, roots.head) | {
        "items": [(key[0], key[1:]) for _, key in there],
        "pair": {
            "numbers": there,
            "device": asdict(device),
            "variant": roots.variant if side == "base" else "",
            "root": str(root),
            "others": str(other) if other != root else "",
            "sampled": sampled,
        },
    }


def _request_in(root: Path, config: pytest.Config, head: Path) -> dict[str, Any]:
    """What a process must know to be the same session in another folder's code."""
    request = request_of(config)
    path = import_path(request["path"], head, root)
    inherited = [moved(entry, head, root) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    folder = moved(request["folder"], head, root)
    return request | {
        "path": path,
        "arguments": [moved(argument, head, root) for argument in _without_ours(request["arguments"])],
        "folder": folder if Path(folder).is_dir() else str(root),
        "variables": {"PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, [path[0], *inherited])))},
    }


def only_in_base(config: pytest.Config, items: Sequence[pytest.Item], roots: Roots) -> list[str]:
    """Benches that the same command line selects in the base and not here, by their nodeid.

    Empty where that is not known: the selection is of the last run's failures, names what is not there, or the base
    cannot be collected (its first pair says why).
    """
    if any(getattr(config.option, name, False) for name in ("lf", "stepwise")):
        return []
    here = {(os.path.relpath(item.path, roots.head), *names_of(item)) for item in items}
    request = _request_in(roots.base, config, roots.head) | {"listing": str(roots.base)}
    with Child(request, subprocess.DEVNULL) as child:
        message = child.hear()
    return ["::".join(key) for key in map(tuple, message[1] if message else ()) if key not in here]


def _without_ours(arguments: Sequence[str]) -> list[str]:
    """A command line without the options that ask for a comparison."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name, separator, _ = argument.partition("=")
        if skip:
            skip = False
        elif name in _OURS:
            skip = _OURS[name] and not separator
        else:
            kept.append(argument)
    return kept


class Lanes:
    """Quiet (`quiet.py`) for several lanes of one process: it stands for all, so they first agree among themselves."""

    def __init__(self, waiting: Callable[[str], None]) -> None:
        from .quiet import Quiet

        self._quiet, self._at = Quiet(waiting), dict[int, str]()
        self._changed = threading.Condition()

    @contextmanager
    def lane(self, kind: str) -> Iterator[Callable[[str, str], None]]:
        """What a lane calls with "set-up" or "timing" and a bench: it returns when nobody is at other work."""
        me, timing = threading.get_ident(), "timing-cpu" if kind == "cpu" else "timing-device"

        def begins(work: str, bench: str) -> None:
            wanted: Any = timing if work == "timing" else work
            with self._changed:
                self._at.pop(me, None)
                self._changed.notify_all()
                self._changed.wait_for(lambda: set(self._at.values()) <= {wanted})
                self._at[me] = wanted
                self._quiet.begin(wanted, bench)

        try:
            yield begins
        finally:
            with self._changed:
                self._at.pop(me, None)
                if not self._at:
                    self._quiet.end()
                self._changed.notify_all()

    def leave(self) -> None:
        """Be on this host no more."""
        self._quiet.leave()


@contextmanager
def as_exit() -> Iterator[None]:
    """Say an error of ours as pytest's usage error, though it came up after collection: exit status 4."""
    try:
        yield
    except ModelbenchError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let a SIGTERM end the session as Ctrl-C does, so that processes and the worktree go with it."""

    def interrupt(number: int, frame: object) -> NoReturn:
        pytest.exit("SIGTERM", returncode=128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
