"""Sessions of pytest in a process of their own, with the plugins that are asked for and no other."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Whose session -> its plugin's module; none is plain pytest.
PLUGINS = {
    "plain pytest": "",
    "ours": "pytest_modelbench.plugin",
    "pytest-benchmark": "pytest_benchmark.plugin",
    "codspeed": "pytest_codspeed.plugin",
}
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ran:
    """What one session took."""

    #: collection, tests, setup, call, teardown, end: see clocked.py; empty for a session that is not clocked.
    seconds: dict[str, float]
    #: Processor time of the process and its children.
    cpu_seconds: float
    output: str


def pytest_session(folder: Path, whose: str, *arguments: str, clocked: bool = True) -> Ran:
    """Run pytest in `folder`. Raises RuntimeError with its output when it fails; no test to run is no failure."""
    found = folder / ".clocked.json"
    own = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "BENCHMARKS_CLOCKED": str(found),
        "TMPDIR": str(folder),  # leases of its own: no waiting for other sessions
    }
    plugins = [PLUGINS[whose], "benchmarks.clocked" if clocked else ""]
    loaded = [word for name in plugins if name for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", *loaded, "-p", "no:cacheprovider", *arguments]
    # with bytecode, as everybody has it: pip compiles what it installs, and else the first run does
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, cwd=folder, env=inherited | own, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode not in (0, 5):
        said = ran.stdout[-2000:] + ran.stderr[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}:\n{said}")
    return Ran(
        json.loads(found.read_text()) if clocked else {},
        after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
        ran.stdout,
    )


@contextmanager
def folder_of(**files: str) -> Iterator[Path]:
    """A temporary folder with files, `bench_a="..."` being bench_a.py; an empty pytest.ini makes it its own root."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        yield folder
