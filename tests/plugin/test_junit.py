"""Numbers of a bench in JUnit's file."""

from xml.etree import ElementTree

import pytest

BENCHES = """
    import pytest

    @pytest.mark.parametrize("n", [1, 2])
    def bench_sum(n, measure):
        run = measure(sum, range(1000))
        run.count(numbers=1000)
        run.score("exact_match", ["a\\x1b", "b"], ["a", "b"])

    def bench_fails(measure):
        measure(sum, [1])
        assert False, "boom"

    def bench_breaks(nothing, measure): ...
"""


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--bench-isolate",)], ids=["serial", "xdist", "isolated"])
def test_each_bench_has_its_numbers(pytester, options):
    pytester.makepyfile(bench_a=BENCHES)
    pytester.runpytest_subprocess("bench_a.py", "--bench-rounds=3", "--junitxml=out.xml", *options)
    cases = {case.get("name"): case for case in ElementTree.parse(pytester.path / "out.xml").iter("testcase")}
    found = {
        name: {item.get("name"): item.get("value") for item in case.iter("property")} for name, case in cases.items()
    }
    for name in ("bench_sum[1]", "bench_sum[2]"):
        said = found[name]
        assert 0 < float(said["modelbench.median_seconds"]) < 1
        assert float(said["modelbench.throughput.numbers_per_second"]) > 1000
        assert float(said["modelbench.peak_memory_bytes"]) > 2**20
        assert said["modelbench.score_exact_match"] == "0.5"
        assert said["modelbench.score_exact_match.unit"] == "ratio"
        assert "few_samples" in said["modelbench.caveats"]
    assert "modelbench.median_seconds" in found["bench_fails"]
    assert "modelbench.record_id" in found["bench_breaks"]
    assert not any("median_seconds" in name for name in found["bench_breaks"])
