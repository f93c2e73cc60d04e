"""P3: what loading the plugin adds to any pytest run: `--collect-only` in an empty folder, with it and without.

Pairs of fresh processes, one with and one without in turn, so that a busy minute hits both. Counted is processor time:
loading does nothing but compute, and wall time on shared cores is mostly other people's.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from .figure import Figure, middle
from .peers import absent
from .sessions import PLUGINS, folder_of, pytest_session


def figures(quick: bool) -> Iterator[Figure]:
    """Milliseconds more than plain pytest."""
    more: dict[str, list[float]] = {name: [] for name in PLUGINS if name != "plain pytest" and not absent(name)}
    with folder_of() as folder:
        for name in more:
            pytest_session(folder, name, "--collect-only", "-q", clocked=False)  # once unseen: files come off the disk
        for _ in range(2 if quick else 25):
            for name, found in more.items():
                plain = pytest_session(folder, "plain pytest", "--collect-only", "-q", clocked=False)
                loaded = pytest_session(folder, name, "--collect-only", "-q", clocked=False)
                found.append((loaded.cpu_seconds - plain.cpu_seconds) * 1e3)
    ours, interval = middle(more.pop("ours"))
    peers: dict[str, float | str] = {name: median(found) for name, found in more.items()}
    peers |= {name: absent(name) for name in PLUGINS if absent(name)}
    yield Figure("P3 loading the plugin, more than plain pytest", "ms", ours, 10.0, interval, peers)
