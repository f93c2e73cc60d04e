"""P4: 10,000 benches: what collecting, a fixture and the end of the session cost.

Ten files of ten functions with a hundred parameters each. The same files are collected by plain pytest, with a fixture
of the same name in a conftest; the peers' use their own fixture. Every bench calls nothing three times, by the verb
whose warm-up is three calls: what is left is the plugin.
Tables are written where each tool writes them: ours its stores and its page, pytest-benchmark its --benchmark-autosave.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from .figure import Figure, middle
from .peers import absent
from .sessions import Ran, folder_of, pytest_session

FUNCTION = """
@pytest.mark.parametrize("n", range({params}))
def {kind}_{number}({fixture}, n):
    {call}
"""
#: Plain pytest's stand-in for the fixture.
STAND_IN = """
import pytest
from types import SimpleNamespace

@pytest.fixture
def measure():
    return SimpleNamespace(each=lambda call, items: [call(item) for item in items])
"""
AS_BENCHES = ("-o", "python_files=bench_*.py", "-o", "python_functions=bench_*")
#: Whose -> options with which each test runs its call once or nearly so.
ONCE = {"plain pytest": AS_BENCHES, "ours": ("--bench-once",), "pytest-benchmark": ("--benchmark-disable",)}
#: Whose -> options with which it times as little as it can and writes everything at the end.
LEAST = {
    "plain pytest": AS_BENCHES,
    "ours": (),
    "pytest-benchmark": (
        "--benchmark-max-time=0.000001", "--benchmark-min-rounds=3", "--benchmark-min-time=0.0000001",
        "--benchmark-autosave", "--benchmark-storage=file://./saved",
    ),
}  # fmt: skip


def figures(quick: bool) -> Iterator[Figure]:
    """Collection, fixture, end and size."""
    params, turns = (1, 1) if quick else (100, 3)
    total = 100 * params
    names = [name for name in ONCE if not absent(name)]
    missing = {name: absent(name) for name in ONCE if absent(name)}
    collected: dict[str, list[float]] = {name: [] for name in names}
    once: dict[str, list[float]] = {name: [] for name in names}
    least: dict[str, list[Ran]] = {name: [] for name in names}
    sizes: dict[str, float] = {}
    for turn in range(quick, turns + 1):
        for name in names:
            with _suite(name, params) as folder:
                options = AS_BENCHES if name == "plain pytest" else ()
                pytest_session(folder, name, "--collect-only", "-qq", *options)  # compiles the files
                if turn:  # the first turn warms the disk
                    again = pytest_session(folder, name, "--collect-only", "-qq", *options)
                    collected[name].append(again.seconds["collection"])
                    once[name].append(pytest_session(folder, name, "-qq", *ONCE[name]).seconds["tests"])
                    least[name].append(pytest_session(folder, name, "-qq", *LEAST[name]))
                    sizes[name] = _bytes(folder / ("saved" if name == "pytest-benchmark" else "reports/data")) / 1e6
                    if name == "ours":
                        sizes["page"] = (folder / "reports/modelbench.html").stat().st_size / 1e6
    plain = collected["plain pytest"]
    over = {name: [a / b for a, b in zip(found, plain, strict=True)] for name, found in collected.items()}
    yield _figure(f"P4 collecting {total:,} benches, over plain pytest", "x", over, 1.1, missing)
    more = {
        name: [(a - b) / total * 1e3 for a, b in zip(found, once["plain pytest"], strict=True)]
        for name, found in once.items()
    }
    yield _figure("P4 a test that times nothing, more than plain pytest", "ms", more, 0.1, missing)
    ends = {name: [ran.seconds["end"] for ran in found] for name, found in least.items()}
    yield _figure(f"P4 end of a session of {total:,} benches", "s", ends, 0.5, missing)
    peers: dict[str, float | str] = {name: size for name, size in sizes.items() if name == "pytest-benchmark"}
    yield Figure(f"P4 what {total:,} benches store", "MB", sizes["ours"], 1.0, None, peers | missing)
    yield Figure(f"P4 the page of {total:,} benches", "MB", sizes["page"], 3.0)


def _figure(what: str, unit: str, found: dict[str, list[float]], target: float, missing: dict[str, str]) -> Figure:
    ours, interval = middle(found["ours"])
    peers = {name: median(values) for name, values in found.items() if name not in ("ours", "plain pytest")}
    return Figure(what, unit, ours, target, interval, peers | missing)


@contextmanager
def _suite(whose: str, params: int) -> Iterator[Path]:
    words = {"kind": "bench", "fixture": "measure", "call": "measure.each(nothing, (1, 2, 3))"}
    if whose == "pytest-benchmark":
        words = {"kind": "test", "fixture": "benchmark", "call": "benchmark(nothing)"}
    text = "import pytest\n\ndef nothing(*_): pass\n"
    text += "".join(FUNCTION.format(**words, number=n, params=params) for n in range(10))
    files = {f"{words['kind']}_{n}": text for n in range(10)}
    with folder_of(**files, **({"conftest": STAND_IN} if whose == "plain pytest" else {})) as folder:
        yield folder


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
