"""Caveats provoked in whole sessions, each beside a bench that stays without."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
# In a bare checkout the package has no entry point: load the plugin by name.
PLUGIN = [] if entry_points(group="pytest11", name="modelbench") else ["-p", "pytest_modelbench.plugin"]
# Runs end by rounds: enough for a median, and no time is asserted.
ENOUGH = ["--bench-rounds", "8"]


def needs(library):
    """Not importorskip: pytester takes what it imports out of sys.modules again, and torch cannot be imported twice."""
    return pytest.mark.skipif(not find_spec(library), reason=f"needs {library}")


def kinds(pytester):
    """The caveats of each bench, without what a busy host adds."""
    files = sorted((pytester.path / "reports/data/records").glob("*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read(["bench", "caveats"]).to_pylist()]
    return {
        row["bench"].partition("::bench_")[2]: set(filter(None, row["caveats"].split(",")))
        - {"shared_device", "unstable"}
        for row in rows
    }


def children_used_seconds(pytester):
    files = sorted((pytester.path / "reports/data/samples").glob("*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    used = [row["value"] for row in rows if row["name"] == "children_cpu_seconds"]
    return used[-1] - used[0]


def run(pytester, *arguments, **variables):
    """A session of its own: what it loads and its threads are not ours."""
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:cacheprovider", *arguments]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        command, cwd=pytester.path, env=os.environ | {"TMPDIR": str(pytester.path), "PYTHONPATH": path} | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@needs("torch")
def test_a_bench_that_compiles_anew_inside_a_round(pytester):
    pytester.makepyfile(
        bench_a="""
        import torch

        def bench_shapes_change(measure):
            step = torch.compile(lambda x: (x * 2 + 1).sum(), dynamic=False, backend="eager")
            shapes = [torch.ones(4), *(torch.ones(4) for _ in range(4)), torch.ones(9), torch.ones(4)]
            measure.each(step, shapes)

        def bench_shapes_stay(measure):
            step = torch.compile(lambda x: (x * 3 - 1).sum(), dynamic=False, backend="eager")
            measure.each(step, [torch.ones(4) for _ in range(7)])
    """
    )
    out = run(pytester)
    assert "!recompiled, 1 bench: the compiler ran inside a timed round: warm up with every shape that is timed" in out
    found = kinds(pytester)
    assert "recompiled" in found["shapes_change"]
    assert "recompiled" not in found["shapes_stay"]


@needs("transformers")
def test_a_compiled_variant_whose_length_changes(pytester):
    """A longer generation than the warm-up's has a larger static cache, to which another graph belongs."""
    pytester.makepyfile(
        bench_a="""
        import pytest

        pytestmark = [pytest.mark.models("random:llama-tiny"), pytest.mark.variants("compiled")]

        def bench_length_changes(model, measure):
            lengths = [8, 8, 8, 200, 8]
            measure.each(lambda n: model.generate(["a"], max_new_tokens=n, min_new_tokens=n), lengths)

        def bench_length_stays(model, measure):
            measure.each(lambda n: model.generate(["a"], max_new_tokens=n, min_new_tokens=n), [8] * 4)
    """
    )
    out = run(pytester)
    assert "!recompiled, 1 bench: the compiler ran inside a timed round: warm up with every shape that is timed" in out
    assert kinds(pytester) == {"length_changes": {"recompiled"}, "length_stays": set()}


@needs("transformers")
def test_graph_breaks_are_a_fallback(pytester):
    pytester.makepyfile(
        conftest="""
        import torch
        from pytest_modelbench import variant
        from pytest_modelbench.variants.compiled import compiled

        @variant
        def broken(model):
            inner = model.module.model.forward
            def forward(*args, **kwargs):
                torch._dynamo.graph_break()
                return inner(*args, **kwargs)
            model.module.model.forward = forward
            return compiled(model)
        """,
        bench_a="""
        import pytest

        @pytest.mark.models("random:llama-tiny")
        @pytest.mark.variants("broken")
        def bench_breaks(model, measure):
            measure(model.generate, ["a"], max_new_tokens=4)
        """,
    )
    assert "!fallback" in run(pytester, *ENOUGH)
    assert kinds(pytester) == {"breaks": {"fallback"}}


@needs("torch")
def test_threads_items_and_rounds(pytester):
    pytester.makepyfile(
        bench_a="""
        def bench_items_too_short(measure):
            measure.each(abs, [1, 2, 3])

        def bench_looped(measure):
            measure(abs, 1)
        """,
        bench_b="""
        import os, torch

        def bench_threads(measure):
            torch.set_num_threads(os.cpu_count() + 3)
            measure(abs, 1)

        def bench_threads_fit(measure):
            torch.set_num_threads(1)
            measure(abs, 1)
        """,
    )
    out = run(pytester, *ENOUGH)
    assert kinds(pytester) == {
        "items_too_short": {"timer_limited"},
        "looped": set(),
        "threads": {"oversubscribed"},
        "threads_fit": set(),
    }
    assert "!oversubscribed" in out
    assert "set OMP_NUM_THREADS" in out


def test_few_rounds_are_said_once_for_all_benches(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        @pytest.mark.parametrize("n", range(3))
        def bench_few(n, measure):
            measure(abs, n)
    """
    )
    out = run(pytester, "--bench-rounds", "2")
    assert kinds(pytester) == {"few": {"few_samples"}}
    lines = [line for line in out.splitlines() if "raise --bench-rounds" in line]
    assert lines == [
        "!few_samples, 3 benches: too few rounds for what is said of them: raise --bench-rounds or --bench-max-seconds"
    ]


@pytest.mark.parametrize("whose", ["others", "own"])
def test_work_of_others_on_the_host(pytester, whose):
    """Every core is kept busy while rounds of sleep go on: by other processes, or by children of the bench itself."""
    pytester.makepyfile(
        bench_a=f"""
        import os, subprocess, sys, time, pytest

        @pytest.fixture
        def busy():
            spin = [sys.executable, "-c", "while True: pass"]
            own = [subprocess.Popen(spin) for _ in range(os.cpu_count()) if {whose == "own"}]
            yield
            for child in own:
                child.kill()
                child.wait()

        def bench_beside(busy, measure):
            measure(time.sleep, 0.1)
    """
    )
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(os.cpu_count()) if whose == "others"]
    try:
        out = run(pytester, "--bench-rounds", "12")
    finally:
        for other in others:
            other.kill()
            other.wait()
    if whose == "others":
        assert "!shared_device" in out
    elif sys.platform == "linux":  # what else this host does meanwhile is not ours to say
        assert children_used_seconds(pytester) > 0.2


@pytest.mark.parametrize("arguments", [[], ["--bench-cold"]], ids=["mark", "option"])
def test_cold_is_asked_for_by_mark_or_option(pytester, arguments):
    mark = "" if arguments else "@pytest.mark.cold"
    pytester.makepyfile(
        bench_a=f"""
        import pytest

        {mark}
        def bench_cold(measure):
            run = measure(sum, range(1000))
            assert run.timing.cold and run.timing.loops == 1

        def bench_plain(measure):
            assert measure(sum, range(1000)).timing.cold is {bool(arguments)}
    """
    )
    run(pytester, *ENOUGH, *arguments)


# -- on a CUDA device


@pytest.mark.gpu
def test_work_on_other_streams_is_inside_the_clock(pytester):
    """20 million cycles are about 10 ms; the margins are for other clocks."""
    pytester.makepyfile(
        bench_a="""
        import pytest, torch
        from statistics import median

        pytestmark = pytest.mark.devices("cuda")

        def bench_unjoined(device, measure):
            side = torch.cuda.Stream()
            def call():
                with torch.cuda.stream(side):
                    torch.cuda._sleep(20_000_000)
            run = measure(call)
            print("unjoined", run.seconds, run.notes)
            assert run.seconds > 0.005
            assert run.timing.device_seconds == ()
            assert "stream" in run.notes[0]

        def bench_joined(device, measure):
            side, main = torch.cuda.Stream(), torch.cuda.current_stream()
            def call():
                side.wait_stream(main)
                with torch.cuda.stream(side):
                    torch.cuda._sleep(20_000_000)
                main.wait_stream(side)
            run = measure(call)
            spans = median(run.timing.device_seconds)
            print("joined", run.seconds, spans, run.timing.timer_seconds)
            assert spans > 0.005 and not run.notes

        def bench_current(device, measure):
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                run = measure(torch.cuda._sleep, 20_000_000)
            assert median(run.timing.device_seconds) > 0.005 and not run.notes

        def bench_host_bound(device, measure):
            x = torch.ones(8, device="cuda")
            def call():
                for _ in range(300):
                    x.add_(1)
            run = measure(call)
            print("host-bound", run.seconds, median(run.timing.device_seconds), run.timing.timer_seconds)
            assert run.timing.device_seconds and not run.notes

        def bench_short(device, measure):
            run = measure(torch.ones(8, device="cuda").add_, 1)
            print("short", run.seconds, run.timing.loops, run.timing.timer_seconds)
            assert run.timing.device_seconds and not run.notes
    """
    )
    out = run(pytester, "--bench-rounds", "20", "-s")
    print(out)
    assert not any("timer_limited" in found for found in kinds(pytester).values())


@pytest.mark.gpu
def test_a_length_that_changes_under_cuda_graphs_is_recompiled(pytester):
    pytester.makepyfile(
        bench_a="""
        import pytest

        pytestmark = [
            pytest.mark.models("random:llama-tiny?hidden_size=256"), pytest.mark.devices("cuda"),
            pytest.mark.variants("compiled", "compiled:reduce-overhead"),
        ]

        def bench_length_changes(model, measure):
            lengths = [8, 8, 8, 300, 8]
            measure.each(lambda n: model.generate(["a"], max_new_tokens=n, min_new_tokens=n), lengths)

        def bench_length_stays(model, measure):
            measure(model.generate, ["a"], max_new_tokens=8, min_new_tokens=8)
    """
    )
    print(run(pytester, "--bench-rounds", "8", "--device", "cuda"))
    found = kinds(pytester)
    assert "recompiled" in found["length_changes"]
    assert "recompiled" not in found["length_stays"]


OTHER = """
import torch
a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
(a @ a).sum().item()
print("busy", flush=True)
while True:
    for _ in range(50):
        a @ a
    torch.cuda.synchronize()
"""


@pytest.mark.gpu
@pytest.mark.parametrize("busy", [True, False], ids=["busy", "alone"])
def test_another_process_on_the_gpu(pytester, busy):
    pytester.makepyfile(
        bench_a="""
        import pytest, torch

        @pytest.mark.devices("cuda")
        def bench_beside(device, measure):
            x = torch.ones(1024, 1024, device="cuda")
            measure(torch.matmul, x, x)
    """
    )
    other = subprocess.Popen([sys.executable, "-c", OTHER], stdout=subprocess.PIPE, text=True) if busy else None
    try:
        if other is not None:
            assert other.stdout.readline() == "busy\n"
        out = run(pytester, *ENOUGH)
    finally:
        if other is not None:
            other.kill()
            other.communicate()
    print(out)
    assert ("!shared_device" in out) is busy


@pytest.mark.gpu
def test_full_load_is_capped_and_rest_is_not(pytester):
    """Which GPUs reach their power limit is theirs to say: the caveat has to agree with the samples."""
    pytester.makepyfile(
        bench_a="""
        import pytest, time, torch

        pytestmark = pytest.mark.devices("cuda")

        def bench_rest(device, measure):
            measure(time.sleep, 0.2)

        def bench_load(device, measure):
            a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
            measure(lambda: [a @ a for _ in range(100)])
    """
    )
    out = run(pytester, "--bench-rounds", "25")
    print(out)
    found = kinds(pytester)
    assert "throttled" not in found["rest"]
    files = sorted((pytester.path / "reports/data/samples").glob("*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    load = [int(row["value"]) for row in rows
            if row["name"] == "clock_event_reasons" and row["bench"].endswith("bench_load")]  # fmt: skip
    slowed = sum(bool(value & 0x6FC) for value in load) / len(load)
    print(f"slowed in {slowed:.0%} of {len(load)} samples")
    if abs(slowed - 0.05) > 0.05:  # the samples before and after the rounds are in this share
        assert ("throttled" in found["load"]) is (slowed > 0.05)
