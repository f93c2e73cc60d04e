"""Timed rounds and the set-up of other processes keep apart: real processes, one clock."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from pytest_modelbench.quiet import Quiet

HOLD = """
import sys
from pathlib import Path
from pytest_modelbench.quiet import Quiet
quiet = Quiet(folder=Path(sys.argv[1]))
quiet.begin(sys.argv[2], "bench_other")
print("at it", flush=True)
sys.stdin.read()
quiet.leave()
"""
WORK = """
import sys, time
from pathlib import Path
from pytest_modelbench.quiet import Quiet
quiet = Quiet(folder=Path(sys.argv[1]))
for _ in range(int(sys.argv[3])):
    for work in ("set-up", sys.argv[2]):
        quiet.begin(work, "bench")
        print(work, time.perf_counter_ns(), end=" ")
        time.sleep(0.03)
        print(time.perf_counter_ns())
    quiet.end()
quiet.leave()
"""


@contextmanager
def at_work(folder, work):
    command = [sys.executable, "-c", HOLD, str(folder), work]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "at it\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("theirs", "ours", "together"),
    [
        ("set-up", "set-up", True),
        ("timing-device", "timing-device", True),
        ("set-up", "timing-device", False),
        ("timing-device", "set-up", False),
        ("set-up", "timing-cpu", False),
        ("timing-cpu", "timing-device", False),
        ("timing-device", "timing-cpu", False),
    ],
)
def test_one_kind_of_work_at_a_time(tmp_path, theirs, ours, together):
    said = []

    def waiting(text):
        said.append(text)
        if text:
            other.stdin.close()

    quiet = Quiet(waiting, tmp_path)
    with at_work(tmp_path, theirs) as other:
        assert quiet.begin(ours, "bench_ours") == ""
    quiet.leave()
    assert said == ([] if together else [f"waiting for {theirs} of pid {other.pid} (bench_other)", ""])
    assert not list(tmp_path.glob(f"at-{os.getpid()}.*"))


def test_who_died_is_waited_for_no_more(tmp_path):
    with at_work(tmp_path, "timing-cpu") as other:
        other.kill()
        other.wait()
        began = time.monotonic()
        quiet = Quiet(pytest.fail, tmp_path)
        quiet.begin("set-up", "bench")
        assert time.monotonic() - began < 1
        assert {path.name for path in tmp_path.iterdir()} == {
            "turn.lock", f"at-{os.getpid()}.lock", f"at-{os.getpid()}.work",
        }  # fmt: skip
        quiet.leave()


def test_patience_ends_and_says_so(tmp_path):
    quiet = Quiet(folder=tmp_path, patience_seconds=0.5)
    with at_work(tmp_path, "set-up") as other:
        began = time.monotonic()
        said = quiet.begin("timing-cpu", "bench")
        assert 0.5 <= time.monotonic() - began < 2
        assert said == f"waiting for set-up of pid {other.pid} (bench_other)"
    quiet.leave()


@pytest.mark.parametrize(
    "kinds", [("timing-cpu", "timing-device"), ("timing-device",) * 3], ids=["cpu and device", "three devices"]
)
def test_work_of_two_kinds_never_overlaps_and_nobody_starves(tmp_path, kinds):
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    all_of_them = [subprocess.Popen([*command, kind, "8"], stdout=subprocess.PIPE, text=True) for kind in kinds]
    outputs = [process.communicate(timeout=120)[0] for process in all_of_them]
    spans = [line.split() for output in outputs for line in output.splitlines()]
    assert len(spans) == 16 * len(kinds)
    spans = [(int(began), int(ended), kind) for kind, began, ended in spans]
    together = {
        tuple(sorted((one[2], other[2])))
        for one in spans
        for other in spans
        if one is not other and one[0] < other[1] and other[0] < one[1]
    }
    assert all(one == other for one, other in together)


def test_a_lease_says_which_bench_holds_the_device(tmp_path):
    code = f"""
import sys
from pathlib import Path
from pytest_modelbench.device import lease
from pytest_modelbench.quiet import Quiet
sys.argv = ["/usr/bin/pytest", "benches/"]
quiet = Quiet(folder=Path({str(tmp_path)!r}))
with lease("cpu", Path({str(tmp_path)!r})):
    quiet.begin("timing-cpu", "bench_theirs[1]")
    print("at it", flush=True)
    sys.stdin.read()
"""
    from pytest_modelbench.device import lease

    own = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, env=own) as other:
        other.stdout.readline()
        said = []
        with lease("cpu", tmp_path, lambda text: (said.append(text), other.stdin.close())):
            pass
    assert said == [f"waiting for cpu, held by pid {other.pid} (pytest benches/, bench_theirs[1])"]
