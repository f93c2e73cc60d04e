"""Caveats provoked in whole sessions, each beside a bench that stays without."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pyarrow.parquet as pq
import pytest

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
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(
        command, cwd=pytester.path, env=os.environ | {"TMPDIR": str(pytester.path)} | variables,
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
    assert "!recompiled, 1 bench: warm up with every shape that is timed" in out
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
    assert "!recompiled, 1 bench: warm up with every shape that is timed" in out
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
    assert lines == ["!few_samples, 3 benches: raise --bench-rounds or --bench-max-seconds"]


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
