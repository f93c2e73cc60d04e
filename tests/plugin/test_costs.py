"""From a bench to the columns of energy, cost and memory's parts, and what becomes of a device that was full."""

import pytest
from test_records import rows

# Here and not in a test: pytester forgets what a test imported, and torch cannot be imported twice.
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

COUNTER = """
    import time
    from pytest_modelbench import sampler

    @sampler("meter")
    def meter(watched):
        while True:
            yield {("energy_joules", "joules"): 50 * time.monotonic()}   # 50 W
"""
OOM = """
    import pytest
    from pytest_modelbench.device import Device

    class OutOfMemoryError(RuntimeError): ...

    class Tensor:
        alive = 0
        def __init__(self): Tensor.alive += 1
        def __del__(self): Tensor.alive -= 1

    def bench_too_large(measure, monkeypatch):
        emptied = Device.empty_cache
        Device.empty_cache = lambda self: print(f"EMPTIED with {Tensor.alive} alive") or emptied(self)
        def call():
            held = Tensor()
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 8 GiB")
        measure(call)

    def bench_after(measure):
        print("AFTER", Tensor.alive)
        measure(sum, [1])
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTEST_MODELBENCH_CACHE", str(tmp_path / "made"))


def test_a_bench_that_ran_out_of_memory_is_a_row_and_the_next_one_runs(pytester):
    pytester.makepyfile(bench_a=OOM)
    result = pytester.runpytest_subprocess("--bench-rounds", "3", "-s")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*EMPTIED with 0 alive", "*AFTER 0*"])
    full, after = rows(pytester)
    assert (full["outcome"], after["outcome"]) == ("oom", "passed")
    assert full["oom_asked_bytes"] == 20 * 2**30
    assert full["reason"].startswith("20.0 GiB asked: OutOfMemoryError: CUDA out of memory.")


def test_what_a_bench_made_is_let_go_before_the_next(pytester):
    pytester.makepyfile(
        bench_a="""
        class Tensor:
            alive = 0
            def __init__(self): Tensor.alive += 1
            def __del__(self): Tensor.alive -= 1

        def bench_makes(measure):
            assert measure(Tensor).output is not None

        def bench_next(measure):
            assert Tensor.alive == 0
            measure(sum, [1])
        """
    )
    pytester.runpytest_subprocess("--bench-rounds", "3").assert_outcomes(passed=2)


def test_a_counter_gives_joules_and_idle_watts(pytester):
    pytester.makepyfile(
        conftest=COUNTER,
        bench_a="""
        import time

        def bench_sleeps(measure):
            measure(time.sleep, 0.01).count(tokens=5)

        def bench_short(measure):
            measure(sum, [1])
        """,
    )
    pytester.runpytest_subprocess("--bench-rounds", "5").assert_outcomes(passed=2)
    sleeps, _ = rows(pytester)
    assert sleeps["energy_joules"] == pytest.approx(50 * sleeps["mean_seconds"], rel=0.05)
    assert sleeps["joules_per_token"] == pytest.approx(sleeps["energy_joules"] / 5)
    assert sleeps["idle_watts"] == pytest.approx(50, rel=0.05)


def test_counted_work_is_put_beside_the_peaks_of_the_device(pytester):
    pytester.makepyfile(
        bench_a="""
        import torch

        def bench_product(measure):
            a = torch.randn(256, 256)
            measure(torch.mm, a, a).count(flops=2 * 256**3, bytes=3 * 256**2 * 4)

        def bench_says_nothing(measure):
            measure(sum, [1])
        """
    )
    pytester.runpytest_subprocess("--bench-rounds", "3").assert_outcomes(passed=2)
    product, nothing = rows(pytester)
    assert product["flops"] == 2 * 256**3
    assert product["mfu"] == pytest.approx(2 * 256**3 / product["median_seconds"] / product["peak_flops_per_second"])
    assert product["mbu"] == pytest.approx(3 * 2**18 / product["median_seconds"] / product["peak_bytes_per_second"])
    assert product["bound_by"] in ("compute", "bandwidth", "host")
    assert nothing["flops"] is nothing["peak_flops_per_second"] is None


def test_no_canary_sings_when_nothing_is_timed(pytester, tmp_path):
    pytester.makepyfile(bench_a="def bench_a(measure):\n    measure(sum, [1]).count(flops=1)\n")
    pytester.runpytest_subprocess("--bench-once").assert_outcomes(passed=1)
    assert not (tmp_path / "made").exists()


TEXT = """
    import pytest

    @pytest.mark.models("random:llama-tiny")
    def bench_generate(model, measure):
        run = measure(model.generate, ["a few words", "a few"], max_new_tokens=5)
        run.count(tokens=run.output.new_tokens)

    @pytest.mark.models("random:llama-tiny")
    def bench_stream(model, measure):
        measure.stream(model.stream, ["a few words", "a few"], max_new_tokens=5)
"""


def test_a_text_model_is_counted_without_being_asked(pytester):
    pytester.makepyfile(bench_a=TEXT)
    pytester.runpytest_subprocess("--bench-rounds", "3").assert_outcomes(passed=2)
    generate, stream = rows(pytester)
    for found in (generate, stream):
        assert 0 < found["mfu"] < 0.5
        assert 0 < found["mbu"] < 0.5
        assert found["bound_by"] == "host"
        assert found["weights_bytes"] == found["weight_bytes"]
        assert found["activations_peak_bytes"] is None, "there is no allocator to ask on the CPU"
    assert generate["flops"] == stream["flops"]
    assert generate["bytes_moved"] == stream["bytes_moved"]
    assert generate["kv_cache_bytes"] == stream["kv_cache_bytes"]


GPU = """
    import pytest, torch

    @pytest.mark.devices("cuda")
    @pytest.mark.models("random:llama-1.2b")
    def bench_generate(model, measure):
        run = measure(model.generate, ["a few words"], max_new_tokens=32)
        run.count(tokens=run.output.new_tokens)

    @pytest.mark.devices("cuda")
    def bench_product(device, measure):
        a = torch.randn(8192, 8192, device=device.torch_name, dtype=torch.bfloat16)
        measure(torch.mm, a, a).count(flops=2 * 8192**3, bytes=3 * 8192**2 * 2)

    @pytest.mark.devices("cuda")
    def bench_copy(device, measure):
        a = torch.ones(2**28, device=device.torch_name, dtype=torch.uint8)
        b = torch.ones_like(a)
        measure(b.copy_, a).count(bytes=2 * 2**28)
"""


def need_cuda():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.mark.gpu
def test_energy_cost_and_memory_of_a_llama_on_cuda(pytester):
    need_cuda()
    pytester.makepyfile(bench_a=GPU)
    pytester.runpytest_subprocess("-s").assert_outcomes(passed=3)
    found = {row["bench"].partition("::")[2]: row for row in rows(pytester)}
    for row in found.values():
        assert "short_window" not in row["caveats"]
        watts = row["energy_joules"] / row["mean_seconds"]
        assert 20 < row["idle_watts"] < watts < 1000, "work draws more than idling"
    generate, product, copy = (found[f"bench_{name}"] for name in ("generate", "product", "copy"))
    assert generate["bound_by"] == "host"
    assert 0.005 < generate["mbu"] < 0.7
    assert generate["joules_per_token"] == pytest.approx(generate["energy_joules"] / 32)
    assert generate["weights_bytes"] == pytest.approx(2.47e9, rel=0.01)
    # 16 layers, 8 heads of 64, keys and values in bfloat16
    assert generate["kv_cache_bytes"] % (2 * 16 * 8 * 64 * 2) == 0
    assert 0 < generate["activations_peak_bytes"] < generate["weights_bytes"]
    assert product["bound_by"] == "compute"
    assert 0.6 < product["mfu"] < 1.1
    assert copy["bound_by"] == "bandwidth"
    assert 0.6 < copy["mbu"] < 1.1
    for name in ("flops", "bytes"):
        stated, measured = product[f"datasheet_{name}_per_second"], product[f"peak_{name}_per_second"]
        assert stated is None or 0.4 < measured / stated < 1.05


@pytest.mark.gpu
def test_fixed_rounds_stay_fixed_and_say_why_there_are_no_joules(pytester):
    need_cuda()
    pytester.makepyfile(bench_a=GPU)
    pytester.runpytest_subprocess("-k", "product", "--bench-rounds", "3").assert_outcomes(passed=1)
    (found,) = rows(pytester)
    assert found["rounds"] == 3
    assert "short_window" in found["caveats"]
    assert found["energy_joules"] is None


@pytest.mark.gpu
def test_a_full_device_is_emptied_for_the_next_bench(pytester):
    need_cuda()
    pytester.makepyfile(
        bench_a="""
        import pytest, torch

        pytestmark = pytest.mark.devices("cuda")

        def bench_too_large(device, measure):
            free, _ = torch.cuda.mem_get_info()
            def call():
                held = torch.empty(free // 2, dtype=torch.uint8, device=device.torch_name)
                return held, torch.empty(free, dtype=torch.uint8, device=device.torch_name)
            measure(call)

        def bench_after(device, measure):
            assert torch.cuda.memory_reserved() < 2**28
            free, _ = torch.cuda.mem_get_info()
            measure(lambda: torch.empty(int(free * 0.8), dtype=torch.uint8, device=device.torch_name).numel())
        """
    )
    result = pytester.runpytest_subprocess("--bench-rounds", "3")
    result.assert_outcomes(passed=1, failed=1)
    full, after = rows(pytester)
    assert (full["outcome"], after["outcome"]) == ("oom", "passed")
    assert full["oom_asked_bytes"] > 2**30
